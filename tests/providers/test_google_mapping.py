"""Google's Event resource to our event and back."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from calendar_app.domain.event import Attendee, EventDraft, EventStatus, EventTime, Response, ShowAs
from calendar_app.domain.recurrence import expand
from calendar_app.domain.timespan import Span, instant
from calendar_app.providers.google.mapping import body_from, calendar_from, event_from, merged_body, time_from

TIMED: dict[str, Any] = {
    "id": "abc123",
    "etag": '"1"',
    "status": "confirmed",
    "summary": "Review",
    "start": {"dateTime": "2026-11-23T10:00:00+01:00", "timeZone": "Europe/Berlin"},
    "end": {"dateTime": "2026-11-23T11:00:00+01:00", "timeZone": "Europe/Berlin"},
}
DRAFT = EventDraft(
    remote_id="abc123",
    key="abc123",
    uid="u@almanac",
    summary="Intro with Ada",
    start=datetime(2026, 11, 23, 9, 0, tzinfo=UTC),
    end=datetime(2026, 11, 23, 9, 30, tzinfo=UTC),
    zone="Europe/Berlin",
    location="Phone",
    color="tomato",
    attendees=(Attendee("ada@example.com", "Ada", Response.ACCEPTED),),
    private={"almanac_booking": "b1"},
)


def test_times_keep_the_wall_clock_of_their_zone() -> None:
    """A time with offset and zone becomes the wall-clock time in that zone."""
    event = event_from(TIMED)
    assert event.start == EventTime(datetime(2026, 11, 23, 10, 0), "Europe/Berlin")  # noqa: DTZ001  # wall-clock
    assert (event.summary, event.etag, event.blocks_time) == ("Review", '"1"', True)


def test_a_time_without_a_zone_is_read_in_the_calendars() -> None:
    """The listing's own zone stands in for a missing one; a zone nobody knows keeps the instant in UTC."""
    bare = {"dateTime": "2026-11-23T10:00:00+01:00"}
    assert time_from(bare, "America/New_York") == EventTime(datetime(2026, 11, 23, 4, 0), "America/New_York")  # noqa: DTZ001
    strange = {**bare, "timeZone": "Mars/Olympus"}
    assert time_from(strange) == EventTime(datetime(2026, 11, 23, 9, 0), "UTC")  # noqa: DTZ001


def test_the_second_hour_of_an_overlap_is_kept_apart() -> None:
    """02:30 after the clocks went back is the fold of 02:30, so the instant survives."""
    read = time_from({"dateTime": "2026-10-25T02:30:00+01:00", "timeZone": "Europe/Berlin"})
    assert read is not None
    assert isinstance(read.value, datetime)
    assert read.value.fold == 1


def test_all_day_events_are_dates() -> None:
    """``date`` values stay dates, with the exclusive end that Google sends."""
    event = event_from({"id": "d", "start": {"date": "2026-12-24"}, "end": {"date": "2026-12-27"}})
    assert event.start == EventTime(date(2026, 12, 24))
    assert event.end == EventTime(date(2026, 12, 27))


@pytest.mark.parametrize(
    ("extra", "show_as", "blocks"),
    [
        ({"transparency": "transparent"}, ShowAs.FREE, False),
        ({"status": "tentative"}, ShowAs.TENTATIVE, True),
        ({"eventType": "outOfOffice"}, ShowAs.OUT_OF_OFFICE, True),
        ({"eventType": "workingLocation"}, ShowAs.WORKING_ELSEWHERE, False),
        ({"eventType": "focusTime"}, ShowAs.BUSY, True),
        (
            {"attendees": [{"email": "me@x.example", "self": True, "responseStatus": "declined"}]},
            ShowAs.BUSY,
            False,
        ),
        ({"attendees": [{"email": "other@x.example", "responseStatus": "declined"}]}, ShowAs.BUSY, True),
    ],
)
def test_what_blocks_time(extra: dict[str, Any], show_as: ShowAs, blocks: bool) -> None:
    """Transparency, event type, tentative status and the owner's own answer decide whether time is blocked."""
    event = event_from({**TIMED, **extra})
    assert (event.show_as, event.blocks_time) == (show_as, blocks)


