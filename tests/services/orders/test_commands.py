"""Orders: drafts that hold nothing, and appointments that come and go together."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlmodel import col, select

from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import AuditEntry, Booking, BookingHost, EventType, Mail, Membership
from calendar_app.domain.booking import TransitionRefused
from calendar_app.errors import Conflict, InvalidInput, NotFound, SlotUnavailable
from calendar_app.services.bookings import transitions
from calendar_app.services.common.permissions import Role
from calendar_app.services.event_types import commands as event_type_commands
from calendar_app.services.orders import commands as order_commands
from calendar_app.services.orders import queries as order_queries
from calendar_app.services.orders.commands import NewLine
from calendar_app.services.orders.queries import OrderView
from tests.support import factories
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

pytestmark = pytest.mark.usefixtures("database")


def draft(place: Place, *starts: datetime, **options: Any) -> OrderView:
    return order_commands.create(
        [NewLine(place.event_type.id, start) for start in starts], ZONE, *GUEST, **options
    )


def another_kind(place: Place, *hosts: int, **columns: Any) -> EventType:
    """A second event type of the place, hosted by those of its people."""
    fields = {"title": "Workshop", "durations": [60], "step_minutes": 30} | columns
    return factories.event_type(place.workspace, *(place.people[number] for number in hosts), **fields)


def test_a_draft_holds_nothing(place: Place) -> None:
    """A draft keeps what was wanted, in order, and neither reserves nor writes anything."""
    made = draft(place, place.at(11), place.at(9))
    assert (made.status, made.bookings, made.confirmed_at) == ("draft", (), None)
    assert [line.start for line in made.lines] == [place.at(11), place.at(9)]
    assert [line.duration for line in made.lines] == [30, 30]
    assert (reservations(), writes(), assert_consistent()) == ([], [], [])
    assert place.book(place.at(9)).status == "confirmed"


def test_confirming_makes_every_appointment(fake: FakeProvider, place: Place) -> None:
    """Each line becomes a booking of the order, with calendar event, letter and audit entry like any other."""
    workshop = another_kind(place, 0, requires_approval=True)
    order = order_commands.create(
        [NewLine(place.event_type.id, place.at(9)), NewLine(workshop.id, place.at(14), 60)], ZONE, *GUEST
    )
    done = order_commands.confirm_by_token(order.token)
    assert done.status == "confirmed"
    assert done.confirmed_at is not None
    assert [(b.start, b.end - b.start, b.status) for b in done.bookings] == [
        (place.at(9), timedelta(minutes=30), "confirmed"),
        (place.at(14), timedelta(minutes=60), "pending"),
    ]
    assert [line.booking_id for line in done.lines] == [booking.id for booking in done.bookings]
    carry_out()
    assert set(ours(fake, place.calendars)) == {done.bookings[0].id}
    with reading() as session:
        rows = session.exec(select(Booking).order_by(col(Booking.start_at))).all()
        assert [row.order_id for row in rows] == [order.id, order.id]
        actions = [entry.action for entry in session.exec(select(AuditEntry).order_by(col(AuditEntry.at)))]
        told = {mail.booking_id for mail in session.exec(select(Mail)) if mail.recipient == GUEST[1]}
    assert actions == ["order.created", "booking.created", "booking.created", "order.confirmed"]
    assert told == {row.id for row in rows}
    assert_consistent()


def test_one_line_that_cannot_be_had_stops_all(place: Place) -> None:
    """All or none: the refusal names the line, nothing is left behind, and the draft can be confirmed later."""
    order = draft(place, place.at(9), place.at(10), place.at(11))
    other = place.book(place.at(10))
    with pytest.raises(SlotUnavailable, match=r"Line 2.*just taken") as caught:
        order_commands.confirm_by_token(order.token)
    assert caught.value.field == "lines[1]"
    assert len(assert_consistent()) == 1
    assert len(writes()) == 1
    assert order_queries.get(place.owner, order.id).status == "draft"
    transitions.cancel(place.owner, other.id)
    assert len(order_commands.confirm_by_token(order.token).bookings) == 3


def test_a_failure_at_the_end_leaves_nothing(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the transaction's last step fails, no line has left a trace."""
    order = draft(place, place.at(9), place.at(10))

    def broken(*_arguments: object, **_options: object) -> None:
        raise RuntimeError("the disk is full")

    monkeypatch.setattr("calendar_app.services.orders.commands._record", broken)
    with pytest.raises(RuntimeError):
        order_commands.confirm_by_token(order.token)
    assert (assert_consistent(), reservations(), writes()) == ([], [], [])
    assert order_queries.by_token(order.token).status == "draft"


