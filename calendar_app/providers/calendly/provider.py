"""Calls to Calendly and its authorization server.

* API: https://developer.calendly.com/api-docs
* OAuth: https://developer.calendly.com/how-to-access-calendly-data-on-behalf-of-authenticated-users,
  scopes: https://developer.calendly.com/scopes, rotation: https://developer.calendly.com/refresh-token-rotation-guide
* Webhooks: https://developer.calendly.com/api-docs/overview/webhooks/webhook-signatures
* Limits: https://developer.calendly.com/api-docs/overview/rate-limits
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn
from urllib.parse import quote

import httpx

from calendar_app.domain.event import CalendarEvent, EventDraft, EventStatus
from calendar_app.domain.timespan import Span, merge, utc
from calendar_app.errors import (
    AuthExpired,
    CalendarNotFound,
    EventNotFound,
    InvalidInput,
    InvalidRequest,
    PermissionDenied,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    SyncTokenInvalid,
)
from calendar_app.providers.base import (
    Account,
    AppointmentType,
    Capability,
    EventPage,
    Grant,
    PushChannel,
    PushNotice,
    PushRequest,
    RemoteCalendar,
    ScopeNeed,
    WrittenEvent,
)
from calendar_app.providers.calendly.mapping import (
    Position,
    appointment_type_from,
    busy_from,
    calendar_from,
    event_from,
    mark_of,
    pending,
    rfc3339,
    uuid_of,
)
from calendar_app.providers.http import ProviderHttp, Query, retry_after, tls
from calendar_app.providers.oauth import AuthorizationCode, OAuthEndpoints
from calendar_app.settings import Settings, get_settings

log = logging.getLogger(__name__)

CAPABILITIES = (
    Capability.READ | Capability.FREEBUSY | Capability.DELTA | Capability.PUSH | Capability.APPOINTMENTS
)
NOTE = (
    "Calendly takes no events from other programs: what is booked there blocks time here, "
    "and bookings are written elsewhere."
)
PAGE_SIZE = 100
INVITEE_CALLS = 25
"""Events whose invitees one listing asks for, a call each: half of what a free plan may call in a minute."""
BUSY_WINDOW = timedelta(days=7)
"""The longest stretch that ``user_busy_times`` answers for."""
LONGEST_EVENT = timedelta(days=1)
"""An event that began this long before a bound may reach over it: Calendly bounds starts only."""
REPLAY_WINDOW = 180
"""Seconds by which a webhook's time may differ from ours."""
LARGEST_PUSH = 256 * 1024

SCOPES = (
    ScopeNeed("users:read", "know which account this is", required=True),
    ScopeNeed("scheduled_events:read", "see what customers have booked with you at Calendly", required=True),
    ScopeNeed(
        "availability:read",
        "check a time at Calendly once more before a booking is confirmed",
        required=False,
    ),
    ScopeNeed("webhooks:write", "hear at once when somebody books or cancels at Calendly", required=False),
    ScopeNeed("event_types:read", "show your Calendly event types", required=False),
    ScopeNeed("scheduled_events:write", "cancel a Calendly appointment for you", required=False),
)


class CalendlyOAuth:
    """:class:`calendar_app.providers.base.OAuthClient` for Calendly; ``transport`` is a seam for tests.

    Every refresh answers with a new refresh token and ends the old one at once.
    """

    scopes: Sequence[ScopeNeed] = SCOPES
    issuer = "https://calendly.com"

    def __init__(self, settings: Settings, *, transport: httpx.BaseTransport | None = None) -> None:
        self._api = settings.calendly_api_url
        self._transport = transport
        self._timeout = settings.http_timeout
        self._flow = AuthorizationCode(
            OAuthEndpoints(
                title="Calendly",
                client_id=settings.calendly_client_id,
                client_secret=settings.calendly_client_secret,
                authorize=settings.calendly_auth_url,
                token=settings.calendly_token_url,
                revoke=settings.calendly_revoke_url,
                revoke_as_client=True,
            ),
            " ".join(need.scope for need in SCOPES),
            timeout=settings.http_timeout,
            transport=transport,
        )

    def authorization_url(
        self, *, state: str, code_verifier: str, redirect_uri: str, login_hint: str = ""
    ) -> str:
        """The consent page; Calendly knows no ``login_hint``."""
        return self._flow.authorization_url(
            state=state, code_verifier=code_verifier, redirect_uri=redirect_uri
        )

    def exchange(self, *, code: str, code_verifier: str, redirect_uri: str) -> Grant:
        return _named(self._flow.exchange(code=code, code_verifier=code_verifier, redirect_uri=redirect_uri))

    def refresh(self, refresh_token: str) -> Grant:
        return _named(self._flow.refresh(refresh_token))

    def revoke(self, token: str) -> None:
        self._flow.revoke(token)

    def account(self, access_token: str) -> Account:
        """``users/me``: the user's URI never changes, the address may."""
        with httpx.Client(verify=tls(), transport=self._transport, timeout=self._timeout) as client:
            user = _me(ProviderHttp(self._api, access_token, to_error, client=client))
        return Account(str(user["uri"]), str(user.get("email") or ""), str(user.get("name") or ""))


