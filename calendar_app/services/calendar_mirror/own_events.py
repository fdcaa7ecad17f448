"""Our own events among those of a calendar: which they are, whether they say anything new, and which of them are odd.

An event is ours by what our writes recorded, its calendar and id, and by the mark that it carries; a calendar program
that drops the mark, and a provider that does not list it, make no difference.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlmodel import Session, col

from calendar_app.db.tables import Booking, BookingHost, Calendar, CalendarWrite, Connection, Deviation
from calendar_app.domain.event import CalendarEvent
from calendar_app.domain.recurrence import wallclock
from calendar_app.domain.timespan import Span, instant

_STANDING = ("pending", "confirmed", "completed", "no_show")


@dataclass(frozen=True, slots=True)
class Sighting:
    """An event that we wrote for a standing booking is listed otherwise than we last wrote it, or as deleted."""

    remote_id: str
    gone: bool


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose calendar it is, and the IANA zone in which it means times that name none."""

    zone: str
    person_id: str


def owner_of(session: Session, calendar_id: str) -> Owner:
    """:raises sqlalchemy.exc.NoResultFound: there is no such calendar."""
    statement = select(col(Calendar.timezone), col(Connection.person_id)).join(
        Connection, col(Connection.id) == col(Calendar.connection_id)
    )
    zone, person_id = session.execute(statement.where(col(Calendar.id) == calendar_id)).one()
    return Owner(zone or "UTC", person_id)


@dataclass(frozen=True, slots=True)
class OwnBooking:
    """A booking as far as its own events are concerned."""

    span: Span
    stands: bool

    def explains(self, starts: int, ends: int) -> bool:
        """Whether an event of the booking at this time says nothing new: the reservation counts, or none any more."""
        return not self.stands or self.span == (starts, ends)

    def is_at(self, event: CalendarEvent, zone: str) -> bool:
        """Whether an event says what we write for the booking: once, at its time."""
        if event.start is None or event.start.all_day or event.recurrence:
            return False
        times = wallclock.event_instant(event.start, zone), wallclock.event_instant(event.end, zone)
        return None not in times and self.span == tuple(map(instant, filter(None, times)))


def own_bookings(session: Session, person_id: str, booking_ids: set[str]) -> dict[str, OwnBooking]:
    """Those of the bookings that have the person as a host."""
    if not booking_ids:
        return {}
    statement = (
        select(col(Booking.id), col(Booking.start_at), col(Booking.end_at), col(Booking.status))
        .join(BookingHost, col(BookingHost.booking_id) == col(Booking.id))
        .where(col(Booking.id).in_(booking_ids), col(BookingHost.person_id) == person_id)
    )
    return {
        booking_id: OwnBooking(Span(instant(start), instant(end)), status in _STANDING)
        for booking_id, start, end, status in session.execute(statement)
    }


@dataclass(frozen=True, slots=True)
class Written:
    """What we last wrote under a remote id: ``expected`` if it has to stand there now, for a booking to come."""

    booking_id: str
    etag: str
    expected: bool

    def is_echo(self, event: CalendarEvent) -> bool:
        """Whether the event is exactly as we last wrote it."""
        return bool(event.etag) and event.etag == self.etag


def written_here(
    session: Session, calendar_id: str, remote_ids: Iterable[str], now: datetime
) -> dict[str, Written]:
    """Those of the events that are ours, marked or not."""
    statement = (
        select(
            col(CalendarWrite.remote_id),
            col(CalendarWrite.booking_id),
            col(CalendarWrite.etag),
            col(CalendarWrite.present),
            col(Booking.status),
            col(Booking.end_at),
        )
        .join(Booking, col(Booking.id) == col(CalendarWrite.booking_id))
        .where(col(CalendarWrite.calendar_id) == calendar_id)
        .where(col(CalendarWrite.remote_id).in_(list(remote_ids)))
    )
    return {
        remote_id: Written(booking_id, etag, present and status == "confirmed" and end_at > now)
        for remote_id, booking_id, etag, present, status, end_at in session.execute(statement)
    }


def expected_here(session: Session, calendar_id: str, now: datetime) -> set[str]:
    """Events that we wrote and that have to stand there now, mirrored yet or not."""
    statement = (
        select(col(CalendarWrite.remote_id))
        .join(Booking, col(Booking.id) == col(CalendarWrite.booking_id))
        .where(col(CalendarWrite.calendar_id) == calendar_id, col(CalendarWrite.present))
        .where(col(CalendarWrite.written_at).is_not(None))
        .where(col(Booking.status) == "confirmed", col(Booking.end_at) > now)
    )
    return set(session.scalars(statement))


def watched_here(session: Session, calendar_id: str) -> frozenset[str]:
    """Events of which an open deviation waits for news."""
    statement = select(col(Deviation.remote_id)).where(
        col(Deviation.calendar_id) == calendar_id, col(Deviation.resolved_at).is_(None)
    )
    return frozenset(session.scalars(statement))
