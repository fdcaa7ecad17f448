"""Disconnecting: what the preview says, what becomes of bookings, and the end of the grant."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from sqlmodel import select

from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import AuditEntry, Booking, Calendar, CalendarWrite, Connection, Event
from calendar_app.db.tables.connections import WITH_TOKENS
from calendar_app.domain.event import EventStatus
from calendar_app.errors import InvalidInput, InvalidRequest, ProviderUnavailable
from calendar_app.services.calendar_sync import requests as sync_requests
from calendar_app.services.calendar_writes import outbox as write_outbox
from calendar_app.services.calendar_writes import planning as write_planning
from calendar_app.services.common.permissions import Actor
from calendar_app.services.connection_lifecycle import check as connection_check
from calendar_app.services.connection_lifecycle import disconnect as connection_disconnect
from calendar_app.services.connection_lifecycle import oauth as connection_oauth
from calendar_app.services.connections import queries as connection_queries
from tests.support import factories
from tests.support.databases import Database
from tests.support.fake_provider import FakeAccount, FakeProvider

BROWSER = "session-1"
disconnect = partial(
    connection_disconnect.disconnect, at_once=60
)  # on a busy machine, too, it is over when it returns


@dataclass
class Scene:
    """Ada has two accounts; two bookings stand in the first one's calendar, one of them is over."""

    fake: FakeProvider
    actor: Actor
    first: connection_oauth.ConnectResult
    second: connection_oauth.ConnectResult
    account: FakeAccount
    other: FakeAccount
    future: Booking
    past: Booking

    @property
    def here(self) -> list[str]:
        return [event.summary for event in self.fake.standing("main@ada@example.com")]

    @property
    def there(self) -> list[str]:
        return [event.summary for event in self.fake.standing("main@work@example.com")]


@pytest.fixture
def scene(database: Database) -> Iterator[Scene]:
    fake = FakeProvider()
    person, workspace = factories.person(), factories.workspace()
    factories.membership(person, workspace)
    actor = factories.actor(person, workspace)
    with fake.installed():
        accounts = [fake.account("ada@example.com"), fake.account("work@example.com")]
        first, second = (
            connection_oauth.finish(
                bindings=[BROWSER],
                provider="fake",
                **fake.allow(connection_oauth.start(actor, "fake", binding=BROWSER), account),
            )
            for account in accounts
        )
        kind = factories.event_type(workspace, person, title="Intro")
        tomorrow = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
        future = factories.booking(kind, person, tomorrow)
        past = factories.booking(kind, person, tomorrow - timedelta(days=7))
        for booking in (future, past):
            with transaction() as session:
                writes = write_planning.plan(session, session.get_one(Booking, booking.id))
            for write in writes:
                write_outbox.apply(write)
        yield Scene(fake, actor, first, second, *accounts, future, past)


def _row(connection_id: str) -> Connection:
    with reading() as session:
        return session.exec(
            select(Connection).where(Connection.id == connection_id).options(*WITH_TOKENS)
        ).one()


def test_the_preview_names_future_bookings_and_where_they_could_go(scene: Scene) -> None:
    """Only bookings that are not over, with a title and time; only writable calendars of other live accounts."""
    assert len(scene.here) == 2
    preview = connection_disconnect.disconnect_preview(scene.actor, scene.first.connection.id)
    (booking,) = preview.bookings
    assert (booking.id, booking.title, booking.start) == (scene.future.id, "Intro", scene.future.start_at)
    assert booking.calendar_name == "Main"
    assert [view.id for view in preview.move_targets] == [scene.second.calendars[0].id]
    assert connection_disconnect.disconnect_preview(scene.actor, scene.second.connection.id).bookings == []


def test_disconnecting_ends_the_grant_and_keeps_history(scene: Scene) -> None:
    """Revoked at the provider, tokens forgotten, row, calendars and events kept; the events stay where they are."""
    sync_requests.sync_calendar(scene.first.calendars[0].id)
    result = disconnect(scene.actor, scene.first.connection.id)
    assert (result.revoked, result.moved, result.cancelled) == (True, 0, 0)
    assert scene.fake.live_grants(scene.account) == 0
    row = _row(scene.first.connection.id)
    assert (row.status, row.access_token, row.refresh_token) == ("disconnected", None, None)
    assert row.disconnected_at is not None
    assert len(scene.here) == 2
    with reading() as session:
        kept = session.exec(select(Calendar).where(Calendar.connection_id == row.id)).one()
        assert kept.receives_bookings
        assert session.exec(select(Event).where(Event.calendar_id == kept.id)).first() is not None
        actions = [entry.action for entry in session.exec(select(AuditEntry))]
    assert actions.count("connection.disconnected") == 1
    assert [view.id for view in connection_queries.list_connections(scene.actor)] == [
        scene.second.connection.id
    ]


def test_disconnecting_twice_is_success(scene: Scene) -> None:
    """The second time there is nothing to revoke and nothing new in the audit trail."""
    disconnect(scene.actor, scene.first.connection.id)
    assert disconnect(scene.actor, scene.first.connection.id).revoked
    assert scene.fake.count("revoke") == 1
    with reading() as session:
        actions = [entry.action for entry in session.exec(select(AuditEntry))]
    assert actions.count("connection.disconnected") == 1


