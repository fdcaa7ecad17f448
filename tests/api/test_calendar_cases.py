"""Files that were once read wrongly, each for a whole kind: imported, behind a link, and at two CalDAV servers.

What they must block stands here; it is asked for over HTTP and of the slots that are offered. Links and CalDAV are read
from real servers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from calendar_app.db.session import transaction
from calendar_app.db.tables import Calendar
from calendar_app.domain.timespan import Span, instant, utc
from calendar_app.services.availability import slots as available_slots
from calendar_app.services.calendar_mirror import mirror, unreadable
from calendar_app.services.calendar_sync import ics_import
from calendar_app.services.connections import calendar_time_zones
from tests.support import case_sources, factories
from tests.support.case_sources import Source
from tests.support.databases import Database
from tests.support.factories import Team
from tests.support.scheduling import bearer

CASES = Path(__file__).parent.parent / "data" / "cases"
AUCKLAND = "Pacific/Auckland"
NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
TOLD = {"one-uid-three-events", "rules-badly-written"}


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
    "free-busy": [*at("2027-01-20 09:00"), *at("2027-01-20 13:00", 90), *at("2027-01-21 09:00")],
}
"""In Auckland, where times have no zone."""
NOT_HELD = {("radicale", case) for case in ("one-uid-three-events", "rules-badly-written", "free-busy")}
"""What a server does not take, and does not list either when it lies in its folder: nobody can read it there."""


def imported(team: Team, content: bytes) -> tuple[str, list[str]]:
    """A calendar made of the file, and what is told of it."""
    result = ics_import.import_file(team.actor, content, now=NOW)
    return result.calendar.id, [part.reason for part in result.skipped]


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Source]]:
    """A web server and two CalDAV servers that hold every file."""
    with ExitStack() as running:
        found: dict[str, Source] = {}
        for make in (case_sources.link, case_sources.radicale, case_sources.xandikos):
            found[make.__name__] = running.enter_context(make(tmp_path_factory.mktemp(make.__name__)))
        for source in found.values():
            for file in sorted(CASES.glob("*.ics")):
                source.put(file.stem, file.read_bytes())
        yield found


def mirrored(team: Team, source: Source, case: str) -> tuple[str, list[str]]:
    """A calendar with what the provider lists of the file, and what is told of it."""
    listed = source.read(case)
    assert len({event.remote_id for event in listed.events}) == len(listed.events)
    calendar = factories.calendar(team.connection, timezone="", checks_conflicts=True, synced_at=NOW)
    with transaction() as session:
        row = session.get_one(Calendar, calendar.id)
        calendar_time_zones.take_listed(session, row, listed.zone, NOW, full=True)
        mirror.apply(session, calendar.id, listed.events, full=True, now=NOW)
        unreadable.note(session, row, listed.unread, full=True)
        return calendar.id, [one["why"] for one in row.unread]


@pytest.fixture(params=["file", "link", "radicale", "xandikos"])
def way(request: pytest.FixtureRequest) -> str:
    """How a file comes."""
    return str(request.param)


@pytest.fixture
def taken(way: str, team: Team, sources: dict[str, Source]) -> Callable[[str], tuple[str, list[str]]]:
    """Makes a calendar of a file, and says what is told of it: by import, from a link, from two CalDAV servers."""

    def take(case: str) -> tuple[str, list[str]]:
        if way == "file":
            return imported(team, (CASES / f"{case}.ics").read_bytes())
        return mirrored(team, sources[way], case)

    return take


Taken = Callable[[str], tuple[str, list[str]]]


@pytest.fixture
def team(database: Database) -> Team:
    """Somebody in Auckland."""
    team = factories.team(timezone=AUCKLAND)
    with transaction() as session:
        session.get_one(Calendar, team.calendar.id).checks_conflicts = False
    return team


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


@pytest.fixture
def offered(team: Team) -> Callable[[datetime, datetime], set[int]]:
    """Starts of the half hours that somebody can book who works around the clock."""
    around_the_clock = {
        day: [["00:00", "24:00"]] for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    }
    factories.schedule(team.person, team.workspace, weekly=around_the_clock)
    kind = factories.event_type(
        team.workspace, team.person, durations=[30], step_minutes=30, horizon_days=366, minimum_notice=0
    )

    def starts(first: datetime, last: datetime) -> set[int]:
        return {slot.start for slot in available_slots.slots(kind.id, first, last, now=NOW).found}

    return starts


Offered = Callable[[datetime, datetime], set[int]]


def test_every_file_blocks_its_time(
    api: httpx.Client, team: Team, way: str, taken: Taken, offered: Offered
) -> None:
    """The same events, at the same instants, and no slots then, whichever way a file comes; what was not understood is
    told."""
    first = datetime(2027, 1, 1, tzinfo=UTC)
    for case, expected in EXPECTED.items():
        if (way, case) in NOT_HELD:
            assert shown(api, team, taken(case)[0], first, 240) == []
            continue
        around = utc(expected[0].start) - timedelta(days=2), utc(expected[-1].end) + timedelta(days=2)
        before = offered(*around)
        calendar_id, told = taken(case)
        assert shown(api, team, calendar_id, first, 240) == expected, case
        assert bool(told) == (case in TOLD), (case, told)
        gone = {start for start in before if any(one.overlaps(Span(start, start + 1800)) for one in expected)}
        assert gone, case
        assert before - offered(*around) == gone, case
        with transaction() as session:
            session.get_one(Calendar, calendar_id).checks_conflicts = False


def test_rules_that_nobody_can_follow_never_free_time(
    api: httpx.Client, team: Team, taken: Taken, offered: Offered
) -> None:
    """One is busy at its time of day on every day, the other around the clock, to the end of the horizon."""
    calendar_id, told = taken("rules-nobody-can-follow")
    assert any("BYEASTER" in why for why in told)
    begin, end = datetime(2027, 1, 4, tzinfo=UTC), datetime(2027, 11, 30, tzinfo=UTC)
    assert offered(begin, end) == set()
    with transaction() as session:
        session.get_one(Calendar, calendar_id).checks_conflicts = False
    assert offered(begin, end)
    found = shown(api, team, calendar_id, datetime(2027, 3, 1, tzinfo=UTC), 20)
    assert set(at("2027-03-01 08:00", 30, times=20, days=1)) <= set(found)
    assert len(found) == 21
