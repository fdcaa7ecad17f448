"""Disconnecting an account: what hangs on it, what becomes of that, and the end of the grant at the provider.

History stays: the row, its calendars and their mirrored events, so that connecting the account again brings everything
back. Tokens are forgotten only after the provider was told; a process that dies in between can be followed by another
attempt that finishes the work.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlmodel import Session, col, select
from sqlmodel.sql.expression import Select, SelectOfScalar

from calendar_app.db.session import after_commit, reading, transaction
from calendar_app.db.tables import Booking, Calendar, CalendarWrite, Connection, EventType
from calendar_app.errors import AlmanacError, InvalidInput
from calendar_app.providers import registry
from calendar_app.providers.base import AccessRole
from calendar_app.services import audit, calendar_writes, calendars, channels, live
from calendar_app.services import bookings as booking_service
from calendar_app.services.calendars import CalendarView
from calendar_app.services.connection_views import owned, title
from calendar_app.services.roles import Actor

log = logging.getLogger(__name__)

CHOICES = ("leave", "move", "cancel")
"""What may become of future bookings: their events stay, move to another calendar, or the bookings are cancelled."""
_BUDGET = 20.0
"""Seconds for taking events out of the calendars before access ends."""


@dataclass(frozen=True, slots=True)
class AffectedBooking:
    """A future booking that has an event in one of the connection's calendars."""

    id: str
    title: str
    name: str
    start: datetime
    end: datetime
    calendar_id: str
    calendar_name: str


@dataclass(frozen=True, slots=True)
class DisconnectPreview:
    """What disconnecting would touch, and the calendars that its bookings could move to."""

    bookings: list[AffectedBooking]
    move_targets: list[CalendarView]


@dataclass(frozen=True, slots=True)
class DisconnectResult:
    """What was done. ``revoked`` false: the provider could not be told, ``message`` says what to do about it."""

    connection_id: str
    moved: int
    cancelled: int
    revoked: bool
    message: str


def disconnect_preview(actor: Actor, connection_id: str, *, now: datetime | None = None) -> DisconnectPreview:
    """Which future bookings live there, earliest first. :raises NotFound: no such connection."""
    now = now or datetime.now(UTC)
    with reading() as session:
        row = owned(session, actor, connection_id)
        affected = _affected(session, row.id, now)
        targets = session.exec(_targets(row)).all()
        return DisconnectPreview(
            affected, [calendars.view(one, connection, now) for one, connection in targets]
        )


def disconnect(
    actor: Actor,
    connection_id: str,
    *,
    bookings: str = "leave",
    move_to: str | None = None,
    now: datetime | None = None,
) -> DisconnectResult:
    """End the connection; doing it twice is success. ``bookings`` is one of :data:`CHOICES`.

    :raises NotFound: no such connection. :raises InvalidInput: no such choice, or nothing to move to.
    """
    now = now or datetime.now(UTC)
    if bookings not in CHOICES:
        raise InvalidInput(f"Choose one of {', '.join(CHOICES)} for the bookings.", field="bookings")
    with reading() as session:
        row = owned(session, actor, connection_id)
        target = _target(session, row, move_to) if bookings == "move" else None
        affected = _affected(session, row.id, now) if bookings != "leave" else []
    channels.stop_for_connection(connection_id)
    moved, cancelled = 0, 0
    if target is not None:
        moved = _move(actor, connection_id, target, affected)
    elif bookings == "cancel":
        cancelled = _cancel(actor, affected)
    _take_out(connection_id, affected)
    revoked = _end(actor, connection_id, now)
    return DisconnectResult(connection_id, moved, cancelled, revoked, _message(row, revoked))


def _affected(session: Session, connection_id: str, now: datetime) -> list[AffectedBooking]:
    found = session.exec(
        select(Booking, EventType, Calendar)
        .join(CalendarWrite, col(CalendarWrite.booking_id) == col(Booking.id))
        .join(Calendar, col(Calendar.id) == col(CalendarWrite.calendar_id))
        .join(EventType, col(EventType.id) == col(Booking.event_type_id))
        .where(Calendar.connection_id == connection_id)
        .where(col(CalendarWrite.present).is_(True))
        .where(col(Booking.status).in_(("pending", "confirmed")))
        .where(col(Booking.end_at) > now)
        .order_by(col(Booking.start_at), col(Booking.id))
    )
    return [
        AffectedBooking(
            booking.id, kind.title, booking.name, booking.start_at, booking.end_at, calendar.id, calendar.name
        )
        for booking, kind, calendar in found
    ]


def _targets(row: Connection) -> Select[Calendar, Connection]:
    """Calendars of the same person, on other live connections, that can be written."""
    return (
        select(Calendar, Connection)
        .join(Connection, col(Connection.id) == col(Calendar.connection_id))
        .where(Calendar.workspace_id == row.workspace_id)
        .where(Connection.person_id == row.person_id)
        .where(Connection.id != row.id)
        .where(col(Connection.status).in_(("connected", "error")))
        .where(col(Calendar.removed_at).is_(None))
        .where(col(Calendar.access_role).in_([role.value for role in AccessRole if role.can_write]))
        .order_by(col(Calendar.is_primary).desc(), col(Calendar.name))
        .options(*calendars.HIDDEN_TOKENS)
    )


