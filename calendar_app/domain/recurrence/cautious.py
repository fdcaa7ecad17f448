"""Occurrences of an event whatever a stranger wrote into it: what cannot be followed is busy where it might be.

Three things keep a series from being expanded as it stands. A rule may be *refused* (a part that nobody here knows):
then the event may take place on every day, at its time of day. It may be *dense*, with more occurrences than are worth
a row each: then it is busy through each hour in which it occurs. Or its zone may be unknown: then its times are read in
the calendar's own. Each is told, as a sentence about the event.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from operator import itemgetter

from calendar_app.domain.event import CalendarEvent, EventStatus, EventTime
from calendar_app.domain.recurrence.definition import OR, readings
from calendar_app.domain.recurrence.errors import (
    RecurrenceError,
    TooManyOccurrences,
    UnknownZone,
)
from calendar_app.domain.recurrence.expansion import Occurrence, expand
from calendar_app.domain.recurrence.rule import (
    Frequency,
    Rule,
    loosest_rule,
    parse_duration,
    parse_rule,
    parse_time,
)
from calendar_app.domain.recurrence.series import left_out, split_line
from calendar_app.domain.recurrence.wallclock import DAY, instant_of, zone_of
from calendar_app.domain.timespan import Span, merge

THROUGHOUT = "RRULE:FREQ=SECONDLY"
"""The rule of an event that counts as busy without a break, because what it says is too much to follow."""
REFUSED = "Its repetition cannot be followed, so it counts as busy at its time of day on every day. {}"
DENSE = "It repeats so often that the time between counts as busy, too."
TWO_ZONES = "What its calendar says of its time zone is not what is known of it, so both times count as busy."
NO_ZONE = "Its time zone is not known, so its times are read in this calendar’s time zone."
_HOUR = 3600
_UNITS = {Frequency.HOURLY: _HOUR, Frequency.MINUTELY: 60, Frequency.SECONDLY: 1}
_MOST_HOURS = 24 * 500
_MOST_LINES = 20_000
_MOST_UNCLEAR = 10
_FOREVER = 1 << 40
_DATES = re.compile(r"(?:[0-9]{8}(?:T[0-9]{6}Z?)?,?)*")
_order = itemgetter(0, 1, 2)


@dataclass(frozen=True, slots=True)
class Expansion:
    """Occurrences by start, and sentences about what of the event was not understood."""

    occurrences: list[Occurrence]
    unread: tuple[str, ...] = ()

    def of(self, event: CalendarEvent) -> Expansion:
        """The same occurrences as ``event``'s, of which another was made to expand it."""
        return Expansion([one._replace(event=event) for one in self.occurrences], self.unread)


def expand_cautiously(
    master: CalendarEvent,
    exceptions: Iterable[CalendarEvent],
    window: Span,
    calendar_zone: str,
    *,
    limit: int,
) -> Expansion:
    """The occurrences of ``master`` in ``window``, about ``limit`` at most; never fewer than it may have.

    Takes what :func:`~calendar_app.domain.recurrence.expansion.expand` takes; nothing that an event says is raised.
    """
    changes = list(exceptions)
    events = (master, *changes)
    if (
        ways := [[_in_way(event, way) for event in events] for way in (0, 1)]
        if any(map(_has_two_ways, events))
        else []
    ):
        return _both(events, ways, window, calendar_zone, limit)
    if master.status is EventStatus.CANCELLED:
        return Expansion([])
    if master.start is None:
        found = [one for change in changes for one in _alone(change, window, calendar_zone)]
        return Expansion(sorted(found, key=_order))
    if (span := _without_a_break(master, window, calendar_zone)) is not None:
        found = _as_occurrences([span] if span.start < span.end else [], master)
        found += [one for change in changes for one in _alone(change, window, calendar_zone)]
        return Expansion(sorted(found, key=_order), (DENSE,))
    unread: list[str] = []
    rules, loosest = _rules(master, unread)
    dates = [line for line in master.recurrence if _name(line) == "RDATE"]
    limits = [line for line in master.recurrence if _name(line) in ("EXDATE", "EXRULE")]
    limits = [line for line in limits if _name(line) == "EXDATE" or not what_is_unclear([line])]
    is_refused = bool(unread)
    attempt = master
    for lines in ([*rules, *dates, *limits], [*rules, *dates]):
        attempt = replace(master, recurrence=tuple(lines))
        try:
            found = expand(attempt, changes, window, calendar_zone, limit=limit, unclear=unread)
        except TooManyOccurrences:
            unread.append(DENSE)
            break
        except UnknownZone:
            return _in_calendar_zone(master, changes, window, calendar_zone, limit)
        except (RecurrenceError, OverflowError) as error:
            unread.append(REFUSED.format(error))
        else:
            found = _belonging(found, attempt, master)
            shown = {id(one.event) for one in found}
            lost = [change for change in changes if is_refused and id(change) not in shown]
            found += [one for change in lost for one in _alone(change, window, calendar_zone)]
            return Expansion(sorted(found, key=_order), _once(unread))
    if DENSE not in unread:
        attempt = replace(master, recurrence=(*loosest, *dates))
    spans = _hours(attempt, window, calendar_zone, limit)
    moved = [one for change in changes for one in _alone(change, window, calendar_zone)]
    found = sorted([*_as_occurrences(spans, master), *moved], key=_order)
    return Expansion(found, _once(unread))


