"""Recurring events: patterns, occurrences and exceptions as Graph represents them, and the calendar view."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calendar_app.sandbox.microsoft.error import GraphError
from calendar_app.sandbox.microsoft.event import merged, writable
from calendar_app.sandbox.microsoft.recurrence import Series
from calendar_app.sandbox.microsoft.seed import plant
from tests.sandbox.microsoft.client import BERLIN, Json, Microsoft, at, meeting, ok, refused, subjects, weekly

WINDOW = {"startDateTime": "2026-11-01T00:00:00Z", "endDateTime": "2026-12-15T00:00:00Z"}


def days(found: Json) -> list[str]:
    return [item["start"]["dateTime"][:16] for item in found["value"]]


def view(graph: httpx.Client, calendar: str, **window: str) -> Json:
    return ok(graph.get(f"me/calendars/{calendar}/calendarView", params=WINDOW | {"$top": "100"} | window))


@pytest.fixture
def series(graph: httpx.Client, project: str) -> Json:
    """Mondays at nine from 2 November 2026."""
    body = meeting("2026-11-02", recurrence=weekly("2026-11-02"), subject="Stand-up")
    return ok(graph.post(f"me/calendars/{project}/events", json=body), 201)


def test_a_master_is_listed_and_its_occurrences_are_viewed(
    graph: httpx.Client, project: str, series: Json
) -> None:
    """events has the master once; calendarView has occurrences that point at it, on the wall clock of its zone."""
    assert series["type"] == "seriesMaster"
    assert series["recurrence"]["range"]["recurrenceTimeZone"] == BERLIN
    assert series["recurrence"]["pattern"]["firstDayOfWeek"] == "sunday"
    assert subjects(ok(graph.get(f"me/calendars/{project}/events"))) == ["Stand-up"]
    found = view(graph, project, startDateTime="2026-10-01T00:00:00Z", endDateTime="2027-04-06T00:00:00Z")[
        "value"
    ]
    assert {item["type"] for item in found} == {"occurrence"}
    assert {item["seriesMasterId"] for item in found} == {series["id"]}
    assert {
        item["start"]["dateTime"][11:16] for item in found if item["start"]["dateTime"] < "2027-03-28"
    } == {"08:00"}
    assert found[-1]["start"]["dateTime"][:16] == "2027-04-05T07:00"
    one = ok(graph.get(f"me/events/{found[0]['id']}"))
    assert one == found[0]
    assert one["originalStart"] == "2026-11-02T08:00:00Z"


def test_instances_of_a_series(graph: httpx.Client, series: Json) -> None:
    """instances needs a window, and gives this series' part of the view."""
    found = ok(graph.get(f"me/events/{series['id']}/instances", params=WINDOW))
    assert days(found)[:2] == ["2026-11-02T08:00", "2026-11-09T08:00"]
    refused(graph.get(f"me/events/{series['id']}/instances"), 400, "ErrorInvalidParameter")
    single = ok(graph.post("me/events", json=meeting()), 201)
    refused(graph.get(f"me/events/{single['id']}/instances", params=WINDOW), 400, "ErrorInvalidRequest")


def test_a_moved_occurrence_is_an_exception(graph: httpx.Client, project: str, series: Json) -> None:
    """It keeps its id and originalStart, and takes the rest from its series, also what the series gets later."""
    first, second, *_ = view(graph, project)["value"]
    sides = {"start": at("2026-11-11", "14:00"), "end": at("2026-11-11", "15:00")}
    moved = ok(graph.patch(f"me/events/{second['id']}", json=sides))
    assert (moved["type"], moved["id"]) == ("exception", second["id"])
    assert moved["originalStart"] == "2026-11-09T08:00:00Z"
    assert moved["seriesMasterId"] == series["id"]
    ok(graph.patch(f"me/events/{series['id']}", json={"subject": "Renamed"}))
    found = view(graph, project)["value"]
    assert [item["type"] for item in found[:3]] == ["occurrence", "exception", "occurrence"]
    assert {item["subject"] for item in found} == {"Renamed"}
    assert found[1]["start"]["dateTime"] == "2026-11-11T13:00:00.0000000"
    assert first["id"] == found[0]["id"]


def test_an_occurrence_can_be_taken_out(graph: httpx.Client, project: str, series: Json) -> None:
    """The others stay; the one that went is gone."""
    found = view(graph, project)["value"]
    ok(graph.delete(f"me/events/{found[1]['id']}"), 204)
    assert [item["id"] for item in view(graph, project)["value"]] == [
        item["id"] for item in found if item != found[1]
    ]
    refused(graph.get(f"me/events/{found[1]['id']}"), 404, "ErrorItemNotFound")
    refused(graph.patch(f"me/events/{found[1]['id']}", json={"subject": "x"}), 404, "ErrorItemNotFound")


