"""Meeting places, guests and the rest of the form over HTTP."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.support.scheduling import Place, bearer, carry_out

V1 = "/api/v1"
LINK = "https://meet.example.org/secret"
FIELDS = {
    "meeting_places": [{"kind": "link", "value": LINK}, {"kind": "host_calls", "label": "By phone"}],
    "form_parts": {"guests": "optional", "booked_by": "optional", "notes": "required"},
}


def _book(api: httpx.Client, place: Place, **fields: Any) -> httpx.Response:
    body = {
        "event_type_id": place.event_type.id,
        "start": place.at(10).isoformat(),
        "timezone": "Europe/Berlin",
        "name": "Grace Hopper",
        "email": "grace@example.org",
        "meeting_place": "link",
        "notes": "Ring twice",
    }
    return api.post(f"{V1}/bookings", json=body | fields)


def _set(api: httpx.Client, place: Place, **fields: Any) -> httpx.Response:
    me = bearer(place.people[0])
    return api.patch(f"{V1}/event-types/{place.event_type.id}", json=FIELDS | fields, headers=me)


def test_a_booking_says_where_and_with_whom(api: httpx.Client, place: Place) -> None:
    """The event type keeps what it was told; the booking answers with the place once it stands."""
    kind = _set(api, place)
    assert kind.status_code == 200, kind.text
    assert [(one["id"], one["value"]) for one in kind.json()["meeting_places"]] == [
        ("link", LINK),
        ("host_calls", ""),
    ]
    assert (kind.json()["location"], kind.json()["form_parts"]) == (LINK, FIELDS["form_parts"])
    booker = {"name": "Ada", "email": "ada@example.org"}
    made = _book(api, place, guests=["a@example.org"], booked_by=booker)
    assert made.status_code == 201, made.text
    found = made.json()
    assert found["place"] == {"kind": "link", "label": "", "where": LINK}
    assert (found["guests"], found["notes"]) == (["a@example.org"], "Ring twice")
    assert (found["booked_by_name"], found["booked_by_email"]) == ("Ada", "ada@example.org")
    path, token = f"{V1}/bookings/{found['id']}", found["manage_url"].rpartition("/")[2]
    move = {"start": place.at(11).isoformat(), "reason": "The train is late"}
    moved = api.post(f"{path}/reschedule", json=move, params={"token": token})
    assert (moved.status_code, moved.json()["location"]) == (200, LINK)
    history = api.get(f"{path}/history", headers=bearer(place.people[0])).json()["items"]
    assert history[-1]["detail"]["reason"] == "The train is late"
    gone = api.post(f"{path}/cancel", params={"token": token}).json()
    assert (gone["location"], gone["place"]["where"]) == ("", "")


def test_a_request_does_not_tell_the_link(api: httpx.Client, place: Place) -> None:
    """Customers learn it with the approval; staff see it at once."""
    _set(api, place, requires_approval=True)
    made = _book(api, place).json()
    assert made["status"] == "pending"
    assert "secret" not in str(made)
    me = bearer(place.people[0])
    assert api.get(f"{V1}/bookings/{made['id']}", headers=me).json()["location"] == LINK
    token = made["manage_url"].rpartition("/")[2]
    assert "secret" not in api.get(f"{V1}/bookings/{made['id']}.ics", params={"token": token}).text
    api.post(f"{V1}/bookings/{made['id']}/confirm", headers=me)
    assert LINK in api.get(f"{V1}/bookings/{made['id']}", params={"token": token}).text


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"meeting_place": ""}, "meeting_place"),
        ({"meeting_place": "moon"}, "meeting_place"),
        ({"meeting_place": "host_calls"}, "phone"),
        ({"meeting_place": "host_calls", "phone": "<script>"}, "phone"),
        ({"guests": [f"g{number}@example.org" for number in range(1000)]}, "guests"),
        ({"guests": ["<b>"]}, "guests[0]"),
        ({"booked_by": {"name": "", "email": "ada@example.org"}}, "booked_by_name"),
        ({"notes": ""}, "notes"),
        ({"notes": "x" * 1_000_000}, "notes"),
    ],
)
def test_what_cannot_be_booked(api: httpx.Client, place: Place, fields: dict[str, Any], field: str) -> None:
    """A problem names the field, and nothing is booked."""
    _set(api, place)
    answer = _book(api, place, **fields)
    assert answer.status_code in (413, 422), answer.text
    if answer.status_code == 422:
        assert f'"{field}"' in answer.text
    assert api.get(f"{V1}/bookings", headers=bearer(place.people[0])).json()["items"] == []


def test_a_booking_keeps_its_customer_s_language(api: httpx.Client, place: Place) -> None:
    """It is answered with, empty where none was given, and one that there is not is refused."""
    ok = {"meeting_place": "", "notes": ""}
    assert _book(api, place, language="de-AT", **ok).json()["language"] == "de-AT"
    assert _book(api, place, start=place.at(11).isoformat(), **ok).json()["language"] == ""
    refused = _book(api, place, start=place.at(12).isoformat(), language="fr", **ok)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "language"


def test_a_meeting_that_a_calendar_makes(api: httpx.Client, place: Place) -> None:
    """Offered where a host's calendar makes it, else refused with what to do; its link is told once it is there."""
    me = bearer(place.people[0])
    refused = _set(api, place, meeting_places=[{"kind": "microsoft_teams"}])
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "meeting_places"
    assert "Microsoft Teams needs a Microsoft 365 calendar" in refused.text
    assert api.get(f"{V1}/event-types/{place.event_type.id}", headers=me).json()["meeting_places"] == []
    wrong = _set(
        api, place, meeting_places=[{"kind": "google_meet", "value": "https://meet.example.org/mine"}]
    )
    assert wrong.json()["errors"][0]["field"] == "meeting_places[0].value"
    meet = [{"kind": "google_meet", "value": ""}]
    assert _set(api, place, meeting_places=meet, form_parts={}).status_code == 200
    made = _book(api, place, meeting_place="", notes="").json()
    assert (made["place"]["kind"], made["location"], made["link_follows"]) == ("google_meet", "", True)
    carry_out()
    token = made["manage_url"].rpartition("/")[2]
    seen = api.get(f"{V1}/bookings/{made['id']}", params={"token": token}).json()
    assert seen["place"]["where"] == seen["location"]
    assert seen["location"].startswith("https://meet.fake.example/")
    assert (seen["link_follows"], seen["meeting_error"]) == (False, "")
    offer = api.get(f"{V1}/public/{place.workspace.slug}/{place.event_type.slug}")
    assert seen["location"] not in offer.text
