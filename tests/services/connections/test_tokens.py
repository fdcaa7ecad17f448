"""Fresh tokens: one refresh however many ask, rotation kept, and an end that people see."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from redis import Redis
from sqlalchemy import text
from sqlmodel import select

from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import AuditEntry, Connection, Mail
from calendar_app.db.tables.connections import WITH_TOKENS
from calendar_app.errors import (
    AuthExpired,
    GrantRevoked,
    InvalidRequest,
    NotFound,
    ProviderUnavailable,
)
from calendar_app.providers.base import CalendarProvider
from calendar_app.services.common.change_events import CHANNEL
from calendar_app.services.connections import tokens as connection_tokens
from tests.support import factories
from tests.support.databases import Database
from tests.support.fake_provider import FakeAccount, FakeProvider
from tests.support.rotating_grant import RotatingServer

PROCESSES = pytest.mark.timeout(180)
"""For tests that start processes, which takes long while the machine is busy."""


@pytest.fixture
def fake() -> Iterator[FakeProvider]:
    vendor = FakeProvider()
    with vendor.installed():
        yield vendor


def _connected(fake: FakeProvider, *, expires_in: timedelta = timedelta(hours=1)) -> tuple[str, FakeAccount]:
    account = fake.account("ada@example.com")
    grant = fake.grant(account)
    team = factories.team(
        account_id=account.account_id,
        account_email=account.email,
        access_token=grant.access_token,
        refresh_token=grant.refresh_token,
        access_expires_at=datetime.now(UTC) + expires_in,
    )
    return team.connection.id, account


def _row(connection_id: str) -> Connection:
    with reading() as session:
        return session.exec(
            select(Connection).where(Connection.id == connection_id).options(*WITH_TOKENS)
        ).one()


def _names(provider: CalendarProvider) -> list[str]:
    return [calendar.name for calendar in provider.list_calendars()]


def test_a_good_token_is_used_as_it_is(database: Database, fake: FakeProvider) -> None:
    """No refresh happens while the token lives."""
    connection_id, _ = _connected(fake)
    assert connection_tokens.call(connection_id, _names) == ["Main"]
    assert fake.count("refresh") == 0


def test_a_token_near_its_end_is_refreshed_first(database: Database, fake: FakeProvider) -> None:
    """The call goes out with a new token; the rotated refresh token is kept, encrypted."""
    connection_id, _ = _connected(fake, expires_in=timedelta(seconds=30))
    before = _row(connection_id)
    assert connection_tokens.call(connection_id, _names) == ["Main"]
    after = _row(connection_id)
    assert fake.count("refresh") == 1
    assert fake.count("list_calendars") == 1
    assert after.refresh_token not in (None, before.refresh_token)
    assert after.token_version == before.token_version + 1
    with reading() as session:
        stored = (
            session.connection().execute(text("SELECT access_token, refresh_token FROM connection")).one()
        )
    assert after.refresh_token not in stored
    assert after.access_token not in stored


def test_a_rejected_token_is_refreshed_once_and_the_call_repeated(
    database: Database, fake: FakeProvider
) -> None:
    """A 401 in the middle of a token's life is mended without anybody noticing."""
    connection_id, _ = _connected(fake)
    fake.expire_access_tokens()
    assert connection_tokens.call(connection_id, _names) == ["Main"]
    assert fake.count("refresh") == 1


def test_a_provider_that_keeps_the_refresh_token(database: Database, fake: FakeProvider) -> None:
    """Where no new refresh token comes (Google), the old one stays."""
    fake.rotate = False
    connection_id, _ = _connected(fake)
    before = _row(connection_id).refresh_token
    connection_tokens.refresh(connection_id)
    connection_tokens.refresh(connection_id)
    assert _row(connection_id).refresh_token == before


def test_ten_threads_cause_one_refresh(database: Database, fake: FakeProvider) -> None:
    """Everybody who finds the token expired gets the one new token."""
    connection_id, _ = _connected(fake, expires_in=timedelta(seconds=-1))
    barrier = threading.Barrier(10)

    def ask(_: int) -> list[str]:
        barrier.wait()
        return connection_tokens.call(connection_id, _names)

    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(ask, range(10)))
    assert answers == [["Main"]] * 10
    assert fake.count("refresh") == 1
    assert _row(connection_id).token_version == 1


