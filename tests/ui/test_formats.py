"""Dates, times and lengths in words."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calendar_app.ui import formats

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def test_a_clock_counts_to_twelve_or_twenty_four() -> None:
    """Midnight and noon are 12, and the zone decides."""
    assert formats.clock(NOON, "UTC") == "12:00"
    assert formats.clock(NOON, "UTC", hour12=True) == "12:00 pm"
    assert formats.clock(NOON, "Asia/Kolkata", hour12=True) == "5:30 pm"
    assert formats.clock(NOON.replace(hour=0, minute=5), "UTC", hour12=True) == "12:05 am"


def test_a_span_names_the_other_day() -> None:
    """An end on another local day says which."""
    late = datetime(2026, 11, 21, 23, 30, tzinfo=UTC)
    end = late + timedelta(minutes=30)
    assert formats.span(late, end, "UTC") == "23:30 – Sun 22 Nov, 00:00"
    assert formats.span(late, end, "Asia/Tokyo") == "08:30 – 09:00"


def test_days_near_by_have_names() -> None:
    """Today, tomorrow and yesterday; the year where it is another one."""
    today = date(2026, 12, 31)
    assert formats.relative_day(today, today) == "Today"
    assert formats.relative_day(date(2027, 1, 1), today) == "Tomorrow"
    assert formats.relative_day(date(2027, 1, 2), today) == "Saturday, 2 January 2027"
    assert formats.relative_day(date(2026, 12, 1), today) == "Tuesday, 1 December"


def test_offsets_are_those_of_the_moment() -> None:
    """Summer time counts, and so do half hours."""
    assert formats.offset("Europe/Berlin", NOON) == "GMT+1"
    assert formats.offset("Europe/Berlin", NOON.replace(month=7)) == "GMT+2"
    assert formats.offset("America/St_Johns", NOON) == "GMT-3:30"
    assert formats.zone_name("UTC", NOON) == "UTC (GMT)"


@pytest.mark.parametrize(
    ("minutes", "text"),
    [(0, "0 min"), (45, "45 min"), (60, "1 h"), (90, "1 h 30 min"), (1440, "1 day"), (2881, "2 days 1 min")],
)
def test_lengths_in_words(minutes: int, text: str) -> None:
    """Days, hours and minutes, leaving out what is zero."""
    assert formats.length(minutes) == text


def test_unknown_zones_fall_through() -> None:
    """What a browser calls a zone is taken only if it is one."""
    assert formats.known_zone("../../etc/passwd", "", "Europe/Paris") == "Europe/Paris"
    assert formats.known_zone("Mars/Olympus") == "UTC"


@given(st.integers(min_value=0, max_value=4_000_000_000).map(lambda at: datetime.fromtimestamp(at, UTC)))
def test_every_moment_can_be_shown_everywhere(moment: datetime) -> None:
    """No zone and no moment breaks the words."""
    for zone in sorted(available_timezones())[::40]:
        assert formats.clock(moment, zone)
        assert formats.offset(zone, moment).startswith("GMT")
    assert datetime.fromisoformat(formats.rfc3339(moment)) == moment
