"""The stable codes of problem documents: under which status each comes, and what it means.

An operation names the codes of its own work::

    @router.post("/bookings", status_code=201, responses=fails("slot_unavailable"))

What every operation has in common (credentials, roles, limits, input) is added by :mod:`calendar_app.api.document`.
A code that an answer has and its operation does not name fails the tests (``tests/support/api_document.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

_BY_STATUS: Mapping[int, Mapping[str, str]] = {
    400: {
        "scope_missing": "a permission that is needed was not given",
        "state_invalid": "the sign-in attempt at the provider is unknown, over or another browser's",
        "consent_denied": "the person pressed “Deny” at the provider",
        "admin_consent_required": "an administrator of the organization has to agree first",
        "admin_consent_requested": "an administrator was asked and has not answered yet",
        "consent_declined": "the person or an administrator declined",
        "not_assigned": "the account is not among those that may use the application",
        "blocked_by_policy": "a policy of the organization blocked the sign-in",
        "sign_in_again": "the person has to sign in at the provider once more",
        "admin_consent_refused": "the administrator did not agree",
    },
    401: {
        "not_signed_in": "no credentials were sent",
        "invalid_token": "the API token is unknown, revoked or expired",
        "invalid_credentials": "e-mail address and password do not belong together",
    },
    403: {
        "forbidden": "the role in this workspace is too little",
        "insufficient_scope": "the API token was not made for this",
        "cross_site": "a browser says that another site's page sent the request",
        "site_not_allowed": "the business takes no bookings from that site",
        "permission_denied": "the provider does not allow it for this account",
        "second_factor_required": "the account has a second factor: sign in in a browser and make an API token",
    },
    404: {
        "not_found": "there is nothing of that id, or it is another workspace's",
        "calendar_not_found": "the calendar was removed at the provider, or is no longer shared",
        "event_not_found": "the event no longer exists at the provider",
    },
    408: {"request_timeout": "the body stopped coming"},
    409: {
        "too_many_links": "there are too many links: end some first",
        "too_many_webhooks": "there are too many webhooks: delete some first",
        "webhook_not_active": "nothing is sent there: switch the webhook on first",
        "calendar_of_account": "the calendar belongs to a connected account: disconnect that",
        "calendar_not_imported": "the calendar is no imported one",
        "conflict": "the present state does not allow it",
        "transition_refused": "the booking cannot be changed that way any more",
        "hold_used": "the hold was booked already",
        "link_ended": "the private link is over",
        "state_changed": "somebody else changed it first",
        "slot_unavailable": "the time was taken meanwhile, or is not offered",
        "request_in_flight": "a request with this Idempotency-Key is still being worked on",
        "needs_reconnect": "access was revoked: the account has to be connected again",
        "precondition_failed": "the event was changed at the provider meanwhile",
        "channel_exists": "the calendar has a push channel already",
        "already_connected": "the account is connected already",
        "already_member": "the person is in the workspace already",
        "calendar_not_used": "the calendar is used for nothing",
        "default_schedule": "it is the person's default schedule",
        "event_of_booking": "it is the event of a booking: move or cancel the booking",
        "event_not_changeable": "series, whole days and read-only calendars are changed where they were made",
        "has_bookings": "it was booked: make it inactive instead",
        "has_connections": "the person still has connected accounts here",
        "hosts_bookings": "the person still has bookings here",
        "last_owner": "a workspace has at least one owner",
        "order_cancelled": "the order was cancelled",
        "slug_taken": "another event type has this slug",
        "wrong_account": "another account than the one to bring back",
        "event_type_inactive": "the event type takes no bookings at present",
        "email_taken": "there is an account with this address",
        "addresses_not_asked": "only CalDAV accounts have their owner's addresses set",
    },
    412: {"version_mismatch": "`If-Match` names another version than the present one"},
    413: {"too_large": "the body has too many bytes"},
    415: {"unsupported_media_type": "the body is of a kind that is not taken here"},
    422: {
        "in_the_past": "the time has passed",
        "invalid_input": "`errors` says what is wrong with which part",
        "address_refused": "the address leads to where nothing is fetched from",
        "calendar_read_only": "events cannot be written into the calendar",
        "calendar_too_large": "the calendar has too many events",
        "credentials_rejected": "the server refused the user name or password",
        "dns": "no server of that name can be found",
        "certificate": "the server's certificate is not valid",
        "redirects": "the server sends us round in circles",
        "bad_body": "the server's answer cannot be read",
        "not_dav": "the server at the address is no CalDAV server",
        "idempotency_key_reused": "this Idempotency-Key came with another body before",
        "invalid_email": "that is no e-mail address",
        "logo_refused": "the picture cannot be used",
        "no_appointments": "the provider takes no bookings itself",
        "no_calendars": "the account has no calendars",
        "no_scheme": "the address needs https:// in front",
        "not_a_calendar": "the file or address holds no calendar",
        "not_caldav": "there is no CalDAV server at the address",
        "provider_refused": "the provider refused the request",
        "redirect_refused": "the address leads on to where nothing is fetched from",
        "too_many_tokens": "there are too many tokens: revoke some first",
        "unknown_timezone": "that is no IANA time zone",
        "weak_password": "the password is too easy to guess",
        "wrong_password": "that is not the present password",
        "zone_contradicts": "timezone and timezone_source contradict each other",
        "zone_not_named": "the provider names no time zone",
    },
    429: {"rate_limited": "too many requests: `Retry-After` says for how long to wait"},
    502: {
        "provider_error": "the provider answered with an error",
        "auth_expired": "the provider no longer accepts the access token",
        "sync_token_invalid": "the provider no longer knows the sync position",
    },
    503: {
        "unavailable": "the database cannot be reached right now",
        "provider_not_configured": "the operator has set no credentials for this provider",
        "provider_misconfigured": "the provider does not accept the operator's credentials",
        "provider_unavailable": "the provider cannot be reached right now",
        "provider_rate_limited": "the provider asked to slow down",
        "provider_usage_limit": "the account's limit at the provider is reached for some hours",
    },
}

CODES: Mapping[str, tuple[int, str]] = MappingProxyType(
    {code: (status, words) for status, codes in _BY_STATUS.items() for code, words in codes.items()}
)
"""Code -> (status, meaning)."""

FIELD_CODES: Mapping[str, str] = MappingProxyType(
    {
        "required": "is missing",
        "unknown": "there is no such field or parameter, or no such object",
        "invalid": "is not of the right type or form",
        "invalid_json": "the body is no JSON",
        "not_one_of": "is none of the values that are allowed",
        "too_long": "has too many characters or items",
        "too_short": "has too few characters or items",
        "out_of_range": "is too small or too big",
    }
)
"""Codes of single fields; a field's code may also be that of the problem (``unknown_timezone``)."""

