"""The calendars of connections: how they are listed, and what makes one used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, or_
from sqlmodel import Session, col, select

from calendar_app.clock import utc_now
from calendar_app.db.due import is_due
from calendar_app.db.session import reading
from calendar_app.db.tables import Calendar, Connection
from calendar_app.domain.connection import USABLE, ConnectionStatus
from calendar_app.domain.unread import Unread
from calendar_app.errors import NotFound
from calendar_app.providers import registry
from calendar_app.providers.base import AccessRole, RemoteCalendar
from calendar_app.services.calendar_mirror import unreadable
from calendar_app.services.common import change_events
from calendar_app.services.common.permissions import Actor, Role
from calendar_app.services.connections import calendar_time_zones
from calendar_app.services.connections.calendar_time_zones import ZoneSource
from calendar_app.settings import get_settings


@dataclass(frozen=True, slots=True)
class CalendarView:
    """A calendar for people. ``sync_progress`` counts events read by a running sync; ``last_error`` says why it could
    not be read, or why bookings cannot be written there; ``in_doubt``: most of it vanished at the provider, and a
    person has to say whether that is meant. ``timezone_source``: see
    :class:`calendar_app.services.connections.calendar_time_zones.ZoneSource`; ``provider_timezone`` is the zone that
    the provider names, empty for none. ``unread`` names the first of ``unread_count`` things in it that could not be
    read. ``used``: see :func:`is_used`.
    """

    id: str
    connection_id: str
    provider: str
    name: str
    color: str
    timezone: str
    timezone_source: str
    provider_timezone: str
    access_role: str
    is_primary: bool
    checks_conflicts: bool
    receives_bookings: bool
    shown_on_dashboard: bool
    used: bool
    stale_policy: str
    synced_at: datetime | None
    sync_progress: int
    syncing: bool
    last_error: str
    connection_status: str
    in_doubt: bool
    unread: tuple[Unread, ...] = ()
    unread_count: int = 0


MASS_DELETE = "mass_delete"
"""``last_error_code`` of a calendar whose listing lacked most of its future; see :func:`mirror.apply`."""


def is_used(calendar: Calendar) -> bool:
    """Whether the calendar is used for anything. One that is not is never read (docs/decisions/0017)."""
    return calendar.checks_conflicts or calendar.receives_bookings or calendar.shown_on_dashboard


def used() -> ColumnElement[bool]:
    """:func:`is_used` as a condition of queries over :class:`Calendar`."""
    return or_(
        col(Calendar.checks_conflicts), col(Calendar.receives_bookings), col(Calendar.shown_on_dashboard)
    )


def list_calendars(
    actor: Actor, *, connection_id: str | None = None, now: datetime | None = None
) -> list[CalendarView]:
    """The person's calendars, and everybody's for managers; those of disconnected accounts are left out.

    :raises Forbidden: customers have none.
    """
    actor.require(Role.STAFF)
    now = now or utc_now()
    query = (
        select(Calendar, Connection)
        .join(Connection, col(Connection.id) == col(Calendar.connection_id))
        .where(Calendar.workspace_id == actor.workspace_id)
        .where(col(Calendar.removed_at).is_(None))
        .where(Connection.status != ConnectionStatus.DISCONNECTED)
        .order_by(
            col(Connection.created_at),
            col(Connection.id),
            col(Calendar.is_primary).desc(),
            col(Calendar.name),
        )
    )
    if actor.role < Role.MANAGER:
        query = query.where(Connection.person_id == actor.person_id)
    if connection_id is not None:
        with reading() as session:
            connection = session.get(Connection, connection_id)
        if (
            connection is None
            or connection.workspace_id != actor.workspace_id
            or (actor.role < Role.MANAGER and connection.person_id != actor.person_id)
        ):
            raise NotFound("There is no such connection.", field="connection_id")
        query = query.where(Calendar.connection_id == connection_id)
    with reading() as session:
        return [view(calendar, connection, now) for calendar, connection in session.exec(query)]


def get_calendar(actor: Actor, calendar_id: str, *, now: datetime | None = None) -> CalendarView:
    """One calendar of the actor's. :raises NotFound: there is none. :raises Forbidden: customers have none."""
    with reading() as session:
        calendar, connection = owned_calendar(session, actor, calendar_id)
        return view(calendar, connection, now or utc_now())


def owned_calendar(session: Session, actor: Actor, calendar_id: str) -> tuple[Calendar, Connection]:
    """A calendar that the actor may change, with its connection. :raises NotFound: there is none."""
    actor.require(Role.STAFF)
    found = session.exec(
        select(Calendar, Connection)
        .join(Connection, col(Connection.id) == col(Calendar.connection_id))
        .where(Calendar.id == calendar_id)
        .where(Calendar.workspace_id == actor.workspace_id)
        .where(col(Calendar.removed_at).is_(None))
        .where(Connection.status != ConnectionStatus.DISCONNECTED)
    ).first()
    if found is None or (found[1].person_id != actor.person_id and actor.role < Role.MANAGER):
        raise NotFound("There is no such calendar.")
    return found


def lock_calendars(session: Session, *connections: str) -> None:
    """Lock every calendar of these connections, for a transaction that changes a connection and its calendars.

    Readings lock their calendar and then its connection. So does everybody: two that went opposite ways would wait for
    each other until PostgreSQL ended one of them.
    """
    of_these = select(Calendar.id).where(col(Calendar.connection_id).in_(connections))
    session.exec(of_these.order_by(col(Calendar.id)).with_for_update()).all()


