"""Taking bookings: what is refused and why, what one transaction writes, and what changes of state do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from sqlmodel import select

from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import AuditEntry, Booking, Calendar, CalendarWrite
from calendar_app.domain.booking import TransitionRefused
from calendar_app.domain.timespan import instant
from calendar_app.errors import (
    Conflict,
    Forbidden,
    InvalidInput,
    NotFound,
    ProviderUnavailable,
    SlotUnavailable,
    StateChanged,
    TooManyRequests,
)
from calendar_app.services.bookings import create as booking_create
from calendar_app.services.bookings import holds, transitions
from calendar_app.services.bookings import queries as booking_queries
from calendar_app.services.bookings import reschedule as booking_reschedule
from calendar_app.services.bookings.views import BookingView
from calendar_app.services.common import signed_links
from calendar_app.services.common.permissions import Role
from calendar_app.services.event_types import commands as event_type_commands
from calendar_app.settings import Settings
from tests.support import factories
from tests.support.databases import Database
from tests.support.fake_provider import FakeProvider
from tests.support.moments import at_once
from tests.support.scheduling import (
    GUEST,
    ZONE,
    Place,
    assert_consistent,
    bookable,
    carry_out,
    ours,
    reservations,
    writes,
)
from tests.support.stepped import stepped

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def fake(database: Database) -> Iterator[FakeProvider]:
    with FakeProvider().installed() as provider:
        yield provider


@pytest.fixture
def place(fake: FakeProvider) -> Place:
    return bookable(fake)


def test_a_booking_is_written_whole(place: Place) -> None:
    """A booking comes with its reservation, buffers included, its calendar write and its audit entry."""
    shop = bookable(FakeProvider(), buffer_before=10, buffer_after=5)
    start = shop.at(10)
    made = shop.book(start)
    assert (made.status, made.start, made.end) == ("confirmed", start, start + timedelta(minutes=30))
    assert [host.id for host in made.hosts] == [shop.people[0].id]
    (claim,) = reservations(shop.people[0].id)
    assert (claim.starts, claim.ends) == (instant(start) - 600, instant(start) + 2100)
    with reading() as session:
        entries = session.exec(select(AuditEntry).where(AuditEntry.subject_id == made.id)).all()
    assert [entry.action for entry in entries] == ["booking.created"]
    assert_consistent()


def test_the_booking_reaches_the_calendar_and_leaves_it_again(fake: FakeProvider, place: Place) -> None:
    """After the workers ran the event stands in the host's calendar, verified; after a cancellation it does not."""
    made = place.book(place.at(9, 30))
    assert [row.state for row in writes(made.id)] == ["queued"]
    carry_out()
    event = ours(fake, place.calendars)[made.id]
    assert event.summary == "Intro call with Grace Hopper"
    assert event.attendees == ()
    assert event.description.startswith("Grace Hopper <grace@example.org>\n")
    seen = booking_queries.get(place.owner, made.id)
    assert [receipt.state for receipt in seen.sync] == ["verified"]
    assert seen.calendar_event_id == {"fake": event.remote_id}
    transitions.cancel_by_token(made.manage_token)
    carry_out()
    assert ours(fake, place.calendars) == {}
    assert [receipt.state for receipt in booking_queries.get(place.owner, made.id).sync] == ["removed"]


def test_a_taken_time_is_refused(place: Place) -> None:
    """The second booking of a time is told that it was just taken, and nothing of it is written."""
    place.book(place.at(10))
    with pytest.raises(SlotUnavailable, match="just taken"):
        place.book(place.at(10), guest=("Ada", "ada@example.org"))
    assert len(assert_consistent()) == 1
    assert len(writes()) == 1


@pytest.mark.parametrize(
    ("hour", "minute", "words"), [(7, 0, "not offered"), (10, 10, "not offered"), (16, 45, "not offered")]
)
def test_a_time_off_the_grid_or_out_of_hours_is_refused(
    place: Place, hour: int, minute: int, words: str
) -> None:
    """Before opening, off the grid, or running over closing time: not offered."""
    with pytest.raises(SlotUnavailable, match=words):
        place.book(place.at(hour, minute))
    assert assert_consistent() == []


