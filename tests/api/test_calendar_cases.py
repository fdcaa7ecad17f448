"""Files that were once read wrongly, each for a whole kind: imported, behind a link and in a CalDAV calendar.

What they must block stands here; it is asked for over HTTP and of the spans that availability sees.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from calendar_app.db.session import reading, transaction
from calendar_app.domain.event import CalendarEvent
from calendar_app.domain.timespan import Span, instant
from calendar_app.providers.caldav.mapping import resource_from
from calendar_app.providers.ics.mapping import read_file
from calendar_app.services import availability, imports, mirror
from tests.support import factories
from tests.support.databases import Database
from tests.support.factories import Team
from tests.support.fake_provider import FakeProvider
from tests.support.mirrored import busy_spans
from tests.support.scheduling import bearer, bookable

CASES = Path(__file__).parent.parent / "data" / "cases"
AUCKLAND = "Pacific/Auckland"
NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
TOLD = {"one-uid-three-events", "rules-nobody-can-follow"}


def at(text: str, minutes: int = 60, *, times: int = 1, days: int = 7) -> list[Span]:
    """Spans of so many minutes that begin then (``YYYY-MM-DD HH:MM``, UTC), and so many days apart."""
    begin = instant(datetime.fromisoformat(f"{text}+00:00"))
    return [Span(begin + n * days * 86_400, begin + n * days * 86_400 + minutes * 60) for n in range(times)]


EXPECTED = {
    "zone-exchange-name-with-commas": at("2027-04-30 02:00", 180),
    "zone-observances-without-rule": at("2027-07-15 13:00"),
    "zone-private-name-from-2024": at("2027-01-15 15:00"),
    "zone-no-iana-twin": at("2027-07-15 13:00"),
    "zone-display-name-no-vtimezone": [*at("2027-07-15 03:30"), *at("2027-07-15 13:00")],
    "all-day-and-floating-no-zone": [*at("2027-01-19 11:00", 1440), *at("2027-01-21 21:00")],
    "one-uid-three-events": at("2027-01-12 10:00", times=3, days=1),
    "rules-badly-written": sorted(
        span
        for first, times in (("04", 6), ("05", 6), ("06", 6), ("07", 6), ("08", 6), ("09", 6))
        for span in at(f"2027-01-{first} 08:00", 30, times=times)
    ),
    "duration-P1DT": at("2027-04-26 12:00", 1440),
}
"""In Auckland, where times have no zone."""


def imported(team: Team, content: bytes) -> tuple[str, list[str]]:
    """A calendar made of the file, and what is told of it."""
    result = imports.import_file(team.actor, content, now=NOW)
    return result.calendar.id, [part.reason for part in result.skipped]


def mirrored(team: Team, events: list[CalendarEvent]) -> str:
    calendar = factories.calendar(team.connection, timezone=AUCKLAND, checks_conflicts=True)
    with transaction() as session:
        mirror.apply(session, calendar.id, events, full=True, now=NOW)
    return calendar.id


def linked(team: Team, content: bytes) -> tuple[str, list[str]]:
    """A calendar with what a link's reading finds in the file."""
    file = read_file(content, mirror.window_at(NOW))
    told = [one.why for one in file.unread] + [why for event in file.events for why in event.unread]
    return mirrored(team, list(file.events)), told


def in_caldav(team: Team, content: bytes) -> tuple[str, list[str]]:
    """A CalDAV calendar with the file as a resource."""
    events, unread = resource_from("a.ics", content, "1", ())
    told = [one.why for one in unread] + [why for event in events for why in event.unread]
    assert len({event.remote_id for event in events}) == len(events)
    return mirrored(team, events), told


WAYS: tuple[Callable[[Team, bytes], tuple[str, list[str]]], ...] = (imported, linked, in_caldav)


@pytest.fixture
def team(database: Database) -> Team:
    """Somebody in Auckland."""
    return factories.team(timezone=AUCKLAND)


def shown(api: httpx.Client, team: Team, calendar_id: str, first: datetime, days: int) -> list[Span]:
    """What ``GET /events`` lists of a calendar."""
    period = {"start": first.isoformat(), "end": (first + timedelta(days=days)).isoformat()}
    answer = api.get(
        "/api/v1/events", headers=bearer(team.person), params={**period, "calendar_id": calendar_id}
    )
    assert answer.status_code == 200, answer.text
    times = (
        [instant(datetime.fromisoformat(item[side])) for side in ("start", "end")]
        for item in answer.json()["items"]
    )
    return sorted(Span(start, end) for start, end in times)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_every_file_blocks_its_time(
    api: httpx.Client, team: Team, way: Callable[[Team, bytes], tuple[str, list[str]]]
) -> None:
    """The same events, at the same instants, whichever way a file comes; what was not understood is told."""
    first = datetime(2027, 1, 1, tzinfo=UTC)
    for case, expected in EXPECTED.items():
        calendar_id, told = way(team, (CASES / f"{case}.ics").read_bytes())
        assert shown(api, team, calendar_id, first, 240) == expected, case
        with reading() as session:
            spans = busy_spans(session, calendar_id, Span(instant(first), instant(first) + 240 * 86_400))
        assert all(any(s.start <= want.start and want.end <= s.end for s in spans) for want in expected), case
        assert bool(told) == (case in TOLD or case == "rules-badly-written"), (case, told)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_rules_that_nobody_can_follow_never_free_time(
    api: httpx.Client, team: Team, way: Callable[[Team, bytes], tuple[str, list[str]]]
) -> None:
    """One is busy at its time of day on every day, the other around the clock, to the end of the horizon."""
    calendar_id, told = way(team, (CASES / "rules-nobody-can-follow.ics").read_bytes())
    assert any("BYEASTER" in why for why in told)
    begin, end = instant(datetime(2027, 1, 4, tzinfo=UTC)), instant(datetime(2027, 12, 31, tzinfo=UTC))
    with reading() as session:
        assert any(
            s.start <= begin and s.end >= end for s in busy_spans(session, calendar_id, Span(begin, end))
        )
    found = shown(api, team, calendar_id, datetime(2027, 3, 1, tzinfo=UTC), 20)
    assert set(at("2027-03-01 08:00", 30, times=20, days=1)) <= set(found)
    assert len(found) == 21


def test_slots_leave_out_what_a_file_blocks(fake: FakeProvider, database: Database) -> None:
    """Three events of one UID take three times off the offer, and no other."""
    place = bookable(fake, horizon_days=90)
    period = datetime(2027, 1, 11, tzinfo=UTC), datetime(2027, 1, 16, tzinfo=UTC)

    def offered() -> set[int]:
        found = availability.slots(place.event_type.id, *period, now=NOW)
        return {instant(slot.start) for slot in found.slots}

    before = offered()
    imports.import_file(place.owner, (CASES / "one-uid-three-events.ics").read_bytes(), now=NOW)
    taken = {
        span.start + minutes * 60 for span in at("2027-01-12 10:00", times=3, days=1) for minutes in (0, 30)
    }
    assert before - offered() == taken
