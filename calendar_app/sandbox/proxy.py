"""Shows the sandbox under the application's own address, so that browsers need to reach one origin only."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

_HOP_BY_HOP = frozenset(
    b"connection keep-alive proxy-authenticate proxy-authorization te trailer transfer-encoding upgrade".split()
)
"""RFC 9110 §7.6.1: of one connection, never forwarded."""
_OURS = frozenset((b"cookie", b"set-cookie", b"host"))
"""The stand-in is another party: it sees no session cookie of the application and sets none."""


class Proxy:
    """ASGI application that forwards every request to ``sandbox_url``, under the path that it came with."""

    def __init__(self, sandbox_url: str) -> None:
        self._sandbox_url = sandbox_url
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(60, connect=2), trust_env=False, follow_redirects=False
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = await self._forward(Request(scope, receive))
        await answer(scope, receive, send)

    async def close(self) -> None:
        """End the connections."""
        await self._client.aclose()

    async def _forward(self, request: Request) -> Response:
        raw_path = request.scope.get("raw_path") or request.scope["path"].encode()
        query = request.scope["query_string"]
        target = httpx.URL(self._sandbox_url)
        url = target.copy_with(raw_path=raw_path.partition(b"?")[0] + (b"?" + query if query else b""))
        headers = forwardable(request.headers.raw)
        headers += [
            (b"x-forwarded-host", request.url.netloc.encode()),
            (b"x-forwarded-proto", request.url.scheme.encode()),
        ]
        has_body = "content-length" in request.headers or "transfer-encoding" in request.headers
        body = request.stream() if has_body else None
        outgoing = httpx.Request(request.method, url, headers=headers, content=body)
        try:
            answer = await self._client.send(outgoing, stream=True)
        except httpx.TransportError:
            return PlainTextResponse(
                "The sandbox is not answering. Start it, or wait a moment and try again.\n", 502
            )
        response = StreamingResponse(_streamed(answer), answer.status_code)
        response.raw_headers = [
            (name, _own_location(value, self._sandbox_url) if name.lower() == b"location" else value)
            for name, value in forwardable(answer.headers.raw)
        ]
        return response


async def _streamed(answer: httpx.Response) -> AsyncIterator[bytes]:
    try:
        async for chunk in answer.aiter_raw():
            yield chunk
    finally:
        await answer.aclose()


def forwardable(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Headers without those of one connection and those that are not the other party's business."""
    named = b",".join(value for name, value in headers if name.lower() == b"connection").lower()
    dropped = _HOP_BY_HOP | _OURS | {token.strip() for token in named.split(b",")}
    return [(name, value) for name, value in headers if name.lower() not in dropped]


def _own_location(location: bytes, sandbox_url: str) -> bytes:
    """A redirect to the sandbox's own address becomes one to the address that the browser knows."""
    return location.removeprefix(sandbox_url.encode()) or b"/"
