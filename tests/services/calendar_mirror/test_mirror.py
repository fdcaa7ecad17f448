"""The mirror: recurrence, exceptions, hostile rules, what blocks time, our own echoes, and speed."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert
from sqlmodel import col, func, select

from calendar_app.db import mirror as rows
from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import Calendar, Event, Occurrence
from calendar_app.domain.event import (
    BOOKING_MARK,
    Attendee,
    CalendarEvent,
    EventStatus,
    EventTime,
    Response,
    ShowAs,
)
from calendar_app.domain.timespan import Span, instant
from calendar_app.services.calendar_mirror import expansion, mirror
from calendar_app.services.calendar_mirror.mirror import Applied
from tests.support import factories
from tests.support.databases import Database
from tests.support.factories import Team
from tests.support.mirrored import busy_spans

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
"""A Monday, four weeks before Europe changes its clocks."""


@pytest.fixture
def team(database: Database) -> Team:
    """A workspace with one calendar in Berlin."""
    return factories.team()


def wall(day: int, hour: int = 10, *, month: int = 3, zone: str | None = "Europe/Berlin") -> EventTime:
    return EventTime(datetime(2026, month, day, hour), zone)  # noqa: DTZ001  # a wall clock


def event(remote_id: str, day: int = 3, **parts: Any) -> CalendarEvent:
    start = parts.pop("start", wall(day))
    end = parts.pop("end", EventTime(start.value + timedelta(hours=1), start.zone))
    return CalendarEvent(remote_id, start=start, end=end, **parts)


def weekly(remote_id: str = "weekly", **parts: Any) -> CalendarEvent:
    return event(remote_id, recurrence=("RRULE:FREQ=WEEKLY;COUNT=6",), **parts)


def exception(day: int, *, at: EventTime | None = None, month: int = 3, **parts: Any) -> CalendarEvent:
    """A changed occurrence of ``weekly``, moved to ``at``."""
    return event(
        f"weekly_{month}{day:02}",
        start=at or wall(day, 15, month=month),
        master_id="weekly",
        original_start=wall(day, month=month),
        **parts,
    )


def cancelled(day: int, *, month: int = 3) -> CalendarEvent:
    return CalendarEvent(
        f"weekly_{month}{day:02}",
        status=EventStatus.CANCELLED,
        master_id="weekly",
        original_start=wall(day, month=month),
    )


def apply(
    team: Team, *events: CalendarEvent, full: bool = False, now: datetime = NOW, **options: Any
) -> Applied:
    with transaction() as session:
        return mirror.apply(session, team.calendar.id, events, full=full, now=now, **options)


def starts(team: Team) -> list[str]:
    """Start of every occurrence, in UTC, with a mark for those that block no time."""
    with reading() as session:
        found = session.exec(
            select(Occurrence.starts, Occurrence.busy)
            .where(col(Occurrence.calendar_id) == team.calendar.id)
            .order_by(col(Occurrence.starts))
        ).all()
    return [f"{datetime.fromtimestamp(at, UTC):%m-%d %H}{'' if busy else ' free'}" for at, busy in found]


def stored(team: Team) -> set[str]:
    with reading() as session:
        return set(
            session.exec(select(Event.remote_id).where(col(Event.calendar_id) == team.calendar.id)).all()
        )


def test_series_follows_the_wall_clock(team: Team) -> None:
    """A weekly series keeps its wall-clock time across the change to summer time."""
    apply(team, weekly())
    assert starts(team) == ["03-03 09", "03-10 09", "03-17 09", "03-24 09", "03-31 08", "04-07 08"]


def test_changed_and_cancelled_occurrences(team: Team) -> None:
    """A moved occurrence stands where it was moved to, a cancelled one is gone, in whatever order they arrive."""
    apply(team, exception(10), cancelled(17), weekly())
    expected = ["03-03 09", "03-10 14", "03-24 09", "03-31 08", "04-07 08"]
    assert starts(team) == expected
    assert stored(team) == {"weekly", "weekly_310", "weekly_317"}
    apply(team, weekly(summary="renamed"))
    assert starts(team) == expected


def test_exception_alone_re_expands_its_series(team: Team) -> None:
    """A delta that brings only an exception takes its original out of the series; taking it back restores it."""
    apply(team, weekly())
    apply(team, exception(10))
    assert starts(team)[1] == "03-10 14"
    apply(team, cancelled(10))
    assert "03-10 14" not in starts(team)
    apply(team, weekly(), full=True)
    assert len(starts(team)) == 6


def test_series_that_ends_takes_its_exceptions_along(team: Team) -> None:
    """Deleting a master deletes its exceptions, and those that a delta cancels along with it leave nothing behind."""
    apply(team, weekly(), exception(10), cancelled(17), event("other"))
    apply(team, cancelled(24), CalendarEvent("weekly", status=EventStatus.CANCELLED))
    assert stored(team) == {"other"}
    assert starts(team) == ["03-03 09"]


def test_exception_without_its_master(team: Team) -> None:
    """Somebody invited to one occurrence only sees that one, with no master in the calendar."""
    apply(team, exception(10), cancelled(17))
    assert starts(team) == ["03-10 14"]
    assert stored(team) == {"weekly_310"}


def test_series_becomes_a_single_event(team: Team) -> None:
    """A rule that was taken away leaves one occurrence; one that is added makes them many."""
    apply(team, weekly())
    apply(team, event("weekly"))
    assert starts(team) == ["03-03 09"]
    apply(team, weekly())
    assert len(starts(team)) == 6


def test_window_bounds_endless_series_and_moves_on(team: Team) -> None:
    """Endless series reach 400 days ahead; the nightly job moves that on and forgets what has left it."""
    apply(team, event("daily", recurrence=("RRULE:FREQ=DAILY",)), event("once", day=4))
    first = starts(team)
    assert len(first) == 400 + 1
    later = NOW + timedelta(days=100)
    mirror.extend_all_windows(later)
    assert stored(team) == {"daily"}
    assert len(starts(team)) == 400 + 35
    window = expansion.window_at(later)
    with reading() as session:
        low, high = session.exec(select(func.min(Occurrence.ends), func.max(Occurrence.starts))).one()
    assert low > window.start
    assert window.end - high <= 86_400


def test_what_ended_long_ago_is_not_kept(team: Team) -> None:
    """Single events that ended before the window are no part of the mirror, not even when a delta brings them."""
    apply(team, event("old", start=wall(3, month=1)), event("far", start=wall(3, month=12)))
    assert stored(team) == {"far"}
    apply(team, event("far", start=wall(3, month=1)))
    assert stored(team) == set()


@pytest.mark.parametrize(
    "rule",
    [
        "RRULE:FREQ=SECONDLY",
        "RRULE:FREQ=SECONDLY;COUNT=1000000000",
        "RRULE:FREQ=DAILY;INTERVAL=0",
        "RRULE:FREQ=NONSENSE",
        "RRULE:FREQ=MONTHLY;BYMONTHDAY=31;BYMONTH=2",
        "EXDATE:not-a-date",
        "RRULE:FREQ=MINUTELY;BYSECOND=0,1,2,3,4,5,6,7,8,9",
    ],
)
def test_hostile_rules_neither_stop_nor_vanish(team: Team, rule: str) -> None:
    """An event with an impossible or excessive rule is kept, blocks at least its own time, and harms no other."""
    begun = time.perf_counter()
    apply(team, event("hostile", recurrence=(rule,)), event("fine", day=5))
    assert time.perf_counter() - begun < 5
    assert stored(team) == {"hostile", "fine"}
    with reading() as session:
        count = session.scalar(select(func.count()).select_from(Occurrence)) or 0
        spans = busy_spans(session, team.calendar.id, expansion.window_at(NOW))
    assert 2 <= count <= 5_001
    own = instant(datetime(2026, 3, 3, 9, tzinfo=UTC))
    assert any(span.start <= own < span.end for span in spans)


def test_unknown_zone_is_read_in_the_calendars(team: Team) -> None:
    """An event in a zone that nobody knows counts at its wall-clock time in the calendar's own zone."""
    apply(team, event("odd", start=wall(3, zone="Mars/Olympus")))
    assert starts(team) == ["03-03 09"]


