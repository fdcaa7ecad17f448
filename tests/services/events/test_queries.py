"""What is on people's calendars, and who may see it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from calendar_app.db.session import transaction
from calendar_app.db.tables import Connection
from calendar_app.domain.event import CalendarEvent, EventTime, Response, ShowAs
from calendar_app.errors import Forbidden, InvalidInput, NotFound
from calendar_app.services.calendar_mirror import mirror
from calendar_app.services.common.permissions import Role
from calendar_app.services.events import queries as event_queries
from tests.support import factories
from tests.support.databases import Database
from tests.support.factories import Team

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@pytest.fixture
def team(database: Database) -> Team:
    """A workspace with one calendar in Berlin."""
    return factories.team()


def wall(day: int, hour: int, minute: int = 0) -> EventTime:
    return EventTime(datetime(2026, 3, day, hour, minute), "Europe/Berlin")  # noqa: DTZ001  # a wall clock


def put(calendar_id: str, *events: CalendarEvent) -> None:
    with transaction() as session:
        mirror.apply(session, calendar_id, events, full=False, now=NOW)


def meeting(remote_id: str, day: int, hour: int = 10, **parts: object) -> CalendarEvent:
    return CalendarEvent(remote_id, start=wall(day, hour), end=wall(day, hour + 1), **parts)  # type: ignore[arg-type]


def test_upcoming_is_in_order_and_limited(team: Team) -> None:
    """What goes on now comes first, then what follows, within the days asked for."""
    put(
        team.calendar.id,
        meeting("later", 4),
        meeting("now", 2, 9, summary="Now"),
        meeting("over", 2, 8),
        meeting("beyond", 12),
    )
    with_now = NOW + timedelta(minutes=-30)
    found = event_queries.upcoming(team.actor, now=with_now)
    assert [one.title for one in found] == ["Now", ""]
    assert [one.start.day for one in event_queries.upcoming(team.actor, days=30, now=with_now)] == [2, 4, 12]
    assert len(event_queries.upcoming(team.actor, limit=1, now=with_now)) == 1


def test_view_of_an_occurrence(team: Team) -> None:
    """A view holds what a page shows: instants in UTC, place, link, colours, and whether it blocks time."""
    put(
        team.calendar.id,
        meeting(
            "one",
            3,
            summary="Review",
            location="Room 2",
            html_link="https://example.com/e",
            color="tomato",
            show_as=ShowAs.FREE,
            response=Response.DECLINED,
        ),
    )
    (one,) = event_queries.upcoming(team.actor, now=NOW)
    assert (one.title, one.location, one.html_link) == ("Review", "Room 2", "https://example.com/e")
    assert (one.start, one.end) == (
        datetime(2026, 3, 3, 9, tzinfo=UTC),
        datetime(2026, 3, 3, 10, tzinfo=UTC),
    )
    assert (one.busy, one.show_as, one.response, one.event_color) == (False, "free", "declined", "tomato")
    assert (one.calendar_id, one.provider, one.owner_name) == (team.calendar.id, "fake", "")
    assert one.start_date is None


def test_all_day_occurrence_has_dates(team: Team) -> None:
    """All-day occurrences carry their dates in the calendar's zone, the end exclusive, also when they recur."""
    put(
        team.calendar.id,
        CalendarEvent(
            "fair",
            start=EventTime(date(2026, 3, 28)),
            end=EventTime(date(2026, 3, 30)),
            recurrence=("RRULE:FREQ=WEEKLY;COUNT=2",),
        ),
    )
    found = event_queries.upcoming(team.actor, days=60, now=NOW)
    assert [(one.start_date, one.end_date) for one in found] == [
        (date(2026, 3, 28), date(2026, 3, 30)),
        (date(2026, 4, 4), date(2026, 4, 6)),
    ]
    assert all(one.all_day and one.recurring for one in found)
    assert len({one.id for one in found}) == 2


def test_pages_follow_each_other(team: Team) -> None:
    """Following ``next`` visits every occurrence once, also those that start together."""
    put(team.calendar.id, *[meeting(f"e{n}", 3 + n // 4) for n in range(11)])
    seen: list[str] = []
    after = None
    while True:
        page = event_queries.between(team.actor, NOW, NOW + timedelta(days=20), limit=3, after=after)
        seen += [one.id for one in page.items]
        after = page.next
        if after is None:
            break
    assert len(seen) == len(set(seen)) == 11


def test_edges_of_the_period(team: Team) -> None:
    """Occurrences that overlap the period belong to it; touching ones do not; a moment belongs where it starts."""
    put(
        team.calendar.id,
        meeting("one", 3),
        CalendarEvent("moment", start=wall(3, 12), end=wall(3, 12)),
    )
    ten = datetime(2026, 3, 3, 9, tzinfo=UTC)

    def count(start: datetime, end: datetime) -> int:
        return len(event_queries.between(team.actor, start, end).items)

    assert count(ten, ten + timedelta(hours=1)) == 1
    assert count(ten - timedelta(hours=1), ten) == 0
    assert count(ten + timedelta(hours=1), ten + timedelta(hours=2)) == 0
    assert count(ten + timedelta(minutes=59), ten + timedelta(hours=2)) == 1
    assert count(ten + timedelta(hours=2), ten + timedelta(hours=3)) == 1


def test_who_sees_what(team: Team) -> None:
    """Staff see their own calendars, managers everybody's with the owner's name, others nothing."""
    put(team.calendar.id, meeting("one", 3))
    colleague = factories.person(name="Grace")
    staff = factories.actor(colleague, team.workspace, Role.STAFF)
    manager = factories.actor(colleague, team.workspace, Role.MANAGER)
    assert event_queries.upcoming(staff, now=NOW) == []
    (seen,) = event_queries.upcoming(manager, now=NOW)
    assert (seen.owner_id, seen.owner_name) == (team.person.id, team.person.name)
    assert event_queries.upcoming(factories.team().actor, now=NOW) == []
    with pytest.raises(NotFound):
        event_queries.between(staff, NOW, NOW + timedelta(days=9), calendar_id=team.calendar.id)
    with pytest.raises(Forbidden):
        event_queries.upcoming(factories.actor(colleague, team.workspace, Role.CUSTOMER), now=NOW)


def test_disconnected_calendars_are_not_shown(team: Team) -> None:
    """A disconnected account's events leave the agenda; one that needs reconnecting still shows its last state."""
    put(team.calendar.id, meeting("one", 3))
    for status, count in (("needs_reconnect", 1), ("disconnected", 0)):
        with transaction() as session:
            row = session.get_one(Connection, team.connection.id)
            row.status = status
            session.add(row)
        assert len(event_queries.upcoming(team.actor, now=NOW)) == count


def test_one_calendar_only(team: Team) -> None:
    """The list can be narrowed to one calendar."""
    other = factories.calendar(team.connection)
    put(team.calendar.id, meeting("one", 3))
    put(other.id, meeting("two", 3))
    page = event_queries.between(team.actor, NOW, NOW + timedelta(days=9), calendar_id=other.id)
    assert [one.calendar_id for one in page.items] == [other.id]


@pytest.mark.parametrize(
    ("days", "limit", "after"),
    [(0, 10, None), (-1, 10, None), (401, 10, None), (1, 0, None), (1, 501, None), (1, 5, "x")],
)
def test_bad_questions(team: Team, days: int, limit: int, after: str | None) -> None:
    """Empty and endless periods, odd limits and foreign positions are refused with a sentence."""
    with pytest.raises(InvalidInput):
        event_queries.between(team.actor, NOW, NOW + timedelta(days=days), limit=limit, after=after)
