"""A connection that is refreshed, reconnected or changed while its calendars are read: nobody waits for the other."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import col, select

from calendar_app.clock import utc_now
from calendar_app.db.session import get_engine, transaction
from calendar_app.db.tables import Calendar, Connection
from calendar_app.services.calendar_sync import requests as sync_requests
from calendar_app.services.calendar_sync import suspension
from calendar_app.services.connection_lifecycle import check, oauth, own_addresses
from tests.support import factories
from tests.support.databases import Database
from tests.support.factories import Team
from tests.support.fake_provider import FakeProvider

MAIN = "main@ada@example.com"


@pytest.fixture
def team(fake: FakeProvider) -> Team:
    """An account whose calendar has been read."""
    account = fake.account("ada@example.com")
    grant = fake.grant(account)
    made = factories.team(
        access_token=grant.access_token,
        refresh_token=grant.refresh_token,
        account_id=account.account_id,
        account_email="ada@example.com",
    )
    with transaction() as session:
        session.get_one(Calendar, made.calendar.id).remote_id = MAIN
    sync_requests.sync_calendar(made.calendar.id)
    return made


def refresh(fake: FakeProvider, team: Team) -> Any:
    return check.refresh(team.actor, team.connection.id)


def reconnect(fake: FakeProvider, team: Team) -> Any:
    url = oauth.start(team.actor, "fake", binding="b", connection_id=team.connection.id)
    answer = fake.allow(url, next(iter(fake.accounts.values())))
    return oauth.finish(provider="fake", bindings=["b"], state=answer["state"], code=answer["code"])


def change_addresses(fake: FakeProvider, team: Team) -> Any:
    with transaction() as session:
        session.get_one(Connection, team.connection.id).provider = "caldav"
    return own_addresses.change(team.actor, team.connection.id, ["ada@example.org"])


@pytest.mark.parametrize("act", [refresh, reconnect, change_addresses])
def test_readings_and_changes_of_an_account_never_wait_for_each_other(
    database: Database, fake: FakeProvider, team: Team, act: Callable[[FakeProvider, Team], Any]
) -> None:
    """A reading has its calendar locked and comes to its connection, just as somebody changes both: it goes on, and the
    other follows."""
    with ThreadPoolExecutor(1) as pool:
        with transaction() as session:
            held = select(Calendar).where(col(Calendar.id) == team.calendar.id).with_for_update()
            session.exec(held).one()
            other: Future[Any] = pool.submit(act, fake, team)
            _until_it_waits(database, other)
            if database.kind == "postgresql":
                session.execute(text("SET LOCAL lock_timeout = '5s'"))
            suspension.record_success(session, team.connection.id, utc_now())
        assert other.result(30)


def _until_it_waits(database: Database, other: Future[Any]) -> None:
    """Until the other transaction waits for a row of ours; on SQLite it waits to begin."""
    deadline = time.monotonic() + 10
    while database.kind == "postgresql" and time.monotonic() < deadline and not other.done():
        with get_engine().connect() as connection:
            waiting = connection.execute(text("SELECT count(*) FROM pg_locks WHERE NOT granted")).scalar_one()
        if waiting:
            return
        time.sleep(0.02)
    assert not other.done() or database.kind == "sqlite"
