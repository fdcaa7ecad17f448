"""Error answers in each provider's own shape and words.

Sources: Google https://developers.google.com/workspace/calendar/api/guides/errors; Microsoft
https://learn.microsoft.com/en-us/graph/errors and ``/graph/throttling``; Calendly https://developer.calendly.com (error
responses); CalDAV RFC 4918 §14.5, RFC 6578 §3.2; the token endpoint RFC 6749 §5.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http import HTTPStatus

from starlette.responses import JSONResponse, PlainTextResponse, Response

from calendar_app.sandbox.google.error import GoogleError

Words = tuple[str, str]
"""A provider's machine word and its sentence."""

STATUS = {
    "unauthorized": 401,
    "revoked": 401,
    "rate_forbidden": 403,
    "forbidden": 403,
    "not_found": 404,
    "conflict": 409,
    "gone": 410,
    "precondition": 412,
    "throttled": 429,
    "error": 500,
    "bad_gateway": 502,
    "unavailable": 503,
    "hang": 504,
    "full": 507,
}
_GOOGLE: dict[str, Words] = {
    "unauthorized": ("authError", "Invalid Credentials"),
    "revoked": ("authError", "Invalid Credentials"),
    "rate_forbidden": ("rateLimitExceeded", "Rate Limit Exceeded"),
    "forbidden": ("forbidden", "Forbidden"),
    "not_found": ("notFound", "Not Found"),
    "conflict": ("duplicate", "The requested identifier already exists."),
    "gone": ("deleted", "Resource has been deleted"),
    "precondition": ("conditionNotMet", "Precondition Failed"),
    "throttled": ("rateLimitExceeded", "Rate Limit Exceeded"),
    "error": ("backendError", "Backend Error"),
    "bad_gateway": ("backendError", "Bad Gateway"),
    "unavailable": ("backendError", "Service Unavailable"),
    "hang": ("backendError", "Gateway Timeout"),
    "full": ("quotaExceeded", "Calendar usage limits exceeded."),
}
_MICROSOFT: dict[str, Words] = {
    "unauthorized": ("InvalidAuthenticationToken", "Access token has expired or is not yet valid."),
    "revoked": ("InvalidAuthenticationToken", "Continuous access evaluation resulted in challenge."),
    "rate_forbidden": ("ErrorExceededMessageLimit", "The account exceeded its message limit."),
    "forbidden": ("ErrorAccessDenied", "Access is denied. Check credentials and try again."),
    "not_found": ("ErrorItemNotFound", "The specified object was not found in the store."),
    "conflict": ("ErrorDuplicateTransactionId", "Your request can't be completed: it was processed already."),
    "gone": ("SyncStateNotFound", "The sync state generation is not found."),
    "precondition": ("ErrorIrresolvableConflict", "The change key passed in the request does not match."),
    "throttled": ("ApplicationThrottled", "Application is over its MailboxConcurrency limit."),
    "error": ("ErrorInternalServerError", "An internal server error occurred. The operation failed."),
    "bad_gateway": ("UnknownError", "Bad Gateway"),
    "unavailable": ("ErrorServerBusy", "The server is busy. Please retry later."),
    "hang": ("UnknownError", "Gateway Timeout"),
    "full": ("ErrorQuotaExceeded", "The mailbox quota has been exceeded."),
}
_CALENDLY: dict[str, Words] = {
    "unauthorized": ("Unauthenticated", "The access token expired"),
    "revoked": ("Unauthenticated", "The access token is invalid"),
    "rate_forbidden": ("Permission Denied", "This user exceeded the number of requests."),
    "forbidden": ("Permission Denied", "You do not have permission"),
    "not_found": ("Resource Not Found", "The server could not find the requested resource."),
    "conflict": ("Already Exists", "Hook with this url already exists"),
    "gone": ("Resource Not Found", "The resource is gone."),
    "precondition": ("Invalid Argument", "The supplied parameters are invalid."),
    "throttled": ("Too Many Requests", "The rate limit was exceeded."),
    "error": ("Internal Server Error", "The server encountered an unexpected condition."),
    "bad_gateway": ("Bad Gateway", "Bad Gateway"),
    "unavailable": ("Service Unavailable", "Service Unavailable"),
    "hang": ("Gateway Timeout", "Gateway Timeout"),
    "full": ("Permission Denied", "The plan's limit is reached."),
}
_CALDAV = {
    "forbidden": "<d:need-privileges/>",
    "full": "<d:quota-not-exceeded/>",
}


