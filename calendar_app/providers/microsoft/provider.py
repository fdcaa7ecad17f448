"""Calls to Microsoft Graph v1.0.

* Delta: https://learn.microsoft.com/graph/delta-query-events, https://learn.microsoft.com/graph/api/event-delta
* Events: https://learn.microsoft.com/graph/api/calendar-post-events, .../event-update, .../event-delete
* Push: https://learn.microsoft.com/graph/api/subscription-post-subscriptions

Events go by Graph's default ids, which end when an event leaves its calendar. With ``IdType="ImmutableId"`` an event
that its owner deleted keeps its id in "Deleted Items" (https://learn.microsoft.com/graph/outlook-immutable-id), and
would seem to stand.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from calendar_app.domain.event import CalendarEvent, EventDraft, EventTime, is_write_key
from calendar_app.domain.timespan import Span, instant, merge, utc
from calendar_app.errors import (
    AuthExpired,
    CalendarNotFound,
    EventNotFound,
    InvalidRequest,
    PermissionDenied,
    PreconditionFailed,
    ProviderError,
    ProviderUnavailable,
    SyncTokenInvalid,
)
from calendar_app.providers.base import Capability, EventPage, PushChannel, RemoteCalendar, WrittenEvent
from calendar_app.providers.http import ProviderHttp, Query
from calendar_app.providers.microsoft.errors import DUPLICATE
from calendar_app.providers.microsoft.mapping import (
    EXPAND_OWN,
    KEY_PROPERTY,
    body_from,
    calendar_from,
    event_from,
    gone,
    graph_time,
    merged_body,
    occurrence_of,
)
from calendar_app.providers.microsoft.push import client_state
from calendar_app.providers.microsoft.zones import iana_zone

log = logging.getLogger(__name__)

CAPABILITIES = Capability.READ | Capability.WRITE | Capability.FREEBUSY | Capability.DELTA | Capability.PUSH
PARALLEL = 4
"""Requests that one mailbox bears at once (https://learn.microsoft.com/graph/throttling-limits#outlook-service-limits)."""
NOTE = "Calendars that others share with you are not listed: their owners connect them."
PAGE_SIZE = 500
BEHIND, AHEAD, SLACK = timedelta(days=35), timedelta(days=400), timedelta(days=30)
"""A listing's window around now; a cursor is good while its window reaches ``AHEAD``, so for ``SLACK``."""
LONGEST_CHANNEL = timedelta(minutes=4230)
"""Graph has raised this for events since; all versions of its documentation grant so much."""
_REPEATS = 10
"""How often an event may be made again after its owner deleted it."""
_NEW = timedelta(minutes=10)
_CURSOR = re.compile(r"1 (\d{1,12}) (\d{1,12}) (\S+)")
_BUSY_FIELDS = "id,type,isAllDay,isCancelled,showAs,responseStatus,start,end,originalStartTimeZone"
_PREFER = 'outlook.timezone="UTC", outlook.body-content-type="text"'

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Cursor:
    """A delta link and the window that it belongs to, as :attr:`EventPage.cursor` carries them."""

    window: Span
    link: str

    @classmethod
    def read(cls, text: str) -> _Cursor:
        found = _CURSOR.fullmatch(text)
        if not found:
            raise SyncTokenInvalid(reason="unreadable")
        return cls(Span(int(found[1]), int(found[2])), found[3])

    def __str__(self) -> str:
        return f"1 {self.window.start} {self.window.end} {self.link}"


class MicrosoftCalendar:
    """:class:`calendar_app.providers.base.CalendarProvider` for Microsoft, on one access token.

    ``api_url`` is where Graph is: links that lead elsewhere are not followed. ``now`` is a seam for tests.
    """

    capabilities = CAPABILITIES

    def __init__(
        self, http: ProviderHttp, api_url: str, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._http = http
        self._api = f"{api_url.rstrip('/')}/"
        self._now = now

    def list_calendars(self) -> list[RemoteCalendar]:
        """``/me/calendars``, every page: those of the mailbox itself.

        Calendars that others share with the person are left out: reading them takes ``Calendars.Read.Shared``, and
        their events are not the person's own time.
        """
        items = [item for page in self._pages("/me/calendars", {"$top": 100}) for item in page]
        mailbox = next((_owner(item) for item in items if item.get("isDefaultCalendar")), "")
        zone = self._mailbox_zone()
        return [calendar_from(item, zone) for item in items if _owner(item) in ("", mailbox)]

    def event_pages(
        self, calendar_id: str, cursor: str | None, *, since: datetime | None = None
    ) -> Iterator[EventPage]:
        """``calendarView/delta`` over a window, every occurrence an event of its own.

        Exchange expands series better than anybody else can: it knows moved, shortened and deleted occurrences, which
        a delta answer names nowhere, and custom zones. So masters are not handed on; occurrences and exceptions are,
        with ``master_id``, without a rule. The window reaches from ``since`` to :data:`AHEAD` and :data:`SLACK` from
        now. It cannot be moved, so a cursor whose window has become too short is refused like one that Graph refuses,
        and a new window is listed in full.

        A full listing gives every occurrence once, with id and times only; the rest is its master's. In later
        listings the deletion of a single occurrence shows only as a change of its master. Therefore the occurrences
        of every series that changed are listed anew (``instances``) behind a cancellation of the master, which ends
        those that are listed no more.
        """
        base = f"{_calendar_path(calendar_id)}/calendarView/delta"
        if cursor is None:
            now = self._now()
            window = Span(instant(since or now - BEHIND), instant(now + AHEAD + SLACK))
            yield from self._full(calendar_id, base, window)
            return
        found = _Cursor.read(cursor)
        if found.window.end < instant(self._now() + AHEAD):
            raise SyncTokenInvalid(reason="window_has_passed")
        yield from self._changes(calendar_id, found)

    def get_event(self, calendar_id: str, remote_id: str) -> CalendarEvent:
        """One event with our marks; one that its organizer cancelled counts as it stands, as cancelled."""
        return event_from(self._read(calendar_id, remote_id))

    def put_event(self, calendar_id: str, draft: EventDraft, *, etag: str = "") -> WrittenEvent:
        """POST with ``transactionId``, or PATCH of what differs with ``If-Match``.

        A repeated ``transactionId`` gives the event that it made, or ``ErrorDuplicateTransactionId``; both mean that
        the event has to be brought to ``draft``.
        """
        if is_write_key(draft.remote_id) and not etag:
            current = self._create(calendar_id, draft)
        else:
            current = self._read(calendar_id, draft.remote_id)
        if etag and current.get("@odata.etag") != etag:
            raise PreconditionFailed(reason="changed")
        changes = merged_body(draft, current)
        if changes:
            current = self._http.json(
                "PATCH",
                _event_path(calendar_id, str(current["id"])),
                body=changes,
                headers={"prefer": _PREFER, "if-match": str(current.get("@odata.etag") or "*")},
            )
        return _written(current)

    def delete_event(self, calendar_id: str, remote_id: str, *, etag: str = "") -> None:
        """DELETE; 404 means that it is gone already. By our key, whatever was made with it."""
        headers = {"if-match": etag} if etag else {}
        own = is_write_key(remote_id)
        for one in (
            [str(item["id"]) for item in self._made_with(calendar_id, remote_id)] if own else [remote_id]
        ):
            try:
                self._http.json("DELETE", _event_path(calendar_id, one), headers=headers)
            except EventNotFound:
                continue

    def freebusy(self, calendar_ids: Sequence[str], span: Span) -> Mapping[str, list[Span] | ProviderError]:
        """A short ``calendarView`` of each calendar.

        ``getSchedule`` would answer for the whole mailbox, its default calendar only, and not for personal accounts;
        what we ask is whether *these* calendars are busy, so that our own events in each can be told apart.
        """
        found: dict[str, list[Span] | ProviderError] = {}
        query: Query = {
            "startDateTime": graph_time(utc(span.start)),
            "endDateTime": graph_time(utc(span.end)),
            "$select": _BUSY_FIELDS,
            "$top": 250,
        }
        for calendar_id in calendar_ids:
            try:
                pages = list(self._pages(f"{_calendar_path(calendar_id)}/calendarView", query))
            except AuthExpired:
                raise
            except EventNotFound as error:
                found[calendar_id] = CalendarNotFound(reason=error.reason)
            except ProviderError as error:
                found[calendar_id] = error
            else:
                found[calendar_id] = merge(_busy(item for page in pages for item in page))
        return found

    def watch(
        self, calendar_id: str, *, channel_id: str, token: str, address: str, expires_at: datetime
    ) -> PushChannel:
        """``POST /subscriptions``; Graph checks the address before it answers, and wants https."""
        answer = self._http.json(
            "POST",
            "/subscriptions",
            body={
                "changeType": "created,updated,deleted",
                "notificationUrl": address,
                "lifecycleNotificationUrl": address,
                "resource": f"/me/calendars/{calendar_id}/events",
                "expirationDateTime": graph_time(min(expires_at, self._now() + LONGEST_CHANNEL)),
                "clientState": client_state(channel_id, token),
            },
        )
        granted = answer.get("expirationDateTime")
        until = datetime.fromisoformat(str(granted)) if granted else expires_at
        return PushChannel(channel_id, str(answer.get("id") or ""), until)

    def stop_channel(self, channel: PushChannel) -> None:
        """``DELETE /subscriptions/{id}``; an unknown one has ended already."""
        if not channel.resource_id:
            return
        try:
            self._http.json("DELETE", f"/subscriptions/{quote(channel.resource_id, safe='')}")
        except EventNotFound:
            return

    def _full(self, calendar_id: str, base: str, window: Span) -> Iterator[EventPage]:
        query: Query = {
            "startDateTime": graph_time(utc(window.start)),
            "endDateTime": graph_time(utc(window.end)),
        }
        masters: dict[str, Json] = {}
        for items, link in self._delta(base, query):
            masters |= {str(item["id"]): item for item in items if item.get("type") == "seriesMaster"}
            whole = (self._whole(calendar_id, item, masters) for item in items if _stands_alone(item))
            yield EventPage(tuple(_readable(whole)), str(_Cursor(window, link)) if link else None)

    def _changes(self, calendar_id: str, cursor: _Cursor) -> Iterator[EventPage]:
        series: dict[str, None] = {}
        events: list[CalendarEvent] = []
        for items, link in self._delta(
            self._local(cursor.link, SyncTokenInvalid(reason="foreign_link")), None
        ):
            for item in items:
                if "@removed" in item:
                    events.append(gone(str(item["id"])))
                elif (
                    master_id := item["id"]
                    if item.get("type") == "seriesMaster"
                    else item.get("seriesMasterId")
                ):
                    series[str(master_id)] = None
                else:
                    events += _readable([item])
            if link is None:
                yield EventPage(tuple(events))
                events = []
                continue
            for master_id in series:
                yield EventPage(
                    (*events, gone(master_id), *self._instances(calendar_id, master_id, cursor.window))
                )
                events = []
            yield EventPage(tuple(events), str(_Cursor(cursor.window, link)))

    def _delta(self, path: str, query: Query | None) -> Iterator[tuple[Sequence[Json], str | None]]:
        """Pages of one round, and with the last one the link to the next round."""
        while True:
            try:
                page = self._http.json("GET", path, query=query, headers=_paged(PAGE_SIZE))
            except EventNotFound as error:
                raise CalendarNotFound(reason=error.reason) from None
            except InvalidRequest as error:
                if query is None and error.reason.lower() in _BAD_TOKEN:
                    raise SyncTokenInvalid(reason=error.reason) from None
                raise
            link, following = page.get("@odata.deltaLink"), page.get("@odata.nextLink")
            yield page.get("value") or (), None if following else str(link or "") or None
            if not following:
                return
            path, query = self._local(str(following), _strange_link()), None

    def _whole(self, calendar_id: str, item: Json, masters: dict[str, Json]) -> Json:
        """An item of a full listing with all that it says; of an occurrence, by way of its master.

        A master is missing where the series began before the window, and empty where it has gone meanwhile: its
        occurrences then block time without a name, until the next listing takes them away.
        """
        master_id = str(item.get("seriesMasterId") or "")
        if item.get("type") != "occurrence" or "subject" in item or not master_id:
            return item
        if master_id not in masters:
            try:
                masters[master_id] = self._http.json(
                    "GET", _event_path(calendar_id, master_id), headers={"prefer": _PREFER}
                )
            except EventNotFound:
                masters[master_id] = {}
        return occurrence_of(item, masters[master_id])

    def _instances(self, calendar_id: str, master_id: str, window: Span) -> Iterator[CalendarEvent]:
        """Every occurrence and exception of a series in the window; nothing once it has gone."""
        query: Query = {
            "startDateTime": graph_time(utc(window.start)),
            "endDateTime": graph_time(utc(window.end)),
            "$top": PAGE_SIZE,
        }
        try:
            for page in self._pages(f"{_event_path(calendar_id, master_id)}/instances", query):
                yield from _readable(page)
        except EventNotFound:
            return

    def _read(self, calendar_id: str, remote_id: str) -> Json:
        """The event of that id, or the one made with that key. :raises EventNotFound:"""
        if is_write_key(remote_id):
            made = self._made_with(calendar_id, remote_id)
            if not made:
                raise EventNotFound(reason="no_such_key")
            return made[0]
        return self._http.json(
            "GET",
            _event_path(calendar_id, remote_id),
            query={"$expand": EXPAND_OWN},
            headers={"prefer": _PREFER},
        )

    def _made_with(self, calendar_id: str, key: str) -> list[Json]:
        """What stands in the calendar and was made with ``key``: one event, or none."""
        query: Query = {
            "$filter": f"singleValueExtendedProperties/Any(ep: ep/id eq '{KEY_PROPERTY}' and ep/value eq '{key}')",
            "$expand": EXPAND_OWN,
        }
        try:
            return [
                item for page in self._pages(f"{_calendar_path(calendar_id)}/events", query) for item in page
            ]
        except EventNotFound as error:
            raise CalendarNotFound(reason=error.reason) from None

    def _create(self, calendar_id: str, draft: EventDraft) -> Json:
        """The event made with the draft's key, by this call or an earlier one.

        An answer may be an earlier event, and that one may have been deleted since; Exchange may also refuse its
        ``transactionId`` as used. Then the next of a fixed row is taken, so that calls that race still meet in one
        event.
        """
        for number in range(_REPEATS):
            transaction = f"{draft.key}-{number}" if number else draft.key
            try:
                made = self._http.json(
                    "POST",
                    f"{_calendar_path(calendar_id)}/events",
                    body=body_from(draft) | {"transactionId": transaction},
                    headers={"prefer": _PREFER},
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

    def _pages(self, path: str, query: Query) -> Iterator[Sequence[Json]]:
        following: Query | None = query
        while True:
            page = self._http.json("GET", path, query=following, headers={"prefer": _PREFER})
            yield page.get("value") or ()
            link = page.get("@odata.nextLink")
            if not link:
                return
            path, following = self._local(str(link), _strange_link()), None

    def _local(self, link: str, otherwise: ProviderError) -> str:
        """The path and query of a link into this API: the token that we send must not go anywhere else."""
        if not link.startswith(self._api) or re.search(r"[\s\\#]", link):
            raise otherwise
        return link.removeprefix(self._api.rstrip("/"))

    def _mailbox_zone(self) -> str:
        """The mailbox's IANA zone; without that permission, the one in which its owner last made an event."""
        try:
            settings = self._http.json("GET", "/me/mailboxSettings", query={"$select": "timeZone"})
            return iana_zone(str(settings.get("timeZone") or "")) or "UTC"
        except (PermissionDenied, EventNotFound):
            pass
        query: Query = {
            "$select": "originalStartTimeZone,isOrganizer",
            "$orderby": "lastModifiedDateTime desc",
            "$top": 25,
        }
        recent = self._http.json("GET", "/me/calendar/events", query=query)
        for item in recent.get("value") or ():
            zone = iana_zone(str(item.get("originalStartTimeZone") or ""))
            if item.get("isOrganizer") and zone not in (None, "UTC"):
                return str(zone)
        return "UTC"


_BAD_TOKEN = frozenset(
    {"errorinvalidurlquery", "errorinvalidurlqueryfilter", "badrequest", "errorinvalidsyncstatedata"}
)
"""What Graph says of a delta token that it cannot read."""


def _strange_link() -> ProviderUnavailable:
    return ProviderUnavailable("Microsoft sent an answer that cannot be read.", reason="foreign_link")


def _calendar_path(calendar_id: str) -> str:
    return f"/me/calendars/{quote(calendar_id, safe='')}"


def _event_path(calendar_id: str, remote_id: str) -> str:
    return f"{_calendar_path(calendar_id)}/events/{quote(remote_id, safe='')}"


def _paged(size: int) -> dict[str, str]:
    return {"prefer": f"odata.maxpagesize={size}, {_PREFER}"}


def _owner(item: Json) -> str:
    return str((item.get("owner") or {}).get("address") or "").lower()


def _stands_alone(item: Json) -> bool:
    return "@removed" not in item and item.get("type") != "seriesMaster"


def _written(item: Json) -> WrittenEvent:
    return WrittenEvent(
        str(item.get("id") or ""), str(item.get("@odata.etag") or ""), str(item.get("webLink") or "")
    )


def _readable(items: Iterable[Json]) -> Iterator[CalendarEvent]:
    for item in items:
        try:
            yield event_from(item)
        except (KeyError, TypeError, ValueError):
            log.warning(
                "an event was left out of the mirror: it cannot be read", extra={"event_id": item.get("id")}
            )


def _busy(items: Iterable[Json]) -> Iterator[Span]:
    """Spans of what blocks time; all-day events by the zone they were written in, as no calendar is known here."""
    for item in items:
        event = event_from(item)
        if not event.blocks_time or event.start is None or event.end is None:
            continue
        zone = iana_zone(str(item.get("originalStartTimeZone") or ""))
        yield Span(_at(event.start, zone), _at(event.end, zone))


def _at(time: EventTime, day_zone: str | None) -> int:
    value = (
        time.value if isinstance(time.value, datetime) else datetime.combine(time.value, datetime.min.time())
    )
    return instant(value.replace(tzinfo=ZoneInfo(time.zone or day_zone or "UTC")))
