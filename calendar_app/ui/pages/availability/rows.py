"""A schedule as the form holds it, and clock changes in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from calendar_app.domain.schedule import WEEKDAYS, DstChange
from calendar_app.domain.timespan import utc
from calendar_app.ui import formats

DAY_NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass
class HoursRow:
    """A working range as the form holds it: ``HH:MM`` texts, possibly not valid yet."""

    start: str
    end: str


@dataclass
class DayRow:
    """A weekday, or an exception whose ``key`` is its date."""

    key: str
    name: str
    ranges: list[HoursRow] = field(default_factory=list)


@dataclass
class AwayRow:
    """Days away: ``first`` and ``last`` as ISO dates, ``when`` in words."""

    first: str
    last: str
    note: str
    when: str


@dataclass
class Choice:
    """Something to choose from a list by its name."""

    id: str
    name: str


@dataclass
class ClockChange:
    """A coming clock change in words."""

    when: str
    what: str


def week_rows(weekly: Mapping[str, Any]) -> list[DayRow]:
    """The stored week as rows, Monday first."""
    return [
        DayRow(key, name, [HoursRow(*pair) for pair in weekly.get(key, [])])
        for key, name in zip(WEEKDAYS, DAY_NAMES, strict=True)
    ]


def override_rows(overrides: Mapping[str, Any]) -> list[DayRow]:
    """The stored exceptions as rows, by date."""
    return [
        DayRow(key, formats.day(datetime.fromisoformat(key).date()), [HoursRow(*pair) for pair in pairs])
        for key, pairs in sorted(overrides.items())
    ]


def away_rows(away: Sequence[Mapping[str, str]]) -> list[AwayRow]:
    """Stored days away as rows, by their first day."""
    return [away_row(span["first"], span["last"], span.get("note", "")) for span in away]


def away_row(first: str, last: str, note: str) -> AwayRow:
    """One span of days away."""
    days = [formats.day(datetime.fromisoformat(day).date()) for day in dict.fromkeys((first, last))]
    return AwayRow(first, last, note, " to ".join(days))


def as_json(rows: list[DayRow]) -> dict[str, list[list[str]]]:
    """Rows as the schedule service reads them; a range that ends at midnight is written ``24:00``."""
    return {
        row.key: [
            [item.start, "24:00" if item.end in ("00:00", "24:00") else item.end] for item in row.ranges
        ]
        for row in rows
    }


def clock_change(change: DstChange, zone: str) -> ClockChange:
    """A clock change as a sentence with what it does to working hours."""
    local = utc(change.at).astimezone(ZoneInfo(zone))
    hours = abs(change.after - change.before) // 60
    direction = "forward" if change.after > change.before else "back"
    effects = "; ".join(
        f"{effect.range} lasts {formats.length(int(effect.actual))} instead of {formats.length(int(effect.nominal))}"
        for effect in change.effects
    )
    what = f"Clocks go {direction} by {formats.length(hours)}. "
    return ClockChange(
        formats.day(local.date()), what + (f"{effects}." if effects else "Your hours keep their length.")
    )
