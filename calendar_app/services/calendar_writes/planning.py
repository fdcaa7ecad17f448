"""What every calendar should hold of a booking: planned with each change of the booking, and taken up again on demand.

:func:`plan` runs in the transaction that makes or changes a booking. :mod:`.outbox` brings the calendars up to it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import and_, or_
from sqlmodel import Session, SQLModel, col, select
from sqlmodel.sql.expression import SelectOfScalar

from calendar_app.db.session import clock
from calendar_app.db.tables import Booking, BookingHost, Calendar, CalendarWrite, Connection
from calendar_app.domain.booking import STANDING
from calendar_app.domain.calendar_write import WriteState
from calendar_app.domain.connection import ConnectionStatus
from calendar_app.domain.event import write_key
from calendar_app.domain.meeting import MeetingState
from calendar_app.providers import registry
from calendar_app.providers.base import Capability
from calendar_app.services.calendar_writes import meetings, write_access
from calendar_app.services.calendar_writes.rows import enqueue, requeue, rewrite_all, rows_in, rows_of


def plan(
    session: Session,
    booking: Booking,
    *,
    at: datetime | None = None,
    before: datetime | None = None,
    leaving: str = "",
    now: datetime | None = None,
) -> list[str]:
    """Say what every calendar must hold of ``booking`` as it is now; ids of the rows that have to be carried out.

    Calendars: those of the booking's hosts, in its workspace, that receive bookings, unless the workspace or the
    person has switched that off. One that cannot be written now is planned all the same, and one that is not there at
    its provider where the host has no other: they may be back when the write is due, and it shows if not. A calendar
    that holds the event already is kept in step as long as its owner is a host. Call it in the transaction that changes
    the booking, after ``version`` was raised. ``at``: not before this (aware), ``None`` means now. ``before``: the
    start that a moved booking had. ``leaving``: an account whose calendars take no more bookings. Which of the
    calendars makes the online meeting is said here, too.
    """
    hosts = session.exec(select(BookingHost.person_id).where(BookingHost.booking_id == booking.id)).all()
    rows = {row.calendar_id: row for row in session.exec(rows_of(booking.id).with_for_update())}
    stands = booking.status in STANDING
    targets = [one for one in _targets(session, booking, hosts) if one.connection_id != leaving]
    wanted = {target.calendar_id for target in targets} if stands else set()
    if stands and rows:
        owners = select(Calendar.id).join(Connection, col(Connection.id) == col(Calendar.connection_id))
        held = [calendar_id for calendar_id, row in rows.items() if row.present]
        mine = owners.where(col(Calendar.id).in_(held), col(Connection.person_id).in_(hosts))
        wanted |= set(session.exec(mine.where(Connection.id != leaving)))
    changed: list[str] = []
    for calendar_id in sorted(wanted | set(rows)):
        row = rows.get(calendar_id)
        if row is None:
            row = CalendarWrite(
                booking_id=booking.id, calendar_id=calendar_id, remote_id=write_key(booking.id, calendar_id)
            )
        elif not row.present and calendar_id not in wanted:
            continue
        row.present = calendar_id in wanted
        if not row.present:
            row.meeting = row.meeting_state = ""
        row.desired_version = max(booking.version, row.desired_version + 1 if calendar_id in rows else 1)
        requeue(row)
        row.next_attempt_at, row.tried_at = at, None
        session.add(row)
        changed.append(row.id)
    session.flush()
    enqueue(session, changed, at)
    meetings.share(session, booking, hosts, _able(targets), now or clock(session), before=before)
    return changed


@dataclass(frozen=True, slots=True)
class Planned:
    """A calendar that a new booking is to be written to."""

    row: CalendarWrite
    target: Target


def plan_new(session: Session, booking: Booking, hosts: Collection[str]) -> list[Planned]:
    """As :func:`plan`, for a booking that is only just being made: there is nothing to look up but its calendars."""
    if booking.status not in STANDING:
        return []
    planned = [
        Planned(
            CalendarWrite(
                booking_id=booking.id,
                calendar_id=target.calendar_id,
                remote_id=write_key(booking.id, target.calendar_id),
                desired_version=booking.version,
            ),
            target,
        )
        for target in _targets(session, booking, hosts)
    ]
    session.add_all(one.row for one in planned)
    enqueue(session, [one.row.id for one in planned])
    targets = [one.target for one in planned]
    meetings.share(session, booking, hosts, _able(targets), booking.created_at)
    return planned


def _able(targets: Iterable[Target]) -> dict[str, Sequence[str]]:
    """Which online meetings each of the calendars can make, as far as they can be written now."""
    return {one.calendar_id: one.meeting_kinds for one in targets if one.is_writable}


def retry(session: Session, booking_id: str) -> list[str]:
    """Take up the booking's parked writes again, from the first try; ids of those rows."""
    return _take_up(session, rows_of(booking_id))


def retry_writes(session: Session, workspace_id: str, write_ids: Collection[str]) -> list[str]:
    """Take up single parked writes of a workspace again, others of the same booking left alone; ids of those rows."""
    return _take_up(session, rows_in(workspace_id).where(col(CalendarWrite.id).in_(write_ids)))


def retry_workspace(session: Session, workspace_id: str) -> list[str]:
    """Take up every parked write of a workspace again; ids of those rows."""
    return _take_up(session, rows_in(workspace_id))


