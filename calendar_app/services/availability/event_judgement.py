"""When events that were just read make their owner busy, told by the functions with which the mirror tells it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from calendar_app.domain.event import CalendarEvent, EventStatus
from calendar_app.domain.recurrence import Occurrence
from calendar_app.domain.timespan import Span
from calendar_app.services.calendar_mirror.expansion import BEHIND, expand_series, expand_single

_BEHIND, _DAY = int(BEHIND.total_seconds()), 86_400


@dataclass(frozen=True, slots=True)
class Judged:
    """``busy``: when the events block time. ``known``: when any of them lies, whether it blocks time or not, an
    occurrence also where it was before it was moved or cancelled."""

    busy: list[Span]
    known: list[Span]


def judge(events: Sequence[CalendarEvent], zone: str, span: Span) -> Judged:
    """What the events of a calendar say of the time around ``span``; ``zone`` is the calendar's, as the mirror has it.

    A changed occurrence whose master is not among them stands alone, as it does in the mirror.
    """
    window = Span(span.start - _BEHIND, span.end + _DAY)
    masters = {event.remote_id for event in events if not event.master_id}
    busy: list[Span] = []
    known: list[Span] = []
    for event in events:
        alone = replace(event, master_id=None, original_start=None)
        if event.master_id not in masters:
            changes = [one for one in events if one.master_id == event.remote_id]
            busy += [
                Span(o.start, o.end) for o in _expanded(alone, changes, zone, window) if o.event.blocks_time
            ]
            standing = [replace(one, status=EventStatus.CONFIRMED) for one in changes]
            known += _all(alone, standing, zone, window)
        known += _all(alone, [], zone, window)
    return Judged(busy, known)


def _all(event: CalendarEvent, changes: Sequence[CalendarEvent], zone: str, window: Span) -> list[Span]:
    """When the event lies, whatever it says of that time."""
    found = _expanded(replace(event, status=EventStatus.CONFIRMED), changes, zone, window)
    return [Span(one.start, one.end) for one in found]


def _expanded(
    event: CalendarEvent, changes: Sequence[CalendarEvent], zone: str, window: Span
) -> list[Occurrence]:
    if event.recurrence:
        return expand_series(event, changes, zone, window).occurrences
    return expand_single(event, zone, window).occurrences