def _both(
    events: Sequence[CalendarEvent],
    ways: Sequence[Sequence[CalendarEvent]],
    window: Span,
    calendar_zone: str,
    limit: int,
) -> Expansion:
    """The occurrences of events whose zone can be read in two ways; where these differ, both."""
    found: dict[tuple[int, int, int], Occurrence] = {}
    unread: list[str] = []
    numbers: set[int] = set()
    for way in ways:
        read = expand_cautiously(way[0], way[1:], window, calendar_zone, limit=limit)
        place = {id(copy): index for index, copy in enumerate(way)}
        for one in read.occurrences:
            index = place[id(one.event)]
            found.setdefault((one.start, one.end, index), one._replace(event=events[index]))
        unread += read.unread
        numbers.add(len(read.occurrences))
    if numbers != {len(found)}:
        unread.insert(0, TWO_ZONES)
    return Expansion(sorted(found.values(), key=_order), _once(unread))


def _has_two_ways(event: CalendarEvent) -> bool:
    times = (event.start, event.end, event.original_start)
    return any(time is not None and time.zone and OR in time.zone for time in times) or any(
        OR in line for line in event.recurrence
    )


def _in_way(event: CalendarEvent, way: int) -> CalendarEvent:
    """The event with the first (0) or last (1) zone in the place of each that may be two."""

    def chosen(zone: str) -> str:
        return readings(zone)[-way]

    times = {
        name: replace(time, zone=chosen(time.zone))
        for name in ("start", "end", "original_start")
        if (time := getattr(event, name)) is not None and time.zone
    }
    lines = []
    for line in event.recurrence:
        if OR in line:
            name, zone, value = split_line(line)
            line = f'{name};TZID="{chosen(zone)}":{value}' if zone else line  # noqa: PLW2901
        lines.append(line)
    return replace(event, **times, recurrence=tuple(lines))


def _in_calendar_zone(
    master: CalendarEvent, changes: Sequence[CalendarEvent], window: Span, calendar_zone: str, limit: int
) -> Expansion:
    """The occurrences of events that name an unknown zone, each with the event as it was."""
    events = (master, *changes)
    floating = [_floating(event) for event in events]
    read = expand_cautiously(floating[0], floating[1:], window, calendar_zone, limit=limit)
    as_it_was = {id(copy): event for copy, event in zip(floating, events, strict=True)}
    found = [one._replace(event=as_it_was[id(one.event)]) for one in read.occurrences]
    return Expansion(found, _once((NO_ZONE, *read.unread)))


def _alone(change: CalendarEvent, window: Span, calendar_zone: str) -> list[Occurrence]:
    """A changed occurrence whose series is not followed one by one."""
    event = replace(change, recurrence=(), master_id=None, original_start=None)
    return expand_cautiously(event, (), window, calendar_zone, limit=1).of(change).occurrences


def what_is_unclear(recurrence: Sequence[str]) -> list[str]:
    """Sentences about what of recurrence lines cannot be read: rules, or a part of them, and single dates."""
    unclear: list[str] = []
    for line in recurrence[:_MOST_LINES]:
        try:
            name, _, value = split_line(line)
            if name in ("RRULE", "EXRULE"):
                unclear += parse_rule(value).unclear
            elif name in ("RDATE", "EXDATE") and len(unclear) < _MOST_UNCLEAR and not _DATES.fullmatch(value):
                unclear += [
                    left_out(name, date) for date in value.split(",")[:1_000] if not _is_readable(date)
                ]
        except RecurrenceError as error:
            unclear.append(REFUSED.format(error))
    return unclear[:_MOST_UNCLEAR]


