"""Graph's ``patternedRecurrence`` -> RFC 5545 RRULE. Pure.

Source: https://learn.microsoft.com/graph/api/resources/recurrencepattern and .../recurrencerange. The mirror has no
need of it (Exchange expands series itself); it tells that an event repeats, and how, where one event is read by its id.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from calendar_app.providers.microsoft.zones import iana_zone

_DAYS = {
    "sunday": "SU",
    "monday": "MO",
    "tuesday": "TU",
    "wednesday": "WE",
    "thursday": "TH",
    "friday": "FR",
    "saturday": "SA",
}
_INDEX = {"first": "1", "second": "2", "third": "3", "fourth": "4", "last": "-1"}
_FREQUENCY = {
    "daily": "DAILY",
    "weekly": "WEEKLY",
    "absoluteMonthly": "MONTHLY",
    "relativeMonthly": "MONTHLY",
    "absoluteYearly": "YEARLY",
    "relativeYearly": "YEARLY",
}


def rule_from(recurrence: Mapping[str, Any], written_zone: str, all_day: bool) -> tuple[str, ...]:
    """The ``RRULE:`` line of a master; exceptions of a series are events of their own.

    A relative pattern of several weekdays means the first (second, …) of any of them, hence BYSETPOS. An absolute one
    falls on the last day of a month that has no such day.

    :raises ValueError: a pattern that Graph does not document.
    """
    pattern, bounds = recurrence.get("pattern") or {}, recurrence.get("range") or {}
    kind = str(pattern.get("type") or "")
    if kind not in _FREQUENCY:
        raise ValueError(f"there is no recurrence pattern {kind!r}")
    parts = [f"FREQ={_FREQUENCY[kind]}"]
    if int(pattern.get("interval") or 1) > 1:
        parts.append(f"INTERVAL={int(pattern['interval'])}")
    if kind.endswith("Yearly"):
        parts.append(f"BYMONTH={int(pattern['month'])}")
    days = [_DAYS[str(day).lower()] for day in pattern.get("daysOfWeek") or ()]
    if kind == "weekly":
        parts.append(f"BYDAY={','.join(days)}")
        parts.append(f"WKST={_DAYS[str(pattern.get('firstDayOfWeek') or 'sunday').lower()]}")
    elif kind.startswith("relative"):
        parts += [
            f"BYDAY={','.join(days)}",
            f"BYSETPOS={_INDEX[str(pattern.get('index') or 'first').lower()]}",
        ]
    elif kind.startswith("absolute"):
        parts += _day_of_month(int(pattern["dayOfMonth"]))
    if bounds.get("type") == "numbered":
        parts.append(f"COUNT={int(bounds['numberOfOccurrences'])}")
    elif bounds.get("type") == "endDate":
        zone = str(bounds.get("recurrenceTimeZone") or written_zone)
        parts.append(f"UNTIL={_until(date.fromisoformat(str(bounds['endDate'])), zone, all_day)}")
    return (f"RRULE:{';'.join(parts)}",)


def _day_of_month(day: int) -> list[str]:
    if day <= 28:
        return [f"BYMONTHDAY={day}"]
    return [f"BYMONTHDAY={','.join(str(one) for one in range(28, day + 1))}", "BYSETPOS=-1"]


def _until(last: date, zone: str, all_day: bool) -> str:
    """The range's last day counts whole; UNTIL is of DTSTART's kind (RFC 5545 §3.3.10)."""
    if all_day:
        return f"{last:%Y%m%d}"
    moment = datetime.combine(last, time(23, 59, 59), ZoneInfo(iana_zone(zone) or "UTC"))
    return f"{moment.astimezone(UTC):%Y%m%dT%H%M%SZ}"
