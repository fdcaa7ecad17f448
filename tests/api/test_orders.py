"""Orders over HTTP: drafts, confirmations, who may do what, and repetitions."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from tests.support.fake_provider import FakeProvider
from tests.support.people import problem
from tests.support.scheduling import ZONE, Place, bearer, bookable, reservations

YEAR = datetime.now(UTC).year + 2

ORDERS = "/api/v1/orders"


def _body(place: Place, *hours: int, **changes: Any) -> dict[str, Any]:
    lines = [{"event_type_id": place.event_type.id, "start": place.at(hour).isoformat()} for hour in hours]
    return {"name": "Grace", "email": "grace@example.org", "timezone": ZONE, "lines": lines} | changes


def _draft(api: httpx.Client, place: Place, *hours: int, **headers: str) -> dict[str, Any]:
    response = api.post(ORDERS, json=_body(place, *hours), headers=headers)
    assert response.status_code == 201, response.text
    return dict(response.json())


def test_a_visitor_orders_confirms_and_cancels(api: httpx.Client, place: Place) -> None:
    """The draft's token confirms it, twice without harm, and cancels it; each booking has its own manage link."""
    order = _draft(api, place, 9, 10)
    path, mine = f"{ORDERS}/{order['id']}", {"token": order["token"]}
    assert (order["status"], order["bookings"]) == ("draft", [])
    first = api.post(f"{path}/confirm", params=mine).json()
    assert (first["status"], len(first["bookings"])) == ("confirmed", 2)
    assert api.post(f"{path}/confirm", params=mine).json() == first
    assert len({booking["manage_url"] for booking in first["bookings"]}) == 2
    assert api.get(path, params=mine).json() == first
    gone = api.post(f"{path}/cancel", params=mine, json={"reason": "ill"}).json()
    assert [booking["status"] for booking in gone["bookings"]] == ["cancelled", "cancelled"]
    problem(api.post(f"{path}/confirm", params=mine), 409, "order_cancelled")


def test_a_refusal_names_the_line(api: httpx.Client, place: Place) -> None:
    """409 slot_unavailable says which line, in words and as a field, and books nothing."""
    place.book(place.at(10))
    order = _draft(api, place, 9, 10)
    refused = api.post(f"{ORDERS}/{order['id']}/confirm", params={"token": order["token"]})
    body = problem(refused, 409, "slot_unavailable")
    assert str(body["detail"]).startswith("Line 2")
    assert body["errors"] == [{"field": "lines[1]", "code": "slot_unavailable", "detail": body["detail"]}]
    assert len(reservations()) == 1


def test_a_repetition_makes_one_draft(api: httpx.Client, place: Place) -> None:
    """One Idempotency-Key is one order; another body with it is refused."""
    first, again = (_draft(api, place, 9, **{"Idempotency-Key": "order-1"}) for _ in range(2))
    assert first == again
    other = api.post(ORDERS, json=_body(place, 10), headers={"Idempotency-Key": "order-1"})
    problem(other, 422, "idempotency_key_reused")


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"lines": []}, 422, "invalid_input"),
        ({"lines": [{"event_type_id": "x", "start": f"{YEAR}-01-01T10:00:00"}]}, 422, "invalid_input"),
        ({"lines": [{"event_type_id": "x", "start": f"{YEAR}-01-01T10:00:00Z"}]}, 404, "not_found"),
        ({"lines": [{"event_type_id": "\x00", "start": f"{YEAR}-01-01T10:00:00Z"}]}, 422, "invalid_input"),
        ({"lines": 7}, 422, "invalid_input"),
        ({"timezone": "Mars/Olympus"}, 422, "unknown_timezone"),
        ({"email": "grace"}, 422, "invalid_input"),
        ({"name": "\x00"}, 422, "invalid_input"),
        ({"surprise": 1}, 422, "invalid_input"),
    ],
)
def test_bad_orders_are_problems(
    api: httpx.Client, place: Place, change: dict[str, Any], status: int, code: str
) -> None:
    """No bad input is a server error."""
    problem(api.post(ORDERS, json=_body(place, 9, **change)), status, code)