AT_PROVIDER = (
    "needs_reconnect",
    "permission_denied",
    "calendar_not_found",
    "event_not_found",
    "precondition_failed",
    "provider_refused",
    "provider_error",
    "auth_expired",
    "sync_token_invalid",
    "provider_not_configured",
    "provider_unavailable",
    "provider_rate_limited",
    "provider_usage_limit",
)
"""What may come of asking a provider while the caller waits."""


TYPED_ADDRESS = (
    "address_refused",
    "redirect_refused",
    "invalid_email",
    "dns",
    "certificate",
    "redirects",
    "bad_body",
    "not_dav",
    "calendar_too_large",
)
"""What may come of an address that somebody typed in."""

BOOKING = (
    "slot_unavailable",
    "event_type_inactive",
    "conflict",
    "hold_used",
    "link_ended",
    "in_the_past",
    "unknown_timezone",
    "invalid_email",
)
"""What may come of asking for a time."""

TRANSITION = ("conflict", "state_changed", "transition_refused")
"""What may come of changing a booking's state."""

CONSENT = (
    "state_invalid",
    "consent_denied",
    "consent_declined",
    "scope_missing",
    "admin_consent_refused",
    "admin_consent_required",
    "admin_consent_requested",
    "not_assigned",
    "blocked_by_policy",
    "sign_in_again",
    "provider_misconfigured",
)
"""What may come back from a provider's consent page."""


EVENT_CHANGE = (*AT_PROVIDER, "event_of_booking", "event_not_changeable", "unknown_timezone", "invalid_email")
"""What may come of changing an event."""


def fails(*codes: str) -> dict[int | str, dict[str, Any]]:
    """``responses`` of an operation that fails with these codes."""
    found: dict[int | str, dict[str, Any]] = {}
    for code in codes:
        status, _ = CODES[code]
        found.setdefault(status, {"description": "", "x-codes": []})["x-codes"].append(code)
    return found
