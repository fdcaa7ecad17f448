"""Series that cannot be followed one by one: busy wherever they might be, told, and soon."""

# ruff: noqa: DTZ001  # wall-clock times have no zone: EventTime carries it
from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calendar_app.domain.event import CalendarEvent, EventStatus, EventTime
from calendar_app.domain.recurrence.cautious import expand_cautiously
from calendar_app.domain.timespan import Span, instant, merge

FIRST = datetime(2027, 1, 4, 8)
WINDOW = Span(instant(datetime(2026, 12, 1, tzinfo=UTC)), instant(datetime(2028, 1, 5, tzinfo=UTC)))
LIMIT = 5_000
FIFTEEN = ",".join((FIRST + timedelta(minutes=15 * n)).strftime("%Y%m%dT%H%M%SZ") for n in range(9_000))


def event(*lines: str, minutes: int = 30, zone: str | None = "UTC") -> CalendarEvent:
    """A series that begins on 4 January 2027 at 08:00."""
    end = EventTime(FIRST + timedelta(minutes=minutes), zone)
    return CalendarEvent("e", start=EventTime(FIRST, zone), end=end, recurrence=lines)


def busy(
    master: CalendarEvent, *changes: CalendarEvent, window: Span = WINDOW
) -> tuple[list[Span], tuple[str, ...]]:
    """The times it makes busy, merged, and what is told of it."""
    found = expand_cautiously(master, changes, window, "UTC", limit=LIMIT)
    assert len(found.occurrences) <= LIMIT + len(changes)
    return merge((one.start, one.end) for one in found.occurrences), found.unread


@pytest.mark.parametrize(
    "rule",
    [
        "RRULE:FREQ=DAILY;BYEASTER=0",
        "RRULE:FREQ=YEARLY;RSCALE=HEBREW",
        "RRULE:FREQ=MONTHLY;BYDAY=XX",
        "RRULE:FREQ=SOMETIMES",
        "RRULE:nonsense",
        "RRULE",
    ],
)
def test_a_refused_rule_is_busy_at_its_time_on_every_day(rule: str) -> None:
    """From its start to the end of the window, and nowhere before."""
    spans, unread = busy(event(rule))
    first = instant(FIRST.replace(tzinfo=UTC))
    assert spans == [Span(at, at + 1800) for at in range(first, WINDOW.end, 86_400)]
    assert "cannot be followed" in unread[0]


def test_a_refused_rule_keeps_what_is_clear_of_it() -> None:
    """Its UNTIL, its hours, and the dates that were taken out of it."""
    spans, _ = busy(
        event("RRULE:FREQ=DAILY;BYEASTER=0;BYHOUR=9,11;UNTIL=20270106T235959Z", "EXDATE:20270105T090000Z")
    )
    starts = [datetime.fromtimestamp(span.start, UTC).strftime("%d %H") for span in spans]
    assert starts == ["04 08", "04 09", "04 11", "05 11", "06 09", "06 11"]


def test_a_refused_all_day_rule_is_busy_all_days() -> None:
    """Also one that would repeat within a day."""
    for rule in ("FREQ=DAILY;BYEASTER=0", "FREQ=HOURLY"):
        master = replace(event(f"RRULE:{rule}"), start=EventTime(date(2027, 1, 4)), end=None)
        assert busy(master)[0] == [Span(instant(datetime(2027, 1, 4, tzinfo=UTC)), WINDOW.end)]


def test_changes_of_a_refused_rule_stand() -> None:
    """A moved occurrence is busy at its new time, whether the series is known to have it or not."""
    odd = EventTime(datetime(2027, 1, 6, 13), "UTC")
    late, later = (EventTime(datetime(2027, 1, 6, hour), "UTC") for hour in (20, 21))
    change = CalendarEvent("c", start=late, end=later, master_id="e", original_start=odd)
    spans, _ = busy(event("RRULE:FREQ=DAILY;BYEASTER=0"), change)
    begin = instant(datetime(2027, 1, 6, 20, tzinfo=UTC))
    assert Span(begin, begin + 3600) in spans


