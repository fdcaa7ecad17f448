"""Errors as RFC 9457 problem documents: one shape for ours, FastAPI's and Starlette's.

``{"type", "title", "status", "detail", "code", "instance"}``; ``code`` is stable and what programs look at. An
error of one part of the request adds ``errors: [{field, message}]``. Nothing of a stack, a token or a vendor's answer
gets in here.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from calendar_app.errors import (
    AlmanacError,
    InvalidInput,
    NotSignedIn,
    RateLimited,
    SlotUnavailable,
    TooManyRequests,
)
from calendar_app.errors import ProviderUnavailable as Unavailable
from calendar_app.logs import request_id
from calendar_app.services.common.outages import DATABASE_AWAY

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
_CODES = {404: "not_found", 405: "method_not_allowed", 413: "too_large", 415: "unsupported_media_type"}
_TITLES = {404: "There is nothing at this address", 405: "This address does not take that method"}


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
    if isinstance(error, TooManyRequests | RateLimited | Unavailable) and error.retry_after:
        headers["Retry-After"] = str(max(1, round(error.retry_after)))
    field = error.field if isinstance(error, InvalidInput | SlotUnavailable) else None
    errors = [{"field": field, "message": error.detail}] if field else []
    return problem(error.status, error.code, error.title, error.detail, headers=headers, errors=errors)


def install(app: FastAPI) -> None:
    """Answer every error of ``app`` with a problem document."""

    @app.exception_handler(AlmanacError)
    def ours(_request: Request, error: AlmanacError) -> ProblemResponse:
        if error.status >= 500:
            log.warning("request failed: %s", error.code)
        return from_error(error)

    @app.exception_handler(RequestValidationError)
    def invalid(_request: Request, error: RequestValidationError) -> ProblemResponse:
        errors = [_readable(item) for item in error.errors()]
        detail = "; ".join(f"{item['field']}: {item['message']}" for item in errors[:5]) + "."
        return problem(422, "invalid_input", InvalidInput.title, detail, errors=errors)

    @app.exception_handler(HTTPException)
    def starlettes(_request: Request, error: HTTPException) -> ProblemResponse:
        phrase = HTTPStatus(error.status_code).phrase
        title = _TITLES.get(error.status_code, phrase)
        detail = title if error.detail == phrase else str(error.detail)
        code = _CODES.get(error.status_code, phrase.lower().replace(" ", "_"))
        return problem(error.status_code, code, title, f"{detail}.".replace("..", "."), headers=error.headers)

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


def _readable(item: Mapping[str, Any]) -> dict[str, str]:
    """Pydantic's error without what was sent: that may be a password."""
    if item.get("type") == "json_invalid":
        return {"field": "body", "message": "This is not valid JSON"}
    place = [str(part) for part in item.get("loc", ()) if part not in ("body", "query", "path", "header")]
    return {"field": ".".join(place) or "body", "message": str(item.get("msg", "not valid"))}
