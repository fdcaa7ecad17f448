"""Events that staff make in a calendar over HTTP: one at the provider for each request, however often that comes."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from calendar_app.db.session import reading
from calendar_app.db.tables import Calendar
from calendar_app.errors import ProviderUnavailable, RateLimited
from calendar_app.providers.base import Capability
from calendar_app.services.calendar_sync import requests as sync_requests
from calendar_app.services.common.permissions import Role
from tests.support import factories
from tests.support.fake_provider import FakeProvider
from tests.support.people import problem
from tests.support.scheduling import ZONE, Place, bearer, bookable, host


def path(of: Calendar) -> str:
    return f"/api/v1/calendars/{of.id}/events"


def body(place: Place, hour: int = 10, /, **changes: Any) -> dict[str, Any]:
    start = place.at(hour)
    return {
        "summary": "Team lunch",
        "start": start.isoformat(),
        "end": (start + timedelta(hours=1)).isoformat(),
    } | changes


def test_an_event_is_made_and_mirrored(api: httpx.Client, fake: FakeProvider, place: Place) -> None:
    """The event stands at the provider as it was asked for, and the sync that was asked for brings it back."""
    (calendar,), headers = place.calendars, bearer(place.people[0])
    wanted = body(
        place,
        description="Bring\nappetite",
        location="Canteen",
        attendees=["ada@example.org", {"email": "grace@example.org", "name": "Grace"}],
    )
    response = api.post(path(calendar), headers=headers, json=wanted)
    assert response.status_code == 201, response.text
    made = response.json()
    (event,) = fake.standing(calendar.remote_id)
    assert (made["remote_id"], made["html_link"]) == (
        event.remote_id,
        f"https://fake.example/{event.remote_id}",
    )
    assert (event.summary, event.description, event.location) == ("Team lunch", "Bring\nappetite", "Canteen")
    assert event.start is not None
    assert (event.start.value, event.start.zone) == (place.at(10).replace(tzinfo=None), calendar.timezone)
    assert [(guest.email, guest.name) for guest in event.attendees] == [
        ("ada@example.org", ""),
        ("grace@example.org", "Grace"),
    ]
    with reading() as session:
        assert session.get_one(Calendar, calendar.id).sync_requested_at is not None
    sync_requests.sync_calendar(calendar.id)
    times = {"start": place.at(0).isoformat(), "end": place.at(23).isoformat()}
    listed = api.get("/api/v1/events", headers=headers, params=times).json()["items"]
    assert [(item["title"], datetime.fromisoformat(item["start"])) for item in listed] == [
        ("Team lunch", place.at(10))
    ]


def test_guests_whom_the_provider_does_not_take_are_told(
    api: httpx.Client, fake: FakeProvider, place: Place
) -> None:
    """At the account's usage limit an event is made without its guests, and the answer names whom to add later."""
    (calendar,), headers = place.calendars, bearer(place.people[0])
    wanted = body(place, attendees=["ada@example.org"])
    made = api.post(path(calendar), headers=headers, json=wanted).json()
    assert ([one["email"] for one in made["attendees"]], made["note"]) == (["ada@example.org"], "")
    fake.takes_guests = False
    made = api.post(path(calendar), headers=headers, json=wanted).json()
    assert made["attendees"] == []
    assert "The event stands without ada@example.org" in made["note"]


def test_a_repeated_request_makes_one_event(api: httpx.Client, fake: FakeProvider, place: Place) -> None:
    """With one key there is one event, also when the first request failed after it was made; without one there are
    two."""
    (calendar,), headers = place.calendars, bearer(place.people[0])
    keyed = headers | {"Idempotency-Key": "lunch"}
    fake.fail("after_put", ProviderUnavailable("The answer got lost."))
    problem(api.post(path(calendar), headers=keyed, json=body(place)), 503, "provider_unavailable")
    first, again = (api.post(path(calendar), headers=keyed, json=body(place)) for _ in range(2))
    assert (first.status_code, first.json()) == (201, again.json())
    assert len(fake.standing(calendar.remote_id)) == 1
    problem(api.post(path(calendar), headers=keyed, json=body(place, 12)), 422, "idempotency_key_reused")
    for _ in range(2):
        assert api.post(path(calendar), headers=headers, json=body(place)).status_code == 201
    assert len(fake.standing(calendar.remote_id)) == 3


