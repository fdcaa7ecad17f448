"""Listing events at the stand-in for Google: windows, filters, pages, sync tokens."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.sandbox.server import OWNER, Sandbox
from tests.sandbox.test_events import EVENTS, NINE, TEN, reason, timed


def listed(api: httpx.Client, **params: Any) -> list[dict[str, Any]]:
    """All pages; the token and the page rules are checked on the way."""
    found, page = [], dict(params)
    while True:
        answer = api.get(EVENTS, params=page).json()
        found += answer["items"]
        if "nextPageToken" not in answer:
            return found
        page["pageToken"] = answer["nextPageToken"]


def sync_token(api: httpx.Client, **params: Any) -> str:
    return str(api.get(EVENTS, params={"maxResults": 2500} | params).json()["nextSyncToken"])


def add(api: httpx.Client, event_id: str, start: str, end: str, **more: Any) -> None:
    bounds = {side: {"dateTime": f"2027-03-{at}:00Z"} for side, at in (("start", start), ("end", end))}
    assert api.post(EVENTS, json={"id": event_id, **bounds, **more}).status_code == 200


def test_pages_partition_the_list(api: httpx.Client) -> None:
    """Each event once, the sync token on the last page only, the same set as one large page."""
    everything = [item["id"] for item in listed(api)]
    for size in (1, 3, len(everything)):
        assert [item["id"] for item in listed(api, maxResults=size)] == everything
    last = api.get(EVENTS, params={"maxResults": 2500}).json()
    assert "nextSyncToken" in last
    expanded = [item["id"] for item in listed(api, singleEvents="true", maxResults=7)]
    assert len(expanded) == len(set(expanded)) > 100


def test_default_and_largest_page(sandbox: Sandbox, api: httpx.Client) -> None:
    """250 unless told, never more than 2,500."""
    sandbox.client.post(f"/sandbox/api/calendars/{OWNER}/generate", json={"count": 2600})
    assert len(api.get(EVENTS).json()["items"]) == 250
    assert len(api.get(EVENTS, params={"maxResults": 9999}).json()["items"]) == 2500


def test_change_during_paging_is_not_lost(api: httpx.Client) -> None:
    """What changes between two pages appears in the next incremental answer."""
    first = api.get(EVENTS, params={"maxResults": 2}).json()
    ids = [item["id"] for item in listed(api)]
    api.patch(f"{EVENTS}/{ids[-1]}", json={"summary": "Changed"})
    rest = api.get(EVENTS, params={"maxResults": 2500, "pageToken": first["nextPageToken"]}).json()
    assert ids[-1] not in [item["id"] for item in rest["items"]]
    delta = api.get(EVENTS, params={"syncToken": rest["nextSyncToken"]}).json()
    assert [(item["id"], item["summary"]) for item in delta["items"]] == [(ids[-1], "Changed")]


def test_window_is_open_at_both_ends(api: httpx.Client) -> None:
    """timeMin bounds the end and timeMax the start, both exclusively."""
    add(api, "before", "01T08:00", "01T09:00")
    add(api, "across", "01T08:30", "01T09:30")
    add(api, "inside", "01T10:00", "01T11:00")
    add(api, "after0", "01T12:00", "01T13:00")
    window = {"timeMin": "2027-03-01T10:00:00+01:00", "timeMax": "2027-03-01T12:00:00Z", "q": ""}
    for single in ("false", "true"):
        ids = {item["id"] for item in listed(api, singleEvents=single, **window)}
        assert ids & {"before", "across", "inside", "after0"} == {"across", "inside"}


def test_series_is_listed_only_where_it_happens(api: httpx.Client) -> None:
    """Unexpanded, a series belongs to the windows in which it has an instance."""
    zone = {"timeZone": "UTC"}
    body = {
        "id": "series0",
        "start": NINE | zone,
        "end": TEN | zone,
        "recurrence": ["RRULE:FREQ=MONTHLY;COUNT=2"],
    }
    api.post(EVENTS, json=body)
    hit = {"timeMin": "2026-12-20T00:00:00Z", "timeMax": "2026-12-21T00:00:00Z"}
    miss = {"timeMin": "2026-12-21T00:00:00Z", "timeMax": "2026-12-22T00:00:00Z"}
    assert "series0" in [item["id"] for item in listed(api, **hit)]
    assert "series0" not in [item["id"] for item in listed(api, **miss)]


def test_order_by_start_time(api: httpx.Client) -> None:
    """Only with single events; all-day events count from midnight in the calendar's zone."""
    assert reason(api.get(EVENTS, params={"orderBy": "startTime"})) == (400, "invalid")
    found = listed(
        api, singleEvents="true", orderBy="startTime", maxResults=5, timeMax="2026-12-31T00:00:00Z"
    )
    starts = [item["start"].get("dateTime", item["start"].get("date")) for item in found]
    assert starts == sorted(starts)
    updated = [item["updated"] for item in listed(api, orderBy="updated")]
    assert updated == sorted(updated)


