"""Google's refusals in our words (https://developers.google.com/workspace/calendar/api/guides/errors)."""

from __future__ import annotations

import httpx

from calendar_app.errors import ProviderError
from calendar_app.providers.refusals import conflict, is_conflict, refusal

_RATE_REASONS = {"rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded", "dailyLimitExceeded"}


def to_error(response: httpx.Response) -> ProviderError:
    """The error that an answer of 400 and above means; its reason tells a rate limit from a refusal among the 403s."""
    reason, message = _reason(response)
    status = response.status_code
    if status == 403 and reason in _RATE_REASONS:
        status = 429
    elif is_conflict(response):
        if status == 409:
            reason = reason or "duplicate"  # its only meaning for events, also where the body cannot be read
        return conflict("Google", reason, message)
    elif status == 410:
        status = 404
    return refusal("Google", response, reason, message, status=status)


def _reason(response: httpx.Response) -> tuple[str, str]:
    try:
        error = response.json()["error"]
        first = (error.get("errors") or [{}])[0]
        return str(first.get("reason") or error.get("status") or ""), str(error.get("message") or "")
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        return "", ""