def test_a_check_refuses_what_is_taken(api: httpx.Client, fake: FakeProvider, place: Place) -> None:
    """With ``check`` bookings, mirrored events and events that no sync has seen refuse; without it nothing does."""
    (calendar,), headers = place.calendars, bearer(place.people[0])
    place.book(place.at(10, 30))
    fake.add_event(calendar.remote_id, place.at(12), place.at(13))
    sync_requests.sync_calendar(calendar.id)
    fake.add_event(calendar.remote_id, place.at(14), place.at(15))
    for hour, words in (
        (10, "Intro call with Grace Hopper"),
        (12, calendar.name),
        (14, "only just been added"),
    ):
        refused = api.post(path(calendar), headers=headers, params={"check": True}, json=body(place, hour))
        assert words in str(problem(refused, 409, "slot_unavailable")["detail"])
    assert fake.count("put_event") == 0
    for hour, check in ((11, True), (16, True), (10, False)):
        made = api.post(path(calendar), headers=headers, params={"check": check}, json=body(place, hour))
        assert made.status_code == 201, made.text


def test_read_only_calendars_are_refused(api: httpx.Client, fake: FakeProvider, place: Place) -> None:
    """Neither a calendar that may only be read, nor a provider that cannot be written to, is tried."""
    person, readable = host(fake, place.workspace, access_role="reader")
    problem(api.post(path(readable), headers=bearer(person), json=body(place)), 422, "calendar_read_only")
    fake.capabilities &= ~Capability.WRITE
    answer = api.post(path(place.calendars[0]), headers=bearer(place.people[0]), json=body(place))
    problem(answer, 422, "calendar_read_only")
    assert fake.count("put_event") == 0


def test_who_may(api: httpx.Client, fake: FakeProvider, place: Place) -> None:
    """Staff in their own calendars, managers in everybody's, nobody in another workspace's."""
    (calendar,) = place.calendars
    helper, own = host(fake, place.workspace)
    customer = factories.person()
    factories.membership(customer, place.workspace, Role.CUSTOMER)
    problem(api.post(path(calendar), json=body(place)), 401, "not_signed_in")
    problem(api.post(path(calendar), headers=bearer(customer), json=body(place)), 403, "forbidden")
    problem(api.post(path(calendar), headers=bearer(helper), json=body(place)), 404, "not_found")
    stranger = bearer(bookable(fake).people[0])
    problem(api.post(path(calendar), headers=stranger, json=body(place)), 404, "not_found")
    assert api.post(path(own), headers=bearer(helper), json=body(place)).status_code == 201
    assert api.post(path(own), headers=bearer(place.people[0]), json=body(place, 12)).status_code == 201


@pytest.mark.parametrize(
    "change",
    [
        {"summary": ""},
        {"summary": "a\x00"},
        {"start": "2031-01-06T10:00:00"},
        {"end": "2001-01-01T10:00:00Z"},
        {"end": "2199-01-01T10:00:00Z"},
        {"timezone": "Mars/Olympus"},
        {"attendees": ["nobody"]},
        {"attendees": ["a@example.org"] * 200},
        {"surprise": 1},
    ],
)
def test_bad_events_are_problems(
    api: httpx.Client, fake: FakeProvider, place: Place, change: dict[str, Any]
) -> None:
    """No bad input reaches the provider."""
    answer = api.post(path(place.calendars[0]), headers=bearer(place.people[0]), json=body(place, **change))
    problem(answer, 422, "unknown_timezone" if "timezone" in change else "invalid_input")
    assert fake.count("put_event") == 0


def test_the_providers_trouble_is_told(api: httpx.Client, fake: FakeProvider, place: Place) -> None:
    """A provider that slows us down, or has ended the grant, is named as such; nothing is half done."""
    (calendar,), headers = place.calendars, bearer(place.people[0])
    fake.fail("put_event", RateLimited("Slower, please.", retry_after=7))
    slowed = api.post(path(calendar), headers=headers, json=body(place))
    problem(slowed, 503, "provider_rate_limited")
    assert slowed.headers["Retry-After"] == "7"
    fake.revoke_grants(fake.accounts[f"id-of-{place.people[0].email}"])
    problem(api.post(path(calendar), headers=headers, json=body(place)), 409, "needs_reconnect")


def test_the_zone_can_be_chosen(api: httpx.Client, fake: FakeProvider, place: Place) -> None:
    """An event keeps its instant in whatever zone it is shown."""
    (calendar,) = place.calendars
    wanted = body(place, timezone="Asia/Kathmandu")
    made = api.post(path(calendar), headers=bearer(place.people[0]), json=wanted).json()
    assert (made["timezone"], datetime.fromisoformat(made["start"])) == ("Asia/Kathmandu", place.at(10))
    (event,) = fake.standing(calendar.remote_id)
    assert event.start is not None
    assert event.start.zone == "Asia/Kathmandu"
    assert calendar.timezone == ZONE