def test_a_cancelled_occurrence_may_carry_no_times() -> None:
    """The stub that an incremental listing sends for a deleted occurrence is understood."""
    stub = event_from(
        {
            "id": "m_20261123T090000Z",
            "status": "cancelled",
            "recurringEventId": "m",
            "originalStartTime": {"dateTime": "2026-11-23T10:00:00+01:00", "timeZone": "Europe/Berlin"},
        }
    )
    assert (stub.status, stub.master_id, stub.start) == (EventStatus.CANCELLED, "m", None)
    assert stub.original_start == EventTime(datetime(2026, 11, 23, 10, 0), "Europe/Berlin")  # noqa: DTZ001


def test_a_calendars_own_name_wins() -> None:
    """``summaryOverride`` is what the owner calls the calendar."""
    calendar = calendar_from(
        {
            "id": "c",
            "summary": "Team",
            "summaryOverride": "My team",
            "timeZone": "Europe/Berlin",
            "accessRole": "writer",
        }
    )
    assert (calendar.name, calendar.access_role.can_write) == ("My team", True)


@pytest.mark.parametrize(
    ("item", "shown"),
    [
        ({}, False),
        ({"selected": True}, True),
        ({"selected": True, "hidden": True}, False),
        ({"selected": False}, False),
    ],
)
def test_a_calendar_is_displayed_where_it_is_selected(item: dict[str, Any], shown: bool) -> None:
    """``selected`` is false where it is missing, and a calendar hidden from the list is displayed nowhere."""
    assert calendar_from({"id": "c", "accessRole": "reader", **item}).is_selected == shown


def test_a_draft_that_stands_needs_no_patch() -> None:
    """Reading back what was written gives an empty patch, whatever Google adds around it."""
    stored = {
        **body_from(DRAFT),
        "id": "abc123",
        "etag": '"2"',
        "htmlLink": "https://x.example",
        "sequence": 0,
    }
    assert merged_body(DRAFT, stored) == {}


def test_a_patch_keeps_what_people_added() -> None:
    """Guests and marks that others put on our event survive our update; our own fields are put right."""
    stored = body_from(DRAFT)
    stored["summary"] = "renamed"
    stored["attendees"] = [
        {"email": "ADA@example.com", "responseStatus": "declined"},
        {"email": "colleague@example.com"},
    ]
    stored["extendedProperties"] = {"private": {"other": "x", "almanac_booking": "b1"}}
    assert merged_body(DRAFT, stored) == {"summary": "Intro with Ada"}


def test_a_moved_and_deleted_event_is_brought_back() -> None:
    """Times and the cancelled status are part of the patch when they differ."""
    stored = {**body_from(DRAFT), "status": "cancelled"}
    stored["start"] = {"dateTime": "2026-11-24T10:00:00+01:00", "timeZone": "Europe/Berlin"}
    patch = merged_body(DRAFT, stored)
    assert set(patch) == {"status", "start"}
    assert patch["start"] == {"dateTime": "2026-11-23T10:00:00+01:00", "timeZone": "Europe/Berlin"}


@pytest.mark.parametrize(
    ("start", "rule", "days"),
    [
        ("2024-05-30", "RRULE:FREQ=WEEKLY;COUNT=3;INTERVAL=1;BYDAY=WE", ["05-30", "06-05", "06-12", "06-19"]),
        ("2024-05-30", "RRULE:FREQ=WEEKLY;BYDAY=TH;COUNT=3", ["05-30", "06-06", "06-13"]),
        ("2024-05-30", "RRULE:FREQ=MONTHLY;BYMONTHDAY=31;COUNT=1", ["05-30", "05-31"]),
        ("2024-05-30", "RRULE:FREQ=DAILY;COUNT=2", ["05-30", "05-31"]),
    ],
)
@pytest.mark.parametrize("timed", [True, False])
def test_a_start_off_its_rule_is_not_counted(start: str, rule: str, days: list[str], timed: bool) -> None:
    """Google shows it and as many occurrences as COUNT says besides; the last of them is not free."""
    times = {"dateTime": f"{start}T20:00:00+02:00", "timeZone": "Europe/Berlin"} if timed else {"date": start}
    event = event_from({**TIMED, "start": times, "end": times, "recurrence": [rule]})
    window = Span(instant(datetime(2024, 1, 1, tzinfo=UTC)), instant(datetime(2025, 1, 1, tzinfo=UTC)))
    found = expand(event, (), window, "UTC", limit=20)
    assert [f"{datetime.fromtimestamp(one.start, UTC):%m-%d}" for one in found] == days