def test_all_day_events_follow_the_calendars_zone(team: Team) -> None:
    """An all-day event is a day of the calendar's zone, and moves when that zone is corrected."""
    day = CalendarEvent("day", start=EventTime(date(2026, 3, 3)), end=EventTime(date(2026, 3, 4)))
    apply(team, day)
    assert starts(team) == ["03-02 23"]
    with transaction() as session:
        row = session.get_one(Calendar, team.calendar.id)
        row.timezone = "America/New_York"
        session.add(row)
    apply(team, day, full=True)
    assert starts(team) == ["03-03 05"]


@pytest.mark.parametrize(
    ("parts", "blocks"),
    [
        ({}, True),
        ({"status": EventStatus.TENTATIVE}, True),
        ({"show_as": ShowAs.OUT_OF_OFFICE}, True),
        ({"show_as": ShowAs.TENTATIVE}, True),
        ({"show_as": ShowAs.FREE}, False),
        ({"show_as": ShowAs.WORKING_ELSEWHERE}, False),
        ({"response": Response.DECLINED}, False),
    ],
)
def test_what_blocks_time(team: Team, parts: dict[str, Any], blocks: bool) -> None:
    """Free, declined and working-elsewhere events are shown but block nothing; all others do."""
    apply(team, event("one", **parts))
    with reading() as session:
        found = busy_spans(session, team.calendar.id, expansion.window_at(NOW))
    assert len(found) == int(blocks)
    assert len(starts(team)) == 1


