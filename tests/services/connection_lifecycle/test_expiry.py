"""Grants that end on a known day: their owner is told once, about a day before, and only where that day stays."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import col, select

from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import Connection, Mail
from calendar_app.errors import ProviderUnavailable
from calendar_app.services.connection_lifecycle import expiry as connection_expiry
from calendar_app.services.connection_lifecycle import oauth as connection_oauth
from calendar_app.settings import get_settings
from tests.support import factories
from tests.support.databases import Database
from tests.support.fake_provider import FakeProvider

NOW = datetime.now(UTC)
ENDS = NOW.replace(microsecond=0) + timedelta(days=7)
BROWSER = "session-1"


@pytest.fixture
def fake(database: Database) -> Iterator[FakeProvider]:
    """A provider whose grants end in a week, as Google's do for an application in testing."""
    vendor = FakeProvider()
    vendor.account("ada@example.com")
    vendor.grant_ends_at = ENDS
    with vendor.installed():
        yield vendor


@pytest.fixture
def actor(fake: FakeProvider) -> factories.Actor:
    person, workspace = factories.person(), factories.workspace()
    factories.membership(person, workspace)
    return factories.actor(person, workspace)


def connect(fake: FakeProvider, actor: factories.Actor) -> str:
    (account,) = fake.accounts.values()
    answer = fake.allow(connection_oauth.start(actor, "fake", binding=BROWSER), account)
    return connection_oauth.finish(bindings=[BROWSER], provider="fake", **answer).connection.id


def letters() -> list[Mail]:
    with reading() as session:
        return list(session.exec(select(Mail).where(Mail.kind == "grant_ends_soon").order_by(col(Mail.id))))


def written_at(moment: datetime) -> None:
    """Every email so far was queued then."""
    with transaction() as session:
        for row in session.exec(select(Mail)):
            row.created_at = moment
            session.add(row)


def test_the_owner_is_told_once_before_a_grant_ends(fake: FakeProvider, actor: factories.Actor) -> None:
    """Not two days before; a day before, with the day and the link; not again, though the provider tells the same end
    some seconds later. Who reconnects is told of the next end again."""
    connect(fake, actor)
    assert connection_expiry.tell_ending(ENDS - timedelta(hours=25)) == 0
    told = ENDS - timedelta(hours=23)
    assert connection_expiry.tell_ending(told) == 1
    (letter,) = letters()
    with reading() as session:
        row = session.exec(select(Connection)).one()
    assert letter.recipient
    assert "Please reconnect your Fake calendars soon (ada@example.com)" in letter.subject
    assert f"{get_settings().public_url}/settings/calendars" in letter.body
    assert row.status == "connected"
    written_at(told)
    fake.grant_ends_at = ENDS + timedelta(seconds=4)
    assert connection_expiry.tell_ending(told + timedelta(hours=1)) == 0
    fake.grant_ends_at = later = ENDS + timedelta(days=7)
    connect(fake, actor)
    assert connection_expiry.tell_ending(ENDS) == 0
    assert connection_expiry.tell_ending(later - timedelta(hours=23)) == 1
    assert len(letters()) == 2


@pytest.mark.parametrize("then", [timedelta(hours=1), timedelta(days=90), None])
def test_an_end_that_moves_on_is_none(
    fake: FakeProvider, actor: factories.Actor, then: timedelta | None
) -> None:
    """A token that lasts for some time after its last use, or whose successor says nothing of an end, ends nothing."""
    connection_id = connect(fake, actor)
    fake.grant_ends_at = ENDS + then if then else None
    assert connection_expiry.tell_ending(ENDS - timedelta(hours=20)) == 0
    assert letters() == []
    with reading() as session:
        assert session.get_one(Connection, connection_id).grant_ends_at == fake.grant_ends_at


def test_a_provider_that_cannot_be_asked_is_asked_in_the_next_run(
    fake: FakeProvider, actor: factories.Actor
) -> None:
    """Nobody is told of an end that was not asked for."""
    connect(fake, actor)
    fake.fail("refresh", ProviderUnavailable())
    assert connection_expiry.tell_ending(ENDS - timedelta(hours=20)) == 0
    assert connection_expiry.tell_ending(ENDS - timedelta(hours=19)) == 1


@pytest.mark.parametrize("status", ["needs_reconnect", "disconnected"])
def test_who_has_no_access_any_more_is_not_told(
    fake: FakeProvider, actor: factories.Actor, status: str
) -> None:
    """They were told of that already."""
    connection_id = connect(fake, actor)
    with transaction() as session:
        session.get_one(Connection, connection_id).status = status
    assert connection_expiry.tell_ending(ENDS - timedelta(hours=20)) == 0
