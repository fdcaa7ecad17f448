"""One listing being applied to a calendar's mirror: what is stored, what has vanished, and what of it is odd.

Single events are expanded as they come; a series waits until all its parts are in, for a master and its exceptions may
stand on different pages.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlmodel import Session, col

from calendar_app.db import mirror as rows
from calendar_app.db.tables import Event, Occurrence
from calendar_app.domain.event import BOOKING_MARK, CalendarEvent, EventStatus, time_lost
from calendar_app.domain.ics import freebusy
from calendar_app.domain.recurrence import Occurrence as Expanded
from calendar_app.domain.recurrence.cautious import Expansion
from calendar_app.domain.timespan import instant
from calendar_app.domain.unread import MOST_WHY, one_line
from calendar_app.services.calendar_mirror.expansion import expand_series, expand_single, window_at
from calendar_app.services.calendar_mirror.own_events import (
    OwnBooking,
    Sighting,
    Written,
    expected_here,
    own_bookings,
    owner_of,
    watched_here,
    written_here,
)

FUSE_COUNT, FUSE_SHARE = 20, 0.5
"""A full listing that lacks more future events than both is not believed."""

SERIES_BATCH = 100
LAST_READ = "It cannot be read any more, so it counts as it did when it was last read."
MOST_NOTES = 5
"""Sentences kept about what of one event was not understood."""


@dataclass(frozen=True, slots=True)
class _Known:
    """An event's row before the listing."""

    row_id: int
    master_id: str | None
    is_recurring: bool
    payload: rows.Payload


