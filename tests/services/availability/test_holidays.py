"""Public holidays and days away close dates of working hours."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calendar_app.errors import InvalidInput
from calendar_app.services.availability import holidays, slots, working_hours
from tests.support.databases import Database
from tests.support.scheduling import Place

WEEKLY = {day: [["09:00", "17:00"]] for day in ("mon", "tue", "wed", "thu", "fri")}
NEW_YEAR, EPIPHANY = date(2027, 1, 1), date(2027, 1, 6)


def open_days(region: str, away: list[dict[str, str]], overrides: dict[str, Any] | None = None) -> set[date]:
    """The open days of the 60 days from Christmas 2026."""
    read = holidays.as_schedule("UTC", WEEKLY, overrides or {}, region, away, 2026)
    days = (date(2026, 12, 25) + timedelta(days=at) for at in range(60))
    return {day for day in days if read.ranges_on(day)}


def test_a_region_s_holidays_are_closed() -> None:
    """New Year's Day in all of Germany, Epiphany in Bavaria only; without a region neither."""
    everywhere, bavaria, none = (open_days(region, []) for region in ("DE", "DE-BY", ""))
    assert (NEW_YEAR in none, EPIPHANY in none) == (True, True)
    assert (NEW_YEAR in everywhere, EPIPHANY in everywhere) == (False, True)
    assert (NEW_YEAR in bavaria, EPIPHANY in bavaria) == (False, False)
    names = {holiday.day: holiday.name for holiday in holidays.coming("DE-BY", date(2026, 12, 20))}
    assert (names[NEW_YEAR], names[EPIPHANY]) == ("New Year's Day", "Epiphany")


def test_who_works_on_a_holiday_says_so() -> None:
    """An exception wins over a holiday, and a day away over both."""
    working = {NEW_YEAR.isoformat(): [["10:00", "12:00"]]}
    assert NEW_YEAR in open_days("DE", [], working)
    away = [{"first": "2026-12-28", "last": "2027-01-01", "note": "Skiing"}]
    assert NEW_YEAR not in open_days("DE", away, working)


@given(first=st.integers(0, 20), length=st.integers(0, 20))
def test_days_away_are_closed_and_no_others(first: int, length: int) -> None:
    """From the first day to the last, both included."""
    start = date(2026, 12, 25) + timedelta(days=first)
    end = start + timedelta(days=length)
    away = [{"first": start.isoformat(), "last": end.isoformat(), "note": ""}]
    assert open_days("", away) == {day for day in open_days("", []) if not start <= day <= end}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"holidays": "XX"}, "holidays"),
        ({"holidays": "DE-XX"}, "holidays"),
        ({"holidays": "Germany"}, "holidays"),
        ({"away": [{"first": "2026-12-24", "last": "2026-12-23"}]}, "away[0]"),
        ({"away": [{"first": "2026-12-24", "last": "2036-12-23"}]}, "away[0]"),
        ({"away": [{"first": "soon"}]}, "away[0]"),
        ({"away": ["x"]}, "away[0]"),
        ({"away": [{"first": "2026-12-24", "last": "2026-12-24", "note": "x" * 201}]}, "away[0].note"),
        ({"away": [{"first": "2026-12-24", "last": "2026-12-24"}] * 101}, "away"),
    ],
)
def test_nonsense_is_refused(place: Place, changes: dict[str, Any], field: str) -> None:
    """The part is named, and nothing changes."""
    before = working_hours.list_schedules(place.owner, person_id=place.owner.person_id)[0]
    with pytest.raises(InvalidInput) as refused:
        working_hours.update_schedule(place.owner, before.id, changes)
    assert refused.value.field == field
    assert working_hours.get_schedule(place.owner, before.id) == before


def test_slots_leave_out_days_away(place: Place, database: Database) -> None:
    """A day on which the host is away offers nothing; the next one does."""
    schedule = working_hours.list_schedules(place.owner, person_id=place.owner.person_id)[0]
    day = place.at(12).date()
    working_hours.update_schedule(
        place.owner, schedule.id, {"away": [{"first": day.isoformat(), "last": day.isoformat()}]}
    )
    found = slots.slots(place.event_type.id, place.at(0), place.at(0) + timedelta(days=14))
    days = {slot.start.date() for slot in found.slots}
    assert day not in days
    assert days


def test_regions_have_names() -> None:
    """Countries by name in the reader's language, parts by their code."""
    assert ("DE", "Germany") in [(one.code, one.name) for one in holidays.countries()]
    assert ("DE", "Deutschland") in [(one.code, one.name) for one in holidays.countries("de")]
    assert "DE-BY" in [one.code for one in holidays.subdivisions("DE")]
    assert holidays.subdivisions("XX") == []
