"""Which components of a file are versions of one event, and which are different events that share a UID.

A UID belongs to one event (RFC 5545 §3.8.4.7), and whoever changes its time raises SEQUENCE (RFC 5546 §2.1.4). So
components of one UID at different times are versions of one another only where SEQUENCE and the time of writing rise
together; else they are events of a program that gives all of them the same UID, and each is busy.

Of several changes of one occurrence the one with the highest SEQUENCE counts, and of those the latest DTSTAMP (RFC 5546
§2.1.5). Where neither tells which is the newer one, each time is busy.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256

from calendar_app.domain.event import CalendarEvent
from calendar_app.domain.ics.vevent import Vevent
from calendar_app.domain.recurrence.errors import RecurrenceError
from calendar_app.domain.recurrence.series import Series

SHARED_UID = "Other events in this calendar have the same UID; each of them counts as busy."
TWO_VERSIONS = (
    "The calendar has it at several times, and nothing says which is the newest; each of them counts as busy."
)
_MOST_OWNERS, _MOST_ASKED = 20, 1_000
_LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)


def events_of(components: list[Vevent]) -> list[CalendarEvent]:
    """One event for each that the components describe, in their order; ``remote_id`` is unique, and the same in every
    reading: the UID, with a part for a changed occurrence or for one of several events that share the UID."""
    by_uid: dict[str, list[tuple[int, Vevent]]] = {}
    for position, component in enumerate(components):
        by_uid.setdefault(component.event.ical_uid, []).append((position, component))
    found: list[tuple[int, CalendarEvent]] = []
    for parts in by_uid.values():
        found += _of_one_uid(parts)
    return [event for _, event in sorted(found, key=lambda one: one[0])]


def _of_one_uid(parts: list[tuple[int, Vevent]]) -> list[tuple[int, CalendarEvent]]:
    if len(parts) == 1 and not parts[0][1].is_detached:
        position, only = parts[0]
        return [(position, _changed(only.event, only.event.ical_uid))]
    masters: list[tuple[int, CalendarEvent]] = []
    changes: list[tuple[int, CalendarEvent]] = []
    found: list[tuple[int, CalendarEvent]] = []
    for position, part in parts:
        event = part.event
        if part.is_detached:
            found.append((position, _apart(event)))
        elif event.original_start is None:
            masters.append((position, event))
        else:
            changes.append((position, event))
    events = _different(masters)
    shared = len(events) > 1
    if shared:
        events = [
            (position, replace(_apart(event), unread=(*event.unread, SHARED_UID)))
            for position, event in events
        ]
    owners = _Owners([event for _, event in events]) if shared else None
    for versions in _by_occurrence(changes, masters):
        (position, newest), *rivals = _newest(versions)
        found.append((position, owners.placed(newest) if owners else _changed(newest, newest.ical_uid)))
        for place, rival in rivals:
            found += [(place, event) for event in _beside(rival, [master for _, master in events])]
    return _unique([*events, *found])


def _by_occurrence(
    changes: list[tuple[int, CalendarEvent]], masters: list[tuple[int, CalendarEvent]]
) -> list[list[tuple[int, CalendarEvent]]]:
    """The changes, those of one occurrence together, whichever way each names it."""
    recurring = [master for _, master in masters if master.recurrence]
    series = _compiled(recurring[0]) if len(recurring) == 1 and len(changes) > 1 else None
    found: dict[tuple[object, bool], list[tuple[int, CalendarEvent]]] = {}
    for position, event in changes:
        named: object = event.original_start
        if series and event.original_start and (event.original_start.zone or event.original_start.all_day):
            try:
                named = series.identify(event.original_start)
            except (RecurrenceError, OverflowError):
                pass
        found.setdefault((named, event.this_and_future), []).append((position, event))
    return list(found.values())


def _newest(versions: list[tuple[int, CalendarEvent]]) -> list[tuple[int, CalendarEvent]]:
    """The version that counts, and behind it those at other times that may be as new."""
    highest = max(event.sequence for _, event in versions)
    left = [one for one in versions if one[1].sequence == highest]
    latest = max((event.updated for _, event in left if event.updated), default=None)
    left = [one for one in left if one[1].updated in (None, latest)]
    busy = {_extent(event): (position, event) for position, event in left if event.blocks_time}
    if len(busy) < 2:
        return [*busy.values()] or left[-1:]
    return [
        (position, replace(event, unread=(*event.unread, TWO_VERSIONS)))
        for position, event in reversed(busy.values())
    ]


def _beside(rival: CalendarEvent, masters: list[CalendarEvent]) -> list[CalendarEvent]:
    """A change whose place another has: an event of its own; with its series, if it changes what follows, too."""
    alone = replace(_apart(rival), master_id=None, original_start=None, this_and_future=False)
    if not rival.this_and_future or len(masters) != 1:
        return [alone]
    series = replace(masters[0], remote_id=alone.remote_id, unread=(TWO_VERSIONS,))
    return [series, _changed(rival, series.remote_id)]


def _different(masters: list[tuple[int, CalendarEvent]]) -> list[tuple[int, CalendarEvent]]:
    """Those that are not earlier versions of another."""
    newest: dict[tuple[object, ...], tuple[int, CalendarEvent]] = {}
    for position, event in sorted(masters, key=lambda one: _age(*one)):
        newest[_extent(event)] = (position, event)
    events = sorted(newest.values(), key=lambda one: _age(*one), reverse=True)
    ages = {(event.sequence, _extent(event)) for _, event in masters}
    if len({sequence for sequence, _ in ages}) == len(ages):
        return [one for one in events if one is events[0] or not _supersedes(events[0][1], one[1])]
    # The UID is not one event's, so that SEQUENCE tells nothing of events at different times.
    highest = {event.start: event.sequence for _, event in reversed(events)}
    return [one for one in events if one[1].sequence == highest[one[1].start]]


def _supersedes(newer: CalendarEvent, older: CalendarEvent) -> bool:
    """Whether of two with different SEQUENCEs the newer has taken the older's place: it has the same start, or was
    written later, as far as they say when."""
    if newer.start == older.start or newer.updated is None or older.updated is None:
        return True
    return newer.updated > older.updated


def _extent(event: CalendarEvent) -> tuple[object, ...]:
    """What decides when an event makes busy."""
    return event.start, event.end, event.nominal_days, event.recurrence


def _age(position: int, event: CalendarEvent) -> tuple[int, datetime, bool, int]:
    """Sorts versions of one event, the newest last (RFC 5546 §2.1.5: SEQUENCE, then DTSTAMP); where both are equal, one
    that makes busy is newer than one that does not."""
    return event.sequence, event.updated or _LONG_AGO, event.blocks_time, position


def _apart(event: CalendarEvent) -> CalendarEvent:
    digest = sha256(repr((event.original_start, *_extent(event))).encode()).hexdigest()[:8]
    return replace(event, remote_id=f"{event.ical_uid}#{digest}")


def _changed(event: CalendarEvent, master_id: str) -> CalendarEvent:
    """A changed occurrence with its own id."""
    if event.original_start is None:
        return event
    stamp = f"{event.original_start.value:%Y%m%dT%H%M%S}{'F' if event.this_and_future else ''}"
    return replace(event, remote_id=f"{master_id}_{stamp}", master_id=master_id)


class _Owners:
    """The events that share a UID, and which of them a changed occurrence belongs to."""

    def __init__(self, masters: list[CalendarEvent]) -> None:
        recurring = [master for master in masters if master.recurrence][:_MOST_OWNERS]
        self._series = [(master, series) for master in recurring if (series := _compiled(master))]
        self._asked = 0

    def placed(self, change: CalendarEvent) -> CalendarEvent:
        """The changed occurrence under the event that has it, or as an event of its own."""
        self._asked += 1
        if self._asked <= _MOST_ASKED and change.original_start is not None:
            for master, series in self._series:
                try:
                    at = series.identify(change.original_start)
                    if series.starts(at, at + 1, _MOST_OWNERS):
                        return _changed(change, master.remote_id)
                except (RecurrenceError, OverflowError):
                    continue
        return replace(_apart(change), master_id=None, original_start=None, this_and_future=False)


def _compiled(master: CalendarEvent) -> Series | None:
    try:
        assert master.start is not None
        return Series(master, master.start, "UTC")  # all are read in the same zone, whichever it is
    except (RecurrenceError, OverflowError):
        return None


def _unique(found: list[tuple[int, CalendarEvent]]) -> list[tuple[int, CalendarEvent]]:
    """The events without those that say the same as one before."""
    return list({event.remote_id: (position, event) for position, event in reversed(found)}.values())
