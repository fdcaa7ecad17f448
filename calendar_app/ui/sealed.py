"""What Reflex is told of who sits at a page, and which stored state it finds for them.

Reflex keeps the headers of a page's websocket in the page's state, and that in Redis, whose memory and files more
people and programs read than should be able to sign in as somebody. So between the server and Reflex the cookies are
taken out, and the digest of the session's is put in: by it the session is found, and nobody can sign in with it, as a
browser that sends one has it taken out like any other cookie.

Reflex finds stored state by a token that the tab keeps for as long as it is open, whoever signs in there. So the token
is replaced, too: by one that is made of it and of the session that the cookie proves. Another session, one that has
ended, or none, finds another state, which is empty.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from urllib.parse import parse_qsl, urlencode

from starlette.requests import cookie_parser

from calendar_app.services.accounts import authentication

COOKIE = "almanac_session_digest"
REFLEX = ("/_event", "/_upload")
"""Where Reflex answers requests of pages."""
_CREDENTIALS = (b"cookie", b"authorization")
_TOKEN_HEADER = b"reflex-client-token"
_PART = 32
_REST = re.compile(rf"-[0-9a-f]{{{_PART}}}")

Headers = Iterable[tuple[bytes, bytes]]


def sealed(headers: Headers) -> list[tuple[bytes, bytes]]:
    """``headers`` without credentials, and with the digest of the session if there is one."""
    kept, token = [], ""
    for name, value in headers:
        if name.lower() not in _CREDENTIALS:
            kept.append((name, value))
        elif name.lower() == b"cookie":
            token = cookie_parser(value.decode("latin-1")).get(authentication.SESSION_COOKIE) or token
    if token:
        kept.append((b"cookie", f"{COOKIE}={authentication.digest(token)}".encode()))
    return kept


def session_digest(cookie_header: str) -> str:
    """The session's digest out of the ``Cookie`` header that was put in here; empty without one."""
    name, _, value = cookie_header.partition("=")
    return value if name == COOKIE else ""


def digest_in(headers: Headers) -> str:
    """As :func:`session_digest`, out of all the headers of :func:`sealed`."""
    return next((session_digest(value.decode()) for name, value in headers if name == b"cookie"), "")


def owner(digest: str) -> str:
    """What the tokens of a session begin with; those of visitors have an empty ``digest``."""
    return hashlib.sha256(b"tab of " + digest.encode()).hexdigest()[:_PART]


def bound(tab: str, digest: str) -> str:
    """The token under which Reflex keeps what ``tab`` shows to this session.

    A token that was made here for this very session is its own: a second tab of it may be given one.
    """
    mine = owner(digest)
    if tab.startswith(mine) and _REST.fullmatch(tab, _PART):
        return tab
    return another(mine, tab)


def another(mine: str, seed: str) -> str:
    """A token that begins with ``mine``, the :func:`owner`."""
    return f"{mine}-{hashlib.sha256(seed.encode()).hexdigest()[:_PART]}"


def bound_query(query: bytes, digest: str) -> bytes:
    """The query string of a websocket, with its token bound to the session."""
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    return urlencode(
        [(name, bound(text, digest) if name == "token" else text) for name, text in pairs]
    ).encode()


def bound_headers(headers: Headers, digest: str) -> list[tuple[bytes, bytes]]:
    """The headers of an upload, with their token bound to the session."""
    return [
        (name, bound(value.decode("latin-1"), digest).encode() if name.lower() == _TOKEN_HEADER else value)
        for name, value in headers
    ]
