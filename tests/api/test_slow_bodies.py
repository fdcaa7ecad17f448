"""A request whose body does not come is ended, whichever route it is for; one that is merely slow is not."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterator
from urllib.parse import urlsplit

import pytest
from engineio import ASGIApp as EngineApp
from engineio import AsyncServer
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.types import Message, Receive, Scope, Send

from calendar_app.api.app import create_api
from calendar_app.api.middleware import StalledBody
from tests.support.databases import Database
from tests.support.web import served

STALL_S = 0.3
"""Instead of ten seconds; every client here waits for the answer, however long it takes."""


async def _form(request: Request) -> Response:
    async with request.form() as form:
        return PlainTextResponse(str(len(form)))


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    """The HTTP API in front of routes like Reflex's, which are mounted in the same way."""
    api = create_api(stall_s=STALL_S)
    events = EngineApp(AsyncServer(async_mode="asgi"), engineio_path="_event")
    api.mount("", Starlette(routes=[Route("/_upload", _form, methods=["POST"]), Mount("/_event", events)]))
    with served(api) as url:
        parts = urlsplit(url)
        assert parts.hostname
        assert parts.port
        yield parts.hostname, parts.port


def talk(address: tuple[str, int], *pieces: bytes) -> bytes:
    """Send the pieces and read until the server closes the connection."""
    with socket.create_connection(address, timeout=30) as connection:
        for piece in pieces:
            connection.sendall(piece)
        received = b""
        while piece := connection.recv(65_536):
            received += piece
        return received


def head(path: str, kind: str, length: str = "Content-Length: 5000") -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: {kind}\r\n{length}\r\n\r\n".encode()


@pytest.mark.parametrize(
    ("path", "kind", "begun"),
    [
        ("/api/v1/auth/token", "application/json", b'{"email": '),
        ("/api/v1/bookings", "application/json", b""),
        ("/_upload", "multipart/form-data; boundary=b", b'--b\r\nContent-Disposition: form-data; name="f"'),
        ("/_upload", "application/x-www-form-urlencoded", b"a=1&b"),
    ],
)
def test_a_body_that_stops_is_ended(
    address: tuple[str, int], database: Database, path: str, kind: str, begun: bytes
) -> None:
    """The client reads why, as a problem, and the connection is closed."""
    answer = talk(address, head(path, kind), begun)
    start, _, body = answer.partition(b"\r\n\r\n")
    assert start.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in start.lower()
    assert json.loads(body)["code"] == "request_timeout"


def test_a_chunked_body_that_stops_is_ended(address: tuple[str, int]) -> None:
    """A body whose length nobody announced is no different."""
    chunked = head("/api/v1/auth/token", "application/json", "Transfer-Encoding: chunked")
    assert talk(address, chunked, b"1\r\n{\r\n").startswith(b"HTTP/1.1 408 ")


def test_a_message_to_the_pages_that_stops_is_ended(address: tuple[str, int]) -> None:
    """The long-polling transport of the pages' events (engine.io protocol 4) reads bodies in its own way."""
    opened = talk(address, b"GET /_event/?EIO=4&transport=polling HTTP/1.0\r\nHost: a\r\n\r\n")
    sid = json.loads(opened.partition(b"\r\n\r\n")[2][1:])["sid"]
    answer = talk(address, head(f"/_event/?EIO=4&transport=polling&sid={sid}", "text/plain"), b"4hello")
    assert answer.startswith(b"HTTP/1.1 408 ")


def test_what_comes_in_pieces_is_taken(address: tuple[str, int], database: Database) -> None:
    """A body in two packets is answered by its route."""
    content = b'{"email": "nobody@example.com", "password": "wrong"}'
    start = head(
        "/api/v1/auth/token", "application/json", f"Content-Length: {len(content)}\r\nConnection: close"
    )
    assert talk(address, start, content[:10], content[10:]).startswith(b"HTTP/1.1 401 ")


def run(body: AsyncIterator[bytes], *, stall_s: float, bytes_per_s: float = 500.0) -> tuple[int, int]:
    """Status of the answer, and how many bytes the application got, with no server between."""
    got = 0

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal got
        async for piece in Request(scope, receive).stream():
            got += len(piece)
        await Response(status_code=204)(scope, receive, send)

    async def receive() -> Message:
        try:
            return {"type": "http.request", "body": await anext(body), "more_body": True}
        except StopAsyncIteration:
            return {"type": "http.request", "body": b"", "more_body": False}

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/", "headers": []}
    layer = StalledBody(application, stall_s=stall_s, bytes_per_s=bytes_per_s)
    asyncio.run(layer(scope, receive, send))
    return sent[0]["status"], got


async def pieces(*sizes: int, pause_s: float) -> AsyncIterator[bytes]:
    for size in sizes:
        await asyncio.sleep(pause_s)
        yield b"x" * size


def test_one_byte_now_and_then_is_no_progress() -> None:
    """Each byte comes long before the limit, and still the request ends: bytes must come at a pace."""
    status, got = run(pieces(*[1] * 10_000, pause_s=0.01), stall_s=0.1)
    assert status == 408
    assert got < 100


def test_a_slow_line_is_no_stall() -> None:
    """An upload that takes longer than the limit is served, as long as it keeps the pace."""
    assert run(pieces(*[1_000] * 30, pause_s=0.05), stall_s=1.0, bytes_per_s=10.0) == (204, 30_000)


def test_an_application_that_takes_its_time_is_no_stall() -> None:
    """Only waiting for the client counts, and after the body nothing is limited."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        assert (await receive())["body"] == b"a"
        await asyncio.sleep(0.2)
        assert not (await receive())["more_body"]
        waiting = asyncio.ensure_future(receive())  # for the client to go away
        await asyncio.sleep(0.2)
        assert not waiting.done()
        waiting.cancel()
        await Response(status_code=204)(scope, receive, send)

    messages = [
        {"type": "http.request", "body": b"a", "more_body": True},
        {"type": "http.request", "body": b"", "more_body": False},
    ]
    sent: list[Message] = []

    async def receive() -> Message:
        if not messages:
            await asyncio.Event().wait()
        return messages.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/", "headers": []}
    asyncio.run(StalledBody(application, stall_s=0.1)(scope, receive, send))
    assert sent[0]["status"] == 204