def test_an_occurrence_cannot_reach_its_neighbours(graph: httpx.Client, project: str, series: Json) -> None:
    """As in Outlook, not even the neighbour's day."""
    second = view(graph, project)["value"][1]
    for day in ("2026-11-02", "2026-11-16", "2026-11-20"):
        sides = {"start": at(day, "18:00"), "end": at(day, "19:00")}
        refused(graph.patch(f"me/events/{second['id']}", json=sides), 400, "ErrorOccurrenceCrossingBoundary")


def test_an_occurrence_has_no_pattern_of_its_own(graph: httpx.Client, project: str, series: Json) -> None:
    """A recurrence belongs to the series."""
    second = view(graph, project)["value"][1]
    change = {"recurrence": weekly("2026-11-09")}
    refused(graph.patch(f"me/events/{second['id']}", json=change), 400, "ErrorPropertyValidationFailure")


def test_a_moved_series_loses_its_exceptions(graph: httpx.Client, project: str, series: Json) -> None:
    """Another time for all undoes what was different, deletions too."""
    found = view(graph, project)["value"]
    ok(graph.patch(f"me/events/{found[1]['id']}", json={"subject": "Special"}))
    ok(graph.delete(f"me/events/{found[2]['id']}"), 204)
    sides = {"start": at("2026-11-02", "11:00"), "end": at("2026-11-02", "12:00")}
    ok(graph.patch(f"me/events/{series['id']}", json=sides))
    after = view(graph, project)
    assert len(after["value"]) == len(found)
    assert {item["start"]["dateTime"][11:16] for item in after["value"]} == {"10:00"}
    assert set(subjects(after)) == {"Stand-up"}


def test_a_deleted_series_is_gone_altogether(graph: httpx.Client, project: str, series: Json) -> None:
    """Master and occurrences."""
    first = view(graph, project)["value"][0]
    ok(graph.delete(f"me/events/{series['id']}"), 204)
    assert view(graph, project)["value"] == []
    refused(graph.get(f"me/events/{first['id']}"), 404, "ErrorItemNotFound")


def test_a_series_can_become_a_single_event(graph: httpx.Client, project: str, series: Json) -> None:
    """recurrence null ends the repetition."""
    changed = ok(graph.patch(f"me/events/{series['id']}", json={"recurrence": None}))
    assert (changed["type"], changed["recurrence"]) == ("singleInstance", None)
    assert days(view(graph, project)) == ["2026-11-02T08:00"]


@pytest.mark.parametrize(
    ("first", "pattern", "bounds", "expected"),
    [
        ("2026-11-02", {"type": "daily", "interval": 3}, {"type": "numbered", "numberOfOccurrences": 3},
         ["11-02", "11-05", "11-08"]),
        ("2026-11-03", {"type": "weekly", "interval": 2, "daysOfWeek": ["tuesday", "friday"]},
         {"type": "endDate", "endDate": "2026-11-20"}, ["11-03", "11-06", "11-17", "11-20"]),
        ("2026-11-01", {"type": "weekly", "interval": 2, "daysOfWeek": ["sunday", "monday"],
                        "firstDayOfWeek": "monday"},
         {"type": "endDate", "endDate": "2026-11-16"}, ["11-01", "11-09", "11-15"]),
        ("2026-10-31", {"type": "absoluteMonthly", "interval": 1, "dayOfMonth": 31},
         {"type": "numbered", "numberOfOccurrences": 3}, ["10-31", "11-30", "12-31"]),
        ("2026-11-03", {"type": "relativeMonthly", "interval": 1, "daysOfWeek": ["tuesday"], "index": "first"},
         {"type": "numbered", "numberOfOccurrences": 2}, ["11-03", "12-01"]),
        ("2026-10-30", {"type": "relativeMonthly", "interval": 1, "daysOfWeek": ["friday"], "index": "last"},
         {"type": "numbered", "numberOfOccurrences": 2}, ["10-30", "11-27"]),
        ("2026-11-09", {"type": "absoluteYearly", "interval": 1, "dayOfMonth": 9, "month": 11},
         {"type": "numbered", "numberOfOccurrences": 2}, ["11-09", "11-09"]),
        ("2026-11-26", {"type": "relativeYearly", "interval": 1, "daysOfWeek": ["thursday"], "index": "fourth",
                        "month": 11},
         {"type": "numbered", "numberOfOccurrences": 2}, ["11-26", "11-25"]),
    ],
)  # fmt: skip
def test_patterns(first: str, pattern: Json, bounds: Json, expected: list[str]) -> None:
    """Every type of pattern and range of the reference, with Outlook's reading of short months."""
    recurrence = {"pattern": pattern, "range": {"startDate": first} | bounds}
    body = merged(None, writable(meeting(first, recurrence=recurrence)))
    found = [one.wall.strftime("%m-%d") for one in Series(body, "Europe/Berlin").between(None, None)]
    assert found == expected


