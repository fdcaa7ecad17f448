"""A disconnection carried out: bookings moved or cancelled one by one, events taken out, the grant ended.

Each step is a transaction of its own that can be found done, so whoever dies in the middle is followed by another who
finishes: bookings that were moved or cancelled no longer count as living there, events are removed by the same desired
state as always, ending an ended grant is success. A lease keeps two workers from doing the same at once. Tokens are
forgotten only after the provider was told.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from calendar_app import queues
from calendar_app.clock import utc_now
from calendar_app.db.due import free, is_free
from calendar_app.db.locks import locked, locked_one
from calendar_app.db.session import clock, reading, transaction
from calendar_app.db.tables import (
    Booking,
    Calendar,
    CalendarWrite,
    Connection,
    Disconnection,
    EventType,
    Person,
)
from calendar_app.domain.calendar_write import WriteState
from calendar_app.domain.connection import ConnectionStatus
from calendar_app.errors import AlmanacError
from calendar_app.providers import registry
from calendar_app.providers.base import SignIn
from calendar_app.services.bookings import transitions
from calendar_app.services.calendar_sync import calendar_use, push_channels
from calendar_app.services.calendar_writes import outbox as write_outbox
from calendar_app.services.calendar_writes import planning as write_planning
from calendar_app.services.common import audit_log, change_events
from calendar_app.services.common.permissions import Actor, Role
from calendar_app.services.connections.calendars import is_used

log = logging.getLogger(__name__)

RUNNING, DONE = "running", "done"
LEASE = timedelta(seconds=90)
"""How long one booking or one event may take before another worker goes on."""
BUDGET_S = 240.0
"""Seconds that one job works before it queues the next."""
TIMEOUT_S = 400
PATIENCE = timedelta(hours=1)
"""How long events that cannot be taken out keep the grant alive; what is left then stays with the calendar's owner."""
CANCEL_REASON = "The host's calendar was disconnected."
_PAUSE = timedelta(seconds=30)


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


class _Lost(Exception):
    """Somebody else has taken the work over, or it is done."""


@dataclass(slots=True)
class _Work:
    """The right to carry a disconnection on while the row's lease is ours."""

    id: str
    workspace_id: str
    connection_id: str
    choice: str
    move_to: str | None
    created_at: datetime
    actor: Actor
    lease: datetime
    deadline: float

    @property
    def is_late(self) -> bool:
        return time.monotonic() > self.deadline

    def step(self, change: Callable[[Session, Disconnection], None] | None = None) -> None:
        """Note progress and keep the lease. :raises _Lost: it is not ours any more."""
        until = clock() + LEASE
        with transaction() as session:
            row = locked(session, Disconnection, self.id)
            if row is None or row.state != RUNNING or row.lease_until != self.lease:
                raise _Lost
            self.lease = row.lease_until = until
            if change is not None:
                change(session, row)
            session.add(row)
            change_events.announce(session, self.workspace_id, "connections")


def affected(session: Session, connection_id: str, now: datetime) -> list[AffectedBooking]:
    """Future bookings that live in the connection's calendars, earliest first; one for each calendar."""
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


def carry_on(disconnection_id: str, *, budget: float = BUDGET_S, now: datetime | None = None) -> str:
    """Do what is left of a disconnection; its state afterwards. What does not fit into ``budget`` seconds is queued."""
    now = now or clock()
    work = _claim(disconnection_id, now, budget)
    if work is None:
        return _state(disconnection_id)
    at: datetime | None = None
    try:
        push_channels.stop_for_connection(work.connection_id)
        if work.choice != "leave":
            _settle_bookings(work, now)
        again = _take_out(work, now)
        at = again if work.choice != "leave" else None
        if at is None and not work.is_late:
            _end(work)
    except _Lost:
        return _state(disconnection_id)
    state = _release(work)
    if state == RUNNING:
        queues.enqueue(
            queues.DEFAULT,
            "carry_on_disconnection",
            disconnection_id,
            job_id=f"disconnection-{disconnection_id}",
            at=at,
            timeout=TIMEOUT_S,
        )
    return state


