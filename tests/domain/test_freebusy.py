"""From events to busy spans, and what a calendar that was not read lately means."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from calendar_app.domain.event import CalendarEvent, EventStatus, Response, ShowAs
from calendar_app.domain.freebusy import (
    BusySource,
    SourceKind,
    StalePolicy,
    busy_by_calendar,
    busy_spans,
    busy_times,
    counts,
    freshness,
    needs_approval,
    stale_source,
)
from calendar_app.domain.timespan import Span

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
WINDOW = Span(0, 1000)


def test_only_what_blocks_time_is_busy() -> None:
    """Cancelled, declined, free and working-elsewhere events leave their owner free; the others merge."""
    occurrences = [
        (CalendarEvent("a"), Span(100, 200)),
        (CalendarEvent("b", show_as=ShowAs.TENTATIVE), Span(150, 250)),
        (CalendarEvent("c", show_as=ShowAs.OUT_OF_OFFICE), Span(250, 300)),
        (CalendarEvent("d", status=EventStatus.CANCELLED), Span(400, 500)),
        (CalendarEvent("e", response=Response.DECLINED), Span(400, 500)),
        (CalendarEvent("f", show_as=ShowAs.FREE), Span(400, 500)),
        (CalendarEvent("g", show_as=ShowAs.WORKING_ELSEWHERE), Span(400, 500)),
        (CalendarEvent("h"), Span(600, 600)),
        (CalendarEvent("ours"), Span(700, 800)),
    ]
    assert busy_spans(occurrences, ignore={"ours"}) == [Span(100, 300)]
    assert busy_spans(occurrences, Span(120, 750)) == [Span(120, 300), Span(700, 750)]
    assert busy_by_calendar({"c1": occurrences[:1], "c2": occurrences[3:5]}) == {
        "c1": [Span(100, 200)],
        "c2": [],
    }


def test_busy_times_are_the_union_of_all_sources() -> None:
    """Who keeps the person busy does not show, and nothing beyond the window does."""
    sources = [
        BusySource(SourceKind.CALENDAR, "a", [(900, 1100), (100, 200)]),
        BusySource(SourceKind.HOLD, "b", [(150, 300), (1000, 1200)]),
    ]
    assert busy_times(sources, WINDOW) == [Span(100, 300), Span(900, 1000)]


@pytest.mark.parametrize(("age", "stale"), [(0, False), (600, False), (601, True), (None, True)])
def test_a_calendar_grows_stale_after_its_time(age: int | None, stale: bool) -> None:
    """Never read counts as stale."""
    read = None if age is None else NOW - timedelta(seconds=age)
    assert freshness("c", read, NOW, 600).stale is stale


def test_each_policy_for_a_stale_calendar() -> None:
    """Close makes everything busy, approve asks a person, ignore does not count; a fresh calendar needs none of it."""
    stale, fresh = freshness("c", None, NOW, 600), freshness("c", NOW, NOW, 600)
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
