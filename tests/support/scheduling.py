"""A bookable business for tests: people with working hours, an account at the fake vendor, and an event type.

``with fake.installed(): place = bookable(fake)`` and ``place.at(10)`` is ten o'clock on a working day next week.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlmodel import col, select

from calendar_app.db.session import reading
from calendar_app.db.tables import (
    ApiToken,
    Booking,
    BookingHost,
    Calendar,
    CalendarWrite,
    EventType,
    HostReservation,
    Person,
    Workspace,
)
from calendar_app.domain.event import BOOKING_MARK, CalendarEvent
from calendar_app.services.accounts import authentication
from calendar_app.services.bookings import create as booking_create
from calendar_app.services.bookings.views import BookingView
from calendar_app.services.calendar_writes import outbox as write_outbox
from calendar_app.services.common.permissions import Actor, Role
from tests.support import factories
from tests.support.fake_provider import FakeProvider

ZONE = "Europe/Berlin"
GUEST = ("Grace Hopper", "grace@example.org")


@dataclass(frozen=True, slots=True)
class Place:
    """A workspace with its hosts (the first is the owner) and one event type that all of them host."""

    workspace: Workspace
    event_type: EventType
    people: tuple[Person, ...]
    calendars: tuple[Calendar, ...]
    owner: Actor
    day: datetime

    def at(self, hour: int, minute: int = 0, *, days: int = 0) -> datetime:
        """A wall-clock time on :attr:`day` (a Monday at least a week ahead), in Berlin."""
        moment = datetime.combine((self.day + timedelta(days=days)).date(), time(hour, minute))
        return moment.replace(tzinfo=ZoneInfo(ZONE))

    def book(self, start: datetime, **options: Any) -> BookingView:
        name, email = options.pop("guest", GUEST)
        event_type_id = options.pop("event_type_id", self.event_type.id)
        return booking_create.create_booking(event_type_id, start, ZONE, name, email, {}, **options)


def next_monday() -> datetime:
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return today + timedelta(days=14 - today.weekday())


def host(
    fake: FakeProvider, at: Workspace, role: Role = Role.STAFF, **columns: Any
) -> tuple[Person, Calendar]:
    """A member with working hours and one connected, synced, writable calendar at the vendor."""
    member = factories.person(timezone=ZONE)
    factories.membership(member, at, role)
    factories.schedule(member, at)
    account = fake.account(member.email)
    grant = fake.grant(account)
    connection = factories.connection(
        member,
        at,
        provider=fake.key,
        account_id=account.account_id,
        access_token=grant.access_token,
        refresh_token=grant.refresh_token,
        access_expires_at=grant.expires_at,
    )
    defaults: dict[str, Any] = {
        "remote_id": next(iter(account.calendars)),
        "is_primary": True,
        "receives_bookings": True,
        "meeting_kinds": ["google_meet"],
        "synced_at": datetime.now(UTC),
    }
    return member, factories.calendar(connection, **(defaults | columns))


def bookable(fake: FakeProvider, *, hosts: int = 1, **event_type: Any) -> Place:
    """A workspace whose event type (half an hour, on the half hour, unless told otherwise) is open to the public."""
    place = factories.workspace(timezone=ZONE)
    staff = [host(fake, place, Role.OWNER if number == 0 else Role.STAFF) for number in range(hosts)]
    people = tuple(member for member, _ in staff)
    columns = {"title": "Intro call", "durations": [30], "step_minutes": 30} | event_type
    kind = factories.event_type(place, *people, **columns)
    owner = factories.actor(people[0], place, Role.OWNER)
    return Place(place, kind, people, tuple(calendar for _, calendar in staff), owner, next_monday())


def reservations(*host_ids: str) -> list[HostReservation]:
    """Every reservation, by host and start."""
    with reading() as session:
        query = select(HostReservation).order_by(col(HostReservation.host_id), col(HostReservation.starts))
        return [row for row in session.exec(query) if not host_ids or row.host_id in host_ids]


def writes(booking_id: str | None = None) -> list[CalendarWrite]:
    with reading() as session:
        query = select(CalendarWrite).order_by(col(CalendarWrite.id))
        return [row for row in session.exec(query) if booking_id in (None, row.booking_id)]


def bearer(of: Person) -> dict[str, str]:
    """Headers of a program that acts for the person."""
    secret = secrets.token_urlsafe(16)
    factories.save(ApiToken(person_id=of.id, token_hash=authentication.digest(secret), scopes=["*"]))
    return {"Authorization": f"Bearer {secret}"}


def carry_out(*, rounds: int = 12, now: datetime | None = None) -> None:
    """Apply every write until nothing is due, as workers would; each round lies two hours later than the one
    before."""
    now = now or datetime.now(UTC)
    for number in range(rounds):
        later = now + timedelta(hours=2 * number)
        behind = [
            row for row in writes() if row.applied_version < row.desired_version or row.state == "written"
        ]
        if not behind:
            return
        for row in behind:
            write_outbox.apply(row.id, now=later)


def ours(fake: FakeProvider, calendars: Iterable[Calendar]) -> dict[str, CalendarEvent]:
    """What stands at the vendor of ours: events by booking id; two of one booking in one calendar are a failure."""
    found: dict[str, CalendarEvent] = {}
    for calendar in calendars:
        events = [event for event in fake.standing(calendar.remote_id) if BOOKING_MARK in event.private]
        ids = [event.private[BOOKING_MARK] for event in events]
        assert len(ids) == len(set(ids)), f"doubled events in {calendar.name}: {ids}"
        found |= {event.private[BOOKING_MARK]: event for event in events}
    return found


def assert_consistent() -> list[Booking]:
    """What must hold of the database at any time; returns the bookings.

    No two reservations of a host overlap; exactly the bookings that hold time have reservations, and those cover
    them; every reservation that is not a hold belongs to such a booking.
    """
    with reading() as session:
        rows = list(session.exec(select(Booking)))
        links = list(session.exec(select(BookingHost)))
        claims = {row.id: row for row in session.exec(select(HostReservation))}
    taken: dict[str, list[HostReservation]] = {}
    for claim in sorted(claims.values(), key=lambda claim: claim.starts):
        earlier = taken.setdefault(claim.host_id, [])
        assert not earlier or earlier[-1].ends <= claim.starts, f"overlap of {earlier[-1]} and {claim}"
        earlier.append(claim)
    by_booking = {row.id: row for row in rows}
    used = set()
    for link in links:
        booking = by_booking[link.booking_id]
        if booking.status in ("pending", "confirmed"):
            assert link.reservation_id is not None, f"booking {booking.id} holds no time"
            claim = claims[link.reservation_id]
            assert claim.host_id == link.person_id
            assert claim.starts <= booking.start_at.timestamp() < booking.end_at.timestamp() <= claim.ends
            used.add(claim.id)
        else:
            assert link.reservation_id is None, f"booking {booking.id} still holds time"
    assert all(claim.state == "held" or claim.id in used for claim in claims.values())
    return rows