def _start(count: int, connection_id: str, state: Path, *options: str) -> list[subprocess.Popen[str]]:
    """Processes that all ask for the connection's token at the same moment."""
    command = [sys.executable, "-m", "tests.support.rotating_grant", connection_id, str(state), *options]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    children = [subprocess.Popen(command, **pipes) for _ in range(count)]  # type: ignore[call-overload]
    for child in children:
        assert child.stdout.readline() == "ready\n", child.stderr.read()
    for child in children:
        child.stdin.write("go\n")
        child.stdin.flush()
    return children


@PROCESSES
def test_processes_share_one_refresh(database: Database, tmp_path: Path) -> None:
    """Twelve callers in three processes cause one refresh, though the server would end the grant at the second."""
    state = tmp_path / "server.json"
    RotatingServer.start(state, "refresh-0")
    team = factories.team(refresh_token="refresh-0", access_expires_at=datetime.now(UTC) - timedelta(hours=1))
    for child in _start(3, team.connection.id, state, "4"):
        _, errors = child.communicate(timeout=120)
        assert child.returncode == 0, errors
    assert json.loads(state.read_text()) == {"current": "refresh-1", "refreshes": 1}
    assert _row(team.connection.id).refresh_token == "refresh-1"


@PROCESSES
def test_killed_between_the_answer_and_saving_it(database: Database, tmp_path: Path) -> None:
    """The one case that nobody can mend: the server has retired our token and its successor died with the process.

    A server that takes the second use of a retired token as theft ends the grant. What must hold then: the next one
    who needs the token waits for the lease, asks once, and the connection asks for its person, with one letter.
    """
    state = tmp_path / "server.json"
    RotatingServer.start(state, "refresh-0")
    team = factories.team(refresh_token="refresh-0", access_expires_at=datetime.now(UTC) - timedelta(hours=1))
    (child,) = _start(1, team.connection.id, state, "1", "die")
    child.communicate(timeout=120)
    assert child.returncode == -signal.SIGKILL
    row = _row(team.connection.id)
    assert (row.refresh_token, row.status) == ("refresh-0", "connected")
    assert row.refresh_lease_until is not None
    with transaction() as session:
        session.get_one(Connection, team.connection.id).refresh_lease_until = datetime.now(UTC)
    with RotatingServer(state).installed():
        for _ in range(2):
            with pytest.raises(GrantRevoked):
                connection_tokens.call(team.connection.id, _names)
    assert json.loads(state.read_text()) == {"current": None, "refreshes": 1}
    assert _row(team.connection.id).status == "needs_reconnect"
    with reading() as session:
        assert len(session.exec(select(Mail)).all()) == 1


def test_a_withdrawn_grant_asks_for_its_person(
    database: Database, fake: FakeProvider, redis_server: Redis
) -> None:
    """The connection says so in words, the audit trail has it once, open pages are told, and no call goes out."""
    connection_id, account = _connected(fake, expires_in=timedelta(0))
    listener = redis_server.pubsub()
    listener.subscribe(CHANNEL)
    assert listener.get_message(timeout=5) is not None
    fake.revoke_grants(account)
    for _ in range(2):
        with pytest.raises(GrantRevoked):
            connection_tokens.call(connection_id, _names)
    row = _row(connection_id)
    assert (row.status, row.last_error_code) == ("needs_reconnect", "needs_reconnect")
    assert "ada@example.com" in row.last_error
    assert fake.count("refresh") == 1
    assert fake.count("list_calendars") == 0
    with reading() as session:
        assert [entry.action for entry in session.exec(select(AuditEntry))] == ["connection.needs_reconnect"]
    message = listener.get_message(timeout=5)
    assert message is not None
    assert row.workspace_id in message["data"].decode()
    assert listener.get_message(timeout=0.05) is None
    listener.close()


def test_a_second_401_asks_for_its_person(database: Database, fake: FakeProvider) -> None:
    """A token that is refused right after its refresh will not get better."""
    connection_id, _ = _connected(fake)
    fake.fail("list_calendars", AuthExpired(), AuthExpired())
    with pytest.raises(GrantRevoked):
        connection_tokens.call(connection_id, _names)
    assert fake.count("refresh") == 1
    assert _row(connection_id).status == "needs_reconnect"


