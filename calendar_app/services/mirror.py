"""The mirror of a calendar: applying what a provider listed, expanding it, and answering when its owner is busy.

:func:`apply` runs inside the one transaction that also stores the cursor, so nobody ever sees half a listing, and a
full listing replaces the old state without a moment in which the calendar looks free.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session, col

from calendar_app.db import mirror as rows
from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import (
    Calendar,
    Connection,
    Event,
    Occurrence,
)
from calendar_app.domain.event import BOOKING_MARK, CalendarEvent, EventStatus
from calendar_app.domain.recurrence import Occurrence as Expanded
from calendar_app.domain.timespan import Span, instant
from calendar_app.services.mirror_expansion import AHEAD, BEHIND, expand_series, expand_single
from calendar_app.services.mirror_own import (
    OwnBooking,
    Sighting,
    Written,
    expected_here,
    own_bookings,
    watched_here,
    written_here,
)

log = logging.getLogger(__name__)

FUSE_COUNT, FUSE_SHARE = 20, 0.5
"""A full listing that lacks more future events than both is not believed."""

_SERIES_BATCH = 100


@dataclass(frozen=True, slots=True)
class Applied:
    """What a listing changed: events written, events removed, and events kept although the listing lacked them.

    ``sightings`` are the events of ours in it that do not fit their bookings.
    """

    changed: int
    removed: int
    kept: int = 0
    sightings: tuple[Sighting, ...] = ()


def window_at(now: datetime) -> Span:
    """The mirror's window at ``now``."""
    return Span(instant(now - BEHIND), instant(now + AHEAD))


def busy_spans(session: Session, calendar_ids: Sequence[str], span: Span) -> dict[str, list[Span]]:
    """When each calendar blocks its owner's time within ``span``: spans that overlap it, uncut, in no order.

    Events that we wrote for bookings that still stand at that time are left out: their reservations already count.
    """
    found: dict[str, list[Span]] = {calendar_id: [] for calendar_id in calendar_ids}
    for calendar_id, starts, ends in rows.busy_rows(session, calendar_ids, span):
        found[calendar_id].append(Span(starts, ends))
    return found


def apply(
    session: Session,
    calendar_id: str,
    events: Iterable[CalendarEvent],
    *,
    full: bool,
    now: datetime,
    accept_removals: bool = False,
) -> Applied:
    """Bring the mirror to what a provider listed: everything (``full``) or the changes since the last listing.

    The caller holds the calendar's row locked. A full listing also removes what it lacks, unless that would be most of
    the calendar's future (see :data:`FUSE_COUNT`) and nobody agreed to it.
    """
    run = _Run(session, _owner(session, calendar_id), window_at(now), full, now=now)
    future_before = run.future_events(now) if full else 0
    for batch in rows.batches(events):
        run.take(batch)
    kept = run.remove_missing(now, future_before, accept_removals) if full else 0
    run.expand_series()
    return Applied(run.changed, run.removed, kept, tuple(run.sightings.values()))


def extend(calendar_id: str, now: datetime) -> None:
    """Expand recurring events into the window of ``now``, and drop what has left it."""
    with reading() as session:
        series = session.scalars(
            select(col(Event.remote_id)).where(col(Event.calendar_id) == calendar_id, col(Event.is_recurring))
        ).all()
    for batch in rows.batches(series, _SERIES_BATCH):
        with transaction() as session:
            session.execute(select(col(Calendar.id)).where(col(Calendar.id) == calendar_id).with_for_update())
            run = _Run(session, _owner(session, calendar_id), window_at(now), full=False)
            run.touched.update(batch)
            run.expand_series()
    with transaction() as session:
        reaches = select(col(Occurrence.id)).where(
            col(Occurrence.event_id) == col(Event.id), col(Occurrence.ends) >= window_at(now).start
        )
        old = select(col(Event.id)).where(
            col(Event.calendar_id) == calendar_id,
            col(Event.master_id).is_(None),
            col(Event.is_recurring).is_(False),
            ~reaches.exists(),
        )
        rows.delete_events(session, [row for row in session.scalars(old) if row is not None])


def extend_all(now: datetime | None = None) -> None:
    """:func:`extend` for every calendar; the nightly job. One failure does not stop the rest."""
    now = now or datetime.now(UTC)
    with reading() as session:
        ids = session.scalars(select(col(Calendar.id)).where(col(Calendar.removed_at).is_(None))).all()
    for calendar_id in ids:
        try:
            extend(calendar_id, now)
        except SQLAlchemyError:
            log.exception("a mirror's window stays where it was", extra={"calendar": calendar_id})


def booking_changed(session: Session, booking_id: str) -> None:
    """Decide again which events of a booking block time, in the transaction that moves or ends the booking."""
    found = select(
        col(Event.id), col(Event.calendar_id), col(Event.payload), col(Connection.person_id)
    ).join_from(Event, Calendar, col(Calendar.id) == col(Event.calendar_id))
    found = found.join(Connection, col(Connection.id) == col(Calendar.connection_id))
    for row_id, _, payload, person_id in session.execute(
        found.where(col(Event.booking_id) == booking_id)
    ).all():
        booking = own_bookings(session, person_id, {booking_id}).get(booking_id)
        _judge(session, row_id, rows.from_payload(payload).blocks_time, booking)


