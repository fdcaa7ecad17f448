"""getSchedule: when people are taken."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.sandbox.microsoft.client import BERLIN, OWNER, Json, Microsoft, at, meeting, ok, refused

PERSON = "busy@example.net"


@pytest.fixture
def busy(microsoft: Microsoft) -> httpx.Client:
    """Somebody with one event of each kind on 20 November, hour by hour from nine."""
    graph = microsoft.graph(microsoft.tokens(email=PERSON, scope="Calendars.ReadWrite")["access_token"])
    for hour, show_as in enumerate(("busy", "tentative", "oof", "free", "workingElsewhere"), 9):
        body = meeting(start=f"{hour:02}:00", end=f"{hour + 1:02}:00", showAs=show_as, subject="Secret")
        ok(graph.post("me/events", json=body), 201)
    return graph


def asked(**changes: Any) -> Json:
    return {
        "schedules": [PERSON],
        "startTime": at("2026-11-20", "08:00"),
        "endTime": at("2026-11-20", "15:00"),
        "availabilityViewInterval": 60,
    } | changes


def test_the_view_and_its_items(busy: httpx.Client, graph: httpx.Client) -> None:
    """A digit per slot, and the items with their times, without subjects for others."""
    found = ok(graph.post("me/calendar/getSchedule", json=asked()))["value"]
    assert found[0]["scheduleId"] == PERSON
    assert found[0]["availabilityView"] == "0213040"
    assert [item["status"] for item in found[0]["scheduleItems"]] == [
        "busy",
        "tentative",
        "oof",
        "free",
        "workingElsewhere",
    ]
    assert found[0]["scheduleItems"][0]["start"] == {
        "dateTime": "2026-11-20T08:00:00.0000000",
        "timeZone": "UTC",
    }
    assert all("subject" not in item for item in found[0]["scheduleItems"])
    assert found[0]["workingHours"]["timeZone"] == {"name": BERLIN}
    own = ok(busy.post("me/calendar/getSchedule", json=asked()))["value"]
    assert own[0]["scheduleItems"][0]["subject"] == "Secret"


def test_the_worst_of_a_slot_counts(busy: httpx.Client, graph: httpx.Client) -> None:
    """Two-hour slots take the stronger of two; the last slot may be short."""
    found = ok(graph.post("me/calendar/getSchedule", json=asked(availabilityViewInterval=120)))["value"]
    assert found[0]["availabilityView"] == "2340"


def test_only_the_default_calendar_counts(microsoft: Microsoft, graph: httpx.Client, project: str) -> None:
    """As in Exchange's free/busy."""
    ok(graph.post(f"me/calendars/{project}/events", json=meeting("2026-12-28")), 201)
    window = {"startTime": at("2026-12-28", "00:00", "UTC"), "endTime": at("2026-12-28", "12:00", "UTC")}
    found = ok(graph.post("me/calendar/getSchedule", json=asked(schedules=[OWNER], **window)))["value"]
    assert [item["subject"] for item in found[0]["scheduleItems"]] == ["Project stand-up"]


def test_an_unknown_address_has_an_error_of_its_own(busy: httpx.Client, graph: httpx.Client) -> None:
    """The others are answered all the same."""
    found = ok(graph.post("me/calendar/getSchedule", json=asked(schedules=["nobody@example.net", PERSON])))[
        "value"
    ]
    assert found[0]["error"]["responseCode"] == "ErrorMailRecipientNotFound"
    assert found[1]["availabilityView"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"schedules": []}, "ErrorInvalidParameter"),
        ({"schedules": [f"p{number}@example.net" for number in range(21)]}, "ErrorInvalidParameter"),
        ({"availabilityViewInterval": 4}, "ErrorInvalidMergedFreeBusyInterval"),
        ({"availabilityViewInterval": 1441}, "ErrorInvalidMergedFreeBusyInterval"),
        ({"startTime": at("2026-11-20", "15:00")}, "ErrorInvalidTimeInterval"),
        ({"endTime": at("2027-11-20")}, "ErrorInvalidTimeInterval"),
        ({"endTime": at("2026-11-20", "15:00", "Nowhere")}, "TimeZoneNotSupportedException"),
        ({"endTime": None}, "ErrorInvalidParameter"),
        ({"people": []}, "BadRequest"),
    ],
)
def test_questions_that_cannot_be_answered(graph: httpx.Client, change: dict[str, Any], code: str) -> None:
    """Too many, too long, too fine, backwards, or in no zone."""
    refused(graph.post("me/calendar/getSchedule", json=asked(**change)), 400, code)