def test_other_connections_go_on(database: Database, fake: FakeProvider) -> None:
    """One dead grant is nobody else's problem, in calls and in the refresh job."""
    dead, account = _connected(fake, expires_in=timedelta(minutes=5))
    other = fake.account("grace@example.com")
    grant = fake.grant(other)
    alive = factories.team(
        access_token=grant.access_token,
        refresh_token=grant.refresh_token,
        access_expires_at=datetime.now(UTC) + timedelta(minutes=10),
    ).connection.id
    fake.revoke_grants(account)
    assert connection_tokens.refresh_due() == 1
    assert _row(dead).status == "needs_reconnect"
    assert connection_tokens.call(alive, _names) == ["Main"]


def test_the_job_refreshes_only_what_ends_soon(database: Database, fake: FakeProvider) -> None:
    """Twenty minutes ahead, and never a connection that needs its person."""
    _connected(fake, expires_in=timedelta(minutes=30))
    assert connection_tokens.refresh_due() == 0
    assert connection_tokens.refresh_due(now=datetime.now(UTC) + timedelta(minutes=15)) == 1
    with transaction() as session:
        for row in session.exec(select(Connection)):
            row.status = "needs_reconnect"
    assert connection_tokens.refresh_due(now=datetime.now(UTC) + timedelta(days=1)) == 0


def test_an_outage_does_not_stop_a_token_that_still_lives(database: Database, fake: FakeProvider) -> None:
    """Refreshing ahead may fail while the old token is good for another half minute; the lease is given back."""
    connection_id, _ = _connected(fake, expires_in=timedelta(seconds=30))
    fake.fail("refresh", ProviderUnavailable())
    assert connection_tokens.call(connection_id, _names) == ["Main"]
    assert connection_tokens.call(connection_id, _names) == ["Main"]
    assert fake.count("refresh") == 2
    assert _row(connection_id).status == "connected"


def test_an_outage_with_a_dead_token_is_said(database: Database, fake: FakeProvider) -> None:
    """The caller learns that the provider is down; the grant is not given up."""
    connection_id, _ = _connected(fake, expires_in=timedelta(seconds=-1))
    fake.fail("refresh", ProviderUnavailable())
    with pytest.raises(ProviderUnavailable):
        connection_tokens.call(connection_id, _names)
    row = _row(connection_id)
    assert (row.status, row.refresh_lease_until) == ("connected", None)


def test_the_operators_fault_is_shown_and_mends_itself(database: Database, fake: FakeProvider) -> None:
    """A wrong client secret is an error on the connection, not the person's to mend; the next success clears it."""
    connection_id, _ = _connected(fake, expires_in=timedelta(seconds=-1))
    fake.fail("refresh", InvalidRequest("Fake does not accept this application's secret."))
    with pytest.raises(InvalidRequest):
        connection_tokens.call(connection_id, _names)
    assert _row(connection_id).status == "error"
    assert connection_tokens.call(connection_id, _names) == ["Main"]
    assert (_row(connection_id).status, _row(connection_id).last_error) == ("connected", "")


def test_a_lease_whose_holder_died_is_taken_over(database: Database, fake: FakeProvider) -> None:
    """A process killed in the middle of a refresh does not hold the connection up for ever."""
    connection_id, _ = _connected(fake, expires_in=timedelta(seconds=-1))
    with transaction() as session:
        row = session.get(Connection, connection_id)
        assert row is not None
        row.refresh_lease_until = datetime.now(UTC) - timedelta(seconds=1)
    assert connection_tokens.call(connection_id, _names) == ["Main"]


def test_a_disconnected_or_unknown_account_is_not_called(database: Database, fake: FakeProvider) -> None:
    """No request leaves for a connection that is gone."""
    connection_id, _ = _connected(fake)
    with transaction() as session:
        row = session.get(Connection, connection_id)
        assert row is not None
        row.status = "disconnected"
    with pytest.raises(GrantRevoked):
        connection_tokens.call(connection_id, _names)
    with pytest.raises(NotFound):
        connection_tokens.call("nobody", _names)
    assert fake.calls == []


def test_without_a_refresh_token_the_end_comes_with_the_access_token(
    database: Database, fake: FakeProvider
) -> None:
    """A grant that cannot be refreshed asks for its person once its token is used up."""
    connection_id, _ = _connected(fake, expires_in=timedelta(seconds=-1))
    with transaction() as session:
        row = session.get(Connection, connection_id)
        assert row is not None
        row.refresh_token = None
    with pytest.raises(GrantRevoked):
        connection_tokens.call(connection_id, _names)
    assert _row(connection_id).status == "needs_reconnect"