def _is_readable(value: str) -> bool:
    begin, _, end = value.strip().partition("/")
    try:
        if begin:
            parse_time(begin)
        if end:
            _ = parse_duration(end) if end.lstrip("+-").startswith("P") else parse_time(end)
    except RecurrenceError:
        return False
    return True


def _rules(master: CalendarEvent, unread: list[str]) -> tuple[list[str], list[str]]:
    """The event's RRULE lines, the loosest in the place of those that are refused, which ``unread`` is told of; and the
    loosest of them all."""
    assert master.start is not None
    rules: list[str] = []
    loosest: list[str] = []
    for line in master.recurrence[:_MOST_LINES]:
        if _name(line) != "RRULE":
            continue
        loosest.append(f"RRULE:{_loosest(line, master.start).text}")
        try:
            rule = parse_rule(split_line(line)[2])
            if master.start.all_day and rule.frequency > Frequency.DAILY:
                raise RecurrenceError("An all-day event cannot repeat within a day.")
            rules.append(line)
        except RecurrenceError as error:
            unread.append(REFUSED.format(error))
            rules.append(loosest[-1])
    return rules, list(dict.fromkeys(loosest))


def _name(line: str) -> str:
    return line.partition(":")[0].partition(";")[0].strip().upper()


def _loosest(line: str, start: EventTime) -> Rule:
    rule = loosest_rule(line.partition(":")[2])
    return replace(rule, frequency=Frequency.DAILY) if start.all_day else rule


def _without_a_break(master: CalendarEvent, window: Span, calendar_zone: str) -> Span | None:
    """The one span of a plain rule whose occurrences touch each other, or leave less than a minute between them."""
    if len(master.recurrence) != 1 or master.start is None:
        return None
    if master.start.all_day and not master.recurrence[0].startswith(THROUGHOUT):
        return None
    try:
        rule = parse_rule(split_line(master.recurrence[0])[2])
        step = rule.interval * _UNITS.get(rule.frequency, DAY)
        if rule != Rule(rule.frequency, rule.interval, until=rule.until) or step >= DAY:
            return None
        start = instant_of(master.start, calendar_zone)
        length = instant_of(master.end, calendar_zone) - start if master.end else 0
        if step > max(length, 60):
            return None
        end = window.end
        if rule.until is not None:
            last = instant_of(rule.until, calendar_zone) + DAY * rule.until.all_day
            end = min(end, max(start, last) + length)
    except (RecurrenceError, OverflowError):
        return None
    return Span(max(start, window.start), end)


def _hours(master: CalendarEvent, window: Span, calendar_zone: str, limit: int) -> list[Span]:
    """A dense series as spans of time, made of every hour in which it occurs, from its first start to its last end
    there. Gaps are closed until ``limit`` spans are enough."""
    start = master.start
    assert start is not None
    begin = instant_of(start, calendar_zone)
    length = max(60, instant_of(master.end, calendar_zone) - begin) if master.end else 60
    coarse = replace(master, nominal_days=0)
    wall = start.value
    if isinstance(wall, datetime):
        hour = wall.replace(minute=0, second=0)
        end = EventTime(_later(hour, _HOUR + length), start.zone)
        coarse = replace(coarse, start=EventTime(hour, start.zone), end=end)
    spans: list[Span] = []
    for line in master.recurrence:
        try:
            if _name(line) == "RDATE":
                found = expand(
                    replace(master, recurrence=(line,)), (), window, calendar_zone, limit=_MOST_HOURS
                )
                spans += [Span(one.start, one.end) for one in found]
                continue
            rule = parse_rule(split_line(line)[2])
            first, last = _within_an_hour(rule, wall) if isinstance(wall, datetime) else (0, 0)
            lines = (f"RRULE:{_hourly(rule, start).text}",)
            found = expand(replace(coarse, recurrence=lines), (), window, calendar_zone, limit=_MOST_HOURS)
            spans += [Span(one.start + first, one.start + last + length) for one in found]
        except (RecurrenceError, OverflowError):
            low, high = (
                _reach_of_dates(line, calendar_zone) if _name(line) == "RDATE" else (begin, window.end)
            )
            spans.append(Span(max(low, window.start), min(high + length, window.end)))
    earliest = (
        begin if not any(_name(line) == "RDATE" for line in master.recurrence) else window.start - length
    )
    spans = merge((max(low, earliest), high) for low, high in spans if high > window.start)
    gap = _HOUR
    while len(spans) > limit:
        spans = [Span(low, high - gap) for low, high in merge((low, high + gap) for low, high in spans)]
        gap *= 2
    return spans


