"""Occurrences of mirrored events, whatever strangers wrote into their rules.

An invitation from outside must neither stop a sync nor vanish: what can be said of its time with certainty is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from calendar_app.domain.event import CalendarEvent, EventStatus
from calendar_app.domain.recurrence import Occurrence, UnknownZone
from calendar_app.domain.recurrence.cautious import Expansion, expand_cautiously
from calendar_app.domain.recurrence.definition import OR
from calendar_app.domain.recurrence.wallclock import instant_of
from calendar_app.domain.timespan import Span, instant

BEHIND, AHEAD = timedelta(days=35), timedelta(days=400)
"""The window around now in which recurring events are expanded, and before which events are not mirrored."""
MOST = 5_000
"""Occurrences kept of one series; a denser one is busy through the time between, too."""
_FAR = 1 << 40


def window_at(now: datetime) -> Span:
    """The mirror's window at ``now``."""
    return Span(instant(now - BEHIND), instant(now + AHEAD))


def expand_series(
    master: CalendarEvent | None, exceptions: Sequence[CalendarEvent], zone: str, window: Span
) -> Expansion:
    """Occurrences of a series in ``window``, and what of it was not understood.

    What cannot be followed is busy where it might be (:mod:`calendar_app.domain.recurrence.cautious`). Without a master
    the exceptions stand alone.
    """
    if master is not None:
        return expand_cautiously(master, exceptions, window, zone, limit=MOST)
    standing = (event for event in exceptions if event.status is not EventStatus.CANCELLED)
    parts = [expand_single(event, zone, window) for event in standing]
    return Expansion(
        [one for part in parts for one in part.occurrences],
        tuple(dict.fromkeys(sentence for part in parts for sentence in part.unread)),
    )


def expand_single(event: CalendarEvent, zone: str, window: Span) -> Expansion:
    """The one occurrence of an event that does not recur, however far ahead; none if it ended before the window."""
    if _is_plain(event):
        try:
            return Expansion(_placed(event, zone, window))
        except UnknownZone:
            pass  # read in the calendar's zone below
    return expand_cautiously(replace(event, recurrence=()), (), Span(window.start, _FAR), zone, limit=1).of(
        event
    )


def _is_plain(event: CalendarEvent) -> bool:
    """Whether the event lies between two points of time: most do, and need no recurrence engine."""
    start, end = event.start, event.end
    if not start or not end or event.recurrence or start.all_day or event.nominal_days:
        return False
    return OR not in (start.zone or "") and OR not in (end.zone or "")


def _placed(event: CalendarEvent, zone: str, window: Span) -> list[Occurrence]:
    if event.start is None or event.end is None or event.status is EventStatus.CANCELLED:
        return []
    start = instant_of(event.start, zone)
    end = max(start, instant_of(event.end, zone))
    return [Occurrence(start, end, start, False, event)] if max(start + 1, end) > window.start else []
