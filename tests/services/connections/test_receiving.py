"""Whose bookings no calendar receives, and who learns it."""

from __future__ import annotations

import pytest

from calendar_app.db.session import transaction
from calendar_app.db.tables import Calendar, Connection, EventType, Person, Workspace
from calendar_app.domain.connection import ConnectionStatus
from calendar_app.services.common.permissions import Role
from calendar_app.services.connections.receiving import hosts_without_calendar
from tests.support import factories
from tests.support.databases import Database


def test_host_without_a_calendar_is_named(database: Database) -> None:
    """A host who has connected nothing is told, managers are told their name, other staff are not."""
    team = factories.team()
    other, guest = factories.person(name="Ada"), factories.person(name="Guest")
    factories.event_type(team.workspace, team.person, other)
    mine = factories.actor(other, team.workspace, Role.STAFF)
    assert [host.name for host in hosts_without_calendar(team.actor)] == ["Ada"]
    assert [host.name for host in hosts_without_calendar(mine)] == [""]
    assert hosts_without_calendar(factories.actor(guest, team.workspace, Role.STAFF)) == []
    assert hosts_without_calendar(factories.actor(other, team.workspace, Role.CUSTOMER)) == []
    assert hosts_without_calendar(factories.team().actor) == []


@pytest.mark.parametrize("end", ["switched off", "removed", "disconnected"])
def test_losing_the_last_calendar_is_told(database: Database, end: str) -> None:
    """Switching off, losing or disconnecting the only calendar that receives bookings leaves its host without one."""
    team = factories.team()
    factories.event_type(team.workspace, team.person)
    assert hosts_without_calendar(team.actor) == []
    with transaction() as session:
        calendar = session.get_one(Calendar, team.calendar.id)
        if end == "switched off":
            calendar.receives_bookings = False
        elif end == "removed":
            calendar.removed_at = calendar.created_at
        else:
            session.get_one(Connection, team.connection.id).status = ConnectionStatus.DISCONNECTED
    assert [host.person_id for host in hosts_without_calendar(team.actor)] == [team.person.id]


@pytest.mark.parametrize("where", ["workspace", "person", "event type"])
def test_what_is_switched_off_is_wanted(database: Database, where: str) -> None:
    """Where bookings are not to be written, or nothing is on offer, nobody is told that no calendar receives them."""
    team = factories.team()
    kind = factories.event_type(team.workspace, team.person)
    with transaction() as session:
        session.get_one(Calendar, team.calendar.id).receives_bookings = False
        if where == "workspace":
            session.get_one(Workspace, team.workspace.id).auto_sync_bookings = False
        elif where == "person":
            session.get_one(Person, team.person.id).calendar_sync_enabled = False
        else:
            session.get_one(EventType, kind.id).is_active = False
    assert hosts_without_calendar(team.actor) == []
