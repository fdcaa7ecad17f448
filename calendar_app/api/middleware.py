"""What happens to every HTTP request before a route sees it: an id for the logs, and a limit on its size."""

from __future__ import annotations

import logging
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from calendar_app import metering
from calendar_app.logs import request_id, sane_id

MAX_BODY = 1_000_000
"""Bytes. The longest honest request, a schedule with every override, stays far below."""

MAX_FILE = 11 * 2**20
"""Bytes of a request that carries a calendar file."""
_FILES = ("/api/v1/calendars/import", "/_upload")

log = logging.getLogger(__name__)

_UNLOGGED = frozenset({"other", "/health", "/ready", "/metrics"})
"""Pages and their files, and what watchers ask all the time."""
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class RequestId:
    """Gives each request an id, the caller's own ``X-Request-Id`` if it is harmless, and answers with it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        current = sane_id(Headers(scope=scope).get("x-request-id", ""))

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).setdefault("X-Request-Id", current)
            await send(message)

        token = request_id.set(current)
        try:
            await self.app(scope, receive, send_with_id)
        finally:
            request_id.reset(token)


class Meter:
    """Counts requests and their lengths by route template (``/api/v1/bookings/{booking_id}``); pages are one route."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500
        method = scope["method"] if scope["method"] in _METHODS else "other"

        async def send_noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, send_noting)
        finally:
            route, seconds = _template(scope), time.perf_counter() - began
            metering.count(metering.HTTP_REQUESTS, method, route, str(status))
            metering.observe(metering.HTTP_SECONDS, seconds, method, route)
            if route not in _UNLOGGED:
                fields = {"method": method, "route": route, "status": status, "seconds": round(seconds, 4)}
                log.info("request", extra=fields)


def _template(scope: Scope) -> str:
    """The route that served the request, as it was declared."""
    path = getattr(scope.get("route"), "path", None)
    return f"{scope.get('root_path', '')}{path}" if path else "other"


class NoStore:
    """Keeps answers out of caches, unless a route says otherwise."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_private(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).setdefault("Cache-Control", "no-store")
            await send(message)

        await self.app(scope, receive, send_private)


class BodyLimit:
    """Refuses bodies over ``limit`` bytes (files: :data:`MAX_FILE`), announced or not, before they are in memory."""

    def __init__(self, app: ASGIApp, limit: int = MAX_BODY) -> None:
        self.app = app
        self.limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "0")
        limit = max(self.limit, MAX_FILE) if scope["path"] in _FILES else self.limit
        if not announced.isdecimal() or int(announced) > limit:
            await self._refuse(scope, receive, send, limit)
            return
        read, answered = 0, False

        async def receive_counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            return message if read <= limit else {"type": "http.disconnect"}

        async def send_or_refuse(message: Message) -> None:
            nonlocal answered
            if read <= limit or answered:
                answered = True
                await send(message)

        try:
            await self.app(scope, receive_counted, send_or_refuse)
        except ClientDisconnect:
            if read <= limit:
                raise
        if read > limit and not answered:
            await self._refuse(scope, receive, send, limit)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send, limit: int) -> None:
        body = {
            "type": "urn:almanac:problem:too_large",
            "title": "The request is too large",
            "status": 413,
            "detail": f"A request may have at most {limit:,} bytes.",
            "code": "too_large",
        }
        response = JSONResponse(
            body, 413, headers={"Connection": "close"}, media_type="application/problem+json"
        )
        await response(scope, receive, send)
