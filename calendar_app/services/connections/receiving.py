"""Hosts whose bookings no calendar receives: they are told, and so are those who run the workspace."""

from __future__ import annotations

from dataclasses import dataclass

from sqlmodel import col, select

from calendar_app.db.session import reading
from calendar_app.db.tables import Calendar, Connection, EventType, EventTypeHost, Person, Workspace
from calendar_app.domain.connection import ConnectionStatus
from calendar_app.services.common.permissions import Actor, Role


@dataclass(frozen=True, slots=True)
class HostWithoutCalendar:
    """A host; ``name`` is empty for the actor."""

    person_id: str
    name: str


def hosts_without_calendar(actor: Actor) -> list[HostWithoutCalendar]:
    """Those who host an active event type while none of their calendars receives bookings, the actor first; staff learn
    it of themselves, managers of everybody, customers of nobody. Whoever switched off that bookings are written, for
    themselves or the workspace, wants it so and is left out."""
    if actor.role < Role.STAFF:
        return []
    receives = (
        select(Calendar.id)
        .join(Connection, col(Connection.id) == col(Calendar.connection_id))
        .where(
            Connection.person_id == Person.id,
            Calendar.workspace_id == actor.workspace_id,
            col(Calendar.receives_bookings).is_(True),
            col(Calendar.removed_at).is_(None),
            Connection.status != ConnectionStatus.DISCONNECTED,
        )
        .correlate(Person)
    )
    query = (
        select(Person.id, Person.name, Person.email)
        .join(EventTypeHost, col(EventTypeHost.person_id) == col(Person.id))
        .join(EventType, col(EventType.id) == col(EventTypeHost.event_type_id))
        .join(Workspace, col(Workspace.id) == col(EventType.workspace_id))
        .where(EventType.workspace_id == actor.workspace_id, col(EventType.is_active).is_(True))
        .where(col(Workspace.auto_sync_bookings).is_(True), col(Person.calendar_sync_enabled).is_(True))
        .where(~receives.exists())
        .distinct()
        .order_by(col(Person.name), col(Person.id))
    )
    if actor.role < Role.MANAGER:
        query = query.where(Person.id == actor.person_id)
    with reading() as session:
        rows = session.exec(query).all()
    found = [
        HostWithoutCalendar(person_id, "" if person_id == actor.person_id else name or email)
        for person_id, name, email in rows
    ]
    return sorted(found, key=lambda host: host.name != "")
