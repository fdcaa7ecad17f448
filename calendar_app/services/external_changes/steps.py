"""How an event of a booking stands at its provider, and the steps that settle a difference.

When which step is taken is told in :mod:`calendar_app.services.external_changes.resolve`. Each step is a transaction of
its own that may be repeated.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session, select

from calendar_app.db.locks import locked
from calendar_app.db.session import transaction
from calendar_app.db.tables import Booking, Calendar, CalendarWrite, Connection, Deviation, Workspace
from calendar_app.domain.event import CalendarEvent
from calendar_app.domain.external_change import ChangeKind, ChangeResolution
from calendar_app.domain.recurrence import wallclock
from calendar_app.domain.timespan import Span, instant
from calendar_app.errors import (
    EventNotFound,
    InvalidInput,
    StateChanged,
)
from calendar_app.services.bookings import reschedule as booking_reschedule
from calendar_app.services.bookings import transitions
from calendar_app.services.bookings.transitions import Outside
from calendar_app.services.calendar_mirror import mismatches
from calendar_app.services.calendar_writes import event_writer
from calendar_app.services.calendar_writes import planning as write_planning
from calendar_app.services.common import audit_log, change_events
from calendar_app.services.common.permissions import Actor
from calendar_app.services.connections import tokens as connection_tokens
from calendar_app.services.connections.queries import title

CANCEL_REASON = "The appointment was removed from the host’s calendar."
_SKEW = timedelta(minutes=2)
_FIRST_DELAY, _LONGEST_DELAY, _MOST_TRIES = 30, 3600, 12


@dataclass(frozen=True, slots=True)
class EventState:
    """How an event stands at its provider. ``kind`` is a deviation's kind, or empty where it fits the booking.

    ``detail`` is JSON for the deviation; ``version`` is the etag, ``stale``: this may be older than our last write.
    """

    kind: str
    detail: dict[str, Any]
    span: Span | None = None
    version: str = ""
    stale: bool = False


@dataclass(frozen=True, slots=True)
class Case:
    """A deviation with the booking and the write that it is about."""

    row: Deviation
    calendar: Calendar
    connection: Connection
    workspace: Workspace
    write: CalendarWrite | None
    booking: Booking | None

    @property
    def by(self) -> str:
        return f"changed in {title(self.connection.provider)} Calendar"


def read_event(
    connection_id: str, calendar: str, write: CalendarWrite, booking: Booking, zone: str
) -> EventState:
    """Ask the provider for the event of a booking. Call it outside of any transaction.

    :raises ProviderError: it could not be asked. :raises NotFound: the connection is gone.
    """
    try:
        event = connection_tokens.call(connection_id, lambda api: api.get_event(calendar, write.remote_id))
    except EventNotFound:
        return EventState(ChangeKind.DELETED if write.written_at else ChangeKind.MISSING, {})
    return compare_event(event, write, booking, zone)


def compare_event(event: CalendarEvent, write: CalendarWrite, booking: Booking, zone: str) -> EventState:
    """Hold an event against its booking; ``zone`` is the calendar's, for times that float."""
    start, end = wallclock.event_instant(event.start, zone), wallclock.event_instant(event.end, zone)
    all_day = event.start is not None and event.start.all_day
    detail: dict[str, Any] = {"all_day": all_day, "summary": event.summary[:200]}
    if event.etag and event.etag == write.etag:
        return EventState("", detail, version=event.etag)
    if start is None or end is None or all_day:
        return EventState(ChangeKind.MOVED, detail, version=event.etag)
    detail |= {"start": start.isoformat(), "end": end.isoformat()}
    stale = bool(event.updated and write.written_at and event.updated < write.written_at - _SKEW)
    if (start, end) != (booking.start_at, booking.end_at):
        return EventState(ChangeKind.MOVED, detail, Span(instant(start), instant(end)), event.etag, stale)
    return EventState(ChangeKind.CHANGED if event.recurrence else "", detail, version=event.etag, stale=stale)


def is_upcoming(booking: Booking, now: datetime) -> bool:
    return booking.status == "confirmed" and booking.end_at > now


def load_case(session: Session, deviation_id: str) -> Case | None:
    row = session.get(Deviation, deviation_id)
    if row is None:
        return None
    calendar = session.get_one(Calendar, row.calendar_id)
    write = session.exec(_write_of(row)).first()
    return Case(
        row,
        calendar,
        session.get_one(Connection, calendar.connection_id),
        session.get_one(Workspace, row.workspace_id),
        write,
        session.get(Booking, write.booking_id) if write else None,
    )


