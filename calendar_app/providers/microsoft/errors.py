"""Graph's refusals in our words.

Sources: https://learn.microsoft.com/graph/errors, https://learn.microsoft.com/graph/throttling. The body is
``{"error": {"code", "message", "innerError"}}``; the code decides where one status means several things.

==========================================  ==================================================================
answer                                      error
==========================================  ==================================================================
401                                         ``AuthExpired``
403, 423, a mailbox that has no Exchange    ``PermissionDenied``
404, 400 ``ErrorInvalidIdMalformed``        ``EventNotFound`` (the caller knows when it was a calendar)
412; 409 and 410 to a write                 ``PreconditionFailed``
other 410, ``syncState…``, ``resyncRequired``     ``SyncTokenInvalid``
429, ``ApplicationThrottled``               ``RateLimited`` with ``Retry-After``
501, "the requested feature isn't implemented"   ``InvalidRequest``
5xx                                         ``ProviderUnavailable``, with ``Retry-After`` if given
any other                                   ``InvalidRequest``
==========================================  ==================================================================
"""

from __future__ import annotations

import httpx

from calendar_app.errors import InvalidRequest, PermissionDenied, ProviderError, SyncTokenInvalid
from calendar_app.providers.refusals import conflict, is_conflict, refusal

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
        status = 429
    elif is_conflict(response):
        return conflict("Microsoft", reason, message)
    elif status == 410 or word in _RESYNC:
        return SyncTokenInvalid(reason=reason)
    elif status < 500 and word in _NO_MAILBOX:
        return PermissionDenied(
            "This Microsoft account has no mailbox in Exchange Online, so it has no calendars.", reason=reason
        )
    elif status == 501:
        return InvalidRequest("Microsoft does not offer this for this account.", reason=reason)
    elif status == 423:
        status = 403
    elif status < 500 and status not in (401, 403, 404):
        status = 404 if word in _NO_SUCH_ID else 412 if word in _CONFLICT else status
    return refusal("Microsoft", response, reason, message, status=status)


def _reason(response: httpx.Response) -> tuple[str, str]:
    try:
        error = response.json()["error"]
        return str(error.get("code") or ""), str(error.get("message") or "")
    except (ValueError, KeyError, TypeError, AttributeError):
        return "", ""