def test_lines_of_one_order_do_not_share_a_host(fake: FakeProvider) -> None:
    """Two lines at one time need two hosts: one host is refused, a round robin gives each line its own."""
    alone = bookable(fake)
    with pytest.raises(SlotUnavailable, match="Line 2"):
        order_commands.confirm_by_token(draft(alone, alone.at(9), alone.at(9)).token)
    assert reservations() == []
    team = bookable(fake, hosts=5, hosting="round_robin")
    made = order_commands.confirm_by_token(draft(team, *[team.at(9)] * 5).token)
    assert {booking.hosts[0].id for booking in made.bookings} == {person.id for person in team.people}
    with pytest.raises(SlotUnavailable, match="Line 1"):
        order_commands.confirm_by_token(draft(team, team.at(9), team.at(10)).token)
    assert_consistent()


def test_caps_and_buffers_count_between_lines(fake: FakeProvider) -> None:
    """An order cannot exceed a cap by coming at once, nor sit in its own buffers."""
    place = bookable(fake, daily_cap=2, buffer_after=15)
    with pytest.raises(SlotUnavailable, match="Line 3"):
        order_commands.confirm_by_token(draft(place, place.at(9), place.at(11), place.at(13)).token)
    with pytest.raises(SlotUnavailable, match="Line 2"):
        order_commands.confirm_by_token(draft(place, place.at(9), place.at(9, 30)).token)
    assert reservations() == []
    assert len(order_commands.confirm_by_token(draft(place, place.at(9), place.at(10)).token).bookings) == 2


def test_two_lines_may_be_two_seats(fake: FakeProvider) -> None:
    """Two lines of the same group event are two seats under one reservation."""
    place = bookable(fake, seats=2)
    assert len(order_commands.confirm_by_token(draft(place, place.at(9), place.at(9)).token).bookings) == 2
    assert len(reservations()) == 1
    with pytest.raises(SlotUnavailable):
        place.book(place.at(9))


def test_the_providers_are_asked_for_every_line(fake: FakeProvider) -> None:
    """An event that no sync has seen stops the line whose time it takes, and with it the order."""
    place = bookable(fake)
    fake.add_event(place.calendars[0].remote_id, place.at(10), place.at(10, 30))
    with pytest.raises(SlotUnavailable, match="Line 2"):
        order_commands.confirm_by_token(draft(place, place.at(9), place.at(10)).token)
    assert fake.count("freebusy") == 2
    assert reservations() == []


def test_confirming_twice_makes_nothing_more(place: Place) -> None:
    """The second confirmation answers with the same bookings; so does one that comes at the same moment."""
    order = draft(place, place.at(9), place.at(10))
    first = order_commands.confirm_by_token(order.token)
    again = order_commands.confirm(place.owner, order.id)
    assert [b.id for b in again.bookings] == [b.id for b in first.bookings]
    twice = draft(place, place.at(11), place.at(12))
    results = at_once(*[lambda: order_commands.confirm_by_token(twice.token)] * 6)
    assert all(isinstance(result, OrderView) for result in results), results
    assert len({tuple(b.id for b in result.bookings) for result in results}) == 1  # type: ignore[attr-defined]
    assert len(assert_consistent()) == 4


