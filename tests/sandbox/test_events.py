"""Writing events at the stand-in for Google: the single resource and its versions."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.sandbox.server import OWNER, Sandbox

EVENTS = "calendars/primary/events"
NINE = {"dateTime": "2026-11-20T09:00:00+01:00"}
TEN = {"dateTime": "2026-11-20T10:00:00+01:00"}


def timed(**more: Any) -> dict[str, Any]:
    return {"summary": "Visit", "start": NINE, "end": TEN, **more}


def reason(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["errors"][0]["reason"]


def team_of(api: httpx.Client) -> str:
    entries = api.get("users/me/calendarList").json()["items"]
    return str(next(entry["id"] for entry in entries if entry["summary"] == "Team"))


def test_inserted_event_has_what_google_adds(sandbox: Sandbox, api: httpx.Client) -> None:
    """Own id, ETag, link to the sandbox, organizer, times in the calendar's zone; defaults are left out."""
    body = timed(id="booking0001", transparency="opaque", visibility="default", colorId="5")
    body["start"] = {"dateTime": "2026-11-20T08:00:00Z"}
    event = api.post(EVENTS, json=body).json()
    assert event["id"] == "booking0001"
    assert event["iCalUID"] == "booking0001@google.com"
    assert event["start"] == {"dateTime": "2026-11-20T09:00:00+01:00", "timeZone": "Europe/Berlin"}
    assert event["status"] == "confirmed"
    assert event["sequence"] == 0
    assert event["organizer"] == {"email": OWNER, "self": True}
    assert event["created"] == event["updated"] == "2026-11-18T09:00:00.000Z"
    assert event["htmlLink"].startswith("http://localhost:3000/sandbox?eid=")
    assert not {"transparency", "visibility", "attendees"} & event.keys()
    got = api.get(f"{EVENTS}/booking0001")
    assert got.json() == event
    assert got.headers["etag"] == event["etag"]


def test_id_is_used_once_even_after_deletion(api: httpx.Client) -> None:
    """409 duplicate, also for a deleted event, which is how a retried insert is recognised."""
    assert api.post(EVENTS, json=timed(id="booking0001")).status_code == 200
    assert reason(api.post(EVENTS, json=timed(id="booking0001"))) == (409, "duplicate")
    api.delete(f"{EVENTS}/booking0001")
    assert reason(api.post(EVENTS, json=timed(id="booking0001"))) == (409, "duplicate")