def test_the_past_is_refused_in_words(place: Place) -> None:
    """A start that has passed is said to have passed."""
    with pytest.raises(InvalidInput, match="has passed") as caught:
        place.book(place.at(10), now=place.at(11))
    assert caught.value.code == "in_the_past"


def test_notice_is_told_apart(fake: FakeProvider) -> None:
    """A start within the minimum notice is too soon, which is not the same as taken."""
    place = bookable(fake, minimum_notice=240)
    with pytest.raises(SlotUnavailable, match="too soon"):
        place.book(place.at(12), now=place.at(9))


@pytest.mark.parametrize(
    ("field", "options"),
    [
        ("timezone", {"zone": "Mars/Olympus"}),
        ("name", {"name": "  "}),
        ("email", {"email": "not an address"}),
        ("answers.nope", {"answers": {"nope": "x"}}),
        ("start", {"start": datetime(2030, 1, 1, 9)}),  # noqa: DTZ001  # a naive time is the point
        ("duration", {"duration": 45}),
    ],
)
def test_bad_input_is_named(place: Place, field: str, options: dict[str, object]) -> None:
    """Each part of a request that means nothing is refused by its name."""
    given = {
        "start": place.at(10),
        "zone": ZONE,
        "name": GUEST[0],
        "email": GUEST[1],
        "answers": {},
    } | options
    with pytest.raises(InvalidInput) as caught:
        booking_create.create_booking(place.event_type.id, **given)  # type: ignore[arg-type]
    assert caught.value.field == field
    assert assert_consistent() == []


def test_an_event_type_that_is_off_or_private_is_refused(fake: FakeProvider) -> None:
    """Inactive ones say so; those that are not public do not exist for the public, and do for their staff."""
    off = bookable(fake, is_active=False)
    with pytest.raises(Conflict, match="not open") as caught:
        off.book(off.at(10))
    assert caught.value.code == "event_type_inactive"
    private = bookable(fake, is_public=False)
    with pytest.raises(NotFound):
        private.book(private.at(10))
    with pytest.raises(NotFound):
        private.book(private.at(10), actor=off.owner)
    assert private.book(private.at(10), actor=private.owner).status == "confirmed"


def test_an_event_that_came_after_the_last_sync_is_found(fake: FakeProvider, place: Place) -> None:
    """What the mirror does not know yet, the live check does: the booking is refused and nothing is written."""
    remote = place.calendars[0].remote_id
    fake.add_event(remote, place.at(10), place.at(11))
    with pytest.raises(SlotUnavailable, match="just taken"):
        place.book(place.at(10, 30))
    assert assert_consistent() == []
    assert place.book(place.at(11)).status == "confirmed"


def test_a_provider_that_is_down_does_not_stop_bookings(fake: FakeProvider, place: Place) -> None:
    """When the live check cannot be made, the last known state counts."""
    fake.fail("freebusy", ProviderUnavailable())
    assert place.book(place.at(10)).status == "confirmed"


def test_an_event_that_waits_for_its_removal_does_not_block(fake: FakeProvider, place: Place) -> None:
    """A cancelled booking's time can be booked at once, although its event still stands at the provider."""
    first = place.book(place.at(10))
    carry_out()
    transitions.cancel_by_token(first.manage_token)
    assert ours(fake, place.calendars) != {}
    second = place.book(place.at(10), guest=("Ada", "ada@example.org"))
    carry_out()
    assert set(ours(fake, place.calendars)) == {second.id}


def test_cancelling_twice_is_one_cancellation(place: Place) -> None:
    """The second click changes nothing and is no error."""
    made = place.book(place.at(10))
    first = transitions.cancel_by_token(made.manage_token, "ill")
    again = transitions.cancel_by_token(made.manage_token, "very ill")
    assert (first.status, first.version) == (again.status, again.version) == ("cancelled", made.version + 1)
    assert again.cancel_reason == "ill"
    assert reservations() == []
    assert_consistent()