def test_orders_that_want_the_same_have_one_winner(place: Place) -> None:
    """Of orders that overlap in one line exactly one is confirmed, and the others leave nothing."""
    wanted = [draft(place, place.at(9 + number), place.at(16)) for number in range(6)]
    results = at_once(*[lambda o=order: order_commands.confirm_by_token(o.token) for order in wanted])
    won = [result for result in results if isinstance(result, OrderView)]
    assert len(won) == 1
    assert all(isinstance(r, SlotUnavailable) and r.field == "lines[1]" for r in results if r not in won)
    assert {row.order_id for row in assert_consistent()} == {won[0].id}
    assert len(reservations()) == 2


def test_opposite_orders_do_not_wait_for_each_other(
    fake: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Orders that name the same hosts and event types in opposite order all go through at the first try."""
    monkeypatch.setattr(
        "calendar_app.services.bookings.reservations._TRIES", 1
    )  # a deadlock is not made up for
    place = bookable(fake, hosts=2, hosting="collective")
    kinds = [another_kind(place, 0), another_kind(place, 1), place.event_type]
    made = []
    for number in range(4):
        lines = [NewLine(kind.id, place.at(9 + 2 * at, days=number)) for at, kind in enumerate(kinds)]
        back = [NewLine(line.event_type_id, line.start + timedelta(hours=1)) for line in reversed(lines)]
        made += [order_commands.create(lines, ZONE, *GUEST), order_commands.create(back, ZONE, *GUEST)]
    results = at_once(*[lambda o=order: order_commands.confirm_by_token(o.token) for order in made])
    assert all(isinstance(result, OrderView) for result in results), results
    assert len(assert_consistent()) == 3 * len(made)
    with reading() as session:
        assert len(session.exec(select(BookingHost)).all()) == 4 * len(made)


def test_cancelling_cancels_all_of_it(fake: FakeProvider, place: Place) -> None:
    """What still holds time is cancelled with the order; a second time changes nothing; a draft just ends."""
    order = order_commands.confirm_by_token(draft(place, place.at(9), place.at(10)).token)
    carry_out()
    transitions.cancel(place.owner, order.bookings[0].id, "alone")
    gone = order_commands.cancel_by_token(order.token, "all")
    assert (gone.status, [b.cancel_reason for b in gone.bookings]) == ("cancelled", ["alone", "all"])
    assert order_commands.cancel_by_token(order.token, "again").bookings == gone.bookings
    carry_out()
    assert (reservations(), ours(fake, place.calendars)) == ([], {})
    with pytest.raises(Conflict, match="was cancelled") as caught:
        order_commands.confirm_by_token(order.token)
    assert caught.value.code == "order_cancelled"
    assert order_commands.cancel(place.owner, draft(place, place.at(9)).id).status == "cancelled"


def test_cancelling_is_all_or_nothing(fake: FakeProvider) -> None:
    """The notice of one appointment keeps a customer's whole order standing; staff may cancel it."""
    place = bookable(fake, cancel_notice=24 * 60)
    order = order_commands.confirm_by_token(draft(place, place.at(9), place.at(9, days=2)).token)
    with pytest.raises(TransitionRefused):
        order_commands.cancel_by_token(order.token, now=place.at(12, days=-1))
    assert [row.status for row in assert_consistent()] == ["confirmed", "confirmed"]
    assert order_commands.cancel(place.owner, order.id, now=place.at(12, days=-1)).status == "cancelled"
    assert reservations() == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"start": datetime(2001, 1, 1, tzinfo=UTC)}, "lines[1].start"),
        ({"start": datetime(2031, 1, 1)}, "lines[1].start"),  # noqa: DTZ001  # naive on purpose
        ({"duration": 31}, "lines[1].duration"),
        ({"answers": {"surprise": "x"}}, "lines[1].surprise"),
    ],
)
def test_a_bad_line_is_named(place: Place, change: dict[str, Any], field: str) -> None:
    """What is wrong with one line says which line it is."""
    line: dict[str, Any] = {"event_type_id": place.event_type.id, "start": place.at(9)}
    with pytest.raises(InvalidInput, match="Line 2") as caught:
        order_commands.create([NewLine(**line), NewLine(**(line | change))], ZONE, *GUEST)
    assert str(caught.value.field).startswith(field.rpartition(".")[0])