def test_a_provider_that_cannot_be_told_does_not_keep_the_connection(scene: Scene) -> None:
    """The tokens are forgotten all the same, and the person learns what is left to do."""
    scene.fake.fail("revoke", ProviderUnavailable())
    result = disconnect(scene.actor, scene.first.connection.id)
    assert not result.revoked
    assert "security settings" in result.message
    assert _row(scene.first.connection.id).refresh_token is None


def test_what_was_not_revoked_is_not_said_to_be(scene: Scene) -> None:
    """The provider refused to end the grant: said then, and said again to whoever asks once more."""
    scene.fake.fail("revoke", InvalidRequest("Fake refused to withdraw the access."))
    for _ in range(2):
        result = disconnect(scene.actor, scene.first.connection.id)
        assert not result.revoked
        assert "could not be told" in result.message


@pytest.mark.parametrize(
    ("provider", "said"), [("caldav", "password is forgotten"), ("ics", "link is forgotten")]
)
def test_what_has_no_grant_is_forgotten_and_not_revoked(scene: Scene, provider: str, said: str) -> None:
    """A password or a link goes on to work at its server: what is said is that it is forgotten here."""
    person, place = factories.person(), factories.workspace()
    factories.membership(person, place)
    account = factories.connection(person, place, provider=provider, refresh_token=None)
    result = disconnect(factories.actor(person, place), account.id)
    assert (result.state, result.revoked) == ("done", False)
    assert said in result.message
    assert _row(account.id).access_token is None


def test_another_connection_to_the_same_account_survives(scene: Scene) -> None:
    """Revoking would end every grant of the account, so the last connection to it revokes, not the first."""
    colleague, place = factories.person(), factories.workspace()
    factories.membership(colleague, place)
    grant = scene.fake.grant(scene.account)
    shared = factories.connection(
        colleague, place, account_id=scene.account.account_id, refresh_token=grant.refresh_token
    )
    disconnect(scene.actor, scene.first.connection.id)
    assert scene.fake.count("revoke") == 0
    disconnect(factories.actor(colleague, place), shared.id)
    assert scene.fake.count("revoke") == 1


def test_bookings_move_to_another_calendar(scene: Scene) -> None:
    """The future event is in the new calendar, once, and out of the old one; later changes follow it there only."""
    target = scene.second.calendars[0].id
    result = disconnect(scene.actor, scene.first.connection.id, bookings="move", move_to=target)
    assert (result.moved, result.cancelled) == (1, 0)
    assert "Bookings are written to “" in result.message
    assert len(scene.here) == 1
    with reading() as session:
        (write,) = session.exec(select(CalendarWrite).where(CalendarWrite.calendar_id == target)).all()
        gone = session.exec(
            select(CalendarWrite)
            .where(CalendarWrite.booking_id == scene.future.id)
            .where(CalendarWrite.calendar_id != target)
        ).one()
        assert session.get_one(Calendar, target).receives_bookings
    assert (gone.present, gone.state) == (False, "removed")
    write_outbox.apply(write.id)
    assert len(scene.there) == 1
    with transaction() as session:
        booking = session.get_one(Booking, scene.future.id)
        booking.version += 1
        planned = write_planning.plan(session, booking)
    assert planned == [write.id]


def test_bookings_are_cancelled(scene: Scene) -> None:
    """The booking is cancelled with a reason and its event removed before access ends; the past one is left alone."""
    result = disconnect(scene.actor, scene.first.connection.id, bookings="cancel")
    assert (result.moved, result.cancelled) == (0, 1)
    with reading() as session:
        states = {row.id: (row.status, row.cancel_reason) for row in session.exec(select(Booking))}
    assert states[scene.future.id] == ("cancelled", "The host's calendar was disconnected.")
    assert states[scene.past.id][0] == "confirmed"
    events = scene.fake.calendar("main@ada@example.com").events.values()
    assert sorted(event.status is EventStatus.CANCELLED for event in events) == [False, True]


@pytest.mark.parametrize(
    ("choice", "target"),
    [("burn", None), ("move", None), ("move", "nowhere"), ("move", "own"), ("move", "foreign")],
)
def test_impossible_choices_change_nothing(scene: Scene, choice: str, target: str | None) -> None:
    """An unknown choice, no target, the calendar that goes away, somebody else's calendar."""
    foreign = factories.team().calendar.id
    target = {"own": scene.first.calendars[0].id, "foreign": foreign}.get(target or "", target)
    with pytest.raises(InvalidInput):
        disconnect(scene.actor, scene.first.connection.id, bookings=choice, move_to=target)
    assert _row(scene.first.connection.id).status == "connected"
    assert scene.fake.count("revoke") == 0


def test_a_connection_that_needs_its_person_can_be_ended_too(scene: Scene) -> None:
    """A dead grant is no obstacle: what cannot be taken out is left, and said in the log."""
    scene.fake.revoke_grants(scene.account)
    scene.fake.expire_access_tokens()
    assert not connection_check.test(scene.actor, scene.first.connection.id).ok
    target = scene.second.calendars[0].id
    result = disconnect(scene.actor, scene.first.connection.id, bookings="move", move_to=target)
    assert result.moved == 1
    assert _row(scene.first.connection.id).status == "disconnected"
