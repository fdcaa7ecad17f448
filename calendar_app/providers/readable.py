"""Reading vendors' events that do not look as documented: what is clear counts, what is not is told.

An event is never left out. Where one of its times is clear, it is busy from or until then; where none is, it stands in
the mirror without a time, so that its calendar can say so.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, time, timedelta
from typing import Any, TypeVar

from calendar_app.domain.event import CalendarEvent, EventTime
from calendar_app.domain.unread import Unread
from calendar_app.errors import ProviderUnavailable

T = TypeVar("T")
Json = Mapping[str, Any]
log = logging.getLogger(__name__)

NO_TIME = "Its time cannot be read, so it cannot count as busy."
NO_START = "Its start cannot be read, so it counts as busy from the beginning of the day on which it ends."
NO_END = "Its end cannot be read, so it counts as busy until the end of its day."
TURNED = "It ends before it starts, so the time between counts as busy."
NOT_AS_DOCUMENTED = (KeyError, TypeError, ValueError, AttributeError, OverflowError)
"""What reading a value of another kind than the documented one ends in."""


def readable(
    items: Iterable[Any], read: Callable[[Json], CalendarEvent]
) -> tuple[tuple[CalendarEvent, ...], tuple[Unread, ...]]:
    """Every item as an event, and what is said of those that cannot even be told apart."""
    events: list[CalendarEvent] = []
    unread: list[Unread] = []
    for item in items:
        try:
            events.append(read(item))
        except NOT_AS_DOCUMENTED:
            named = mapping(item)
            log.warning("an event cannot be read", extra={"event_id": named.get("id")})
            if remote_id := named.get("id"):
                events.append(_without_time(str(remote_id), named))
            else:
                unread.append(Unread("An event", "The provider sent it in a form that cannot be read."))
    return tuple(events), tuple(unread)


def whole(items: Iterable[Any], read: Callable[[Json], CalendarEvent]) -> list[CalendarEvent]:
    """The items as events, for whoever has to know of each when it is.

    :raises ProviderUnavailable: of one that takes place no time can be read.
    """
    events, unread = readable(items, read)
    if unread or any(event.start is None and event.blocks_time for event in events):
        raise ProviderUnavailable(reason="bad_body")
    return list(events)


def attempt(read: Callable[[], T], otherwise: T) -> T:
    """What ``read`` gives, or ``otherwise`` where the value is not as documented."""
    try:
        return read()
    except NOT_AS_DOCUMENTED:
        return otherwise


def mapping(value: object) -> Json:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def objects(value: object) -> list[Json]:
    """The objects of a list; other things in it, and other values, are none."""
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def clear_times(
    start: EventTime | None, end: EventTime | None
) -> tuple[EventTime | None, EventTime | None, tuple[str, ...]]:
    """Start and end of an event that takes place, and sentences about what of them was not clear."""
    if start is None and end is None:
        return None, None, (NO_TIME,)
    if end is None:
        assert start is not None, "one of them is there"
        return start, EventTime(_day_after(start.value, start), start.zone), (NO_END,)
    if start is None:
        # The end of a day is no part of it: an event that ends at midnight, or before a date, lies in the day before.
        first = end.value - (timedelta(days=1) if end.all_day else timedelta(microseconds=1))
        value = first if end.all_day else datetime.combine(first, time())
        return EventTime(value, end.zone), end, (NO_START,)
    if start.all_day != end.all_day:
        end = _alike(start, end)
    if start.zone == end.zone and end.value < start.value:
        return end, start, (TURNED,)
    return start, end, ()


def _alike(start: EventTime, end: EventTime) -> EventTime:
    """An end of the start's kind, and not before the one that was sent."""
    if start.all_day:
        return EventTime(_day_after(end.value, start))
    return EventTime(datetime.combine(end.value, time()), start.zone)


def _day_after(value: date, kind: EventTime) -> date:
    following = date(value.year, value.month, value.day) + timedelta(days=1)
    return following if kind.all_day else datetime.combine(following, time())


def _without_time(remote_id: str, item: Json) -> CalendarEvent:
    master = item.get("recurringEventId") or item.get("seriesMasterId")
    return CalendarEvent(
        remote_id,
        summary=str(item.get("summary") or item.get("subject") or ""),
        etag=str(item.get("etag") or item.get("@odata.etag") or ""),
        master_id=str(master) if master else None,
        unread=(NO_TIME,),
    )