def test_busy_spans_overlap_and_belong_to_their_calendar(team: Team) -> None:
    """Only spans that share an instant with the one asked for are given, under their own calendar."""
    other = factories.calendar(team.connection)
    apply(team, event("one"), event("moment", start=wall(3, 11), end=wall(3, 11)))
    nine = instant(datetime(2026, 3, 3, 9, tzinfo=UTC))
    with reading() as session:

        def count(start: int, end: int) -> int:
            assert busy_spans(session, other.id, Span(start, end)) == []
            return len(busy_spans(session, team.calendar.id, Span(start, end)))

        assert count(nine, nine + 1) == 1
        assert count(nine - 60, nine) == 0
        assert count(nine + 3600, nine + 7200) == 0
        assert count(nine + 3599, nine + 7200) == 1


def test_echo_of_a_booking(team: Team) -> None:
    """Our own event is free while it agrees with its booking or the booking is over, and busy once it was moved."""
    kind = factories.event_type(team.workspace, team.person)
    start = datetime(2026, 3, 3, 9, tzinfo=UTC)
    booking = factories.booking(kind, team.person, start, minutes=60)
    echo = event("echo", private={BOOKING_MARK: booking.id})
    apply(team, echo)
    assert starts(team) == ["03-03 09 free"]
    moved = replace(echo, start=wall(3, 14), end=wall(3, 15))
    apply(team, moved)
    assert starts(team) == ["03-03 13"]
    with transaction() as session:
        row = session.get_one(type(booking), booking.id)
        row.start_at, row.end_at = start + timedelta(hours=4), start + timedelta(hours=5)
        session.add(row)
        session.flush()
        mirror.booking_changed(session, booking.id)
    assert starts(team) == ["03-03 13 free"]
    apply(team, echo)
    with transaction() as session:
        row = session.get_one(type(booking), booking.id)
        row.status = "cancelled"
        session.add(row)
        session.flush()
        mirror.booking_changed(session, booking.id)
    assert starts(team) == ["03-03 09 free"]


def test_echo_in_a_strangers_calendar_blocks(team: Team) -> None:
    """A copy of a booking's event in the calendar of somebody who is not its host blocks that person's time."""
    kind = factories.event_type(team.workspace, team.person)
    booking = factories.booking(kind, team.person, datetime(2026, 3, 3, 9, tzinfo=UTC), minutes=60)
    colleague = factories.team()
    echo = event("copy", private={BOOKING_MARK: booking.id})
    apply(colleague, echo, event("forged", day=4, private={BOOKING_MARK: "nothing"}))
    assert starts(colleague) == ["03-03 09", "03-04 09"]


def test_full_listing_leaves_unchanged_rows_alone(team: Team) -> None:
    """A full listing that says what is known already writes nothing, and removes only what it lacks."""
    listed = [event("one"), event("two", day=4), weekly(), exception(10)]
    apply(team, *listed, full=True)
    assert apply(team, *listed, full=True) == Applied(0, 0)
    assert apply(team, *listed[1:], full=True) == Applied(0, 1)


