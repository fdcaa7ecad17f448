"""Calls to Microsoft Graph v1.0.

* Events: https://learn.microsoft.com/graph/api/calendar-post-events, .../event-update, .../event-delete
* Push: https://learn.microsoft.com/graph/api/subscription-post-subscriptions
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from calendar_app.clock import utc_now
from calendar_app.domain.event import CalendarEvent, EventDraft, is_write_key
from calendar_app.domain.meeting import FAILED
from calendar_app.domain.timespan import Span, instant, merge, utc
from calendar_app.errors import (
    CalendarNotFound,
    ChannelExists,
    EventNotFound,
    InvalidRequest,
    PermissionDenied,
    PreconditionFailed,
    ProviderError,
    ProviderUnavailable,
)
from calendar_app.providers.base import (
    BusyAnswer,
    Capability,
    EventPage,
    PushChannel,
    RemoteCalendar,
    WrittenEvent,
)
from calendar_app.providers.freebusy import one_by_one
from calendar_app.providers.http import ProviderHttp, Query
from calendar_app.providers.microsoft.errors import DUPLICATE
from calendar_app.providers.microsoft.graph import Graph, Json, calendar_path, event_path, is_default
from calendar_app.providers.microsoft.listing import Listing
from calendar_app.providers.microsoft.mapping import (
    EXPAND_OWN,
    KEY_PROPERTY,
    body_beside_meeting,
    body_from,
    calendar_from,
    event_from,
    graph_time,
    meeting_from,
    meeting_request,
    merged_body,
)
from calendar_app.providers.microsoft.subscriptions import (
    DEFAULT_RESOURCE,
    HANDSHAKE,
    granted,
    standing_subscription,
    subscription,
    subscription_path,
)
from calendar_app.providers.microsoft.zones import iana_zone
from calendar_app.providers.readable import whole

CAPABILITIES = (
    Capability.READ
    | Capability.WRITE
    | Capability.FREEBUSY
    | Capability.DELTA
    | Capability.PUSH
    | Capability.RENEW
)
PARALLEL = 4
"""Requests that one mailbox bears at once (https://learn.microsoft.com/graph/throttling-limits#outlook-service-limits)."""
NOTE = "Calendars that others share with you are not listed: their owners connect them."
LONGEST_CHANNEL = timedelta(minutes=4230)
"""Graph has raised this for events since; all versions of its documentation grant so much."""
_REPEATS = 10
"""How often an event may be made again after its owner deleted it."""
_NEW = timedelta(minutes=10)
_BUSY_FIELDS = "id,type,isAllDay,isCancelled,showAs,responseStatus,start,end"


class MicrosoftCalendar:
    """:class:`calendar_app.providers.base.CalendarProvider` for Microsoft, on one access token.

    ``api_url`` is where Graph is: links that lead elsewhere are not followed. ``now`` is a seam for tests.
    """

    capabilities = CAPABILITIES

    def __init__(self, http: ProviderHttp, api_url: str, *, now: Callable[[], datetime] = utc_now) -> None:
        self._graph = Graph(http, api_url)
        self._now = now
        self._zone: str | None = None

    def list_calendars(self) -> list[RemoteCalendar]:
        """``/me/calendars``, every page: those of the mailbox itself.

        Calendars that others share with the person are left out: reading them takes ``Calendars.Read.Shared``, and
        their events are not the person's own time.
        """
        items = [item for page in self._graph.pages("/me/calendars", {"$top": 100}) for item in page]
        mailbox = next((_owner(item) for item in items if item.get("isDefaultCalendar")), "")
        zone = self._mailbox_zone()
        return [calendar_from(item, zone) for item in items if _owner(item) in ("", mailbox)]

    def event_pages(
        self, calendar_id: str, cursor: str | None, *, since: datetime | None = None
    ) -> Iterator[EventPage]:
        """``calendarView/delta`` over a window that moves on with time; see :mod:`.listing`.

        :raises CalendarNotFound: it was removed.
        """
        listing = Listing(self._graph, calendar_id, self._now)
        yield from listing.full(since) if cursor is None else listing.changes(cursor)

    def get_event(self, calendar_id: str, remote_id: str) -> CalendarEvent:
        """One event with our marks; one that its organizer cancelled counts as it stands, as cancelled."""
        return event_from(self._read(calendar_id, remote_id))

    def put_event(self, calendar_id: str, draft: EventDraft, *, etag: str = "") -> WrittenEvent:
        """POST with ``transactionId``, or PATCH of what differs with ``If-Match``.

        A repeated ``transactionId`` gives the event that it made, or ``ErrorDuplicateTransactionId``; both mean that
        the event has to be brought to ``draft``.
        """
        request: Json = {}
        if is_write_key(draft.remote_id) and not etag:
            current = self._create(calendar_id, draft)
        else:
            current = self._read(calendar_id, draft.remote_id)
            request = meeting_request(draft, current)
        if etag and current.get("@odata.etag") != etag:
            raise PreconditionFailed(reason="changed")
        changes = merged_body(draft, current)
        if "body" in changes and current.get("isOnlineMeeting"):
            changes |= self._body_beside_meeting(calendar_id, current, changes.pop("body"))
        if changes or request:
            path, match = event_path(calendar_id, str(current["id"])), str(current.get("@odata.etag") or "*")
            current = _asking(
                lambda body: self._graph.json("PATCH", path, body=body, match=match), changes, request
            )
        return _written(current, draft)

    def _body_beside_meeting(self, calendar_id: str, current: Json, body: Json) -> Json:
        """The change of the body that keeps what people join its online meeting with; none where that is not found.

        Without it the meeting ends (https://learn.microsoft.com/graph/api/event-update, "body property and online
        meetings").
        """
        path = event_path(calendar_id, str(current["id"]))
        standing = self._graph.json("GET", path, query={"$select": "body"}, html=True)
        return body_beside_meeting(str(body["content"]), standing, current)

    def delete_event(self, calendar_id: str, remote_id: str, *, etag: str = "") -> None:
        """DELETE; 404 means that it is gone already. By our key, whatever was made with it."""
        found = [remote_id]
        if is_write_key(remote_id):
            found = [str(item["id"]) for item in self._made_with(calendar_id, remote_id)]
        for one in found:
            try:
                self._graph.json("DELETE", event_path(calendar_id, one), match=etag)
            except EventNotFound:
                continue

    def events_in(self, calendar_id: str, span: Span) -> list[CalendarEvent]:
        """``calendarView``: occurrences, each with its own answer."""
        query: Query = {
            "startDateTime": graph_time(utc(span.start)),
            "endDateTime": graph_time(utc(span.end)),
            "$select": _BUSY_FIELDS,
            "$top": 250,
        }
        try:
            pages = self._graph.pages(f"{calendar_path(calendar_id)}/calendarView", query)
            return whole((item for page in pages for item in page), event_from)
        except EventNotFound as error:
            raise CalendarNotFound(reason=error.reason) from None

    def freebusy(self, calendar_ids: Sequence[str], span: Span) -> Mapping[str, BusyAnswer]:
        """A short ``calendarView`` of each calendar.

        ``getSchedule`` would answer for the whole mailbox, its default calendar only, and not for personal accounts;
        what we ask is whether *these* calendars are busy, so that our own events in each can be told apart.
        """

        def busy(calendar_id: str) -> list[Span]:
            events = self.events_in(calendar_id, span)
            return merge(self._span(event) for event in events if event.blocks_time)

        return one_by_one(calendar_ids, busy)

    def watch(
        self, calendar_id: str, *, channel_id: str, token: str, address: str, expires_at: datetime
    ) -> PushChannel:
        """``POST /subscriptions``; Graph checks the address before it answers, and wants https.

        Where it takes no single calendar, as may be so for personal accounts, the default one has ``/me/events``.
        """
        wanted = subscription(calendar_id, channel_id, token, address, self._until(expires_at))
        try:
            answer = self._subscribed(wanted)
        except (InvalidRequest, EventNotFound, PermissionDenied) as error:
            if error.reason == HANDSHAKE or not is_default(self._graph, calendar_id):
                raise
            answer = self._subscribed({**wanted, "resource": DEFAULT_RESOURCE})
        return granted(answer, channel_id, expires_at)

    def _subscribed(self, wanted: Json) -> Json:
        try:
            return self._graph.json("POST", "/subscriptions", body=wanted)
        except ProviderError as error:
            if standing := standing_subscription(self._graph, error, wanted):
                raise ChannelExists(standing, reason=error.reason) from None
            raise

    def renew_channel(self, channel: PushChannel, expires_at: datetime) -> PushChannel:
        """``PATCH /subscriptions/{id}``, which authorizes it anew too; see :mod:`.push`."""
        body = {"expirationDateTime": graph_time(self._until(expires_at))}
        answer = self._graph.json("PATCH", subscription_path(channel.resource_id), body=body)
        return replace(granted(answer, channel.channel_id, expires_at), resource_id=channel.resource_id)

    def stop_channel(self, channel: PushChannel) -> None:
        """``DELETE /subscriptions/{id}``; an unknown one has ended already."""
        if not channel.resource_id:
            return
        try:
            self._graph.json("DELETE", subscription_path(channel.resource_id))
        except EventNotFound:
            return

    def _until(self, expires_at: datetime) -> datetime:
        return min(expires_at, self._now() + LONGEST_CHANNEL)

    def _read(self, calendar_id: str, remote_id: str) -> Json:
        """The event of that id, or the one made with that key. :raises EventNotFound:"""
        if is_write_key(remote_id):
            made = self._made_with(calendar_id, remote_id)
            if not made:
                raise EventNotFound(reason="no_such_key")
            return made[0]
        return self._graph.json("GET", event_path(calendar_id, remote_id), query={"$expand": EXPAND_OWN})

    def _made_with(self, calendar_id: str, key: str) -> list[Json]:
        """What stands in the calendar and was made with ``key``: one event, or none."""
        query: Query = {
            "$filter": f"singleValueExtendedProperties/Any(ep: ep/id eq '{KEY_PROPERTY}' and ep/value eq '{key}')",
            "$expand": EXPAND_OWN,
        }
        try:
            return [
                item
                for page in self._graph.pages(f"{calendar_path(calendar_id)}/events", query)
                for item in page
            ]
        except EventNotFound as error:
            raise CalendarNotFound(reason=error.reason) from None

    def _create(self, calendar_id: str, draft: EventDraft) -> Json:
        """The event made with the draft's key, by this call or an earlier one.

        An answer may be an earlier event, and that one may have been deleted since; Exchange may also refuse its
        ``transactionId`` as used. Then the next of a fixed row is taken, so that calls that race still meet in one
        event.
        """
        path = f"{calendar_path(calendar_id)}/events"
        for number in range(_REPEATS):
            body = body_from(draft) | {"transactionId": f"{draft.key}-{number}" if number else draft.key}
            try:
                made = _asking(
                    lambda body: self._graph.json("POST", path, body=body), body, meeting_request(draft)
                )
                if self._is_new(made):
                    return made
            except EventNotFound as error:
                raise CalendarNotFound(reason=error.reason) from None
            except (InvalidRequest, PreconditionFailed) as error:
                if error.reason.lower() != DUPLICATE.lower():
                    raise
            standing = self._made_with(calendar_id, draft.key)
            if standing:
                return standing[0]
        raise InvalidRequest(
            "Microsoft refuses to make this event again: it was deleted too often.", reason=DUPLICATE
        )

    def _is_new(self, made: Json) -> bool:
        """Whether an event that a POST answered with cannot be one of long ago."""
        created = str(made.get("createdDateTime") or "")
        return not created or self._now() - datetime.fromisoformat(created) < _NEW

    def _span(self, event: CalendarEvent) -> Span:
        """When an event is; days are the mailbox's, which is asked for its zone only where there is one."""
        sides = []
        for time in (event.start, event.end):
            if time is None:
                raise ProviderUnavailable("Microsoft sent an event without a time.", reason="bad_body")
            value, zone = time.value, time.zone
            if not isinstance(value, datetime):
                value, zone = datetime.combine(value, datetime.min.time()), self._mailbox_zone()
            sides.append(instant(value.replace(tzinfo=ZoneInfo(zone or "UTC"))))
        return Span(*sides)

    def _mailbox_zone(self) -> str:
        if self._zone is None:
            self._zone = self._read_zone()
        return self._zone

    def _read_zone(self) -> str:
        """The mailbox's IANA zone, empty where it names none that is known; without that permission, the one in which
        its owner last made an event."""
        try:
            settings = self._graph.json("GET", "/me/mailboxSettings", query={"$select": "timeZone"})
            return iana_zone(str(settings.get("timeZone") or "")) or ""
        except (PermissionDenied, EventNotFound):
            pass
        query: Query = {
            "$select": "originalStartTimeZone,isOrganizer",
            "$orderby": "lastModifiedDateTime desc",
            "$top": 25,
        }
        recent = self._graph.json("GET", "/me/calendar/events", query=query)
        for item in recent.get("value") or ():
            zone = iana_zone(str(item.get("originalStartTimeZone") or ""))
            if item.get("isOrganizer") and zone not in (None, "UTC"):
                return str(zone)
        return ""


def _owner(item: Json) -> str:
    return str((item.get("owner") or {}).get("address") or "").lower()


def _asking(send: Callable[[Json], Json], body: Json, request: Json) -> Json:
    """Send ``body`` with the ``request`` for an online meeting, and without it where that is refused: the event's time
    is what must stand. Graph may also answer 201 with an event that is no online meeting
    (microsoftgraph/microsoft-graph-docs issue 9741)."""
    try:
        return send({**body, **request})
    except InvalidRequest as error:
        if not request or error.reason.lower() == DUPLICATE.lower():
            raise
    return send(body)


def _written(item: Json, draft: EventDraft) -> WrittenEvent:
    return WrittenEvent(
        str(item.get("id") or ""),
        str(item.get("@odata.etag") or ""),
        str(item.get("webLink") or ""),
        meeting=(meeting_from(item) or FAILED) if draft.meeting else None,
    )
