"""Single events: written, read, changed and deleted as Graph does it."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.sandbox.microsoft.client import (
    BERLIN,
    MARK,
    OWNER,
    Json,
    Microsoft,
    at,
    meeting,
    ok,
    refused,
    subjects,
)


def test_a_new_event(graph: httpx.Client) -> None:
    """The answer is the whole event with Outlook's defaults, its times in UTC, its ETag in body and header."""
    answer = graph.post("me/events", json=meeting())
    made = ok(answer, 201)
    assert made["start"] == {"dateTime": "2026-11-20T08:00:00.0000000", "timeZone": "UTC"}
    assert made["end"]["dateTime"] == "2026-11-20T09:00:00.0000000"
    assert made["originalStartTimeZone"] == BERLIN
    assert (made["type"], made["showAs"], made["isCancelled"]) == ("singleInstance", "busy", False)
    assert made["organizer"]["emailAddress"]["address"] == OWNER
    assert made["@odata.etag"] == f'W/"{made["changeKey"]}"' == answer.headers["etag"]
    assert answer.headers["location"].endswith(f"/me/events/{made['id']}")
    assert ok(graph.get(f"me/events/{made['id']}")) == made


@pytest.mark.parametrize("zone", ["Europe/Berlin", "W. Europe Standard Time", "w. europe standard time"])
def test_both_kinds_of_zone_names_are_taken(graph: httpx.Client, zone: str) -> None:
    """IANA and Windows names mean the same; Windows' is produced."""
    made = ok(
        graph.post("me/events", json=meeting(start="09:00") | {"start": at("2026-11-20", "09:00", zone)}), 201
    )
    assert made["start"]["dateTime"] == "2026-11-20T08:00:00.0000000"
    if zone == "Europe/Berlin":
        assert made["originalStartTimeZone"] == BERLIN


@pytest.mark.parametrize(
    ("zone", "clock"),
    [
        ("Pacific Standard Time", "00:00"),
        ("Asia/Kolkata", "13:30"),
        ("UTC", "08:00"),
        ("Tokyo Standard Time", "17:00"),
    ],
)
def test_times_come_in_the_preferred_zone(microsoft: Microsoft, zone: str, clock: str) -> None:
    """Prefer: outlook.timezone decides, and the name is echoed as it was asked for."""
    graph = microsoft.graph(Prefer=f'outlook.timezone="{zone}"')
    made = ok(graph.post("me/events", json=meeting()), 201)
    assert made["start"] == {"dateTime": f"2026-11-20T{clock}:00.0000000", "timeZone": zone}


def test_all_day_events_stay_on_their_day(microsoft: Microsoft) -> None:
    """Midnight to midnight in every zone, and found on that day of the mailbox."""
    body = {"subject": "Fair", "isAllDay": True, "start": at("2026-11-24"), "end": at("2026-11-26")}
    made = ok(microsoft.graph().post("me/events", json=body), 201)
    assert made["start"] == {"dateTime": "2026-11-24T00:00:00.0000000", "timeZone": "UTC"}
    far = microsoft.graph(Prefer='outlook.timezone="Pacific Standard Time"')
    assert ok(far.get(f"me/events/{made['id']}"))["end"]["dateTime"] == "2026-11-26T00:00:00.0000000"
    for window, there in (
        (("2026-11-23T22:00:00Z", "2026-11-23T23:00:00Z"), False),
        (("2026-11-23T23:00:00Z", "2026-11-24T00:00:00Z"), True),
        (("2026-11-25T22:00:00Z", "2026-11-25T23:00:00Z"), True),
        (("2026-11-25T23:00:00Z", "2026-11-26T00:00:00Z"), False),
    ):
        found = ok(
            far.get(
                "me/calendarView", params=dict(zip(("startDateTime", "endDateTime"), window, strict=True))
            )
        )
        assert ("Fair" in subjects(found)) is there, window


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"title": "x"}, "RequestBodyRead"),
        ({"subject": 5}, "RequestBodyRead"),
        ({"isAllDay": "yes"}, "RequestBodyRead"),
        ({"showAs": "away"}, "RequestBodyRead"),
        ({"attendees": [{"email": "x"}]}, "RequestBodyRead"),
        ({"start": "2026-11-20T09:00:00"}, "RequestBodyRead"),
        ({"start": {"dateTime": "soon", "timeZone": "UTC"}}, "RequestBodyRead"),
        ({"start": {"dateTime": "2026-13-20T09:00:00", "timeZone": "UTC"}}, "RequestBodyRead"),
        ({"start": {"dateTime": "2026-11-20T09:00:00"}}, "TimeZoneNotSupportedException"),
        (
            {"start": {"dateTime": "2026-11-20T09:00:00", "timeZone": "Nowhere"}},
            "TimeZoneNotSupportedException",
        ),
        ({"start": at("2026-11-20", "11:00")}, "ErrorPropertyValidationFailure"),
        ({"start": None}, "RequestBodyRead"),
        ({"isAllDay": True}, "ErrorPropertyValidationFailure"),
        (
            {"isAllDay": True, "start": at("2026-11-20"), "end": at("2026-11-20")},
            "ErrorPropertyValidationFailure",
        ),
        ({"singleValueExtendedProperties": [{"id": "mine", "value": "x"}]}, "ErrorInvalidExtendedProperty"),
    ],
)
def test_values_that_no_event_can_have_are_refused(
    graph: httpx.Client, project: str, change: dict[str, Any], code: str
) -> None:
    """Unknown names, wrong types, impossible times; and nothing is stored."""
    place = f"me/calendars/{project}/events"
    refused(graph.post(place, json=meeting() | change), 400, code)
    assert ok(graph.get(place))["value"] == []