def sweep(now: datetime | None = None) -> int:
    """Enqueue every disconnection that nobody is at; how many."""
    now = now or clock()
    query = select(Disconnection.id).where(
        Disconnection.state == RUNNING,
        free(col(Disconnection.lease_until), LEASE, now),
    )
    with reading() as session:
        ids = session.exec(query.order_by(col(Disconnection.created_at))).all()
    for one in ids:
        queues.enqueue(
            queues.DEFAULT,
            "carry_on_disconnection",
            one,
            job_id=f"disconnection-{one}",
            timeout=TIMEOUT_S,
        )
    return len(ids)


def _state(disconnection_id: str) -> str:
    with reading() as session:
        return (
            session.exec(select(Disconnection.state).where(Disconnection.id == disconnection_id)).first()
            or ""
        )


def _claim(disconnection_id: str, now: datetime, budget: float) -> _Work | None:
    until = max(now, clock()) + LEASE
    with transaction() as session:
        row = locked(session, Disconnection, disconnection_id)
        if row is None or row.state != RUNNING or not is_free(row.lease_until, LEASE, now):
            return None
        row.lease_until = until
        session.add(row)
        person = session.get_one(Person, row.person_id)
        # Who may end the connection may have its bookings moved and cancelled: that was asked when the row was made.
        actor = Actor(person.id, row.workspace_id, Role.MANAGER, person.email, person.name, person.timezone)
        return _Work(
            row.id,
            row.workspace_id,
            row.connection_id,
            row.bookings,
            row.move_to,
            row.created_at,
            actor,
            row.lease_until,
            time.monotonic() + budget,
        )


def _release(work: _Work) -> str:
    with transaction() as session:
        row = locked_one(session, Disconnection, work.id)
        if row.lease_until == work.lease:
            row.lease_until = None
            session.add(row)
        return row.state


# --- bookings ---------------------------------------------------------------------------------------------------------


def _settle_bookings(work: _Work, now: datetime) -> None:
    if work.choice == "move":
        _prepare_move(work)
    with reading() as session:
        ids = list(dict.fromkeys(one.id for one in affected(session, work.connection_id, now)))
    work.step(_begin_anew)
    for booking_id in ids:
        if work.is_late:
            return
        if work.choice == "move":
            work.step(lambda session, row, key=booking_id: _move(session, row, work, key))  # type: ignore[misc]
            continue
        try:
            transitions.cancel(work.actor, booking_id, CANCEL_REASON)
        except AlmanacError as error:  # somebody else was first, or it has begun: the others go on
            log.warning("a booking was not cancelled", extra={"booking": booking_id, "code": error.code})
            work.step(lambda _, row, said=error.detail: _count(row, failed=1, error=said))  # type: ignore[misc]
        else:
            work.step(lambda _, row: _count(row, done=1))


def _begin_anew(_: Session, row: Disconnection) -> None:
    row.failed, row.last_error = 0, ""  # those that failed are tried again


def _count(row: Disconnection, *, done: int = 0, failed: int = 0, error: str = "") -> None:
    row.done, row.failed = row.done + done, row.failed + failed
    row.total = max(row.total, row.done + row.failed)
    row.last_error = error or row.last_error


def _prepare_move(work: _Work) -> None:
    """Bookings are written to the other calendar from now on."""

    def redirect(session: Session, _: Disconnection) -> None:
        for calendar in session.exec(select(Calendar).where(Calendar.connection_id == work.connection_id)):
            calendar.receives_bookings = False
            session.add(calendar)
        target = locked_one(session, Calendar, work.move_to)
        was_used = is_used(target)
        target.receives_bookings = True
        session.add(target)
        home = session.get_one(Connection, target.connection_id)
        calendar_use.follow_use(session, target, home, was_used=was_used)

    work.step(redirect)


def _move(session: Session, row: Disconnection, work: _Work, booking_id: str) -> None:
    """The other calendar gets the event, this one loses it: one transaction."""
    booking = locked_one(session, Booking, booking_id)
    write_planning.plan(session, booking, leaving=work.connection_id)
    writes = (
        select(CalendarWrite)
        .join(Calendar, col(Calendar.id) == col(CalendarWrite.calendar_id))
        .where(Calendar.connection_id == work.connection_id, CalendarWrite.booking_id == booking_id)
    )
    for write in session.exec(writes):
        write.present, write.desired_version = False, write.desired_version + 1
        write.state, write.attempts, write.next_attempt_at = WriteState.QUEUED, 0, None
        session.add(write)
    audit_log.record(
        session,
        work.workspace_id,
        work.actor,
        "booking.moved_calendar",
        "booking",
        booking_id,
        calendar=work.move_to,
    )
    _count(row, done=1)