@pytest.mark.parametrize(
    ("rule", "minutes", "end"),
    [
        ("RRULE:FREQ=MINUTELY;INTERVAL=15", 15, None),
        (
            "RRULE:FREQ=MINUTELY;INTERVAL=15;UNTIL=20270201T000000Z",
            15,
            datetime(2027, 2, 1, 0, 15, tzinfo=UTC),
        ),
        ("RRULE:FREQ=MINUTELY;INTERVAL=15;BYDAY=MO,TU,WE,TH,FR,SA,SU", 15, None),
        ("RRULE:FREQ=HOURLY", 60, None),
        ("RRULE:FREQ=HOURLY", 10, None),
        ("RRULE:FREQ=SECONDLY", 0, None),
        (f"RDATE:{FIFTEEN}", 15, None),
    ],
)
def test_a_dense_series_is_busy_throughout(rule: str, minutes: int, end: datetime | None) -> None:
    """Thousands of occurrences are few spans, from the first start to the last end."""
    spans, unread = busy(event(rule, minutes=minutes))
    first = instant(FIRST.replace(tzinfo=UTC))
    last = first + 9_000 * 900 if rule.startswith("RDATE") else instant(end) if end else WINDOW.end - 3600
    assert len(spans) == 1
    assert spans[0].start <= first
    assert spans[0].end >= last
    assert end is None or spans[0].end <= last + 900
    assert unread


def test_a_dense_series_is_free_where_it_does_not_occur() -> None:
    """Every ten minutes on working days from nine to five: nights and weekends stay free."""
    hours = ",".join(map(str, range(9, 17)))
    spans, _ = busy(event(f"RRULE:FREQ=MINUTELY;INTERVAL=10;BYHOUR={hours};BYDAY=MO,TU,WE,TH,FR", minutes=10))
    days = [span for span in spans if span.end - span.start == 8 * 3600]
    assert len(days) == len(spans) - 1  # the first start, at eight
    assert all(datetime.fromtimestamp(span.start, UTC).hour == 9 for span in days)
    assert {datetime.fromtimestamp(span.start, UTC).weekday() for span in days} == {0, 1, 2, 3, 4}


def test_an_unknown_zone_is_read_in_the_calendars_and_told() -> None:
    """Every occurrence, not the first alone; one that is cancelled stays so."""
    master = event("RRULE:FREQ=WEEKLY;COUNT=3", zone="Mars/Base")
    original = EventTime(FIRST + timedelta(weeks=1), "Mars/Base")
    gone = CalendarEvent("c", status=EventStatus.CANCELLED, master_id="e", original_start=original)
    found = expand_cautiously(master, [gone], WINDOW, "Pacific/Auckland", limit=LIMIT)
    starts = [datetime.fromtimestamp(one.start, UTC) for one in found.occurrences]
    assert starts == [datetime(2027, 1, day, 19, tzinfo=UTC) for day in (3, 17)]
    assert all(one.event is master for one in found.occurrences)
    assert "time zone is not known" in found.unread[0]


PARTS = st.sampled_from(
    (
        "FREQ=DAILY", "FREQ=MINUTELY", "FREQ=HOURLY", "FREQ=WEEKLY", "FREQ=YEARLY", "FREQ=X", "INTERVAL=2", "COUNT=4",
        "BYDAY=MO,XX", "BYDAY=TU", "BYHOUR=9,25", "BYHOUR=7", "UNTIL=20270301", "BYEASTER=1", "BYSETPOS=9", "", "=",
    )
)  # fmt: skip
LINES = st.lists(
    st.lists(PARTS, max_size=4).map(lambda parts: f"RRULE:{';'.join(parts)}")
    | st.sampled_from(
        ("EXDATE:x", "RDATE:20270105T090000Z", "RDATE:20270105T090000Z/P", "EXRULE:FREQ=Y", "?")
    ),
    max_size=4,
)


@settings(max_examples=150, deadline=None)
@given(LINES, st.sampled_from(("UTC", "Europe/Berlin", None, "Mars/Base")))
def test_whatever_an_event_says_its_own_start_is_busy(lines: list[str], zone: str | None) -> None:
    """Nothing is raised, and what makes it busy is within the window and at least its first time."""
    spans, _ = busy(event(*lines, zone=zone))
    first = expand_cautiously(event(zone=zone), (), WINDOW, "UTC", limit=1).occurrences[0]
    assert any(span.start <= first.start and span.end >= first.end for span in spans)
