"""Where a booking could go, who is asked, and how many seats or answers are still open."""

from __future__ import annotations

from datetime import timedelta

import pytest

from calendar_app.domain.timespan import instant
from calendar_app.errors import Forbidden, InvalidInput, NotFound, ProviderUnavailable, SlotUnavailable
from calendar_app.services.availability import slots as available_slots
from calendar_app.services.bookings import queries as booking_queries
from calendar_app.services.bookings import reschedule as booking_reschedule
from calendar_app.services.bookings import reschedule_times, transitions
from calendar_app.services.calendar_sync import requests as sync_requests
from calendar_app.services.common.permissions import Role
from calendar_app.services.workspaces import members
from tests.support import factories
from tests.support.fake_provider import FakeProvider
from tests.support.scheduling import ZONE, bookable

pytestmark = pytest.mark.usefixtures("database")


def starts(view: available_slots.SlotsView) -> list[str]:
    return [f"{slot.start:%H:%M}" for slot in view.slots]


def test_a_booking_does_not_stand_in_its_own_way(fake: FakeProvider) -> None:
    """Times that overlap the present one are offered, the present one and those of others are not."""
    place = bookable(fake, durations=[60], step_minutes=30)
    mine = place.book(place.at(10))
    place.book(place.at(14), guest=("Ada", "ada@example.org"))
    found = reschedule_times.slots_by_token(mine.manage_token, place.at(9), place.at(15), zone=ZONE)
    assert starts(found) == ["09:00", "09:30", "10:30", "11:00", "11:30", "12:00", "12:30", "13:00"]
    assert starts(
        reschedule_times.slots(place.owner, mine.id, place.at(9), place.at(15), zone=ZONE)
    ) == starts(found)
    moved = booking_reschedule.reschedule_by_token(mine.manage_token, place.at(10, 30))
    assert moved.start == place.at(10, 30)


def test_only_the_bookings_own_hosts_are_asked(fake: FakeProvider) -> None:
    """A round robin's booking stays with whom it is: the other host's free time is no offer."""
    place = bookable(fake, hosts=2, hosting="round_robin", durations=[60], step_minutes=60)
    mine = place.book(place.at(10))
    while True:
        other = place.book(place.at(12), guest=("Ada", "ada@example.org"))
        if other.hosts == mine.hosts:
            break
    found = reschedule_times.slots_by_token(mine.manage_token, place.at(9), place.at(14), zone=ZONE)
    assert starts(found) == ["09:00", "11:00", "13:00"]


def test_the_whole_length_must_be_free(fake: FakeProvider) -> None:
    """A booking of the longer duration does not fit before something that only the shorter one would clear."""
    place = bookable(fake, durations=[30, 60], step_minutes=30)
    mine = place.book(place.at(10), duration=60)
    fake.add_event(place.calendars[0].remote_id, place.at(13, 45), place.at(14))
    sync_requests.sync_calendar(place.calendars[0].id)
    fake.fail("freebusy", ProviderUnavailable())
    found = reschedule_times.slots_by_token(mine.manage_token, place.at(12), place.at(14), zone=ZONE)
    assert starts(found) == ["12:00", "12:30"]
    with pytest.raises(SlotUnavailable):
        booking_reschedule.reschedule_by_token(mine.manage_token, place.at(13))


def test_nobody_else_learns_where_a_booking_could_go(fake: FakeProvider) -> None:
    """Forged links, other workspaces' staff and customers get nothing."""
    place, other = bookable(fake), bookable(fake)
    mine = place.book(place.at(10))
    window = place.at(9), place.at(12)
    with pytest.raises(NotFound):
        reschedule_times.slots_by_token(mine.manage_token[:-2], *window, zone=ZONE)
    with pytest.raises(NotFound):
        reschedule_times.slots(other.owner, mine.id, *window, zone=ZONE)
    with pytest.raises(Forbidden):
        reschedule_times.slots(
            factories.actor(place.people[0], place.workspace, Role.CUSTOMER), mine.id, *window, zone=ZONE
        )


def test_slots_say_how_many_seats_are_left(fake: FakeProvider) -> None:
    """Each guest takes one; where there are no groups nothing is counted."""
    place = bookable(fake, seats=3, durations=[60], step_minutes=60)
    window = place.at(10), place.at(12)
    place.book(place.at(10))
    view = available_slots.slots(place.event_type.id, *window, zone=ZONE)
    assert view.seats == {instant(place.at(10)): 2, instant(place.at(11)): 3}
    single = bookable(fake)
    assert available_slots.slots(single.event_type.id, *window, zone=ZONE).seats == {}


def test_requests_that_wait_are_counted_for_those_who_can_answer(fake: FakeProvider) -> None:
    """Answered ones and those whose time has come are not; other workspaces see none."""
    place, other = bookable(fake, requires_approval=True), bookable(fake)
    first, second = (place.book(place.at(hour)) for hour in (10, 11))
    assert booking_queries.count_waiting(place.owner) == 2
    assert booking_queries.count_waiting(other.owner) == 0
    transitions.confirm(place.owner, first.id)
    assert booking_queries.count_waiting(place.owner) == 1
    assert booking_queries.count_waiting(place.owner, now=second.start + timedelta(seconds=1)) == 0


def test_colleagues_are_those_who_can_be_booked(fake: FakeProvider) -> None:
    """Managers see everybody who works here, staff themselves, customers nothing."""
    place = bookable(fake, hosts=2, hosting="collective")
    factories.membership(factories.person(), place.workspace, Role.CUSTOMER)
    assert {who.person_id for who in members.list_colleagues(place.owner)} == {p.id for p in place.people}
    plain = factories.actor(place.people[1], place.workspace, Role.STAFF)
    assert [who.person_id for who in members.list_colleagues(plain)] == [place.people[1].id]
    with pytest.raises(Forbidden):
        members.list_colleagues(factories.actor(place.people[1], place.workspace, Role.CUSTOMER))


def test_a_window_has_two_ends(fake: FakeProvider) -> None:
    """The same bounds as for public slots."""
    place = bookable(fake)
    mine = place.book(place.at(10))
    with pytest.raises(InvalidInput) as caught:
        reschedule_times.slots_by_token(mine.manage_token, place.at(9), place.at(9), zone=ZONE)
    assert caught.value.field == "end"
