"""Moving a booking by hand: its length, what is in the way, who else moved it, and taking it back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import select

from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import Mail
from calendar_app.errors import InvalidInput, NotFound, ProviderUnavailable, SlotUnavailable, StateChanged
from calendar_app.services.booking_emails.writer import BookingWriter
from calendar_app.services.bookings import queries as booking_queries
from calendar_app.services.bookings import reschedule as booking_reschedule
from calendar_app.services.bookings.views import BookingView
from calendar_app.services.calendar_sync import requests as sync_requests
from calendar_app.services.calendar_writes import outbox as write_outbox
from calendar_app.services.mail import outbox as mail_outbox
from tests.support import factories
from tests.support.fake_provider import FakeProvider
from tests.support.scheduling import Place, bookable, writes

pytestmark = pytest.mark.usefixtures("database")
WAIT = timedelta(seconds=10)


def letters(booking_id: str) -> list[tuple[str, str]]:
    """Kind and state of what is told of a booking, oldest first, reminders aside."""
    with reading() as session:
        query = select(Mail).where(Mail.booking_id == booking_id, Mail.kind != mail_outbox.REMINDER)
        return [(row.kind, row.state) for row in session.exec(query.order_by(Mail.version, Mail.kind))]


def all_told(booking_id: str) -> None:
    """Whoever had to hear of the booking has."""
    with transaction() as session:
        for row in session.exec(select(Mail).where(Mail.booking_id == booking_id)):
            row.state = mail_outbox.SENT


def moved(place: Place, booking: BookingView, now: datetime) -> BookingView:
    return booking_reschedule.reschedule(
        place.owner,
        booking.id,
        place.at(11),
        end=place.at(12),
        version=booking.version,
        wait=WAIT,
        now=now,
    )


def test_a_booking_gets_another_length(fake: FakeProvider) -> None:
    """With an end the booking lasts until then, and its host's time is reserved accordingly."""
    place = bookable(fake)
    mine = place.book(place.at(10))
    longer = booking_reschedule.reschedule(place.owner, mine.id, place.at(10), end=place.at(11, 30))
    assert (longer.start, longer.end) == (place.at(10), place.at(11, 30))
    with pytest.raises(SlotUnavailable):
        place.book(place.at(11), guest=("Ada", "ada@example.org"))


@pytest.mark.parametrize("minutes", [0, -30, 4, 60 * 24 * 7 + 1])
def test_an_end_must_make_sense(fake: FakeProvider, minutes: int) -> None:
    """An end before the start, at once or after more than a week is refused, and nothing changes."""
    place = bookable(fake)
    mine = place.book(place.at(10))
    with pytest.raises(InvalidInput):
        booking_reschedule.reschedule(
            place.owner, mine.id, place.at(10), end=place.at(10) + timedelta(minutes=minutes)
        )
    assert booking_queries.get(place.owner, mine.id).end == mine.end


def test_a_move_waits_before_anybody_hears_of_it(fake: FakeProvider) -> None:
    """Until the wait is over no calendar is written and no letter is sent; then both are due."""
    place = bookable(fake)
    mine = place.book(place.at(10))
    write = writes(mine.id)[0]
    write_outbox.apply(write.id)
    now = datetime.now(UTC)
    moved(place, mine, now)
    assert write_outbox.apply(write.id, now=now + WAIT / 2) == "queued"
    assert writes(mine.id)[0].applied_version < writes(mine.id)[0].desired_version
    with reading() as session:
        due = [
            row.next_attempt_at for row in session.exec(select(Mail).where(Mail.version == mine.version + 1))
        ]
    assert due
    assert all(at == now + WAIT for at in due)
    assert write_outbox.apply(write.id, now=now + WAIT) == "verified"


def test_undo_tells_nobody(fake: FakeProvider) -> None:
    """A move that is taken back while nobody has heard of it leaves the booking as it was, and nobody is told."""
    place = bookable(fake)
    mine = place.book(place.at(10))
    all_told(mine.id)
    now = datetime.now(UTC)
    away = moved(place, mine, now)
    back = booking_reschedule.undo(
        place.owner, mine.id, mine.start, mine.end, version=away.version, now=now + WAIT / 2
    )
    assert (back.start, back.end, back.status) == (mine.start, mine.end, mine.status)
    told = letters(mine.id)
    assert {state for kind, state in told if "moved" in kind} == {mail_outbox.DROPPED}
    assert sum("moved" in kind for kind, _ in told) == 2, (
        "one to the customer, one to the host, and none about undo"
    )
    assert write_outbox.apply(writes(mine.id)[0].id, now=now + WAIT) == "verified"


def test_undo_after_the_letter_is_a_move_back(fake: FakeProvider) -> None:
    """Whoever was told of the move is told that the booking is back."""
    place = bookable(fake)
    mine = place.book(place.at(10))
    all_told(mine.id)
    now = datetime.now(UTC)
    away = moved(place, mine, now)
    all_told(mine.id)
    booking_reschedule.undo(
        place.owner, mine.id, mine.start, mine.end, version=away.version, now=now + 2 * WAIT
    )
    moves = [state for kind, state in letters(mine.id) if kind == "customer_moved"]
    assert moves == [mail_outbox.SENT, mail_outbox.DUE]


