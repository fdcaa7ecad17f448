"""How much a stranger's file may ask of us: a bound on occurrences, estimated from the rules before any is followed.

A file of a few kilobytes can hold a hundred rules that each repeat every second for ever. Expanding one of them is
bounded (:mod:`calendar_app.domain.recurrence`); here the sum over a file is.
"""

from __future__ import annotations

from calendar_app.domain.event import CalendarEvent
from calendar_app.domain.recurrence.errors import RecurrenceError
from calendar_app.domain.recurrence.rule import Frequency, Rule, parse_rule
from calendar_app.domain.recurrence.wallclock import DAY, wall_seconds
from calendar_app.domain.timespan import Span

MOST_OF_ONE = 5_000
MOST_OF_ALL = 60_000
_DAYS = {Frequency.YEARLY: 365, Frequency.MONTHLY: 30, Frequency.WEEKLY: 7, Frequency.DAILY: 1}


class Density:
    """Counts the occurrences that the events of one file may have in ``window``, and refuses what is too much."""

    def __init__(self, window: Span, most: int = MOST_OF_ALL) -> None:
        self._window = window
        self._left = most

    def check(self, event: CalendarEvent) -> None:
        """Count one event in. :raises RecurrenceError: its rule is wrong, or it is too much, alone or with the rest."""
        expected = sum(self._expected(line, event) for line in event.recurrence)
        if expected > MOST_OF_ONE:
            raise RecurrenceError(f"it repeats more than {MOST_OF_ONE:,} times within a year")
        if expected > self._left:
            raise RecurrenceError("the events of this file together repeat too often")
        self._left -= expected

    def _expected(self, line: str, event: CalendarEvent) -> int:
        head, _, value = line.partition(":")
        name = head.partition(";")[0].upper()
        if name == "RDATE":
            return value.count(",") + 1
        if name not in ("RRULE", "EXRULE"):
            return 0
        rule = parse_rule(value)
        reach = self._window.end - self._window.start
        if rule.until is not None:
            reach = min(reach, wall_seconds(rule.until.value) + DAY - self._window.start)
        expected = max(0, int(reach / DAY * _per_day(rule))) + 1
        return 0 if name == "EXRULE" else min(expected, rule.count or expected)


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
