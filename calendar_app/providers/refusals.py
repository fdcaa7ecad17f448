"""What the statuses of HTTP mean (RFC 9110 §15, RFC 6585 §4), in the same words for every vendor's API.

A vendor's ``errors`` reads the body, and says which of its answers mean something else.
"""

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

READS = frozenset({"GET", "HEAD", "OPTIONS", "PROPFIND", "REPORT"})


def refusal(
    vendor: str,
    response: httpx.Response,
    reason: str,
    message: str,
    *,
    status: int | None = None,
    wait: float | None = None,
) -> ProviderError:
    """The error that an answer of 300 and above means; its sentence holds at most 200 characters of ``message``.

    ``status``: what the answer really means, if not its own. ``wait``: seconds after which a rate limit ends, where
    ``Retry-After`` does not say.
    """
    status = status or response.status_code
    if status == 429:
        after = retry_after(response)
        return RateLimited(
            f"{vendor} asked us to slow down.", reason=reason, retry_after=wait if after is None else after
        )
    if status >= 500:
        return ProviderUnavailable(
            f"{vendor} cannot be reached right now.", reason=reason, retry_after=retry_after(response)
        )
    if status == 401:
        return AuthExpired(reason=reason)
    if status == 403:
        return PermissionDenied(
            sentence(f"{vendor} does not allow this for this account", message), reason=reason
        )
    if status == 404:
        return EventNotFound(reason=reason)
    if status == 412:
        return PreconditionFailed(reason=reason)
    return InvalidRequest(sentence(f"{vendor} refused the request", message), reason=reason)


def is_conflict(response: httpx.Response) -> bool:
    """Whether the answer is a 409 or 410 to a request that was to change something.

    RFC 9110 §15.5.10 and §15.5.11: the request does not fit the state of what it names, or that is gone. Neither says
    how things stand, so whoever wrote reads it and decides by that.
    """
    return response.status_code in (409, 410) and response.request.method not in READS


def conflict(vendor: str, reason: str, message: str = "") -> PreconditionFailed:
    """The error that such an answer means."""
    detail = sentence(f"{vendor} says that this does not fit what stands in the calendar", message)
    return PreconditionFailed(detail, reason=reason)


def sentence(what: str, message: str) -> str:
    """``what``, and at most 200 characters of the provider's ``message``."""
    words = " ".join(message.split())[:200].rstrip(".")
    return f"{what}: {words}." if words else f"{what}."