def test_the_notice_for_cancelling_binds_customers_only(fake: FakeProvider) -> None:
    """Too late for the customer, never for staff."""
    place = bookable(fake, cancel_notice=120)
    made = place.book(place.at(12))
    with pytest.raises(TransitionRefused, match="2 hours"):
        transitions.cancel_by_token(made.manage_token, now=place.at(11))
    assert transitions.cancel(place.owner, made.id, now=place.at(11)).status == "cancelled"


@pytest.mark.parametrize("token", ["", "x", "bm90aGluZw", "../../etc/passwd", "a" * 5000])
def test_bad_links_get_one_answer(place: Place, token: str) -> None:
    """Forged, cut and foreign tokens cannot be told apart from each other, nor from a booking that is gone."""
    made = place.book(place.at(10))
    for attempt in (token, made.manage_token[:-2], made.manage_token + "A", signed_links.token("0" * 26)):
        with pytest.raises(NotFound, match="does not lead to a booking"):
            booking_queries.by_token(attempt)


def test_a_link_carries_128_bits_and_serves_one_booking(place: Place) -> None:
    """The signature is HMAC-SHA256, and a signature does not fit another booking."""
    one, two = place.book(place.at(10)), place.book(place.at(11))
    payload, signature = one.manage_token.split(".")
    assert len(signature) * 6 >= 256
    with pytest.raises(NotFound):
        booking_queries.by_token(f"{two.manage_token.split('.')[0]}.{signature}")
    assert booking_queries.by_token(one.manage_token).id == one.id
    assert payload


def test_customers_do_not_see_the_business_side(fake: FakeProvider, place: Place) -> None:
    """The manage page's view has no receipts and no remote ids."""
    made = place.book(place.at(10))
    carry_out()
    seen = booking_queries.by_token(made.manage_token)
    assert (seen.sync, seen.calendar_event_id) == ((), {})


def test_approval_keeps_the_time_and_writes_no_event_before_it(fake: FakeProvider) -> None:
    """A pending booking claims its time; its event appears when it is confirmed."""
    place = bookable(fake, requires_approval=True)
    made = place.book(place.at(10))
    assert made.status == "pending"
    assert writes(made.id) == []
    with pytest.raises(SlotUnavailable):
        place.book(place.at(10))
    assert transitions.confirm(place.owner, made.id).status == "confirmed"
    carry_out()
    assert set(ours(fake, place.calendars)) == {made.id}
    assert [row.state for row in reservations()] == ["confirmed"]
    assert_consistent()


def test_declining_gives_the_time_back(fake: FakeProvider) -> None:
    """After a decline the time can be booked again, and the declined booking stays declined."""
    place = bookable(fake, requires_approval=True)
    made = place.book(place.at(10))
    assert transitions.decline(place.owner, made.id, "on holiday").status == "declined"
    with pytest.raises(TransitionRefused):
        transitions.confirm(place.owner, made.id)
    assert place.book(place.at(10)).status == "pending"
    assert_consistent()


def test_moving_a_booking_moves_its_event(fake: FakeProvider, place: Place) -> None:
    """A reschedule keeps the booking and its event, raises SEQUENCE, and frees the old time."""
    made = place.book(place.at(10))
    carry_out()
    before = ours(fake, place.calendars)[made.id]
    moved = booking_reschedule.reschedule_by_token(made.manage_token, place.at(14))
    assert (moved.id, moved.start, moved.sequence) == (made.id, place.at(14), 1)
    carry_out()
    after = ours(fake, place.calendars)[made.id]
    assert (after.remote_id, after.sequence) == (before.remote_id, 1)
    assert after.start is not None
    assert after.start.value == place.at(14).replace(tzinfo=None)
    assert place.book(place.at(10)).status == "confirmed"
    assert_consistent()


def test_moving_by_less_than_its_length_is_not_blocked_by_itself(fake: FakeProvider) -> None:
    """A booking may overlap where it was, although its own event stands there at the provider."""
    place = bookable(fake, durations=[60], step_minutes=15)
    made = place.book(place.at(10))
    carry_out()
    assert booking_reschedule.reschedule_by_token(made.manage_token, place.at(10, 15)).start == place.at(
        10, 15
    )
    assert_consistent()


