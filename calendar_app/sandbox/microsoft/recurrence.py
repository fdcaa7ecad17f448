"""Graph's ``patternedRecurrence``: checked, completed, and expanded into occurrences on python-dateutil.

Source: https://learn.microsoft.com/graph/api/resources/recurrencepattern, .../recurrencerange. Patterns run on the wall
clock of the series' zone. As in Outlook, a day that a month does not have (31, or 29 February) means its last day.
Deliberately not the product's own recurrence engine: a mistake there must not be confirmed by the same mistake here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal

from dateutil.rrule import DAILY, MONTHLY, WEEKLY, YEARLY, rrule, weekday

from calendar_app.sandbox.microsoft.error import invalid_property, unreadable_body
from calendar_app.sandbox.microsoft.zones import instant_of, zone_named

Json = dict[str, Any]

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_INDEXES = {"first": 1, "second": 2, "third": 3, "fourth": 4, "last": -1}
_PATTERN: Json = {
    "type": "",
    "interval": 1,
    "month": 0,
    "dayOfMonth": 0,
    "daysOfWeek": [],
    "firstDayOfWeek": "sunday",
    "index": "first",
}
_NEEDS = {
    "daily": (),
    "weekly": ("daysOfWeek",),
    "absoluteMonthly": ("dayOfMonth",),
    "relativeMonthly": ("daysOfWeek",),
    "absoluteYearly": ("dayOfMonth", "month"),
    "relativeYearly": ("daysOfWeek", "month"),
}
NO_END = "0001-01-01"
MOST_OCCURRENCES = 999


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One occurrence by the pattern: its bounds (epoch seconds) and ``key``, the day in its id."""

    key: str
    start: int
    end: int
    wall: datetime


def completed(recurrence: object, start: datetime, zone: str) -> Json:
    """The recurrence with every field that Graph answers; ``start`` is the event's wall clock in ``zone``.

    :raises GraphError: 400.
    """
    if not isinstance(recurrence, dict) or not set(recurrence) <= {"pattern", "range"}:
        raise unreadable_body("Cannot read the value of 'recurrence' as a patternedRecurrence.")
    pattern, bounds = recurrence.get("pattern"), recurrence.get("range")
    if not isinstance(pattern, dict) or not isinstance(bounds, dict):
        raise invalid_property("A recurrence needs a pattern and a range.")
    return {"pattern": _pattern(pattern), "range": _range(bounds, start, zone)}


def _pattern(given: Json) -> Json:
    if unknown := set(given) - set(_PATTERN):
        raise unreadable_body(f"The property '{min(unknown)}' does not exist on type 'recurrencePattern'.")
    pattern = _PATTERN | {name: value for name, value in given.items() if value is not None}
    kind = pattern["type"]
    numbers = (pattern["interval"], pattern["dayOfMonth"], pattern["month"])
    if not all(isinstance(number, int) and not isinstance(number, bool) for number in numbers):
        raise unreadable_body(
            "Cannot convert a value of the recurrence pattern to the expected type 'Edm.Int32'."
        )
    texts = (kind, pattern["index"], pattern["firstDayOfWeek"])
    right = (
        all(isinstance(text, str) for text in texts)
        and kind in _NEEDS
        and 1 <= pattern["interval"] <= 99
        and isinstance(pattern["daysOfWeek"], list)
        and all(day in _DAYS for day in pattern["daysOfWeek"])
        and pattern["firstDayOfWeek"] in _DAYS
        and pattern["index"] in _INDEXES
        and 0 <= pattern["dayOfMonth"] <= 31
        and 0 <= pattern["month"] <= 12
        and all(pattern[name] for name in _NEEDS[kind])
    )
    if not right:
        raise invalid_property("The recurrence pattern is not valid.")
    return pattern


def _range(given: Json, start: datetime, zone: str) -> Json:
    known = {"type", "startDate", "endDate", "recurrenceTimeZone", "numberOfOccurrences"}
    if unknown := set(given) - known:
        raise unreadable_body(f"The property '{min(unknown)}' does not exist on type 'recurrenceRange'.")
    kind, first = given.get("type"), _day(given.get("startDate"), "startDate")
    named = given.get("recurrenceTimeZone") or zone
    if not isinstance(named, str):
        raise unreadable_body(
            "Cannot convert the value of 'recurrenceTimeZone' to the expected type 'Edm.String'."
        )
    if kind not in ("endDate", "noEnd", "numbered"):
        raise invalid_property("The type of the recurrence range is not valid.")
    if first != start.date():
        raise invalid_property(
            "The startDate of the recurrence range must be the day on which the event starts."
        )
    last = _day(given.get("endDate"), "endDate").isoformat() if kind == "endDate" else NO_END
    count = given.get("numberOfOccurrences") or 0
    if kind == "endDate" and last < first.isoformat():
        raise invalid_property("The recurrence range ends before it starts.")
    if kind == "numbered" and not (isinstance(count, int) and 1 <= count <= MOST_OCCURRENCES):
        raise invalid_property("The numberOfOccurrences of the recurrence range is not valid.")
    zone_named(named)
    return {
        "type": kind,
        "startDate": first.isoformat(),
        "endDate": last,
        "recurrenceTimeZone": named,
        "numberOfOccurrences": count if kind == "numbered" else 0,
    }


