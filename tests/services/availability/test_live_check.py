"""The last look before a booking: free/busy first, and the events where it counts what the mirror rightly does not."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from calendar_app.db.session import transaction
from calendar_app.db.tables import Calendar, Connection
from calendar_app.domain.event import CalendarEvent, EventStatus, EventTime, Response, ShowAs
from calendar_app.domain.timespan import Span, instant
from calendar_app.errors import PermissionDenied, ProviderUnavailable, SlotUnavailable
from calendar_app.services.availability.event_judgement import judge
from calendar_app.services.bookings import reschedule as booking_reschedule
from calendar_app.services.calendar_sync import requests as sync_requests
from calendar_app.services.calendar_sync.run import Outcome
from tests.support.fake_provider import FakeProvider
from tests.support.scheduling import ZONE, Place, carry_out, ours

REMOTE = "series"


def _counts_everything(fake: FakeProvider, place: Place) -> str:
    """From now on free/busy counts every event that stands; the calendar's id at the vendor."""
    remote = place.calendars[0].remote_id
    fake.calendar(remote).counts = lambda event: event.status is not EventStatus.CANCELLED
    return remote


@pytest.mark.parametrize(
    "kind",
    [
        {"response": Response.DECLINED},
        {"show_as": ShowAs.FREE},
        {"show_as": ShowAs.WORKING_ELSEWHERE},
    ],
)
def test_what_blocks_nothing_in_the_mirror_blocks_no_booking(
    fake: FakeProvider, place: Place, kind: dict[str, object]
) -> None:
    """Free/busy counts a declined or free event: the events are read, and what was offered can be booked."""
    remote = _counts_everything(fake, place)
    fake.add_event(remote, place.at(10), place.at(11), **kind)
    assert place.book(place.at(10)).status == "confirmed"
    assert fake.count("events_in") == 1


@pytest.mark.parametrize("synced", [False, True])
@pytest.mark.parametrize("free_busy", [False, True])
def test_the_old_time_of_a_moved_booking_is_free_before_its_event_has_moved(
    fake: FakeProvider, place: Place, free_busy: bool, synced: bool
) -> None:
    """A booking was moved and the writer has not come to its event: another customer gets the old time, nobody the
    new one; what somebody else put at the old time still counts."""
    moved, other = place.book(place.at(10)), place.book(place.at(11))
    carry_out()
    booking_reschedule.reschedule(place.owner, moved.id, place.at(14))
    booking_reschedule.reschedule(place.owner, other.id, place.at(15))
    remote = place.calendars[0].remote_id
    if synced:
        assert sync_requests.sync_calendar(place.calendars[0].id).outcome is Outcome.DONE
    if not free_busy:
        fake.calendar(remote).counts = None
    fake.add_event(remote, place.at(11), place.at(11, 30))
    assert place.book(place.at(10)).status == "confirmed"
    for taken in (place.at(11), place.at(14)):
        with pytest.raises(SlotUnavailable):
            place.book(taken)


def test_an_event_of_ours_that_its_host_moved_takes_the_new_time(fake: FakeProvider, place: Place) -> None:
    """Nothing is waiting to be written: where our event stands, its host is, until the change was followed."""
    made = place.book(place.at(10))
    carry_out()
    event = ours(fake, place.calendars)[made.id]
    start, end = (EventTime(place.at(14, minute).replace(tzinfo=None), ZONE) for minute in (0, 30))
    fake.change(place.calendars[0].remote_id, replace(event, start=start, end=end))
    with pytest.raises(SlotUnavailable):
        place.book(place.at(14))


def test_a_real_event_beside_it_still_counts(fake: FakeProvider, place: Place) -> None:
    """Of a declined event and one that takes time, the second keeps its time."""
    remote = _counts_everything(fake, place)
    fake.add_event(remote, place.at(10), place.at(11), response=Response.DECLINED)
    fake.add_event(remote, place.at(10, 30), place.at(11))
    with pytest.raises(SlotUnavailable):
        place.book(place.at(10, 30))
    assert place.book(place.at(10)).status == "confirmed"


def test_events_are_read_only_where_free_busy_says_busy(fake: FakeProvider, place: Place) -> None:
    """A free time costs one request, and so does one where nothing but our own event stands."""
    first = place.book(place.at(10))
    carry_out()
    place.book(place.at(14))
    assert place.book(place.at(11)).status == "confirmed"
    assert fake.count("events_in") == 0
    assert first.status == "confirmed"


@pytest.mark.parametrize("error", [ProviderUnavailable(), PermissionDenied()])
def test_busy_counts_where_the_events_cannot_be_read(
    fake: FakeProvider, place: Place, error: Exception
) -> None:
    """Unknown is busy: the word of free/busy stands."""
    remote = _counts_everything(fake, place)
    fake.add_event(remote, place.at(10), place.at(11), response=Response.DECLINED)
    fake.fail("events_in", error)
    with pytest.raises(SlotUnavailable):
        place.book(place.at(10))