def test_moving_onto_somebody_else_is_refused_whole(place: Place) -> None:
    """A refused move leaves the booking where it was, with its reservation."""
    made, other = place.book(place.at(10)), place.book(place.at(11))
    for move in (
        lambda: booking_reschedule.reschedule_by_token(made.manage_token, place.at(11)),
        lambda: booking_reschedule.reschedule(place.owner, made.id, place.at(11)),
    ):
        with pytest.raises(SlotUnavailable):
            move()
    assert booking_queries.by_token(made.manage_token).start == place.at(10)
    assert booking_queries.by_token(other.manage_token).start == place.at(11)
    assert_consistent()


def test_staff_may_move_outside_working_hours_and_customers_not(place: Place) -> None:
    """Working hours bind customers; only other claims on the time bind staff."""
    made = place.book(place.at(10))
    with pytest.raises(SlotUnavailable):
        booking_reschedule.reschedule_by_token(made.manage_token, place.at(20, 5))
    assert booking_reschedule.reschedule(place.owner, made.id, place.at(20, 5)).start == place.at(20, 5)
    assert_consistent()


def test_no_show_and_completion(fake: FakeProvider, place: Place) -> None:
    """After its end a booking is completed and lets its reservation go; a no-show is said by staff."""
    made, missed = place.book(place.at(10)), place.book(place.at(11))
    with pytest.raises(TransitionRefused):
        transitions.no_show(place.owner, made.id, now=place.at(9))
    assert transitions.no_show(place.owner, missed.id, now=place.at(11, 10)).status == "no_show"
    assert transitions.complete_past(place.at(12)) == 1
    assert booking_queries.get(place.owner, made.id).status == "completed"
    assert reservations() == []
    carry_out()
    assert set(ours(fake, place.calendars)) == {made.id, missed.id}
    assert_consistent()


def test_other_workspaces_and_roles(fake: FakeProvider) -> None:
    """Another workspace's booking does not exist; staff see what they host, managers all, customers their own."""
    place, foreign = bookable(fake, hosts=2), bookable(fake)
    solo = factories.event_type(place.workspace, place.people[1], durations=[30], step_minutes=30)
    made = place.book(place.at(10), event_type_id=solo.id)
    staff = [factories.actor(person, place.workspace, Role.STAFF) for person in place.people]
    guest = factories.actor(factories.person(email=GUEST[1]), place.workspace, Role.CUSTOMER)
    stranger = factories.actor(factories.person(), place.workspace, Role.CUSTOMER)
    for actor in (foreign.owner, staff[0], stranger):
        with pytest.raises(NotFound):
            booking_queries.get(actor, made.id)
        with pytest.raises(NotFound):
            transitions.cancel(actor, made.id)
    for actor in (place.owner, staff[1], guest):
        assert booking_queries.get(actor, made.id).id == made.id
    with pytest.raises(Forbidden):
        transitions.confirm(guest, made.id)
    with pytest.raises(Forbidden):
        transitions.retry_sync(guest, made.id)


def test_lists_filter_and_page(place: Place) -> None:
    """Pages follow each other without gap or repeat, in both directions; filters narrow them."""
    made = [place.book(place.at(9 + n), guest=(f"Guest {n}", f"g{n}@example.org")) for n in range(5)]
    for newest_first in (False, True):
        found, after = [], None
        while True:
            page = booking_queries.list_bookings(place.owner, limit=2, after=after, newest_first=newest_first)
            found += [view.id for view in page.items]
            after = page.next
            if after is None:
                break
        wanted = [view.id for view in made]
        assert found == (wanted[::-1] if newest_first else wanted)
    transitions.cancel(place.owner, made[0].id)
    assert [v.id for v in booking_queries.list_bookings(place.owner, status=["cancelled"]).items] == [
        made[0].id
    ]
    assert [v.id for v in booking_queries.list_bookings(place.owner, search="guest 3").items] == [made[3].id]
    assert booking_queries.list_bookings(place.owner, search="100%_").items == ()
    ranged = booking_queries.list_bookings(place.owner, start=place.at(10), end=place.at(12))
    assert [view.id for view in ranged.items] == [made[1].id, made[2].id]
    with pytest.raises(InvalidInput):
        booking_queries.list_bookings(place.owner, after="nonsense")
    with pytest.raises(InvalidInput):
        booking_queries.list_bookings(place.owner, status=["lost"])


