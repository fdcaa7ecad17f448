"""A first sync of a large calendar does not hold it in memory."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import pytest
from sqlmodel import col, func, select

from calendar_app.db.session import reading
from calendar_app.db.tables import Event
from calendar_app.domain.event import CalendarEvent, EventTime
from calendar_app.domain.timespan import Span
from calendar_app.providers.base import Capability, EventPage
from calendar_app.services.calendar_sync import requests as sync_requests
from calendar_app.services.connections import tokens as connection_tokens
from tests.support import factories
from tests.support.databases import Database

EVENTS, PAGE = 10_000, 250
AHEAD = 1_000
"""How many of them are read before the listing goes on."""
BOUND_KB = 24 << 10
"""What the process may grow by: held as objects, these events would take well over 100 MB."""
STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def memory_kb(name: str) -> int:
    """``VmRSS`` (now) or ``VmHWM`` (the most since it was reset) of this process; proc(5)."""
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(name))
    return int(line.split()[1])


class Large:
    """A provider that makes up its events as it lists them, each with two kilobytes of description."""

    capabilities = Capability.READ | Capability.DELTA
    events = EVENTS

    def event_pages(
        self, _calendar_id: str, _cursor: str | None, *, since: datetime | None = None
    ) -> Iterator[EventPage]:
        first = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
        for page in range(0, self.events, PAGE):
            events = tuple(
                CalendarEvent(
                    f"e{number}",
                    start=EventTime(first + timedelta(minutes=15 * number), "Europe/Berlin"),
                    end=EventTime(first + timedelta(minutes=15 * number + 10), "Europe/Berlin"),
                    summary=f"Event {number}",
                    description=f"{number} " * 400,
                )
                for number in range(page, page + PAGE)
            )
            yield EventPage(events, "cursor" if page + PAGE >= self.events else None)

    def events_in(self, calendar_id: str, _span: Span) -> Sequence[CalendarEvent]:
        """As if the coming weeks held :data:`AHEAD` events."""
        pages = self.event_pages(calendar_id, None)
        return [event for page in islice(pages, AHEAD // PAGE) for event in page.events]


@pytest.mark.slow
@pytest.mark.serial
@pytest.mark.skipif(not RESET.exists(), reason="needs Linux's account of a process's memory")
def test_memory_is_bounded(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """10,000 events with 20 MB of text are synced within 24 MB, pages, statements and all."""
    team, warm_up = factories.team(), factories.team()
    monkeypatch.setattr(connection_tokens, "call", lambda _connection_id, work: work(Large()))
    monkeypatch.setattr(Large, "events", 500)
    sync_requests.sync_calendar(warm_up.calendar.id)
    monkeypatch.setattr(Large, "events", EVENTS)
    gc.collect()
    RESET.write_text("5")
    before = memory_kb("VmRSS")
    result = sync_requests.sync_calendar(team.calendar.id)
    grown = memory_kb("VmHWM") - before
    assert result.changed == EVENTS - AHEAD  # the others were read before
    with reading() as session:
        mine = col(Event.calendar_id) == team.calendar.id
        assert session.scalar(select(func.count()).select_from(Event).where(mine)) == EVENTS
    assert grown < BOUND_KB, grown
