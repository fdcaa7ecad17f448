"""Calendars that bookings cannot be written to: planned for all the same, said once, asked about sparingly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from sqlmodel import Session, col, select

from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import Calendar, CalendarWrite, Connection, Mail
from calendar_app.errors import PermissionDenied
from calendar_app.providers.base import AccessRole, RemoteCalendar
from calendar_app.services.calendar_sync import calendar_listing
from calendar_app.services.calendar_writes import outbox as write_outbox
from calendar_app.services.connections import calendars
from tests.support import factories
from tests.support.databases import Database
from tests.support.fake_provider import FakeProvider
from tests.support.scheduling import Place, bookable, ours, writes

NOW = datetime.now(UTC)


@pytest.fixture
def fake(database: Database) -> Iterator[FakeProvider]:
    with FakeProvider().installed() as provider:
        yield provider


@pytest.fixture
def place(fake: FakeProvider) -> Place:
    return bookable(fake)


def allow(fake: FakeProvider, place: Place, role: AccessRole) -> None:
    held = fake.calendar(place.calendars[0].remote_id)
    held.listed = replace(held.listed, access_role=role)


def look(place: Place, now: datetime = NOW) -> list[str]:
    return calendar_listing.list_again(place.calendars[0].connection_id, now=now)


def mails() -> list[str]:
    with reading() as session:
        return list(session.exec(select(Mail.subject).where(col(Mail.kind) == "calendar_not_writable")))


def write_of(booking_id: str) -> CalendarWrite:
    (row,) = writes(booking_id)
    return row


def test_a_calendar_that_turned_read_only_gets_its_writes(fake: FakeProvider, place: Place) -> None:
    """Before anything is written to it, a listing says so to the host; a booking is planned there all the same, and
    written once the right is back."""
    allow(fake, place, AccessRole.READER)
    for _ in range(3):
        assert look(place) == [place.calendars[0].id]
    assert len(mails()) == 1
    (shown,) = calendars.list_calendars(place.owner)
    assert (shown.receives_bookings, shown.access_role) == (True, "reader")
    assert "may only be read" in shown.last_error
    made = place.book(place.at(10))
    fake.fail("put_event", PermissionDenied("Not yours."))
    assert write_outbox.apply(write_of(made.id).id) == "failed"
    allow(fake, place, AccessRole.WRITER)
    assert look(place) == []
    assert write_outbox.apply(write_of(made.id).id) == "verified"
    assert list(ours(fake, place.calendars)) == [made.id]
    assert calendars.list_calendars(place.owner)[0].last_error == ""
    assert len(mails()) == 1


def test_a_provider_that_allows_and_refuses_is_not_asked_for_ever(fake: FakeProvider, place: Place) -> None:
    """The listing says that we may write, every write is refused: tried with each listing, ten times in all, and told
    once."""
    made = place.book(place.at(10))
    fake.fail("put_event", *[PermissionDenied("Not this one.") for _ in range(20)])
    for _ in range(15):
        write_outbox.apply(write_of(made.id).id)
        look(place)
    row = write_of(made.id)
    assert (row.state, fake.count("put_event")) == ("failed", write_outbox.MAX_ATTEMPTS)
    assert len(mails()) == 1


def test_listings_are_rare(fake: FakeProvider, place: Place) -> None:
    """With nothing lost the calendars are listed four times a day; after one was lost, within minutes, and then every
    half hour, which is within the budget of a tenth of a request per minute."""

    def listings(hours: int, step: timedelta) -> int:
        now, count = NOW, 0
        while now < NOW + timedelta(hours=hours):
            now += step
            if calendar_listing.sweep(now):
                look(place, now)
                count += 1
        return count

    assert 3 <= listings(24, timedelta(minutes=20)) <= 5
    allow(fake, place, AccessRole.READER)
    with transaction() as session:
        row = session.get_one(Connection, place.calendars[0].connection_id)
        row.listing_due_at = None
        session.add(row)
    assert 4 <= listings(1, timedelta(minutes=1)) <= 7
    assert listings(6, timedelta(minutes=5)) <= 18


def test_what_changed_at_the_provider_is_noticed(fake: FakeProvider, place: Place) -> None:
    """A listing brings new names, colours and roles, and calendars that are new there: those that the account owns
    check for conflicts and count as unread until they were read, others do nothing until somebody says so."""
    account = next(iter(fake.accounts.values()))
    held = fake.calendar(place.calendars[0].remote_id)
    held.listed = replace(held.listed, name="Renamed", color="#123456", access_role=AccessRole.WRITER)
    account.add_calendar("own@new", "Own")
    account.add_calendar("team@new", "Team", access_role=AccessRole.READER)
    assert look(place) == []
    found = {one.name: one for one in calendars.list_calendars(place.owner)}
    assert set(found) == {"Renamed", "Own", "Team"}
    assert (found["Renamed"].color, found["Renamed"].access_role) == ("#123456", "writer")
    assert [found[name].checks_conflicts for name in ("Own", "Team")] == [True, False]
    assert not any(found[name].receives_bookings for name in ("Own", "Team"))
    assert found["Own"].synced_at is None
    with reading() as session:
        assert session.get_one(Calendar, found["Own"].id).sync_requested_at is not None
    assert look(place) == []
    assert len(calendars.list_calendars(place.owner)) == 3


def test_a_calendar_that_is_listed_no_more_stays(fake: FakeProvider, place: Place) -> None:
    """Somebody took it off their list: whether it is gone its reading tells; its time stays taken until then."""
    account = next(iter(fake.accounts.values()))
    extra = account.add_calendar("own@new", "Own")
    look(place)
    del account.calendars[extra.listed.remote_id]
    look(place)
    assert {one.name for one in calendars.list_calendars(place.owner)} >= {"Own"}


@pytest.mark.parametrize(
    ("before", "after", "again"),
    [
        (AccessRole.READER, AccessRole.FREEBUSY, True),
        (AccessRole.FREEBUSY, AccessRole.WRITER, True),
        (AccessRole.READER, AccessRole.OWNER, False),
    ],
)
def test_a_calendar_that_shows_more_or_less_is_read_anew(
    fake: FakeProvider, place: Place, before: AccessRole, after: AccessRole, again: bool
) -> None:
    """Free and busy only, or no longer only that: the cursor of the other listing is not used."""
    allow(fake, place, before)
    look(place)
    with transaction() as session:
        row = session.get_one(Calendar, place.calendars[0].id)
        row.sync_cursor = "0:1"
        session.add(row)
    allow(fake, place, after)
    look(place)
    with reading() as session:
        assert (session.get_one(Calendar, place.calendars[0].id).sync_cursor is None) is again


@pytest.mark.parametrize("receives", [True, False])
def test_listings_are_spread_over_the_day(fake: FakeProvider, database: Database, receives: bool) -> None:
    """A hundred accounts that were connected in one minute are listed one after the other, from the first day on:
    four times a day where bookings are written, once where none are."""
    place = bookable(fake)
    ids = [
        factories.connection(place.people[0], place.workspace, provider=fake.key, account_id=f"a{number}").id
        for number in range(40)
    ]
    for connection_id in ids:
        factories.calendar(_connection(connection_id), receives_bookings=receives, synced_at=NOW)
    with transaction() as session:
        for connection_id in ids:
            calendar_listing.record_listing(session, connection_id, [_listed(session, connection_id)], NOW)
    with reading() as session:
        due = sorted(session.get_one(Connection, one).listing_due_at or NOW for one in ids)
    period = timedelta(hours=6) if receives else timedelta(days=1)
    assert NOW + period / 2 < due[0] < due[-1] <= NOW + period * 3 / 2
    gaps = [later - earlier for earlier, later in pairwise(due)]
    assert max(gaps) < period / 4


def _connection(connection_id: str) -> Connection:
    with reading() as session:
        return session.get_one(Connection, connection_id)


def _listed(session: Session, connection_id: str) -> RemoteCalendar:
    row = session.exec(select(Calendar).where(Calendar.connection_id == connection_id)).one()
    return RemoteCalendar(row.remote_id, row.name, "Europe/Berlin", AccessRole.OWNER)


def test_a_removed_calendar_is_planned_for_where_the_host_has_no_other(
    fake: FakeProvider, place: Place
) -> None:
    """Its writes wait for its return, instead of a confirmed booking that is written nowhere."""
    with transaction() as session:
        row = session.get_one(Calendar, place.calendars[0].id)
        row.removed_at = NOW
        session.add(row)
    made = place.book(place.at(10))
    assert write_of(made.id).calendar_id == place.calendars[0].id
    assert look(place) == []
    with reading() as session:
        assert session.get_one(Calendar, place.calendars[0].id).removed_at is None
    assert write_outbox.apply(write_of(made.id).id) == "verified"
