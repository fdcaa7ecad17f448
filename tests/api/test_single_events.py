"""Single events over HTTP: what is put in through us is found again by its id, changed and taken out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlmodel import select

from calendar_app.db.session import reading
from calendar_app.db.tables import Event
from calendar_app.domain.event import CalendarEvent
from calendar_app.errors import ProviderUnavailable
from calendar_app.services.calendar_sync import requests as sync_requests
from calendar_app.services.common.permissions import Role
from tests.support.databases import Database
from tests.support.fake_provider import FakeProvider
from tests.support.people import problem
from tests.support.scheduling import Place, bearer, bookable, carry_out, host

EVENTS = "/api/v1/events"


@pytest.fixture
def fake(database: Database) -> Iterator[FakeProvider]:
    with FakeProvider().installed() as provider:
        yield provider


@pytest.fixture
def place(fake: FakeProvider) -> Place:
    return bookable(fake)


def body(place: Place, hour: int = 10, /, **changes: Any) -> dict[str, Any]:
    start = place.at(hour)
    return {"summary": "Lunch", "start": start.isoformat(), "end": place.at(hour + 1).isoformat()} | changes


def put_in(api: httpx.Client, place: Place, /, **changes: Any) -> dict[str, Any]:
    path = f"/api/v1/calendars/{place.calendars[0].id}/events"
    made = api.post(path, headers=bearer(place.people[0]), json=body(place, **changes))
    assert made.status_code == 201, made.text
    found: dict[str, Any] = made.json()
    return found


def test_an_event_is_found_changed_and_taken_out(api: httpx.Client, fake: FakeProvider, place: Place) -> None:
    """By the id that it was given, at once and after the mirror has read it; by the provider's id, too."""
    headers, (calendar,) = bearer(place.people[0]), place.calendars
    made = put_in(api, place, location="Canteen")
    path = f"{EVENTS}/{made['id']}"
    read = api.get(path, headers=headers).json()
    assert (read["summary"], read["location"], read["start"]) == ("Lunch", "Canteen", made["start"])
    sync_requests.sync_calendar(calendar.id)
    with reading() as session:
        mirrored = session.exec(select(Event).where(Event.calendar_id == calendar.id)).one()
    for other in (made["remote_id"], str(mirrored.id)):
        assert api.get(f"{EVENTS}/{other}", headers=headers).json()["id"] == made["id"]
    moved = api.patch(path, headers=headers, json={"start": place.at(14).isoformat(), "location": ""}).json()
    (event,) = fake.standing(calendar.remote_id)
    assert event.start is not None
    assert event.end is not None
    assert (event.start.value, event.end.value, event.location, event.summary) == (
        place.at(14).replace(tzinfo=None),
        place.at(15).replace(tzinfo=None),
        "",
        "Lunch",
    )
    assert (moved["id"], moved["summary"]) == (made["id"], "Lunch")
    assert api.delete(path, headers=headers).status_code == 204
    assert fake.standing(calendar.remote_id) == []
    problem(api.get(path, headers=headers), 404, "not_found")


def test_an_own_id_makes_one_event(api: httpx.Client, fake: FakeProvider, place: Place) -> None:
    """PUT or POST with one id of the caller's is one event, brought to what was sent last; also after it was deleted at
    the provider. Another calendar, or another id, is another event."""
    headers, (calendar,) = bearer(place.people[0]), place.calendars
    path = f"/api/v1/calendars/{calendar.id}/events"
    ids = {put_in(api, place, own_id="lunch-7")["id"] for _ in range(2)}
    put = api.put(f"{path}/lunch-7", headers=headers, json=body(place, 12, summary="Late lunch")).json()
    assert {*ids, put["id"]} == {put["id"]}
    assert (put["own_id"], put["summary"]) == ("lunch-7", "Late lunch")
    (event,) = fake.standing(calendar.remote_id)
    assert event.summary == "Late lunch"
    fake.remove(calendar.remote_id, event.remote_id)
    again = api.put(f"{path}/lunch-7", headers=headers, json=body(place)).json()
    assert again["id"] == put["id"]
    assert [one.summary for one in fake.standing(calendar.remote_id)] == ["Lunch"]
    put_in(api, place, own_id="lunch-8")
    assert len(fake.standing(calendar.remote_id)) == 2


