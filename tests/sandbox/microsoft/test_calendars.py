"""People, calendars, paging, and what Graph answers to requests that make no sense."""

from __future__ import annotations

import httpx
import pytest

from tests.sandbox.microsoft.client import OWNER, Json, Microsoft, meeting, ok, refused, subjects


def test_me(graph: httpx.Client) -> None:
    """Name, address and id; $select narrows it."""
    me = ok(graph.get("me"))
    assert (me["displayName"], me["mail"], me["userPrincipalName"]) == ("Olivia Owner", OWNER, OWNER)
    chosen = ok(graph.get("me", params={"$select": "id,mail"}))
    assert chosen.keys() == {"@odata.context", "id", "mail"}


def test_mailbox_settings(graph: httpx.Client) -> None:
    """The zone is Windows', the hours are the working week's."""
    settings = ok(graph.get("me/mailboxSettings", params={"$select": "timeZone,workingHours"}))
    assert settings["timeZone"] == "W. Europe Standard Time"
    assert settings["workingHours"]["startTime"] == "08:00:00.0000000"


def test_the_calendars(graph: httpx.Client) -> None:
    """The default one first; one is somebody else's to write."""
    found = ok(graph.get("me/calendars"))["value"]
    assert [row["name"] for row in found] == ["Calendar", "Project", "Company holidays"]
    assert [row["isDefaultCalendar"] for row in found] == [True, False, False]
    assert [row["canEdit"] for row in found] == [True, True, False]
    assert found[0]["owner"] == {"name": "Olivia Owner", "address": OWNER}
    assert ok(graph.get(f"me/calendars/{found[1]['id']}")) == found[1]
    assert ok(graph.get("me/calendar")) == found[0]


def test_pages_are_followed_by_their_links(graph: httpx.Client) -> None:
    """$top makes pages, @odata.nextLink leads on and keeps the other options, $count counts all."""
    params: Json = {"$top": 2, "$select": "name", "$count": "true"}
    first = ok(graph.get("me/calendars", params=params))
    assert [row["name"] for row in first["value"]] == ["Calendar", "Project"]
    assert first["@odata.count"] == 3
    last = ok(graph.get(first["@odata.nextLink"]))
    assert [row["name"] for row in last["value"]] == ["Company holidays"]
    assert last["value"][0].keys() == {"name", "id"}
    assert "@odata.nextLink" not in last


def test_the_page_size_can_be_a_preference(microsoft: Microsoft) -> None:
    """Prefer: odata.maxpagesize does the same, and is said to have been applied."""
    graph = microsoft.graph(Prefer="odata.maxpagesize=1")
    answer = graph.get("me/calendars")
    assert len(ok(answer)["value"]) == 1
    assert 'odata.maxpagesize="1"' in answer.headers["preference-applied"]


def test_a_calendar_can_be_made(graph: httpx.Client) -> None:
    """It is empty and can be written; a name can be used once."""
    made = ok(graph.post("me/calendars", json={"name": "Rooms", "color": "lightRed"}), 201)
    assert made["canEdit"]
    assert ok(graph.get(f"me/calendars/{made['id']}/events"))["value"] == []
    refused(graph.post("me/calendars", json={"name": "Rooms"}), 409, "ErrorFolderExists")


def test_a_foreign_calendar_cannot_be_written(graph: httpx.Client) -> None:
    """canEdit false means 403."""
    foreign = ok(graph.get("me/calendars"))["value"][2]["id"]
    refused(graph.post(f"me/calendars/{foreign}/events", json=meeting()), 403, "ErrorAccessDenied")


