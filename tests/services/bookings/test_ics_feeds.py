"""Private calendar feeds: whose bookings they hold, for how long, and how they end."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import icalendar
import pytest
from sqlmodel import select

from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import Feed, Membership
from calendar_app.domain.ics import read_calendar
from calendar_app.errors import NotFound, TooManyRequests
from calendar_app.services.bookings import ics_feeds, transitions
from calendar_app.services.bookings import reschedule as booking_reschedule
from calendar_app.services.common import rate_limits
from calendar_app.services.common.permissions import Role
from tests.support import factories
from tests.support.databases import Database
from tests.support.fake_provider import FakeProvider
from tests.support.scheduling import Place, bookable


@pytest.fixture
def place(database: Database) -> Iterator[Place]:
    """A business with two hosts."""
    fake = FakeProvider()
    with fake.installed():
        yield bookable(fake, hosts=2, hosting="round_robin")


def _secret(view: ics_feeds.FeedView) -> str:
    return view.url.rpartition("/")[2].removesuffix(".ics")


def _events(secret: str, **options: datetime) -> dict[str, icalendar.Event]:
    content = ics_feeds.read(secret, **options).content
    return {str(event["UID"]): event for event in icalendar.Calendar.from_ical(content).walk("VEVENT")}


def test_a_feed_holds_what_its_person_hosts(place: Place) -> None:
    """Hosts find their own bookings, customers what they booked; the address has at least 128 random bits."""
    made = [place.book(place.at(10)), place.book(place.at(10))]
    by_host = {booking.hosts[0].id: booking for booking in made}
    for person in place.people:
        actor = factories.actor(person, place.workspace)
        view = ics_feeds.create(actor)
        assert len(_secret(view)) >= 32
        assert view.webcal_url == view.url.replace("http://", "webcal://")
        assert set(_events(_secret(view))) == {by_host[person.id].uid}
    guest = factories.person(email="grace@example.org")
    factories.membership(guest, place.workspace, Role.CUSTOMER)
    secret = _secret(ics_feeds.create(factories.actor(guest, place.workspace, Role.CUSTOMER)))
    found = _events(secret)
    assert set(found) == {booking.uid for booking in made}
    assert "To move or cancel it: http" in found[made[0].uid]["DESCRIPTION"]


def test_nothing_new_is_told_by_the_same_tag(place: Place) -> None:
    """The same state has the same bytes and tag; any change has another, and is told by a later date."""
    booking = place.book(place.at(10))
    secret = _secret(ics_feeds.create(place.owner))
    host = factories.actor(next(p for p in place.people if p.id == booking.hosts[0].id), place.workspace)
    secret = _secret(ics_feeds.create(host))
    first = ics_feeds.read(secret)
    assert ics_feeds.read(secret, now=datetime.now(UTC) + timedelta(seconds=1)) == first
    at = first.modified + timedelta(minutes=5)
    transitions.cancel(place.owner, booking.id, "ill", now=at)
    second = ics_feeds.read(secret)
    assert second.etag != first.etag
    assert second.modified == at
    assert second.etag.startswith('"')


def test_cancelled_bookings_stay_for_a_while_as_cancelled(database: Database) -> None:
    """For a month programs are told that a booking was called off; after that it is not mentioned."""
    fake = FakeProvider()
    with fake.installed():
        place = bookable(fake)
        booking = place.book(place.at(10, days=45))
    secret = _secret(ics_feeds.create(place.owner))
    assert _events(secret)[booking.uid]["STATUS"] == "CONFIRMED"
    transitions.cancel(place.owner, booking.id, "ill")
    event = _events(secret)[booking.uid]
    assert (event["STATUS"], event["TRANSP"], int(event["SEQUENCE"])) == ("CANCELLED", "TRANSPARENT", 1)
    assert "ill" in event["DESCRIPTION"]
    assert not _events(secret, now=datetime.now(UTC) + timedelta(days=32))
    assert not _events(secret, now=datetime.now(UTC) + timedelta(days=200))


def test_a_feed_says_who_organizes_and_when_an_event_changed(place: Place) -> None:
    """ORGANIZER is the host, as in the invitation (RFC 5546 section 3.2.1); DTSTAMP and SEQUENCE rise with a move."""
    made = place.book(place.at(10))
    host = next(person for person in place.people if person.id == made.hosts[0].id)
    secret = _secret(ics_feeds.create(factories.actor(host, place.workspace)))
    before = _events(secret)[made.uid]
    assert str(before["organizer"]) == f"mailto:{host.email}"
    moved_at = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    booking_reschedule.reschedule(place.owner, made.id, place.at(11), now=moved_at)
    after = _events(secret)[made.uid]
    assert before.decoded("dtstamp") < after.decoded("dtstamp") == moved_at
    assert (before["sequence"], after["sequence"]) == (0, 1)
    assert str(after["organizer"]) == f"mailto:{host.email}"


def test_a_new_address_ends_the_old_one(place: Place) -> None:
    """After rotating or revoking, and after its person has left, the address leads nowhere."""
    first = ics_feeds.create(place.owner)
    second = ics_feeds.create(place.owner)
    assert ics_feeds.get(place.owner) == second
    with pytest.raises(NotFound):
        ics_feeds.read(_secret(first))
    ics_feeds.read(_secret(second))
    ics_feeds.revoke(place.owner)
    ics_feeds.revoke(place.owner)
    assert ics_feeds.get(place.owner) is None
    with pytest.raises(NotFound):
        ics_feeds.read(_secret(second))
    third = ics_feeds.create(place.owner)
    with transaction() as session:
        mine = select(Membership).where(Membership.person_id == place.owner.person_id)
        session.delete(session.exec(mine).one())
    with pytest.raises(NotFound):
        ics_feeds.read(_secret(third))


def test_reading_is_noted_without_a_write_each_time(place: Place) -> None:
    """The last reading is known to the hour; the secret stands encrypted in the row."""
    view = ics_feeds.create(place.owner)
    now = datetime.now(UTC)
    for minutes, expected in ((0, 0), (30, 0), (61, 61)):
        ics_feeds.read(_secret(view), now=now + timedelta(minutes=minutes))
        with reading() as session:
            row = session.exec(select(Feed)).one()
            assert row.last_read_at == now + timedelta(minutes=expected)
            raw = session.connection().exec_driver_sql("SELECT secret FROM feed").scalar_one()
            assert _secret(view) not in str(raw)


def test_guessing_and_hammering_are_limited(place: Place) -> None:
    """Wrong addresses are counted by network address; one feed is read at most once a second on average."""
    view = ics_feeds.create(place.owner)
    for _try in range(30):
        with pytest.raises(NotFound):
            ics_feeds.read("x" * 32, client="192.0.2.1")
    with pytest.raises(TooManyRequests):
        ics_feeds.read("x" * 32, client="192.0.2.1")
    ics_feeds.read(_secret(view), client="192.0.2.2")
    rate_limits.forget()


def test_our_own_reader_takes_the_feed(place: Place) -> None:
    """The feed is a calendar that the product itself could follow, with a name and a rhythm."""
    place.book(place.at(10))
    content = ics_feeds.read(_secret(ics_feeds.create(place.owner))).content
    file = read_calendar(content)
    assert not file.problems
    assert file.name.startswith(place.workspace.name)
    assert b"REFRESH-INTERVAL;VALUE=DURATION:PT15M\r\n" in content
    assert b"X-PUBLISHED-TTL:PT15M\r\n" in content