def recognise(
    session: Session, calendar_id: str, remote_id: str, booking_id: str, etags: Collection[str]
) -> bool:
    """An event turned out to be ours after a sync had read it as anybody's: say whose it is, and decide again whether
    it blocks time. True if it was mirrored at another time than its booking's, in none of the versions ``etags``, which
    we know.

    Call it in the transaction that records the write. Providers that choose the ids of events may list one before
    we know its id.
    """
    found = session.execute(
        select(col(Event.id), col(Event.payload), col(Event.booking_id)).where(
            col(Event.calendar_id) == calendar_id, col(Event.remote_id) == remote_id
        )
    ).one_or_none()
    if found is None:
        return False
    owner = _owner(session, calendar_id)
    booking = own_bookings(session, owner.person_id, {booking_id}).get(booking_id)
    event = rows.from_payload(found.payload)
    if booking is None:
        return False
    if found.booking_id != booking_id:
        session.execute(update(Event).where(col(Event.id) == found.id).values(booking_id=booking_id))
        _judge(session, found.id, event.blocks_time, booking)
    return event.etag not in ("", *etags) and not booking.is_at(event, owner.zone)


def set_aside(session: Session, booking_id: str) -> None:
    """Let the booking's own events block nothing for the rest of the transaction, which ends by deciding anew
    (:func:`booking_changed`): a booking that follows its event must not find that event in its way."""
    own = select(col(Event.id)).where(col(Event.booking_id) == booking_id)
    session.execute(update(Occurrence).where(col(Occurrence.event_id).in_(own)).values(busy=False))


def _judge(session: Session, event_id: int, blocks: bool, booking: OwnBooking | None) -> None:
    for occurrence_id, starts, ends in session.execute(
        select(col(Occurrence.id), col(Occurrence.starts), col(Occurrence.ends)).where(
            col(Occurrence.event_id) == event_id
        )
    ).all():
        busy = blocks and not (booking and booking.explains(starts, ends))
        session.execute(update(Occurrence).where(col(Occurrence.id) == occurrence_id).values(busy=busy))


@dataclass(frozen=True, slots=True)
class _Owner:
    calendar_id: str
    zone: str
    person_id: str


def _owner(session: Session, calendar_id: str) -> _Owner:
    statement = select(col(Calendar.timezone), col(Connection.person_id)).join(
        Connection, col(Connection.id) == col(Calendar.connection_id)
    )
    zone, person_id = session.execute(statement.where(col(Calendar.id) == calendar_id)).one()
    return _Owner(calendar_id, zone or "UTC", person_id)


