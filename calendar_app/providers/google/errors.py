"""Google's refusals in our words (https://developers.google.com/workspace/calendar/api/guides/errors)."""

from __future__ import annotations

import httpx

from calendar_app.errors import (
    AuthExpired,
    EventNotFound,
    InvalidRequest,
    PermissionDenied,
    PreconditionFailed,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
)
from calendar_app.providers.http import retry_after

_RATE_REASONS = {"rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded", "dailyLimitExceeded"}


def to_error(response: httpx.Response) -> ProviderError:
    """The error that an answer of 400 and above means; its reason tells a rate limit from a refusal among the 403s."""
    reason, message = _reason(response)
    status = response.status_code
    if status == 429 or (status == 403 and reason in _RATE_REASONS):
        return RateLimited("Google asked us to slow down.", reason=reason, retry_after=retry_after(response))
    if status >= 500:
        return ProviderUnavailable(
            "Google cannot be reached right now.", reason=reason, retry_after=retry_after(response)
        )
    if status == 401:
        return AuthExpired(reason=reason)
    if status == 403:
        return PermissionDenied(
            _sentence("Google does not allow this for this account", message), reason=reason
        )
    if status in (404, 410):
        return EventNotFound(reason=reason)
    if status == 412:
        return PreconditionFailed(reason=reason)
    if status == 409:
        reason = reason or "duplicate"  # its only meaning for events, also where the body cannot be read
    return InvalidRequest(_sentence("Google refused the request", message), reason=reason)


def _reason(response: httpx.Response) -> tuple[str, str]:
    try:
        error = response.json()["error"]
        first = (error.get("errors") or [{}])[0]
        return str(first.get("reason") or error.get("status") or ""), str(error.get("message") or "")
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        return "", ""


def _sentence(what: str, message: str) -> str:
    words = " ".join(message.split())[:200].rstrip(".")
    return f"{what}: {words}." if words else f"{what}."