def test_another_mailbox_is_out_of_reach(microsoft: Microsoft) -> None:
    """Its calendars and events do not exist for others."""
    theirs = microsoft.graph(microsoft.tokens(email="other@example.net")["access_token"])
    made = ok(theirs.post("me/events", json=meeting()), 201)
    calendar = ok(theirs.get("me/calendar"))["id"]
    mine = microsoft.graph()
    for method, path in (
        ("GET", f"me/events/{made['id']}"),
        ("DELETE", f"me/events/{made['id']}"),
        ("GET", f"me/calendars/{calendar}"),
        ("GET", f"me/calendars/{calendar}/events"),
    ):
        refused(mine.request(method, path), 404, "ErrorItemNotFound")
    ok(theirs.get(f"me/events/{made['id']}"))


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("me/events/nonsense", "ErrorInvalidIdMalformed"),
        ("me/calendars/nonsense", "ErrorInvalidIdMalformed"),
        ("me/events?$top=0", "BadRequest"),
        ("me/events?$top=1001", "BadRequest"),
        ("me/events?$skip=-1", "BadRequest"),
        ("me/events?$select=title", "RequestBroker--ParseUri"),
        ("me/events?$orderby=bodyPreview", "RequestBroker--ParseUri"),
        ("me/events?$unknown=1", "ErrorInvalidUrlQuery"),
        ("me/events?$expand=attachments", "ErrorInvalidUrlQuery"),
        ("me/events?$count=perhaps", "BadRequest"),
        ("me/events?$filter=transactionId eq 'x'", "ErrorInvalidProperty"),
        ("me/events?$filter=subject eq", "RequestBroker--ParseUri"),
        ("me/events?$filter=subject eq 'x' and", "RequestBroker--ParseUri"),
        ("me/calendarView", "ErrorInvalidParameter"),
        ("me/calendarView?startDateTime=2026-11-20T00:00:00Z&endDateTime=soon", "ErrorInvalidParameter"),
        (
            "me/calendarView?startDateTime=2026-11-20T00:00:00Z&endDateTime=2026-11-19T00:00:00Z",
            "ErrorInvalidParameter",
        ),
        (
            "me/calendarView?startDateTime=2020-01-01T00:00:00Z&endDateTime=2026-01-01T00:00:00Z",
            "ErrorInvalidParameter",
        ),
        ("me/messages", "BadRequest"),
        ("organization", "BadRequest"),
    ],
)
def test_what_graph_cannot_make_sense_of_is_refused(graph: httpx.Client, path: str, code: str) -> None:
    """Ids, options, windows and segments, each with Graph's code."""
    refused(graph.get(path), 400, code)


def test_an_unknown_zone_is_refused(microsoft: Microsoft) -> None:
    """Prefer: outlook.timezone takes Windows and IANA names only."""
    graph = microsoft.graph(Prefer='outlook.timezone="Middle Earth"')
    refused(graph.get("me/events"), 400, "TimeZoneNotSupportedException")


@pytest.mark.parametrize(
    ("content", "kind", "code"),
    [
        (b"{", "application/json", "BadRequest"),
        (b"[]", "application/json", "RequestBodyRead"),
        (b"{}", "text/plain", "BadRequest"),
    ],
)
def test_a_body_must_be_json(graph: httpx.Client, content: bytes, kind: str, code: str) -> None:
    """An object, and said to be JSON."""
    answer = graph.post("me/events", content=content, headers={"Content-Type": kind})
    refused(answer, 400, code)


def test_filters_and_order(graph: httpx.Client, project: str) -> None:
    """Comparisons, text functions, categories, and/or/not, and sorting by start."""
    place = f"me/calendars/{project}/events"
    for number, (subject, more) in enumerate(
        {
            "Alpha": {"categories": ["Red"]},
            "Beta": {"showAs": "free"},
            "O'Neill": {"isAllDay": False, "importance": "high"},
        }.items()
    ):
        ok(graph.post(place, json=meeting(f"2026-11-2{3 - number}") | {"subject": subject} | more), 201)
    for clause, wanted in {
        "subject eq 'O''Neill'": ["O'Neill"],
        "startswith(subject,'Al')": ["Alpha"],
        "contains(subject,'a')": ["Beta", "Alpha"],
        "showAs ne 'free' and importance eq 'normal'": ["Alpha"],
        "showAs eq 'free' or importance eq 'high'": ["O'Neill", "Beta"],
        "not (showAs eq 'free')": ["O'Neill", "Alpha"],
        "categories/any(c:c eq 'Red')": ["Alpha"],
        "start/dateTime ge '2026-11-22T08:00:00'": ["Beta", "Alpha"],
        "start/dateTime gt '2026-11-22T08:00:00Z'": ["Alpha"],
        "isAllDay eq false and end/dateTime lt '2026-11-22'": ["O'Neill"],
        "createdDateTime ge 2026-11-18T09:00:00Z": ["O'Neill", "Beta", "Alpha"],
        "lastModifiedDateTime gt 2026-11-18T09:00:00Z": [],
    }.items():
        found = ok(graph.get(place, params={"$filter": clause, "$orderby": "start/dateTime"}))
        assert subjects(found) == wanted, clause
    backwards = ok(graph.get(place, params={"$orderby": "start/dateTime desc", "$top": 2}))
    assert subjects(backwards) == ["Alpha", "Beta"]
