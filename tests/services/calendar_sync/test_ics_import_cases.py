"""What is told of small calendar files by import and by link, and the busy times of a free/busy list."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import Calendar
from calendar_app.domain.timespan import Span, instant, merge
from calendar_app.providers.ics.mapping import Link
from calendar_app.providers.ics.provider import CALENDAR, IcsCalendar, http
from calendar_app.services.calendar_mirror import mirror, unreadable
from calendar_app.services.calendar_sync import ics_import
from calendar_app.services.connections import calendar_time_zones, calendars
from calendar_app.settings import Settings
from tests.support import factories
from tests.support.databases import Database
from tests.support.factories import Team
from tests.support.mirrored import busy_spans

CASES = Path(__file__).parents[2] / "data" / "cases"
NOW = datetime(2026, 12, 1, 9, tzinfo=UTC)
YEAR = Span(instant(datetime(2027, 1, 1, tzinfo=UTC)), instant(datetime(2028, 1, 1, tzinfo=UTC)))
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
WAYS = ("import", "link")


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2027-{text}:00Z")


def span(text: str, length: timedelta = HOUR) -> Span:
    return Span(instant(at(text)), instant(at(text) + length))


@pytest.fixture
def ada(database: Database) -> Team:
    """Somebody in Auckland."""
    return factories.team(timezone="Pacific/Auckland")


def taken(ada: Team, name: str, way: str) -> str:
    """The id of a calendar that holds the file."""
    content = (CASES / name).read_bytes()
    if way == "import":
        return ics_import.import_file(ada.actor, content, now=NOW).calendar.id
    link = factories.connection(ada.person, ada.workspace, provider="ics")
    with transaction() as session:  # what a reading of a link does, on a fixed day
        row = Calendar(workspace_id=ada.workspace.id, connection_id=link.id, remote_id=CALENDAR)
        answer = httpx.MockTransport(lambda _request: httpx.Response(200, content=content))
        provider = IcsCalendar(
            http(Settings(), transport=answer), Link("https://calendars.example.com/a").secret
        )
        pages = list(provider.event_pages(CALENDAR, None))
        calendar_time_zones.take_named(session, row, pages[-1].timezone or "", NOW)
        events = [event for page in pages for event in page.events]
        mirror.apply(session, row.id, events, full=True, now=NOW)
        unreadable.note(session, row, [one for page in pages for one in page.unread], full=True)
        return row.id


def busy(calendar_id: str, window: Span = YEAR) -> list[Span]:
    with reading() as session:
        return merge(busy_spans(session, calendar_id, window))


def notes(ada: Team, calendar_id: str) -> str:
    return "\n".join(
        f"{one.what}: {one.why}" for one in calendars.get_calendar(ada.actor, calendar_id).unread
    )


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("name", "titles"),
    [
        ("one-uid-three-events", ("First", "Second", "Third")),
        ("rules-badly-written", ("Six Saturdays",)),
        ("rules-nobody-can-follow", ("Not understood",)),
    ],
)
def test_what_was_not_clear_is_told(ada: Team, way: str, name: str, titles: tuple[str, ...]) -> None:
    """The calendar names the events of which something was not understood."""
    said = notes(ada, taken(ada, f"{name}.ics", way))
    assert all(title in said for title in titles), said


@pytest.mark.parametrize("way", WAYS)
def test_a_published_list_of_busy_times_blocks_them(ada: Team, way: str) -> None:
    """VFREEBUSY: periods of every type but FREE are busy, in both forms."""
    found = busy(taken(ada, "free-busy.ics", way))
    assert found == [span("01-20T09:00"), span("01-20T13:00", 90 * HOUR / 60), span("01-21T09:00")]
