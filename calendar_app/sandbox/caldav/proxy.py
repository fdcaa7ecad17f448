"""Radicale as the application reaches it: below ``/sandbox/caldav``, behind the fault switches.

Radicale writes hrefs and redirects for that place because it is told of it (``X-Script-Name``); everything else goes
through as it is, the password too. Bodies go uncompressed, so that a fault can spoil what is in them.
"""

from __future__ import annotations

from collections.abc import Callable

import httpx
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from calendar_app.sandbox.caldav.odd_answers import Truncation, weak_tags
from calendar_app.sandbox.caldav.privileges import refused, without_writing
from calendar_app.sandbox.fault_middleware import SCOPE_KEY
from calendar_app.sandbox.proxy import forwardable

PREFIX = "/sandbox/caldav"
WELL_KNOWN = "/.well-known/caldav"
MOST_BYTES = 20 * 2**20
_CHANGING = frozenset({"PUT", "DELETE", "MKCALENDAR", "MKCOL", "MOVE", "PROPPATCH"})


class RadicaleProxy:
    """ASGI over the Radicale at ``url``; ``changed`` is called after each call that changed something."""

    def __init__(self, url: str, changed: Callable[[], None]) -> None:
        self._url = httpx.URL(url)
        self._changed = changed
        self._client = httpx.AsyncClient(timeout=60, trust_env=False, follow_redirects=False)
        self._truncation = Truncation()
        self.read_only: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._answer(Request(scope, receive), scope.get(SCOPE_KEY, ""))
        await response(scope, receive, send)

    async def close(self) -> None:
        await self._client.aclose()

    async def _answer(self, request: Request, fault: str) -> Response:
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > MOST_BYTES:
                return PlainTextResponse("Too large.\n", 413)
        if fault == "weak_etag" and request.headers.get("if-match", "*") != "*":
            return Response(
                status_code=412
            )  # RFC 9110 §13.1.1: a weak tag is never the same in the strong comparison
        if request.method in _CHANGING and self.read_only & set(request.url.path.split("/")):
            return refused(request.url.path)
        rest = self._truncation.rest(bytes(body))
        if rest is not None:
            return _multistatus(self._truncation.halved(rest) if fault == "truncated" else rest)
        try:
            answer = await self._client.send(self._outgoing(request, bytes(body)))
        except httpx.TransportError:
            return PlainTextResponse("Radicale is not answering.\n", 502)
        if request.method in _CHANGING and answer.is_success:
            self._changed()
        content = answer.content
        if self.read_only and request.method == "PROPFIND" and answer.status_code == 207:
            content = without_writing(content, self.read_only)
        made = Response(content, answer.status_code)
        made.raw_headers = [
            (name.lower(), value)
            for name, value in forwardable(answer.headers.raw)
            if name.lower() != b"content-length"
        ] + [(b"content-length", str(len(content)).encode())]
        if fault == "truncated" and answer.status_code == 207:
            return _multistatus(self._truncation.halved(answer.content))
        return weak_tags(made) if fault == "weak_etag" else made

    def _outgoing(self, request: Request, content: bytes) -> httpx.Request:
        path = (request.scope.get("raw_path") or request.url.path.encode()).partition(b"?")[0]
        query = request.scope["query_string"]
        place = path.removeprefix(PREFIX.encode()) or b"/"
        url = self._url.copy_with(raw_path=place + (b"?" + query if query else b""))
        headers = [
            (name, value)
            for name, value in forwardable(request.headers.raw)
            if name.lower() not in (b"accept-encoding", b"content-length", b"x-script-name")
        ]
        headers += [
            (b"host", request.url.netloc.encode()),
            (b"x-script-name", PREFIX.encode()),
            (b"accept-encoding", b"identity"),
        ]
        return httpx.Request(request.method, url, headers=headers, content=content)


def _multistatus(content: bytes) -> Response:
    return Response(content, 207, media_type="text/xml")
