"""Every error the product raises on purpose, in one tree.

    AlmanacError                     code, HTTP status, a sentence for people
    ├── InvalidInput                 422  the request itself is wrong
    │   └── CredentialsRejected      422  a provider refused the credentials that were typed in
    ├── NotSignedIn                  401
    ├── Forbidden                    403  known person, too little role (or a failed CSRF check)
    │   └── SecondFactorRequired     403  the password was right, and the account asks for more
    ├── NotFound                     404  missing, or another workspace's
    ├── Conflict                     409
    │   ├── SlotUnavailable          409  the time was taken, or is not offered
    │   └── StateChanged             409  compare-and-swap lost: somebody else was first
    ├── StateInvalid                 400  OAuth ``state`` missing, foreign, expired or used
    ├── ConsentDenied                400  the person pressed "Deny"
    ├── UnsupportedMediaType         415  the body is of a kind that the operation does not take
    ├── VersionMismatch              412  ``If-Match`` names a version that is not the present one
    ├── TooManyRequests              429  we limit the caller
    ├── ProviderNotConfigured        503  the operator has set no credentials for this provider
    └── ProviderError                     a calendar provider answered with an error, or not at all
        ├── AuthExpired              401: refresh once, retry, then reconnect
        ├── GrantRevoked             ``invalid_grant``: the person must reconnect
        ├── RateLimited              429 or a rate-limit 403; ``retry_after`` in seconds where told
        │   └── UsageLimited         an account did too much of something: it lasts hours
        ├── ProviderUnavailable      5xx, time-outs, broken bodies
        ├── SyncTokenInvalid         410: a bounded full sync
        ├── PreconditionFailed       412, and 409 or 410 to a write: read again, merge, retry
        ├── ChannelExists            409: the calendar has a push channel already, and may have one only
        ├── EventNotFound            404/410 on an event
        ├── CalendarNotFound         404 on a calendar: removed, or no longer shared
        ├── PermissionDenied         other 403: no retry
        └── InvalidRequest           other 4xx: no retry

``detail`` is always one sentence that may be shown to a person: it holds no token, no stack, no vendor JSON.
"""

from __future__ import annotations


class AlmanacError(Exception):
    """Root of the tree; ``code`` is stable and public, ``detail`` is one sentence for people."""

    code = "error"
    status = 500
    title = "Something went wrong"

    def __init__(self, detail: str | None = None, *, code: str | None = None) -> None:
        self.detail = detail or self.title
        if code is not None:
            self.code = code
        super().__init__(self.detail)


class InvalidInput(AlmanacError):
    """The request is malformed; ``field`` names the offending part where there is one."""

    code, status, title = "invalid_input", 422, "The input is not valid"

    def __init__(
        self, detail: str | None = None, *, field: str | None = None, code: str | None = None
    ) -> None:
        super().__init__(detail, code=code)
        self.field = field


class CredentialsRejected(InvalidInput):
    code, title = "credentials_rejected", "The credentials were rejected"


class NotSignedIn(AlmanacError):
    code, status, title = "not_signed_in", 401, "Sign in first"


class Forbidden(AlmanacError):
    code, status, title = "forbidden", 403, "Your role does not allow this"


class SecondFactorRequired(Forbidden):
    """The password was right, and the account has a second factor. ``person_id`` is for the sign-in's next step only:
    it is in no answer."""

    code, title = "second_factor_required", "A second factor is required"

    def __init__(self, person_id: str) -> None:
        super().__init__("This account also asks for a code of its authenticator app, or a passkey.")
        self.person_id = person_id


class NotFound(AlmanacError):
    """``field`` names the part of the request that leads nowhere, where it is not the address itself."""

    code, status, title = "not_found", 404, "Not found"

    def __init__(
        self, detail: str | None = None, *, field: str | None = None, code: str | None = None
    ) -> None:
        super().__init__(detail, code=code)
        self.field = field


class Conflict(AlmanacError):
    code, status, title = "conflict", 409, "That conflicts with the present state"


class SlotUnavailable(Conflict):
    """``field`` names the part of the request whose time it is, where there are several."""

    code, title = "slot_unavailable", "That time is no longer available"

    def __init__(
        self, detail: str | None = None, *, field: str | None = None, code: str | None = None
    ) -> None:
        super().__init__(detail, code=code)
        self.field = field


