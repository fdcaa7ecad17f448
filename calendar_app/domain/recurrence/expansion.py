"""Occurrences of an event inside a window: the recurrence set with its changed and cancelled occurrences applied.

A series is cut into *stretches*: the master's own, and one from each RANGE=THISANDFUTURE change on (RFC 5545 §3.2.13),
which shifts the following original starts by its own wall-clock difference and replaces their fields and duration.
Changes of single occurrences are then laid over it. Occurrences are found by where they end up, not by where they
were: one moved into the window from outside is there, one moved out is not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from operator import itemgetter
from typing import NamedTuple

from calendar_app.domain.event import CalendarEvent, EventStatus, EventTime, time_lost
from calendar_app.domain.recurrence.errors import TooManyOccurrences
from calendar_app.domain.recurrence.series import Series
from calendar_app.domain.recurrence.wallclock import DAY, LAST_DAY, Zone, instant_of, wall_seconds, zone_of
from calendar_app.domain.timespan import Span

_FOREVER = (LAST_DAY + 1) * DAY
_MARGIN = 512  # original starts that are looked at around the window, and then turn out not to reach into it
_order = itemgetter(0, 1, 2)


class Occurrence(NamedTuple):
    """One occurrence, ``[start, end)`` in epoch seconds.

    ``original`` is the instant its RECURRENCE-ID names, which stays the same when it is moved, or its start where the
    event does not recur; ``event`` is the master or exception whose fields apply to it.
    """

    start: int
    end: int
    original: int
    all_day: bool
    event: CalendarEvent


def expand(
    master: CalendarEvent,
    exceptions: Iterable[CalendarEvent],
    window: Span,
    calendar_zone: str,
    *,
    limit: int,
    unclear: list[str] | None = None,
) -> list[Occurrence]:
    """The occurrences of ``master`` that overlap ``window``, by start; at most ``limit``.

    One without length belongs to the window that holds its start. Cancelled occurrences, and those of a cancelled
    event, are left out; so is an exception whose original start the series does not have (RFC 5545 §3.8.4.4), for
    instance because an EXDATE removed it. ``master`` may also be an event that does not recur.

    :param exceptions: the changed and cancelled occurrences of this master; of several for one original start the
        one with the highest SEQUENCE counts, the later among equals.
    :param calendar_zone: IANA zone in which all-day and floating times are read.
    :param unclear: takes sentences about what was left out because it could not be read: an end, single dates.
    :raises RecurrenceError: its subclasses say why; bounded in time whatever the rule.
    """
    if master.start is None or master.status is EventStatus.CANCELLED:
        return []
    series = Series(master, master.start, calendar_zone)
    singles, futures = _exceptions(series, exceptions)
    most = limit + len(singles) + _MARGIN
    found: list[Occurrence] = []
    seen: set[int] = set()
    for stretch in _stretches(series, master, master.start, futures, calendar_zone):
        originals = series.starts(*stretch.originals(window, series.longest_period), most)
        if singles:
            seen.update(originals)
            originals = [original for original in originals if original not in singles]
        found += stretch.place_all(originals, series.periods, window)
    for original, event in singles.items():
        changed = _changed(event, original, calendar_zone)
        if changed is None or not _overlaps(changed, window):
            continue
        if original in seen or series.starts(original, original + 1, most):
            found.append(changed)
    if len(found) > limit:
        raise TooManyOccurrences(limit)
    if unclear is not None:
        unclear += series.unclear
    found.sort(key=_order)
    return found


def _overlaps(occurrence: Occurrence, window: Span) -> bool:
    start, end = occurrence[0], occurrence[1]
    return start < window[1] and (end > window[0] or start >= window[0])


def _exceptions(
    series: Series, exceptions: Iterable[CalendarEvent]
) -> tuple[dict[int, CalendarEvent], list[tuple[int, CalendarEvent]]]:
    """Changes of one occurrence by original start, and those of this and all following ones in order. One whose new
    time could not be read leaves the occurrence where it was."""
    singles: dict[int, CalendarEvent] = {}
    futures: dict[int, CalendarEvent] = {}
    for event in exceptions:
        named = event.original_start or event.start
        if named is not None and (event.this_and_future or not time_lost(event)):
            kind = futures if event.this_and_future else singles
            original = series.identify(named)
            if original not in kind or kind[original].sequence <= event.sequence:
                kind[original] = event
    return singles, sorted(futures.items(), key=itemgetter(0))


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Original starts in ``[first, after)`` and what becomes of them.

    ``shift`` is in wall-clock seconds of ``zone``, ``None`` where nothing moves. An occurrence lasts ``days`` calendar
    days of ``zone`` and then ``seconds``.
    """

    event: CalendarEvent
    zone: Zone
    all_day: bool
    days: int
    seconds: int
    first: int = -_FOREVER
    after: int = _FOREVER
    shift: int | None = None

    def originals(self, window: Span, longest_period: int) -> tuple[int, int]:
        """The range of original starts outside which no occurrence can overlap ``window``.

        Wall-clock days and shifts are instants only up to the change of the zone's offset, which is under a day.
        """
        if self.plain and not longest_period:
            low, high = window[0] - self.seconds + bool(self.seconds), window[1]
        else:
            shift = self.shift or 0
            slack = DAY * (bool(self.days) + 2 * (self.shift is not None))
            low = window[0] - max(self.days * DAY + self.seconds, longest_period) - shift - slack
            high = window[1] - shift + slack
        return max(self.first, low), min(self.after, high)

    @property
    def plain(self) -> bool:
        """Nothing moves, and all last equally long: then :meth:`originals` is exact."""
        return self.shift is None and not self.days

    def place_all(self, originals: list[int], periods: dict[int, int], window: Span) -> list[Occurrence]:
        """The occurrences that ``originals`` have become, as far as they overlap ``window``."""
        if self.plain and not periods:
            seconds, all_day, event = self.seconds, self.all_day, self.event
            return [Occurrence(start, start + seconds, start, all_day, event) for start in originals]
        placed = (self.place(original, periods.get(original)) for original in originals)
        return [occurrence for occurrence in placed if _overlaps(occurrence, window)]

    def place(self, original: int, period_end: int | None) -> Occurrence:
        """The occurrence that the original start has become. ``period_end``: where an RDATE's PERIOD ends it."""
        start = original
        zone = self.zone
        if self.shift is not None:
            local = zone.local(original) + self.shift
            start = zone.instant(local - local % DAY if self.all_day else local)
        elif period_end is not None:
            return Occurrence(start, period_end, original, self.all_day, self.event)
        end = start + self.seconds
        if self.days:
            end = zone.instant(zone.local(start) + self.days * DAY) + self.seconds
        return Occurrence(start, end, original, self.all_day, self.event)


