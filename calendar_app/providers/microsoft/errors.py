"""Graph's refusals in our words.

Sources: https://learn.microsoft.com/graph/errors, https://learn.microsoft.com/graph/throttling. The body is
``{"error": {"code", "message", "innerError"}}``; the code decides where one status means several things.

==========================================  ==================================================================
answer                                      error
==========================================  ==================================================================
401                                         ``AuthExpired``
403, 423, a mailbox that has no Exchange    ``PermissionDenied``
404, 400 ``ErrorInvalidIdMalformed``        ``EventNotFound`` (the caller knows when it was a calendar)
409 and 412 on a version                    ``PreconditionFailed``
410, ``syncState…``, ``resyncRequired``     ``SyncTokenInvalid``
429, ``ApplicationThrottled``               ``RateLimited`` with ``Retry-After``
5xx                                         ``ProviderUnavailable``, with ``Retry-After`` if given
any other                                   ``InvalidRequest``
==========================================  ==================================================================
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
    SyncTokenInvalid,
)
from calendar_app.providers.http import retry_after

DUPLICATE = "ErrorDuplicateTransactionId"
_THROTTLED = frozenset(
    {"applicationthrottled", "toomanyrequests", "errorservertoobusy", "activitylimitreached"}
)
_RESYNC = frozenset({"syncstatenotfound", "syncstateinvalid", "resyncrequired", "fullsyncrequired"})
_NO_MAILBOX = frozenset({"mailboxnotenabledforrestapi", "mailboxnotsupportedforrestapi"})
_NO_SUCH_ID = frozenset({"errorinvalididmalformed", "erroritemnotfound", "errorinvalididempty"})
_CONFLICT = frozenset({"errorirresolvableconflict", "errorstaleobject"})


def to_error(response: httpx.Response) -> ProviderError:
    """The error behind an answer of 300 and above; its sentence never carries more than Graph's own."""
    reason, message = _reason(response)
    status, word = response.status_code, reason.lower()
    if status == 429 or word in _THROTTLED:
        return RateLimited(
            "Microsoft asked us to slow down.", reason=reason, retry_after=retry_after(response)
        )
    if status == 410 or word in _RESYNC:
        return SyncTokenInvalid(reason=reason)
    if status >= 500:
        return ProviderUnavailable(
            "Microsoft cannot be reached right now.", reason=reason, retry_after=retry_after(response)
        )
    if word in _NO_MAILBOX:
        return PermissionDenied(
            "This Microsoft account has no mailbox in Exchange Online, so it has no calendars.", reason=reason
        )
    if status == 401:
        return AuthExpired(reason=reason)
    if status in (403, 423):
        return PermissionDenied(
            _sentence("Microsoft does not allow this for this account", message), reason=reason
        )
    if status == 404 or word in _NO_SUCH_ID:
        return EventNotFound(reason=reason)
    if status == 412 or word in _CONFLICT:
        return PreconditionFailed(reason=reason)
    return InvalidRequest(_sentence("Microsoft refused the request", message), reason=reason)


def _reason(response: httpx.Response) -> tuple[str, str]:
    try:
        error = response.json()["error"]
        return str(error.get("code") or ""), str(error.get("message") or "")
    except (ValueError, KeyError, TypeError, AttributeError):
        return "", ""


def _sentence(what: str, message: str) -> str:
    words = " ".join(message.split())[:200].rstrip(".")
    return f"{what}: {words}." if words else f"{what}."
