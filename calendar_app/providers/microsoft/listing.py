"""The events of a calendar by ``calendarView/delta``, every occurrence an event of its own.

Exchange expands series better than anybody else can: it knows moved, shortened and deleted occurrences, which a delta
answer names nowhere, and Outlook's custom zones. So masters are not handed on; occurrences and exceptions are, with
``master_id`` and without a rule, and the mirror shows each of them once.

*Window.* A calendar view has one, and it cannot be moved. Ours reaches from ``since`` to :data:`AHEAD` and
:data:`SLACK` from now, and stands in the cursor beside Graph's delta link. A cursor whose window has become too short
is refused like one that Graph refuses: the next listing is a full one of a new window. Events that lie behind the
window are not mirrored before it reaches them; a booking's last look at the calendar (``freebusy``) sees them.

*Full listing.* It names every occurrence once, with id, series and times only; the rest is its master's, which stands
in the same answer, or is fetched where the series began before the window.

*Changes.* ``@removed`` takes an event away, and with a master all that hangs on it. The deletion of one occurrence
shows as a change of its series and no more. Therefore the occurrences of each series that changed are listed anew
(``instances``), behind a cancellation of the master, which ends those that are listed no more.

*Where it is asked.* ``/me/calendars/{id}/calendarView/delta`` works but is not documented, and nobody has said what
personal accounts answer there. Where it is refused for a calendar that is there, the default calendar's delta is asked
at the documented ``/me/calendarView/delta``, and another calendar is polled: its whole window each time, by
``calendarView``. Its cursor says :data:`POLLED` in place of a link, and the delta is tried again with the next window.

Sources: https://learn.microsoft.com/graph/delta-query-events, https://learn.microsoft.com/graph/api/event-delta,
https://learn.microsoft.com/graph/api/event-list-instances; that occurrences come bare, and their deletions not at all,
stands in microsoft-graph-docs issues 7632 and 2963.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain

from calendar_app.domain.event import CalendarEvent
from calendar_app.domain.timespan import Span, instant, utc
from calendar_app.errors import (
    CalendarNotFound,
    EventNotFound,
    InvalidRequest,
    PermissionDenied,
    SyncTokenInvalid,
)
from calendar_app.providers.base import EventPage
from calendar_app.providers.http import Query
from calendar_app.providers.microsoft.graph import Graph, Json, calendar_path, event_path, is_default
from calendar_app.providers.microsoft.mapping import event_from, gone, graph_time, occurrence_of
from calendar_app.providers.readable import objects, readable

log = logging.getLogger(__name__)

PAGE_SIZE = 500
POLLED = "polled"
BEHIND, AHEAD, SLACK = timedelta(days=35), timedelta(days=400), timedelta(days=30)
"""The window around now; a cursor is good while its window reaches ``AHEAD``, that is for ``SLACK``."""

_CURSOR = re.compile(r"1 ([0-9]{1,11}) ([0-9]{1,11}) (\S+)")
_BAD_TOKEN = frozenset({"errorinvalidurlquery", "badrequest", "errorinvalidsyncstatedata"})
"""What Graph says of a delta token that it cannot read."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """A delta link and the window that it belongs to."""

    window: Span
    link: str

    @classmethod
    def read(cls, text: str) -> Cursor:
        """:raises SyncTokenInvalid: it is none of ours."""
        found = _CURSOR.fullmatch(text)
        if not found:
            raise SyncTokenInvalid(reason="unreadable")
        return cls(Span(int(found[1]), int(found[2])), found[3])

    def __str__(self) -> str:
        return f"1 {self.window.start} {self.window.end} {self.link}"


class Listing:
    """Listings of one calendar."""

    def __init__(self, graph: Graph, calendar_id: str, now: Callable[[], datetime]) -> None:
        self._graph = graph
        self._calendar_id = calendar_id
        self._now = now

    def full(self, since: datetime | None) -> Iterator[EventPage]:
        """Everything from ``since`` (:data:`BEHIND`) on."""
        now = self._now()
        window = Span(instant(since or now - BEHIND), instant(now + AHEAD + SLACK))
        masters: dict[str, Json] = {}
        found = self._first_round(window)
        if found is None:
            yield from self._polled(window)
            return
        for items, link in found:
            masters |= {str(item.get("id")): item for item in items if item.get("type") == "seriesMaster"}
            whole = [self._whole(item, masters) for item in items if _stands_alone(item)]
            events, unread = readable(whole, event_from)
            yield EventPage(events, str(Cursor(window, link)) if link else None, unread=unread)

    def changes(self, text: str) -> Iterator[EventPage]:
        """What changed since the cursor ``text``.

        :raises SyncTokenInvalid: Graph or we do not know it any more.
        """
        cursor = Cursor.read(text)
        if cursor.window.end < instant(self._now() + AHEAD):
            raise SyncTokenInvalid(reason="window_has_passed")
        if cursor.link == POLLED:
            yield from self._polled(cursor.window)
            return
        following = ""
        series: dict[str, None] = {}
        path = self._graph.local(cursor.link, SyncTokenInvalid(reason="foreign_link"))
        for items, link in self._round(path, None):
            following = link or ""
            single: list[Json] = []
            for item in items:
                master_id = "" if "@removed" in item else _series_of(item)
                if master_id:
                    series[master_id] = None
                else:
                    single.append(item)
            events, unread = readable(single, _single)
            yield EventPage(events, unread=unread)
        for master_id in series:
            events, unread = readable(self._instances(master_id, cursor.window), event_from)
            yield EventPage((gone(master_id), *events), unread=unread)
        yield EventPage((), str(Cursor(cursor.window, following)) if following else None)

    def _first_round(self, window: Span) -> Iterator[tuple[Sequence[Json], str | None]] | None:
        """The first round of the calendar's delta; ``None`` where there is none for it.

        :raises CalendarNotFound: the calendar is not there.
        """
        own, default = f"{calendar_path(self._calendar_id)}/calendarView/delta", "/me/calendarView/delta"
        for path in (own, default):
            pages = self._round(path, _bounds(window))
            try:
                return chain([next(pages)], pages)
            except (CalendarNotFound, InvalidRequest, PermissionDenied) as error:
                log.info("a delta is not offered", extra={"code": error.code, "reason": error.reason})
                if path == default or not is_default(self._graph, self._calendar_id):
                    return None
        return None

    def _polled(self, window: Span) -> Iterator[EventPage]:
        """Everything in the window, by pages that together are all there is."""
        query = {**_bounds(window), "$top": PAGE_SIZE}
        for page in self._graph.pages(f"{calendar_path(self._calendar_id)}/calendarView", query):
            events, unread = readable(page, event_from)
            yield EventPage(events, unread=unread, snapshot=True)
        yield EventPage((), str(Cursor(window, POLLED)), snapshot=True)

    def _round(self, path: str, query: Query | None) -> Iterator[tuple[Sequence[Json], str | None]]:
        """The pages of one round, and with the last one the link to the next round."""
        while True:
            try:
                page = self._graph.json("GET", path, query=query, page_size=PAGE_SIZE)
            except EventNotFound as error:
                raise CalendarNotFound(reason=error.reason) from None
            except InvalidRequest as error:
                if query is None and error.reason.lower() in _BAD_TOKEN:
                    raise SyncTokenInvalid(reason=error.reason) from None
                raise
            following = page.get("@odata.nextLink")
            yield (
                objects(page.get("value")),
                None if following else str(page.get("@odata.deltaLink") or "") or None,
            )
            if not following:
                return
            path, query = self._graph.local(str(following)), None

    def _whole(self, item: Json, masters: dict[str, Json]) -> Json:
        """An item of a full listing with all that it says; of an occurrence, by way of its master.

        A master that has gone meanwhile leaves occurrences that block time without a name, until the next listing
        takes them away.
        """
        master_id = str(item.get("seriesMasterId") or "")
        if item.get("type") != "occurrence" or "subject" in item or not master_id:
            return item
        if master_id not in masters:
            try:
                masters[master_id] = self._graph.json("GET", event_path(self._calendar_id, master_id))
            except EventNotFound:
                masters[master_id] = {}
        return occurrence_of(item, masters[master_id])

    def _instances(self, master_id: str, window: Span) -> Iterator[Json]:
        """Every occurrence and exception of a series in the window; nothing once it has gone."""
        path = f"{event_path(self._calendar_id, master_id)}/instances"
        try:
            for page in self._graph.pages(path, {**_bounds(window), "$top": PAGE_SIZE}):
                yield from page
        except EventNotFound:
            return


def _bounds(window: Span) -> Query:
    return {"startDateTime": graph_time(utc(window.start)), "endDateTime": graph_time(utc(window.end))}


def _stands_alone(item: Json) -> bool:
    return "@removed" not in item and item.get("type") != "seriesMaster"


def _single(item: Json) -> CalendarEvent:
    return gone(str(item["id"])) if "@removed" in item else event_from(item)


def _series_of(item: Json) -> str:
    """The master whose series an item belongs to, or is; empty for a single event."""
    return str((item.get("id") if item.get("type") == "seriesMaster" else item.get("seriesMasterId")) or "")
