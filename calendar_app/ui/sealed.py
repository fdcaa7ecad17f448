"""What Reflex is told of who sits at a page.

Reflex keeps the headers of a page's websocket in the page's state, and that in Redis, whose memory and files more
people and programs read than should be able to sign in as somebody. So between the server and Reflex the cookies are
taken out, and the digest of the session's is put in: by it the session is found, and nobody can sign in with it, as a
browser that sends one has it taken out like any other cookie.
"""

from __future__ import annotations

from collections.abc import Iterable

from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Receive, Scope, Send

from calendar_app.services import accounts

COOKIE = "almanac_session_digest"
_REFLEX = ("/_event", "/_upload")
_CREDENTIALS = (b"cookie", b"authorization")


class SealedCookies:
    """ASGI middleware before Reflex; other requests pass as they are."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket" or (scope["type"] == "http" and scope["path"].startswith(_REFLEX)):
            scope = {**scope, "headers": sealed(scope["headers"])}
        await self.app(scope, receive, send)


def sealed(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """``headers`` without credentials, and with the digest of the session if there is one."""
    kept, token = [], ""
    for name, value in headers:
        if name.lower() not in _CREDENTIALS:
            kept.append((name, value))
        elif name.lower() == b"cookie":
            token = cookie_parser(value.decode("latin-1")).get(accounts.SESSION_COOKIE) or token
    if token:
        kept.append((b"cookie", f"{COOKIE}={accounts.digest(token)}".encode()))
    return kept


def session_digest(cookie_header: str) -> str:
    """The session's digest out of the ``Cookie`` header that was put in here; empty without one."""
    name, _, value = cookie_header.partition("=")
    return value if name == COOKIE else ""
