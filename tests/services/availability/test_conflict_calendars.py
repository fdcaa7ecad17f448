"""What a calendar that cannot be read does to its owner's slots and bookings, for each policy, end to end."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from calendar_app.db.session import transaction
from calendar_app.db.tables import Calendar
from calendar_app.errors import InvalidInput, ProviderUnavailable, SlotUnavailable
from calendar_app.services.availability import slots as available_slots
from calendar_app.services.bookings import reschedule as booking_reschedule
from calendar_app.services.calendar_sync import calendar_use
from calendar_app.services.calendar_sync import requests as sync_requests
from calendar_app.settings import Settings
from tests.support.fake_provider import FakeProvider
from tests.support.people import problem
from tests.support.scheduling import Place, bearer, bookable, reservations


@pytest.fixture
def place(fake: FakeProvider) -> Place:
    """A business whose calendar was synced with one event, ten to eleven, on the first day."""
    found = bookable(fake)
    fake.add_event(found.calendars[0].remote_id, found.at(10), found.at(11))
    sync_requests.sync_calendar(found.calendars[0].id)
    return found


def unreadable(place: Place, fake: FakeProvider, policy: str, *, hours: int = 5) -> None:
    """From now on the calendar's state is that old, and its provider answers no question."""
    calendar_use.update_calendar(place.owner, place.calendars[0].id, stale_policy=policy)
    with transaction() as session:
        row = session.get_one(Calendar, place.calendars[0].id)
        row.synced_at = datetime.now(UTC) - timedelta(hours=hours)
        row.reading_due_at = row.synced_at + timedelta(minutes=5)
    fake.fail("freebusy", *[ProviderUnavailable()] * 50)


def hours(place: Place) -> list[int]:
    """The full hours of the day that are on offer."""
    seen = available_slots.slots(place.event_type.id, place.at(0), place.at(23, 59), zone="Europe/Berlin")
    return sorted({slot.start.hour for slot in seen.slots if slot.start.minute == 0})


def message(place: Place) -> str:
    seen = available_slots.slots(place.event_type.id, place.at(0), place.at(23, 59))
    assert seen.freshness.stale
    return seen.freshness.message


def test_keep_counts_the_last_known_state(fake: FakeProvider, place: Place) -> None:
    """What was known goes on counting where the owner wants that, and the page says how old it is."""
    unreadable(place, fake, "keep")
    assert hours(place) == [9, 11, 12, 13, 14, 15, 16]
    assert "state of 300 minutes ago is used" in message(place)
    assert place.book(place.at(9)).status == "confirmed"
    with pytest.raises(SlotUnavailable):
        place.book(place.at(10))


@pytest.mark.parametrize(("minutes", "stale"), [(14, False), (16, True)])
@pytest.mark.parametrize("failing", [True, False])
def test_by_default_bookings_wait_once_a_calendar_is_stale(
    fake: FakeProvider, place: Place, minutes: int, stale: bool, failing: bool
) -> None:
    """No push, no reading, no last look: for a quarter of an hour the last state counts; then bookings wait, and that
    is said before anybody confirms. It makes no difference whether readings failed or did not happen."""
    remote = place.calendars[0].remote_id
    fake.fail("freebusy", *[ProviderUnavailable()] * 9)
    with transaction() as session:
        row = session.get_one(Calendar, place.calendars[0].id)
        assert row.stale_policy == "approve"
        row.synced_at = datetime.now(UTC) - timedelta(minutes=minutes)
        row.reading_due_at = row.synced_at + timedelta(minutes=5)
        row.failures, row.last_error_code = (3, "provider_unavailable") if failing else (0, "")
    fake.add_event(remote, place.at(14), place.at(15))
    seen = available_slots.slots(place.event_type.id, place.at(0), place.at(23, 59)).freshness
    assert (seen.stale, seen.needs_approval) == (stale, stale)
    assert ("bookings wait for approval" in seen.message) is stale
    assert place.book(place.at(14)).status == ("pending" if stale else "confirmed")
    with pytest.raises(SlotUnavailable):
        place.book(place.at(10))


def test_a_successful_reading_ends_it(fake: FakeProvider, place: Place) -> None:
    """Read again, the calendar is fresh, and bookings are confirmed at once."""
    unreadable(place, fake, "approve")
    sync_requests.sync_calendar(place.calendars[0].id)
    seen = available_slots.slots(place.event_type.id, place.at(0), place.at(23, 59)).freshness
    assert (seen.stale, seen.needs_approval, seen.message) == (False, False, "")
    assert place.book(place.at(9)).status == "confirmed"


@pytest.mark.parametrize(("minutes", "stale"), [(59, False), (74, False), (76, True)])
def test_rare_polls_are_no_missed_readings(
    configure: Callable[..., Settings], fake: FakeProvider, place: Place, minutes: int, stale: bool
) -> None:
    """Where calendars are read every hour, nothing was due before that hour is over."""
    configure(POLL_MINUTES="60")
    with transaction() as session:
        row = session.get_one(Calendar, place.calendars[0].id)
        row.synced_at = datetime.now(UTC) - timedelta(minutes=minutes)
        row.reading_due_at = row.synced_at + timedelta(minutes=60)
    seen = available_slots.slots(place.event_type.id, place.at(0), place.at(23, 59)).freshness
    assert seen.stale is stale


