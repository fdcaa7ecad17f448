"""What syncs see of our own events that does not fit: noted in the sync's transaction, looked into by a job.

Many deletions at once are rather an accident (a wrong filter in a calendar program, a synchronisation tool that went
astray) than the end of that many appointments: they trip a fuse, and then nothing follows from them but a flag on each
booking and one letter.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, update
from sqlmodel import Session, col, func, select

from calendar_app import queues
from calendar_app.db.session import after_commit
from calendar_app.db.tables import Booking, Calendar, CalendarWrite, Deviation
from calendar_app.domain.external_change import ChangeKind, ChangeResolution
from calendar_app.services.calendar_mirror.own_events import Sighting

MASS_COUNT, MASS_SHARE = 5, 0.5
"""More deleted events of bookings than both, the share being of the calendar's future bookings, trip the fuse."""
MASS_WINDOW = timedelta(hours=1)
"""Deletions within this count together: pushes spread one clean-up over several syncs."""


def record_mismatches(session: Session, calendar: Calendar, seen: Sequence[Sighting], now: datetime) -> None:
    """Note what a sync saw, to be looked into after the commit."""
    if not seen:
        return
    waiting = {
        row.remote_id: row
        for row in session.exec(
            select(Deviation).where(
                Deviation.calendar_id == calendar.id,
                col(Deviation.remote_id).in_([one.remote_id for one in seen]),
                col(Deviation.resolved_at).is_(None),
            )
        )
    }
    rows = []
    for one in seen:
        row = waiting.get(one.remote_id)
        if row is None:
            row = Deviation(
                workspace_id=calendar.workspace_id,
                calendar_id=calendar.id,
                remote_id=one.remote_id,
                kind=ChangeKind.SIGHTED,
                resolution=ChangeResolution.CHECKING,
                found_at=now,
            )
        elif row.resolution != ChangeResolution.CHECKING:
            row.resolution = ChangeResolution.RECHECK
        row.detail = {**row.detail, "gone": one.gone}
        row.next_attempt_at = None
        session.add(row)
        rows.append(row)
    session.flush()
    if any(one.gone for one in seen):
        _fuse(session, calendar.id, now)
    ids = [row.id for row in rows]
    after_commit(session, lambda: enqueue(*ids))


def enqueue(*deviation_ids: str) -> None:
    """Have deviations looked into soon."""
    for deviation_id in deviation_ids:
        queues.enqueue(queues.SYNC, "settle_deviation", deviation_id, job_id=f"deviation-{deviation_id}")


def _fuse(session: Session, calendar_id: str, now: datetime) -> None:
    """Mark the deletions of the last hour if they are too many; what carries the mark is flagged and no more."""
    recent = session.exec(
        select(Deviation).where(
            Deviation.calendar_id == calendar_id,
            col(Deviation.found_at) > now - MASS_WINDOW,
            col(Deviation.kind).in_((ChangeKind.SIGHTED, ChangeKind.DELETED)),
        )
    ).all()
    gone = [row for row in recent if row.kind == ChangeKind.DELETED or row.detail.get("gone")]
    ended = sum(1 for row in gone if row.resolved_at is not None)
    if len(gone) <= max(MASS_COUNT, MASS_SHARE * (_standing(session, calendar_id, now) + ended)):
        return
    mark = next((row.detail["mass"] for row in gone if row.detail.get("mass")), now.isoformat())
    for row in gone:
        if row.resolved_at is None:
            row.detail = {**row.detail, "mass": mark}
            session.add(row)


def _standing(session: Session, calendar_id: str, now: datetime) -> int:
    """How many bookings to come have an event in the calendar, by our word."""
    query = (
        select(func.count())
        .select_from(CalendarWrite)
        .join(Booking, col(Booking.id) == col(CalendarWrite.booking_id))
        .where(CalendarWrite.calendar_id == calendar_id, col(CalendarWrite.present).is_(True))
        .where(Booking.status == "confirmed", col(Booking.end_at) > now)
    )
    return session.exec(query).one()


def is_open() -> ColumnElement[bool]:
    """The condition on deviations that people are to see."""
    return col(Deviation.resolved_at).is_(None) & (col(Deviation.resolution) != ChangeResolution.CHECKING)


def close_resolved(
    session: Session, booking_id: str, calendar_id: str, resolution: str, now: datetime
) -> None:
    """Booking and calendar agree: close what was open between them, in the caller's transaction.

    Strays are left: another event than the booking's own is not mended by that.
    """
    session.execute(
        update(Deviation)
        .where(
            col(Deviation.booking_id) == booking_id,
            col(Deviation.calendar_id) == calendar_id,
            col(Deviation.kind) != ChangeKind.STRAY,
            col(Deviation.resolved_at).is_(None),
        )
        .values(resolved_at=now, resolution=resolution)
    )