def test_undo_of_a_booking_that_nobody_heard_of_is_told(fake: FakeProvider) -> None:
    """Where the letter about the booking itself never went out, the customer hears where it stands in the end."""
    place = bookable(fake)
    mine = place.book(place.at(10))
    now = datetime.now(UTC)
    away = moved(place, mine, now)
    booking_reschedule.undo(place.owner, mine.id, mine.start, mine.end, version=away.version, now=now)
    with reading() as session:
        rows = session.exec(
            select(Mail).where(Mail.booking_id == mine.id, Mail.kind == "customer_moved")
        ).all()
        last = max(rows, key=lambda row: row.version)
        assert BookingWriter().choose(session, last) is not None


def test_reminders_follow_an_undone_move(fake: FakeProvider) -> None:
    """After a move and its undoing the customer is still reminded, once, before the booking's own time."""
    place = bookable(fake, reminders=[60])
    mine = place.book(place.at(10))
    all_told(mine.id)
    now = datetime.now(UTC)
    with transaction() as session:
        for row in session.exec(select(Mail).where(Mail.kind == mail_outbox.REMINDER)):
            row.state = mail_outbox.DUE
    away = moved(place, mine, now)
    booking_reschedule.undo(place.owner, mine.id, mine.start, mine.end, version=away.version, now=now)
    with reading() as session:
        waiting = session.exec(
            select(Mail.next_attempt_at).where(
                Mail.kind == mail_outbox.REMINDER, Mail.state == mail_outbox.DUE
            )
        ).all()
    assert waiting == [mine.start - timedelta(minutes=60)]


def test_two_people_move_one_booking(fake: FakeProvider) -> None:
    """Of two who move the booking that both see, the second is told so, and the first one's time stands."""
    place = bookable(fake)
    mine = place.book(place.at(10))
    now = datetime.now(UTC)
    first = moved(place, mine, now)
    with pytest.raises(StateChanged, match="Somebody changed this booking"):
        booking_reschedule.reschedule(place.owner, mine.id, place.at(14), version=mine.version, now=now)
    with pytest.raises(StateChanged):
        booking_reschedule.undo(place.owner, mine.id, mine.start, mine.end, version=mine.version, now=now)
    assert booking_queries.get(place.owner, mine.id).start == first.start


def test_a_conflict_is_named(fake: FakeProvider) -> None:
    """What is in the way is said with its calendar, provider and time; the move is refused and loses nothing."""
    place = bookable(fake)
    mine = place.book(place.at(10))
    fake.add_event(place.calendars[0].remote_id, place.at(13), place.at(14))
    sync_requests.sync_calendar(place.calendars[0].id)

    def conflict(hour: int) -> str:
        return booking_reschedule.conflict(place.owner, mine.id, place.at(hour), place.at(hour, 30))

    said = conflict(13)
    assert f"Busy: {place.calendars[0].name} (" in said
    assert "13:00–14:00" in said
    assert f"{place.at(13):%a} {place.at(13).day} {place.at(13):%b}" in said
    assert conflict(15) == ""
    assert conflict(7) == "", "staff may leave working hours aside"
    with pytest.raises(SlotUnavailable):
        booking_reschedule.reschedule(place.owner, mine.id, place.at(13))
    assert booking_queries.get(place.owner, mine.id).start == mine.start
    stranger = factories.actor(factories.person(), factories.workspace())
    with pytest.raises(NotFound):
        booking_reschedule.conflict(stranger, mine.id, place.at(15), place.at(16))


def test_the_bookings_own_event_is_not_in_its_way(fake: FakeProvider) -> None:
    """While its calendar still has the event at the old time, a moved booking can go back there, or overlap it; another
    event at that very time stays in the way."""
    place = bookable(fake)
    calendar = place.calendars[0]
    mine = place.book(place.at(10))
    all_told(mine.id)
    write_outbox.apply(writes(mine.id)[0].id)
    sync_requests.sync_calendar(calendar.id)
    now = datetime.now(UTC)
    away = moved(place, mine, now)
    assert booking_reschedule.conflict(place.owner, mine.id, place.at(10, 15), place.at(10, 45)) == ""
    back = booking_reschedule.undo(
        place.owner, mine.id, mine.start, mine.end, version=away.version, now=now + WAIT / 2
    )
    assert back.start == mine.start
    fake.add_event(calendar.remote_id, place.at(14), place.at(15))
    sync_requests.sync_calendar(calendar.id)
    assert booking_reschedule.conflict(place.owner, mine.id, place.at(14), place.at(15)) != ""


def test_a_move_while_the_provider_is_away_is_kept(fake: FakeProvider) -> None:
    """A provider that does not answer loses nothing: the booking is at its new time, and its calendar is written once
    the provider is back."""
    place = bookable(fake)
    mine = place.book(place.at(10))
    write = writes(mine.id)[0]
    write_outbox.apply(write.id)
    now = datetime.now(UTC)
    fake.fail("freebusy", ProviderUnavailable("away"))
    fake.fail("put_event", ProviderUnavailable("away"))
    moved(place, mine, now)
    assert booking_queries.get(place.owner, mine.id).start == place.at(11)
    assert write_outbox.apply(write.id, now=now + WAIT) == "queued"
    assert write_outbox.apply(write.id, now=now + timedelta(hours=1)) == "verified"
