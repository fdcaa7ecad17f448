"""No secret of ours or of a provider's in any answer over HTTP, nor in what the tables hold in clear."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from sqlalchemy import text
from sqlmodel import SQLModel

from calendar_app.db.session import reading
from tests.attacks.access import ENTRIES
from tests.attacks.test_access import OPERATIONS, Victim, ask, victim
from tests.support.databases import Database
from tests.support.fake_provider import FakeProvider
from tests.support.scheduling import bearer

__all__ = ["victim"]


@pytest.fixture
def fake(database: Database) -> Iterator[FakeProvider]:
    with FakeProvider().installed() as provider:
        yield provider


def _secrets(fake: FakeProvider) -> set[str]:
    """Every token that the provider has given out, and what our rows keep of secrets."""
    with reading() as session:
        from sqlmodel import select

        from calendar_app.db.tables import AuthSession, Connection, Person

        found = {row.access_token for row in session.exec(select(Connection))}
        found |= {row.refresh_token for row in session.exec(select(Connection))}
        found |= {row.token_hash for row in session.exec(select(AuthSession))}
        found |= {row.password_hash for row in session.exec(select(Person))}
    return {secret for secret in found if secret and len(secret) > 3}


def test_no_answer_holds_a_secret(
    api: httpx.Client, fake: FakeProvider, victim: Victim, record_property: object
) -> None:
    """The owner asks for everything there is to read, and meets no token, no hash of a password or of a session."""
    me = bearer(victim.place.people[0])
    hidden = _secrets(fake)
    assert len(hidden) > 2
    read = 0
    for operation in OPERATIONS:
        if not operation.startswith("GET "):
            continue
        answer = ask(api, operation, victim.ids, me)
        assert not [secret for secret in hidden if secret in answer.text], operation
        read += answer.is_success
    assert read > 20
    assert ENTRIES


def test_tables_hold_no_token_in_clear(fake: FakeProvider, victim: Victim) -> None:
    """A dump of the database, as a thief would have it."""
    hidden = _secrets(fake)
    with reading() as session:
        from sqlmodel import select

        from calendar_app.db.tables import Connection

        tokens = {row.access_token for row in session.exec(select(Connection))}
        tokens |= {row.refresh_token for row in session.exec(select(Connection))}
        dump = "\n".join(
            repr(row)
            for table in SQLModel.metadata.sorted_tables
            for row in session.execute(text(f'SELECT * FROM "{table.name}"'))
        )
    assert tokens <= hidden
    assert tokens
    assert not [token for token in tokens if token and token in dump]
