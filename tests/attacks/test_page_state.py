"""What Reflex keeps of a page in Redis is nobody else's."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import pytest

from calendar_app.calendar_app import app
from calendar_app.services.accounts import authentication
from calendar_app.ui.sealed import COOKIE, session_digest
from calendar_app.ui.sockets import OpenSockets, SealedSockets

SECRET = "Zx81-session-of-somebody"
DIGEST = hashlib.sha256(SECRET.encode()).hexdigest()


def _seen(scope_type: str, path: str, *headers: tuple[str, str]) -> list[tuple[bytes, bytes]]:
    """The headers that the application behind gets."""
    seen: list[tuple[bytes, bytes]] = []

    async def inner(scope: Any, _receive: Any, _send: Any) -> None:
        seen.extend(scope["headers"])

    async def nothing(*_message: Any) -> Any:
        raise AssertionError("nothing is read or sent")

    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    scope = {"type": scope_type, "path": path, "headers": raw}
    asyncio.run(SealedSockets(inner, OpenSockets(), lambda _digests: {})(scope, nothing, nothing))
    return seen


@pytest.mark.parametrize(
    ("kind", "path"), [("websocket", "/_event/"), ("http", "/_upload"), ("http", "/_event/")]
)
def test_no_session_reaches_the_state_of_a_page(kind: str, path: str) -> None:
    """Only the digest does, whatever else is in the header, and nothing of other credentials."""
    cookies = f'junk={{"a": 1}}; {authentication.SESSION_COOKIE}={SECRET}; almanac_device=abc'
    seen = _seen(kind, path, ("Host", "x"), ("Cookie", cookies), ("Authorization", "Bearer alm_x"))
    assert seen == [(b"Host", b"x"), (b"cookie", f"{COOKIE}={DIGEST}".encode())]
    assert session_digest(dict(seen)[b"cookie"].decode()) == DIGEST


def test_a_digest_that_a_browser_sends_opens_nothing() -> None:
    """Whoever has read the database or Redis cannot hand in what stands there."""
    for cookies in (f"{COOKIE}={DIGEST}", f"{COOKIE}={DIGEST}; {authentication.SESSION_COOKIE}="):
        assert _seen("websocket", "/_event/", ("Cookie", cookies)) == []
    two = _seen(
        "websocket", "/", ("Cookie", f"{authentication.SESSION_COOKIE}={SECRET}"), ("Cookie", f"{COOKIE}=x")
    )
    assert two == [(b"cookie", f"{COOKIE}={DIGEST}".encode())]


def test_other_requests_keep_their_cookies() -> None:
    """The HTTP API checks the cookie itself."""
    assert _seen("http", "/api/v1/me", ("Cookie", "a=b")) == [(b"Cookie", b"a=b")]


def test_the_application_is_sealed() -> None:
    """The composition root puts the seal before Reflex."""
    transformers = app.api_transformer
    assert isinstance(transformers, list)
    assert SealedSockets in transformers