def _named(grant: Grant) -> Grant:
    """``write`` includes ``read``; applications from before scopes have one that means everything."""
    if "default" in grant.scopes:
        return replace(grant, scopes=tuple(need.scope for need in SCOPES))
    implied = [scope.removesuffix(":write") + ":read" for scope in grant.scopes if scope.endswith(":write")]
    return replace(grant, scopes=tuple(dict.fromkeys((*grant.scopes, *implied))))


class CalendlyCalendar:
    """:class:`~calendar_app.providers.base.CalendarProvider` and :class:`~calendar_app.providers.base.Appointments` for
    Calendly, on one access token. ``now`` is a seam for tests."""

    capabilities = CAPABILITIES

    def __init__(
        self, http: ProviderHttp, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._http = http
        self._now = now

    def list_calendars(self) -> list[RemoteCalendar]:
        """One: what was booked with the user. Colleagues connect their own accounts."""
        return [calendar_from(_me(self._http))]

    def event_pages(
        self, calendar_id: str, cursor: str | None, *, since: datetime | None = None
    ) -> Iterator[EventPage]:
        """``scheduled_events`` from ``since`` on, cancelled ones included, compared with what the cursor remembers.

        Calendly has no deltas, so the cursor is ours. An event is told as cancelled only where Calendly says so; one
        that is merely missing (its data were deleted) goes with the next full listing. Where nothing changed that is
        one request per hundred events. Invitees cost one call each and are asked for changed events that are not over,
        :data:`INVITEE_CALLS` per listing; what is left comes with the next ones.
        """
        before = _position(cursor) if cursor is not None else Position(_bound(since), {})
        query: dict[str, str | int] = {"user": calendar_id, "count": PAGE_SIZE, "sort": "start_time:asc"}
        if before.since:
            query["min_start_time"] = before.since
        reading = _Reading(self, before, first=cursor is None)
        try:
            for page in self._pages("/scheduled_events", query):
                yield EventPage(reading.take(page))
        except EventNotFound as error:
            raise CalendarNotFound(reason=error.reason) from None
        yield EventPage((), Position(before.since, reading.marks).written())

    def get_event(self, calendar_id: str, remote_id: str) -> CalendarEvent:
        """One scheduled event with its invitees; a cancelled one counts as gone."""
        item = _resource(self._http.json("GET", _event_path(remote_id)))
        event = event_from(item, self.invitees(remote_id))
        if event.status is EventStatus.CANCELLED:
            raise EventNotFound(reason="canceled")
        return event

    def invitees(self, remote_id: str) -> list[Mapping[str, Any]]:
        """Who is invited to an event; the first hundred."""
        answer = self._http.json("GET", f"{_event_path(remote_id)}/invitees", query={"count": PAGE_SIZE})
        return list(answer.get("collection") or ())

    def is_over(self, item: Mapping[str, Any]) -> bool:
        """Whether an event as listed has ended."""
        return str(item.get("end_time") or "") <= rfc3339(self._now())

    def put_event(self, calendar_id: str, draft: EventDraft, *, etag: str = "") -> WrittenEvent:
        """Refused: no WRITE."""
        _read_only()

    def delete_event(self, calendar_id: str, remote_id: str, *, etag: str = "") -> None:
        """Refused: no WRITE; see :meth:`cancel_appointment`."""
        _read_only()

    def freebusy(self, calendar_ids: Sequence[str], span: Span) -> Mapping[str, list[Span] | ProviderError]:
        """``user_busy_times``, a week at a time; of these, Calendly's own events."""
        found: dict[str, list[Span] | ProviderError] = {}
        for calendar_id in calendar_ids:
            try:
                found[calendar_id] = merge(self._busy(calendar_id, span))
            except (PermissionDenied, EventNotFound, InvalidRequest) as error:
                found[calendar_id] = CalendarNotFound(reason=error.reason)
        return found

    def watch(
        self, calendar_id: str, *, channel_id: str, token: str, address: str, expires_at: datetime
    ) -> PushChannel:
        """A webhook subscription for the user's own events, signed with ``token``.

        It has no end of its own; being opened anew when the channel is renewed brings one back that Calendly disabled.
        """
        organization = str(_me(self._http).get("current_organization") or "")
        callback = f"{address}?channel={quote(channel_id, safe='')}"
        body = {
            "url": callback,
            "events": ["invitee.created", "invitee.canceled"],
            "organization": organization,
            "user": calendar_id,
            "scope": "user",
            "signing_key": token,
        }
        try:
            made = _resource(self._http.json("POST", "/webhook_subscriptions", body=body))
        except InvalidRequest as error:
            if error.reason != _ALREADY_EXISTS:
                raise
            made = self._subscription(organization, calendar_id, callback)
        return PushChannel(channel_id, uuid_of(made["uri"]), expires_at)

    def stop_channel(self, channel: PushChannel) -> None:
        """Delete the subscription; an unknown one has ended already."""
        try:
            self._http.json("DELETE", f"/webhook_subscriptions/{quote(channel.resource_id, safe='')}")
        except EventNotFound:
            return

    def appointment_types(self, calendar_id: str) -> list[AppointmentType]:
        """The user's active event types."""
        query: Query = {"user": calendar_id, "active": True, "count": PAGE_SIZE}
        return [appointment_type_from(item) for page in self._pages("/event_types", query) for item in page]

    def cancel_appointment(self, calendar_id: str, remote_id: str, reason: str) -> None:
        """Cancel an event for everybody, as its host; Calendly tells the invitees. Cancelled already is success."""
        try:
            self._http.json("POST", f"{_event_path(remote_id)}/cancellation", body={"reason": reason})
        except PermissionDenied as error:
            if "already canceled" not in error.detail:
                raise

    def _busy(self, calendar_id: str, span: Span) -> Iterator[Span]:
        start, end = utc(span.start), utc(span.end)
        while start < end:
            until = min(end, start + BUSY_WINDOW)
            query = {"user": calendar_id, "start_time": rfc3339(start), "end_time": rfc3339(until)}
            answer = self._http.json("GET", "/user_busy_times", query=query)
            try:
                yield from busy_from(answer.get("collection") or ())
            except (KeyError, TypeError, ValueError):
                raise ProviderUnavailable(reason="bad_body") from None
            start = until

    def _subscription(self, organization: str, user: str, callback: str) -> Mapping[str, Any]:
        """The subscription that an attempt before this one has made, whose answer was lost."""
        query: Query = {"organization": organization, "user": user, "scope": "user", "count": PAGE_SIZE}
        for page in self._pages("/webhook_subscriptions", query):
            for item in page:
                if item.get("callback_url") == callback:
                    return item
        raise InvalidRequest(reason=_ALREADY_EXISTS)

    def _pages(self, path: str, query: Query) -> Iterator[list[Mapping[str, Any]]]:
        token = ""
        while True:
            page = self._http.json("GET", path, query={**query, "page_token": token} if token else query)
            items = page.get("collection")
            if not isinstance(items, list):
                raise ProviderUnavailable(reason="bad_body")
            yield items
            before, token = token, str((page.get("pagination") or {}).get("next_page_token") or "")
            if not token:
                return
            if token == before:
                raise ProviderUnavailable("Calendly's list of events does not end.", reason="page_token")


class _Reading:
    """One listing in the making: what is new in it, and the marks that the next one compares with."""

    def __init__(self, calendar: CalendlyCalendar, before: Position, *, first: bool) -> None:
        self._calendar, self._before, self._first = calendar, before.marks, first
        self._calls = INVITEE_CALLS
        self.marks: dict[str, str] = {}

    def take(self, page: Sequence[Mapping[str, Any]]) -> tuple[CalendarEvent, ...]:
        """The events of a page that are not as they were."""
        return tuple(event for item in page if (event := self._new(item)) is not None)

    def _new(self, item: Mapping[str, Any]) -> CalendarEvent | None:
        uuid, mark = uuid_of(item.get("uri")), mark_of(item)
        known = self._before.get(uuid)
        self.marks[uuid] = mark
        if known == mark:
            return None
        gone = item.get("status") == "canceled"
        needed = not gone and not self._calendar.is_over(item)
        people = self._invitees(uuid) if needed else []
        if people is None:
            self.marks[uuid] = pending(mark)
            if known == pending(mark):
                return None
        if gone and self._first:
            return None
        try:
            return event_from(item, people)
        except (KeyError, TypeError, ValueError):
            log.warning("an event was left out of the mirror: it cannot be read", extra={"event_id": uuid})
            return None

    def _invitees(self, uuid: str) -> list[Mapping[str, Any]] | None:
        """``None``: not now. An event matters more than the names of those who come."""
        if not self._calls:
            return None
        self._calls -= 1
        try:
            return self._calendar.invitees(uuid)
        except (RateLimited, ProviderUnavailable):
            self._calls = 0
            return None
        except (EventNotFound, PermissionDenied):
            return []


def _me(http: ProviderHttp) -> Mapping[str, Any]:
    user = _resource(http.json("GET", "/users/me"))
    if not user.get("uri"):
        raise ProviderUnavailable("Calendly did not say whose account this is.", reason="bad_body")
    return user


def _resource(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    found = answer.get("resource")
    if not isinstance(found, dict):
        raise ProviderUnavailable("Calendly sent an answer that cannot be read.", reason="bad_body")
    return found


def _position(cursor: str) -> Position:
    try:
        return Position.read(cursor)
    except ValueError:
        raise SyncTokenInvalid(reason="cursor") from None


def _bound(since: datetime | None) -> str:
    return rfc3339(since - LONGEST_EVENT) if since else ""


def _event_path(remote_id: str) -> str:
    return f"/scheduled_events/{quote(remote_id, safe='')}"


def _read_only() -> NoReturn:
    raise PermissionDenied(NOTE, reason="read_only")


def read_push(request: PushRequest, *, clock: Callable[[], float] = time.time) -> Sequence[PushNotice]:
    """A webhook that names its channel in the address and proves itself by ``Calendly-Webhook-Signature``.

    ``t=<epoch seconds>,v1=<hex HMAC-SHA256 of "t.body">``, keyed with the channel's secret, or with the application's
    own signing key where an operator set it (``CALENDLY_WEBHOOK_KEY``): Calendly may sign with that one instead. A
    message that is older or newer than :data:`REPLAY_WINDOW` proves nothing, and the same message counts once.

    :raises InvalidInput: no channel, no signature, or too large to be a notification.
    """
    channel_id = request.query.get("channel", "")
    header = request.headers.get("calendly-webhook-signature", "")
    signed = _SIGNATURE.fullmatch(header)
    if not channel_id or signed is None or len(request.body) > LARGEST_PUSH:
        raise InvalidInput("This is no notification of Calendly's.")
    moment, given = signed.groups()
    fresh = abs(clock() - int(moment)) <= REPLAY_WINDOW

    def authentic(secret: str) -> bool:
        app_key = get_settings().calendly_webhook_key.get_secret_value()
        message = f"{moment}.".encode() + request.body
        return fresh and any(
            hmac.compare_digest(hmac.new(key.encode(), message, hashlib.sha256).hexdigest(), given)
            for key in (secret, app_key)
            if key
        )

    return [PushNotice(channel_id, authentic, once=f"{moment}.{given}")]


_SIGNATURE = re.compile("t=([0-9]{1,12}),v1=([0-9a-f]{64})")
_ALREADY_EXISTS = "Already Exists"


def to_error(response: httpx.Response) -> ProviderError:
    """Calendly's error body (``title``, ``message``, ``details``) -> our tree.

    A rate limit says in ``X-RateLimit-Reset`` how many seconds are left; 424 means that a calendar behind Calendly did
    not answer.
    """
    title, message = _reason(response)
    status = response.status_code
    if status == 429:
        return RateLimited("Calendly asked us to slow down.", reason=title, retry_after=_reset(response))
    if status >= 500 or status == 424:
        return ProviderUnavailable(
            "Calendly cannot be reached right now.", reason=title, retry_after=retry_after(response)
        )
    if status == 401:
        return AuthExpired(reason=title)
    if status == 403:
        return PermissionDenied(
            _sentence("Calendly does not allow this for this account", message), reason=title
        )
    if status == 404:
        return EventNotFound(reason=title)
    return InvalidRequest(_sentence("Calendly refused the request", message), reason=title)


def _reset(response: httpx.Response) -> float | None:
    left = response.headers.get("x-ratelimit-reset", "")
    return retry_after(response) or (float(left) if left.isascii() and left.isdigit() else None)


def _reason(response: httpx.Response) -> tuple[str, str]:
    try:
        body = response.json()
        details = [str(part.get("message") or "") for part in body.get("details") or ()]
        return str(body.get("title") or ""), "; ".join([str(body.get("message") or ""), *details])
    except (ValueError, TypeError, AttributeError):
        return "", ""


def _sentence(what: str, message: str) -> str:
    words = " ".join(message.split())[:200].rstrip(".")
    return f"{what}: {words}." if words else f"{what}."
