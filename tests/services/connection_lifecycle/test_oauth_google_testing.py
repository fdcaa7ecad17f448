"""A Google project in testing: when the grant of a new or renewed connection ends."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import Connection
from calendar_app.domain.connection import TESTING_LIFE, ConnectionStatus
from calendar_app.providers.base import Account, Grant
from calendar_app.services.connection_lifecycle import oauth
from calendar_app.services.connection_lifecycle.oauth import Attempt
from calendar_app.settings import Settings
from tests.support import factories
from tests.support.databases import Database

SOON = timedelta(minutes=5)


def connected(team: factories.Team, provider: str = "google", ends_at: datetime | None = None) -> Connection:
    """The connection after its person has consented."""
    lasts = datetime.now(UTC) + timedelta(hours=1)
    oauth.store(
        Attempt(team.workspace.id, team.person.id, team.connection.id),
        provider,
        Grant("access", "refresh", lasts, ("openid",), ends_at),
        Account(team.connection.account_id, team.person.email),
        [],
    )
    with reading() as session:
        return session.get_one(Connection, team.connection.id)


def test_an_operator_says_so(database: Database, configure: Callable[..., Settings]) -> None:
    """New grants end after a week, unless Google names another end; other providers' do not."""
    google = factories.team(provider="google")
    assert connected(google).grant_ends_at is None
    configure(GOOGLE_IN_TESTING="true")
    row = connected(google)
    assert row.granted_at is not None
    assert row.grant_ends_at == row.granted_at + TESTING_LIFE
    named = datetime.now(UTC) + timedelta(days=3)
    assert connected(google, ends_at=named).grant_ends_at == named
    assert connected(factories.team(provider="microsoft"), "microsoft").grant_ends_at is None


def test_the_grant_before_lasted_a_week(database: Database) -> None:
    """Then the next one is expected to, so that its owner is told before; a grant that lived longer says nothing."""
    now = datetime.now(UTC)
    for age, expected in ((timedelta(days=7, hours=1), True), (timedelta(days=30), False)):
        team = factories.team(provider="google")
        with transaction() as session:
            row = session.get_one(Connection, team.connection.id)
            row.status, row.granted_at = ConnectionStatus.NEEDS_RECONNECT, now - age - SOON
            row.last_error_at = now - SOON
            session.add(row)
        assert (connected(team).grant_ends_at is not None) is expected