def test_nobody_overwrites_what_they_have_not_seen(
    api: httpx.Client, fake: FakeProvider, place: Place
) -> None:
    """``If-Match`` holds for change, replacement and removal; with the present version each goes through."""
    headers, (calendar,) = bearer(place.people[0]), place.calendars
    made = put_in(api, place, own_id="mine")
    path = f"{EVENTS}/{made['id']}"
    seen = {"If-Match": api.get(path, headers=headers).headers["etag"]}
    (event,) = fake.standing(calendar.remote_id)
    fake.change(calendar.remote_id, replace(event, summary="Changed by its owner"))
    stale = headers | seen
    problem(api.patch(path, headers=stale, json={"location": "x"}), 412, "version_mismatch")
    replaced = f"/api/v1/calendars/{calendar.id}/events/mine"
    problem(api.put(replaced, headers=stale, json=body(place)), 412, "version_mismatch")
    problem(api.delete(path, headers=stale), 412, "version_mismatch")
    assert [one.summary for one in fake.standing(calendar.remote_id)] == ["Changed by its owner"]
    fresh = headers | {"If-Match": api.get(path, headers=headers).headers["etag"]}
    changed = api.patch(path, headers=fresh, json={"location": "Canteen"})
    assert changed.json()["summary"] == "Changed by its owner"
    gone = api.delete(path, headers=headers | {"If-Match": changed.headers["etag"]})
    assert gone.status_code == 204
    problem(api.patch(path, headers=headers | {"If-Match": "abc"}, json={}), 422, "invalid_input")


def test_events_of_bookings_are_the_bookings(api: httpx.Client, fake: FakeProvider, place: Place) -> None:
    """They can be read; they change with their booking and in no other way."""
    headers, (calendar,) = bearer(place.people[0]), place.calendars
    booked = place.book(place.at(10))
    carry_out()
    sync_requests.sync_calendar(calendar.id)
    (event,) = fake.standing(calendar.remote_id)
    path = f"{EVENTS}/{event.remote_id}"
    read = api.get(path, headers=headers).json()
    assert (read["booking_id"], read["can_change"]) == (booked.id, False)
    problem(api.patch(path, headers=headers, json={"summary": "x"}), 409, "event_of_booking")
    problem(api.delete(path, headers=headers), 409, "event_of_booking")


def test_events_are_their_calendars_owners(api: httpx.Client, fake: FakeProvider, place: Place) -> None:
    """Colleagues of the same rank and other workspaces find nothing; the provider's trouble is told as it is."""
    made = put_in(api, place)
    colleague = host(fake, place.workspace, role=Role.STAFF)[0]
    stranger = bookable(fake).people[0]
    for person in (colleague, stranger):
        for event_id in (made["id"], made["remote_id"]):
            path = f"{EVENTS}/{event_id}"
            problem(api.get(path, headers=bearer(person)), 404, "not_found")
            problem(api.patch(path, headers=bearer(person), json={"summary": "x"}), 404, "not_found")
            problem(api.delete(path, headers=bearer(person)), 404, "not_found")
    fake.fail("get_event", ProviderUnavailable("Away."))
    answer = api.get(f"{EVENTS}/{made['id']}", headers=bearer(place.people[0]))
    problem(answer, 503, "provider_unavailable")


def test_what_a_change_may_not_do(api: httpx.Client, fake: FakeProvider, place: Place) -> None:
    """Bad values name their field; series and whole days are told to be changed where they were made."""
    headers, (calendar,) = bearer(place.people[0]), place.calendars
    path = f"{EVENTS}/{put_in(api, place)['id']}"
    for wrong, field in (
        ({"end": place.at(9).isoformat()}, "end"),
        ({"summary": " "}, "summary"),
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"start": 1_900_000_000}, "start"),
        ({"attendees": ["nobody"]}, "attendees[0].email"),
        ({"title": "x"}, "title"),
    ):
        answer = api.patch(path, headers=headers, json=wrong)
        assert answer.status_code == 422, answer.text
        assert [one["field"] for one in answer.json()["errors"]] == [field]
    weekly: CalendarEvent = fake.add_event(
        calendar.remote_id, place.at(9), place.at(9) + timedelta(hours=1), recurrence=("RRULE:FREQ=WEEKLY",)
    )
    sync_requests.sync_calendar(calendar.id)
    series = f"{EVENTS}/{weekly.remote_id}"
    assert api.get(series, headers=headers).json()["recurring"] is True
    problem(api.patch(series, headers=headers, json={"summary": "x"}), 409, "event_not_changeable")
