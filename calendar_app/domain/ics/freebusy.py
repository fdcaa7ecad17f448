"""VFREEBUSY (RFC 5545 §3.6.4) as events that block time: what free/busy links and files publish.

Each period of FREEBUSY (§3.8.2.6) is busy unless its FBTYPE is FREE (§3.2.9; types that nobody knows count as BUSY).
Periods end at a time or after a duration (§3.3.9). They should be in UTC; others are read as events' times are.

Periods have no names of their own. So one that cannot be read may be any that was known from an earlier reading and is
not in this one; and one whose end cannot be read, any of them that began then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta

from calendar_app.domain.event import CalendarEvent, EventTime, ShowAs
from calendar_app.domain.ics.lines import Component, FaultyLine, Line
from calendar_app.domain.recurrence.errors import RecurrenceError
from calendar_app.domain.recurrence.rule import parse_duration, parse_time
from calendar_app.domain.recurrence.wallclock import wall_seconds

MOST_PERIODS = 20_000
"""Periods that are kept apart of one component; those behind count as one busy time."""
MOST_REASONS = 100
_PREFIX, _SUFFIX = "busy-", "@freebusy.invalid"
_SHOW_AS = {"BUSY-UNAVAILABLE": ShowAs.OUT_OF_OFFICE, "BUSY-TENTATIVE": ShowAs.TENTATIVE}
_TITLES = {ShowAs.OUT_OF_OFFICE: "Unavailable", ShowAs.TENTATIVE: "Busy (tentative)"}


@dataclass(slots=True)
class BusyList:
    """The busy times of a component as events, and sentences without a full stop: ``doubts`` about what of them was not
    clear, ``lost`` about times of which nothing was. ``lost_ids`` stand for those of which the time, or the end, could
    not be read (:func:`may_be`)."""

    events: list[CalendarEvent] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    lost_ids: set[str] = field(default_factory=set)


def read_freebusy(component: Component, zone: Callable[[str], str | None]) -> BusyList:
    """The busy times of a VFREEBUSY; ``zone`` gives the IANA name of a TZID.

    A period of which only the start is clear is busy until the end of that day.
    """
    found = BusyList()
    events: dict[str, CalendarEvent] = {}
    for line in component.properties():
        if isinstance(line, FaultyLine):
            if line.name == "FREEBUSY":
                _lose(found, str(line))
            continue
        kind = line.params.get("FBTYPE", "BUSY").upper()
        if line.name != "FREEBUSY" or kind == "FREE":
            continue
        for event in _events(line, _SHOW_AS.get(kind, ShowAs.BUSY), zone, found):
            events.setdefault(event.remote_id, event)
    found.events = _bounded(list(events.values()), found)
    return found


def _events(
    line: Line, show_as: ShowAs, zone: Callable[[str], str | None], found: BusyList
) -> Iterator[CalendarEvent]:
    tzid = line.params.get("TZID", "")
    name = zone(tzid) if tzid else None
    for period in line.value.replace("\\,", ",").split(","):
        if not period.strip():
            continue
        try:
            start, end, doubt = _period(period.strip(), name)
        except (RecurrenceError, OverflowError):
            _lose(found, f"it cannot be read: {period.strip()[:40]!r}")
            continue
        if doubt:
            _add(found.doubts, doubt)
            found.lost_ids.add(f"{_PREFIX}{_stamp(start)}-{_SUFFIX}")
        yield _busy(start, end, show_as, doubt)


def _busy(start: EventTime, end: EventTime, show_as: ShowAs, doubt: str = "") -> CalendarEvent:
    name = f"{_PREFIX}{_stamp(start)}-{_stamp(end)}-{show_as}-{start.zone or ''}{_SUFFIX}"
    return CalendarEvent(
        remote_id=name,
        ical_uid=name,
        start=start,
        end=end,
        summary=_TITLES.get(show_as, "Busy"),
        show_as=show_as,
        unread=(f"{doubt[0].upper()}{doubt[1:]}.",) if doubt else (),
    )


def _period(text: str, zone: str | None) -> tuple[EventTime, EventTime, str]:
    """Start, end, and what is not clear of the end. :raises RecurrenceError: the start cannot be read."""
    first, _, second = (part.strip() for part in text.partition("/"))
    start = parse_time(first, zone)
    try:
        end = _end(start, second, zone)
    except (RecurrenceError, OverflowError):
        return start, _end_of_day(start), f"the end of a busy time cannot be read: {text[:40]!r}"
    if end.all_day != start.all_day:
        return start, _end_of_day(start), f"a busy time mixes a date and a time: {text[:40]!r}"
    if end.zone == start.zone and wall_seconds(end.value) < wall_seconds(start.value):
        return end, start, f"a busy time ends before it starts: {text[:40]!r}"
    return start, end, ""


def _end(start: EventTime, text: str, zone: str | None) -> EventTime:
    if text.lstrip("+-").startswith("P"):
        days, seconds = parse_duration(text)
        return EventTime(start.value + timedelta(days=days, seconds=seconds), start.zone)
    return parse_time(text, zone)


def _end_of_day(start: EventTime) -> EventTime:
    value = start.value
    if not isinstance(value, datetime):
        return EventTime(value + timedelta(days=1))
    return EventTime(datetime.combine(value.date() + timedelta(days=1), time()), start.zone)


def _bounded(events: list[CalendarEvent], found: BusyList) -> list[CalendarEvent]:
    """At most :data:`MOST_PERIODS` of them: the latest are put together."""
    if len(events) <= MOST_PERIODS:
        return events
    events.sort(key=lambda event: f"{event.start.value if event.start else ''}")
    kept, rest = events[: MOST_PERIODS - 1], events[MOST_PERIODS - 1 :]
    ends = max((event.end for event in rest if event.end), key=lambda end: str(end.value))
    start = rest[0].start
    assert start is not None, "every busy time has a start"
    doubt = f"there are more than {MOST_PERIODS:,} busy times; the last of them count as one"
    _add(found.doubts, doubt)
    return [*kept, _busy(start, EventTime(ends.value, start.zone), ShowAs.BUSY, doubt)]


def is_busy_time(remote_id: str) -> bool:
    """Whether the id is one that :func:`read_freebusy` gives."""
    return remote_id.endswith(_SUFFIX)


def may_be(remote_id: str, lost_id: str) -> bool:
    """Whether a busy time that was known is perhaps the one that could not be read."""
    return is_busy_time(lost_id) and remote_id.startswith(lost_id.removesuffix(_SUFFIX))


def _stamp(moment: EventTime) -> str:
    return f"{moment.value:%Y%m%dT%H%M%S}"


def _lose(found: BusyList, sentence: str) -> None:
    _add(found.lost, sentence)
    found.lost_ids.add(f"{_PREFIX}{_SUFFIX}")


def _add(sentences: list[str], sentence: str) -> None:
    if len(sentences) < MOST_REASONS:
        sentences.append(sentence)