def test_filters(api: httpx.Client) -> None:
    """Free text, iCalUID, extended properties and event types; none of them gives a sync token but the last."""
    mine = {"extendedProperties": {"private": {"almanac_booking": "b=1", "x": "y"}, "shared": {"s": "1"}}}
    api.post(EVENTS, json=timed(id="booked0", location="Room ÄÖÜ", **mine))
    api.post(EVENTS, json=timed(id="other00", eventType="focusTime"))
    for params in (
        {"privateExtendedProperty": "almanac_booking=b=1"},
        {"privateExtendedProperty": ["almanac_booking=b=1", "x=y"]},
        {"sharedExtendedProperty": "s=1"},
        {"iCalUID": "booked0@google.com"},
        {"q": "visit äöü"},
    ):
        for single in ("false", "true"):
            answer = api.get(EVENTS, params={**params, "singleEvents": single}).json()
            assert [item["id"] for item in answer["items"]] == ["booked0"]
            assert "nextSyncToken" not in answer
    nothing = api.get(EVENTS, params={"privateExtendedProperty": ["almanac_booking=b=1", "x=z"]}).json()
    assert nothing["items"] == []
    focus = api.get(EVENTS, params={"eventTypes": "focusTime"}).json()
    assert [item["id"] for item in focus["items"]] == ["other00"]
    assert "nextSyncToken" in focus


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"timeMin": "2026-11-20"}, (400, "invalid")),
        ({"timeMin": "2026-11-20T00:00:00"}, (400, "invalid")),
        ({"timeMin": "2026-11-20T00:00:00Z", "timeMax": "2026-11-20T00:00:00Z"}, (400, "timeRangeEmpty")),
        ({"maxResults": "0"}, (400, "invalid")),
        ({"maxResults": "many"}, (400, "invalid")),
        ({"singleEvents": "yes"}, (400, "invalid")),
        ({"orderBy": "colour"}, (400, "invalid")),
        ({"eventTypes": "party"}, (400, "invalid")),
        ({"privateExtendedProperty": "novalue"}, (400, "invalid")),
        ({"pageToken": "nonsense"}, (400, "invalid")),
        ({"timeZone": "Mars/Base"}, (400, "invalid")),
        ({"updatedMin": "2026-01-01T00:00:00Z"}, (410, "updatedMinTooLongAgo")),
    ],
)
def test_bad_parameters(raw_api: httpx.Client, params: dict[str, str], expected: tuple[int, str]) -> None:
    """Each wrong value is refused with Google's reason."""
    assert reason(raw_api.get(EVENTS, params=params)) == expected


def test_page_token_belongs_to_its_query(api: httpx.Client) -> None:
    """Another filter with the same token is refused."""
    token = api.get(EVENTS, params={"maxResults": 1}).json()["nextPageToken"]
    assert reason(api.get(EVENTS, params={"pageToken": token, "showDeleted": "true"})) == (400, "invalid")


def test_time_zone_of_the_answer(api: httpx.Client) -> None:
    """Times are written in the zone asked for; the instant stays."""
    event = api.post(EVENTS, json=timed()).json()
    page = api.get(EVENTS, params={"timeZone": "America/New_York"}).json()
    assert page["timeZone"] == "America/New_York"
    shown = next(item for item in page["items"] if item["id"] == event["id"])
    assert shown["start"] == {"dateTime": "2026-11-20T03:00:00-05:00", "timeZone": "Europe/Berlin"}


def test_updated_min_includes_deletions(sandbox: Sandbox, api: httpx.Client) -> None:
    """Changes since an instant, deleted ones too."""
    sandbox.clock.advance(minutes=5)
    api.post(EVENTS, json=timed(id="added00"))
    api.post(EVENTS, json=timed(id="deleted"))
    api.delete(f"{EVENTS}/deleted")
    found = listed(api, updatedMin="2026-11-18T09:05:00Z")
    assert [(item["id"], item["status"]) for item in found] == [
        ("added00", "confirmed"),
        ("deleted", "cancelled"),
    ]


def test_incremental_answer_has_changes_and_stubs(api: httpx.Client) -> None:
    """New, changed and deleted events since the token, each in its last state, deleted ones as stubs."""
    api.post(EVENTS, json=timed(id="older00"))
    token = sync_token(api)
    nothing = api.get(EVENTS, params={"syncToken": token}).json()
    assert nothing["items"] == []
    api.post(EVENTS, json=timed(id="added00"))
    api.patch(f"{EVENTS}/added00", json={"summary": "Changed"})
    api.delete(f"{EVENTS}/older00")
    delta = api.get(EVENTS, params={"syncToken": nothing["nextSyncToken"]}).json()
    assert [item["id"] for item in delta["items"]] == ["added00", "older00"]
    assert delta["items"][0]["summary"] == "Changed"
    assert delta["items"][1].keys() == {"kind", "etag", "id", "status"}
    again = api.get(EVENTS, params={"syncToken": nothing["nextSyncToken"], "maxResults": 1}).json()
    params = {"syncToken": nothing["nextSyncToken"], "maxResults": 1, "pageToken": again["nextPageToken"]}
    assert [item["id"] for item in api.get(EVENTS, params=params).json()["items"]] == ["older00"]