def test_what_free_busy_knows_beyond_the_events_is_busy(fake: FakeProvider, place: Place) -> None:
    """A busy time that no event explains stays busy."""
    fake.calendar(place.calendars[0].remote_id).also_busy = [
        Span(instant(place.at(10)), instant(place.at(11)))
    ]
    with pytest.raises(SlotUnavailable):
        place.book(place.at(10))
    assert fake.count("events_in") == 1


@pytest.mark.parametrize("busy", [True, False])
def test_without_free_busy_the_events_tell(fake: FakeProvider, place: Place, busy: bool) -> None:
    """A server that has no free/busy is asked for the events, which are judged in the same way."""
    remote = place.calendars[0].remote_id
    fake.calendar(remote).counts = None
    fake.add_event(remote, place.at(10), place.at(11), show_as=ShowAs.BUSY if busy else ShowAs.FREE)
    if busy:
        with pytest.raises(SlotUnavailable):
            place.book(place.at(10))
    else:
        assert place.book(place.at(10)).status == "confirmed"


@pytest.mark.parametrize("busy", [True, False])
def test_a_permission_that_was_unticked_makes_nobody_unbookable(
    fake: FakeProvider, place: Place, busy: bool
) -> None:
    """Without the permission to ask for free/busy nothing is asked for it, and the events tell, also where the
    calendar's owner wants their time closed when it cannot be read."""
    calendar = place.calendars[0]
    with transaction() as session:
        session.get_one(Connection, calendar.connection_id).scopes = ["profile", "calendar"]
        session.get_one(Calendar, calendar.id).stale_policy = "close"
    if busy:
        fake.add_event(calendar.remote_id, place.at(10), place.at(11))
        with pytest.raises(SlotUnavailable):
            place.book(place.at(10))
    else:
        assert place.book(place.at(10)).status == "confirmed"
    assert (fake.count("freebusy"), fake.count("events_in")) == (0, 1)


def test_all_days_are_days_of_the_calendar(fake: FakeProvider, place: Place) -> None:
    """An all-day event is judged in the calendar's zone, as the mirror reads it."""
    remote = place.calendars[0].remote_id
    day = place.at(10).date()
    fake.calendar(remote).counts = None
    event = CalendarEvent("day", start=EventTime(day), end=EventTime(day + timedelta(days=1)))
    fake.change(remote, event)
    with pytest.raises(SlotUnavailable):
        place.book(place.at(9))
    assert place.book(place.at(9, days=1)).status == "confirmed"


def _at(hour: int, day: int = 7) -> EventTime:
    return EventTime(datetime(2026, 12, day, hour), "Europe/Berlin")  # noqa: DTZ001  # wall clock of the zone


def _span(hour: int, day: int = 7) -> Span:
    start = instant(datetime.fromisoformat(f"2026-12-{day:02}T{hour:02}:00:00+01:00"))
    return Span(start, start + 3600)


SERIES = CalendarEvent(REMOTE, start=_at(9), end=_at(10), recurrence=("RRULE:FREQ=DAILY;COUNT=300",))
CHANGE = CalendarEvent("change", start=_at(9, 9), end=_at(10, 9), master_id=REMOTE, original_start=_at(9, 9))


@pytest.mark.parametrize(
    ("change", "span", "busy", "known"),
    [
        (None, _span(9, 9), True, True),
        (None, _span(11, 9), False, False),
        (replace(CHANGE, status=EventStatus.CANCELLED, start=None, end=None), _span(9, 9), False, True),
        (replace(CHANGE, status=EventStatus.CANCELLED), _span(9, 9), False, True),
        (replace(CHANGE, show_as=ShowAs.FREE), _span(9, 9), False, True),
        (replace(CHANGE, response=Response.DECLINED), _span(9, 9), False, True),
        (replace(CHANGE, start=_at(13, 9), end=_at(14, 9)), _span(9, 9), False, True),
        (replace(CHANGE, start=_at(13, 9), end=_at(14, 9)), _span(13, 9), True, True),
        (
            replace(CHANGE, start=_at(13, 9), end=_at(14, 9), status=EventStatus.CANCELLED),
            _span(13, 9),
            False,
            True,
        ),
        (replace(CHANGE, show_as=ShowAs.FREE), _span(9, 10), True, True),
    ],
)
def test_occurrences_are_judged_one_by_one(
    change: CalendarEvent | None, span: Span, busy: bool, known: bool
) -> None:
    """A series and a change of it: what they block, and where they lie, moved and cancelled occurrences included."""
    found = judge([SERIES] if change is None else [SERIES, change], "Europe/Berlin", span)
    assert any(span.overlaps(one) for one in found.busy) is busy
    assert any(span.overlaps(one) for one in found.known) is known


@pytest.mark.parametrize("response", [Response.DECLINED, Response.ACCEPTED])
def test_occurrences_that_are_listed_alone(response: Response) -> None:
    """Where a provider lists occurrences, each has its own answer; its master is not needed."""
    alone = replace(CHANGE, response=response)
    found = judge([alone], "Europe/Berlin", _span(9, 9))
    assert found.busy == ([] if response is Response.DECLINED else [_span(9, 9)])
    assert _span(9, 9) in found.known
