"""Calendars that bookings cannot be written to: planned for all the same, said once, asked about sparingly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import col, select

from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import Calendar, CalendarWrite, Connection, Mail
from calendar_app.errors import PermissionDenied
from calendar_app.providers.base import AccessRole
from calendar_app.services import calendar_listing, calendar_writes, calendars
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
    return calendar_listing.look(place.calendars[0].connection_id, now=now)


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
    assert calendar_writes.apply(write_of(made.id).id) == "failed"
    allow(fake, place, AccessRole.WRITER)
    assert look(place) == []
    assert calendar_writes.apply(write_of(made.id).id) == "verified"
    assert list(ours(fake, place.calendars)) == [made.id]
    assert calendars.list_calendars(place.owner)[0].last_error == ""
    assert len(mails()) == 1


def test_a_provider_that_allows_and_refuses_is_not_asked_for_ever(fake: FakeProvider, place: Place) -> None:
    """The listing says that we may write, every write is refused: tried with each listing, ten times in all, and told
    once."""
    made = place.book(place.at(10))
    fake.fail("put_event", *[PermissionDenied("Not this one.") for _ in range(20)])
    for _ in range(15):
        calendar_writes.apply(write_of(made.id).id)
        look(place)
    row = write_of(made.id)
    assert (row.state, fake.count("put_event")) == ("failed", calendar_writes.MAX_ATTEMPTS)
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
    assert calendar_writes.apply(write_of(made.id).id) == "verified"
