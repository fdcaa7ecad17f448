"""The page of the sandbox and its control interface."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from tests.sandbox.server import OWNER, Sandbox
from tests.sandbox.test_events import EVENTS, timed


def events_of(sandbox: Sandbox, calendar: str = OWNER) -> dict[str, dict[str, Any]]:
    items = sandbox.client.get(f"/sandbox/api/calendars/{calendar}/events").json()["items"]
    return {item.get("summary", ""): item for item in items}


def act(sandbox: Sandbox, action: str, **form: str) -> httpx.Response:
    answer = sandbox.client.post(f"/sandbox/actions/{action}", data={"calendar": OWNER} | form)
    assert answer.status_code in (303, 400)
    return answer


def test_newcomer_finds_a_working_week(sandbox: Sandbox) -> None:
    """Two calendars, a moved occurrence, an all-day event, one shown as free; the banner; no script from elsewhere."""
    page = sandbox.client.get("/sandbox")
    for text in ("Olivia Owner", OWNER, "Team", "Weekly team meeting", "Trade fair in Hamburg", "all day"):
        assert text in page.text
    assert "shown as free" in page.text
    assert "Tue 24 Nov, 14:00 to 15:00" in page.text
    assert "Sandbox</strong>: no real provider is contacted" in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "not connected" in page.text
    own = page.text.partition('aria-label="Calendar Team"')[0]
    starts = re.findall(r'name="start" value="([^"]+)"', own)
    assert len(starts) > 8
    assert starts == sorted(starts)
    for file in ("sandbox.css", "sandbox.js"):
        assert sandbox.client.get(f"/sandbox/static/{file}").status_code == 200


def test_add_move_rename_and_delete_by_form(sandbox: Sandbox, api: httpx.Client) -> None:
    """Each button is an outside change that the API shows at once."""
    answer = act(sandbox, "add-event", title="By hand", start="2026-11-20T09:00", end="2026-11-20T09:30")
    assert answer.headers["location"] == "/sandbox?done=added#owner%40example.com"
    assert "Event added." in sandbox.client.get("/sandbox?done=added").text
    event = api.get(f"{EVENTS}/{events_of(sandbox)['By hand']['id']}").json()
    assert event["start"]["dateTime"] == "2026-11-20T09:00:00+01:00"
    act(sandbox, "move-event", event=event["id"], shift="60", start="2026-11-20T09:00")
    act(sandbox, "rename-event", event=event["id"], title="Renamed")
    moved = api.get(f"{EVENTS}/{event['id']}").json()
    assert (moved["summary"], moved["end"]["dateTime"]) == ("Renamed", "2026-11-20T10:30:00+01:00")
    act(sandbox, "move-event", event=event["id"], start="2026-11-23T08:00")
    assert api.get(f"{EVENTS}/{event['id']}").json()["end"]["dateTime"] == "2026-11-23T08:30:00+01:00"
    act(sandbox, "delete-event", event=event["id"])
    assert api.get(f"{EVENTS}/{event['id']}").json()["status"] == "cancelled"


def test_all_day_and_weekly_events_by_form(sandbox: Sandbox, api: httpx.Client) -> None:
    """All day counts both days; weekly repeats; one occurrence or the whole series can go."""
    span = {"start": "2026-11-20T09:00", "end": "2026-11-21T09:00"}
    act(sandbox, "add-event", title="Away", all_day="1", weekly="1", **span)
    event = events_of(sandbox)["Away"]
    assert (event["start"], event["end"]) == ({"date": "2026-11-20"}, {"date": "2026-11-22"})
    occurrence = f"{event['id']}_20261127"
    act(sandbox, "move-event", event=occurrence, shift="1440", start="2026-11-27")
    assert api.get(f"{EVENTS}/{occurrence}").json()["start"] == {"date": "2026-11-28"}
    act(sandbox, "move-event", event=occurrence, start="2026-11-30")
    assert api.get(f"{EVENTS}/{occurrence}").json()["end"] == {"date": "2026-12-02"}
    act(sandbox, "delete-event", event=occurrence, series=event["id"])
    assert api.get(f"{EVENTS}/{event['id']}").json()["status"] == "confirmed"
    act(sandbox, "delete-event", event=occurrence, series=event["id"], whole_series="1")
    assert api.get(f"{EVENTS}/{event['id']}").json()["status"] == "cancelled"


@pytest.mark.parametrize(
    ("action", "form", "says"),
    [
        ("add-event", {"title": "x", "start": "", "end": ""}, "Invalid start time."),
        (
            "add-event",
            {"title": "x", "start": "soon", "end": "later", "all_day": "1"},
            "Enter the first and the last",
        ),
        (
            "add-event",
            {"title": "x", "start": "2026-11-20T10:00", "end": "2026-11-20T09:00"},
            "range is empty",
        ),
        ("add-event", {"title": "x", "calendar": "gone"}, "That calendar is gone."),
        ("move-event", {"event": "nothing0", "start": "2026-11-20T09:00"}, "Not Found"),
        ("delete-event", {"event": "nothing0"}, "Not Found"),
    ],
)
def test_bad_forms_say_what_is_wrong(sandbox: Sandbox, action: str, form: dict[str, str], says: str) -> None:
    """400 with the page and one sentence."""
    answer = act(sandbox, action, **form)
    assert answer.status_code == 400
    assert f'role="alert">{says}' in answer.text or says in answer.text


def test_move_to_nonsense_is_refused(sandbox: Sandbox) -> None:
    """A field that holds no time changes nothing."""
    event = events_of(sandbox)["Dentist"]
    answer = act(sandbox, "move-event", event=event["id"], start="soon")
    assert "That is not a date or time." in answer.text
    assert events_of(sandbox)["Dentist"] == event


def test_titles_are_inert(sandbox: Sandbox) -> None:
    """Markup in an event stays text: the page shares its origin with the application."""
    act(
        sandbox,
        "add-event",
        title="<script>alert(1)</script>\"'",
        start="2026-11-20T09:00",
        end="2026-11-20T09:30",
    )
    page = sandbox.client.get("/sandbox").text
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_other_sites_cannot_change_anything(sandbox: Sandbox) -> None:
    """Cross-site posts are refused on forms and in the control interface."""
    headers = {"Sec-Fetch-Site": "cross-site"}
    for path in ("/sandbox/actions/remove-access", "/sandbox/api/expire-access-tokens"):
        assert sandbox.client.post(path, headers=headers).status_code == 403


def test_connected_account_can_be_disconnected(sandbox: Sandbox) -> None:
    """Remove access ends tokens like Google's account page."""
    tokens = sandbox.tokens()
    page = sandbox.client.get("/sandbox").text
    assert "connected to the application" in page
    assert ">Remove access</button>" in page
    act(sandbox, "remove-access", account=OWNER)
    refused = sandbox.token(grant_type="refresh_token", refresh_token=tokens["refresh_token"])
    assert refused.json()["error"] == "invalid_grant"
    assert "not connected" in sandbox.client.get("/sandbox").text


