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

from calendar_app.errors import ProviderError
from calendar_app.providers.refusals import refusal

ALREADY_EXISTS = "Already Exists"


def to_error(response: httpx.Response) -> ProviderError:
    """The error that an answer of 400 and above means; ``reason`` is its ``title``."""
    title, message = _reason(response)
    status = 503 if response.status_code == 424 else response.status_code
    return refusal("Calendly", response, title, message, status=status, wait=_reset(response))


def _reset(response: httpx.Response) -> float | None:
    left = response.headers.get("x-ratelimit-reset", "")
    return float(left) if left.isascii() and left.isdigit() else None


def _reason(response: httpx.Response) -> tuple[str, str]:
    try:
        body = response.json()
        details = [str(part.get("message") or "") for part in body.get("details") or ()]
        return str(body.get("title") or ""), "; ".join([str(body.get("message") or ""), *details])
    except (ValueError, TypeError, AttributeError):
        return "", ""
