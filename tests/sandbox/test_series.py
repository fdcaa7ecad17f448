"""Recurring events at the stand-in for Google: instances, exceptions, and the end of a series."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.sandbox.test_events import EVENTS, reason, team_of


def weekly(**more: Any) -> dict[str, Any]:
    """Fridays at nine in Berlin, four times, over no change of the clocks."""
    return {
        "id": "series01",
        "summary": "Weekly",
        "start": {"dateTime": "2026-11-20T09:00:00", "timeZone": "Europe/Berlin"},
        "end": {"dateTime": "2026-11-20T10:00:00", "timeZone": "Europe/Berlin"},
        "recurrence": ["RRULE:FREQ=WEEKLY;COUNT=4"],
        **more,
    }


def instances(api: httpx.Client, **params: Any) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = api.get(f"{EVENTS}/series01/instances", params=params).json()["items"]
    return items


def test_instances_carry_id_and_original_start(api: httpx.Client) -> None:
    """`<id>_<UTC start>`, recurringEventId, originalStartTime; no recurrence of their own."""
    api.post(EVENTS, json=weekly())
    found = instances(api)
    assert [item["id"] for item in found] == [
        f"series01_202611{day}T080000Z" if day > 19 else f"series01_202612{day:02}T080000Z"
        for day in (20, 27, 4, 11)
    ]
    first = found[0]
    assert first["recurringEventId"] == "series01"
    assert first["originalStartTime"] == first["start"]
    assert first["start"] == {"dateTime": "2026-11-20T09:00:00+01:00", "timeZone": "Europe/Berlin"}
    assert "recurrence" not in first
    assert api.get(f"{EVENTS}/{first['id']}").json() == first
    window = {"timeMin": "2026-11-20T10:00:00+01:00", "timeMax": "2026-12-04T09:00:00+01:00"}
    assert [item["id"][-16:] for item in instances(api, **window)] == ["20261127T080000Z"]
    pages = [instances(api, maxResults=3), instances(api, originalStart="2026-12-04T09:00:00+01:00")]
    assert [len(page) for page in pages] == [3, 1]


def test_series_follows_the_wall_clock(api: httpx.Client) -> None:
    """Across the change of the clocks the local hour stays and the UTC hour moves."""
    start, end = ({"dateTime": f"2027-03-26T{at}:00:00", "timeZone": "Europe/Berlin"} for at in ("09", "10"))
    api.post(EVENTS, json=weekly(start=start, end=end))
    assert [item["start"]["dateTime"] for item in instances(api)][:2] == [
        "2027-03-26T09:00:00+01:00",
        "2027-04-02T09:00:00+02:00",
    ]
    assert instances(api)[1]["id"] == "series01_20270402T070000Z"


def test_start_in_the_gap_moves_forward(api: httpx.Client) -> None:
    """02:30 does not exist on 28 March 2027 in Berlin: that instance is at 03:30, and can be addressed."""
    zone = "Europe/Berlin"
    start, end = ({"dateTime": f"2027-03-27T{at}:00", "timeZone": zone} for at in ("02:30", "02:45"))
    api.post(EVENTS, json=weekly(start=start, end=end, recurrence=["RRULE:FREQ=DAILY;COUNT=3"]))
    found = instances(api)
    assert [item["start"]["dateTime"][11:] for item in found] == [
        "02:30:00+01:00",
        "03:30:00+02:00",
        "02:30:00+02:00",
    ]
    assert [api.get(f"{EVENTS}/{item['id']}").json() for item in found] == found


def test_all_day_series(api: httpx.Client) -> None:
    """Instances are dates, their ids end in one."""
    days = {"start": {"date": "2026-12-30"}, "end": {"date": "2027-01-01"}}
    api.post(EVENTS, json=weekly(recurrence=["RRULE:FREQ=WEEKLY;UNTIL=20270113"], **days))
    found = instances(api)
    assert [(item["id"][9:], item["start"]["date"], item["end"]["date"]) for item in found] == [
        ("20261230", "2026-12-30", "2027-01-01"),
        ("20270106", "2027-01-06", "2027-01-08"),
        ("20270113", "2027-01-13", "2027-01-15"),
    ]
    assert [item["id"][9:] for item in instances(api, originalStart="2027-01-06")] == ["20270106"]


@pytest.mark.parametrize(
    ("lines", "starts"),
    [
        (["RRULE:FREQ=WEEKLY;UNTIL=20261127T080000Z"], ["1120T08", "1127T08"]),
        (["RRULE:FREQ=WEEKLY;UNTIL=20261127T075959Z"], ["1120T08"]),
        (["RRULE:FREQ=WEEKLY;UNTIL=20261127"], ["1120T08", "1127T08"]),
        (["RRULE:FREQ=WEEKLY;COUNT=3", "EXDATE:20261127T080000Z"], ["1120T08", "1204T08"]),
        (["RRULE:FREQ=WEEKLY;COUNT=3", "EXDATE;TZID=Europe/London:20261127T080000"], ["1120T08", "1204T08"]),
        (
            ["RRULE:FREQ=WEEKLY;COUNT=2", "RDATE;TZID=Europe/Berlin:20261121T120000"],
            ["1120T08", "1121T11", "1127T08"],
        ),
        (["RDATE:20261122T080000Z,20261122T080000Z"], ["1120T08", "1122T08"]),
        (["RRULE:FREQ=DAILY;COUNT=4", "EXRULE:FREQ=DAILY;INTERVAL=2"], ["1121T08", "1123T08"]),
    ],
)
def test_recurrence_lines(api: httpx.Client, lines: list[str], starts: list[str]) -> None:
    """UNTIL in UTC, exceptions and additions in any zone, as RFC 5545 has them."""
    api.post(EVENTS, json=weekly(recurrence=lines))
    assert [item["id"][13:20] for item in instances(api)] == starts


def test_patched_instance_becomes_an_exception(api: httpx.Client) -> None:
    """It keeps its id and original start, the rest of the series stays; the list without expansion has both."""
    api.post(EVENTS, json=weekly())
    second = instances(api)[1]["id"]
    tuesday = {
        side: {"dateTime": f"2026-11-24T{at}:00:00+01:00"} for side, at in (("start", "14"), ("end", "15"))
    }
    moved = api.patch(f"{EVENTS}/{second}", json=tuesday).json()
    assert moved["id"] == second
    assert moved["recurringEventId"] == "series01"
    assert moved["originalStartTime"]["dateTime"] == "2026-11-27T09:00:00+01:00"
    assert moved["sequence"] == 1
    assert [item["start"]["dateTime"][5:13] for item in instances(api)] == [
        "11-20T09",
        "11-24T14",
        "12-04T09",
        "12-11T09",
    ]
    stored = [
        item["id"] for item in api.get(EVENTS, params={"q": "Weekly", "showDeleted": "true"}).json()["items"]
    ]
    assert stored[-2:] == ["series01", second]


def test_deleted_instance_is_a_cancelled_exception(api: httpx.Client) -> None:
    """Listed without expansion even when deleted events are not asked for; gone from the instances."""
    api.post(EVENTS, json=weekly())
    second = instances(api)[1]["id"]
    assert api.delete(f"{EVENTS}/{second}").status_code == 204
    assert reason(api.delete(f"{EVENTS}/{second}")) == (410, "deleted")
    assert second not in [item["id"] for item in instances(api)]
    assert second in [item["id"] for item in instances(api, showDeleted="true")]
    plain = {item["id"]: item for item in api.get(EVENTS).json()["items"]}
    assert plain[second]["status"] == "cancelled"
    assert plain[second]["recurringEventId"] == "series01"
    assert second not in [
        item["id"] for item in api.get(EVENTS, params={"singleEvents": "true"}).json()["items"]
    ]


def test_deleting_the_series_takes_everything(api: httpx.Client) -> None:
    """Master and exceptions are cancelled; no instance is left."""
    api.post(EVENTS, json=weekly())
    second = instances(api)[1]["id"]
    api.patch(f"{EVENTS}/{second}", json={"summary": "Special"})
    assert api.delete(f"{EVENTS}/series01").status_code == 204
    assert instances(api) == []
    assert api.get(f"{EVENTS}/{second}").json()["status"] == "cancelled"
    for params in ({}, {"singleEvents": "true"}):
        ids = [item["id"] for item in api.get(EVENTS, params=params).json()["items"]]
        assert not [event_id for event_id in ids if event_id.startswith("series01")]


def test_changed_rule_drops_exceptions_that_lost_their_place(api: httpx.Client) -> None:
    """Moving the series to another day cancels what was moved within the old rule."""
    api.post(EVENTS, json=weekly())
    second = instances(api)[1]["id"]
    api.patch(f"{EVENTS}/{second}", json={"summary": "Special"})
    later = {
        side: {"dateTime": f"2026-11-21T{at}:00:00+01:00"} for side, at in (("start", "09"), ("end", "10"))
    }
    api.patch(f"{EVENTS}/series01", json=later)
    assert api.get(f"{EVENTS}/{second}").json()["status"] == "cancelled"
    assert [item["start"]["dateTime"][5:10] for item in instances(api)] == [
        "11-21",
        "11-28",
        "12-05",
        "12-12",
    ]


def test_moving_a_series_takes_its_exceptions_along(api: httpx.Client) -> None:
    """An instance alone cannot change its calendar."""
    team = team_of(api)
    api.post(EVENTS, json=weekly())
    second = instances(api)[1]["id"]
    api.patch(f"{EVENTS}/{second}", json={"summary": "Special"})
    assert reason(api.post(f"{EVENTS}/{second}/move", params={"destination": team})) == (400, "invalid")
    api.post(f"{EVENTS}/series01/move", params={"destination": team})
    there = api.get(f"calendars/{team}/events/series01/instances").json()["items"]
    assert [item["summary"] for item in there] == ["Weekly", "Special", "Weekly", "Weekly"]
    assert api.get(f"{EVENTS}/{second}").json()["status"] == "cancelled"
