"""A hold is the key of its booking: whatever comes twice, or late, ends in one booking."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from calendar_app.errors import NotFound, SlotUnavailable, TooManyRequests
from calendar_app.services.availability import slots as available_slots
from calendar_app.services.bookings import create as booking_create
from calendar_app.services.bookings import holds
from tests.support.fake_provider import FakeProvider
from tests.support.scheduling import Place, assert_consistent, bookable, reservations


def _at_once(*calls: partial[object]) -> list[object]:
    """What each call returned or raised, all started at the same moment."""
    found: list[object] = [None] * len(calls)
    barrier = threading.Barrier(len(calls))

    def run(number: int) -> None:
        barrier.wait()
        try:
            found[number] = calls[number]()
        except Exception as error:  # noqa: BLE001 - it is the answer
            found[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_the_same_key_finds_the_same_hold(place: Place) -> None:
    """Pressing a time twice keeps it once; another key finds it taken."""
    kind = place.event_type.id
    first = holds.create(kind, place.at(10), key="page-1")
    again = holds.create(kind, place.at(10), key="page-1")
    assert (again.id, again.expires_at) == (first.id, first.expires_at)
    assert len(reservations()) == 1
    with pytest.raises(SlotUnavailable):
        holds.create(kind, place.at(10), key="page-2")
    other = holds.create(kind, place.at(11), key="page-1", replaces=[first.id])
    assert other.id != first.id
    assert len(reservations()) == 1


def test_two_presses_at_once_keep_one_time(place: Place) -> None:
    """Six requests of one page for one time get one hold."""
    make = partial(holds.create, place.event_type.id, place.at(10), key="page-1")
    found = _at_once(*[make] * 6)
    assert len({getattr(hold, "id", hold) for hold in found}) == 1
    assert len(reservations()) == 1


@pytest.mark.parametrize("kind", ["single", "round_robin", "collective", "seats", "not kept", "ran out"])
def test_what_is_sent_twice_makes_one_booking(fake: FakeProvider, kind: str) -> None:
    """Four times at once and once more an hour later: one booking, whoever hosts it and however the hold stands."""
    place = bookable(
        fake,
        hosts=3 if kind in ("round_robin", "collective") else 1,
        hosting=kind if kind in ("round_robin", "collective") else "single",
        seats=5 if kind == "seats" else 1,
    )
    now = datetime.now(UTC)
    held = holds.create(place.event_type.id, place.at(10), key="page", keep=kind != "not kept", now=now)
    later = now + holds.LASTS + timedelta(seconds=5) if kind == "ran out" else now
    found = _at_once(*[partial(place.book, place.at(10), hold_id=held.id, now=later)] * 4)
    ids = {getattr(made, "id", made) for made in found}
    assert len(ids) == 1, ids
    again = place.book(place.at(10), hold_id=held.id, now=later + timedelta(hours=1))
    assert {again.id} == ids
    assert len(assert_consistent()) == 1
    assert holds.state(held.id).booking_id == again.id


def test_a_used_hold_answers_for_a_day(place: Place) -> None:
    """Its row stays after the booking, and goes a day later."""
    held = holds.create(place.event_type.id, place.at(10))
    made = place.book(place.at(10), hold_id=held.id)
    holds.expire(held.expires_at + timedelta(hours=23))
    assert holds.state(held.id).booking_id == made.id
    with pytest.raises(holds.AlreadyUsed):
        holds.renew(held.id)
    holds.expire(held.expires_at + holds.KEPT)
    with pytest.raises(NotFound):
        holds.state(held.id)


def test_a_used_hold_on_another_time_books_that_one(place: Place) -> None:
    """What was booked with it answers only for its own time."""
    held = holds.create(place.event_type.id, place.at(10))
    first = place.book(place.at(10), hold_id=held.id)
    second = place.book(place.at(11), hold_id=held.id)
    assert first.id != second.id
    assert holds.state(held.id).booking_id == first.id


def test_a_hold_is_renewed_and_moved(place: Place) -> None:
    """After it ran out it can be kept again if it is free still, or turned to another time, under the same id."""
    now = datetime.now(UTC)
    held = holds.create(place.event_type.id, place.at(10), now=now)
    later = now + holds.LASTS + timedelta(minutes=1)
    assert not holds.state(held.id, later).kept
    again = holds.renew(held.id, now=later)
    assert (again.id, again.expires_at) == (held.id, later + holds.LASTS)
    moved = holds.renew(held.id, place.at(12), now=later)
    assert (moved.id, moved.start) == (held.id, place.at(12).astimezone(UTC))
    assert len(reservations()) == 1
    after = later + holds.LASTS + timedelta(minutes=1)
    place.book(place.at(12), guest=("Other", "other@example.org"), now=after)
    with pytest.raises(SlotUnavailable):
        holds.renew(held.id, now=after)


def test_ones_own_hold_does_not_hide_ones_own_time(place: Place) -> None:
    """The visitor still sees the time that is kept for them; others do not."""
    held = holds.create(place.event_type.id, place.at(10))
    window = (place.at(9), place.at(12))

    def starts(**options: object) -> list[datetime]:
        view = available_slots.slots(place.event_type.id, *window, **options)  # type: ignore[arg-type]
        return [slot.start for slot in view.slots]

    assert place.at(10) not in starts()
    assert place.at(10) in starts(own_holds=[held.id[:26]])


def test_an_office_behind_one_address(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Browsers that are known are counted each by itself; all of them together are bounded too."""
    monkeypatch.setattr(holds, "ALIVE_OF_VISITOR", "2 per 10 minutes")
    monkeypatch.setattr(holds, "ALIVE_OF_ADDRESS", "4 per 10 minutes")
    times = iter([place.at(hour, minute) for hour in range(9, 17) for minute in (0, 30)])

    def tries(visitor: str, count: int) -> list[bool]:
        made = []
        for _ in range(count):
            try:
                holds.create(place.event_type.id, next(times), client="192.0.2.1", visitor=visitor)
                made.append(True)
            except TooManyRequests:
                made.append(False)
        return made

    assert tries("ada", 3) == [True, True, False]
    assert tries("bob", 2) == [True, True]
    assert tries("eve", 1) == [False]


def test_known_browsers_book_beside_each_other(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """One who has booked often does not keep others at the same address from booking."""
    monkeypatch.setattr("calendar_app.settings.Settings.bookings_per_minute", 1)
    book = partial(
        booking_create.create_booking, place.event_type.id, zone="UTC", name="G", client="192.0.2.1"
    )
    book(start=place.at(9), email="a@example.org", visitor="ada")
    with pytest.raises(TooManyRequests):
        book(start=place.at(10), email="b@example.org", visitor="ada")
    book(start=place.at(10), email="c@example.org", visitor="bob")
