"""From events to busy spans, and what a calendar that was not read lately means."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from calendar_app.domain.event import CalendarEvent, EventStatus, Response, ShowAs
from calendar_app.domain.freebusy import (
    BusySource,
    SourceKind,
    StalePolicy,
    counts,
    freshness,
    needs_approval,
    stale_source,
)
from calendar_app.domain.timespan import Span

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
WINDOW = Span(0, 1000)


@pytest.mark.parametrize(
    ("event", "blocks"),
    [
        (CalendarEvent("a"), True),
        (CalendarEvent("b", show_as=ShowAs.TENTATIVE), True),
        (CalendarEvent("c", show_as=ShowAs.OUT_OF_OFFICE), True),
        (CalendarEvent("d", status=EventStatus.CANCELLED), False),
        (CalendarEvent("e", response=Response.DECLINED), False),
        (CalendarEvent("f", show_as=ShowAs.FREE), False),
        (CalendarEvent("g", show_as=ShowAs.WORKING_ELSEWHERE), False),
    ],
)
def test_only_what_blocks_time_is_busy(event: CalendarEvent, blocks: bool) -> None:
    """Cancelled, declined, free and working-elsewhere events leave their owner free; the others do not."""
    assert event.blocks_time is blocks


@pytest.mark.parametrize(("age", "stale"), [(0, False), (600, False), (601, True), (None, True)])
def test_a_calendar_grows_stale_after_its_time(age: int | None, stale: bool) -> None:
    """Never read counts as stale."""
    read = None if age is None else NOW - timedelta(seconds=age)
    until = read + timedelta(minutes=10) if read else None
    assert freshness("c", read, NOW, until).stale is stale


def test_each_policy_for_a_stale_calendar() -> None:
    """Close makes everything busy, approve asks a person, ignore does not count; a fresh calendar needs none of it."""
    stale, fresh = freshness("c", None, NOW, None), freshness("c", NOW, NOW, NOW + timedelta(minutes=10))
    closing = stale_source(stale, StalePolicy.CLOSE, WINDOW, "Work")
    assert closing == BusySource(SourceKind.STALE, "c", [WINDOW], "Work")
    assert stale_source(stale, StalePolicy.APPROVE, WINDOW) is None
    assert stale_source(stale, StalePolicy.IGNORE, WINDOW) is None
    assert stale_source(stale, StalePolicy.KEEP, WINDOW) is None
    assert [policy for policy in StalePolicy if not counts(stale, policy)] == [StalePolicy.IGNORE]
    assert all(counts(fresh, policy) for policy in StalePolicy)
    assert stale_source(fresh, StalePolicy.CLOSE, WINDOW) is None
    assert needs_approval([(fresh, StalePolicy.APPROVE), (stale, StalePolicy.APPROVE)])
    assert not needs_approval([(fresh, StalePolicy.APPROVE), (stale, StalePolicy.IGNORE)])
