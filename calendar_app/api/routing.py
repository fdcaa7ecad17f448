"""The router of this API: what every operation does before and besides its own work.

A query parameter or a media type that an operation does not know is refused, so that a mistyped name is never silently
ignored. Operations are named by their functions, so function names are what people type into generated clients.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute

from calendar_app.errors import UnsupportedMediaType

_ANY_QUERY = "x-any-query"
"""In ``openapi_extra`` of operations that providers call, who add parameters of their own."""
_JSON = "application/json"

CALENDAR_FILE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "An iCalendar file (RFC 5545)",
        "content": {"text/calendar": {"schema": {"type": "string"}}},
    }
}
"""``responses`` of operations that answer with a calendar file."""

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class ApiRoute(APIRoute):
    """A route that refuses what it does not know: 422 for a query parameter, 415 for a media type."""

    def get_route_handler(self) -> Handler:
        handle = super().get_route_handler()
        known = None if _takes_any_query(self) else query_names(self)
        media_types = request_media_types(self)

        async def checked(request: Request) -> Response:
            if known is not None:
                _check_query(request, known)
            if media_types:
                await _check_media_type(request, media_types)
            return await handle(request)

        return checked


class Router(APIRouter):
    """A router whose routes are :class:`ApiRoute`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(route_class=ApiRoute, **options)


def dependants(dependant: Dependant) -> Iterator[Dependant]:
    """What an operation asks for and, at whatever depth, what that asks for."""
    yield dependant
    for each in dependant.dependencies:
        yield from dependants(each)


def query_names(route: APIRoute) -> frozenset[str]:
    """The query parameters that an operation declares, its dependencies' included."""
    return frozenset(field.alias for each in dependants(route.dependant) for field in each.query_params)


def request_media_types(route: APIRoute) -> tuple[str, ...]:
    """The media types of the body that an operation takes, none where it takes no body."""
    declared = (route.openapi_extra or {}).get("requestBody", {}).get("content")
    if declared:
        return tuple(declared)
    if route.body_field is None:
        return ()
    kinds = {
        getattr(field.field_info, "media_type", _JSON)
        for each in dependants(route.dependant)
        for field in each.body_params
    }
    return ("multipart/form-data",) if any("form" in kind for kind in kinds) else (_JSON,)


def _takes_any_query(route: APIRoute) -> bool:
    return bool((route.openapi_extra or {}).get(_ANY_QUERY))


def _check_query(request: Request, known: frozenset[str]) -> None:
    unknown = [name for name in dict.fromkeys(request.query_params) if name not in known]
    if unknown:
        raise RequestValidationError(
            [
                {"type": "extra_forbidden", "loc": ("query", name), "msg": "There is no such parameter"}
                for name in unknown
            ]
        )


async def _check_media_type(request: Request, accepted: tuple[str, ...]) -> None:
    """JSON says that it is JSON (RFC 9110 section 15.5.16); pictures, and no body at all, may stay unnamed.

    :raises UnsupportedMediaType: another media type, none at all, or a compressed body.
    """
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise UnsupportedMediaType("Send the body as it is, without a Content-Encoding.", accepted=accepted)
    sent = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if sent in accepted or any(kind.endswith("/*") and sent.startswith(kind[:-1]) for kind in accepted):
        return
    if _JSON in accepted and sent.startswith("application/") and sent.endswith("+json"):
        return
    if (not sent and _JSON not in accepted) or not await request.body():
        return
    raise UnsupportedMediaType(
        f"Send the body as {' or '.join(accepted)} and say so in Content-Type.", accepted=accepted
    )
