"""Which sites' scripts may use what the API offers without credentials (Fetch standard, "CORS protocol").

A workspace names sites that may embed its pages; the same may ask for slots and book from their own. No cookie is taken
from there: ``Access-Control-Allow-Origin`` is always ``*``, with which browsers send none and show no answer to a
request that carried one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from calendar_app.domain.sites import allows
from calendar_app.errors import Forbidden
from calendar_app.services.workspaces import settings
from calendar_app.settings import current_settings

_OPEN = (
    ("GET", re.compile(r"/event-types/[^/]+/slots")),
    ("POST", re.compile(r"/holds")),
    ("DELETE", re.compile(r"/holds/[^/]+")),
    ("POST", re.compile(r"/bookings")),
    ("GET", re.compile(r"/public/.+")),
    ("POST", re.compile(r"/public/(holds|bookings|bookings/[^/]+/(cancel|reschedule))")),
    ("DELETE", re.compile(r"/public/holds/[^/]+")),
)
_REFUSED = "cors_refused"


class Cors:
    """ASGI middleware: answers preflights of the open routes, and lets other sites read their answers.

    It stands in the API, and with the API's ``prefix`` around the whole application, where the pages' own middleware
    would refuse preflights of other sites before the API sees them.
    """

    def __init__(self, app: ASGIApp, prefix: str = "") -> None:
        self.app = app
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or "origin" not in (headers := Headers(scope=scope)):
            await self.app(scope, receive, send)
            return
        path: str = scope["path"].removeprefix(scope.get("root_path", ""))
        is_api = path.startswith(self._prefix)
        path = path.removeprefix(self._prefix)
        methods = [method for method, pattern in _OPEN if is_api and pattern.fullmatch(path)]
        if scope["method"] == "OPTIONS" and headers.get("access-control-request-method") in methods:
            await _preflight(methods)(scope, receive, send)
            return
        if scope["method"] not in methods:
            await self.app(scope, receive, send)
            return

        state: dict[str, Any] = scope.setdefault("state", {})

        async def send_shared(message: Message) -> None:
            if message["type"] == "http.response.start" and not state.get(_REFUSED):
                found = MutableHeaders(scope=message)
                found["Access-Control-Allow-Origin"] = "*"
                del found["Access-Control-Allow-Credentials"]
                found["Access-Control-Expose-Headers"] = "Retry-After, X-Request-Id, X-Visitor"
            await send(message)

        await self.app(scope, receive, send_shared)


def _preflight(methods: list[str]) -> Response:
    return Response(
        status_code=204,
        headers={
            "Access-Control-Allow-Origin": "*",
            "Access-Control-Allow-Methods": ", ".join(methods),
            "Access-Control-Allow-Headers": "Content-Type, Idempotency-Key, X-Visitor",
            "Access-Control-Max-Age": "600",
        },
    )


def check_site(request: Request, event_type_id: str) -> None:
    """Let only the sites that a business names use this event type from their pages.

    :raises Forbidden: ``site_not_allowed``, a browser says that the request comes from another site.
    """
    _check(request, lambda: settings.sites_of(event_type_id))


def check_site_of_workspace(request: Request, slug: str) -> None:
    """As :func:`check_site`, for everything that can be booked at a workspace."""
    _check(request, lambda: settings.sites_of_workspace(slug))


def _check(request: Request, sites: Callable[[], tuple[str, ...]]) -> None:
    origin = request.headers.get("origin")
    if origin is None or _is_own(request, origin):
        return
    if not allows(sites(), origin):
        setattr(request.state, _REFUSED, True)
        raise Forbidden("This business takes no bookings from that site.", code="site_not_allowed")


def _is_own(request: Request, origin: str) -> bool:
    host = origin.partition("://")[2]
    return host in (request.headers.get("host", ""), urlsplit(current_settings().public_url).netloc)
