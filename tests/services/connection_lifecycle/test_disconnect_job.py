"""Disconnecting as work: bookings one by one, whoever dies in the middle, however late the provider answers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import select

from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import Booking, Connection, Disconnection
from calendar_app.db.tables.connections import WITH_TOKENS
from calendar_app.errors import NotFound, PermissionDenied, ProviderUnavailable
from calendar_app.services.bookings import transitions
from calendar_app.services.common.permissions import Role
from calendar_app.services.connection_lifecycle import disconnect as connection_disconnect
from calendar_app.services.connection_lifecycle import disconnect_job
from tests.support import factories
from tests.support.fake_provider import FakeProvider
from tests.support.scheduling import Place, bookable, carry_out, ours


class Killed(BaseException):
    """The process ends here."""


@pytest.fixture
def place(fake: FakeProvider) -> Place:
    """A host with five bookings to come, all written."""
    made = bookable(fake)
    for hour in range(9, 14):
        made.book(made.at(hour))
    carry_out()
    return made


def connection_of(place: Place) -> str:
    return place.calendars[0].connection_id


def row(connection_id: str) -> Connection:
    with reading() as session:
        return session.get_one(Connection, connection_id, options=WITH_TOKENS)


def works() -> list[Disconnection]:
    with reading() as session:
        return list(session.exec(select(Disconnection)))


def statuses() -> list[str]:
    with reading() as session:
        return sorted(session.exec(select(Booking.status)))


def other_calendar(fake: FakeProvider, place: Place) -> str:
    """Another account of the same host."""
    account = fake.account("second@example.com")
    grant = fake.grant(account)
    connection = factories.connection(
        place.people[0],
        place.workspace,
        account_id=account.account_id,
        access_token=grant.access_token,
        refresh_token=grant.refresh_token,
    )
    return factories.calendar(connection, remote_id="main@second@example.com").id


def test_a_worker_finishes_what_the_request_began(fake: FakeProvider, place: Place) -> None:
    """The answer comes at once with an id; the worker cancels, takes out and ends; progress can be read throughout."""
    started = connection_disconnect.disconnect(
        place.owner, connection_of(place), bookings="cancel", at_once=-1
    )
    assert (started.state, started.total, started.done) == ("running", 5, 0)
    assert "being disconnected" in started.message
    assert row(connection_of(place)).status == "connected"
    assert connection_disconnect.running(place.owner) == {connection_of(place): started.message}
    again = connection_disconnect.disconnect(place.owner, connection_of(place), bookings="cancel", at_once=-1)
    assert again.id == started.id
    assert disconnect_job.sweep() == 1
    assert disconnect_job.carry_on(started.id) == "done"
    shown = connection_disconnect.disconnection(place.owner, connection_of(place))
    assert (shown.state, shown.done, shown.failed, shown.total, shown.revoked) == ("done", 5, 0, 5, True)
    assert shown.finished_at is not None
    assert connection_disconnect.running(place.owner) == {}
    assert statuses() == ["cancelled"] * 5
    assert ours(fake, place.calendars) == {}
    assert row(connection_of(place)).refresh_token is None
    assert disconnect_job.sweep() == 0
    assert disconnect_job.carry_on(started.id) == "done"
    assert fake.count("revoke") == 1


@pytest.mark.parametrize("step", ["delete_event", "stop_channel", "revoke"])
def test_a_worker_that_dies_is_followed_by_one_that_finishes(
    fake: FakeProvider, place: Place, step: str
) -> None:
    """Killed while taking out or while ending: the next one, once the lease is over, does what is left, once."""
    started = connection_disconnect.disconnect(
        place.owner, connection_of(place), bookings="cancel", at_once=-1
    )
    fake.fail(step, None, Killed()) if step == "delete_event" else fake.fail(step, Killed())  # type: ignore[arg-type]
    try:
        disconnect_job.carry_on(started.id)
    except Killed:
        now = datetime.now(UTC)
        assert disconnect_job.carry_on(started.id) == "running"
        assert disconnect_job.carry_on(started.id, now=now + timedelta(minutes=3)) == "done"
    (work,) = works()
    assert (work.state, work.done, work.failed) == ("done", 5, 0)
    assert statuses() == ["cancelled"] * 5
    assert ours(fake, place.calendars) == {}
    assert row(connection_of(place)).status == "disconnected"


def test_bookings_move_one_by_one(fake: FakeProvider, place: Place) -> None:
    """However often the budget ends: each booking is moved once, and the old calendar is empty at the end."""
    target = other_calendar(fake, place)
    started = connection_disconnect.disconnect(
        place.owner, connection_of(place), bookings="move", move_to=target, at_once=-1
    )
    assert disconnect_job.carry_on(started.id, budget=-1) == "running"
    assert disconnect_job.carry_on(started.id) == "done"
    carry_out()
    assert len(fake.standing("main@second@example.com")) == 5
    assert ours(fake, place.calendars) == {}
    assert statuses() == ["confirmed"] * 5


def test_an_unreachable_provider_is_waited_for_but_not_for_ever(fake: FakeProvider, place: Place) -> None:
    """Events that cannot be taken out keep the grant alive for an hour; then it ends and they stay with their owner."""
    started = connection_disconnect.disconnect(
        place.owner, connection_of(place), bookings="cancel", at_once=-1
    )
    now = datetime.now(UTC)
    fake.fail("delete_event", ProviderUnavailable())
    assert disconnect_job.carry_on(started.id, now=now) == "running"
    assert row(connection_of(place)).status == "connected"
    assert disconnect_job.carry_on(started.id, now=now + timedelta(minutes=5)) == "done"
    assert ours(fake, place.calendars) == {}


def test_patience_ends(fake: FakeProvider, place: Place) -> None:
    """After the hour the account is let go, whatever is left in it."""
    started = connection_disconnect.disconnect(
        place.owner, connection_of(place), bookings="cancel", at_once=-1
    )
    fake.fail("delete_event", *[ProviderUnavailable()] * 10)
    later = datetime.now(UTC) + timedelta(hours=2)
    assert disconnect_job.carry_on(started.id, now=later) == "done"
    assert row(connection_of(place)).status == "disconnected"


def test_events_that_stay_behind_are_told(fake: FakeProvider, place: Place) -> None:
    """A calendar that no longer lets us delete keeps its events: whoever disconnects it is told how many."""
    target = other_calendar(fake, place)
    fake.fail("delete_event", *[PermissionDenied("Not yours.")] * 2)
    ended = connection_disconnect.disconnect(
        place.owner, connection_of(place), bookings="move", move_to=target, at_once=60
    )
    assert (ended.state, ended.moved) == ("done", 5)
    assert len(ours(fake, place.calendars)) == 2
    shown = connection_disconnect.disconnection(place.owner, connection_of(place))
    assert shown.last_error.startswith("2 events of ours could not be taken out")
    assert ended.message == shown.message
    assert "is disconnected. Bookings are written to “" in shown.message
    assert shown.message.endswith(shown.last_error)


def test_a_booking_that_cannot_be_cancelled_does_not_hold_up_the_others(
    fake: FakeProvider, place: Place
) -> None:
    """Somebody cancelled one meanwhile: it is no failure, and the others go on."""
    started = connection_disconnect.disconnect(
        place.owner, connection_of(place), bookings="cancel", at_once=-1
    )
    with reading() as session:
        first = session.exec(select(Booking.id)).first()
    assert first is not None
    transitions.cancel(place.owner, first)
    disconnect_job.carry_on(started.id)
    (work,) = works()
    assert (work.state, work.done, work.failed) == ("done", 4, 0)


def test_another_holder_of_the_lease_is_left_alone(fake: FakeProvider, place: Place) -> None:
    """Two workers never carry out the same disconnection at once."""
    started = connection_disconnect.disconnect(
        place.owner, connection_of(place), bookings="cancel", at_once=-1
    )
    with transaction() as session:
        work = session.get_one(Disconnection, started.id)
        work.lease_until = datetime.now(UTC) + timedelta(minutes=1)
        session.add(work)
    assert disconnect_job.carry_on(started.id) == "running"
    assert disconnect_job.sweep() == 0
    assert statuses() == ["confirmed"] * 5


def test_only_who_sees_the_connection_sees_its_end(fake: FakeProvider, place: Place) -> None:
    """A colleague and a stranger find nothing; before anybody asked there is nothing to see."""
    with pytest.raises(NotFound):
        connection_disconnect.disconnection(place.owner, connection_of(place))
    connection_disconnect.disconnect(place.owner, connection_of(place))
    colleague = factories.person()
    factories.membership(colleague, place.workspace, Role.STAFF)
    with pytest.raises(NotFound):
        connection_disconnect.disconnection(
            factories.actor(colleague, place.workspace, Role.STAFF), connection_of(place)
        )
    shown = connection_disconnect.disconnection(place.owner, connection_of(place))
    assert (shown.state, shown.bookings, shown.total) == ("done", "leave", 0)
    assert connection_disconnect.CHOICES == ("leave", "move", "cancel")