@pytest.mark.parametrize("event_id", ["abcd", "ABCDE", "wxyz1", "with-dash", "a" * 1025])
def test_id_must_be_base32hex(raw_api: httpx.Client, event_id: str) -> None:
    """5 to 1024 of a-v and 0-9."""
    assert reason(raw_api.post(EVENTS, json=timed(id=event_id))) == (400, "invalid")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"start": None}, "required"),
        ({"end": None}, "required"),
        ({"start": {"dateTime": "2026-11-20T09:00:00"}}, "required"),
        ({"start": NINE | {"date": "2026-11-20"}}, "invalid"),
        ({"start": {"dateTime": "tomorrow"}}, "invalid"),
        ({"start": {"dateTime": "2026-11-20"}}, "invalid"),
        ({"start": NINE | {"timeZone": "Mars/Base"}}, "invalid"),
        ({"start": {"date": "2026-11-20"}}, "invalid"),
        ({"start": {"date": "2026-11-31"}}, "invalid"),
        ({"start": TEN, "end": NINE}, "timeRangeEmpty"),
        ({"start": {"date": "2026-11-20"}, "end": {"date": "2026-11-20"}}, "timeRangeEmpty"),
        ({"recurrence": ["RRULE:FREQ=WEEKLY"]}, "required"),
        ({"status": "maybe"}, "invalid"),
        ({"transparency": "glass"}, "invalid"),
        ({"colorId": "12"}, "invalid"),
        ({"summary": 5}, "invalid"),
        ({"sequence": True}, "invalid"),
        ({"attendees": [{}]}, "required"),
        ({"attendees": [{"email": "no one"}]}, "invalid"),
        ({"attendees": [{"email": "a@b.c", "responseStatus": "yes"}]}, "invalid"),
        ({"extendedProperties": {"secret": {}}}, "invalid"),
        ({"extendedProperties": {"private": {"k": 1}}}, "invalid"),
        ({"extendedProperties": {"private": {"k" * 45: "v"}}}, "invalid"),
    ],
)
def test_bad_event_is_refused_and_not_stored(
    sandbox: Sandbox, raw_api: httpx.Client, change: dict[str, Any], expected: str
) -> None:
    """400 with Google's reason, on insert and on update; nothing changes."""
    before = sandbox.client.get("/sandbox/api/state").json()
    assert reason(raw_api.post(EVENTS, json=timed() | change)) == (400, expected)
    assert sandbox.client.get("/sandbox/api/state").json() == before
    raw_api.post(EVENTS, json=timed(id="booking0001"))
    assert reason(raw_api.put(f"{EVENTS}/booking0001", json=timed() | change)) == (400, expected)


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=WEEKLY",
        "RRULE:FREQ=SECONDLY",
        "RRULE:FREQ=WEEKLY;INTERVAL=0",
        "RRULE:FREQ=WEEKLY;COUNT=0",
        "RRULE:FREQ=WEEKLY;COLOR=RED",
        "RRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
        "RRULE:FREQ=WEEKLY;UNTIL=soon",
        "EXDATE:soon",
        "EXDATE;TZID=Mars/Base:20261120T090000",
        7,
    ],
)
def test_bad_recurrence_is_refused(raw_api: httpx.Client, rule: object) -> None:
    """Rules that do not parse, never happen or would flood are 400."""
    zoned = {"start": NINE | {"timeZone": "Europe/Berlin"}, "end": TEN | {"timeZone": "Europe/Berlin"}}
    assert reason(raw_api.post(EVENTS, json=timed(recurrence=[rule]) | zoned)) == (400, "invalid")


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', b""])
def test_body_must_be_a_json_object(raw_api: httpx.Client, body: bytes) -> None:
    """Anything else is parseError."""
    headers = {"content-type": "application/json"}
    assert reason(raw_api.post(EVENTS, content=body, headers=headers)) == (400, "parseError")


def test_unknown_and_read_only_fields_are_ignored(raw_api: httpx.Client) -> None:
    """As Google ignores them."""
    event = raw_api.post(EVENTS, json=timed(nonsense=1, etag='"x"', htmlLink="https://evil.example")).json()
    assert "nonsense" not in event
    assert event["etag"] != '"x"'
    assert event["htmlLink"].startswith("http://localhost:3000/")


def test_patch_changes_only_what_it_names(api: httpx.Client) -> None:
    """Objects merge, arrays replace, null clears."""
    private = {"almanac_booking": "b1", "other": "x"}
    guests = [{"email": "a@example.net"}, {"email": OWNER}]
    first = api.post(EVENTS, json=timed(attendees=guests, extendedProperties={"private": private})).json()
    patch = {
        "description": "by phone",
        "extendedProperties": {"private": {"other": None, "new": "y"}},
        "attendees": [{"email": "B@example.net"}],
        "summary": None,
    }
    event = api.patch(f"{EVENTS}/{first['id']}", json=patch).json()
    assert event["extendedProperties"] == {"private": {"almanac_booking": "b1", "new": "y"}}
    assert event["attendees"] == [{"email": "b@example.net", "responseStatus": "needsAction"}]
    assert event["description"] == "by phone"
    assert "summary" not in event
    assert event["start"] == first["start"]
    assert event["created"] == first["created"]


def test_update_replaces_everything(api: httpx.Client) -> None:
    """PUT clears what it does not name; id and iCalUID stay."""
    first = api.post(EVENTS, json=timed(location="Here", status="tentative")).json()
    event = api.put(f"{EVENTS}/{first['id']}", json={"start": NINE, "end": TEN}).json()
    assert not {"summary", "location"} & event.keys()
    assert event["status"] == "confirmed"
    assert (event["id"], event["iCalUID"]) == (first["id"], first["iCalUID"])