def test_start_and_end_are_needed(graph: httpx.Client) -> None:
    """A new event without a time is none."""
    refused(graph.post("me/events", json={"subject": "x"}), 400, "ErrorPropertyValidationFailure")


def test_a_transaction_makes_one_event(graph: httpx.Client, project: str) -> None:
    """The same transactionId again answers 201 with the event that is there, in whichever calendar it is asked for."""
    first = ok(graph.post("me/events", json=meeting(transactionId="t-1")), 201)
    again = ok(graph.post("me/events", json=meeting(transactionId="t-1")), 201)
    elsewhere = ok(graph.post(f"me/calendars/{project}/events", json=meeting(transactionId="t-1")), 201)
    assert first["id"] == again["id"] == elsewhere["id"]
    assert first["transactionId"] == "t-1"
    assert ok(graph.post("me/events", json=meeting(transactionId="t-2")), 201)["id"] != first["id"]
    refused(
        graph.patch(f"me/events/{first['id']}", json={"transactionId": "t-3"}), 400, "ErrorInvalidPropertySet"
    )


def test_a_transaction_of_a_deleted_event_is_free_again(graph: httpx.Client) -> None:
    """What was deleted is not found by its transactionId."""
    first = ok(graph.post("me/events", json=meeting(transactionId="t-1")), 201)
    ok(graph.delete(f"me/events/{first['id']}"), 204)
    assert ok(graph.post("me/events", json=meeting(transactionId="t-1")), 201)["id"] != first["id"]


def test_an_update_changes_what_it_names(graph: httpx.Client) -> None:
    """The answer is 200 with the whole event and a new change key."""
    made = ok(graph.post("me/events", json=meeting(location={"displayName": "Room 1"})), 201)
    changed = ok(graph.patch(f"me/events/{made['id']}", json={"subject": "Other", "showAs": "free"}))
    assert (changed["subject"], changed["showAs"]) == ("Other", "free")
    assert changed["location"]["displayName"] == "Room 1"
    assert changed["start"] == made["start"]
    assert changed["changeKey"] != made["changeKey"]


def test_if_match_guards_against_older_versions(graph: httpx.Client) -> None:
    """A stale ETag answers 412 and changes nothing; the right one, and the star, go through."""
    made = ok(graph.post("me/events", json=meeting()), 201)
    place = f"me/events/{made['id']}"
    changed = ok(graph.patch(place, json={"subject": "One"}, headers={"If-Match": made["@odata.etag"]}))
    for stale in (
        graph.patch(place, json={"subject": "Two"}, headers={"If-Match": made["@odata.etag"]}),
        graph.delete(place, headers={"If-Match": made["@odata.etag"]}),
    ):
        refused(stale, 412, "ErrorIrresolvableConflict")
    assert ok(graph.get(place)) == changed
    ok(graph.patch(place, json={"subject": "Three"}, headers={"If-Match": "*"}))
    latest = ok(graph.get(place))
    ok(graph.delete(place, headers={"If-Match": latest["@odata.etag"]}), 204)


def test_a_deleted_event_is_gone(graph: httpx.Client) -> None:
    """Every further call answers 404."""
    place = f"me/events/{ok(graph.post('me/events', json=meeting()), 201)['id']}"
    ok(graph.delete(place), 204)
    for answer in (graph.get(place), graph.patch(place, json={"subject": "x"}), graph.delete(place)):
        refused(answer, 404, "ErrorItemNotFound")


