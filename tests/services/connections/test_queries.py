"""Connections from the person's side: what is shown, tested, listed again, and who may see it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import select

from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import AuditEntry, Calendar, Connection
from calendar_app.errors import Forbidden, InvalidInput, NotFound, ProviderUnavailable
from calendar_app.providers.base import AccessRole
from calendar_app.services.calendar_sync import calendar_use
from calendar_app.services.calendar_sync import requests as sync_requests
from calendar_app.services.common.permissions import Role
from calendar_app.services.connection_lifecycle import check as connection_check
from calendar_app.services.connection_lifecycle import disconnect as connection_disconnect
from calendar_app.services.connection_lifecycle import oauth as connection_oauth
from calendar_app.services.connections import calendars
from calendar_app.services.connections import queries as connection_queries
from tests.support import factories
from tests.support.databases import Database
from tests.support.fake_provider import ALL_SCOPES, FakeAccount, FakeProvider


@pytest.fixture
def fake() -> Iterator[FakeProvider]:
    vendor = FakeProvider()
    with vendor.installed():
        yield vendor


def _team(fake: FakeProvider, role: Role = Role.OWNER) -> tuple[factories.Team, FakeAccount]:
    account = fake.account(f"ada{len(fake.accounts)}@example.com")
    grant = fake.grant(account)
    team = factories.team(
        role=role,
        account_id=account.account_id,
        account_email=account.email,
        access_token=grant.access_token,
        refresh_token=grant.refresh_token,
        scopes=list(ALL_SCOPES),
    )
    return team, account


def _change(row: Calendar | Connection, **columns: object) -> None:
    with transaction() as session:
        fresh = session.get_one(type(row), row.id)
        for name, value in columns.items():
            setattr(fresh, name, value)


def test_the_next_reading_is_when_it_really_comes(database: Database, fake: FakeProvider) -> None:
    """A connection that rests is not read before its rest is over, nor a calendar before its next attempt: the account
    and its calendar say the same."""
    team, _ = _team(fake)
    now = datetime.now(UTC)
    _change(team.calendar, synced_at=now - timedelta(hours=2))

    def shown() -> tuple[datetime | None, datetime | None]:
        (view,) = connection_queries.list_connections(team.actor, now=now)
        (status,) = sync_requests.status(team.actor, now=now)
        return view.next_sync_at, status.next_sync_at

    assert shown() == (now, now)
    _change(team.calendar, failures=3, sync_retry_at=now + timedelta(minutes=8))
    assert shown() == (now + timedelta(minutes=8), now + timedelta(minutes=8))
    _change(team.connection, retry_at=now + timedelta(hours=4))
    assert shown() == (now + timedelta(hours=4), now + timedelta(hours=4))


def test_a_connection_shows_its_state_and_no_token(database: Database, fake: FakeProvider) -> None:
    """Account, permissions, calendars and times are there; secrets are not even loaded."""
    team, account = _team(fake)
    now = datetime.now(UTC)
    _change(team.calendar, synced_at=now - timedelta(minutes=2))
    (view,) = connection_queries.list_connections(team.actor, now=now)
    assert (view.provider_title, view.account_email, view.status) == ("Fake", account.email, "connected")
    assert view.calendars_count == 1
    assert view.last_sync_at == now - timedelta(minutes=2)
    assert view.next_sync_at == now + timedelta(minutes=3)
    assert view.missing_features == ()
    assert team.connection.access_token not in repr(view)
    assert connection_queries.get_connection(team.actor, view.id, now=now) == view


@pytest.mark.parametrize(
    ("on_connection", "on_calendar", "status"),
    [
        ({}, {"synced_at": None}, "syncing"),
        ({}, {"sync_lease_until": datetime.max.replace(tzinfo=UTC)}, "syncing"),
        ({}, {"last_error": "Fake cannot be reached right now."}, "error"),
        ({"status": "error", "last_error": "An operator has to check."}, {}, "error"),
        (
            {"status": "needs_reconnect", "last_error": "Connect it again."},
            {"synced_at": None},
            "needs_reconnect",
        ),
    ],
)
def test_the_status_sums_up_connection_and_calendars(
    database: Database,
    fake: FakeProvider,
    on_connection: dict[str, object],
    on_calendar: dict[str, object],
    status: str,
) -> None:
    """A dead grant outweighs an error, an error a sync; the error's sentence comes along."""
    team, _ = _team(fake)
    _change(team.calendar, **({"synced_at": datetime.now(UTC)} | on_calendar))
    _change(team.connection, **on_connection)
    view = connection_queries.get_connection(team.actor, team.connection.id)
    assert view.status == status
    assert bool(view.last_error) == (status in ("error", "needs_reconnect"))