class StateChanged(Conflict):
    code, title = "state_changed", "Somebody changed this first"


class StateInvalid(AlmanacError):
    code, status, title = "state_invalid", 400, "This sign-in attempt is not valid any more"


class ConsentDenied(AlmanacError):
    code, status, title = "consent_denied", 400, "Access was not granted"


class UnsupportedMediaType(AlmanacError):
    """``accepted``: the media types that would do."""

    code, status, title = "unsupported_media_type", 415, "The body is of a kind that is not taken here"

    def __init__(self, detail: str | None = None, *, accepted: tuple[str, ...] = ()) -> None:
        super().__init__(detail)
        self.accepted = accepted


class VersionMismatch(AlmanacError):
    """The caller's ``If-Match`` (RFC 9110 section 13.1.1) does not hold."""

    code, status, title = "version_mismatch", 412, "This was changed since you read it"


class TooManyRequests(AlmanacError):
    """We limit the caller; ``retry_after`` is in seconds."""

    code, status, title = "rate_limited", 429, "Too many requests"

    def __init__(self, detail: str | None = None, *, retry_after: int = 60) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class ProviderNotConfigured(AlmanacError):
    code, status, title = "provider_not_configured", 503, "This provider is not configured"


class ProviderError(AlmanacError):
    """A provider's refusal or silence; ``reason`` is the vendor's short machine word (``"rateLimitExceeded"``)."""

    code, status, title = "provider_error", 502, "The calendar provider reported an error"
    retryable = False

    def __init__(self, detail: str | None = None, *, reason: str = "") -> None:
        super().__init__(detail)
        self.reason = reason


class AuthExpired(ProviderError):
    code, title = "auth_expired", "The provider no longer accepts our access token"


class GrantRevoked(ProviderError):
    code, status, title = "needs_reconnect", 409, "Access was revoked: connect this account again"


class RateLimited(ProviderError):
    """``retry_after``: seconds the provider asked us to wait, ``None`` where it did not say."""

    code, status, title = "provider_rate_limited", 503, "The provider asked us to slow down"
    retryable = True

    def __init__(
        self, detail: str | None = None, *, reason: str = "", retry_after: float | None = None
    ) -> None:
        super().__init__(detail, reason=reason)
        self.retry_after = retry_after


class UsageLimited(RateLimited):
    """What the account may do in so many hours is used up: there is no sense in asking again within minutes."""

    code, title = "provider_usage_limit", "The provider takes no more of these for some hours"


class ProviderUnavailable(ProviderError):
    """5xx, time-out, broken body; ``retry_after`` as in :class:`RateLimited`."""

    code, status, title = "provider_unavailable", 503, "The provider cannot be reached right now"
    retryable = True

    def __init__(
        self, detail: str | None = None, *, reason: str = "", retry_after: float | None = None
    ) -> None:
        super().__init__(detail, reason=reason)
        self.retry_after = retry_after


class SyncTokenInvalid(ProviderError):
    code, title = "sync_token_invalid", "The sync position is too old: reading everything again"


class PreconditionFailed(ProviderError):
    code, status, title = "precondition_failed", 409, "The event was changed at the provider meanwhile"


class ChannelExists(ProviderError):
    """``resource_id`` is the provider's id of the push channel that stands in the way."""

    code, status, title = "channel_exists", 409, "The calendar has a push channel at the provider already"

    def __init__(self, resource_id: str, *, reason: str = "") -> None:
        super().__init__(reason=reason)
        self.resource_id = resource_id


class EventNotFound(ProviderError):
    code, status, title = "event_not_found", 404, "The event no longer exists at the provider"


class CalendarNotFound(ProviderError):
    code, status, title = (
        "calendar_not_found",
        404,
        "The calendar was removed at the provider, or is no longer shared",
    )


class PermissionDenied(ProviderError):
    code, status, title = "permission_denied", 403, "The provider does not allow this for this account"


class InvalidRequest(ProviderError):
    code, status, title = "provider_refused", 422, "The provider refused the request"