def test_who_may_see_and_confirm(api: httpx.Client, place: Place, fake: FakeProvider) -> None:
    """Without a token it takes an account; another workspace's gets 404; another order's token opens nothing."""
    order, other = _draft(api, place, 9), _draft(api, place, 10)
    path = f"{ORDERS}/{order['id']}"
    stranger, owner = bearer(bookable(fake).people[0]), bearer(place.people[0])
    for method, route in (("GET", path), ("POST", f"{path}/confirm"), ("POST", f"{path}/cancel")):
        problem(api.request(method, route), 401, "not_signed_in")
        problem(api.request(method, route, headers=stranger), 404, "not_found")
        problem(api.request(method, route, params={"token": other["token"]}), 404, "not_found")
        problem(api.request(method, route, params={"token": "x"}), 404, "not_found")
    problem(api.get(ORDERS), 401, "not_signed_in")
    assert api.get(ORDERS, headers=stranger).json() == {"items": [], "next": None}
    assert [item["id"] for item in api.get(ORDERS, headers=owner).json()["items"]] == [
        other["id"],
        order["id"],
    ]
    made = api.post(f"{path}/confirm", headers=owner).json()
    assert [receipt["state"] for receipt in made["bookings"][0]["sync"]] == ["queued"]


def test_an_order_asks_for_what_its_event_types_ask(api: httpx.Client, place: Place) -> None:
    """Place, phone number and guests by line, and the customer's language; what is missing is named by its line."""
    fields = {
        "meeting_places": [{"kind": "link", "value": "https://meet.example.org/x"}, {"kind": "host_calls"}],
        "form_parts": {"guests": "optional", "notes": "required"},
    }
    me = bearer(place.people[0])
    set_up = api.patch(f"/api/v1/event-types/{place.event_type.id}", json=fields, headers=me)
    assert set_up.status_code == 200, set_up.text
    good = {
        "meeting_place": "host_calls",
        "phone": "+49 30 1234567",
        "guests": ["a@example.org"],
        "notes": "x",
    }

    def body(**change: Any) -> dict[str, Any]:
        lines = _body(place, 9, 10)["lines"]
        return _body(place, lines=[lines[0] | good, lines[1] | good | change])

    for change, field in (
        ({"meeting_place": ""}, "lines[1].meeting_place"),
        ({"meeting_place": "address"}, "lines[1].meeting_place"),
        ({"phone": ""}, "lines[1].phone"),
        ({"phone": "12"}, "lines[1].phone"),
        ({"notes": ""}, "lines[1].notes"),
        ({"guests": ["a"]}, "lines[1].guests[0]"),
        ({"booked_by": {"name": "Ada", "email": "ada@example.org"}}, "lines[1].booked_by"),
    ):
        refused = problem(api.post(ORDERS, json=body(**change)), 422, "invalid_input")
        assert [one["field"] for one in refused["errors"]] == [field]
    wrong = problem(api.post(ORDERS, json=body() | {"language": "fr"}), 422, "invalid_input")
    assert [one["field"] for one in wrong["errors"]] == ["language"]

    order = api.post(ORDERS, json=body() | {"language": "de"}).json()
    assert order["language"] == "de"
    assert order["lines"][0]["details"]["phone"] == "+49301234567"
    made = api.post(f"{ORDERS}/{order['id']}/confirm", params={"token": order["token"]}).json()
    for booking in made["bookings"]:
        assert (booking["place"]["kind"], booking["phone"]) == ("host_calls", "+49301234567")
        assert (booking["guests"], booking["notes"], booking["language"]) == (["a@example.org"], "x", "de")


def test_what_an_event_type_asks_for_by_then(api: httpx.Client, place: Place) -> None:
    """Something new is asked for between draft and confirmation: the line is named, and nothing is booked."""
    order = _draft(api, place, 9, 10)
    api.patch(
        f"/api/v1/event-types/{place.event_type.id}",
        json={"form_parts": {"notes": "required"}},
        headers=bearer(place.people[0]),
    )
    refused = api.post(f"{ORDERS}/{order['id']}/confirm", params={"token": order["token"]})
    assert problem(refused, 422, "invalid_input")["errors"][0]["field"] == "lines[0].notes"
    assert reservations() == []