def test_switching_to_all_day_by_patch_needs_the_old_kind_cleared(raw_api: httpx.Client) -> None:
    """Merging leaves dateTime beside date: the well-known trap answers 400, with null it works."""
    event = raw_api.post(EVENTS, json=timed()).json()
    days = {"start": {"date": "2026-11-20"}, "end": {"date": "2026-11-21"}}
    assert reason(raw_api.patch(f"{EVENTS}/{event['id']}", json=days)) == (400, "invalid")
    cleared = {side: day | {"dateTime": None, "timeZone": None} for side, day in days.items()}
    assert raw_api.patch(f"{EVENTS}/{event['id']}", json=cleared).json()["start"] == {"date": "2026-11-20"}


def test_sequence_grows_with_times_only(sandbox: Sandbox, api: httpx.Client) -> None:
    """A new title leaves the iCalendar sequence, a new time raises it; both change ETag and updated."""
    first = api.post(EVENTS, json=timed()).json()
    sandbox.clock.advance(minutes=1)
    renamed = api.patch(f"{EVENTS}/{first['id']}", json={"summary": "Other"}).json()
    moved = api.patch(
        f"{EVENTS}/{first['id']}", json={"end": {"dateTime": "2026-11-20T11:00:00+01:00"}}
    ).json()
    assert [event["sequence"] for event in (first, renamed, moved)] == [0, 0, 1]
    assert len({event["etag"] for event in (first, renamed, moved)}) == 3
    assert renamed["updated"] > first["updated"]
    stale = api.patch(f"{EVENTS}/{first['id']}", json={"sequence": 0})
    assert reason(stale) == (400, "invalid")


def test_if_match_guards_every_write(api: httpx.Client) -> None:
    """412 with a stale ETag on patch, update and delete; the present one or * passes."""
    first = api.post(EVENTS, json=timed()).json()
    url, stale = f"{EVENTS}/{first['id']}", {"If-Match": first["etag"]}
    current = api.patch(url, json={"summary": "Other"}, headers=stale).json()
    assert reason(api.patch(url, json={"summary": "Lost"}, headers=stale)) == (412, "conditionNotMet")
    assert reason(api.put(url, json=timed(), headers=stale)) == (412, "conditionNotMet")
    assert reason(api.delete(url, headers=stale)) == (412, "conditionNotMet")
    assert api.get(url).json() == current
    assert api.patch(url, json={"summary": "Any"}, headers={"If-Match": "*"}).status_code == 200
    assert api.delete(url, headers={"If-Match": api.get(url).json()["etag"]}).status_code == 204


def test_if_none_match_saves_the_body(api: httpx.Client) -> None:
    """304 while nothing changed, for an event and for a list."""
    event = api.post(EVENTS, json=timed()).json()
    for url in (f"{EVENTS}/{event['id']}", EVENTS, "users/me/calendarList"):
        etag = {"If-None-Match": api.get(url).json()["etag"]}
        assert api.get(url, headers=etag).status_code == 304
    api.patch(f"{EVENTS}/{event['id']}", json={"summary": "Other"})
    assert api.get(EVENTS, headers={"If-None-Match": event["etag"]}).status_code == 200


def test_deleted_event_stays_readable_and_can_come_back(api: httpx.Client) -> None:
    """204, then 410; get shows it cancelled; status confirmed revives it under the same id."""
    event = api.post(EVENTS, json=timed(id="booking0001")).json()
    url = f"{EVENTS}/booking0001"
    assert api.delete(url, params={"sendUpdates": "all"}).status_code == 204
    assert reason(api.delete(url)) == (410, "deleted")
    gone = api.get(url).json()
    assert (gone["status"], gone["summary"]) == ("cancelled", "Visit")
    assert api.put(url, json=timed()).json()["status"] == "cancelled"
    back = api.put(url, json=timed(status="confirmed")).json()
    assert back["status"] == "confirmed"
    assert back["sequence"] > event["sequence"]
    assert "booking0001" in [item["id"] for item in api.get(EVENTS).json()["items"]]