def test_permissions_that_were_not_given_are_named(database: Database, fake: FakeProvider) -> None:
    """The connection says which feature a missing permission costs."""
    team, _ = _team(fake)
    _change(team.connection, scopes=["profile", "calendar"])
    view = connection_queries.get_connection(team.actor, team.connection.id)
    assert view.missing_features == ("check a time once more before a booking is confirmed",)


CALLS: list[Callable[[factories.Team, str, str], object]] = [
    lambda team, connection, _: connection_queries.get_connection(team.actor, connection),
    lambda team, connection, _: connection_check.refresh(team.actor, connection),
    lambda team, connection, _: connection_check.test(team.actor, connection),
    lambda team, connection, _: connection_disconnect.disconnect_preview(team.actor, connection),
    lambda team, connection, _: connection_disconnect.disconnect(team.actor, connection),
    lambda team, connection, _: connection_oauth.start(
        team.actor, "fake", binding="b", connection_id=connection
    ),
    lambda team, _, calendar: calendar_use.update_calendar(team.actor, calendar, checks_conflicts=False),
]


@pytest.mark.parametrize("call", CALLS)
def test_another_workspaces_objects_are_not_found(
    database: Database, fake: FakeProvider, call: Callable[[factories.Team, str, str], object]
) -> None:
    """An owner elsewhere has no business with them, and nothing is asked of the provider."""
    team, _ = _team(fake)
    stranger, _ = _team(fake)
    with pytest.raises(NotFound):
        call(stranger, team.connection.id, team.calendar.id)
    assert fake.calls == []


@pytest.mark.parametrize("call", CALLS)
def test_colleagues_objects_are_the_managers_business_only(
    database: Database, fake: FakeProvider, call: Callable[[factories.Team, str, str], object]
) -> None:
    """Staff see their own connections; customers are refused."""
    team, _ = _team(fake)
    colleague = factories.person()
    for role, error in ((Role.STAFF, NotFound), (Role.CUSTOMER, Forbidden)):
        actor = factories.actor(colleague, team.workspace, role)
        other = factories.Team(team.workspace, colleague, actor, team.connection, team.calendar)
        with pytest.raises(error):
            call(other, team.connection.id, team.calendar.id)
    assert fake.calls == []


def test_lists_hold_what_the_role_may_see(database: Database, fake: FakeProvider) -> None:
    """Staff see their own, managers everybody's, customers nothing."""
    team, _ = _team(fake)
    colleague = factories.person()
    own = factories.calendar(factories.connection(colleague, team.workspace))
    staff = factories.actor(colleague, team.workspace, Role.STAFF)
    assert [view.id for view in connection_queries.list_connections(staff)] == [own.connection_id]
    assert [view.id for view in calendars.list_calendars(staff)] == [own.id]
    manager = factories.actor(colleague, team.workspace, Role.MANAGER)
    assert len(connection_queries.list_connections(manager)) == len(calendars.list_calendars(manager)) == 2
    assert len(calendars.list_calendars(manager, connection_id=own.connection_id)) == 1
    customer = factories.actor(colleague, team.workspace, Role.CUSTOMER)
    with pytest.raises(Forbidden):
        connection_queries.list_connections(customer)
    with pytest.raises(Forbidden):
        calendars.list_calendars(customer)


def test_who_has_to_reconnect_is_told_and_nobody_else(database: Database, fake: FakeProvider) -> None:
    """A lost account is named to the person it belongs to; their manager sees whose it is, and is not asked."""
    team, account = _team(fake)
    boss = factories.actor(factories.person(), team.workspace, Role.MANAGER)
    assert connection_queries.to_reconnect(team.actor) == []
    _change(team.connection, status="needs_reconnect")
    assert connection_queries.to_reconnect(team.actor) == [f"Fake account {account.email}"]
    assert connection_queries.to_reconnect(boss) == []
    (seen,) = connection_queries.list_connections(boss)
    assert (seen.person_id, seen.person_name) == (team.actor.person_id, team.actor.name)


