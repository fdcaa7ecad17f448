"""The recurrence set of one event: DTSTART, RRULE and RDATE, without EXRULE and EXDATE (RFC 5545 §3.8.5).

A :class:`Series` answers which *original starts* (what a RECURRENCE-ID names, as instants) lie in a range. Moving and
replacing them is :mod:`expansion <calendar_app.domain.recurrence.expansion>`'s part.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from functools import lru_cache

from calendar_app.domain.event import CalendarEvent, EventTime
from calendar_app.domain.recurrence.errors import RecurrenceError, TooManyOccurrences
from calendar_app.domain.recurrence.generate import Recurrence
from calendar_app.domain.recurrence.rule import Rule, parse_duration, parse_rule, parse_time
from calendar_app.domain.recurrence.wallclock import (
    DAY,
    EPOCH_ORDINAL,
    LAST_DAY,
    instant_of,
    wall_seconds,
    zone_of,
)

MAX_RULES = 64
MAX_LINES = 20_000
MAX_DATES = 250_000
MAX_NEAR_DATES = 4_000
MAX_EXCLUDED_A_DAY = 24
MAX_PERIODS = 5_000
MOST_UNCLEAR = 10
_FOREVER = (LAST_DAY + 1) * DAY
_COUNT = re.compile(r"\bCOUNT=(\d{1,9})\b", re.IGNORECASE)
_TZID = re.compile(r';TZID=("[^"]*"|[^;:]*)', re.IGNORECASE)


class Series:
    """The original starts of a master event, compiled from its ``recurrence`` lines.

    :param calendar_zone: IANA zone in which all-day and floating times are read.
    :raises RecurrenceError: for lines that cannot be read.
    """

    def __init__(self, master: CalendarEvent, start: EventTime, calendar_zone: str) -> None:
        self.all_day = start.all_day
        self.zone_name = calendar_zone if start.all_day or start.zone is None else start.zone
        self.zone = zone_of(self.zone_name)
        self._calendar_zone = calendar_zone
        self._wall_start = wall_seconds(start.value)
        self.unclear: list[str] = []
        """Sentences about what was left out because it could not be read."""
        self._lines: dict[str, list[tuple[str | None, str]]] = {
            "RRULE": [],
            "EXRULE": [],
            "RDATE": [],
            "EXDATE": [],
        }
        if len(master.recurrence) > MAX_LINES:
            raise RecurrenceError("The event has too many recurrence properties.")
        for line in master.recurrence:
            name, zone, value = split_line(line)
            if name in self._lines:
                self._lines[name].append((zone, value))
        self.first = self.zone.instant(self._wall_start)
        self._check_sizes()
        self.periods: dict[int, int] = dict(self._periods())
        """End instant of every original start that an RDATE of type PERIOD gave."""
        self.longest_period = max((end - begin for begin, end in self.periods.items()), default=0)
        self._rules = self._recurrences("RRULE")
        self._exrules = self._recurrences("EXRULE")
        if not master.recurrence:
            self.first = instant_of(start, calendar_zone)

    def starts(self, low: int, high: int, most: int) -> list[int]:
        """The original starts in ``[low, high)``, sorted, each once.

        :raises TooManyOccurrences: when there are more than ``most`` besides the excluded ones.
        """
        if low >= high:
            return []
        excluded, days = self._dates("EXDATE", low, high)
        allowed = most + len(excluded) + len(days) * MAX_EXCLUDED_A_DAY
        for rule in self._exrules:
            excluded.update(self._instants(rule, low, high, allowed))
        found: set[int] = set()
        for rule in self._rules:
            found.update(self._instants(rule, low, high, allowed + len(excluded)))
        found.update(start for start in self._dates("RDATE", low, high)[0] if low <= start < high)
        if low <= self.first < high and self._begins_with_start():
            found.add(self.first)
        found -= excluded
        if days:
            found = {start for start in found if self.zone.local(start) // DAY not in days}
        if len(found) > most:
            raise TooManyOccurrences(most)
        return sorted(found)

    def identify(self, original: EventTime) -> int:
        """The instant that a RECURRENCE-ID names.

        Its type should be DTSTART's. Where it is not, as some programs write: on an all-day series the date counts; a
        bare date on a timed series means the occurrence at DTSTART's time of that day.
        """
        if self.all_day:
            return self.zone.instant(self._day_named(original) * DAY)
        if original.all_day:
            return self.zone.instant(wall_seconds(original.value) + self._wall_start % DAY)
        return instant_of(original, self.zone_name)

    def _day_named(self, time: EventTime) -> int:
        """The day that a date, or a date-time where a date is due, stands for; midnight as written is that day's."""
        seconds = wall_seconds(time.value)
        if time.all_day or seconds % DAY == 0 or time.zone is None:
            return seconds // DAY
        return self.zone.local(instant_of(time, self._calendar_zone)) // DAY

    def _begins_with_start(self) -> bool:
        """DTSTART is the first of the set (RFC 5545 §3.8.2.4), unless every rule ends before it.

        That is how programs leave a series of which "this and following" was deleted from the first occurrence on.
        """
        return not self._rules or any(until >= self.first for _, until in self._rules)

    def _recurrences(self, name: str) -> list[tuple[Recurrence, int]]:
        """The rules of one property, each with the last instant its UNTIL allows."""
        rules = dict.fromkeys(parse_rule(value) for _, value in self._lines[name])
        self.unclear += [sentence for rule in rules for sentence in rule.unclear]
        counts = name == "RRULE" and len(rules) == 1  # DTSTART may belong to another of several
        return [
            (Recurrence(rule, self._wall_start, all_day=self.all_day, start_counts=counts), self._last(rule))
            for rule in rules
        ]

    def _last(self, rule: Rule) -> int:
        """UNTIL as an instant, inclusive. A date, also where DTSTART has a time, includes that whole day."""
        if rule.until is None:
            return _FOREVER
        if self.all_day or rule.until.all_day:
            return self.zone.instant((self._day_of_until(rule.until) + 1) * DAY) - 1
        return instant_of(rule.until, self.zone_name)

    def _day_of_until(self, until: EventTime) -> int:
        return until.value.toordinal() - EPOCH_ORDINAL

    def _instants(self, bounded: tuple[Recurrence, int], low: int, high: int, most: int) -> list[int]:
        """The instants in ``[low, high)`` of a rule's occurrences; around a gap they may be out of order, or equal.

        :raises TooManyOccurrences: after ``most`` of them.
        """
        recurrence, last = bounded
        high = min(high, last + 1)
        midnights, exact = self.zone.midnights, self.zone.instant
        found: list[int] = []
        for chunk in recurrence.between(*self.zone.local_range(low, high)):
            starts = [
                exact(local) if (midnight := midnights[local // DAY]) is None else midnight + local % DAY
                for local in chunk
            ]
            if starts[0] < low + DAY or starts[-1] >= high - DAY:
                starts = [start for start in starts if low <= start < high]
            found += starts
            if len(found) > most:
                raise TooManyOccurrences(most)
        return found

    def _dates(self, name: str, low: int, high: int) -> tuple[set[int], set[int]]:
        """RDATE or EXDATE values around ``[low, high)``: instants, and local days that an EXDATE names as bare dates.

        A bare date is not of DTSTART's type where the series has times; several programs write it, and mean the whole
        day. Lists can be long, so values are compared as text first: those of other days are not even read. A value
        that cannot be read is left out, and named in :attr:`unclear`.
        """
        instants: set[int] = set()
        days: set[int] = set()
        if not (lines := self._lines[name]):
            return instants, days
        near_low, near_high = _day_text(low // DAY - 2), _day_text(high // DAY + 3)
        for zone, text in lines:
            values = {v for v in text.split(",") if near_low <= v < near_high or not v[:8].isdigit()}
            if len(instants) + len(days) + len(values) > MAX_NEAR_DATES:
                raise RecurrenceError(f"The event has too many {name} values.")
            for value in filter(None, values):
                try:
                    time = parse_time(value.partition("/")[0].strip(), zone)
                    if name == "EXDATE" and time.all_day and not self.all_day:
                        days.add(wall_seconds(time.value) // DAY)
                    else:
                        instants.add(self.identify(time))
                except RecurrenceError:
                    self._leave_out(name, value)
        return instants, days

    def _periods(self) -> Iterator[tuple[int, int]]:
        """Start and end of every RDATE value of type PERIOD (RFC 5545 §3.3.9)."""
        for zone, text in self._lines["RDATE"]:
            if "/" in text:
                for value in text.split(","):
                    begin, _, end = value.strip().partition("/")
                    if end:
                        try:
                            start = self.identify(parse_time(begin, zone))
                            yield start, self._period_end(start, end, zone)
                        except RecurrenceError:
                            self._leave_out("RDATE", value)

    def _period_end(self, start: int, text: str, zone: str | None) -> int:
        """The second half of a PERIOD (RFC 5545 §3.3.9): a date-time or a duration."""
        if text.lstrip("+-").startswith("P"):
            days, seconds = parse_duration(text)
            end = self.zone.instant(self.zone.local(start) + days * DAY) + seconds
        else:
            end = instant_of(parse_time(text, zone), self.zone_name)
        return max(start, end)

    def _leave_out(self, name: str, value: str) -> None:
        if len(self.unclear) < MOST_UNCLEAR:
            self.unclear.append(left_out(name, value))

    def _check_sizes(self) -> None:
        if len(self._lines["RRULE"]) + len(self._lines["EXRULE"]) > MAX_RULES:
            raise RecurrenceError("The event has too many repetition rules.")
        for name in ("RDATE", "EXDATE"):
            if sum(len(text) // 9 + 1 for _, text in self._lines[name]) > MAX_DATES:
                raise RecurrenceError(f"The event has too many {name} values.")
        if sum(text.count("/") for _, text in self._lines["RDATE"]) > MAX_PERIODS:
            raise RecurrenceError("The event has too many RDATE periods.")


def left_out(name: str, value: str) -> str:
    """The sentence about an RDATE or EXDATE value that cannot be read."""
    what = "An extra date" if name == "RDATE" else "A date on which it does not take place"
    return f"{what} cannot be read and is left out: {value.strip()[:40]!r}."


def start_uncounted(lines: Sequence[str], start: EventTime | None) -> tuple[str, ...]:
    """The lines with COUNT raised by one where DTSTART is not an occurrence of the rule and so counts for one of them:
    for calendars that do not count it. What cannot be read stays as it is."""
    numbers = [number for number, line in enumerate(lines) if line[:5].upper() == "RRULE"]
    if start is None or len(numbers) != 1 or not (found := _COUNT.search(lines[numbers[0]])):
        return tuple(lines)
    try:
        rule = replace(parse_rule(split_line(lines[numbers[0]])[2]), count=None, until=None)
        wall = wall_seconds(start.value)
        if any(Recurrence(rule, wall, all_day=start.all_day).between(wall, wall)):
            return tuple(lines)
    except RecurrenceError:
        return tuple(lines)
    changed = list(lines)
    changed[numbers[0]] = f"{found.string[: found.start(1)]}{int(found[1]) + 1}{found.string[found.end(1) :]}"
    return tuple(changed)


def split_line(line: str) -> tuple[str, str | None, str]:
    """Name, TZID and value of a content line (RFC 5545 §3.1), folded or not."""
    if "\n" in line:
        line = re.sub(r"\r?\n[ \t]", "", line)
    at = line.find(":")
    if '"' in line[:at]:  # a quoted parameter may hold a colon
        at = line.find(":", line.rfind('"'))
    if at < 0:
        raise RecurrenceError(f"This is not a recurrence property: {line[:40]!r}.")
    name, zone = _head(line[:at])
    return name, zone, line[at + 1 :].strip()


@lru_cache(maxsize=1024)
def _head(text: str) -> tuple[str, str | None]:
    match = _TZID.search(text)
    return text.partition(";")[0].strip().upper(), match[1].strip('"') if match else None


def _day_text(day: int) -> str:
    """A day as the DATE text that sorts like it; years have four digits."""
    ordinal = day + EPOCH_ORDINAL
    if ordinal < 1:
        return ""
    return f"{date.fromordinal(ordinal):%Y%m%d}".zfill(8) if ordinal <= date.max.toordinal() else ":"
