"""Errors as RFC 9457 problem documents: one shape for ours, FastAPI's and Starlette's.

:class:`Problem` is the one shape; ``code`` is stable and what programs look at (:mod:`calendar_app.api.problem_codes`).
Errors of parts of the request add ``errors: [{field, code, detail}]``, where ``field`` is the request's own name of the
part. Nothing of a stack, a token or a vendor's answer gets in here.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route

from calendar_app.errors import (
    AlmanacError,
    InvalidInput,
    NotSignedIn,
    UnsupportedMediaType,
)
from calendar_app.logs import request_id
from calendar_app.services.common.outages import DATABASE_AWAY

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
_CODES = {404: "not_found", 405: "method_not_allowed", 413: "too_large", 415: "unsupported_media_type"}
_TITLES = {404: "There is nothing at this address", 405: "This address does not take that method"}


RETRY_S = 30
"""Seconds after which to try again where nobody knows better."""


class FieldProblem(BaseModel):
    """What is wrong with one part of the request. `field` is its name there, `body` for the body as a whole; parts of
    parts are written `lines[1].start`."""

    field: str = Field(examples=["start"])
    code: str = Field(description="Stable; see the guide for those there are", examples=["required"])
    detail: str = Field(examples=["Field required."])


class Problem(BaseModel):
    """Every error (RFC 9457). `code` is stable and what programs look at; `detail` is one sentence for people.
    `instance` names the request, under which the operator's logs know it. `errors` names parts of the request."""

    type: str = Field(examples=["urn:almanac:problem:invalid_input"])
    title: str = Field(examples=["The input is not valid"])
    status: int = Field(ge=400, le=599, examples=[422])
    detail: str = Field(examples=["start: Field required."])
    code: str = Field(examples=["invalid_input"])
    instance: str = Field(default="", examples=["urn:almanac:request:5c1f4b7a"])
    errors: list[FieldProblem] = Field(default=[])


class ProblemResponse(JSONResponse):
    """A problem document."""

    media_type = MEDIA_TYPE


def problem(
    status: int,
    code: str,
    title: str,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    errors: Sequence[Mapping[str, str]] = (),
) -> ProblemResponse:
    """The document for one error; ``instance`` is the request's id, under which the logs know it."""
    body: dict[str, Any] = {
        "type": f"urn:almanac:problem:{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
        "instance": f"urn:almanac:request:{request_id.get()}",
    }
    if errors:
        body["errors"] = list(errors)
    return ProblemResponse(body, status, headers=dict(headers or {}))


def from_error(error: AlmanacError) -> ProblemResponse:
    """Our own errors know their status, code and sentence."""
    headers: dict[str, str] = {}
    if isinstance(error, NotSignedIn):
        headers["WWW-Authenticate"] = 'Bearer realm="Almanac"'
    if error.status in (429, 503):
        headers["Retry-After"] = str(max(1, round(getattr(error, "retry_after", None) or RETRY_S)))
    if isinstance(error, UnsupportedMediaType) and error.accepted:
        headers["Accept"] = ", ".join(error.accepted)
    field = getattr(error, "field", None)
    code = "invalid" if error.code == InvalidInput.code else error.code
    errors = [{"field": field, "code": code, "detail": error.detail}] if field else []
    return problem(error.status, error.code, error.title, error.detail, headers=headers, errors=errors)