def shared_as(sandbox: Sandbox, provider: str) -> dict[str, str]:
    """What the page says each calendar of a provider is shared as, by the calendar's name."""
    page = sandbox.client.get("/sandbox", params={"provider": provider}).text
    cards = re.split(r'aria-label="Calendar ', page)[1:]
    return {
        card.partition('"')[0]: found[1]
        for card in cards
        if (found := re.search(r'<option value="(\w+)" selected>', card))
    }


@pytest.mark.parametrize(
    ("provider", "roles"),
    [
        ("google", ["writer", "writerWithoutPrivateAccess", "reader", "freeBusyReader", "none", "owner"]),
        ("microsoft", ["reader", "none", "owner"]),
    ],
)
def test_what_an_account_may_do_is_changed_on_the_page(
    sandbox: Sandbox, provider: str, roles: list[str]
) -> None:
    """Each role of a provider can be given and is shown; a calendar that is no longer shared can be given back."""
    before = shared_as(sandbox, provider)
    page = sandbox.client.get("/sandbox", params={"provider": provider}).text
    name, own_id = next(iter(before)), re.findall(r'name="calendar" value="([^"]+)"', page)[0]
    assert before[name] == "owner"
    for role in roles:
        answer = act(sandbox, "role", provider=provider, calendar=own_id, role=role)
        assert "done=shared" in answer.headers["location"]
        assert shared_as(sandbox, provider) == before | {name: role}
        page = sandbox.client.get("/sandbox", params={"provider": provider}).text
        assert ("no longer shared with this account" in page) == (role == "none")
    refused = act(sandbox, "role", provider=provider, calendar=own_id, role="emperor")
    assert "role must be one of owner" in refused.text
    assert shared_as(sandbox, provider) == before