def test_what_a_calendar_does_not_take_is_listed_for_its_host(fake: FakeProvider, place: Place) -> None:
    """A booking whose event was given up is counted and found until it is retried or over; a colleague sees none."""
    made, _other = (place.book(place.at(hour)) for hour in (9, 11))
    with transaction() as session:
        row = session.exec(select(CalendarWrite).where(CalendarWrite.booking_id == made.id)).one()
        row.state, row.last_error = "failed", "The calendar is full."
        session.add(row)
    listed = booking_queries.list_bookings(place.owner, given_up=True)
    assert [view.id for view in listed.items] == [made.id]
    assert booking_queries.count_given_up(place.owner) == 1
    assert booking_queries.count_given_up(place.owner, now=made.end) == 0
    colleague = factories.actor(factories.person(), place.workspace, Role.STAFF)
    assert booking_queries.count_given_up(colleague) == 0
    transitions.retry_sync(place.owner, made.id)
    assert booking_queries.count_given_up(place.owner) == 0


def test_round_robin_is_fair_and_uses_everybody(fake: FakeProvider) -> None:
    """Equal hosts take turns, and one time can be booked once per host."""
    place = bookable(fake, hosts=3, hosting="round_robin")
    takers = [place.book(place.at(9 + n)).hosts[0].id for n in range(6)]
    assert sorted(takers) == sorted(2 * [person.id for person in place.people])
    same = {place.book(place.at(16)).hosts[0].id for _ in range(3)}
    assert same == {person.id for person in place.people}
    with pytest.raises(SlotUnavailable):
        place.book(place.at(16))
    assert_consistent()


def share(place: Place, weights: dict[str, int]) -> None:
    """Make these people the hosts, with these weights."""
    hosts = [{"person_id": person_id, "weight": weight} for person_id, weight in weights.items()]
    event_type_commands.update_event_type(place.owner, place.event_type.id, {"hosts": hosts})


def test_weights_of_a_round_robin_are_shares(fake: FakeProvider) -> None:
    """With weights 1 and 3 one of four bookings is the first host's; what visitors hold counts at once."""
    place = bookable(fake, hosts=2, hosting="round_robin")
    first, second = (person.id for person in place.people)
    share(place, {first: 1, second: 3})
    takers = [place.book(place.at(9 + n)).hosts[0].id for n in range(4)]
    assert (takers.count(first), takers.count(second)) == (1, 3)
    held = [holds.create(place.event_type.id, place.at(13 + n)) for n in range(4)]
    takers = [row.host_id for row in reservations() if row.state == "held"]
    assert len(held) == 4
    assert (takers.count(first), takers.count(second)) == (1, 3)


def test_a_late_joiner_of_a_round_robin_starts_level(fake: FakeProvider) -> None:
    """Whoever joins after six bookings does not get the next six in a row, but a third of them."""
    place = bookable(fake, hosts=3, hosting="round_robin")
    first, second, third = (person.id for person in place.people)
    share(place, {first: 1, second: 1})
    early = [place.book(place.at(9 + n)).hosts[0].id for n in range(6)]
    assert {early.count(first), early.count(second)} == {3}
    share(place, {first: 1, second: 1, third: 1})
    next_six = [place.book(place.at(9 + n, 30)).hosts[0].id for n in range(6)]
    assert [next_six.count(host) for host in (first, second, third)] == [2, 2, 2]
    share(place, {third: 1, first: 1, second: 1})  # another order is no change of shares
    assert place.book(place.at(15)).hosts[0].id == third
    assert place.book(place.at(15, 30)).hosts[0].id == first


