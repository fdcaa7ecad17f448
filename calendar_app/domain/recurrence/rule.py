"""RFC 5545 §3.3.10 recurrence rules, read and checked.

Reading is separate from :mod:`generate <calendar_app.domain.recurrence.generate>` so that a rule can be shown, stored
or refused without being expanded. Readers of the wild's calendars are lenient where nothing can be misunderstood
(lower case, spaces, a BYDAY ordinal under a WEEKLY rule) and strict where it can (unknown or repeated parts, values
out of range): a misread rule would show a busy person as free.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from enum import IntEnum
from functools import lru_cache
from typing import Any

from calendar_app.domain.event import EventTime
from calendar_app.domain.recurrence.errors import InvalidDates, InvalidRule

MAX_RULE_LENGTH = 4096
MAX_COUNT = 2**63
WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")


class Frequency(IntEnum):
    YEARLY = 0
    MONTHLY = 1
    WEEKLY = 2
    DAILY = 3
    HOURLY = 4
    MINUTELY = 5
    SECONDLY = 6


@dataclass(frozen=True, slots=True)
class Rule:
    """A checked rule; every BY list is sorted and without duplicates, and empty where the part is absent.

    ``by_day`` holds ``(ordinal, weekday)`` with Monday 0 and ordinal 0 for "every". ``until`` is as written: a date,
    a wall-clock time (``zone`` ``None``) or UTC.
    """

    frequency: Frequency
    interval: int = 1
    count: int | None = None
    until: EventTime | None = None
    by_second: tuple[int, ...] = ()
    by_minute: tuple[int, ...] = ()
    by_hour: tuple[int, ...] = ()
    by_day: tuple[tuple[int, int], ...] = ()
    by_month_day: tuple[int, ...] = ()
    by_year_day: tuple[int, ...] = ()
    by_week_number: tuple[int, ...] = ()
    by_month: tuple[int, ...] = ()
    by_set_position: tuple[int, ...] = ()
    week_start: int = 0


@lru_cache(maxsize=4096)
def parse_rule(text: str) -> Rule:
    """The rule in ``text``, the value of an RRULE property (``FREQ=WEEKLY;BYDAY=MO``).

    :raises InvalidRule: where it does not follow RFC 5545 §3.3.10, or uses RFC 7529's SKIP or another RSCALE.
    """
    if len(text) > MAX_RULE_LENGTH:
        raise InvalidRule("The repetition rule is too long.")
    parts: dict[str, str] = {}
    for part in "".join(text.split()).strip(";").upper().split(";"):
        name, separator, value = part.partition("=")
        if not separator or not value or name in parts:
            raise InvalidRule(f"The repetition rule has a faulty part: {part[:40]!r}.")
        parts[name] = value
    try:
        frequency = Frequency[parts.pop("FREQ", "")]
    except KeyError:
        raise InvalidRule("The repetition rule names no known frequency.") from None
    if parts.get("COUNT") == "-1":  # several programs write "no limit" so
        del parts["COUNT"]
    fields: dict[str, Any] = {}
    for name, value in parts.items():
        if name in _PARTS:
            field, read = _PARTS[name]
            fields[field] = read(value)
        elif (name, value) not in _WITHOUT_EFFECT:
            raise InvalidRule(f"The repetition rule has a part that is not understood: {name[:40]!r}.")
    rule = Rule(frequency, **fields)
    if rule.by_set_position and not any(part.startswith("BY") and part != "BYSETPOS" for part in parts):
        raise InvalidRule("BYSETPOS needs another BY part to choose from.")
    return rule


def parse_time(text: str, zone: str | None = None) -> EventTime:
    """A DATE (``20240131``) or DATE-TIME (``20240131T090000``, with ``Z`` for UTC) value as an event time.

    ``zone`` is the TZID that came with it; it is ignored for dates and for UTC.
    :raises InvalidDates: for anything else, February 30 included.
    """
    try:
        if len(text) == 8 and text.isdigit():
            return EventTime(date(int(text[:4]), int(text[4:6]), int(text[6:])))
        if _DATE_TIME.fullmatch(text):
            second = min(int(text[13:15]), 59)  # a leap second is the second before it (RFC 5545 §3.3.12)
            day = datetime(int(text[:4]), int(text[4:6]), int(text[6:8]))  # noqa: DTZ001
            moment = day.replace(hour=int(text[9:11]), minute=int(text[11:13]), second=second)
            return EventTime(moment, "UTC" if text[-1] == "Z" else zone)
    except ValueError:
        pass  # a month or hour that does not exist: the same answer as for other nonsense
    raise InvalidDates(f"This is not a date or time: {text[:40]!r}.")


def parse_duration(text: str) -> tuple[int, int]:
    """Nominal days and exact seconds of a DURATION value (RFC 5545 §3.3.6); both negative after a minus sign.

    :raises InvalidDates: for anything else.
    """
    match = _DURATION.fullmatch(text)
    if match is None:
        raise InvalidDates(f"This is not a duration: {text[:40]!r}.")
    weeks, days, hours, minutes, seconds = (int(number or 0) for number in match.groups()[1:])
    sign = -1 if match[1] == "-" else 1
    return sign * (weeks * 7 + days), sign * (hours * 3600 + minutes * 60 + seconds)


def _integers(low: int, high: int, *, signed: bool = False) -> Callable[[str], tuple[int, ...]]:
    def read(value: str) -> tuple[int, ...]:
        numbers = {_integer(item) for item in value.split(",")}
        if any(not low <= (abs(n) if signed else n) <= high for n in numbers):
            raise InvalidRule(f"The repetition rule has a number out of range: {value[:40]!r}.")
        return tuple(sorted(numbers))

    return read


def _integer(text: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise InvalidRule(f"The repetition rule has no number where one is due: {text[:40]!r}.")
    return int(text)


def _positive(text: str) -> int:
    number = _integer(text)
    if not 1 <= number <= MAX_COUNT:
        raise InvalidRule(f"INTERVAL and COUNT must be 1 or more, not {text[:40]}.")
    return number


def _seconds(value: str) -> tuple[int, ...]:
    return tuple(sorted({min(second, 59) for second in _integers(0, 60)(value)}))


def _weekday(text: str) -> int:
    if text not in WEEKDAYS:
        raise InvalidRule(f"The repetition rule has an unknown weekday: {text[:40]!r}.")
    return WEEKDAYS.index(text)


def _days(value: str) -> tuple[tuple[int, int], ...]:
    days: set[tuple[int, int]] = set()
    for item in value.split(","):
        ordinal = _integer(item[:-2]) if item[:-2] else 0
        if item[:-2] and not 1 <= abs(ordinal) <= 53:
            raise InvalidRule(f"The repetition rule has a weekday out of range: {item[:40]!r}.")
        days.add((ordinal, _weekday(item[-2:])))
    return tuple(sorted(days))


def _until(value: str) -> EventTime:
    try:
        return parse_time(value)
    except InvalidDates as error:
        raise InvalidRule(str(error)) from None


_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")
_DATE_TIME = re.compile(r"[0-9]{8}T[0-9]{6}Z?")
_DURATION = re.compile(
    r"([+-]?)P(?=[0-9T])(?:([0-9]{1,5})W)?(?:([0-9]{1,6})D)?"
    r"(?:T(?=[0-9])(?:([0-9]{1,7})H)?(?:([0-9]{1,8})M)?(?:([0-9]{1,9})S)?)?"
)
_WITHOUT_EFFECT = frozenset(
    {("RSCALE", "GREGORIAN"), ("SKIP", "OMIT")}
)  # RFC 7529 §4.1: what RFC 5545 says anyway
_PARTS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "INTERVAL": ("interval", _positive),
    "COUNT": ("count", _positive),
    "UNTIL": ("until", _until),
    "BYSECOND": ("by_second", _seconds),
    "BYMINUTE": ("by_minute", _integers(0, 59)),
    "BYHOUR": ("by_hour", _integers(0, 23)),
    "BYDAY": ("by_day", _days),
    "BYMONTHDAY": ("by_month_day", _integers(1, 31, signed=True)),
    "BYYEARDAY": ("by_year_day", _integers(1, 366, signed=True)),
    "BYWEEKNO": ("by_week_number", _integers(1, 53, signed=True)),
    "BYMONTH": ("by_month", _integers(1, 12)),
    "BYSETPOS": ("by_set_position", _integers(1, 366, signed=True)),
    "WKST": ("week_start", _weekday),
}