def test_events_lie_in_their_calendar(graph: httpx.Client, project: str) -> None:
    """They are reached below it, and directly, but not below another one."""
    made = ok(graph.post(f"me/calendars/{project}/events", json=meeting()), 201)
    ok(graph.get(f"me/calendars/{project}/events/{made['id']}"))
    ok(graph.get(f"me/events/{made['id']}"))
    refused(graph.get(f"me/calendar/events/{made['id']}"), 404, "ErrorItemNotFound")


def test_extended_properties_are_found_and_shown(graph: httpx.Client, project: str) -> None:
    """They are filtered by, shown only where expanded, kept by other updates, and changed one by one."""
    place = f"me/calendars/{project}/events"
    mark: Json = {"id": MARK, "value": "booking-1"}
    made = ok(graph.post(place, json=meeting(singleValueExtendedProperties=[mark])), 201)
    ok(graph.post(place, json=meeting(subject="Other")), 201)
    assert "singleValueExtendedProperties" not in made
    any_of = f"singleValueExtendedProperties/Any(ep: ep/id eq '{MARK}' and ep/value eq '%s')"
    expand = f"singleValueExtendedProperties($filter=id eq '{MARK}')"
    found = ok(graph.get(place, params={"$filter": any_of % "booking-1", "$expand": expand}))["value"]
    assert [item["id"] for item in found] == [made["id"]]
    assert found[0]["singleValueExtendedProperties"] == [mark]
    assert ok(graph.get(place, params={"$filter": any_of % "booking-2"}))["value"] == []
    ok(graph.patch(f"me/events/{made['id']}", json={"subject": "New"}))
    change = {
        "singleValueExtendedProperties": [{"id": MARK.lower().replace("string", "String"), "value": "b-2"}]
    }
    ok(graph.patch(f"me/events/{made['id']}", json=change))
    shown = ok(graph.get(f"me/events/{made['id']}", params={"$expand": expand, "$select": "subject"}))
    assert [part["value"] for part in shown["singleValueExtendedProperties"]] == ["b-2"]
    assert shown["subject"] == "New"


def test_ids_can_be_immutable(microsoft: Microsoft) -> None:
    """The preference changes the form of ids; both forms lead to the event."""
    plain, stable = microsoft.graph(), microsoft.graph(Prefer='IdType="ImmutableId"')
    made = ok(plain.post("me/events", json=meeting()), 201)
    other = ok(stable.get(f"me/events/{made['id']}"))
    assert other["id"] != made["id"]
    assert ok(plain.get(f"me/events/{other['id']}"))["id"] == made["id"]
    assert ok(stable.get("me/calendar"))["id"] == ok(plain.get("me/calendar"))["id"]


def test_bodies_are_html_unless_text_is_preferred(microsoft: Microsoft) -> None:
    """A text body comes back as HTML, escaped; as text where the client asks for it."""
    text = 'Bring <b>two</b> "copies"\nand a pen'
    graph = microsoft.graph()
    made = ok(graph.post("me/events", json=meeting(body={"contentType": "text", "content": text})), 201)
    assert made["body"]["contentType"] == "html"
    assert "&lt;b&gt;two" in made["body"]["content"]
    assert made["bodyPreview"] == text
    plain = microsoft.graph(Prefer='outlook.body-content-type="text"')
    assert ok(plain.get(f"me/events/{made['id']}"))["body"] == {"contentType": "text", "content": text}
    rich = {"contentType": "html", "content": "<p>One</p><p>Two &amp; three</p>"}
    written = ok(plain.post("me/events", json=meeting(body=rich)), 201)
    assert written["body"]["content"] == "One\nTwo & three"


def test_attendees_have_not_answered_yet(graph: httpx.Client) -> None:
    """A new attendee's status is none."""
    guest: Json = {"emailAddress": {"address": "sam@example.net"}}
    made = ok(graph.post("me/events", json=meeting(attendees=[guest])), 201)
    assert made["attendees"][0]["status"]["response"] == "none"
    assert made["attendees"][0]["type"] == "required"


def test_read_only_properties_are_ignored(graph: httpx.Client) -> None:
    """A client may send back what it got; computed values stay Graph's."""
    made = ok(graph.post("me/events", json=meeting()), 201)
    got = {name: value for name, value in made.items() if name != "id"}
    echoed = ok(graph.patch(f"me/events/{made['id']}", json=got | {"changeKey": "x", "isCancelled": True}))
    assert echoed["isCancelled"] is False
    assert echoed["changeKey"] not in ("x", made["changeKey"])