@pytest.mark.parametrize("hours", [-2, 2])
def test_shares_of_a_round_robin_follow_the_shared_clock(
    fake: FakeProvider, database: Database, hours: int
) -> None:
    """What a web process books whose own clock is wrong counts from the same moment as everybody else's."""
    if database.kind != "postgresql":
        pytest.skip("processes on SQLite share one machine's clock")
    place = bookable(fake, hosts=2, hosting="round_robin")
    first, second = (person.id for person in place.people)
    share(place, {first: 1})
    with stepped(hours * 3600):
        before = [place.book(place.at(9 + n)).hosts[0].id for n in range(4)]
    share(place, {first: 1, second: 1})
    with stepped(hours * 3600):
        after = [place.book(place.at(13 + n)).hosts[0].id for n in range(4)]
    assert before == [first] * 4
    assert sorted(after) == sorted([first, second] * 2)


def test_round_robin_turns_to_hosts_who_are_free_at_their_provider(fake: FakeProvider) -> None:
    """When the provider knows that the ones whose turn it is are busy, another host takes the booking."""
    place = bookable(fake, hosts=5, hosting="round_robin")
    for calendar in place.calendars[:4]:
        fake.add_event(calendar.remote_id, place.at(10), place.at(11))
    assert place.book(place.at(10)).hosts[0].id == place.people[4].id
    with pytest.raises(SlotUnavailable):
        place.book(place.at(10))


def test_collective_takes_all_or_nothing(fake: FakeProvider) -> None:
    """A collective booking claims every host; one who is busy, here or at a provider, stops it whole."""
    place = bookable(fake, hosts=3, hosting="collective")
    made = place.book(place.at(10))
    assert {host.id for host in made.hosts} == {person.id for person in place.people}
    assert len(reservations()) == 3
    carry_out()
    assert all(made.id in ours(fake, [calendar]) for calendar in place.calendars)
    fake.add_event(place.calendars[2].remote_id, place.at(12), place.at(13))
    solo = factories.event_type(place.workspace, place.people[1], durations=[30], step_minutes=30)
    place.book(place.at(14), event_type_id=solo.id)
    for hour in (12, 14):
        with pytest.raises(SlotUnavailable):
            place.book(place.at(hour))
    assert len(reservations()) == 4
    transitions.cancel(place.owner, made.id)
    assert len(reservations()) == 1
    assert_consistent()


def test_caps_count_across_states(fake: FakeProvider) -> None:
    """A daily cap closes the day; a cancellation opens it again."""
    place = bookable(fake, daily_cap=2)
    first = place.book(place.at(9))
    place.book(place.at(10))
    with pytest.raises(SlotUnavailable):
        place.book(place.at(11))
    assert place.book(place.at(11, days=1)).status == "confirmed"
    transitions.cancel(place.owner, first.id)
    assert place.book(place.at(11)).status == "confirmed"


def test_seats_share_one_reservation(fake: FakeProvider) -> None:
    """A group fills its seats in one reservation, which stands until the last guest leaves; the calendar names each
    customer once, as nobody's guest."""
    place = bookable(fake, seats=3)
    guests = [place.book(place.at(10), guest=(f"G{n}", f"g{n}@example.org")) for n in range(3)]
    assert len(reservations()) == 1
    carry_out()
    events = ours(fake, place.calendars).values()
    assert sorted(event.description.split("\n")[0] for event in events) == [
        f"G{n} <g{n}@example.org>" for n in range(3)
    ]
    assert not any(event.attendees for event in events)
    with pytest.raises(SlotUnavailable):
        place.book(place.at(10))
    for number, guest in enumerate(guests):
        assert len(reservations()) == 1
        transitions.cancel(place.owner, guest.id)
        if number == 0:
            again = place.book(place.at(10), guest=("Late", "late@example.org"))
            guests.append(again)
    assert reservations() == []
    assert_consistent()


def test_a_hold_keeps_its_time_for_its_visitor(place: Place) -> None:
    """Others find the time taken, the visitor books it, and a hold that ran out holds nothing."""
    now = datetime.now(UTC)
    hold = holds.create(place.event_type.id, place.at(10), now=now)
    with pytest.raises(SlotUnavailable):
        place.book(place.at(10), now=now)
    with pytest.raises(SlotUnavailable):
        place.book(place.at(10), hold_id=hold.id[:26] + "0" * 32, now=now)
    made = place.book(place.at(10), hold_id=hold.id, now=now)
    assert made.status == "confirmed"
    late = holds.create(place.event_type.id, place.at(11), now=now)
    after = late.expires_at + timedelta(seconds=1)
    other = place.book(place.at(11), now=after)
    assert other.status == "confirmed"
    with pytest.raises(SlotUnavailable):
        place.book(place.at(11), hold_id=late.id, now=after)
    assert_consistent()