def install(app: FastAPI, routes: Sequence[Route] = ()) -> None:
    """Answer every error of ``app`` with a problem document; ``routes`` are what it serves."""

    @app.exception_handler(AlmanacError)
    def ours(_request: Request, error: AlmanacError) -> ProblemResponse:
        if error.status >= 500:
            log.warning("request failed: %s", error.code)
        return from_error(error)

    @app.exception_handler(RequestValidationError)
    def invalid(_request: Request, error: RequestValidationError) -> ProblemResponse:
        errors = _unique([_readable(item, error.body) for item in error.errors()])
        detail = "; ".join(f"{item['field']}: {item['detail'].rstrip('.')}" for item in errors[:5]) + "."
        return problem(422, "invalid_input", InvalidInput.title, detail, errors=errors)

    @app.exception_handler(HTTPException)
    def starlettes(request: Request, error: HTTPException) -> ProblemResponse:
        phrase = HTTPStatus(error.status_code).phrase
        title = _TITLES.get(error.status_code, phrase)
        detail = title if error.detail == phrase else str(error.detail)
        code = _CODES.get(error.status_code, phrase.lower().replace(" ", "_"))
        headers = dict(error.headers or {})
        if error.status_code == 405:
            headers["Allow"] = ", ".join(_methods_at(routes, request)) or headers.get("Allow", "")
        return problem(error.status_code, code, title, f"{detail}.".replace("..", "."), headers=headers)

    def no_database(_request: Request, _error: Exception) -> ProblemResponse:
        """It is away or too busy; whether the request took effect is not known, as with any answer that is lost."""
        log.warning("request failed: the database is out of reach", exc_info=True)
        return problem(
            503,
            "unavailable",
            "Almanac is not available at the moment",
            "The database cannot be reached right now. Please try again in a few seconds.",
            headers={"Retry-After": "3"},
        )

    for away in DATABASE_AWAY:
        app.add_exception_handler(away, no_database)

    @app.exception_handler(Exception)
    def unforeseen(_request: Request, _error: Exception) -> ProblemResponse:
        # Starlette logs the exception with its stack after this answer.
        return problem(
            500,
            "internal_error",
            AlmanacError.title,
            "This is our fault. It has been logged; please try again.",
        )


def _methods_at(routes: Sequence[Route], request: Request) -> list[str]:
    """Every method that the address takes (RFC 9110 section 10.2.1), whichever route serves it."""
    found: set[str] = set()
    for route in routes:
        if route.matches(request.scope)[0] is not Match.NONE:
            found |= route.methods or set()
    return sorted(found | ({"HEAD"} if "GET" in found else set()))


_FIELD_CODES = {
    "missing": "required",
    "extra_forbidden": "unknown",
    "json_invalid": "invalid_json",
    "enum": "not_one_of",
    "literal_error": "not_one_of",
    "string_too_long": "too_long",
    "too_long": "too_long",
    "string_too_short": "too_short",
    "too_short": "too_short",
    "greater_than": "out_of_range",
    "greater_than_equal": "out_of_range",
    "less_than": "out_of_range",
    "less_than_equal": "out_of_range",
}
"""Pydantic's error types that say more than that something is not valid."""


def _readable(item: Mapping[str, Any], body: object) -> dict[str, str]:
    """Pydantic's error without what was sent: that may be a password."""
    kind = str(item.get("type", ""))
    code = _FIELD_CODES.get(kind, "invalid")
    if kind == "json_invalid":
        return {"field": "body", "code": code, "detail": "This is not valid JSON."}
    place, *parts = item.get("loc", ("body",))
    if place == "body":
        parts = _named_parts(parts, body, missing=kind == "missing")
    words = str(item.get("msg", "not valid")).removeprefix("Value error, ")
    return {"field": _path(parts) or str(place), "code": code, "detail": f"{words}."}


def _named_parts(parts: Sequence[str | int], body: object, *, missing: bool) -> list[str | int]:
    """``parts`` without what pydantic puts in between: names of the alternatives of a union."""
    found: list[str | int] = []
    inside = body
    for number, part in enumerate(parts):
        if isinstance(inside, Mapping) and (part in inside or (missing and number == len(parts) - 1)):
            inside = inside.get(part)
        elif isinstance(inside, list) and isinstance(part, int) and part < len(inside):
            inside = inside[part]
        elif body is not None and found:
            continue
        found.append(part)
    return found


def _path(parts: Sequence[str | int]) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
    return text.removeprefix(".")


def _unique(errors: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """One error for each part: alternatives of a union each have theirs."""
    return list({each["field"]: each for each in reversed(errors)}.values())[::-1]