@dataclass(slots=True)
class _Run:
    """One listing being applied. ``touched`` names the series to expand at the end, when all their parts are in."""

    session: Session
    owner: _Owner
    window: Span
    full: bool
    changed: int = 0
    removed: int = 0
    seen: set[str] = field(default_factory=set)
    touched: set[str] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)
    exceptions: set[str] = field(default_factory=set)
    now: datetime | None = None
    sightings: dict[str, Sighting] = field(default_factory=dict)
    watched: frozenset[str] | None = None

    def take(self, batch: Sequence[CalendarEvent]) -> None:
        """Store a portion of the listing; single events are expanded at once, series later."""
        latest = {event.remote_id: event for event in batch}
        if self.full:
            self.seen.update(latest)
        known = self._known(latest)
        written = written_here(self.session, self.owner.calendar_id, latest, self._now)
        own = self._own(latest, written)
        bookings = own_bookings(self.session, self.owner.person_id, set(own.values()))
        self._look(latest, written, bookings)
        gone: list[int] = []
        stored: list[dict[str, Any]] = []
        singles: dict[str, list[Expanded]] = {}
        for remote_id, event in latest.items():
            before = known.get(remote_id)
            if event.status is EventStatus.CANCELLED and not event.master_id:
                self._end(remote_id, before, gone)
                continue
            if event.master_id:
                self.exceptions.add(remote_id)
            payload = rows.to_payload(event)
            if before and remote_id not in own and self._unchanged(event, payload, before):
                continue
            if before and before.master_id and before.master_id != event.master_id:
                self.touched.add(before.master_id)
            if event.master_id or event.recurrence or (before and before.is_recurring):
                self.touched.add(event.master_id or remote_id)
            else:
                singles[remote_id] = expand_single(event, self.owner.zone, self.window)
                if not singles[remote_id] and event.start:
                    self._end(remote_id, before, gone)
                    continue
            stored.append(self._row(event, payload, own.get(remote_id), bookings))
        rows.delete_events(self.session, gone)
        self.changed += len(stored)
        self.removed += len(gone)
        ids = rows.upsert_events(self.session, stored)
        occurrences = [
            self._occurrence(ids[remote_id], one, bookings.get(own.get(remote_id, "")))
            for remote_id, found in singles.items()
            if remote_id in ids
            for one in found
        ]
        old = [ids[remote_id] for remote_id in singles if remote_id in ids and remote_id in known]
        rows.replace_occurrences(self.session, old, occurrences)

    @property
    def _now(self) -> datetime:
        return self.now or datetime.now(UTC)

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
        if self.watched is None:
            self.watched = watched_here(self.session, self.owner.calendar_id)
        for remote_id, event in latest.items():
            ours = written.get(remote_id)
            gone = event.status is EventStatus.CANCELLED
            if remote_id in self.watched:
                self.sightings[remote_id] = Sighting(remote_id, gone)
            elif ours is not None and ours.expected and (gone or not event.etag or event.etag != ours.etag):
                booking = bookings.get(ours.booking_id)
                if gone or (booking is not None and not booking.is_at(event, self.owner.zone)):
                    self.sightings[remote_id] = Sighting(remote_id, gone)

    def remove_missing(self, now: datetime, future_before: int, accepted: bool) -> int:
        """Delete what the full listing lacked; the number of events kept because there are suspiciously many."""
        mine = select(
            col(Event.id), col(Event.remote_id), col(Event.master_id), col(Event.is_recurring)
        ).where(col(Event.calendar_id) == self.owner.calendar_id)
        missing = [row for row in self.session.execute(mine) if row.remote_id not in self.seen]
        if not accepted and len(missing) > FUSE_COUNT:
            future = self.future_events(now, {row.id for row in missing})
            if future > max(FUSE_COUNT, FUSE_SHARE * future_before):
                return len(missing)
        rows.delete_events(self.session, [row.id for row in missing])
        for remote_id in expected_here(self.session, self.owner.calendar_id, now) - self.seen:
            self.sightings[remote_id] = Sighting(remote_id, gone=True)
        self.removed += len(missing)
        self.touched.update(row.master_id for row in missing if row.master_id)
        self.touched.update(row.remote_id for row in missing if row.is_recurring)
        return 0

    def future_events(self, now: datetime, among: set[int] | None = None) -> int:
        """How many events of the calendar, or of those given, have an occurrence that is not over; a series counts
        once, whether its provider lists a master or each occurrence."""
        series = func.coalesce(col(Event.master_id), col(Event.remote_id))
        found = self.session.execute(
            select(col(Event.id), series)
            .join(Occurrence, col(Occurrence.event_id) == col(Event.id))
            .where(col(Occurrence.calendar_id) == self.owner.calendar_id, col(Occurrence.ends) > instant(now))
            .distinct()
        )
        return len({name for row_id, name in found if among is None or row_id in among})

    def expand_series(self) -> None:
        """Expand every touched series anew: its master with all exceptions, or exceptions that lost their master."""
        for batch in rows.batches(sorted(self.touched), _SERIES_BATCH):
            series = rows.series_rows(self.session, self.owner.calendar_id, batch)
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
                for one in expand_series(
                    master.event if master else None, changes, self.owner.zone, self.window
                ):
                    part = by_id.get(one.event.remote_id, master)
                    if part is not None and part.row_id not in gone:
                        booking = bookings.get(part.booking_id or "")
                        found.append(self._occurrence(part.row_id, one, booking))
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
        return master_id in self.ended and event.remote_id not in self.exceptions

    def _end(self, remote_id: str, before: _Known | None, gone: list[int]) -> None:
        if before:
            gone.append(before.row_id)
        if before and before.master_id:
            self.touched.add(before.master_id)
        else:
            self.ended.add(remote_id)
            self.touched.add(remote_id)

    def _known(self, remote_ids: Iterable[str]) -> dict[str, _Known]:
        statement = select(
            col(Event.remote_id),
            col(Event.id),
            col(Event.master_id),
            col(Event.is_recurring),
            col(Event.payload),
        ).where(col(Event.calendar_id) == self.owner.calendar_id, col(Event.remote_id).in_(list(remote_ids)))
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
            "calendar_id": self.owner.calendar_id,
            "remote_id": event.remote_id,
            "master_id": event.master_id,
            "is_recurring": bool(event.recurrence),
            "booking_id": mark if mark in bookings else None,
            "summary": event.summary,
            "etag": event.etag,
            "payload": payload,
        }

    def _occurrence(self, row_id: int, one: Expanded, booking: OwnBooking | None) -> dict[str, Any]:
        return {
            "calendar_id": self.owner.calendar_id,
            "event_id": row_id,
            "starts": one.start,
            "ends": one.end,
            "original": one.original,
            "all_day": one.all_day,
            "busy": one.event.blocks_time and not (booking and booking.explains(one.start, one.end)),
        }


@dataclass(frozen=True, slots=True)
class _Known:
    """An event's row before the listing."""

    row_id: int
    master_id: str | None
    is_recurring: bool
    payload: rows.Payload
