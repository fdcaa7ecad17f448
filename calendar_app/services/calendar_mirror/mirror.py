"""The mirror of a calendar: applying what a provider listed, expanding it, and knowing our own events in it.

:func:`apply` runs inside the one transaction that also stores the cursor, so nobody ever sees half a listing, and a
full listing replaces the old state without a moment in which the calendar looks free.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import or_, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session, col

from calendar_app.clock import utc_now
from calendar_app.db import mirror as rows
from calendar_app.db.locks import locked
from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import Calendar, Connection, Event, Occurrence
from calendar_app.domain.event import CalendarEvent
from calendar_app.domain.timespan import Span
from calendar_app.services.calendar_mirror import unreadable
from calendar_app.services.calendar_mirror.apply_listing import SERIES_BATCH, Run
from calendar_app.services.calendar_mirror.expansion import window_at
from calendar_app.services.calendar_mirror.own_events import OwnBooking, Sighting, own_bookings, owner_of

__all__ = [
    "Applied",
    "apply",
    "booking_changed",
    "expand_again",
    "extend_all_windows",
    "extend_window",
    "recognise",
    "stop_blocking",
    "window_at",
]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Applied:
    """What a listing changed: events written, events removed, and events kept although the listing lacked them.

    ``sightings`` are the events of ours in it that do not fit their bookings.
    """

    changed: int
    removed: int
    kept: int = 0
    sightings: tuple[Sighting, ...] = ()


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
    the calendar's future (see :data:`calendar_app.services.calendar_mirror.apply_listing.FUSE_COUNT`) and nobody agreed
    to it.
    """
    run = Run(session, calendar_id, now, full=full)
    future_before = run.future_events() if full else 0
    for batch in rows.batches(events):
        run.take(batch)
    kept = run.remove_missing(future_before, accept_removals) if full else 0
    run.expand_series()
    return Applied(run.changed, run.removed, kept, tuple(run.sightings.values()))


def extend_window(calendar_id: str, now: datetime) -> None:
    """Expand recurring events into the window of ``now``, and drop what has left it.

    An event whose time could not be read has no occurrence, and stays to be told.
    """
    with reading() as session:
        series = session.scalars(
            select(col(Event.remote_id)).where(col(Event.calendar_id) == calendar_id, col(Event.is_recurring))
        ).all()
    for batch in rows.batches(series, SERIES_BATCH):
        with transaction() as session:
            session.execute(select(col(Calendar.id)).where(col(Calendar.id) == calendar_id).with_for_update())
            run = Run(session, calendar_id, now, full=False)
            run.touched.update(batch)
            run.expand_series()
    with transaction() as session:
        calendar = locked(session, Calendar, calendar_id)
        if calendar is None:
            return
        placed = select(col(Occurrence.id)).where(col(Occurrence.event_id) == col(Event.id))
        reaches = placed.where(col(Occurrence.ends) >= window_at(now).start)
        old = select(col(Event.id)).where(
            col(Event.calendar_id) == calendar_id,
            col(Event.master_id).is_(None),
            col(Event.is_recurring).is_(False),
            ~reaches.exists(),
            or_(col(Event.unread).is_(None), placed.exists()),
        )
        rows.delete_events(session, [row for row in session.scalars(old) if row is not None])
        unreadable.note(session, calendar)


def expand_again(session: Session, calendar_id: str, now: datetime) -> None:
    """The calendar's zone changed: place the events that depend on it anew, from what is stored.

    The caller holds the calendar's row locked.
    """
    run = Run(session, calendar_id, now, full=False)
    run.place_again()
    run.expand_series()


def extend_all_windows(now: datetime | None = None) -> None:
    """:func:`extend_window` for every calendar; the nightly job. One failure does not stop the rest."""
    now = now or utc_now()
    with reading() as session:
        ids = session.scalars(select(col(Calendar.id)).where(col(Calendar.removed_at).is_(None))).all()
    for calendar_id in ids:
        try:
            extend_window(calendar_id, now)
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
    owner = owner_of(session, calendar_id)
    booking = own_bookings(session, owner.person_id, {booking_id}).get(booking_id)
    event = rows.from_payload(found.payload)
    if booking is None:
        return False
    if found.booking_id != booking_id:
        session.execute(update(Event).where(col(Event.id) == found.id).values(booking_id=booking_id))
        _judge(session, found.id, event.blocks_time, booking)
    return event.etag not in ("", *etags) and not booking.is_at(event, owner.zone)


def spans_of(session: Session, booking_id: str) -> dict[str, list[Span]]:
    """Where the booking's own events stand in the mirror and block time, by calendar: where its calendars have not
    followed it yet, or somebody moved them."""
    statement = (
        select(col(Occurrence.calendar_id), col(Occurrence.starts), col(Occurrence.ends))
        .join(Event, col(Event.id) == col(Occurrence.event_id))
        .where(col(Event.booking_id) == booking_id, col(Occurrence.busy))
    )
    found: dict[str, list[Span]] = {}
    for calendar_id, starts, ends in session.execute(statement):
        found.setdefault(calendar_id, []).append(Span(starts, ends))
    return found


def stop_blocking(session: Session, booking_id: str) -> None:
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
