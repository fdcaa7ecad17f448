"""Occurrences of mirrored events, whatever strangers wrote into their rules.

An invitation from outside must neither stop a sync nor vanish: what can be said of its time with certainty is kept.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from calendar_app.domain.event import CalendarEvent, EventStatus, EventTime
from calendar_app.domain.recurrence import (
    Occurrence,
    RecurrenceError,
    TooManyOccurrences,
    UnknownZone,
    expand,
)
from calendar_app.domain.recurrence.wallclock import instant_of
from calendar_app.domain.timespan import Span, instant

log = logging.getLogger(__name__)

BEHIND, AHEAD = timedelta(days=35), timedelta(days=400)
"""The window around now in which recurring events are expanded, and before which events are not mirrored."""
MOST = 5_000
"""Occurrences kept of one series; of a denser one, those nearest to now."""
_FAR = 1 << 40
_HOUR, _DAY = 3600, 86_400


def window_at(now: datetime) -> Span:
    """The mirror's window at ``now``."""
    return Span(instant(now - BEHIND), instant(now + AHEAD))


def expand_series(
    master: CalendarEvent | None, exceptions: Sequence[CalendarEvent], zone: str, window: Span
) -> list[Occurrence]:
    """Occurrences of a series in ``window``; of one whose rule is wrong or too much, what of it is certain.

    A rule that is too dense is followed through a shorter and shorter time around now. Where it cannot be followed at
    all, the event's own start and its changed occurrences remain; without a master the exceptions stand alone.
    """
    changes = list(exceptions)
    if master is not None:
        part, now = window, window.start + int(BEHIND.total_seconds())
        while part.end - now > _HOUR:
            try:
                found = expand(master, exceptions, part, zone, limit=MOST)
            except TooManyOccurrences:
                part = Span(max(window.start, now - _DAY), now + (part.end - now) // 2)
            except RecurrenceError as error:
                log.warning("the event %s is shown once only: %s", master.remote_id, error)
                break
            else:
                return found if part == window else [*found, *_own_start(master, found, zone, window)]
        changes.insert(0, replace(master, recurrence=()))
    standing = (event for event in changes if event.status is not EventStatus.CANCELLED)
    return [one for event in standing for one in expand_single(event, zone, window)]


def expand_single(event: CalendarEvent, zone: str, window: Span) -> list[Occurrence]:
    """The one occurrence of an event that does not recur, however far ahead; none if it ended before the window."""
    reach = Span(window.start, _FAR)
    try:
        if _is_plain(event):
            return _placed(event, zone, window)
        return expand(event, (), reach, zone, limit=1)
    except UnknownZone:
        event = replace(event, start=_floating(event.start), end=_floating(event.end))
    except RecurrenceError as error:
        log.warning("the event %s has no usable time: %s", event.remote_id, error)
        return []
    return expand(event, (), reach, zone, limit=1)


def _is_plain(event: CalendarEvent) -> bool:
    """Whether the event lies between two points of time: most do, and need no recurrence engine."""
    start, end = event.start, event.end
    return bool(start and end and not event.recurrence and not start.all_day and not event.nominal_days)


def _placed(event: CalendarEvent, zone: str, window: Span) -> list[Occurrence]:
    if event.start is None or event.end is None or event.status is EventStatus.CANCELLED:
        return []
    start = instant_of(event.start, zone)
    end = max(start, instant_of(event.end, zone))
    return [Occurrence(start, end, start, False, event)] if max(start + 1, end) > window.start else []


def _own_start(
    master: CalendarEvent, found: Sequence[Occurrence], zone: str, window: Span
) -> list[Occurrence]:
    """The series' first occurrence, where a shortened window has missed it."""
    known = {one.original for one in found}
    return [
        one
        for one in expand_single(replace(master, recurrence=()), zone, window)
        if one.original not in known
    ]


def _floating(time: EventTime | None) -> EventTime | None:
    return replace(time, zone=None) if time else None