def test_removed_exception_gives_the_occurrence_back(team: Team) -> None:
    """When a full listing lacks an exception the series has its original again."""
    apply(team, weekly(), exception(10), full=True)
    apply(team, weekly(), full=True)
    assert starts(team)[1] == "03-10 09"


@pytest.mark.parametrize(("future", "kept"), [(20, 0), (21, 21), (30, 30)])
def test_fuse_counts_the_future(team: Team, future: int, kept: int) -> None:
    """Twenty vanished future events pass, more of them only if they are no more than half."""
    past = [event(f"past{n}", start=wall(1 + n % 27, month=2)) for n in range(40)]
    coming = [event(f"next{n}", day=3 + n % 28) for n in range(future)]
    apply(team, *past, *coming, full=True)
    assert apply(team, full=True).kept in (kept, kept + 40 if kept else 0)
    accepted = apply(team, full=True, accept_removals=True)
    assert accepted.kept == 0
    assert stored(team) == set()


def test_fuse_allows_half(team: Team) -> None:
    """A calendar that loses no more than half of its future is believed."""
    apply(team, *[event(f"e{n}", day=3 + n % 28) for n in range(60)], full=True)
    assert apply(team, *[event(f"e{n}", day=3 + n % 28) for n in range(30, 60)], full=True).removed == 30


def test_payload_round_trip() -> None:
    """Every field of an event survives being stored."""
    full = CalendarEvent(
        "id",
        status=EventStatus.TENTATIVE,
        start=EventTime(datetime(2026, 10, 25, 2, 30, fold=1), "Europe/Berlin"),  # noqa: DTZ001
        end=EventTime(datetime(2026, 10, 25, 3, 30), None),  # noqa: DTZ001  # floating
        summary="Über «alles»",
        description="d",
        location="l",
        html_link="h",
        color="tomato",
        ical_uid="u",
        etag='"1"',
        sequence=3,
        updated=datetime(2026, 1, 1, 12, tzinfo=UTC),
        show_as=ShowAs.OUT_OF_OFFICE,
        response=Response.TENTATIVE,
        recurrence=("RRULE:FREQ=DAILY", "EXDATE:20260101"),
        master_id="m",
        original_start=EventTime(date(2026, 10, 25)),
        this_and_future=True,
        nominal_days=2,
        organizer_email="o@example.com",
        attendees=(Attendee("a@example.com", "A", Response.ACCEPTED, True),),
        private={"a": "b"},
    )
    back = rows.from_payload(rows.to_payload(full))
    assert back == full
    assert back.start
    assert full.start
    assert back.start.value.fold == full.start.value.fold  # type: ignore[union-attr]
    assert rows.to_payload(CalendarEvent("id")) == {"remote_id": "id"}


@pytest.mark.serial
def test_busy_spans_of_a_dense_calendar(team: Team) -> None:
    """5,000 busy occurrences within 30 days are found among 30,000 others."""
    with transaction() as session:
        ids = rows.upsert_events(
            session,
            [
                {
                    "calendar_id": team.calendar.id,
                    "remote_id": "e",
                    "master_id": None,
                    "is_recurring": True,
                    "booking_id": None,
                    "summary": "",
                    "etag": "",
                    "payload": {},
                }
            ],
        )
        base = instant(NOW)
        for batch in rows.batches(_dense(team.calendar.id, ids["e"], base)):
            session.execute(insert(Occurrence), batch)
    span = Span(base, base + 30 * 86_400)
    with reading() as session:
        found = busy_spans(session, team.calendar.id, span)
        assert 4_990 <= len(found) <= 5_010


def _dense(calendar_id: str, event_id: int, base: int) -> Iterable[dict[str, Any]]:
    """One occurrence every 518.4 seconds for 210 days from ``base``: 5,000 a month."""
    for number in range(35_000):
        start = base + int(number * 518.4)
        yield {
            "calendar_id": calendar_id,
            "event_id": event_id,
            "starts": start,
            "ends": start + 300,
            "original": start,
            "all_day": False,
            "busy": True,
        }
