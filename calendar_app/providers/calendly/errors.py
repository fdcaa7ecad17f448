"""Calendly's refusals in our words.

Sources: https://developer.calendly.com/api-docs (answers of each endpoint), .../overview/rate-limits. The body is
``{"title", "message", "details": [{"parameter", "message"}]}``.

===========  ========================================================================================
answer       error
===========  ========================================================================================
401          ``AuthExpired``
403          ``PermissionDenied``
404          ``EventNotFound`` (the caller knows when it was a calendar)
424          ``ProviderUnavailable``: a calendar behind Calendly did not answer
429          ``RateLimited``; ``X-RateLimit-Reset`` says how many seconds are left
5xx          ``ProviderUnavailable``
any other    ``InvalidRequest``; of a webhook, 409 with :data:`ALREADY_EXISTS` means that it is there
===========  ========================================================================================
"""

from __future__ import annotations

import httpx

from calendar_app.errors import (
    AuthExpired,
    EventNotFound,
    InvalidRequest,
    PermissionDenied,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
)
from calendar_app.providers.http import retry_after

ALREADY_EXISTS = "Already Exists"


def to_error(response: httpx.Response) -> ProviderError:
    """The error that an answer of 400 and above means; ``reason`` is its ``title``."""
    title, message = _reason(response)
    status = response.status_code
    if status == 429:
        return RateLimited("Calendly asked us to slow down.", reason=title, retry_after=_reset(response))
    if status >= 500 or status == 424:
        return ProviderUnavailable(
            "Calendly cannot be reached right now.", reason=title, retry_after=retry_after(response)
        )
    if status == 401:
        return AuthExpired(reason=title)
    if status == 403:
        return PermissionDenied(
            _sentence("Calendly does not allow this for this account", message), reason=title
        )
    if status == 404:
        return EventNotFound(reason=title)
    return InvalidRequest(_sentence("Calendly refused the request", message), reason=title)


def _reset(response: httpx.Response) -> float | None:
    left = response.headers.get("x-ratelimit-reset", "")
    return retry_after(response) or (float(left) if left.isascii() and left.isdigit() else None)


def _reason(response: httpx.Response) -> tuple[str, str]:
    try:
        body = response.json()
        details = [str(part.get("message") or "") for part in body.get("details") or ()]
        return str(body.get("title") or ""), "; ".join([str(body.get("message") or ""), *details])
    except (ValueError, TypeError, AttributeError):
        return "", ""


def _sentence(what: str, message: str) -> str:
    words = " ".join(message.split())[:200].rstrip(".")
    return f"{what}: {words}." if words else f"{what}."
