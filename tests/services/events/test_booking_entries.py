"""Bookings in the agenda: each of them once, from the moment it is made, wherever its event is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlmodel import select

from calendar_app.db.session import transaction
from calendar_app.db.tables import Booking, BookingHost
from calendar_app.domain.event import BOOKING_MARK, CalendarEvent, EventStatus, EventTime
from calendar_app.services.calendar_mirror import mirror
from calendar_app.services.common.permissions import Role
from calendar_app.services.events import queries as event_queries
from calendar_app.services.events.occurrences import OccurrenceView
from tests.support import factories
from tests.support.databases import Database
from tests.support.factories import Team

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def at(hour: int, minute: int = 0, *, day: int = 3) -> datetime:
    return datetime(2026, 3, day, hour, minute, tzinfo=UTC)


@pytest.fixture
def team(database: Database) -> Team:
    """A workspace with one calendar in Berlin."""
    return factories.team()


def booked(team: Team, start: datetime, **columns: object) -> Booking:
    kind = factories.event_type(team.workspace, team.person, title="Consultation")
    return factories.booking(kind, team.person, start, **({"name": "Ada Customer"} | columns))


def event(remote_id: str, start: datetime, booking_id: str = "", **parts: object) -> CalendarEvent:
    private = {BOOKING_MARK: booking_id} if booking_id else {}
    end = start + timedelta(minutes=30)
    return CalendarEvent(
        remote_id,
        start=EventTime(start.replace(tzinfo=None), "UTC"),
        end=EventTime(end.replace(tzinfo=None), "UTC"),
        private=private,
        **parts,  # type: ignore[arg-type]
    )


def put(calendar_id: str, *events: CalendarEvent, full: bool = False) -> None:
    with transaction() as session:
        mirror.apply(session, calendar_id, events, full=full, now=NOW)


def listed(team: Team, **options: object) -> list[OccurrenceView]:
    return event_queries.between(team.actor, NOW, NOW + timedelta(days=9), **options).items  # type: ignore[arg-type]


def test_booking_is_listed_before_any_calendar_has_it(team: Team) -> None:
    """A booking is in the agenda at once, with its customer and state, and with no calendar."""
    row = booked(team, at(10))
    (one,) = listed(team)
    assert (one.booking_id, one.calendar_id, one.connection_id, one.event_id) == (row.id, None, None, "")
    assert (one.title, one.customer, one.booking_status) == (
        "Consultation with Ada Customer",
        "Ada Customer",
        "confirmed",
    )
    assert (one.start, one.end, one.busy, one.owner_name) == (at(10), at(10, 30), True, "")


def test_host_without_a_calendar_sees_theirs(database: Database) -> None:
    """Whoever has connected nothing sees the bookings that they host, and nobody else's."""
    place, host, other = factories.workspace(), factories.person(), factories.person(name="Grace")
    kind = factories.event_type(place, host, other)
    mine = factories.booking(kind, host, at(10))
    hers = factories.booking(kind, other, at(10))
    staff = factories.actor(host, place, Role.STAFF)
    manager = factories.actor(host, place, Role.MANAGER)
    end = NOW + timedelta(days=3)
    assert [one.booking_id for one in event_queries.between(staff, NOW, end).items] == [mine.id]
    seen = {one.booking_id: one.owner_name for one in event_queries.between(manager, NOW, end).items}
    assert seen == {mine.id: "", hers.id: "Grace"}


def test_booking_and_its_event_are_one_entry(team: Team) -> None:
    """Once the calendar has the event there is still one entry, which keeps its id and now names the calendar."""
    row = booked(team, at(10))
    write = factories.calendar_write(row, team.calendar)
    (before,) = listed(team)
    put(team.calendar.id, event(write.remote_id, at(10), row.id, html_link="https://example.com/e"))
    (after,) = listed(team)
    assert after.id == before.id
    assert (after.calendar_id, after.html_link) == (team.calendar.id, "https://example.com/e")
    assert [one.id for one in listed(team, calendar_id=team.calendar.id)] == [after.id]


