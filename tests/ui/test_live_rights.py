"""What is pushed to an open page is what its person could read, by rights that are asked of the database each time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from calendar_app.db.session import transaction
from calendar_app.db.tables import AuthSession, Membership
from calendar_app.domain.event import CalendarEvent, EventTime
from calendar_app.services.accounts import authentication
from calendar_app.services.calendar_mirror import mirror
from calendar_app.services.common.change_events import Change
from calendar_app.services.common.permissions import Actor, Role
from calendar_app.ui.following import impersonal
from calendar_app.ui.pages.dashboard.state import DashboardView
from tests.support import factories
from tests.support.databases import Database
from tests.support.factories import Team

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
WEEK = DashboardView("Europe/Berlin", False, ("2026-03-02T00:00:00+01:00", "2026-03-09T00:00:00+01:00"))


@pytest.fixture
def team(database: Database) -> Team:
    """A workspace with one calendar in Berlin."""
    return factories.team()


def meeting(calendar_id: str, title: str) -> None:
    start = EventTime(datetime(2026, 3, 3, 10), "Europe/Berlin")  # noqa: DTZ001  # a wall clock
    end = EventTime(datetime(2026, 3, 3, 11), "Europe/Berlin")  # noqa: DTZ001
    with transaction() as session:
        event = CalendarEvent(title, start=start, end=end, summary=title)
        mirror.apply(session, calendar_id, [event], full=False, now=NOW)


def signed_in(person_id: str, name: str, *, until: datetime = NOW + timedelta(days=1)) -> str:
    """The digest of a session's secret."""
    digest = authentication.digest(name)
    factories.save(AuthSession(person_id=person_id, token_hash=digest, user_agent="", expires_at=until))
    return digest


def test_rights_are_asked_for_all_sessions_at_once(team: Team) -> None:
    """A session counts while it lasts and its person is a member, with the role of this workspace."""
    staff, stranger = factories.person(), factories.person()
    member = factories.membership(staff, team.workspace, Role.STAFF)
    elsewhere = factories.workspace()
    factories.membership(stranger, elsewhere, Role.OWNER)
    mine, theirs = signed_in(team.person.id, "owner"), signed_in(staff.id, "staff")
    over = signed_in(team.person.id, "over", until=NOW)
    foreign = signed_in(stranger.id, "stranger")
    sessions = [mine, theirs, over, foreign, authentication.digest("unknown")]
    found = authentication.actors(team.workspace.id, sessions, now=NOW)
    assert {key: (actor.person_id, actor.role) for key, actor in found.items()} == {
        mine: (team.person.id, Role.OWNER),
        theirs: (staff.id, Role.STAFF),
    }
    assert found[mine] == team.actor
    with transaction() as session:
        session.delete(session.get_one(Membership, member.id))
    assert set(authentication.actors(team.workspace.id, sessions, now=NOW)) == {mine}
    assert authentication.actors(team.workspace.id, [], now=NOW) == {}


def test_a_shared_dashboard_is_what_each_would_read(team: Team) -> None:
    """Every manager and above reads the same as nobody in particular; staff see their own calendars and no others."""
    colleague = factories.person()
    factories.membership(colleague, team.workspace, Role.STAFF)
    theirs = factories.calendar(factories.connection(colleague, team.workspace), name="Theirs")
    meeting(team.calendar.id, "Of the owner")
    meeting(theirs.id, "Of the colleague")
    shared = WEEK.read(impersonal(team.actor), now=NOW)
    assert [event["title"] for event in shared["events"]] == ["Of the owner", "Of the colleague"]
    for role in (Role.MANAGER, Role.ADMIN, Role.OWNER):
        assert WEEK.read(replace(team.actor, role=role), now=NOW) == shared
    staff = impersonal(factories.actor(colleague, team.workspace, Role.STAFF))
    assert staff.person_id == colleague.id
    own = WEEK.read(staff, now=NOW)
    assert [event["title"] for event in own["events"]] == ["Of the colleague"]
    assert [row.name for row in own["legend"]] == ["Theirs"]


@pytest.mark.parametrize(
    ("role", "change", "concerned"),
    [
        (Role.STAFF, Change("w", "events"), True),
        (Role.STAFF, Change("w", "connections", "me"), True),
        (Role.STAFF, Change("w", "events", "somebody else"), False),
        (Role.MANAGER, Change("w", "events", "somebody else"), True),
        (Role.OWNER, Change("w", "bookings"), True),
        (Role.OWNER, Change("w", "team"), False),
    ],
)
def test_whom_a_change_concerns(role: Role, change: Change, concerned: bool) -> None:
    """A dashboard is read again after changes of what it shows: staff's own calendars, everybody's from managers on."""
    viewer = Actor("me", "w", role, "me@example.com", "Me", "UTC")
    assert WEEK.concerns(viewer, change) is concerned


def test_host_without_a_calendar_is_sent_their_first_booking(database: Database) -> None:
    """What is pushed to a dashboard without an account is enough to show the booking, its customer and its calendar."""
    place, host = factories.workspace(), factories.person()
    kind = factories.event_type(place, host, title="Consultation")
    factories.booking(kind, host, NOW + timedelta(days=1), name="Ada Customer", phone="+4930123456")
    staff = factories.actor(host, place, Role.STAFF)
    state = WEEK.read(impersonal(staff), now=NOW)
    assert state["has_bookings"]
    assert [event["title"] for event in state["events"]] == ["Consultation with Ada Customer"]
    assert [item.status for day in state["days"] for item in day.events] == ["confirmed"]
    assert (state["next_up"][host.id].customer, state["next_up"][host.id].phone) == (
        "Ada Customer",
        "+4930123456",
    )