def store_listing(
    session: Session, connection: Connection, listing: Sequence[RemoteCalendar]
) -> list[Calendar]:
    """Bring the connection's calendars to what its provider lists; returns those that stand, the primary first.

    What new ones are used for says :func:`add`. The first calendar of a person that can be written, the primary one by
    choice, receives bookings. A calendar that is gone is marked, and so is its return.
    """
    rows = session.exec(select(Calendar).where(Calendar.connection_id == connection.id)).all()
    known = {row.remote_id: row for row in rows}
    standing: list[Calendar] = []
    now = utc_now()
    for remote in sorted(listing, key=lambda one: (not one.is_primary, one.name)):
        row = known.pop(remote.remote_id, None)
        if row is None:
            row = add(session, connection, remote, now)
        else:
            row.removed_at = None
            follow(session, row, remote, now)
        standing.append(row)
    for gone in known.values():
        gone.removed_at = gone.removed_at or now
        session.add(gone)
    session.flush()
    if not _receives(session, connection):
        writable = (row for row in standing if AccessRole(row.access_role).can_write)
        if first := next(writable, None):
            first.receives_bookings = True
            session.add(first)
    return standing


def add(session: Session, connection: Connection, remote: RemoteCalendar, now: datetime) -> Calendar:
    """A calendar that we did not know. It checks for conflicts if the account owns it, or if it is its primary one; it
    is shown if it does, or if it is displayed at the provider."""
    own = remote.access_role is AccessRole.OWNER or remote.is_primary
    row = Calendar(
        workspace_id=connection.workspace_id,
        connection_id=connection.id,
        remote_id=remote.remote_id,
        checks_conflicts=own,
        shown_on_dashboard=own or remote.is_selected,
    )
    follow(session, row, remote, now)
    return row


def follow(session: Session, row: Calendar, remote: RemoteCalendar, now: datetime) -> None:
    """Name, colour, role and zone of a calendar as its provider lists them now.

    Who sees only free and busy is shown other events than everybody else, so that changes since the cursor do not
    bring over what was read before the role changed: everything is read again.
    """
    before, role = row.access_role, remote.access_role.value
    if row.sync_cursor and before != role and AccessRole.FREEBUSY.value in (before, role):
        row.sync_cursor = None
    told = (row.name, row.color, row.access_role, row.is_primary)
    row.name, row.color, row.access_role, row.is_primary = remote.name, remote.color, role, remote.is_primary
    if told != (row.name, row.color, row.access_role, row.is_primary):
        workspace_id = row.workspace_id
        change_events.announce(session, workspace_id, "connections")
    row.meeting_kinds = [kind.value for kind in remote.meeting_kinds]
    calendar_time_zones.take_named(session, row, remote.timezone, now)
    session.add(row)


def next_reading(calendar: Calendar, connection: Connection, now: datetime) -> datetime | None:
    """When the calendar is read next by itself; ``None`` where that waits for somebody, or for its first reading."""
    if connection.status not in USABLE or connection.provider in registry.unread():
        return None
    if not is_used(calendar):
        return None
    due = calendar.sync_retry_at
    if due is not None and is_due(due, calendar.sync_started_at, now):
        due = now
    elif due is None and calendar.synced_at is not None and not calendar.failures:
        due = calendar.reading_due_at or calendar.synced_at + timedelta(minutes=get_settings().poll_minutes)
    return max(due, connection.retry_at or now, now) if due is not None else None


def syncing(calendar: Calendar, now: datetime) -> bool:
    """Whether a sync runs, or the first one has yet to."""
    if not is_used(calendar):
        return False
    running = calendar.sync_lease_until is not None and calendar.sync_lease_until > now
    return running or (calendar.synced_at is None and not calendar.last_error)


def view(calendar: Calendar, connection: Connection, now: datetime) -> CalendarView:
    """The row as people see it."""
    return CalendarView(
        id=calendar.id,
        connection_id=calendar.connection_id,
        provider=connection.provider,
        name=calendar.name,
        color=calendar.color,
        timezone=calendar.timezone,
        timezone_source=calendar.timezone_source or ZoneSource.PROVIDER,
        provider_timezone=calendar.provider_timezone,
        access_role=calendar.access_role,
        is_primary=calendar.is_primary,
        checks_conflicts=calendar.checks_conflicts,
        receives_bookings=calendar.receives_bookings,
        shown_on_dashboard=calendar.shown_on_dashboard,
        used=is_used(calendar),
        stale_policy=calendar.stale_policy,
        synced_at=calendar.synced_at,
        sync_progress=calendar.sync_progress,
        syncing=connection.status in USABLE and syncing(calendar, now),
        last_error=" ".join(filter(None, (calendar.last_error, calendar.write_error))),
        connection_status=connection.status,
        in_doubt=calendar.last_error_code == MASS_DELETE,
        unread=tuple(unreadable.notes_of(calendar)),
        unread_count=calendar.unread_count,
    )


def _receives(session: Session, connection: Connection) -> bool:
    """Whether any live calendar of the person already receives bookings in this workspace."""
    query = (
        select(Calendar.id)
        .join(Connection, col(Connection.id) == col(Calendar.connection_id))
        .where(Calendar.workspace_id == connection.workspace_id)
        .where(Connection.person_id == connection.person_id)
        .where(Connection.status != ConnectionStatus.DISCONNECTED)
        .where(col(Calendar.removed_at).is_(None))
        .where(col(Calendar.receives_bookings).is_(True))
    )
    return session.exec(query).first() is not None