def _day(value: object, name: str) -> date:
    try:
        return date.fromisoformat(str(value))
    except ValueError as error:
        raise unreadable_body(
            f"Cannot convert the value of '{name}' to the expected type 'Edm.Date'."
        ) from error


class Series:
    """The pattern of a stored master. All-day occurrences are placed in ``mailbox_zone``."""

    def __init__(self, body: Json, mailbox_zone: str) -> None:
        pattern, bounds = body["recurrence"]["pattern"], body["recurrence"]["range"]
        self.all_day = bool(body["isAllDay"])
        self.zone = zone_named(mailbox_zone if self.all_day else bounds["recurrenceTimeZone"])
        if self.all_day:
            first = datetime.fromisoformat(body["start"]["dateTime"])
            self.days = datetime.fromisoformat(body["end"]["dateTime"]) - first
        else:
            instant = instant_of(body["start"])
            first = datetime.fromtimestamp(instant, self.zone).replace(tzinfo=None)
            self.seconds = instant_of(body["end"]) - instant
        self.rule = _rule(pattern, bounds, first)

    def first(self) -> Occurrence | None:
        return next(self.between(None, None), None)

    def between(self, after: int | None, before: int | None) -> Iterator[Occurrence]:
        """Occurrences that end after ``after`` and start before ``before`` (epoch seconds), in order."""
        walls: Iterator[datetime] = iter(self.rule)
        if after is not None:
            length = self.days if self.all_day else timedelta(seconds=self.seconds)
            early = datetime.fromtimestamp(after, self.zone).replace(tzinfo=None) - length - timedelta(days=1)
            walls = self.rule.xafter(early, inc=True)
        for wall in walls:
            found = self._occurrence(wall)
            if before is not None and found.start >= before:
                return
            if after is None or found.end > after or found.start >= after:
                yield found

    def occurrence(self, key: str) -> Occurrence | None:
        """The occurrence of that day."""
        try:
            day = datetime.strptime(key, "%Y%m%d")  # noqa: DTZ007  # wall clock of the series' zone
        except ValueError:
            return None
        wall = self.rule.after(day, inc=True)
        return self._occurrence(wall) if wall is not None and wall.date() == day.date() else None

    def neighbours(self, key: str) -> tuple[Occurrence | None, Occurrence | None]:
        """The occurrences before and after that of the day ``key``."""
        day = datetime.strptime(key, "%Y%m%d")  # noqa: DTZ007  # wall clock of the series' zone
        before, after = self.rule.before(day), self.rule.after(day + timedelta(days=1), inc=True)
        return (self._occurrence(before) if before else None, self._occurrence(after) if after else None)

    def _occurrence(self, wall: datetime) -> Occurrence:
        start = int(wall.replace(tzinfo=self.zone).timestamp())
        last = int((wall + self.days).replace(tzinfo=self.zone).timestamp()) if self.all_day else None
        end = start + self.seconds if last is None else last
        return Occurrence(f"{wall:%Y%m%d}", start, end, wall)


def _rule(pattern: Json, bounds: Json, first: datetime) -> rrule:
    options: Json = {
        "dtstart": first,
        "interval": pattern["interval"],
        "wkst": _DAYS.index(pattern["firstDayOfWeek"]),
    }
    if bounds["type"] == "numbered":
        options["count"] = bounds["numberOfOccurrences"]
    elif bounds["type"] == "endDate":
        options["until"] = datetime.combine(date.fromisoformat(bounds["endDate"]), datetime.max.time())
    days = [weekday(_DAYS.index(day)) for day in pattern["daysOfWeek"]]
    kind = pattern["type"]
    if kind == "daily":
        return rrule(DAILY, **options)
    if kind == "weekly":
        return rrule(WEEKLY, byweekday=days, **options)
    frequency: Literal[0, 1] = MONTHLY if kind.endswith("Monthly") else YEARLY
    if kind.endswith("Yearly"):
        options["bymonth"] = pattern["month"]
    if kind.startswith("relative"):
        return rrule(frequency, byweekday=days, bysetpos=_INDEXES[pattern["index"]], **options)
    day = pattern["dayOfMonth"]
    if day > 28:
        return rrule(frequency, bymonthday=tuple(range(28, day + 1)), bysetpos=-1, **options)
    return rrule(frequency, bymonthday=day, **options)
