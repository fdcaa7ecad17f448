"""UTC offsets of IANA zones as integers, so that hot paths do arithmetic instead of building datetimes.

``zoneinfo`` answers one instant at a time and does not publish its transitions. They are found here once per zone and
stretch of about a year, by asking once a day and bisecting where the offset changed, and are then kept. Asking daily
misses nothing: no zone in the tz database changes its offset twice within less than three days.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from functools import cache, lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo, available_timezones

from calendar_app.domain.timespan import Span
from calendar_app.errors import InvalidInput

MINUTE = 60
DAY = 86_400
_BLOCK = 400 * DAY
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_EARLIEST = int(datetime(1, 1, 3, tzinfo=UTC).timestamp())
_LATEST = int(datetime(9999, 12, 29, tzinfo=UTC).timestamp())


class OutOfRange(InvalidInput, ValueError):
    """An instant for which there is no date: outside the years 1 to 9999 (a few days at the ends included)."""

    title = "The time lies outside the years 1 to 9999"


class Segment(NamedTuple):
    """A stretch of instants ``[start, end)`` with one UTC offset, in seconds east of UTC."""

    start: int
    end: int
    offset: int


class Transition(NamedTuple):
    """At instant ``at`` the offset becomes ``after``; it was ``before`` one second earlier. Seconds east of UTC."""

    at: int
    before: int
    after: int


@cache
def zone_names() -> frozenset[str]:
    """The IANA zones known here."""
    # What a system's tz directory holds besides zones: "localtime" is another one on each machine.
    return frozenset(available_timezones()) - {"Factory", "localtime", "posixrules"}


def is_zone(name: object) -> bool:
    """Whether ``name`` is an IANA zone known here; case counts, and nothing is ever read as a path."""
    return isinstance(name, str) and name in zone_names()


def offset_at(zone: str, at: int) -> int:
    """Seconds east of UTC at an instant. :raises OutOfRange:"""
    if not _EARLIEST <= at <= _LATEST:
        raise OutOfRange
    offset = datetime.fromtimestamp(at, ZoneInfo(zone)).utcoffset()
    assert offset is not None
    return offset.days * DAY + offset.seconds


@lru_cache(maxsize=8192)
def _changes(zone: str, block: int) -> tuple[Transition, ...]:
    """Transitions ``t`` with ``block * _BLOCK < t <= (block + 1) * _BLOCK``."""
    start, end = max(block * _BLOCK, _EARLIEST), min((block + 1) * _BLOCK, _LATEST)
    found: list[Transition] = []
    before = offset_at(zone, start)
    for probe in range(start, end, DAY):
        low, high = probe, min(probe + DAY, end)
        after = offset_at(zone, high)
        if after != before:
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if offset_at(zone, middle) == before else (low, middle)
            found.append(Transition(high, before, after))
            before = after
    return tuple(found)


def transitions(zone: str, window: Span) -> list[Transition]:
    """Offset changes of ``zone`` at instants in ``window``, in order.

    :raises OutOfRange: when the window leaves the supported years.
    """
    start, end = window
    if start >= end:
        return []
    if not _EARLIEST < start < end <= _LATEST:
        raise OutOfRange
    blocks = range((start - 1) // _BLOCK, (end - 1) // _BLOCK + 1)
    return [change for block in blocks for change in _changes(zone, block) if start <= change.at < end]


def segments(zone: str, window: Span) -> list[Segment]:
    """``window`` cut where the zone's offset changes; empty for an empty window."""
    cursor, end = window
    if cursor >= end:
        return []
    parts: list[Segment] = []
    offset = offset_at(zone, cursor)
    for change in transitions(zone, Span(cursor + 1, end)):
        parts.append(Segment(cursor, change.at, offset))
        cursor, offset = change.at, change.after
    parts.append(Segment(cursor, end, offset))
    return parts


def wall_clock(zone: str, at: int) -> datetime:
    """What clocks in ``zone`` show at an instant, for people to read; instants beyond all dates become the last one."""
    return datetime.fromtimestamp(min(max(at, _EARLIEST), _LATEST), ZoneInfo(zone))


def day_number(day: date) -> int:
    """Days since 1970-01-01."""
    return day.toordinal() - _EPOCH_ORDINAL


def day_of(number: int) -> date:
    """The date of a day number."""
    return date.fromordinal(number + _EPOCH_ORDINAL)


def local_day(zone: str, at: int) -> date:
    """The calendar date that clocks in ``zone`` show at an instant."""
    return day_of((at + offset_at(zone, at)) // DAY)


def days_spans(parts: list[Segment], first: int, last: int) -> list[Span]:
    """The instants within ``parts`` whose local day number is in ``[first, last)``.

    One day may yield two spans: clocks that are set back across midnight show the end of a day twice.
    """
    spans: list[Span] = []
    for start, end, offset in parts:
        low, high = max(start, first * DAY - offset), min(end, last * DAY - offset)
        if low < high:
            spans.append(Span(low, high))
    return spans