def test_holds_are_replaced_released_and_swept(place: Place) -> None:
    """A visitor who picks another time lets go of the first; holds that nobody used go away."""
    first = holds.create(place.event_type.id, place.at(10))
    second = holds.create(place.event_type.id, place.at(11), replaces=first.id)
    assert [row.starts for row in reservations()] == [instant(place.at(11))]
    with pytest.raises(NotFound):
        holds.release(second.id[:26])
    holds.release(second.id)
    assert reservations() == []
    third = holds.create(place.event_type.id, place.at(12))
    assert holds.expire(third.expires_at) == 0
    assert reservations() == []
    assert holds.expire(third.expires_at + holds.KEPT_UNUSED) == 1


def test_stale_calendars_may_ask_for_approval(fake: FakeProvider) -> None:
    """A calendar set to ask for approval makes bookings pending while it could not be read lately."""
    place = bookable(fake)
    with transaction() as session:
        row = session.get_one(Calendar, place.calendars[0].id)
        row.stale_policy, row.synced_at = "approve", datetime.now(UTC) - timedelta(hours=5)
    assert place.book(place.at(10)).status == "pending"


def test_a_failure_in_the_transaction_leaves_nothing(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the last step of the transaction fails, neither booking, reservation nor write exists."""

    def broken(*_arguments: object, **_options: object) -> None:
        raise RuntimeError("the disk is full")

    monkeypatch.setattr("calendar_app.services.common.audit_log.record", broken)
    with pytest.raises(RuntimeError):
        place.book(place.at(10))
    assert (assert_consistent(), reservations(), writes()) == ([], [], [])
    with reading() as session:
        assert session.exec(select(Booking)).all() == []


def test_nobody_keeps_a_whole_calendar_with_holds(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """One address holds a bounded number of times at once; swapping a hold for another time is not counted again."""
    monkeypatch.setattr(holds, "ALIVE", "3 per 10 minutes")
    hold = partial(holds.create, place.event_type.id)
    made = [hold(place.at(hour), client="192.0.2.1") for hour in (9, 10, 11)]
    with pytest.raises(TooManyRequests):
        hold(place.at(12), client="192.0.2.1")
    hold(place.at(13), client="192.0.2.1", replaces=made[0].id)
    hold(place.at(14), client="192.0.2.2")
    assert len(reservations()) == 4


def test_one_address_books_only_so_often(place: Place, configure: Callable[..., Settings]) -> None:
    """Beyond the operator's limit an address is told to wait; another address still books."""
    configure(BOOKINGS_PER_MINUTE="2")
    found: list[object] = []
    for hour in range(9, 15):
        found += at_once(partial(place.book, place.at(hour), client="192.0.2.1"))
    limited = [isinstance(result, TooManyRequests) for result in found]
    assert 2 <= limited.index(True) <= 4  # more than two if a minute begins in between
    assert place.book(place.at(15), client="192.0.2.2").status == "confirmed"


def test_two_answers_to_one_request(fake: FakeProvider) -> None:
    """Eight confirmations and declines of one pending booking at once: one is carried out, all others are refused."""
    place = bookable(fake, requires_approval=True)
    for hour in (9, 10, 11, 12):
        made = place.book(place.at(hour))
        assert made.status == "pending"
        with pytest.raises(SlotUnavailable):
            place.book(place.at(hour))
        answers = [transitions.confirm, transitions.decline] * 4
        found = at_once(*(partial(answer, place.owner, made.id) for answer in answers))
        done = {result.status for result in found if isinstance(result, BookingView)}
        assert done == {booking_queries.get(place.owner, made.id).status}
        assert all(isinstance(result, BookingView | TransitionRefused | StateChanged) for result in found), (
            found
        )
    assert_consistent()