# --- the calendars, and the end ---------------------------------------------------------------------------------------


def _there_still(work: _Work) -> SelectOfScalar[str]:
    """Writes whose events no longer belong in the connection's calendars and have not been taken out."""
    return (
        select(CalendarWrite.id)
        .join(Calendar, col(Calendar.id) == col(CalendarWrite.calendar_id))
        .where(Calendar.connection_id == work.connection_id, col(CalendarWrite.present).is_(False))
        .where(col(CalendarWrite.applied_version) < col(CalendarWrite.desired_version))
        .order_by(col(CalendarWrite.id))
    )


def _take_out(work: _Work, now: datetime) -> datetime | None:
    """Remove what no longer belongs there while we still may; a time to go on at if that has to be tried again."""
    with reading() as session:
        ids = session.exec(_there_still(work).where(CalendarWrite.state != WriteState.FAILED)).all()
    behind = 0
    for write_id in ids:
        if work.is_late:
            return None
        try:
            behind += write_outbox.apply(write_id, now=now) == WriteState.QUEUED
        except AlmanacError as error:
            log.warning("an event was left behind", extra={"write": write_id, "code": error.code})
        work.step()
    if not behind:
        return None
    if now - work.created_at > PATIENCE:
        return None
    return utc_now() + _PAUSE


def _end(work: _Work) -> None:
    """Stop using the grant, tell the provider, forget the tokens."""
    with transaction() as session:
        row = _connection(session, work)
        first = row.status != ConnectionStatus.DISCONNECTED
        row.status, row.disconnected_at = (
            "disconnected",
            row.disconnected_at if not first else utc_now(),
        )
        row.last_error_code, row.last_error, row.retry_at = "", "", None
        session.add(row)
        if first:
            audit_log.record(
                session,
                row.workspace_id,
                work.actor,
                "connection.disconnected",
                "connection",
                row.id,
                provider=row.provider,
                account=row.account_email,
            )
        shared = session.exec(others(row)).first()
        token = row.refresh_token or row.access_token
        change_events.announce(session, work.workspace_id, "connections")
    # Providers end every grant of the application for an account at once: another connection to it must survive.
    revoked = shared is None and (token is None or _revoked(row.provider, token))

    def finish(session: Session, done: Disconnection) -> None:
        fresh = _connection(session, work)
        if fresh.status == ConnectionStatus.DISCONNECTED:
            fresh.access_token = fresh.refresh_token = fresh.access_expires_at = None
            session.add(fresh)
        if left := len(session.exec(_there_still(work)).all()):
            log.warning("events were left behind", extra={"connection": work.connection_id, "count": left})
            events = "event of ours" if left == 1 else "events of ours"
            said = f"{left} {events} could not be taken out of its calendars: delete what is left there."
            done.last_error = f"{done.last_error} {said}".strip()
        done.revoked, done.state, done.finished_at = revoked, DONE, utc_now()

    work.step(finish)


def others(row: Connection) -> SelectOfScalar[str]:
    """Ids of other live connections of the same account, whose grant at the provider is the same one."""
    return (
        select(Connection.id)
        .where(Connection.provider == row.provider, Connection.account_id == row.account_id)
        .where(Connection.id != row.id, Connection.status != ConnectionStatus.DISCONNECTED)
    )


def _connection(session: Session, work: _Work) -> Connection:
    return locked_one(session, Connection, work.connection_id)


def _revoked(provider: str, token: str) -> bool:
    """Whether the provider ended the grant; a password or an address is forgotten here, and ends nothing there."""
    kind = next((kind for kind in registry.kinds() if kind.key == provider), None)
    if kind is not None and kind.sign_in is not SignIn.OAUTH:
        return False
    try:
        registry.oauth_client(provider).revoke(token)
    except AlmanacError as error:
        log.warning(
            "a provider was not told of a disconnection", extra={"provider": provider, "code": error.code}
        )
        return False
    return True