@pytest.mark.parametrize(
    "change",
    [
        {"pattern": {"type": "hourly", "interval": 1}},
        {"pattern": {"type": "daily", "interval": 0}},
        {"pattern": {"type": "weekly", "interval": 1}},
        {"pattern": {"type": "weekly", "interval": 1, "daysOfWeek": ["funday"]}},
        {"pattern": {"type": "absoluteMonthly", "interval": 1}},
        {"pattern": {"type": "daily", "interval": "1"}},
        {"pattern": {"type": "daily", "interval": 1, "count": 3}},
        {"range": {"type": "noEnd", "startDate": "2026-11-03"}},
        {"range": {"type": "noEnd"}},
        {"range": {"type": "endDate", "startDate": "2026-11-02", "endDate": "2026-11-01"}},
        {"range": {"type": "numbered", "startDate": "2026-11-02", "numberOfOccurrences": 0}},
        {"range": {"type": "forever", "startDate": "2026-11-02"}},
        {"range": {"type": "noEnd", "startDate": "2026-11-02", "recurrenceTimeZone": "Nowhere"}},
        {"pattern": None},
        {"until": "2026-12-01"},
    ],
)
def test_patterns_that_cannot_be_are_refused(change: dict[str, Any]) -> None:
    """Each with a 400."""
    body = meeting("2026-11-02", recurrence=weekly("2026-11-02") | change)
    with pytest.raises(GraphError) as caught:
        merged(None, writable(body))
    assert caught.value.status == 400


@settings(max_examples=60, deadline=None)
@given(
    start=st.dates(date(2025, 1, 1), date(2027, 12, 31)),
    interval=st.integers(1, 5),
    day=st.integers(0, 6),
    offset=st.integers(0, 400),
    length=st.integers(1, 60),
)
def test_a_window_holds_what_counting_days_finds(
    start: date, interval: int, day: int, offset: int, length: int
) -> None:
    """Weekly patterns agree with counting days one by one."""
    start += timedelta(days=(day - start.weekday()) % 7)
    recurrence = weekly(start.isoformat())
    recurrence["pattern"] |= {"interval": interval, "firstDayOfWeek": "monday"}
    body = merged(None, writable(meeting(start.isoformat(), recurrence=recurrence)))
    first, last = start + timedelta(days=offset), start + timedelta(days=offset + length)
    counted = [
        one
        for number in range(offset + length)
        if (one := start + timedelta(days=number)) >= first and number % (7 * interval) == 0
    ]
    zone = Series(body, "Europe/Berlin").zone
    window = [int(datetime(at.year, at.month, at.day, tzinfo=zone).timestamp()) for at in (first, last)]
    found = [one.wall.date() for one in Series(body, "Europe/Berlin").between(*window)]
    assert found == counted


def test_the_seeded_mailbox(microsoft: Microsoft, graph: httpx.Client) -> None:
    """A newcomer finds a series with a moved and a dropped day, a day off, free and tentative time."""
    window = {"startDateTime": "2026-11-09T00:00:00Z", "endDateTime": "2026-12-14T00:00:00Z", "$top": "100"}
    found = ok(graph.get("me/calendarView", params=window))["value"]
    stand_ups = [
        (item["type"], item["start"]["dateTime"][:10])
        for item in found
        if item["subject"] == "Project stand-up"
    ]
    assert stand_ups == [
        ("occurrence", "2026-11-09"),
        ("occurrence", "2026-11-16"),
        ("exception", "2026-11-24"),
        ("occurrence", "2026-12-07"),
    ]
    assert {item["showAs"] for item in found} == {"busy", "free", "tentative", "oof"}
    assert [item["subject"] for item in found if item["isAllDay"]] == ["Out of office"]
    before = microsoft.stand_in.store.sequence()
    plant(microsoft.stand_in.mailboxes, microsoft.stand_in.events)
    assert microsoft.stand_in.store.sequence() == before
