"""The rows of calendar writes: which there are of a booking or a workspace, and how one is queued again."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from calendar_app import queues
from calendar_app.db.session import after_commit
from calendar_app.db.tables import Booking, CalendarWrite
from calendar_app.domain.calendar_write import WriteState


def rows_of(booking_id: str) -> SelectOfScalar[CalendarWrite]:
    """The writes of one booking."""
    return select(CalendarWrite).where(CalendarWrite.booking_id == booking_id).order_by(col(CalendarWrite.id))


def rows_in(workspace_id: str) -> SelectOfScalar[CalendarWrite]:
    """The writes of every booking of a workspace."""
    bookings = select(Booking.id).where(Booking.workspace_id == workspace_id)
    return (
        select(CalendarWrite)
        .where(col(CalendarWrite.booking_id).in_(bookings))
        .order_by(col(CalendarWrite.booking_id), col(CalendarWrite.id))
    )


def requeue(row: CalendarWrite) -> None:
    """Have the row carried out from the first try, in the caller's transaction; :func:`enqueue` tells the workers."""
    row.state, row.attempts, row.next_attempt_at = WriteState.QUEUED, 0, None
    row.last_error_code, row.last_error, row.verified_at = "", "", None
    row.applied_version = min(row.applied_version, row.desired_version - 1)


def rewrite_all(session: Session, rows: Iterable[CalendarWrite]) -> list[str]:
    """Have events written once more as they should be by now; ids of their rows."""
    ids = []
    for row in rows:
        row.desired_version += 1
        requeue(row)
        session.add(row)
        ids.append(row.id)
    enqueue(session, ids)
    return ids


def enqueue(session: Session, write_ids: Iterable[str], at: datetime | None = None) -> None:
    """Queue a job for each of the rows, now or ``at`` an aware time, once the transaction has ended well."""
    ids = list(write_ids)
    after_commit(session, lambda: _enqueue(ids, at))


def _enqueue(write_ids: Iterable[str], at: datetime | None) -> None:
    for write_id in write_ids:
        queues.enqueue(queues.WRITES, "apply_write", write_id, at=at)
