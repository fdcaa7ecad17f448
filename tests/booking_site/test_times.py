"""The month that is shown: every slot under the day on which it starts, wherever the clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calendar_app.booking_site import times
from calendar_app.domain.hosting import Slot
from calendar_app.domain.timespan import Span
from calendar_app.services.availability.slots import FreshnessView, SlotsView

ZONES = [
    "Europe/Berlin",
    "America/New_York",
    "Pacific/Apia",
    "Asia/Kathmandu",
    "Africa/Cairo",
    "Antarctica/Troll",
]
FRESH = FreshnessView(False, None, None, "", False, ())


@given(
    st.sampled_from(ZONES),
    st.datetimes(datetime(2011, 12, 20), datetime(2030, 12, 31)),  # noqa: DTZ001 - made aware below
    st.lists(st.integers(0, 60 * 96), max_size=40, unique=True),
)
def test_slots_stand_under_their_day(zone: str, begin: datetime, quarters: list[int]) -> None:
    """As datetimes say it, whatever the zone does meanwhile: clock changes, a day that was left out."""
    start = int(begin.replace(tzinfo=UTC).timestamp()) // 900 * 900
    found = [
        Slot((start + 900 * quarter, start + 900 * quarter + 1800, ("h",))) for quarter in sorted(quarters)
    ]
    view = SlotsView(found, [], Span(start, start + 61 * 86_400), FRESH, zone, "w")
    days = times._by_day(view)
    assert [slot for day in sorted(days) for slot in days[day]] == found
    for day, slots in days.items():
        assert {datetime.fromtimestamp(slot.start, ZoneInfo(zone)).date() for slot in slots} == {day}


@pytest.mark.parametrize(
    ("day", "months", "first"), [("2026-12-31", 1, "2027-01-01"), ("2026-01-15", -1, "2025-12-01")]
)
def test_months_are_counted_over_the_year(day: str, months: int, first: str) -> None:
    """December is followed by January."""
    found = times.add_months(datetime.fromisoformat(day).date(), months)
    assert found.isoformat() == first
    assert (
        times.rfc3339(datetime(2026, 12, 3, 9, 30, tzinfo=UTC) + timedelta()) == "2026-12-03T09:30:00+00:00"
    )
