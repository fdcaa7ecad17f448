"""The wall-clock times at which a rule recurs, from any point on and within bounds.

Everything here is integer arithmetic on *local seconds* (see :mod:`wallclock
<calendar_app.domain.recurrence.wallclock>`); time zones come in only afterwards. A rule's *periods* (RFC 5545 §3.3.10:
the years, months, weeks, … that FREQ and INTERVAL select) are generated one after the other, starting with the one
that holds the time asked for. Only COUNT forces a start at DTSTART, and only where neither arithmetic nor a bound can
tell how many occurrences went before.

The BY parts follow the RFC's table: a part finer than FREQ expands, a coarser one limits, and each period's set is the
intersection of what its parts allow. What a rule does not say comes from DTSTART: the month of a YEARLY rule that has
BYMONTHDAY alone, the weekday of one that has BYWEEKNO alone (decision 0006 says who reads them so).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from datetime import date
from itertools import product

from calendar_app.domain.recurrence.days import DAY, EPOCH_ORDINAL, FIRST_DAY, LAST_DAY
from calendar_app.domain.recurrence.errors import InvalidRule, TooComplex
from calendar_app.domain.recurrence.rule import Frequency, Rule

MAX_WORK = 40_000
"""What one :class:`Recurrence` may cost in vain, in units of about a microsecond; each occurrence found earns one."""
MAX_TIMES = 4_096
"""Times of one day that BYHOUR, BYMINUTE and BYSECOND may name."""
_CHUNK = 64
_UNITS = {Frequency.HOURLY: 3600, Frequency.MINUTELY: 60, Frequency.SECONDLY: 1}


class Recurrence:
    """A rule together with its DTSTART.

    :param start: DTSTART in local seconds.
    :param all_day: DTSTART is a DATE; BYHOUR, BYMINUTE and BYSECOND are ignored then (RFC 5545 §3.3.10).
    :param start_counts: DTSTART counts towards COUNT even if the rule does not produce it: it "always counts as the
        first occurrence" of its event (RFC 5545 §3.3.10).
    :raises InvalidRule: for a rule finer than a day on an all-day event.
    """

    def __init__(self, rule: Rule, start: int, *, all_day: bool = False, start_counts: bool = False) -> None:
        if all_day and rule.frequency > Frequency.DAILY:
            raise InvalidRule("An all-day event cannot repeat within a day.")
        self.rule = rule
        self.start = start
        self._work = 0
        self._marks: list[
            tuple[int, int]
        ] = []  # (time, occurrences before it), noted while COUNT is followed
        day, time = divmod(start, DAY)
        first = date.fromordinal(day + EPOCH_ORDINAL)
        self._day, self._month_day, self._month, self._year = day, first.day, first.month, first.year
        self._unit = _UNITS.get(rule.frequency, DAY)
        self._times = [time] if all_day else self._times_in_unit(time)
        if rule.by_set_position and rule.frequency >= Frequency.DAILY:
            self._times = _chosen(self._times, rule.by_set_position)
        self._weekdays = frozenset(weekday for _, weekday in rule.by_day)
        self._has_ordinals = any(ordinal for ordinal, _ in rule.by_day)
        self._blocks = self._find_blocks() if self._unit != DAY else []
        self._week_days_cache: dict[int, frozenset[int]] = {}
        if not rule.by_day and rule.frequency == Frequency.WEEKLY:
            listed = rule.by_month_day or rule.by_year_day or rule.by_week_number
            self._weekdays = frozenset(range(7)) if listed else frozenset({_weekday(day)})
        self._dated = bool(rule.by_month or rule.by_month_day or rule.by_year_day or rule.by_week_number)
        self._count = rule.count
        if rule.count is not None and start_counts and not any(self._sets(start, start)):
            self._count = rule.count - 1

    def between(self, low: int, high: int) -> Iterator[list[int]]:
        """Sorted, non-empty lists of the occurrences in ``[low, high]`` (local seconds, both included), in order.

        DTSTART is among them only if the rule produces it.
        :raises TooComplex: when the work exceeds :data:`MAX_WORK`.
        """
        low, high = max(low, self.start), min(high, (LAST_DAY + 1) * DAY - 1)
        if low > high or not self._times:
            return
        begin, passed = self._resume(low, high)
        if passed is None:
            for found in self._sets(begin, high):
                self._work -= min(self._work, len(found))
                yield found
            return
        count = self._count or 0
        for found in self._sets(begin, high):
            end = min(count - passed, len(found))
            if end <= 0:
                return
            if wanted := found[bisect_left(found, low) : end]:
                self._work -= min(self._work, len(wanted))
                yield wanted
            passed += end
            if not self._marks or self._marks[-1][0] <= found[end - 1]:
                self._marks.append((found[end - 1] + 1, passed))

    def _resume(self, low: int, high: int) -> tuple[int, int | None]:
        """Where to begin in order to reach ``low``, and how many occurrences went before (``None``: no matter)."""
        count = self._count
        if count is None:
            return low, None
        origin, length, most, exact = self._periods()
        if count >= ((high - origin) // length + 2) * most:
            return low, None  # COUNT ends after the window, whatever the rule
        periods = (low - origin) // length
        if exact and periods > 0:
            first = sum(map(len, self._sets(self.start, origin + length - 1)))
            return origin + periods * length, first + (periods - 1) * most
        at = bisect_right(self._marks, (low, count)) - 1
        return self._marks[at] if at >= 0 else (self.start, 0)

    def _sets(self, low: int, high: int) -> Iterator[list[int]]:
        """The occurrences in ``[low, high]`` without regard to COUNT, ``low`` not before DTSTART."""
        for found in self._raw(low, high):
            if not found or found[-1] < low or found[0] > high:
                continue
            if found[0] >= low and found[-1] <= high:
                yield found
            elif inside := found[bisect_left(found, low) : bisect_right(found, high)]:
                yield inside

    def _raw(self, low: int, high: int) -> Iterator[list[int]]:
        """The occurrences of every period that reaches into ``[low, high]``, and perhaps some around them."""
        times = self._times
        if self._unit != DAY:
            for units in self._units(low // self._unit, high // self._unit):
                yield [unit * self._unit + time for unit in units for time in times]
            return
        positions = self.rule.by_set_position if self.rule.frequency < Frequency.DAILY else ()
        for days in self._days(low // DAY, high // DAY):
            if positions:
                yield _chosen_times(days, times, positions)
            elif len(times) == 1:
                yield [day * DAY + times[0] for day in days]
            else:
                for day in days:
                    yield [day * DAY + time for time in times]

    def _charge(self, work: int) -> None:
        self._work += work
        if self._work > MAX_WORK:
            raise TooComplex

    # Periods of a day and more ------------------------------------------------------------------------------------

    def _days(self, low: int, high: int) -> Iterator[Sequence[int]]:
        """The days of each period from the one that holds day ``low`` to the one that holds ``high``, sorted."""
        if self.rule.frequency == Frequency.DAILY:
            return self._daily(low, high)
        if self.rule.frequency == Frequency.WEEKLY:
            return self._weekly(low, high)
        if self.rule.frequency == Frequency.MONTHLY:
            return self._monthly(low, high)
        return self._yearly(low, high)

    def _daily(self, low: int, high: int) -> Iterator[Sequence[int]]:
        step = self.rule.interval
        candidates = range(low + (self._day - low) % step, high + 1, step)
        for at in range(0, len(candidates), _CHUNK):
            yield self._limited(candidates[at : at + _CHUNK], weekdays=self._weekdays)

    def _weekly(self, low: int, high: int) -> Iterator[Sequence[int]]:
        rule = self.rule
        step = 7 * rule.interval
        begin = self._day - (_weekday(self._day) - rule.week_start) % 7
        offsets = sorted((weekday - rule.week_start) % 7 for weekday in self._weekdays)
        weeks = range(begin + (low - begin) // step * step, high + 1, step)
        chunk = 1 if rule.by_set_position else _CHUNK // 4
        for at in range(0, len(weeks), chunk):
            days = [week + offset for week in weeks[at : at + chunk] for offset in offsets]
            yield self._limited(days)

    def _monthly(self, low: int, high: int) -> Iterator[Sequence[int]]:
        rule = self.rule
        begin = self._year * 12 + self._month - 1
        first, last = _month_index(low), _month_index(high)
        for index in range(begin + (first - begin) // rule.interval * rule.interval, last + 1, rule.interval):
            self._charge(2 + len(rule.by_day) + len(rule.by_month_day))
            year, month = divmod(index, 12)
            if rule.by_month and month + 1 not in rule.by_month:
                continue
            days = sorted(self._month_days(year, month + 1))
            yield self._limited(days) if rule.by_year_day or rule.by_week_number else days

    def _yearly(self, low: int, high: int) -> Iterator[Sequence[int]]:
        rule, step, begin = self.rule, self.rule.interval, self._year
        first, last = _date(low).year, _date(high).year
        cost = 8 + 12 * (len(rule.by_day) + len(rule.by_month_day)) + 20 * len(rule.by_week_number)
        for year in range(begin + (first - begin) // step * step, last + 1, step):
            self._charge(cost)
            yield sorted(self._year_days(year))

    def _year_days(self, year: int) -> set[int]:
        """The days that a YEARLY rule selects in ``year``."""
        rule = self.rule
        first, length = _new_year(year), _new_year(year + 1) - _new_year(year)
        allowed: list[set[int]] = []
        if rule.by_year_day:
            allowed.append(_counted(rule.by_year_day, first, length))
        if rule.by_week_number:
            allowed.append(set(self._numbered_weeks(year)))
            if not (rule.by_day or rule.by_month_day or rule.by_year_day):
                allowed.append(set(range(first + (self._day - first) % 7, first + length, 7)))
        if self._has_ordinals and not rule.by_month:
            allowed.append(self._weekdays_in(first, length))
            if rule.by_month_day:
                allowed.append({day for day in allowed[-1] if self._is_month_day(_date(day))})
        elif rule.by_month or rule.by_month_day or rule.by_day or not allowed:
            one_month = not (rule.by_month or rule.by_day or rule.by_year_day or rule.by_week_number)
            months = rule.by_month or ((self._month,) if one_month else range(1, 13))
            allowed.append(set().union(*(self._month_days(year, month) for month in months)))
        return set.intersection(*allowed)

    def _month_days(self, year: int, month: int) -> set[int]:
        """The days that BYMONTHDAY and BYDAY, or else DTSTART, select in a month."""
        rule = self.rule
        first = date(year, month, 1).toordinal() - EPOCH_ORDINAL
        length = _month_length(year, month)
        if rule.by_month_day:
            days = _counted(rule.by_month_day, first, length)
            return days & self._weekdays_in(first, length) if rule.by_day else days
        if rule.by_day:
            return self._weekdays_in(first, length)
        if rule.by_year_day or rule.by_week_number:
            return set(range(first, first + length))
        return {first + self._month_day - 1} if self._month_day <= length else set()

    def _weekdays_in(self, first: int, length: int) -> set[int]:
        """The days that BYDAY selects in a month or year of ``length`` days that begins on day ``first``."""
        days: set[int] = set()
        for ordinal, weekday in self.rule.by_day:
            every = range(first + (weekday - _weekday(first)) % 7, first + length, 7)
            if ordinal == 0:
                days.update(every)
            elif abs(ordinal) <= len(every):
                days.add(every[ordinal - 1 if ordinal > 0 else ordinal])
        return days

    def _numbered_weeks(self, year: int) -> frozenset[int]:
        """The days of a calendar year that lie in a week of BYWEEKNO, counted as RFC 5545 §3.3.10 (and ISO 8601) does.

        The first days of January may belong to the last week of the year before, the last of December to week 1.
        """
        if year not in self._week_days_cache:
            begin, end = _new_year(year), _new_year(year + 1)
            days: set[int] = set()
            for numbered in (year - 1, year, year + 1):
                first, after = (_first_week(y, self.rule.week_start) for y in (numbered, numbered + 1))
                for week in _counted(self.rule.by_week_number, 0, (after - first) // 7):
                    days.update(range(first + 7 * week, first + 7 * week + 7))
            self._week_days_cache[year] = frozenset(day for day in days if begin <= day < end)
        return self._week_days_cache[year]

    # Limits ---------------------------------------------------------------------------------------------------------

    def _limited(self, days: Sequence[int], weekdays: frozenset[int] = frozenset()) -> Sequence[int]:
        """Those of ``days`` that the parts coarser than a day allow."""
        self._charge(len(days) // 4 + 3)
        if weekdays:
            days = [day for day in days if (day + 3) % 7 in weekdays]
        if self._dated:
            self._charge(len(days))
            days = [day for day in days if self._is_allowed(day)]
        return days

    def _is_allowed(self, day: int) -> bool:
        rule, on = self.rule, _date(day)
        if rule.by_month and on.month not in rule.by_month:
            return False
        if rule.by_month_day and not self._is_month_day(on):
            return False
        if rule.by_year_day:
            first, after = _new_year(on.year), _new_year(on.year + 1)
            if day - first + 1 not in rule.by_year_day and day - after not in rule.by_year_day:
                return False
        return not rule.by_week_number or day in self._numbered_weeks(on.year)

    def _is_month_day(self, on: date) -> bool:
        allowed = self.rule.by_month_day
        return on.day in allowed or on.day - 1 - _month_length(on.year, on.month) in allowed

    # Periods within a day -------------------------------------------------------------------------------------------

    def _times_in_unit(self, time: int) -> list[int]:
        """Seconds from a unit's begin (of the day, or of an HOURLY, MINUTELY or SECONDLY period) of each occurrence."""
        rule, hour, minute, second = self.rule, time // 3600, time // 60 % 60, time % 60
        hours = (rule.by_hour or (hour,)) if self._unit == DAY else (0,)
        minutes = (rule.by_minute or (minute,)) if self._unit >= 3600 else (0,)
        seconds = (rule.by_second or (second,)) if self._unit >= 60 else (0,)
        if len(hours) * len(minutes) * len(seconds) > MAX_TIMES:
            raise TooComplex
        return [h * 3600 + m * 60 + s for h, m, s in product(hours, minutes, seconds)]

    def _units(self, low: int, high: int) -> Iterator[Sequence[int]]:
        """The hours, minutes or seconds (counted from 1970) that are periods of the rule in ``[low, high]``."""
        step, origin = self.rule.interval, self.start // self._unit
        chunk = max(1, _CHUNK // max(1, len(self._times)))
        blocks = self._blocks
        if not blocks and not self._weekdays and not self._dated:
            units = range(low + (origin - low) % step, high + 1, step)
            for at in range(0, len(units), chunk):
                self._charge(1)
                yield units[at : at + chunk]
            return
        per_day = DAY // self._unit
        for day in range(low // per_day, high // per_day + 1):
            if not self._limited((day,), self._weekdays):
                continue
            for first, after in blocks or [(0, per_day)]:
                self._charge(1)
                begin = day * per_day + first
                units = range(begin + (origin - begin) % step, day * per_day + after, step)
                for at in range(0, len(units), chunk):
                    yield units[at : at + chunk]

    def _find_blocks(self) -> list[tuple[int, int]]:
        """Where BYHOUR, BYMINUTE and BYSECOND let periods begin: ``[first, after)`` in a day's units; none: any."""
        rule = self.rule
        levels = [(rule.by_hour, 24, 3600), (rule.by_minute, 60, 60), (rule.by_second, 60, 1)]
        levels = [level for level in levels if level[2] >= self._unit]
        while levels and not levels[-1][0]:
            levels.pop()
        begins = [0]
        for allowed, size, _ in levels:
            if len(begins) * (len(allowed) or size) > MAX_TIMES:
                raise TooComplex
            begins = [begin * size + part for begin in begins for part in allowed or range(size)]
        scale = levels[-1][2] // self._unit if levels else 1
        return [(begin * scale, (begin + 1) * scale) for begin in begins] if levels else []

    def _periods(self) -> tuple[int, int, int, bool]:
        """Begin of the first period, shortest period, most occurrences in one, whether all later hold as many."""
        rule, times, step = self.rule, len(self._times), self.rule.interval
        plain = not self._dated
        if self._unit != DAY:
            origin = self.start // self._unit * self._unit
            return origin, step * self._unit, times, plain and not self._weekdays and not self._blocks
        if rule.frequency == Frequency.DAILY:
            return self._day * DAY, step * DAY, times, plain and not self._weekdays
        if rule.frequency == Frequency.WEEKLY:
            begin = self._day - (_weekday(self._day) - rule.week_start) % 7
            return (
                begin * DAY,
                7 * step * DAY,
                len(self._weekdays) * times,
                plain and not rule.by_set_position,
            )
        begin = _date(self._day).replace(day=1).toordinal() - EPOCH_ORDINAL
        if rule.frequency == Frequency.MONTHLY:
            return begin * DAY, 28 * step * DAY, 31 * times, False
        return _new_year(self._year) * DAY, 365 * step * DAY, 366 * times, False


def _date(day: int) -> date:
    return date.fromordinal(min(max(day, FIRST_DAY), LAST_DAY) + EPOCH_ORDINAL)


def _weekday(day: int) -> int:
    return (day + 3) % 7  # 1970-01-01 was a Thursday; Monday is 0


def _month_index(day: int) -> int:
    on = _date(day)
    return on.year * 12 + on.month - 1


def _month_length(year: int, month: int) -> int:
    if month == 2:
        return _new_year(year + 1) - _new_year(year) - 337
    return 30 if month in (4, 6, 9, 11) else 31


def _new_year(year: int) -> int:
    """January 1 of any year, 0 and 10000 included, which ``datetime.date`` cannot say."""
    before = year - 1
    return before * 365 + before // 4 - before // 100 + before // 400 + 1 - EPOCH_ORDINAL


def _first_week(year: int, week_start: int) -> int:
    """First day of week 1, the first week with four days in the year."""
    fourth = _new_year(year) + 3
    return fourth - (_weekday(fourth) - week_start) % 7


def _counted(numbers: Sequence[int], first: int, length: int) -> set[int]:
    """``first + n - 1`` of each number, from the end where it is negative, as far as it lies within ``length``."""
    return {first + (n - 1 if n > 0 else length + n) for n in numbers if abs(n) <= length}


def _chosen(items: list[int], positions: Sequence[int]) -> list[int]:
    """BYSETPOS on a period's sorted set."""
    return [items[index] for index in sorted(_counted(positions, 0, len(items)))]


def _chosen_times(days: Sequence[int], times: Sequence[int], positions: Sequence[int]) -> list[int]:
    """BYSETPOS on every time of every day, without building that set: there may be millions."""
    indices = sorted(_counted(positions, 0, len(days) * len(times)))
    return [days[index // len(times)] * DAY + times[index % len(times)] for index in indices]