def _within_an_hour(rule: Rule, wall: datetime) -> tuple[int, int]:
    """Seconds after the full hour at which the rule's occurrences in it begin: the first and the last."""
    seconds = rule.by_second or ((0, 59) if rule.frequency is Frequency.SECONDLY else (wall.second,))
    minutes: Sequence[int] = rule.by_minute
    if not minutes and rule.frequency <= Frequency.HOURLY:
        minutes = (wall.minute,)
    elif not minutes and rule.frequency is Frequency.MINUTELY and 60 % rule.interval == 0:
        minutes = range(wall.minute % rule.interval, 60, rule.interval)
    elif not minutes:
        minutes = (0, 59)
    return min(minutes) * 60 + min(seconds), max(minutes) * 60 + max(seconds)


def _hourly(rule: Rule, start: EventTime) -> Rule:
    """The rule without its minutes, seconds and count."""
    until = rule.until
    if rule.frequency in _UNITS and rule.count and rule == Rule(rule.frequency, rule.interval, rule.count):
        reach = min((rule.count - 1) * rule.interval * _UNITS[rule.frequency], 400 * 366 * DAY)
        if isinstance(start.value, datetime):
            until = EventTime(
                _later(start.value, reach + DAY), None
            )  # a day more: offsets may change on the way
    within_an_hour = rule.frequency > Frequency.HOURLY
    return replace(
        rule,
        frequency=min(rule.frequency, Frequency.HOURLY),
        interval=1 if within_an_hour else rule.interval,
        count=None,
        until=until,
        by_minute=(),
        by_second=(),
        by_set_position=(),
    )


def _later(moment: datetime, seconds: int) -> datetime:
    try:
        return moment + timedelta(seconds=seconds)
    except OverflowError:
        return datetime(9999, 12, 31)  # noqa: DTZ001


def _reach_of_dates(line: str, calendar_zone: str) -> tuple[int, int]:
    """Instants before and after every date of an RDATE line, with a day to spare; all of time for a line without."""
    days = [value.strip()[:8] for value in split_line(line)[2].split(",")]
    days = [day for day in days if day.isascii() and day.isdigit()] or [""]
    try:
        first, last = (
            instant_of(EventTime(date(int(day[:4]), int(day[4:6]), int(day[6:]))), calendar_zone)
            for day in (min(days), max(days))
        )
    except ValueError:
        return -_FOREVER, _FOREVER
    return first - DAY, last + 2 * DAY


def _as_occurrences(spans: Iterable[tuple[int, int]], event: CalendarEvent) -> list[Occurrence]:
    return [Occurrence(start, end, start, False, event) for start, end in spans]


def _belonging(found: list[Occurrence], attempt: CalendarEvent, master: CalendarEvent) -> list[Occurrence]:
    """The occurrences of what was attempted, as the event's own."""
    if attempt is master:
        return found
    return [one._replace(event=master) if one.event is attempt else one for one in found]


def _floating(event: CalendarEvent) -> CalendarEvent:
    """The event with no zone where its own is unknown."""
    times = {
        name: replace(time, zone=None)
        for name in ("start", "end", "original_start")
        if (time := getattr(event, name)) is not None and not _is_known(time.zone)
    }
    lines = []
    for line in event.recurrence:
        try:
            name, zone, value = split_line(line)
            lines.append(line if _is_known(zone) else f"{name}:{value}")
        except RecurrenceError:
            lines.append(line)
    return replace(event, **times, recurrence=tuple(lines))


def _is_known(zone: str | None) -> bool:
    try:
        return zone is None or zone_of(zone) is not None
    except UnknownZone:
        return False


def _once(sentences: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(sentences))