def test_close_offers_nothing(fake: FakeProvider, place: Place) -> None:
    """Closed means no slot and no booking; the page and the explanation say why."""
    unreadable(place, fake, "close")
    assert hours(place) == []
    assert "times stay closed until it can be read again" in message(place)
    with pytest.raises(SlotUnavailable):
        place.book(place.at(9))
    assert reservations() == []
    found = available_slots.explain(place.owner, place.event_type.id, place.at(9))
    assert [reason.source_kind for reason in found.hosts[0].reasons] == ["stale_calendar"]
    assert [age.policy for age in found.freshness.calendars] == ["close"]


def test_approve_makes_bookings_wait(fake: FakeProvider, place: Place) -> None:
    """The last known state counts, and what is booked on it waits for approval; so does a customer's move."""
    early = place.book(place.at(15))
    assert early.status == "confirmed"
    unreadable(place, fake, "approve")
    assert hours(place) == [9, 11, 12, 13, 14, 16]
    assert "bookings wait for approval" in message(place)
    assert place.book(place.at(9)).status == "pending"
    assert booking_reschedule.reschedule_by_token(early.manage_token, place.at(12)).status == "pending"
    assert (
        booking_reschedule.reschedule(place.owner, place.book(place.at(13)).id, place.at(14)).status
        == "pending"
    )


def test_ignore_leaves_the_calendar_out(fake: FakeProvider, place: Place) -> None:
    """Its last known events no longer keep anybody from booking, for as long as it cannot be read."""
    unreadable(place, fake, "ignore")
    assert 10 in hours(place)
    assert "do not count" in message(place)
    assert place.book(place.at(10)).status == "confirmed"


def test_a_fresh_calendar_counts_whatever_its_policy(fake: FakeProvider, place: Place) -> None:
    """Policies are about calendars that cannot be read: a fresh one is simply read."""
    for policy in ("close", "approve", "ignore", "keep"):
        calendar_use.update_calendar(place.owner, place.calendars[0].id, stale_policy=policy)
        assert hours(place) == [9, 11, 12, 13, 14, 15, 16]
    assert place.book(place.at(9)).status == "confirmed"


@pytest.mark.parametrize(
    ("policy", "status"),
    [("keep", "confirmed"), ("close", ""), ("approve", "confirmed"), ("ignore", "confirmed")],
)
def test_what_cannot_be_read_at_the_last_moment(
    fake: FakeProvider, place: Place, policy: str, status: str
) -> None:
    """A fresh mirror, and a provider that does not answer the question right before booking: what was read a moment ago
    counts, unless the owner wants their time closed."""
    unreadable(place, fake, policy, hours=0)
    assert 9 in hours(place)
    if status:
        assert place.book(place.at(9)).status == status
    else:
        with pytest.raises(SlotUnavailable):
            place.book(place.at(9))
        assert reservations() == []


def test_a_move_asks_as_well(fake: FakeProvider, place: Place) -> None:
    """Moving a booking follows the policy too: close refuses, approve makes it wait."""
    made = place.book(place.at(9))
    unreadable(place, fake, "approve", hours=0)
    assert booking_reschedule.reschedule_by_token(made.manage_token, place.at(12)).status == "confirmed"
    unreadable(place, fake, "approve")
    assert booking_reschedule.reschedule_by_token(made.manage_token, place.at(13)).status == "pending"
    unreadable(place, fake, "close", hours=0)
    with pytest.raises(SlotUnavailable):
        booking_reschedule.reschedule_by_token(made.manage_token, place.at(14))


def test_a_calendar_that_was_never_read(fake: FakeProvider, place: Place) -> None:
    """Unknown is busy, unless its owner says that it is to be ignored."""
    with transaction() as session:
        session.get_one(Calendar, place.calendars[0].id).synced_at = None
    for policy in ("keep", "approve", "close"):
        calendar_use.update_calendar(place.owner, place.calendars[0].id, stale_policy=policy)
        assert hours(place) == []
        assert "for the first time" in message(place)
    calendar_use.update_calendar(place.owner, place.calendars[0].id, stale_policy="ignore")
    assert 9 in hours(place)


def test_the_policy_over_http(api: httpx.Client, place: Place) -> None:
    """PATCH sets it, the list shows it, and what is no policy is refused."""
    path, headers = f"/api/v1/calendars/{place.calendars[0].id}", bearer(place.people[0])
    assert api.patch(path, headers=headers, json={"stale_policy": "close"}).json()["stale_policy"] == "close"
    listed = api.get("/api/v1/calendars", headers=headers).json()["items"]
    assert [item["stale_policy"] for item in listed] == ["close"]
    problem(api.patch(path, headers=headers, json={"stale_policy": "guess"}), 422, "invalid_input")
    with pytest.raises(InvalidInput):
        calendar_use.update_calendar(place.owner, place.calendars[0].id, stale_policy="guess")