def _write_of(row: Deviation) -> Any:
    query = select(CalendarWrite).where(CalendarWrite.calendar_id == row.calendar_id)
    if row.booking_id is not None and row.kind != ChangeKind.STRAY:
        return query.where(CalendarWrite.booking_id == row.booking_id)
    return query.where(CalendarWrite.remote_id == row.remote_id)


def follow(case: Case, found: EventState, actor: Actor | None, now: datetime) -> str:
    """The booking becomes what the calendar says."""
    assert case.booking is not None
    booking_id, calendar_id, deviation_id = case.booking.id, case.calendar.id, case.row.id
    if found.kind == ChangeKind.MOVED:
        if found.span is None:
            raise InvalidInput("The event is an all-day event now: choose a time for the booking yourself.")

        def adopt(session: Session) -> None:
            write_planning.adopt(session, booking_id, calendar_id, found.version, now)
            end(session, deviation_id, ChangeResolution.FOLLOWED, now)

        booking_reschedule.move_as_outside(
            booking_id, found.span, Outside(calendar_id, case.by, adopt), actor=actor, now=now
        )
        return ChangeResolution.FOLLOWED

    def settled(session: Session) -> None:
        end(session, deviation_id, ChangeResolution.CANCELLED, now)

    transitions.cancel_as_outside(
        booking_id, Outside(calendar_id, case.by, settled), CANCEL_REASON, actor=actor, now=now
    )
    return ChangeResolution.CANCELLED


def restore(case: Case, actor: Actor | None, now: datetime) -> str:
    """The calendar becomes what the booking says: a write like any other."""
    assert case.booking is not None
    with transaction() as session:
        if not write_planning.rewrite(session, case.booking.id, case.calendar.id):
            raise StateChanged("This calendar no longer takes the booking.")
        end(session, case.row.id, ChangeResolution.RESTORED, now)
        audit_log.record(
            session,
            case.row.workspace_id,
            actor or audit_log.Party.SYSTEM,
            "booking.event_restored",
            "booking",
            case.booking.id,
            calendar=case.calendar.name,
        )
        change_events.announce(session, case.row.workspace_id, "bookings")
    return ChangeResolution.RESTORED


def remove_stray(case: Case, actor: Actor, now: datetime, resolution: str = ChangeResolution.RESTORED) -> str:
    remote_id = case.row.remote_id
    connection_tokens.call(
        case.connection.id, lambda api: event_writer.remove(api, case.calendar.remote_id, remote_id)
    )
    with transaction() as session:
        end(session, case.row.id, resolution, now)
        audit_log.record(
            session,
            case.row.workspace_id,
            actor,
            "calendar.stray_removed",
            "calendar",
            case.calendar.id,
            event=remote_id[:100],
        )
        change_events.announce(session, case.row.workspace_id, "bookings")
    return resolution


def end(session: Session, deviation_id: str, resolution: str, now: datetime) -> None:
    row = locked(session, Deviation, deviation_id)
    if row is not None and row.resolved_at is None:
        row.resolved_at, row.resolution = now, resolution
        session.add(row)


def close(case: Case, resolution: str, now: datetime) -> str:
    """There is nothing (any more): a sighting is forgotten, an open deviation is history."""
    with transaction() as session:
        if case.row.resolution == ChangeResolution.CHECKING:
            row = session.get(Deviation, case.row.id)
            if row is not None and row.resolution == ChangeResolution.CHECKING:
                session.delete(row)
        else:
            end(session, case.row.id, resolution, now)
        if case.booking is not None:
            mismatches.close_resolved(session, case.booking.id, case.calendar.id, resolution, now)
        change_events.announce(session, case.row.workspace_id, "bookings")
    return resolution


def stop_examining(case: Case) -> str:
    """It cannot be looked into: a sighting is forgotten, the night's drift report will see; an open one stays open."""
    with transaction() as session:
        row = locked(session, Deviation, case.row.id)
        if row is not None and row.resolution == ChangeResolution.CHECKING:
            session.delete(row)
        elif row is not None and row.resolved_at is None:
            row.resolution = ""
            session.add(row)
    return "" if case.row.resolution == ChangeResolution.CHECKING else "open"


def try_later(case: Case, now: datetime) -> str:
    """It cannot be looked into now: again after a while, or never, after too many attempts."""
    if case.row.attempts >= _MOST_TRIES:
        return stop_examining(case)
    with transaction() as session:
        row = locked(session, Deviation, case.row.id)
        return postpone(session, row, now) if row is not None else ""


def postpone(session: Session, row: Deviation, now: datetime) -> str:
    row.attempts += 1
    row.tried_at = now
    row.next_attempt_at = now + timedelta(seconds=min(_LONGEST_DELAY, _FIRST_DELAY * 2 ** (row.attempts - 1)))
    session.add(row)
    return "waiting"