def retry_header(retry_after: str) -> dict[str, str]:
    """``Retry-After`` (RFC 9110 §10.2.3): ``"7"`` in seconds, ``"date:7"`` as a date seven seconds off, ``""`` none.

    :raises ValueError: for anything else.
    """
    if not retry_after:
        return {}
    kind, _, number = retry_after.rpartition(":")
    if kind not in ("", "date") or not number.isdecimal() or len(number) > 6:
        raise ValueError('retry_after must be seconds ("7"), "date:7" or empty.')
    if not kind:
        return {"Retry-After": number}
    return {
        "Retry-After": format_datetime(
            datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=int(number)), usegmt=True
        )
    }


def error_answer(provider: str, kind: str, operation: str, *, retry_after: str = "") -> Response:
    """What ``provider`` answers to ``operation`` when it meets ``kind`` (a key of :data:`STATUS`)."""
    status, headers = STATUS[kind], retry_header(retry_after)
    if operation == "token":
        return _token_answer(provider, kind, status, headers)
    if provider == "google":
        return _google(kind, status, operation, headers)
    if provider == "microsoft":
        word, sentence = _MICROSOFT[kind]
        moment = datetime.now(UTC)
        inner = {
            "date": f"{moment:%Y-%m-%dT%H:%M:%S}",
            "request-id": f"{moment.timestamp():.0f}",
            "client-request-id": f"{moment.timestamp():.0f}",
        }
        return JSONResponse(
            {"error": {"code": word, "message": sentence, "innerError": inner}}, status, headers=headers
        )
    if provider == "calendly":
        word, sentence = _CALENDLY[kind]
        return JSONResponse({"title": word, "message": sentence}, status, headers=headers)
    if provider == "ics":
        return PlainTextResponse(f"{HTTPStatus(status).phrase}\n", status, headers=headers)
    return _caldav(kind, status, operation, headers)


def _google(kind: str, status: int, operation: str, headers: Mapping[str, str]) -> Response:
    word, sentence = _GOOGLE[kind]
    if kind == "gone" and operation in ("list", "calendars"):
        word, sentence = "fullSyncRequired", "Sync token is no longer valid, a full sync is required."
    domain = "usageLimits" if word in ("rateLimitExceeded", "quotaExceeded") else "global"
    challenge = (
        {"WWW-Authenticate": 'Bearer realm="https://accounts.google.com/", error="invalid_token"'}
        if status == 401
        else {}
    )
    return GoogleError(
        status if status != 507 else 403, word, sentence, domain=domain, headers={**headers, **challenge}
    ).response()


def _caldav(kind: str, status: int, operation: str, headers: Mapping[str, str]) -> Response:
    element = _CALDAV.get(kind, "")
    if kind == "gone" and operation == "list":
        status, element = 403, "<d:valid-sync-token/>"
    challenge = {"WWW-Authenticate": 'Basic realm="Sandbox"'} if status == 401 else {}
    body = f'<?xml version="1.0" encoding="utf-8"?>\n<d:error xmlns:d="DAV:">{element}</d:error>'
    return Response(body, status, media_type="application/xml", headers={**headers, **challenge})


def _token_answer(provider: str, kind: str, status: int, headers: Mapping[str, str]) -> Response:
    if status in (429, 500, 502, 503, 504):
        return JSONResponse({"error": "temporarily_unavailable"}, status, headers=dict(headers))
    if kind == "revoked":
        sentences = {
            "google": "Token has been expired or revoked.",
            "microsoft": "AADSTS50173: The provided grant has expired due to it being revoked.",
        }
        sentence = sentences.get(provider, "The provided authorization grant is invalid, expired or revoked")
        return JSONResponse({"error": "invalid_grant", "error_description": sentence}, 400)
    if kind == "unauthorized":
        return JSONResponse(
            {"error": "invalid_client", "error_description": "The provided client secret is invalid."}, 401
        )
    return JSONResponse(
        {"error": "invalid_request", "error_description": HTTPStatus(status).phrase},
        400,
        headers=dict(headers),
    )
