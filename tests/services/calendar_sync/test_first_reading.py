"""A large calendar's coming weeks can be booked before all of it has been read; the rest stays busy until then."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import col, select

from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import Calendar, Occurrence
from calendar_app.domain.timespan import instant
from calendar_app.errors import PermissionDenied, ProviderUnavailable
from calendar_app.services.availability import slots as available_slots
from calendar_app.services.calendar_sync import first_reading
from calendar_app.services.calendar_sync import requests as sync_requests
from calendar_app.services.calendar_sync.run import Outcome
from tests.support.fake_provider import FakeProvider
from tests.support.scheduling import Place, bookable

MANY = first_reading.MANY + 150
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


@pytest.fixture
def place(fake: FakeProvider) -> Place:
    """A business whose host has just connected a large calendar: an event at ten, the others far ahead."""
    found = bookable(fake)
    remote = found.calendars[0].remote_id
    far = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(days=200)
    for number in range(MANY):
        start = far + number * 10 * MINUTE
        fake.add_event(remote, start, start + 5 * MINUTE, summary=f"Far {number}")
    fake.add_event(remote, found.at(10), found.at(11), summary="Near")
    with transaction() as session:
        session.get_one(Calendar, found.calendars[0].id).synced_at = None
    return found


def row(place: Place) -> Calendar:
    with reading() as session:
        return session.get_one(Calendar, place.calendars[0].id)


def hours(place: Place, days: int = 0) -> set[int]:
    start, end = place.at(0) + days * DAY, place.at(23, 59) + days * DAY
    seen = available_slots.slots(place.event_type.id, start, end, zone="Europe/Berlin")
    return {slot.start.hour for slot in seen.slots if slot.start.minute == 0}


def interrupt(fake: FakeProvider, pages: int = 9) -> None:
    """The listing ends after so many pages of a hundred events."""
    fake.fail("page", *[None] * pages, ProviderUnavailable(retry_after=600))


def occurrences(place: Place) -> set[tuple[int, int, bool]]:
    with reading() as session:
        mine = select(Occurrence).where(col(Occurrence.calendar_id) == place.calendars[0].id)
        return {(one.starts, one.ends, one.busy) for one in session.exec(mine)}


def test_the_coming_weeks_are_known_first(fake: FakeProvider, place: Place) -> None:
    """While the listing goes on, or after it broke off: free times of these weeks are offered, taken ones are not, and
    what lies behind them is busy. Nobody is told that times stay closed."""
    assert hours(place) == set()
    interrupt(fake)
    assert sync_requests.sync_calendar(place.calendars[0].id).outcome is Outcome.FAILED
    assert (row(place).synced_at, row(place).sync_cursor) == (None, None)
    assert hours(place) == set(range(9, 17)) - {10}
    assert hours(place, 63) == set()
    seen = available_slots.slots(place.event_type.id, place.at(0), place.at(23, 59)).freshness
    assert (seen.stale, seen.message) == (False, "")


def test_the_listing_replaces_what_was_read_ahead(fake: FakeProvider, place: Place) -> None:
    """An event that was deleted in between goes; afterwards nothing tells how the calendar was read."""
    interrupt(fake)
    sync_requests.sync_calendar(place.calendars[0].id)
    remote = place.calendars[0].remote_id
    near = next(one for one in fake.standing(remote) if one.summary == "Near")
    fake.remove(remote, near.remote_id)
    assert sync_requests.sync_calendar(place.calendars[0].id).outcome is Outcome.DONE
    assert (row(place).ahead_at, row(place).ahead_until) == (None, None)
    assert 10 in hours(place)
    assert len(occurrences(place)) == MANY


def test_what_was_read_ahead_grows_old(fake: FakeProvider, place: Place) -> None:
    """Nothing brings it up to date, so that it counts for FRESH_MINUTES; then the calendar is unknown again."""
    interrupt(fake)
    sync_requests.sync_calendar(place.calendars[0].id)
    for minutes, known in ((14, True), (16, False)):
        with transaction() as session:
            session.get_one(Calendar, row(place).id).ahead_at = datetime.now(UTC) - minutes * MINUTE
        assert (hours(place) != set()) is known


def test_a_booking_made_meanwhile_is_checked_at_the_provider(fake: FakeProvider, place: Place) -> None:
    """The last look asks as always."""
    from calendar_app.errors import SlotUnavailable

    interrupt(fake)
    sync_requests.sync_calendar(place.calendars[0].id)
    fake.add_event(place.calendars[0].remote_id, place.at(14), place.at(15))
    with pytest.raises(SlotUnavailable):
        place.book(place.at(14))
    assert place.book(place.at(12)).status == "confirmed"


def test_what_cannot_be_read_ahead_is_listed_all_the_same(fake: FakeProvider, place: Place) -> None:
    """A provider that refuses the question costs nothing but the head start."""
    fake.fail("events_in", PermissionDenied("No."))
    assert sync_requests.sync_calendar(place.calendars[0].id).outcome is Outcome.DONE
    assert hours(place) == set(range(9, 17)) - {10}


def test_only_a_long_first_listing_is_not_waited_for(fake: FakeProvider, place: Place) -> None:
    """Neither the next full listing of a large calendar, nor the first of a small one, costs a request more."""
    calendar = place.calendars[0].id
    sync_requests.sync_calendar(calendar)
    assert fake.count("events_in") == 1
    with transaction() as session:
        session.get_one(Calendar, calendar).sync_cursor = None
    assert sync_requests.sync_calendar(calendar).full
    small = bookable(fake)
    with transaction() as session:
        session.get_one(Calendar, small.calendars[0].id).synced_at = None
    sync_requests.sync_calendar(small.calendars[0].id)
    assert fake.count("events_in") == 1


def test_restored_events_are_not_given_away(fake: FakeProvider, place: Place) -> None:
    """A calendar that counts as unread and holds events keeps the fuse of full listings: nothing is read ahead."""
    calendar = place.calendars[0].id
    sync_requests.sync_calendar(calendar)
    with transaction() as session:
        found = session.get_one(Calendar, calendar)
        found.synced_at = found.sync_cursor = None
    interrupt(fake)
    sync_requests.sync_calendar(calendar)
    assert row(place).ahead_until is None
    assert instant(place.at(10)) in {start for start, _, _ in occurrences(place)}
