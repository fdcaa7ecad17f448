"""The stored form of schedules: what is read, what is refused and by which name, and that both directions agree."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calendar_app.domain.schedule import WEEKDAYS, Range, Schedule, ScheduleError, working_spans
from calendar_app.domain.timespan import Span, instant
from calendar_app.errors import InvalidInput

OFFICE = {
    "weekly": {"mon": [["09:00", "12:00"], ["13:00", "17:00"]], "fri": [["22:00", "24:00"]]},
    "overrides": {"2026-12-24": [], "2026-12-28": [["10:00", "11:00"]]},
}


def at(text: str) -> int:
    """The instant of an ISO text in UTC."""
    return instant(datetime.fromisoformat(text).replace(tzinfo=UTC))


def test_the_stored_form_is_read_and_written() -> None:
    """Named weekdays and overrides come back, and the days that were not named are closed."""
    schedule = Schedule.from_json(OFFICE, "Europe/Berlin")
    assert schedule.ranges_on(date(2026, 12, 21)) == (Range(540, 720), Range(780, 1020))
    assert schedule.ranges_on(date(2026, 12, 22)) == ()
    assert schedule.ranges_on(date(2026, 12, 28)) == (Range(600, 660),)
    assert schedule.to_json() == {
        "weekly": {**{day: [] for day in WEEKDAYS}, **OFFICE["weekly"]},
        "overrides": OFFICE["overrides"],
    }


def test_several_ranges_may_touch_and_come_in_any_order() -> None:
    """Ranges are put in order; touching ones are one stretch of working time, also across midnight."""
    schedule = Schedule.from_json(
        {"weekly": {"mon": [["12:00", "24:00"], ["09:00", "12:00"]], "tue": [["00:00", "02:00"]]}}, "UTC"
    )
    assert schedule.weekly[0] == (Range(540, 720), Range(720, 1440))
    window = Span(at("2026-06-01"), at("2026-06-08"))
    assert working_spans(schedule, window) == [Span(at("2026-06-01T09:00"), at("2026-06-02T02:00"))]


def test_an_override_replaces_its_day_or_closes_it() -> None:
    """Working time of the week follows the overrides, of which an empty one is a holiday."""
    overrides = OFFICE["overrides"] | {"2026-12-21": []}
    schedule = Schedule.from_json(OFFICE | {"overrides": overrides}, "UTC")
    assert schedule.ranges_on(date(2026, 12, 21)) == ()
    spans = working_spans(schedule, Span(at("2026-12-21"), at("2027-01-01")))
    assert spans == [
        Span(at("2026-12-25T22:00"), at("2026-12-26T00:00")),
        Span(at("2026-12-28T10:00"), at("2026-12-28T11:00")),
    ]


def test_spans_are_cut_to_the_window() -> None:
    """A window inside a range yields just itself; an empty one nothing."""
    schedule = Schedule.from_json(OFFICE, "UTC")
    inside = Span(at("2026-06-01T10:00"), at("2026-06-01T10:00:01"))
    assert working_spans(schedule, inside) == [inside]
    assert working_spans(schedule, Span(inside.end, inside.start)) == []


@pytest.mark.parametrize(
    ("document", "zone", "part"),
    [
        ({}, "Europe/Atlantis", "zone"),
        ({}, "../../etc/passwd", "zone"),
        ({}, "", "zone"),
        ({}, "europe/berlin", "zone"),
        ([], "UTC", "schedule"),
        ({"week": {}}, "UTC", "schedule"),
        ({"weekly": []}, "UTC", "weekly"),
        ({"weekly": {"monday": []}}, "UTC", "weekly"),
        ({"weekly": {"mon": "09:00"}}, "UTC", "weekly.mon"),
        ({"weekly": {"mon": [["09:00"]]}}, "UTC", "weekly.mon[0]"),
        ({"weekly": {"mon": [["09:00", "10:00"], ["9:00", "10:00"]]}}, "UTC", "weekly.mon[1]"),
        ({"weekly": {"mon": [["09:00", "24:01"]]}}, "UTC", "weekly.mon[0]"),
        ({"weekly": {"mon": [["09:00", "09:60"]]}}, "UTC", "weekly.mon[0]"),
        ({"weekly": {"mon": [["٠٩:٠٠", "10:00"]]}}, "UTC", "weekly.mon[0]"),
        ({"weekly": {"mon": [[540, 600]]}}, "UTC", "weekly.mon[0]"),
        ({"weekly": {"tue": [["10:00", "10:00"]]}}, "UTC", "weekly.tue[0]"),
        ({"weekly": {"tue": [["17:00", "09:00"]]}}, "UTC", "weekly.tue[0]"),
        ({"weekly": {"wed": [["09:00", "12:00"], ["11:59", "13:00"]]}}, "UTC", "weekly.wed"),
        ({"overrides": []}, "UTC", "overrides"),
        ({"overrides": {"2026-02-29": []}}, "UTC", "overrides.2026-02-29"),
        ({"overrides": {"20261224": []}}, "UTC", "overrides.20261224"),
        ({"overrides": {"2026-W52-4": []}}, "UTC", "overrides.2026-W52-4"),
        ({"overrides": {"2026-12-24": [["10:00", "09:00"]]}}, "UTC", "overrides.2026-12-24[0]"),
    ],
)
def test_what_means_nothing_is_refused_by_name(document: object, zone: str, part: str) -> None:
    """The error names the part, is a ValueError, and is what the API answers 422 to."""
    with pytest.raises(ScheduleError) as caught:
        Schedule.from_json(document, zone)
    assert caught.value.field == part
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, InvalidInput)
    assert caught.value.detail


def test_ranges_given_in_code_are_checked_as_well() -> None:
    """The constructor refuses what the parser would."""
    with pytest.raises(ScheduleError, match="within one day"):
        Schedule("UTC", ((Range(0, 1441),), *[()] * 6))
    with pytest.raises(ScheduleError, match="seven days"):
        Schedule("UTC", ((),) * 6)
    with pytest.raises(ScheduleError, match=r"2026-01-01: .* overlap"):
        Schedule("UTC", ((),) * 7, {date(2026, 1, 1): (Range(0, 60), Range(59, 61))})


json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=6)
    | st.sampled_from(["09:00", "24:00"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["weekly", "overrides", "mon", "sun", "2026-12-24", "x"]), inner, max_size=3
        )
    ),
    max_leaves=12,
)


@given(document=json, zone=st.sampled_from(["UTC", "Asia/Kathmandu"]) | st.text(max_size=8))
def test_any_json_is_a_schedule_or_a_schedule_error(document: object, zone: str) -> None:
    """Nothing that can be stored or sent raises anything else, and what is accepted survives the way there and back."""
    try:
        schedule = Schedule.from_json(document, zone)
    except ScheduleError as error:
        part = error.field
    else:
        part = "none"
        assert Schedule.from_json(schedule.to_json(), zone) == schedule
    assert part


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"weekly": {"mon": [["18:00", "17:00"]]}}, "Monday: 17:00 is not after 18:00."),
        ({"weekly": {"sun": [["09:00", "09:00"]]}}, "Sunday: 09:00 is not after 09:00."),
        ({"overrides": {"2026-12-24": [["10:00", "09:00"]]}}, "2026-12-24: 09:00 is not after 10:00."),
    ],
)
def test_refused_hours_are_named_for_people(document: dict[str, object], said: str) -> None:
    """The sentence names day and times, and no part of the document."""
    with pytest.raises(ScheduleError) as caught:
        Schedule.from_json(document, "UTC")
    assert caught.value.detail == said