def take_up_refused(session: Session, calendar_id: str) -> list[str]:
    """Try the calendar's writes again that were parked because it could not be written; ids of those rows.

    Their tries go on to count, so that a provider which says that we may and then refuses is not asked for ever.
    """
    query = select(CalendarWrite).where(
        CalendarWrite.calendar_id == calendar_id,
        CalendarWrite.state == WriteState.FAILED,
        col(CalendarWrite.last_error_code).in_(write_access.LOST),
    )
    rows = session.exec(query.order_by(col(CalendarWrite.id)).with_for_update()).all()
    for row in rows:
        row.state, row.next_attempt_at = WriteState.QUEUED, None
        session.add(row)
    ids = [row.id for row in rows]
    enqueue(session, ids)
    return ids


def remove_again(session: Session, calendar_id: str, now: datetime) -> None:
    """The calendar was not to be found for a while: events to come that were removed meanwhile may still stand."""
    query = (
        select(CalendarWrite)
        .join(Booking, col(Booking.id) == col(CalendarWrite.booking_id))
        .where(
            CalendarWrite.calendar_id == calendar_id,
            CalendarWrite.state == WriteState.REMOVED,
            Booking.end_at > now,
        )
    )
    rows = session.exec(query.order_by(col(CalendarWrite.id)).with_for_update()).all()
    rewrite_all(session, rows)


def rewrite(session: Session, booking_id: str, calendar_id: str) -> bool:
    """Have the booking's event in one calendar written again as it should be; false if none has to stand there."""
    row = session.exec(
        rows_of(booking_id).where(CalendarWrite.calendar_id == calendar_id).with_for_update()
    ).first()
    if row is None or not row.present:
        return False
    rewrite_all(session, [row])
    return True


def adopt(session: Session, booking_id: str, calendar_id: str, etag: str, now: datetime) -> None:
    """The calendar already holds what the booking has come to be, at version ``etag``: nothing is to be written.

    Call it in the transaction that planned the write. One that is under way is left to end.
    """
    row = session.exec(
        rows_of(booking_id).where(CalendarWrite.calendar_id == calendar_id).with_for_update()
    ).first()
    if row is None or not row.present or (row.lease_until is not None and row.lease_until > now):
        return
    row.applied_version, row.etag = row.desired_version, etag
    row.state, row.attempts, row.next_attempt_at, row.verified_at = WriteState.VERIFIED, 0, None, now
    session.add(row)


@dataclass(frozen=True, slots=True)
class Target:
    """A calendar that receives a person's bookings."""

    calendar_id: str
    calendar: str
    removed_at: datetime | None
    provider: str
    account: str
    person_id: str
    connection_id: str
    status: str
    write_lost_at: datetime | None
    meeting_kinds: list[str]

    @property
    def is_writable(self) -> bool:
        """Whether a write may succeed as things stand."""
        return (
            self.status == ConnectionStatus.CONNECTED
            and self.write_lost_at is None
            and self.removed_at is None
        )


# Core tables, and a statement that is put together once: a customer waits for it.
_C, _K, _P, _S = (
    SQLModel.metadata.tables[name].c for name in ("calendar", "connection", "person", "workspace")
)
_TARGETS = (
    sa.select(
        *(_C.id, _C.name, _C.removed_at, _K.provider, _K.account_email, _K.person_id),
        *(_K.id, _K.status, _C.write_lost_at, _C.meeting_kinds),
    )
    .join(_K.id.table, _K.id == _C.connection_id)
    .join(_P.id.table, _P.id == _K.person_id)
    .join(_S.id.table, _S.id == _C.workspace_id)
    .where(_C.workspace_id == sa.bindparam("workspace"), _C.receives_bookings)
    .where(
        _K.person_id.in_(sa.bindparam("people", expanding=True)), _K.status != ConnectionStatus.DISCONNECTED
    )
    .where(_S.auto_sync_bookings, _P.calendar_sync_enabled)
    .order_by(_C.id)
)


def _targets(session: Session, booking: Booking, hosts: Collection[str]) -> list[Target]:
    asked = {"workspace": booking.workspace_id, "people": list(hosts)}
    writable = {kind.key for kind in registry.kinds() if Capability.WRITE in kind.capabilities}
    found = [Target(*row) for row in session.execute(_TARGETS, asked)]
    found = [target for target in found if target.provider in writable]
    served = {target.person_id for target in found if target.removed_at is None}
    return [one for one in found if one.removed_at is None or one.person_id not in served]


def _take_up(session: Session, rows: SelectOfScalar[CalendarWrite]) -> list[str]:
    """Queue those of the rows that are parked, or whose meeting failed; ids of them."""
    parked = col(CalendarWrite.state) == WriteState.FAILED
    without_link = col(CalendarWrite.meeting_state) == MeetingState.FAILED
    query = rows.where(or_(parked, and_(without_link, col(CalendarWrite.present).is_(True))))
    found = session.exec(query.with_for_update()).all()
    for row in found:
        if row.meeting:
            row.meeting_state = MeetingState.PENDING
            row.desired_version += row.state != WriteState.FAILED
        requeue(row)
        session.add(row)
    ids = [row.id for row in found]
    enqueue(session, ids)
    return ids
