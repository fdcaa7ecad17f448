"""Google's refusals in our words (https://developers.google.com/workspace/calendar/api/guides/errors)."""

from __future__ import annotations

import httpx

from calendar_app.errors import InvalidRequest, ProviderError, UsageLimited
from calendar_app.providers.http import retry_after
from calendar_app.providers.refusals import READS, conflict, is_conflict, refusal, sentence

_NO_PUSH = {
    "push.webhookUrlUnauthorized": (
        "Google sends no pushes to this address, because its domain is not verified: an operator verifies it in the "
        "Google Cloud console (README, “Google”)."
    ),
    "push.webhookUrlNotHttps": "Google sends pushes to https addresses only (BASE_URL).",
    "pushNotSupportedForRequestedResource": "Google sends no pushes for this calendar.",
}
"""Why a channel is refused: reasons that Google gives with 400, 401 and 403, a domain that is not verified with 401.
The push guide names no status; the reason is what clients of Calendar and Drive look at, whatever its status is. None
of them says anything about the grant."""
USAGE_LIMIT_S = 3600.0
"""After how many seconds a write that met ``quotaExceeded`` is tried again. "Calendar usage limits exceeded" lasts from
hours to a day (https://knowledge.workspace.google.com/admin/calendar/avoid-calendar-use-limits)."""
_RATE_REASONS = {"rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded", "dailyLimitExceeded"}


def to_error(response: httpx.Response) -> ProviderError:
    """The error that an answer of 400 and above means; its reason tells a rate limit from a refusal among the 403s."""
    reason, message = _reason(response)
    status = response.status_code
    if reason in _NO_PUSH or reason.startswith("push."):
        return InvalidRequest(
            _NO_PUSH.get(reason) or sentence("Google refused to send pushes", message), reason=reason
        )
    if status == 403 and reason == "quotaExceeded" and response.request.method not in READS:
        return UsageLimited(
            "Google takes no more of these for this account for some hours, as its usage limits are reached (mostly "
            "by inviting many people from outside).",
            reason=reason,
            retry_after=max(USAGE_LIMIT_S, retry_after(response) or 0),
        )
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