def _stretches(
    series: Series,
    master: CalendarEvent,
    start: EventTime,
    futures: list[tuple[int, CalendarEvent]],
    calendar_zone: str,
) -> Iterator[_Stretch]:
    bounds = [original for original, _ in futures] + [_FOREVER]
    days, seconds = _duration(master, start, calendar_zone)
    yield _Stretch(master, series.zone, series.all_day, days, seconds, after=bounds[0])
    for (original, event), after in zip(futures, bounds[1:], strict=True):
        if event.status is EventStatus.CANCELLED:
            continue
        begin = event.start or start
        zone = zone_of(calendar_zone if begin.all_day or begin.zone is None else begin.zone)
        days, seconds = _duration(event if event.start else master, begin, calendar_zone)
        shift = wall_seconds(event.start.value) - zone.local(original) if event.start else None
        yield _Stretch(event, zone, begin.all_day, days, seconds, original, after, shift)


def _duration(event: CalendarEvent, start: EventTime, calendar_zone: str) -> tuple[int, int]:
    """Calendar days, and seconds on top, that each occurrence lasts.

    RFC 5545 §3.8.5.3: a DTEND fixes the exact duration, a DURATION's days and weeks are nominal ones; all-day events
    last whole days, one where no end is given (§3.6.1).
    """
    if start.all_day:
        if event.end is None:
            return 1, 0
        return max(1, (wall_seconds(event.end.value) - wall_seconds(start.value)) // DAY), 0
    if event.end is None:
        return 0, 0
    begin, end = instant_of(start, calendar_zone), instant_of(event.end, calendar_zone)
    if event.nominal_days:
        zone = zone_of(start.zone or calendar_zone)
        begin = zone.instant(zone.local(begin) + event.nominal_days * DAY)
    return event.nominal_days, max(0, end - begin)


def _changed(event: CalendarEvent, original: int, calendar_zone: str) -> Occurrence | None:
    """The occurrence that an exception puts in the original's place; ``None`` where it only removes it."""
    if event.status is EventStatus.CANCELLED or event.start is None:
        return None
    start = instant_of(event.start, calendar_zone)
    zone = zone_of(calendar_zone if event.start.all_day or event.start.zone is None else event.start.zone)
    days, seconds = _duration(event, event.start, calendar_zone)
    end = (zone.instant(zone.local(start) + days * DAY) if days else start) + seconds
    return Occurrence(start, end, original, event.start.all_day, event)