@pytest.mark.parametrize("verb", ["GET", "PATCH", "PUT", "DELETE"])
def test_missing_event_is_404(api: httpx.Client, verb: str) -> None:
    """Also for an instance of a series that does not exist."""
    body = {"json": timed()} if verb in ("PATCH", "PUT") else {}
    for event_id in ("nothing0", "nothing0_20261120T080000Z"):
        assert reason(api.request(verb, f"{EVENTS}/{event_id}", **body)) == (404, "notFound")


def test_other_accounts_calendars_are_404(sandbox: Sandbox, api: httpx.Client) -> None:
    """A calendar belongs to one account."""
    stranger = sandbox.api(sandbox.sign_in("stranger@example.com"))
    assert reason(stranger.get(f"calendars/{OWNER}/events")) == (404, "notFound")
    assert reason(stranger.post(f"calendars/{OWNER}/events", json=timed())) == (404, "notFound")


def test_attendees_know_the_owner(api: httpx.Client) -> None:
    """`self` and `organizer` mark the owner's entry; on a secondary calendar the calendar organizes."""
    guests = [
        {"email": OWNER, "responseStatus": "accepted"},
        {"email": "guest@example.net", "displayName": "G"},
    ]
    own = api.post(EVENTS, json=timed(attendees=guests)).json()
    assert own["attendees"][0] == {
        "email": OWNER,
        "organizer": True,
        "self": True,
        "responseStatus": "accepted",
    }
    assert own["attendees"][1]["responseStatus"] == "needsAction"
    team = team_of(api)
    other = api.post(f"calendars/{team}/events", json=timed(attendees=guests)).json()
    assert other["organizer"] == {"email": team, "displayName": "Team", "self": True}
    assert "organizer" not in other["attendees"][0]
    shortened = api.get(f"{EVENTS}/{own['id']}", params={"maxAttendees": 1}).json()
    assert [person["email"] for person in shortened["attendees"]] == [OWNER]
    assert shortened["attendeesOmitted"] is True


def test_move_leaves_a_cancelled_remainder(api: httpx.Client) -> None:
    """The event changes its calendar and organizer, may return, and cannot be taken where it is already."""
    team = team_of(api)
    event = api.post(EVENTS, json=timed()).json()
    moved = api.post(f"{EVENTS}/{event['id']}/move", params={"destination": team}).json()
    assert moved["organizer"]["email"] == team
    assert api.get(f"{EVENTS}/{event['id']}").json()["status"] == "cancelled"
    assert reason(api.post(f"{EVENTS}/{event['id']}/move", params={"destination": team})) == (404, "notFound")
    back = api.post(f"calendars/{team}/events/{event['id']}/move", params={"destination": "primary"}).json()
    assert back["organizer"]["email"] == OWNER
    assert api.get(f"{EVENTS}/{event['id']}").json()["status"] == "confirmed"


def test_import_keeps_the_uid_and_repeats_harmlessly(api: httpx.Client) -> None:
    """The same iCalUID again updates the copy."""
    first = api.post(f"{EVENTS}/import", json=timed(iCalUID="uid-1@elsewhere")).json()
    second = api.post(f"{EVENTS}/import", json=timed(iCalUID="uid-1@elsewhere", summary="New")).json()
    assert first["id"] == second["id"]
    found = api.get(EVENTS, params={"iCalUID": "uid-1@elsewhere"}).json()["items"]
    assert [(event["iCalUID"], event["summary"]) for event in found] == [("uid-1@elsewhere", "New")]