def test_links_of_events_lead_to_the_page(sandbox: Sandbox, api: httpx.Client) -> None:
    """htmlLink opens the sandbox with that event marked."""
    event = api.post(EVENTS, json=timed()).json()
    path = event["htmlLink"].removeprefix("http://localhost:3000")
    assert sandbox.client.get(path).text.count('class="event selected"') == 1
    assert sandbox.client.get("/sandbox?eid=%F0!").status_code == 200


def test_control_adds_moves_and_deletes(sandbox: Sandbox) -> None:
    """The JSON interface takes Google event bodies, shifts by minutes, and shows deleted events on demand."""
    url = f"/sandbox/api/calendars/{OWNER}/events"
    before = sandbox.client.get("/sandbox/api/state").json()["sequence"]
    made = sandbox.client.post(url, json=timed()).json()
    moved = sandbox.client.patch(f"{url}/{made['id']}", json={"shift_minutes": -90}).json()
    assert moved["start"]["dateTime"] == "2026-11-20T07:30:00+01:00"
    assert sandbox.client.delete(f"{url}/{made['id']}").status_code == 204
    assert made["id"] not in [item["id"] for item in sandbox.client.get(url).json()["items"]]
    everything = sandbox.client.get(url, params={"deleted": "true", "limit": "1"}).json()["items"]
    assert [item["id"] for item in everything] == [made["id"]]
    assert sandbox.client.get("/sandbox/api/state").json()["sequence"] == before + 3


def test_generate_spreads_events_evenly(sandbox: Sandbox) -> None:
    """From a day, over days, each as long as asked for."""
    url = f"/sandbox/api/calendars/{OWNER}"
    body = {"count": 4, "start": "2027-05-01", "days": 2, "minutes": 45}
    assert sandbox.client.post(f"{url}/generate", json=body).json() == {"created": 4}
    found = sorted(
        item["start"]["dateTime"] for item in events_of(sandbox).values() if "Generated" in item["summary"]
    )
    assert found == [f"2027-05-0{day}T{hour}:00:00+02:00" for day in (1, 2) for hour in ("02", "14")]


@pytest.mark.parametrize(
    ("verb", "path", "body"),
    [
        ("POST", f"calendars/{OWNER}/generate", {"count": 0}),
        ("POST", f"calendars/{OWNER}/generate", {"count": 10**9}),
        ("POST", f"calendars/{OWNER}/generate", {"count": "many"}),
        ("POST", f"calendars/{OWNER}/generate", {"count": 1, "start": "someday"}),
        ("POST", f"calendars/{OWNER}/events", {"summary": "x"}),
        ("PATCH", f"calendars/{OWNER}/events/abcde", {"shift_minutes": "x"}),
        ("POST", "expire-sync-tokens", []),
    ],
)
def test_control_refuses_nonsense(sandbox: Sandbox, verb: str, path: str, body: Any) -> None:
    """400 in Google's shape, never a stack."""
    answer = sandbox.client.request(verb, f"/sandbox/api/{path}", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == 400
    assert sandbox.client.get("/sandbox/api/calendars/gone/events").status_code == 404
