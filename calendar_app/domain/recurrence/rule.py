"""RFC 5545 §3.3.10 recurrence rules, read and checked.

Reading is separate from :mod:`generate <calendar_app.domain.recurrence.generate>` so that a rule can be shown, stored
or refused without being expanded. It is lenient where nothing can be misunderstood (lower case, spaces, a BYDAY ordinal
under a WEEKLY rule) and strict where it can (unknown or contradicting parts, values out of range): a misread rule would
show a busy person as free. What is refused is followed by :mod:`cautious <calendar_app.domain.recurrence.cautious>`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
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
    a wall-clock time (``zone`` ``None``) or UTC. ``unclear``: sentences about what was left out of it.
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
    unclear: tuple[str, ...] = field(default=(), compare=False)

    @property
    def text(self) -> str:
        """The rule as the value of an RRULE property, without what is there by default."""
        parts = [("FREQ", self.frequency.name)]
        if self.interval != 1:
            parts.append(("INTERVAL", str(self.interval)))
        if self.count is not None:
            parts.append(("COUNT", str(self.count)))
        if self.until is not None:
            value = self.until.value
            written = (
                value.isoformat(timespec="seconds") if isinstance(value, datetime) else value.isoformat()
            )
            utc = "Z" if self.until.zone else ""
            parts.append(("UNTIL", written.replace("-", "").replace(":", "") + utc))
        lists = {
            "BYSECOND": self.by_second,
            "BYMINUTE": self.by_minute,
            "BYHOUR": self.by_hour,
            "BYMONTHDAY": self.by_month_day,
            "BYYEARDAY": self.by_year_day,
            "BYWEEKNO": self.by_week_number,
            "BYMONTH": self.by_month,
            "BYSETPOS": self.by_set_position,
        }
        parts += [(name, ",".join(map(str, numbers))) for name, numbers in lists.items() if numbers]
        if self.by_day:
            days = (f"{ordinal or ''}{WEEKDAYS[weekday]}" for ordinal, weekday in self.by_day)
            parts.append(("BYDAY", ",".join(days)))
        if self.week_start:
            parts.append(("WKST", WEEKDAYS[self.week_start]))
        return ";".join(f"{name}={value}" for name, value in parts)


@lru_cache(maxsize=4096)
def parse_rule(text: str) -> Rule:
    """The rule in ``text``, the value of an RRULE property (``FREQ=WEEKLY;BYDAY=MO``).

    What is badly written and still clear is read: empty parts, quotes, long weekday names, dates with dashes. An UNTIL
    or COUNT that cannot be read is left out, which can only add occurrences, and is named in :attr:`Rule.unclear`.

    :raises InvalidRule: where it does not follow RFC 5545 §3.3.10, or uses RFC 7529's SKIP or another RSCALE.
    """
    parts = _parts(text)
    frequency = _frequency(parts)
    fields: dict[str, Any] = {}
    unclear: list[str] = []
    for name, value in parts.items():
        if name in _ENDS:
            try:
                fields[name.lower()] = _ENDS[name](value)
            except (InvalidRule, InvalidDates):
                unclear.append(f"The repetition rule has an end that cannot be read: {name}={value[:40]}.")
        elif name in _PARTS:
            field, read = _PARTS[name]
            if name == "WKST" and not {"INTERVAL", "BYWEEKNO"} & parts.keys():
                continue  # without effect
            fields[field] = read(value)
        elif (name, value) not in _WITHOUT_EFFECT:
            raise InvalidRule(f"The repetition rule has a part that is not understood: {name[:40]!r}.")
    rule = Rule(frequency, **fields, unclear=tuple(unclear))
    if rule.by_set_position and not any(part.startswith("BY") and part != "BYSETPOS" for part in parts):
        raise InvalidRule("BYSETPOS needs another BY part to choose from.")
    return rule


@lru_cache(maxsize=1024)
def loosest_rule(text: str) -> Rule:
    """A rule that has every occurrence which the refused rule in ``text`` might have: each day, or each hour if it
    repeats within a day, at the times of day and up to the end that it names where these can be read."""
    try:
        parts = _parts(text)
    except InvalidRule:
        parts = {}
    try:
        within_a_day = _frequency(dict(parts)) > Frequency.DAILY
    except InvalidRule:
        within_a_day = False
    fields: dict[str, Any] = {}
    for name in ("BYHOUR", "BYMINUTE", "BYSECOND"):
        try:
            field, read = _PARTS[name]
            fields[field] = read(parts[name])
        except (KeyError, InvalidRule):
            continue
    try:
        fields["until"] = _ENDS["UNTIL"](parts["UNTIL"])
    except (KeyError, InvalidDates):
        pass
    return Rule(Frequency.HOURLY if within_a_day else Frequency.DAILY, **fields)


def _parts(text: str) -> dict[str, str]:
    """The parts of a rule by name, without those that say nothing. :raises InvalidRule: it is none, or contradicts
    itself."""
    if len(text) > MAX_RULE_LENGTH:
        raise InvalidRule("The repetition rule is too long.")
    parts: dict[str, str] = {}
    for part in _PADDING.sub("", text).upper().removeprefix("RRULE:").split(";"):
        name, separator, value = part.partition("=" if "=" in part else ":")
        value = value.strip(",")
        if not separator and name in Frequency.__members__:
            name, value = "FREQ", name
        elif not separator and name:
            raise InvalidRule(f"The repetition rule has a faulty part: {part[:40]!r}.")
        if not value:
            continue
        if parts.setdefault(name, value) != value:
            raise InvalidRule(f"The repetition rule has two different parts: {part[:40]!r}.")
    return parts


def _frequency(parts: dict[str, str]) -> Frequency:
    """FREQ, taken out of ``parts``. A rule without it is clear where every frequency would mean the same days."""
    name = parts.pop("FREQ", "")
    if not name and not parts.keys() - {"BYDAY", "WKST", "UNTIL"} and parts.get("BYDAY", "0")[0].isalpha():
        name = "WEEKLY"
    try:
        return Frequency[name]
    except KeyError:
        raise InvalidRule("The repetition rule names no known frequency.") from None


def parse_time(text: str, zone: str | None = None) -> EventTime:
    """A DATE (``20240131``) or DATE-TIME (``20240131T090000``, with ``Z`` for UTC) value as an event time.

    ISO 8601's long forms are read, too: dashes, colons, fractions of a second, hour 24 and offsets from UTC.
    ``zone`` is the TZID that came with it; it is ignored for dates, UTC and offsets.
    :raises InvalidDates: for anything else, February 30 included.
    """
    try:
        if len(text) == 8 and text.isascii() and text.isdigit():
            return EventTime(date(int(text[:4]), int(text[4:6]), int(text[6:])))
        if match := _DATE_TIME.fullmatch(text):
            year, month, day, hour, minute, second = (int(number or 0) for number in match.groups()[:6])
            if match[4] is None:
                return EventTime(date(year, month, day))
            # A leap second is the second before it (RFC 5545 §3.3.12); 24:00 is the day's end (ISO 8601).
            next_day = timedelta(days=hour == 24 and minute == second == 0)
            moment = datetime(year, month, day, 0 if next_day else hour, minute, min(second, 59))  # noqa: DTZ001
            moment += next_day
            if (offset := match[7]) and offset[1:]:
                digits = offset[1:].replace(":", "").ljust(4, "0")
                east = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
                moment += east if offset[0] == "-" else -east
            return EventTime(moment, "UTC" if offset else zone)
    except (ValueError, OverflowError):
        pass  # a month or hour that does not exist: the same answer as for other nonsense
    raise InvalidDates(f"This is not a date or time: {text[:40]!r}.")


def parse_duration(text: str) -> tuple[int, int]:
    """Nominal days and exact seconds of a DURATION value (RFC 5545 §3.3.6); both negative after a minus sign.

    A ``T`` too many or too few is read over, as other readers do: there are no months that minutes could be taken for.
    :raises InvalidDates: for anything else.
    """
    match = _DURATION.fullmatch(text.strip(' "').upper())
    if match is None:
        raise InvalidDates(f"This is not a duration: {text[:40]!r}.")
    weeks, days, hours, minutes, seconds = (int(number or 0) for number in match.groups()[1:])
    sign = -1 if match[1] == "-" else 1
    return sign * (weeks * 7 + days), sign * (hours * 3600 + minutes * 60 + seconds)


def _integers(low: int, high: int, *, signed: bool = False) -> Callable[[str], tuple[int, ...]]:
    def read(value: str) -> tuple[int, ...]:
        numbers = {_integer(item) for item in filter(None, value.split(","))}
        if any(not low <= (abs(n) if signed else n) <= high for n in numbers):
            raise InvalidRule(f"The repetition rule has a number out of range: {value[:40]!r}.")
        return tuple(sorted(numbers))

    return read


def _integer(text: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise InvalidRule(f"The repetition rule has no number where one is due: {text[:40]!r}.")
    return int(text)


def _interval(text: str) -> int:
    """INTERVAL; 0 counts as 1, as libical and ical.js read it."""
    number = _integer(text)
    if not 0 <= number <= MAX_COUNT:
        raise InvalidRule(f"INTERVAL must be 1 or more, not {text[:40]}.")
    return max(1, number)


def _count(text: str) -> int | None:
    """COUNT; several programs write 0 or -1 for "no limit"."""
    number = _integer(text)
    return min(number, MAX_COUNT) if number > 0 else None


def _seconds(value: str) -> tuple[int, ...]:
    return tuple(sorted({min(second, 59) for second in _integers(0, 60)(value)}))


def _weekday(text: str) -> int:
    """Two letters, or more of the English name."""
    for number, name in enumerate(_WEEKDAY_NAMES):
        if len(text) > 1 and name.startswith(text):
            return number
    raise InvalidRule(f"The repetition rule has an unknown weekday: {text[:40]!r}.")


def _days(value: str) -> tuple[tuple[int, int], ...]:
    days: set[tuple[int, int]] = set()
    for item in filter(None, value.split(",")):
        name = item.lstrip("+-0123456789")
        number = item.removesuffix(name)
        ordinal = _integer(number) if number else 0
        if number and not 1 <= abs(ordinal) <= 53:
            raise InvalidRule(f"The repetition rule has a weekday out of range: {item[:40]!r}.")
        days.add((ordinal, _weekday(name)))
    return tuple(sorted(days))


_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")
_DATE_TIME = re.compile(
    r"\s*([0-9]{4})-?([0-9]{2})-?([0-9]{2})"
    r"(?:(?:[Tt]|\s+)([0-9]{2}):?([0-9]{2})(?::?([0-9]{2})(?:[.,][0-9]{1,9})?)?\s*([Zz]|[+-][0-9]{2}(?::?[0-9]{2})?)?)?\s*"
)
_PADDING = re.compile(r"[\s\"']")
_WEEKDAY_NAMES = ("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY")
_DURATION = re.compile(
    r"([+-]?)P(?=T?[0-9])(?:([0-9]{1,5})W)?(?:([0-9]{1,6})D)?"
    r"T?(?:([0-9]{1,7})H)?(?:([0-9]{1,8})M)?(?:([0-9]{1,9})S)?"
)
_WITHOUT_EFFECT = frozenset(
    {("RSCALE", "GREGORIAN"), ("SKIP", "OMIT")}
)  # RFC 7529 §4.1: what RFC 5545 says anyway
_PARTS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "INTERVAL": ("interval", _interval),
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
_ENDS: dict[str, Callable[[str], Any]] = {"COUNT": _count, "UNTIL": parse_time}