def _target(session: Session, row: Connection, move_to: str | None) -> Calendar:
    for calendar, _ in session.exec(_targets(row)):
        if calendar.id == move_to:
            return calendar
    raise InvalidInput(
        "Choose a calendar of another connected account that bookings can be written to.", field="move_to"
    )


def _move(actor: Actor, connection_id: str, target: Calendar, affected: Sequence[AffectedBooking]) -> int:
    """Bookings are written to ``target`` from now on, those that stand too; one transaction."""
    with transaction() as session:
        for calendar in session.exec(select(Calendar).where(Calendar.connection_id == connection_id)):
            calendar.receives_bookings = False
            session.add(calendar)
        fresh = session.get_one(Calendar, target.id)
        fresh.receives_bookings = True
        session.add(fresh)
        session.flush()
        for booking_id in dict.fromkeys(one.id for one in affected):
            calendar_writes.plan(session, session.get_one(Booking, booking_id))
            audit.record(
                session,
                actor.workspace_id,
                actor,
                "booking.moved_calendar",
                "booking",
                booking_id,
                calendar=target.id,
            )
        for row in session.exec(_writes(connection_id, affected)):
            row.present, row.desired_version = False, row.desired_version + 1
            row.state, row.attempts, row.next_attempt_at = calendar_writes.QUEUED, 0, None
            session.add(row)
    return len({one.id for one in affected})


def _writes(connection_id: str, affected: Sequence[AffectedBooking]) -> SelectOfScalar[CalendarWrite]:
    return (
        select(CalendarWrite)
        .join(Calendar, col(Calendar.id) == col(CalendarWrite.calendar_id))
        .where(Calendar.connection_id == connection_id)
        .where(col(CalendarWrite.booking_id).in_([one.id for one in affected]))
    )


def _cancel(actor: Actor, affected: Sequence[AffectedBooking]) -> int:
    done = 0
    for booking_id in dict.fromkeys(one.id for one in affected):
        try:
            booking_service.cancel(actor, booking_id, "The host's calendar was disconnected.")
            done += 1
        except AlmanacError as error:  # somebody else was first, or its notice has passed: the others go on
            log.warning("a booking was not cancelled", extra={"booking": booking_id, "code": error.code})
    return done


def _take_out(connection_id: str, affected: Sequence[AffectedBooking]) -> None:
    """Remove what no longer belongs there while we still may; what is left over stays with the calendar's owner."""
    if not affected:
        return
    with reading() as session:
        writes = [row.id for row in session.exec(_writes(connection_id, affected)) if not row.present]
    deadline = time.monotonic() + _BUDGET
    for write_id in writes:
        if time.monotonic() > deadline:
            log.warning(
                "events were left behind in a disconnected calendar", extra={"connection": connection_id}
            )
            return
        try:
            calendar_writes.apply(write_id)
        except AlmanacError as error:
            log.warning("an event was left behind", extra={"write": write_id, "code": error.code})


def _end(actor: Actor, connection_id: str, now: datetime) -> bool:
    """Stop using the grant, tell the provider, forget the tokens; whether the provider was told."""
    with transaction() as session:
        row = owned(session, actor, connection_id, lock=True)
        first = row.status != "disconnected"
        row.status, row.disconnected_at = "disconnected", row.disconnected_at if not first else now
        row.last_error_code, row.last_error = "", ""
        session.add(row)
        if first:
            audit.record(
                session,
                row.workspace_id,
                actor,
                "connection.disconnected",
                "connection",
                row.id,
                provider=row.provider,
                account=row.account_email,
            )
        shared = session.exec(
            select(Connection.id)
            .where(Connection.provider == row.provider)
            .where(Connection.account_id == row.account_id)
            .where(Connection.id != row.id)
            .where(Connection.status != "disconnected")
        ).first()
        token = row.refresh_token or row.access_token
        after_commit(session, lambda: live.publish(actor.workspace_id, "connections"))
    # Providers end every grant of the application for an account at once: another connection to it must survive.
    revoked = token is None or shared is not None or _revoked(row.provider, token)
    with transaction() as session:
        fresh = owned(session, actor, connection_id, lock=True)
        if fresh.status == "disconnected":
            fresh.access_token = fresh.refresh_token = fresh.access_expires_at = None
            session.add(fresh)
    return revoked


def _revoked(provider: str, token: str) -> bool:
    try:
        registry.oauth_client(provider).revoke(token)
    except AlmanacError as error:
        log.warning(
            "a provider was not told of a disconnection", extra={"provider": provider, "code": error.code}
        )
        return False
    return True


def _message(row: Connection, revoked: bool) -> str:
    name = title(row.provider)
    if revoked:
        return f"{name} account {row.account_email} is disconnected."
    return (
        f"{name} account {row.account_email} is disconnected here, but {name} could not be told: "
        f"remove Almanac’s access in the account’s own security settings at {name}."
    )