@pytest.mark.parametrize(
    "extra",
    [
        {"timeMin": "2026-11-20T00:00:00Z"},
        {"timeMax": "2026-11-20T00:00:00Z"},
        {"updatedMin": "2026-11-18T00:00:00Z"},
        {"q": "x"},
        {"orderBy": "updated"},
        {"iCalUID": "x"},
        {"privateExtendedProperty": "a=b"},
        {"sharedExtendedProperty": "a=b"},
        {"showDeleted": "false"},
        {"singleEvents": "true"},
        {"eventTypes": "default"},
    ],
)
def test_sync_token_allows_no_other_parameters(raw_api: httpx.Client, extra: dict[str, str]) -> None:
    """Filters cannot join a sync token, and the rest must be as in the first request."""
    assert reason(raw_api.get(EVENTS, params={"syncToken": sync_token(raw_api), **extra})) == (400, "invalid")


def test_dead_sync_tokens_demand_a_full_sync(sandbox: Sandbox, api: httpx.Client) -> None:
    """410 fullSyncRequired: unknown, another calendar's, made to expire, or a month old."""
    token = sync_token(api)
    other = api.post("calendars", json={"summary": "Other"}).json()["id"]
    gone = (410, "fullSyncRequired")
    for nonsense in ("nonsense", "eyJhIjoxfQ", "!!"):
        assert reason(api.get(EVENTS, params={"syncToken": nonsense})) == gone
    assert reason(api.get(f"calendars/{other}/events", params={"syncToken": token})) == gone
    assert api.get(EVENTS, params={"syncToken": token}).status_code == 200
    sandbox.client.post("/sandbox/api/expire-sync-tokens", json={"calendar": OWNER})
    assert reason(api.get(EVENTS, params={"syncToken": token})) == gone
    fresh = sync_token(api)
    sandbox.clock.advance(days=31)
    later = sandbox.api(sandbox.sign_in())
    assert reason(later.get(EVENTS, params={"syncToken": fresh})) == gone


def test_calendar_list_is_incremental_too(api: httpx.Client) -> None:
    """New, renamed and deleted calendars since the token; pages; hidden ones only when asked for."""
    url = "users/me/calendarList"
    token = api.get(url).json()["nextSyncToken"]
    page = api.get(url, params={"maxResults": 1}).json()
    assert [entry["id"] for entry in page["items"]] == [OWNER]
    rest = api.get(url, params={"maxResults": 1, "pageToken": page["nextPageToken"]}).json()
    assert [entry["summary"] for entry in rest["items"]] == ["Team"]
    made = api.post("calendars", json={"summary": "Other"}).json()["id"]
    api.delete(f"calendars/{rest['items'][0]['id']}")
    delta = api.get(url, params={"syncToken": token}).json()["items"]
    assert [(entry["id"] == made, entry.get("deleted", False)) for entry in delta] == [
        (False, True),
        (True, False),
    ]
    api.patch(f"{url}/{made}", json={"hidden": True})
    assert made not in [entry["id"] for entry in api.get(url).json()["items"]]
    assert made in [entry["id"] for entry in api.get(url, params={"showHidden": "true"}).json()["items"]]
    assert reason(api.get(url, params={"syncToken": "nonsense"})) == (410, "fullSyncRequired")
    clash = api.get(url, params={"syncToken": token, "minAccessRole": "owner"})
    assert reason(clash) == (400, "invalid")


def test_ten_thousand_events_list_quickly(sandbox: Sandbox, raw_api: httpx.Client) -> None:
    """Four full pages, and an empty incremental answer that does not read them again."""
    sandbox.client.post(
        f"/sandbox/api/calendars/{OWNER}/generate", json={"count": 10_000, "days": 400}, timeout=30
    )
    assert len(listed(raw_api, maxResults=2500)) > 10_000
    assert raw_api.get(EVENTS, params={"syncToken": sync_token_of_last_page(raw_api)}).json()["items"] == []


def sync_token_of_last_page(api: httpx.Client) -> str:
    page: dict[str, Any] = {"maxResults": 2500}
    while "nextPageToken" in (answer := api.get(EVENTS, params=page).json()):
        page["pageToken"] = answer["nextPageToken"]
    return str(answer["nextSyncToken"])