def test_calendars_can_be_made_changed_and_deleted(api: httpx.Client) -> None:
    """Calendar and list entry show the same thing; the primary cannot go."""
    made = api.post("calendars", json={"summary": "Rooms", "timeZone": "Europe/London"}).json()
    url, entry = f"calendars/{made['id']}", f"users/me/calendarList/{made['id']}"
    assert made["dataOwner"] == OWNER
    assert api.patch(url, json={"description": "All of them"}).json()["timeZone"] == "Europe/London"
    assert api.put(url, json={"summary": "Halls"}).json().get("description") is None
    colored = api.patch(entry, json={"colorId": "3", "selected": False, "summaryOverride": "Mine"}).json()
    palette = api.get("colors").json()["calendar"]
    assert (colored["backgroundColor"], colored["summaryOverride"]) == (palette["3"]["background"], "Mine")
    assert "selected" not in colored
    rgb = api.patch(entry, params={"colorRgbFormat": "true"}, json={"backgroundColor": "#123456"}).json()
    assert rgb["backgroundColor"] == "#123456"
    assert reason(api.patch(entry, json={"colorId": "99"})) == (400, "invalid")
    assert api.delete(url).status_code == 204
    assert reason(api.get(entry)) == (404, "notFound")
    assert reason(api.delete("calendars/primary")) == (400, "invalid")


def test_settings_and_unoffered_methods(api: httpx.Client) -> None:
    """The time zone is readable; what is not simulated says so."""
    assert api.get("users/me/settings/timezone").json()["value"] == "Europe/Berlin"
    assert reason(api.get("users/me/settings/nothing")) == (404, "notFound")
    assert reason(api.get("calendars/primary/acl")) == (501, "notImplemented")


def test_partial_response(api: httpx.Client) -> None:
    """`fields` selects; a malformed selector is 400."""
    event = api.post(EVENTS, json=timed()).json()
    url = f"{EVENTS}/{event['id']}"
    assert api.get(url, params={"fields": "id,start/dateTime,organizer(email)"}).json() == {
        "id": event["id"],
        "start": {"dateTime": event["start"]["dateTime"]},
        "organizer": {"email": OWNER},
    }
    page = api.get(EVENTS, params={"fields": "items(id,end/*),nextSyncToken"}).json()
    assert page.keys() == {"items", "nextSyncToken"}
    assert all(item.keys() == {"id", "end"} for item in page["items"])
    for broken in ("items(", "id)", "a//b", "id;x", "(id)"):
        assert api.get(url, params={"fields": broken}).status_code == 400


def test_free_busy_merges_and_leaves_out_what_takes_no_time(api: httpx.Client) -> None:
    """Union of opaque events, cut to the range; free, cancelled and declined ones do not count."""
    team = team_of(api)

    def add(start: str, end: str, **more: Any) -> str:
        bounds = {side: {"dateTime": f"2027-03-01T{at}:00Z"} for side, at in (("start", start), ("end", end))}
        return str(api.post(f"calendars/{team}/events", json={**bounds, **more}).json()["id"])

    add("08:00", "10:30")
    add("10:00", "11:00")
    add("11:00", "11:15", status="tentative")
    add("12:00", "13:00", transparency="transparent")
    add("13:00", "14:00", attendees=[{"email": OWNER, "responseStatus": "declined"}])
    api.delete(f"calendars/{team}/events/{add('14:00', '15:00')}")
    question = {
        "timeMin": "2027-03-01T09:00:00Z",
        "timeMax": "2027-03-01T18:00:00Z",
        "items": [{"id": team}, {"id": "no@where.example"}],
    }
    answer = api.post("freeBusy", json=question).json()
    assert answer["calendars"][team]["busy"] == [
        {"start": "2027-03-01T09:00:00Z", "end": "2027-03-01T11:15:00Z"}
    ]
    assert answer["calendars"]["no@where.example"]["errors"][0]["reason"] == "notFound"
    local = api.post("freeBusy", json=question | {"timeZone": "Europe/Berlin"}).json()
    assert local["calendars"][team]["busy"][0]["end"] == "2027-03-01T12:15:00+01:00"
    assert reason(api.post("freeBusy", json=question | {"timeMax": question["timeMin"]})) == (
        400,
        "timeRangeEmpty",
    )
    many = question | {"items": [{"id": str(number)} for number in range(51)]}
    assert reason(api.post("freeBusy", json=many)) == (400, "tooManyCalendarsRequested")
