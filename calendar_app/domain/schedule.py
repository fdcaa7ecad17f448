"""Working hours: weekly ranges and date overrides in a zone, and the instants that they mean.

A host says "Mondays nine to five" on the wall clock. What that means in elapsed time depends on the zone: an instant is
working time exactly when the clock in the schedule's zone shows, on the date it then shows, a time within one of that
date's ranges. So a range inside a gap (02:00-03:00 on the night clocks go forward) vanishes, a range inside an overlap
counts twice because the clock shows it twice, and a date that a zone skipped altogether has no working time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from types import MappingProxyType
from typing import Any, NamedTuple

from calendar_app.domain.timespan import Span
from calendar_app.domain.zones import (
    DAY,
    MINUTE,
    day_number,
    day_of,
    is_zone,
    segments,
    transitions,
)
from calendar_app.errors import InvalidInput

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY_NAMES = dict(
    zip(
        WEEKDAYS,
        ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
        strict=True,
    )
)
_MIDNIGHT = 24 * 60
_CLOCK = re.compile(r"([01][0-9]|2[0-4]):([0-5][0-9])", re.ASCII)
_MAX_OVERRIDES = 5_000


class ScheduleError(InvalidInput, ValueError):
    """A schedule that means nothing; ``field`` names the part (``"weekly.mon[1]"``, ``"overrides.2026-12-24"``)."""


class Range(NamedTuple):
    """``[start, end)`` in minutes since local midnight; ``end`` may be 1440, written ``24:00``."""

    start: int
    end: int

    def __str__(self) -> str:
        return f"{clock(self.start)}–{clock(self.end)}"


def clock(minutes: int) -> str:
    """Minutes since midnight as ``HH:MM``."""
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


class Piece(NamedTuple):
    """A stretch of one range with one UTC offset. ``anchor`` is where the range nominally starts at that offset."""

    start: int
    end: int
    anchor: int


@dataclass(frozen=True)
class Schedule:
    """Ranges per weekday (Monday first) in ``zone``; an override replaces its whole date, an empty one closes it.

    :raises ScheduleError: for an unknown zone, and for inverted, overlapping or out-of-day ranges. Ranges may touch.
    """

    zone: str
    weekly: tuple[tuple[Range, ...], ...]
    overrides: Mapping[date, tuple[Range, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not is_zone(self.zone):
            raise ScheduleError(f"{str(self.zone)[:64]!r} is not a known IANA time zone.", field="zone")
        if len(self.weekly) != len(WEEKDAYS):
            raise ScheduleError("A week has seven days, Monday first.", field="weekly")
        weekly = tuple(
            _ordered(ranges, f"weekly.{name}") for name, ranges in zip(WEEKDAYS, self.weekly, strict=True)
        )
        overrides = {
            day: _ordered(ranges, f"overrides.{day}") for day, ranges in sorted(self.overrides.items())
        }
        object.__setattr__(self, "weekly", weekly)
        object.__setattr__(self, "overrides", MappingProxyType(overrides))

    @classmethod
    def from_json(cls, document: object, zone: str) -> Schedule:
        """Read ``{"weekly": {"mon": [["09:00", "12:00"], …], …}, "overrides": {"2026-12-24": []}}``.

        Weekdays that are not named are closed; either key may be missing.

        :raises ScheduleError: naming the part that is wrong.
        """
        document = _mapping(document, "schedule")
        for key in document:
            if key not in ("weekly", "overrides"):
                raise ScheduleError(f"{_shown(key)} is not a part of a schedule.", field="schedule")
        weekly = _mapping(document.get("weekly", {}), "weekly")
        for name in weekly:
            if name not in WEEKDAYS:
                raise ScheduleError(f"{_shown(name)} is not one of {', '.join(WEEKDAYS)}.", field="weekly")
        overrides = _mapping(document.get("overrides", {}), "overrides")
        if len(overrides) > _MAX_OVERRIDES:
            raise ScheduleError(f"More than {_MAX_OVERRIDES} overrides.", field="overrides")
        return cls(
            zone,
            tuple(_ranges(weekly.get(name, []), f"weekly.{name}") for name in WEEKDAYS),
            {_date(text): _ranges(ranges, f"overrides.{text}") for text, ranges in overrides.items()},
        )

    def to_json(self) -> dict[str, Any]:
        """The form that :meth:`from_json` reads, all seven days named; the zone is stored beside it."""
        return {
            "weekly": {name: _written(ranges) for name, ranges in zip(WEEKDAYS, self.weekly, strict=True)},
            "overrides": {day.isoformat(): _written(ranges) for day, ranges in self.overrides.items()},
        }

    def ranges_on(self, day: date) -> tuple[Range, ...]:
        """The nominal ranges of a date, whatever the clocks do on it."""
        return self.ranges_on_number(day_number(day))

    def ranges_on_number(self, number: int) -> tuple[Range, ...]:
        """As :meth:`ranges_on`, for days since 1970-01-01 (a Thursday)."""
        found = self._by_number.get(number)
        return self.weekly[(number + 3) % 7] if found is None else found

    @cached_property
    def _by_number(self) -> dict[int, tuple[Range, ...]]:
        return {day_number(day): ranges for day, ranges in self.overrides.items()}


def _shown(value: object) -> str:
    return repr(value)[:64]


def _day_named(part: str) -> str:
    """``Monday`` for ``weekly.mon[0]``, ``2026-12-24`` for ``overrides.2026-12-24``."""
    key = part.partition(".")[2].partition("[")[0]
    return _DAY_NAMES.get(key, key or part)


def _mapping(value: object, part: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ScheduleError(f"{part} must be an object.", field=part)
    return value


def _date(text: object) -> date:
    try:
        day = date.fromisoformat(str(text))
    except ValueError:
        day = None
    if day is None or day.isoformat() != text:
        raise ScheduleError(
            f"{_shown(text)} is not a date like 2026-12-24.", field=f"overrides.{str(text)[:32]}"
        )
    return day


def _minutes(text: object, part: str) -> int:
    match = _CLOCK.fullmatch(text) if isinstance(text, str) else None
    minutes = int(match[1]) * 60 + int(match[2]) if match else _MIDNIGHT + 1
    if minutes > _MIDNIGHT:
        raise ScheduleError(f"{_shown(text)} is not a time from 00:00 to 24:00.", field=part)
    return minutes


def _ranges(value: object, part: str) -> tuple[Range, ...]:
    if not isinstance(value, list | tuple):
        raise ScheduleError(f"{part} must be a list of [from, to] pairs.", field=part)
    found: list[Range] = []
    for index, pair in enumerate(value):
        place = f"{part}[{index}]"
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise ScheduleError(f"{place} must be a pair [from, to].", field=place)
        range_ = Range(_minutes(pair[0], place), _minutes(pair[1], place))
        if range_.start >= range_.end:
            raise ScheduleError(
                f"{_day_named(place)}: {clock(range_.end)} is not after {clock(range_.start)}.", field=place
            )
        found.append(range_)
    return tuple(found)


def _ordered(ranges: Iterable[Range], part: str) -> tuple[Range, ...]:
    ordered = sorted(Range(*range_) for range_ in ranges)
    previous: Range | None = None
    for range_ in ordered:
        if not 0 <= range_.start < range_.end <= _MIDNIGHT:
            raise ScheduleError(f"{_day_named(part)}: hours must lie within one day.", field=part)
        if previous is not None and range_.start < previous.end:
            raise ScheduleError(f"{_day_named(part)}: {previous} and {range_} overlap.", field=part)
        previous = range_
    return tuple(ordered)


def _written(ranges: Sequence[Range]) -> list[list[str]]:
    return [[clock(range_.start), clock(range_.end)] for range_ in ranges]


def pieces(schedule: Schedule, window: Span) -> Iterator[Piece]:
    """Working time in ``window``, range by range and offset by offset, in order; touching pieces are not joined."""
    for start, end, offset in segments(schedule.zone, window):
        for number in range((start + offset) // DAY, (end - 1 + offset) // DAY + 1):
            midnight = number * DAY - offset
            for opens, closes in schedule.ranges_on_number(number):
                anchor = midnight + opens * MINUTE
                low, high = max(anchor, start), min(midnight + closes * MINUTE, end)
                if low < high:
                    yield Piece(low, high, anchor)


def working_spans(schedule: Schedule, window: Span) -> list[Span]:
    """The instants of ``window`` that are working time, sorted, disjoint and not touching.

    :raises OutOfRange: when the window leaves the years 1 to 9999.
    """
    spans: list[Span] = []
    for start, end, _ in pieces(schedule, window):
        if spans and spans[-1].end == start:
            spans[-1] = Span(spans[-1].start, end)
        else:
            spans.append(Span(start, end))
    return spans


@dataclass(frozen=True, slots=True)
class RangeEffect:
    """What a clock change does to one range: ``nominal`` and ``actual`` are its length in minutes of elapsed time."""

    day: date
    range: Range
    nominal: float
    actual: float


@dataclass(frozen=True, slots=True)
class DstChange:
    """A clock change: at instant ``at`` the offset goes from ``before`` to ``after`` (seconds east of UTC).

    ``effects`` are the ranges that become shorter, longer or vanish; empty when working hours keep their length.
    """

    at: int
    before: int
    after: int
    effects: tuple[RangeEffect, ...]


def dst_preview(schedule: Schedule, window: Span) -> list[DstChange]:
    """The clock changes of the schedule's zone in ``window`` and what each does to the working hours, in order."""
    changes: list[DstChange] = []
    for at, before, after in transitions(schedule.zone, window):
        low, high = at + min(before, after), at + max(before, after)
        sign = 1 if after < before else -1
        effects: list[RangeEffect] = []
        for number in range(low // DAY, (high - 1) // DAY + 1):
            for range_ in schedule.ranges_on_number(number):
                opens = number * DAY + range_.start * MINUTE
                closes = number * DAY + range_.end * MINUTE
                touched = min(closes, high) - max(opens, low)
                if touched > 0:
                    nominal = (closes - opens) / MINUTE
                    actual = nominal + sign * touched / MINUTE
                    effects.append(RangeEffect(day_of(number), range_, nominal, actual))
        changes.append(DstChange(at, before, after, tuple(effects)))
    return changes
