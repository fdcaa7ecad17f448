"""Tokens and other secrets are loaded and decrypted by those who need them, and by no list."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from cryptography.fernet import MultiFernet
from sqlalchemy import inspect
from sqlmodel import select

from calendar_app.db import types
from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import Channel, Connection
from calendar_app.db.tables.connections import WITH_SECRET, WITH_TOKENS
from calendar_app.services.bookings import queries as booking_queries
from calendar_app.services.connections import queries as connection_queries
from calendar_app.services.connections import tokens as connection_tokens
from calendar_app.services.operations import failed_items
from tests.support import factories
from tests.support.scheduling import Place, bearer

V1 = "/api/v1"


class Decryptions:
    """How many values were decrypted since it was last asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._count, cipher = 0, types.cipher

        class Counting:
            def __init__(self, real: MultiFernet) -> None:
                self.encrypt = real.encrypt
                self._real = real

            def decrypt(this, value: bytes) -> bytes:  # `self` is the counter
                self._count += 1
                return this._real.decrypt(value)

        monkeypatch.setattr(types, "cipher", lambda: Counting(cipher()))

    def new(self) -> int:
        count, self._count = self._count, 0
        return count


@pytest.fixture
def decrypted(place: Place, monkeypatch: pytest.MonkeyPatch) -> Decryptions:
    """Of a workspace with an account whose calendar has a push channel, and a booking."""
    place.book(place.at(10))
    factories.save(
        Channel(
            calendar_id=place.calendars[0].id,
            resource_id="r",
            secret="s" * 20,
            expires_at=datetime.now(UTC) + timedelta(days=3),
        )
    )
    return Decryptions(monkeypatch)


@pytest.mark.parametrize(
    "path",
    [
        "bookings",
        "events?start={start}&end={end}",
        "events/upcoming",
        "sync/status",
        "connections",
        "connections/{connection}",
        "connections/{connection}/disconnect-preview",
        "calendars",
        "calendars/{calendar}",
        "event-types/{event_type}/slots?start={start}&end={end}",
        "admin/connections",
        "admin/channels",
        "admin/dead-letters",
    ],
)
def test_no_endpoint_decrypts_what_it_does_not_show(
    api: httpx.Client, place: Place, decrypted: Decryptions, path: str
) -> None:
    """Lists and views of bookings, events, calendars and accounts: none."""
    known = {
        "start": place.at(0).isoformat().replace("+", "%2B"),
        "end": place.at(23).isoformat().replace("+", "%2B"),
        "connection": place.calendars[0].connection_id,
        "calendar": place.calendars[0].id,
        "event_type": place.event_type.id,
    }
    headers = bearer(place.people[0])
    decrypted.new()
    answer = api.get(f"{V1}/{path.format(**known)}", headers=headers)
    assert answer.status_code == 200, answer.text
    assert decrypted.new() == 0


def test_no_page_decrypts(place: Place, decrypted: Decryptions) -> None:
    """What the pages of bookings, accounts and operations read."""
    booking_queries.list_bookings(place.owner)
    connection_queries.list_connections(place.owner)
    failed_items.failed_items(place.owner)
    assert decrypted.new() == 0


def test_a_call_decrypts_the_account_s_tokens_alone(place: Place, decrypted: Decryptions) -> None:
    """One reading of two values; whoever asks for a secret later gets it, and a row that was changed keeps it."""
    connection_id = place.calendars[0].connection_id
    with reading() as session:
        row = session.get_one(Connection, connection_id, options=WITH_TOKENS)
        tokens = (row.access_token, row.refresh_token)
    assert all(tokens)
    decrypted.new()
    connection_tokens.call(connection_id, lambda api: api.list_calendars())
    assert decrypted.new() == 2
    with reading() as session:
        row = session.get_one(Connection, connection_id)
        assert decrypted.new() == 0
        assert (row.access_token, row.refresh_token) == tokens
    with transaction() as session:
        session.get_one(Connection, connection_id).last_error = "Something."
    with reading() as session:
        row = session.get_one(Connection, connection_id, options=WITH_TOKENS)
        channel = session.exec(select(Channel).options(*WITH_SECRET)).one()
    assert (row.access_token, row.refresh_token, channel.secret) == (*tokens, "s" * 20)


def test_every_secret_of_an_account_is_deferred() -> None:
    """A column that is encrypted in these tables is loaded by nobody who does not ask."""
    tables: tuple[Any, ...] = (Connection, Channel)
    for table in tables:
        mapper = inspect(table)
        secrets = [one for one in mapper.column_attrs if isinstance(one.columns[0].type, types.EncryptedText)]
        assert secrets
        assert all(one.deferred for one in secrets)
