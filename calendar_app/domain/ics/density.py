"""How much a stranger's file may ask of us: a bound on occurrences, estimated from the rules before any is followed.

A file of a few kilobytes can hold a hundred rules that each repeat every second for ever. Expanding one of them is
bounded (:mod:`calendar_app.domain.recurrence.cautious`); here the sum over a file is. What goes beyond it does not
become free: such an event counts as busy without a break, which is cheap to say.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from calendar_app.domain.event import CalendarEvent
from calendar_app.domain.recurrence.cautious import THROUGHOUT
from calendar_app.domain.recurrence.errors import RecurrenceError
from calendar_app.domain.recurrence.rule import Frequency, Rule, loosest_rule, parse_rule
from calendar_app.domain.recurrence.series import split_line
from calendar_app.domain.recurrence.wallclock import DAY, wall_seconds
from calendar_app.domain.timespan import Span

MOST_OF_ONE = 12_000
"""What one event is charged at most: a denser one is followed hour by hour."""
MOST_OF_ALL = 75_000
TOO_MUCH = "The calendar’s events together repeat too often: this one counts as busy without a break."
_DAYS = {Frequency.YEARLY: 365, Frequency.MONTHLY: 30, Frequency.WEEKLY: 7, Frequency.DAILY: 1}


class Density:
    """Counts the occurrences that the events of one file may have in ``window``."""

    def __init__(self, window: Span, most: int = MOST_OF_ALL) -> None:
        self._window = window
        self._left = most

    def bounded(self, event: CalendarEvent) -> CalendarEvent:
        """The event, counted in; or, where the file's share is used up, one that is busy without a break."""
        if not event.recurrence:
            return event
        expected = min(MOST_OF_ONE, sum(self._expected(line) for line in event.recurrence))
        if expected <= self._left:
            self._left -= expected
            return event
        return replace(event, recurrence=(_throughout(event),), unread=(*event.unread, TOO_MUCH))

    def _expected(self, line: str) -> int:
        try:
            name, _, value = split_line(line)
        except RecurrenceError:
            name, value = "RRULE", ""
        if name == "RDATE":
            return value.count(",") + 1
        if name != "RRULE":
            return 0
        rule = _read(value)
        reach = self._window.end - self._window.start
        if rule.until is not None:
            reach = min(reach, wall_seconds(rule.until.value) + DAY - self._window.start)
        expected = max(0, int(reach / DAY * _per_day(rule))) + 1
        return min(expected, rule.count or expected)


def _read(text: str) -> Rule:
    try:
        return parse_rule(text)
    except RecurrenceError:
        return loosest_rule(text)


def _throughout(event: CalendarEvent) -> str:
    """The rule of an event without a break, up to the last UNTIL if all that makes the event repeat has one."""
    ends: list[str] = []
    for line in event.recurrence:
        name = line.partition(":")[0].partition(";")[0].upper()
        if name == "RDATE":
            return THROUGHOUT
        until = _read(line.partition(":")[2]).until if name == "RRULE" else None
        if name == "RRULE" and until is None:
            return THROUGHOUT
        if until is not None:
            ends.append(f"{_day_after(until.value):%Y%m%d}".zfill(8))
    return f"{THROUGHOUT};UNTIL={max(ends)}" if ends else THROUGHOUT


def _per_day(rule: Rule) -> float:
    """Occurrences a day, rather too many than too few."""
    hours = len(rule.by_hour) or (24 if rule.frequency >= Frequency.HOURLY else 1)
    minutes = len(rule.by_minute) or (60 if rule.frequency >= Frequency.MINUTELY else 1)
    seconds = len(rule.by_second) or (60 if rule.frequency >= Frequency.SECONDLY else 1)
    times = hours * minutes * seconds
    if rule.frequency >= Frequency.HOURLY:
        return times / rule.interval
    days = _DAYS[rule.frequency]
    found = times * min(days, _days_in_period(rule))
    if rule.by_set_position:
        found = min(found, len(rule.by_set_position))
    return found / (days * rule.interval)


def _days_in_period(rule: Rule) -> int:
    if rule.frequency is Frequency.WEEKLY:
        return max(1, len(rule.by_day))
    months = len(rule.by_month) or (12 if rule.by_day or rule.by_month_day else 1)
    listed = len(rule.by_month_day) or sum(1 if ordinal else 5 for ordinal, _ in rule.by_day) or 1
    in_months = listed * (months if rule.frequency is Frequency.YEARLY else 1)
    return max(in_months, len(rule.by_year_day), 7 * len(rule.by_week_number))


def _day_after(day: date) -> date:
    return date.fromordinal(min(day.toordinal() + 1, date.max.toordinal()))
