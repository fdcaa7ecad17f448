"""The OpenAPI document: what FastAPI makes of the routes, with every error that an operation answers.

FastAPI knows successes. The errors that operations have in common follow from what they ask for (credentials, a body,
an ``Idempotency-Key``); those of their own work are named beside each (:func:`calendar_app.api.problem_codes.fails`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from calendar_app.api import deps, idempotency, versions
from calendar_app.api.problem_codes import CODES
from calendar_app.api.problems import MEDIA_TYPE, FieldProblem, Problem
from calendar_app.api.routing import dependants, request_media_types

TAGS = {
    "people": "Who you are; members of a workspace; API tokens and sessions.",
    "workspaces": "A workspace and how its booking pages look.",
    "connections": "Accounts at Google, Microsoft, Calendly and CalDAV servers; calendars followed by a link.",
    "calendars": "Calendars of the connections, what each is used for, and imported files.",
    "events": "Events of the calendars: read, put in, changed and deleted.",
    "sync": "Reading calendars now, and how the last reading went.",
    "scheduling": "Working hours, event types, slots and availability.",
    "bookings": "Holds and bookings.",
    "orders": "Several bookings that are made together or not at all.",
    "feeds": "A person's bookings as a calendar feed.",
    "deviations": "Where bookings and calendars differ, and what to do about it.",
    "operations": "For administrators and operators: connections, jobs, failed items, the audit trail.",
    "hooks": "Where providers tell that something changed.",
    "webhooks": "Where this product tells other programs that something changed.",
    "public": "What a booking page needs, without credentials.",
}
_DESCRIPTION = """Connected calendars, real availability, and bookings that cannot collide.

Times are RFC 3339 with an offset, zones IANA names, ids opaque strings. Errors are problem documents (RFC 9457) with a
stable `code`. Lists take `limit` and `after` and answer `{items, next}`. What creates something takes an
`Idempotency-Key`. Unknown parameters and fields are refused. The guide is in the project's `docs/api.md`.
"""
_HEADERS: dict[str, dict[str, Any]] = {
    "X-Request-Id": {
        "description": "Names the request; the operator's logs know it.",
        "schema": {"type": "string"},
    },
    "RateLimit-Policy": {
        "description": "The limits that were applied: quota `q` in a window of `w` seconds "
        "(draft-ietf-httpapi-ratelimit-headers).",
        "schema": {"type": "string"},
        "example": '"requests";q=6000;w=60',
    },
    "RateLimit": {
        "description": "What remains of each limit (`r`), and seconds until it is whole again (`t`).",
        "schema": {"type": "string"},
        "example": '"requests";r=5999;t=60',
    },
    "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1}},
    "WWW-Authenticate": {"description": "How to authenticate.", "schema": {"type": "string"}},
    "Accept": {"description": "The media types that are taken.", "schema": {"type": "string"}},
    "ETag": {"description": "The version, for `If-Match`.", "schema": {"type": "string"}},
}
_EXTRA_HEADERS = {
    "401": ("WWW-Authenticate",),
    "415": ("Accept",),
    "429": ("Retry-After",),
    "503": ("Retry-After",),
}


def install(app: FastAPI, routes: Sequence[APIRoute]) -> None:
    """Let ``app``, whose operations are ``routes``, answer with the completed document, which is made once."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _made(app, routes)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI documents this as the way to change it


def _made(app: FastAPI, routes: Sequence[APIRoute]) -> dict[str, Any]:
    document = get_openapi(
        title=app.title,
        version=app.version,
        description=_DESCRIPTION,
        routes=app.routes,
        tags=[{"name": name, "description": words} for name, words in TAGS.items()],
        servers=[{"url": "/api/v1"}],
        separate_input_output_schemas=False,
    )
    for route in routes:
        for method in route.methods or ():
            operation = document["paths"][route.path_format][method.lower()]
            _add_errors(operation, route)
            _add_security(operation, route)
            _add_headers(operation, route)
    schemas = document["components"]["schemas"]
    for made_by_fastapi in ("HTTPValidationError", "ValidationError"):
        schemas.pop(made_by_fastapi, None)
    schemas["Problem"] = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    del schemas["Problem"]["$defs"]
    schemas["FieldProblem"] = FieldProblem.model_json_schema()
    document["components"]["headers"] = _HEADERS
    return _with_plain_names(document)


def _with_plain_names(document: dict[str, Any]) -> dict[str, Any]:
    """``ImportCalendarForm`` instead of FastAPI's ``Body_import_calendar``."""

    def plain(found: re.Match[str]) -> str:
        return "".join(word.capitalize() for word in found[1].split("_")) + "Form"

    written = re.sub(r"\bBody_(\w+)", plain, json.dumps(document))
    renamed: dict[str, Any] = json.loads(written)
    return renamed


def asks_for(dependant: Dependant, *wanted: Any) -> bool:
    """Whether one of the functions ``wanted`` is among the dependencies, at whatever depth."""
    return any(each.call in wanted for each in dependants(dependant))


def _common_codes(route: APIRoute) -> Iterator[str]:
    dependant, has_id = route.dependant, bool(route.dependant.path_params)
    signed_in = asks_for(dependant, deps.current_caller)
    if signed_in:
        yield "not_signed_in"
    if asks_for(dependant, deps.optional_caller):
        yield from ("invalid_token", "insufficient_scope", "cross_site")
    if signed_in:
        yield "forbidden"
    if has_id or asks_for(dependant, deps.current_actor, deps.optional_actor):
        yield "not_found"
    if request_media_types(route):
        yield from ("request_timeout", "too_large", "unsupported_media_type")
    if asks_for(dependant, idempotency.of_request, idempotency.of_visitor):
        yield from ("request_in_flight", "idempotency_key_reused")
    if asks_for(dependant, versions.of_request):
        yield "version_mismatch"
    yield from ("invalid_input", "rate_limited", "unavailable")


def _add_errors(operation: dict[str, Any], route: APIRoute) -> None:
    responses = operation["responses"]
    named = [code for answer in responses.values() for code in answer.pop("x-codes", ())]
    by_status: dict[str, list[str]] = {}
    for code in dict.fromkeys([*_common_codes(route), *named]):
        by_status.setdefault(str(CODES[code][0]), []).append(code)
    responses.pop("422", None)
    for status in sorted(by_status):
        codes = sorted(by_status[status])
        responses[status] = {
            "description": "\n".join(f"- `{code}`: {CODES[code][1]}" for code in codes),
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
            "x-codes": codes,
        }
    operation["responses"] = dict(sorted(responses.items()))


def _add_security(operation: dict[str, Any], route: APIRoute) -> None:
    """An operation that also serves visitors says that no credentials will do; one for everybody says just that."""
    if not asks_for(route.dependant, deps.optional_caller):
        operation["security"] = []
    elif not asks_for(route.dependant, deps.current_caller):
        operation["security"] = [{}, *operation["security"]]


def _add_headers(operation: dict[str, Any], route: APIRoute) -> None:
    tagged = asks_for(route.dependant, versions.of_request, versions.tag)
    for status, answer in operation["responses"].items():
        names = ["X-Request-Id", "RateLimit-Policy", "RateLimit", *_EXTRA_HEADERS.get(status, ())]
        if tagged and status in ("200", "201"):
            names.append("ETag")
        answer.setdefault("headers", {}).update(
            {name: {"$ref": f"#/components/headers/{name}"} for name in names}
        )
