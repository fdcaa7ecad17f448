"""Calls to Calendly's API v2 (https://developer.calendly.com/api-docs)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NoReturn
from urllib.parse import quote

from calendar_app.clock import utc_now
from calendar_app.domain.event import CalendarEvent, EventDraft, EventStatus
from calendar_app.domain.timespan import Span, merge, utc
from calendar_app.errors import (
    CalendarNotFound,
    EventNotFound,
    InvalidRequest,
    PermissionDenied,
    ProviderUnavailable,
    RateLimited,
    SyncTokenInvalid,
)
from calendar_app.providers.base import (
    AppointmentType,
    BusyAnswer,
    Capability,
    EventPage,
    PushChannel,
    RemoteCalendar,
    WrittenEvent,
)
from calendar_app.providers.calendly.errors import ALREADY_EXISTS
from calendar_app.providers.calendly.mapping import (
    Position,
    appointment_type_from,
    busy_from,
    calendar_from,
    event_from,
    mark_of,
    pending,
    resource_of,
    rfc3339,
    uuid_of,
)
from calendar_app.providers.http import ProviderHttp, Query

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
FROM_NOW = timedelta(minutes=1)
"""``user_busy_times`` takes no start in the past, by Calendly's clock and when the request arrives there
(https://developer.calendly.com/api-docs/calendly-api/availability/list-user-busy-times)."""
NO_WEBHOOKS = "This Calendly plan has no webhooks, by which changes would be told at once."
NOT_PROVEN = (
    "Set CALENDLY_WEBHOOK_KEY to the webhook signing key of your Calendly app: Calendly signs the webhooks of OAuth "
    "apps with it."
)
BUSY_WINDOW = timedelta(days=7)
"""The longest stretch that ``user_busy_times`` answers for."""
LONGEST_EVENT = timedelta(days=1)
"""An event that began this long before a bound may reach over it: Calendly bounds starts only."""


class CalendlyCalendar:
    """:class:`~calendar_app.providers.base.CalendarProvider` and :class:`~calendar_app.providers.base.Appointments` for
    Calendly, on one access token. ``now`` is a seam for tests."""

    capabilities = CAPABILITIES

    def __init__(self, http: ProviderHttp, *, now: Callable[[], datetime] = utc_now) -> None:
        self._http = http
        self._now = now

    def list_calendars(self) -> list[RemoteCalendar]:
        """One: what was booked with the user. Colleagues connect their own accounts."""
        return [calendar_from(self._me())]

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
        item = resource_of(self._http.json("GET", _event_path(remote_id)))
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

    def events_in(self, calendar_id: str, span: Span) -> list[CalendarEvent]:
        """``scheduled_events`` that start in the span, or a day before it."""
        query: Query = {
            "user": calendar_id,
            "count": PAGE_SIZE,
            "min_start_time": rfc3339(utc(span.start) - LONGEST_EVENT),
            "max_start_time": rfc3339(utc(span.end)),
        }
        try:
            return [event_from(item) for page in self._pages("/scheduled_events", query) for item in page]
        except EventNotFound as error:
            raise CalendarNotFound(reason=error.reason) from None
        except (KeyError, TypeError, ValueError):
            raise ProviderUnavailable(reason="bad_body") from None

    def freebusy(self, calendar_ids: Sequence[str], span: Span) -> Mapping[str, BusyAnswer]:
        """``user_busy_times``, a week at a time; of these, Calendly's own events. What is over is not asked for, and
        where Calendly refuses the question the events have to tell."""
        found: dict[str, BusyAnswer] = {}
        for calendar_id in calendar_ids:
            try:
                found[calendar_id] = merge(self._busy(calendar_id, span))
            except InvalidRequest:
                found[calendar_id] = None
            except (PermissionDenied, EventNotFound) as error:
                found[calendar_id] = CalendarNotFound(reason=error.reason)
        return found

    def watch(
        self, calendar_id: str, *, channel_id: str, token: str, address: str, expires_at: datetime
    ) -> PushChannel:
        """A webhook subscription for the user's own events, signed with ``token`` or with the application's own key
        (:mod:`.push`).

        It has no end of its own; being opened anew when the channel is renewed brings one back that Calendly disabled.
        """
        organization = str(self._me().get("current_organization") or "")
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
            made = resource_of(self._http.json("POST", "/webhook_subscriptions", body=body))
        except PermissionDenied as error:
            if (
                "upgrade" in error.detail
            ):  # before November 2026 free plans had none (release notes, 3 November 2026)
                raise PermissionDenied(f"{NO_WEBHOOKS} {error.detail}", reason="plan") from None
            raise
        except InvalidRequest as error:
            if error.reason != ALREADY_EXISTS:
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

    def _me(self) -> Mapping[str, Any]:
        return resource_of(self._http.json("GET", "/users/me"))

    def _busy(self, calendar_id: str, span: Span) -> Iterator[Span]:
        start, end = max(utc(span.start), self._now() + FROM_NOW), utc(span.end)
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
        raise InvalidRequest(reason=ALREADY_EXISTS)

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
