"""Rows to start a test from. Each function commits its row and returns it detached, with sensible defaults.

``factories.team()`` gives what most tests want: a workspace, its owner, a connection and a writable primary calendar.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from sqlmodel import SQLModel

from calendar_app.db.session import transaction
from calendar_app.db.tables import (
    Booking,
    BookingHost,
    Calendar,
    CalendarWrite,
    Connection,
    EventType,
    EventTypeHost,
    HostReservation,
    Membership,
    Person,
    Schedule,
    Workspace,
)
from calendar_app.domain.timespan import instant
from calendar_app.services.common.permissions import Actor, Role

Row = TypeVar("Row", bound=SQLModel)

_numbers = itertools.count(1)

OFFICE_HOURS = {day: [["09:00", "17:00"]] for day in ("mon", "tue", "wed", "thu", "fri")}
"""``Schedule.weekly`` of most tests: Monday to Friday, nine to five."""


@dataclass(frozen=True, slots=True)
class Team:
    """A workspace with one member and that member's first calendar."""

    workspace: Workspace
    person: Person
    actor: Actor
    connection: Connection
    calendar: Calendar


def save(row: Row) -> Row:
    """Commit one row and return it, usable outside of any session."""
    with transaction() as session:
        session.add(row)
    return row


def person(**columns: Any) -> Person:
    number = next(_numbers)
    defaults = {
        "email": f"person{number}@example.com",
        "name": f"Person {number}",
        "timezone": "Europe/Berlin",
    }
    return save(Person(**(defaults | columns)))


def workspace(**columns: Any) -> Workspace:
    number = next(_numbers)
    defaults = {"slug": f"workspace-{number}", "name": f"Workspace {number}", "timezone": "Europe/Berlin"}
    return save(Workspace(**(defaults | columns)))


def membership(of: Person, at: Workspace, role: Role | str = Role.OWNER) -> Membership:
    return save(Membership(person_id=of.id, workspace_id=at.id, role=str(role)))


def actor(of: Person, at: Workspace, role: Role | str = Role.OWNER) -> Actor:
    """The person acting in the workspace; writes no membership (see :func:`membership`)."""
    return Actor(
        person_id=of.id,
        workspace_id=at.id,
        role=Role(role),
        email=of.email,
        name=of.name,
        timezone=of.timezone,
    )


def connection(of: Person, at: Workspace, **columns: Any) -> Connection:
    number = next(_numbers)
    defaults: dict[str, Any] = {
        "provider": "fake",
        "account_id": f"account-{number}",
        "account_email": of.email,
        "scopes": ["profile", "calendar", "freebusy"],
        "access_token": f"access-{number}",
        "refresh_token": f"refresh-{number}",
        "access_expires_at": datetime.now(UTC) + timedelta(hours=1),
    }
    return save(Connection(workspace_id=at.id, person_id=of.id, **(defaults | columns)))


def calendar(on: Connection, **columns: Any) -> Calendar:
    number = next(_numbers)
    defaults: dict[str, Any] = {
        "remote_id": f"calendar-{number}",
        "name": f"Calendar {number}",
        "timezone": "Europe/Berlin",
        "timezone_source": "provider",
        "provider_timezone": columns.get("timezone", "Europe/Berlin"),
        "access_role": "owner",
    }
    return save(Calendar(workspace_id=on.workspace_id, connection_id=on.id, **(defaults | columns)))


def schedule(of: Person, at: Workspace, **columns: Any) -> Schedule:
    defaults: dict[str, Any] = {"timezone": of.timezone, "weekly": OFFICE_HOURS}
    return save(Schedule(person_id=of.id, workspace_id=at.id, **(defaults | columns)))


def event_type(at: Workspace, *hosts: Person, **columns: Any) -> EventType:
    """An event type with its hosts, each on their default schedule."""
    number = next(_numbers)
    row = save(
        EventType(workspace_id=at.id, **({"slug": f"type-{number}", "title": f"Type {number}"} | columns))
    )
    for host in hosts:
        save(EventTypeHost(event_type_id=row.id, person_id=host.id))
    return row


def booking(of: EventType, host: Person, start: datetime, *, minutes: int = 30, **columns: Any) -> Booking:
    """A confirmed booking with its host and the reservation of the host's time; no calendar writes."""
    number = next(_numbers)
    end = start + timedelta(minutes=minutes)
    defaults: dict[str, Any] = {
        "start_at": start,
        "end_at": end,
        "name": f"Guest {number}",
        "email": f"guest{number}@example.org",
        "uid": f"booking-{number}@almanac",
        "timezone": "Europe/Berlin",
    }
    row = save(Booking(workspace_id=of.workspace_id, event_type_id=of.id, **(defaults | columns)))
    claim = save(
        HostReservation(
            host_id=host.id,
            event_type_id=of.id,
            starts=instant(start),
            ends=instant(end),
            state="confirmed",
        )
    )
    save(BookingHost(booking_id=row.id, person_id=host.id, reservation_id=claim.id))
    return row


def calendar_write(of: Booking, into: Calendar, **columns: Any) -> CalendarWrite:
    return save(
        CalendarWrite(booking_id=of.id, calendar_id=into.id, **({"remote_id": f"almanac{of.id}"} | columns))
    )


def team(*, role: Role | str = Role.OWNER, timezone: str = "Europe/Berlin", **columns: Any) -> Team:
    """A workspace, one member with ``role``, a connection (``columns``) and its writable primary calendar."""
    member, place = person(timezone=timezone), workspace(timezone=timezone)
    membership(member, place, role)
    grant = connection(member, place, **columns)
    main = calendar(grant, name="Main", is_primary=True, receives_bookings=True, timezone=timezone)
    return Team(place, member, actor(member, place, role), grant, main)