def test_moved_booking_is_where_it_is_now(team: Team) -> None:
    """A booking that moved is at its new time, though the calendar's event is still at the old one."""
    row = booked(team, at(10))
    write = factories.calendar_write(row, team.calendar)
    put(team.calendar.id, event(write.remote_id, at(9), row.id))
    assert [one.start for one in listed(team)] == [at(10)]


@pytest.mark.parametrize("status", ["cancelled", "declined"])
def test_booking_that_is_off_is_not_listed(team: Team, status: str) -> None:
    """What was cancelled or declined leaves the agenda at once, with the event that is still to be removed."""
    row = booked(team, at(10), status=status)
    write = factories.calendar_write(row, team.calendar)
    put(team.calendar.id, event(write.remote_id, at(10), row.id))
    assert listed(team) == []


def test_copies_of_an_event_are_events(team: Team) -> None:
    """An owner's copy of our event on another day, and the later dates of a series made of it, stay in the agenda."""
    row = booked(team, at(10))
    write = factories.calendar_write(row, team.calendar)
    series = event(write.remote_id, at(10), row.id, recurrence=("RRULE:FREQ=DAILY;COUNT=3",))
    put(team.calendar.id, series, event("copy", at(15, day=5), row.id))
    assert [one.start for one in listed(team)] == [at(10), at(10, day=4), at(10, day=5), at(15, day=5)]
    assert len({one.id for one in listed(team)}) == 4


def test_event_of_somebody_elses_booking_is_an_event(team: Team) -> None:
    """An event of a booking that its calendar's owner does not host any more is listed as what it is, an event."""
    row = booked(team, at(10))
    put(team.calendar.id, event("ours", at(10), row.id, summary="Consultation"))
    staff, other = factories.actor(team.person, team.workspace, Role.STAFF), factories.person()
    with transaction() as session:
        hosting = select(BookingHost).where(BookingHost.booking_id == row.id)
        session.exec(hosting).one().person_id = other.id
    (one,) = event_queries.between(staff, NOW, NOW + timedelta(days=9)).items
    assert (one.title, one.calendar_id, one.booking_status) == ("Consultation", team.calendar.id, "")


PLACES = st.lists(st.sampled_from([0, 1, 2]), max_size=3, unique=True)
BOOKINGS = st.lists(
    st.tuples(st.integers(9, 12), PLACES, PLACES, st.integers(-1, 1)),
    min_size=1,
    max_size=3,
    unique_by=lambda one: one[0],
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(bookings=BOOKINGS, events=st.lists(st.integers(9, 12), max_size=3), limit=st.integers(1, 4))
def test_none_is_missing_and_none_doubled(
    database: Database, bookings: list[tuple[int, list[int], list[int], int]], events: list[int], limit: int
) -> None:
    """Whatever calendars have a booking's event before and after a move between calendars, and wherever in time, every
    booking and every other event is listed once, in order, on pages of any size."""
    team = factories.team()
    calendars = [team.calendar, *(factories.calendar(team.connection) for _ in range(2))]
    rows = [booked(team, at(hour)) for hour, *_ in bookings]
    put(team.calendar.id, *(event(f"own-{n}", at(hour)) for n, hour in enumerate(events)))
    for step in (1, 2):
        for row, (hour, *places, shift) in zip(rows, bookings, strict=True):
            for number, calendar in enumerate(calendars):
                if step == 1:
                    factories.calendar_write(row, calendar, remote_id=f"{row.id}-{number}")
                there = event(f"{row.id}-{number}", at(hour + shift), row.id)
                gone = CalendarEvent(f"{row.id}-{number}", status=EventStatus.CANCELLED)
                put(calendar.id, there if number in places[step - 1] else gone)
        found = _all_pages(team, limit)
        assert sorted(one.booking_id for one in found if one.booking_id) == sorted(row.id for row in rows)
        assert len(found) == len({one.id for one in found}) == len(rows) + len(events)
        assert [one.start for one in found] == sorted(one.start for one in found)


def _all_pages(team: Team, limit: int) -> list[OccurrenceView]:
    found: list[OccurrenceView] = []
    after = None
    while True:
        page = event_queries.between(team.actor, NOW, NOW + timedelta(days=2), limit=limit, after=after)
        found += page.items
        after = page.next
        if after is None:
            return found