class Run:
    """The listing as far as it is applied; the caller holds the calendar's row locked.

    ``full``: it is everything, not the changes since the last one. ``touched`` names the series to expand at the end.
    ``sightings`` are the events of ours in it that do not fit their bookings, by remote id.
    """

    def __init__(self, session: Session, calendar_id: str, now: datetime, *, full: bool) -> None:
        self.session, self.calendar_id, self.now, self.full = session, calendar_id, now, full
        self.owner = owner_of(session, calendar_id)
        self.window = window_at(now)
        self.changed = 0
        self.removed = 0
        self.touched: set[str] = set()
        self.sightings: dict[str, Sighting] = {}
        self._seen: set[str] = set()
        self._unreadable: set[str] = set()
        self._lost_busy: set[str] = set()
        self._ended: set[str] = set()
        self._exceptions: set[str] = set()
        self._watched: frozenset[str] | None = None

    def take(self, batch: Sequence[CalendarEvent]) -> None:
        """Store a portion of the listing; single events are expanded at once, series later."""
        listed = {event.remote_id: event for event in batch}
        if self.full:
            self._seen.update(listed)
        known = self._known(listed)
        latest = {name: self._as_last_read(event, known.get(name)) for name, event in listed.items()}
        written = written_here(self.session, self.calendar_id, latest, self.now)
        own = self._own(latest, written)
        bookings = own_bookings(self.session, self.owner.person_id, set(own.values()))
        self._look(latest, written, bookings)
        gone: list[int] = []
        stored: list[dict[str, Any]] = []
        singles: dict[str, Expansion] = {}
        for remote_id, event in latest.items():
            before = known.get(remote_id)
            if event.status is EventStatus.CANCELLED and not event.master_id:
                self._end(remote_id, before, gone)
                continue
            if event.master_id:
                self._exceptions.add(remote_id)
            payload = rows.to_payload(event)
            if before and remote_id not in own and self._unchanged(event, payload, before):
                continue
            if before and before.master_id and before.master_id != event.master_id:
                self.touched.add(before.master_id)
            if event.master_id or event.recurrence or (before and before.is_recurring):
                self.touched.add(event.master_id or remote_id)
            else:
                singles[remote_id] = expand_single(event, self.owner.zone, self.window)
                if not singles[remote_id].occurrences and event.start:
                    self._end(remote_id, before, gone)
                    continue
            unread = singles[remote_id].unread if remote_id in singles else ()
            row = self._row(event, payload, own.get(remote_id), bookings)
            stored.append({**row, "unread": _notes(event, unread)})
        rows.delete_events(self.session, gone)
        self.changed += len(stored)
        self.removed += len(gone)
        ids = rows.upsert_events(self.session, stored)
        echoes = {key for key, one in written.items() if one.is_echo(latest[key])}
        occurrences = [
            self._occurrence(
                ids[remote_id], one, bookings.get(own.get(remote_id, "")), echo=remote_id in echoes
            )
            for remote_id, found in singles.items()
            if remote_id in ids
            for one in found.occurrences
        ]
        old = [ids[remote_id] for remote_id in singles if remote_id in ids and remote_id in known]
        rows.replace_occurrences(self.session, old, occurrences)

    def _as_last_read(self, event: CalendarEvent, before: _Known | None) -> CalendarEvent:
        """The event, or what was last known of it where its time cannot be read any more."""
        if not time_lost(event):
            return event
        self._unreadable.update((event.remote_id, event.master_id or event.remote_id))
        if freebusy.is_busy_time(event.remote_id):
            self._lost_busy.add(event.remote_id)
        last = rows.from_payload(before.payload) if before else event
        return (
            event if last.start is None else replace(last, etag=event.etag or last.etag, unread=(LAST_READ,))
        )

    def _may_stand(self, row: Any) -> bool:
        """Whether a row that was not listed is a part of an event that could not be read."""
        ids = (row.remote_id, row.master_id or "")
        if any(name in self._unreadable or name.rpartition("#")[0] in self._unreadable for name in ids):
            return True
        return any(freebusy.may_be(row.remote_id, name) for name in self._lost_busy)

    def place_again(self) -> None:
        """Expand stored events that are all day or float; series with such a part are left to :meth:`expand_series`."""
        for batch in rows.stored_events(self.session, self.calendar_id):
            singles: list[rows.Stored] = []
            for stored in batch:
                event = stored.event
                if not _depends_on_zone(event):
                    continue
                if event.master_id or event.recurrence:
                    self.touched.add(event.master_id or event.remote_id)
                else:
                    singles.append(stored)
            marks = {stored.booking_id for stored in singles if stored.booking_id}
            bookings = own_bookings(self.session, self.owner.person_id, marks)
            found: list[dict[str, Any]] = []
            for stored in singles:
                expansion = expand_single(stored.event, self.owner.zone, self.window)
                booking = bookings.get(stored.booking_id or "")
                found += [self._occurrence(stored.row_id, one, booking) for one in expansion.occurrences]
                self._note(stored, expansion.unread)
            rows.replace_occurrences(self.session, [stored.row_id for stored in singles], found)

    def _note(self, stored: rows.Stored, more: Sequence[str] = ()) -> None:
        """Let an event's row say what was not understood of it."""
        if (notes := _notes(stored.event, more)) != stored.unread:
            rows.note_unread(self.session, stored.row_id, notes)

    @staticmethod
    def _own(latest: Mapping[str, CalendarEvent], written: Mapping[str, Written]) -> dict[str, str]:
        """Booking ids by remote id: of what we wrote, and of what carries our mark."""
        marked = {
            remote_id: event.private[BOOKING_MARK]
            for remote_id, event in latest.items()
            if BOOKING_MARK in event.private
        }
        return marked | {remote_id: one.booking_id for remote_id, one in written.items()}

    def _look(
        self,
        latest: Mapping[str, CalendarEvent],
        written: Mapping[str, Written],
        bookings: Mapping[str, OwnBooking],
    ) -> None:
        """Note what is not as we last wrote it. Our own echo has our etag, or our times."""
        if self._watched is None:
            self._watched = watched_here(self.session, self.calendar_id)
        for remote_id, event in latest.items():
            ours = written.get(remote_id)
            gone = event.status is EventStatus.CANCELLED
            if remote_id in self._watched:
                self.sightings[remote_id] = Sighting(remote_id, gone)
            elif ours is not None and ours.expected and (gone or not ours.is_echo(event)):
                booking = bookings.get(ours.booking_id)
                if gone or (booking is not None and not booking.is_at(event, self.owner.zone)):
                    self.sightings[remote_id] = Sighting(remote_id, gone)

    def remove_missing(self, future_before: int, accepted: bool) -> int:
        """Delete what the full listing lacked; the number of events kept because there are suspiciously many."""
        mine = select(
            col(Event.id), col(Event.remote_id), col(Event.master_id), col(Event.is_recurring)
        ).where(col(Event.calendar_id) == self.calendar_id)
        missing = [row for row in self.session.execute(mine) if row.remote_id not in self._seen]
        missing = [row for row in missing if not self._may_stand(row)]
        if not accepted and len(missing) > FUSE_COUNT:
            future = self.future_events({row.id for row in missing})
            if future > max(FUSE_COUNT, FUSE_SHARE * future_before):
                return len(missing)
        rows.delete_events(self.session, [row.id for row in missing])
        for remote_id in expected_here(self.session, self.calendar_id, self.now) - self._seen:
            self.sightings[remote_id] = Sighting(remote_id, gone=True)
        self.removed += len(missing)
        self.touched.update(row.master_id for row in missing if row.master_id)
        self.touched.update(row.remote_id for row in missing if row.is_recurring)
        return 0

    def future_events(self, among: set[int] | None = None) -> int:
        """How many events of the calendar, or of those given, have an occurrence that is not over; a series counts
        once, whether its provider lists a master or each occurrence."""
        series = func.coalesce(col(Event.master_id), col(Event.remote_id))
        found = self.session.execute(
            select(col(Event.id), series)
            .join(Occurrence, col(Occurrence.event_id) == col(Event.id))
            .where(col(Occurrence.calendar_id) == self.calendar_id, col(Occurrence.ends) > instant(self.now))
            .distinct()
        )
        return len({name for row_id, name in found if among is None or row_id in among})

    def expand_series(self) -> None:
        """Expand every touched series anew: its master with all exceptions, or exceptions that lost their master."""
        for batch in rows.batches(sorted(self.touched), SERIES_BATCH):
            series = rows.series_rows(self.session, self.calendar_id, batch)
            marks = {part.booking_id for parts in series.values() for part in parts if part.booking_id}
            bookings = own_bookings(self.session, self.owner.person_id, marks)
            gone: list[int] = []
            found: list[dict[str, Any]] = []
            for remote_id, parts in series.items():
                by_id = {part.event.remote_id: part for part in parts}
                master = by_id.pop(remote_id, None)
                if master is None:
                    gone += [part.row_id for part in parts if self._is_left_over(remote_id, part.event)]
                changes = [part.event for part in by_id.values()]
                expansion = expand_series(
                    master.event if master else None, changes, self.owner.zone, self.window
                )
                for one in expansion.occurrences:
                    part = by_id.get(one.event.remote_id, master)
                    if part is not None and part.row_id not in gone:
                        booking = bookings.get(part.booking_id or "")
                        found.append(self._occurrence(part.row_id, one, booking))
                for part in parts:
                    self._note(part, expansion.unread if part is (master or parts[0]) else ())
            rows.replace_occurrences(
                self.session, [part.row_id for parts in series.values() for part in parts], found
            )
            rows.delete_events(self.session, gone)
            self.removed += len(gone)
        self.touched.clear()

    def _is_left_over(self, master_id: str, event: CalendarEvent) -> bool:
        """Whether an exception without a master goes too: it cancels, or the master ended and it was not listed."""
        if event.status is EventStatus.CANCELLED:
            return True
        return master_id in self._ended and event.remote_id not in self._exceptions

    def _end(self, remote_id: str, before: _Known | None, gone: list[int]) -> None:
        if before:
            gone.append(before.row_id)
        if before and before.master_id:
            self.touched.add(before.master_id)
        else:
            self._ended.add(remote_id)
            self.touched.add(remote_id)

    def _known(self, remote_ids: Iterable[str]) -> dict[str, _Known]:
        statement = select(
            col(Event.remote_id),
            col(Event.id),
            col(Event.master_id),
            col(Event.is_recurring),
            col(Event.payload),
        ).where(col(Event.calendar_id) == self.calendar_id, col(Event.remote_id).in_(list(remote_ids)))
        return {remote_id: _Known(*rest) for remote_id, *rest in self.session.execute(statement)}

    def _unchanged(self, event: CalendarEvent, payload: rows.Payload, before: _Known) -> bool:
        """Equal events are left alone, but for those whose occurrences depend on more than the event itself."""
        if payload != before.payload:
            return False
        start = event.start
        return not self.full or not start or not (start.all_day or start.zone is None)

    def _row(
        self, event: CalendarEvent, payload: rows.Payload, mark: str | None, bookings: dict[str, OwnBooking]
    ) -> dict[str, Any]:
        return {
            "calendar_id": self.calendar_id,
            "remote_id": event.remote_id,
            "master_id": event.master_id,
            "is_recurring": bool(event.recurrence),
            "booking_id": mark if mark in bookings else None,
            "summary": event.summary,
            "etag": event.etag,
            "payload": payload,
        }

    def _occurrence(
        self, row_id: int, one: Expanded, booking: OwnBooking | None, *, echo: bool = False
    ) -> dict[str, Any]:
        """``echo``: the event is as we last wrote it, so where it stands is where its booking was then."""
        explained = booking is not None and (echo or booking.explains(one.start, one.end))
        return {
            "calendar_id": self.calendar_id,
            "event_id": row_id,
            "starts": one.start,
            "ends": one.end,
            "original": one.original,
            "all_day": one.all_day,
            "busy": one.event.blocks_time and not explained,
        }


def _notes(event: CalendarEvent, more: Sequence[str] = ()) -> list[str] | None:
    """What was not understood of an event that counts: its own sentences, and ``more`` of its expansion."""
    sentences = dict.fromkeys((*event.unread, *more)) if event.blocks_time else {}
    return [one_line(sentence, MOST_WHY) for sentence in sentences][:MOST_NOTES] or None


def _depends_on_zone(event: CalendarEvent) -> bool:
    """Whether a time of the event is read in the calendar's zone."""
    times = (event.start, event.end, event.original_start)
    return any(time is not None and (time.all_day or time.zone is None) for time in times)
