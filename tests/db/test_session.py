"""Transactions, what follows them, and the column types, on both databases."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from cryptography.fernet import Fernet, InvalidToken
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, StatementError
from sqlmodel import SQLModel, select

from calendar_app.db import migrate
from calendar_app.db.ids import new_id
from calendar_app.db.session import after_commit, reading, transaction
from calendar_app.db.tables import Connection, Membership, Person, Workspace
from calendar_app.settings import Settings, get_settings
from tests.support import factories
from tests.support.databases import Database


def test_the_migrations_make_what_the_models_say(database: Database) -> None:
    """Nothing is missing in the migrations and nothing is left over; running them again changes nothing."""
    with database.engine.execution_options(sqlite_begin="IMMEDIATE").begin() as connection:
        migrate.upgrade(connection)
    with database.engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), SQLModel.metadata)
    assert differences == []


def test_work_after_a_commit_sees_it_and_failures_do_not_undo_it(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """Followers run in order once the rows are there; one that fails is logged and the next still runs."""
    seen: list[int] = []

    def look() -> None:
        with reading() as session:
            seen.append(len(session.exec(select(Person)).all()))

    def fail() -> None:
        raise RuntimeError("Redis is down")

    with caplog.at_level(logging.ERROR), transaction() as session:
        after_commit(session, look)
        after_commit(session, fail)
        after_commit(session, look)
        session.add(Person(email="ada@example.com"))
    assert seen == [1, 1]
    assert "work after a commit failed" in caplog.text


def test_a_rolled_back_transaction_is_followed_by_nothing(database: Database) -> None:
    """No row, no job, no mail."""
    ran: list[bool] = []

    def fail() -> None:
        with transaction() as session:
            session.add(Person(email="ada@example.com"))
            session.flush()
            after_commit(session, lambda: ran.append(True))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with reading() as session:
        assert session.exec(select(Person)).all() == []
    assert ran == []


def test_writers_queue_up(database: Database) -> None:
    """Eight threads that read and then write the same row lose no update and meet no lock error."""
    place = factories.workspace(name="0")
    barrier = threading.Barrier(8)

    def count(_: int) -> None:
        barrier.wait()
        for _ in range(5):
            with transaction() as session:
                row = session.exec(select(Workspace).where(Workspace.id == place.id).with_for_update()).one()
                row.name = str(int(row.name) + 1)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(count, range(8)))
    with reading() as session:
        assert session.get_one(Workspace, place.id).name == "40"


def test_datetimes_are_aware_and_in_utc(database: Database) -> None:
    """Whatever zone an instant was given in, it comes back in UTC; a naive one is refused."""
    kathmandu = timezone(timedelta(hours=5, minutes=45))
    given = datetime(2026, 3, 29, 2, 30, 0, 123456, tzinfo=kathmandu)
    person = factories.person(created_at=given)
    with reading() as session:
        found = session.get_one(Person, person.id).created_at
    assert (found, found.tzinfo) == (given, UTC)
    with pytest.raises(StatementError, match="naive"):
        factories.person(created_at=datetime(2026, 3, 29, 2, 30))  # noqa: DTZ001  # naive on purpose


def test_tokens_are_encrypted_and_keys_rotate(database: Database, configure: Callable[..., Settings]) -> None:
    """Nothing readable at rest; a new first key keeps old values readable, and without the old one they are not."""
    team = factories.team(access_token="ya29.secret", refresh_token="1//secret")

    def stored() -> str:
        with reading() as session:
            return str(
                session.connection().execute(text("SELECT access_token, refresh_token FROM connection")).one()
            )

    def token() -> str | None:
        with reading() as session:
            return session.get_one(Connection, team.connection.id).access_token

    assert "secret" not in stored()
    (old,) = (key.get_secret_value() for key in get_settings().encryption_keys)
    new = Fernet.generate_key().decode()
    configure(ENCRYPTION_KEYS=f"{new},{old}")
    assert token() == "ya29.secret"
    configure(ENCRYPTION_KEYS=new)
    with pytest.raises(InvalidToken):
        token()


def test_foreign_keys_hold_on_both_databases(database: Database) -> None:
    """A reference to nothing is refused, and what belongs to a deleted row goes with it."""
    with pytest.raises(IntegrityError), transaction() as session:
        session.add(Membership(workspace_id="nowhere", person_id="nobody", role="owner"))
    team = factories.team()
    with transaction() as session:
        session.delete(session.get_one(Workspace, team.workspace.id))
    with reading() as session:
        assert session.exec(select(Membership)).all() == []
        assert session.exec(select(Connection)).all() == []


def test_ids_are_short_unique_and_in_order() -> None:
    """26 lower-case characters that sort by the moment they were made."""
    ids = [new_id() for _ in range(2000)]
    assert len(set(ids)) == 2000
    assert {len(one) for one in ids} == {26}
    assert [one[:10] for one in ids] == sorted(one[:10] for one in ids)
    assert all(one.isalnum() and one == one.lower() for one in ids)
