"""What happens to every HTTP request before a route sees it: an id for the logs, limits on its size and slowness."""

from __future__ import annotations

import asyncio
import logging
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from calendar_app import metering
from calendar_app.logs import request_id, sane_id
from calendar_app.services.common import rate_limits

MAX_BODY = 1_000_000
"""Bytes. The longest honest request, a schedule with every override, stays far below."""

MAX_FILE = 11 * 2**20
"""Bytes of a request that carries a calendar file."""
STALL_S = 10.0
"""Seconds that the body of a request may stand still."""
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


class HeadAsGet:
    """Answers ``HEAD`` as ``GET`` without the content (RFC 9110 section 9.3.2)."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return

        async def send_without_content(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        await self.app({**scope, "method": "GET"}, receive, send_without_content)


class TellsLimits:
    """Tells callers how the limits stand that their request counted against: ``RateLimit-Policy`` and ``RateLimit``
    (draft-ietf-httpapi-ratelimit-headers-10, structured fields of RFC 9651)."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        with rate_limits.observed() as found:

            async def send_with_limits(message: Message) -> None:
                if message["type"] == "http.response.start" and found:
                    headers = MutableHeaders(scope=message)
                    told = list(found.values())
                    headers["RateLimit-Policy"] = ", ".join(
                        f'"{one.bucket}";q={one.quota};w={one.window}' for one in told
                    )
                    headers["RateLimit"] = ", ".join(
                        f'"{one.bucket}";r={one.remaining};t={one.reset}' for one in told
                    )
                await send(message)

            await self.app(scope, receive, send_with_limits)


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
            await _too_large(limit)(scope, receive, send)
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
            await _too_large(limit)(scope, receive, send)


class StalledBody:
    """Ends a request whose body does not come: after ``stall_s`` seconds without a byte, or of crawling.

    Only the time counts in which the application waits for the client. Bytes buy time at ``bytes_per_s``, since one
    byte now and then is no progress; so does Apache (httpd.apache.org/docs/2.4/mod/mod_reqtimeout.html). The answer is
    408, and the connection is closed (RFC 9110 section 15.5.9).
    """

    def __init__(self, app: ASGIApp, *, stall_s: float = STALL_S, bytes_per_s: float = 500.0) -> None:
        self.app, self._stall_s, self._bytes_per_s = app, stall_s, bytes_per_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        clock = asyncio.get_running_loop().time
        read, waited, complete, stalled, answered = 0, 0.0, False, False, False

        async def receive_in_time() -> Message:
            nonlocal read, waited, complete, stalled
            if complete:  # what comes now is the end of the connection, whenever that is
                return await receive()
            begun = clock()
            patience = min(self._stall_s, self._stall_s + read / self._bytes_per_s - waited)
            try:
                async with asyncio.timeout(patience):
                    message = await receive()
            except TimeoutError:
                stalled = True
                raise ClientDisconnect from None
            waited += clock() - begun
            read += len(message.get("body", b""))
            complete = not message.get("more_body", False)
            return message

        async def send_unless_stalled(message: Message) -> None:
            nonlocal answered
            if answered or not stalled:
                answered = True
                await send(message)

        try:
            await self.app(scope, receive_in_time, send_unless_stalled)
        except ClientDisconnect:
            if not stalled or answered:
                raise
        if stalled and not answered:
            await _too_slow()(scope, receive, send)


def _too_large(limit: int) -> JSONResponse:
    return _closing(
        413, "too_large", "The request is too large", f"A request may have at most {limit:,} bytes."
    )


def _too_slow() -> JSONResponse:
    return _closing(
        408, "request_timeout", "The request came too slowly", "Its body stopped coming. Send it again."
    )


def _closing(status: int, code: str, title: str, detail: str) -> JSONResponse:
    """A problem after which the connection is of no use: the rest of the body may still be on its way."""
    body = {
        "type": f"urn:almanac:problem:{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
        "instance": f"urn:almanac:request:{request_id.get()}",
    }
    return JSONResponse(body, status, headers={"Connection": "close"}, media_type="application/problem+json")