def test_testing_a_connection_calls_the_provider(database: Database, fake: FakeProvider) -> None:
    """A live call with its latency; a failure is an answer in words, and a dead grant is noticed."""
    team, account = _team(fake)
    result = connection_check.test(team.actor, team.connection.id)
    assert result.ok
    assert result.latency_ms >= 0
    assert "1 calendar found" in result.message
    fake.fail("list_calendars", ProviderUnavailable())
    result = connection_check.test(team.actor, team.connection.id)
    assert (result.ok, result.message) == (False, "The provider cannot be reached right now")
    fake.expire_access_tokens()
    fake.revoke_grants(account)
    assert not connection_check.test(team.actor, team.connection.id).ok
    assert connection_queries.get_connection(team.actor, team.connection.id).status == "needs_reconnect"


def test_refreshing_lists_the_calendars_again(database: Database, fake: FakeProvider) -> None:
    """New calendars come, and are read where they are used; renamed ones are renamed, vanished ones are marked, and
    choices stay."""
    team, account = _team(fake)
    (remote,) = account.calendars
    _change(team.calendar, remote_id=remote, checks_conflicts=False, synced_at=datetime.now(UTC))
    old = factories.calendar(team.connection, remote_id="gone")
    account.calendars[remote].listed = account.add_calendar("tmp", "Renamed").listed
    account.calendars.pop("tmp")
    renamed = account.calendars[remote].listed
    account.calendars[remote].listed = type(renamed)(
        remote, "Renamed", "Asia/Kathmandu", AccessRole.OWNER, "#112233", is_primary=True
    )
    account.add_calendar("holidays", "Holidays", access_role=AccessRole.READER)
    account.add_calendar("own", "Own")
    view = connection_check.refresh(team.actor, team.connection.id)
    assert fake.count("refresh") == 1
    assert view.calendars_count == 3
    with reading() as session:
        rows = {row.remote_id: row for row in session.exec(select(Calendar))}
    assert (rows[remote].name, rows[remote].timezone, rows[remote].color) == (
        "Renamed",
        "Asia/Kathmandu",
        "#112233",
    )
    assert rows[remote].checks_conflicts is False
    assert rows["gone"].removed_at is not None
    assert (rows["holidays"].checks_conflicts, rows["holidays"].receives_bookings) == (False, False)
    assert rows["holidays"].sync_requested_at is None
    assert rows["own"].sync_requested_at is not None
    assert rows[remote].sync_requested_at is None
    assert old.id not in [one.id for one in calendars.list_calendars(team.actor)]
    account.add_calendar("gone")
    connection_check.refresh(team.actor, team.connection.id)
    with reading() as session:
        assert session.get_one(Calendar, old.id).removed_at is None


def test_calendars_are_told_what_they_are_for(database: Database, fake: FakeProvider) -> None:
    """Both switches are kept and audited; a change to the same value leaves no trace."""
    team, _ = _team(fake)
    view = calendar_use.update_calendar(
        team.actor, team.calendar.id, checks_conflicts=False, receives_bookings=True
    )
    assert (view.checks_conflicts, view.receives_bookings) == (False, True)
    calendar_use.update_calendar(team.actor, team.calendar.id, checks_conflicts=False)
    with reading() as session:
        (entry,) = session.exec(select(AuditEntry)).all()
    assert (entry.action, entry.detail) == ("calendar.updated", {"checks_conflicts": False})


def test_bookings_are_not_sent_to_a_calendar_that_cannot_take_them(
    database: Database, fake: FakeProvider
) -> None:
    """A read-only calendar refuses the switch."""
    team, _ = _team(fake)
    reader = factories.calendar(team.connection, access_role="reader")
    with pytest.raises(InvalidInput) as refused:
        calendar_use.update_calendar(team.actor, reader.id, receives_bookings=True)
    assert refused.value.code == "calendar_read_only"


def test_the_provider_status_is_the_callers_own(database: Database, fake: FakeProvider) -> None:
    """Accounts that need their person do not count as connected; an unknown provider is not found."""
    team, account = _team(fake)
    assert connection_queries.provider_status(team.actor, "fake") == connection_queries.ProviderStatus(
        True, [account.email]
    )
    assert connection_queries.provider_status(team.actor, "google") == connection_queries.ProviderStatus(
        False, []
    )
    _change(team.connection, status="needs_reconnect")
    assert not connection_queries.provider_status(team.actor, "fake").connected
    with pytest.raises(NotFound):
        connection_queries.provider_status(team.actor, "palm-pilot")
    assert {kind.key for kind in connection_queries.providers()} >= {"fake", "google"}