def test_what_cannot_be_ordered(fake: FakeProvider, place: Place) -> None:
    """No lines, too many, two businesses, and event types that are private or switched off."""
    for count in (0, order_commands.LONGEST + 1):
        with pytest.raises(InvalidInput, match="1 to 20"):
            draft(place, *[place.at(9)] * count)
    other = bookable(fake)
    lines = [NewLine(place.event_type.id, place.at(9)), NewLine(other.event_type.id, place.at(10))]
    with pytest.raises(InvalidInput, match="one business"):
        order_commands.create(lines, ZONE, *GUEST)
    private, off = another_kind(place, 0, is_public=False), another_kind(place, 0, is_active=False)
    with pytest.raises(NotFound):
        order_commands.create([NewLine(private.id, place.at(9))], ZONE, *GUEST)
    with pytest.raises(Conflict):
        order_commands.create([NewLine(off.id, place.at(9))], ZONE, *GUEST)
    made = order_commands.create([NewLine(private.id, place.at(9))], ZONE, *GUEST, actor=place.owner)
    with transaction() as session:
        session.get_one(EventType, private.id).is_active = False
    with pytest.raises(SlotUnavailable, match="not open"):
        order_commands.confirm(place.owner, made.id)


def test_an_event_type_that_was_ordered_stays(place: Place) -> None:
    """An event type that an order names can be switched off, not deleted."""
    draft(place, place.at(9))
    with pytest.raises(Conflict, match="switch it off"):
        event_type_commands.delete_event_type(place.owner, place.event_type.id)


def test_who_sees_which_orders(fake: FakeProvider) -> None:
    """Managers all of the workspace; staff what they took or host alone; customers their own; strangers nothing."""
    place = bookable(fake, hosts=2, hosting="collective")
    boss, helper = place.owner, factories.actor(place.people[1], place.workspace, Role.STAFF)
    theirs = another_kind(place, 0)
    mine = draft(place, place.at(9))
    other = order_commands.create(
        [NewLine(theirs.id, place.at(11)), NewLine(place.event_type.id, place.at(9))], ZONE, *GUEST
    )
    taken = order_commands.create(
        [NewLine(theirs.id, place.at(13))], ZONE, "Ada", "ada@example.org", actor=helper
    )
    assert [o.id for o in order_queries.list_orders(boss).items] == [taken.id, other.id, mine.id]
    assert [o.id for o in order_queries.list_orders(helper).items] == [taken.id, mine.id]
    guest = factories.person(email=GUEST[1])
    factories.save(Membership(person_id=guest.id, workspace_id=place.workspace.id, role="customer"))
    customer = factories.actor(guest, place.workspace, Role.CUSTOMER)
    assert [o.id for o in order_queries.list_orders(customer).items] == [other.id, mine.id]
    assert order_commands.confirm(customer, mine.id).bookings[0].sync == ()
    with pytest.raises(NotFound):
        order_queries.get(helper, other.id)
    with pytest.raises(NotFound):
        order_commands.confirm(bookable(fake).owner, other.id)
    for token in (mine.token[:-1], mine.bookings, "", mine.id):
        with pytest.raises(NotFound):
            order_queries.by_token(str(token))


def test_lists_page_and_filter(place: Place) -> None:
    """Newest first, page by page, by status."""
    made = [draft(place, place.at(9 + number)) for number in range(5)]
    order_commands.confirm_by_token(made[1].token)
    first = order_queries.list_orders(place.owner, limit=2)
    rest = order_queries.list_orders(place.owner, limit=5, after=first.next)
    assert [o.id for o in (*first.items, *rest.items)] == sorted((o.id for o in made), reverse=True)
    assert rest.next is None
    assert [o.id for o in order_queries.list_orders(place.owner, status=["confirmed"]).items] == [made[1].id]
    with pytest.raises(InvalidInput):
        order_queries.list_orders(place.owner, status=["lost"])
