"""Own booking pages: what can be booked, holds, bookings and the customer's own changes, without credentials."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from calendar_app.db.session import transaction
from calendar_app.services.event_types import links
from tests.support import factories
from tests.support.databases import Database
from tests.support.fake_provider import FakeProvider
from tests.support.scheduling import GUEST, ZONE, Place, bearer, bookable

BASE = "/api/v1/public"
SITE = "https://www.example.com"


class Page:
    """A booking page on a site of its own."""

    def __init__(self, api: httpx.Client, place: Place, site: str = SITE) -> None:
        self.api, self.place = api, place
        self.headers = {"Origin": site}

    def call(self, method: str, path: str, *, status: int = 200, **options: Any) -> Any:
        headers = self.headers | options.pop("headers", {})
        answer = self.api.request(method, BASE + path, headers=headers, **options)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    def wish(self, hour: int = 10, **more: Any) -> dict[str, Any]:
        found = {
            "event_type_id": self.place.event_type.id,
            "start": self.place.at(hour).isoformat(),
            "timezone": ZONE,
            "name": GUEST[0],
            "email": GUEST[1],
        }
        return found | more

    def span(self) -> dict[str, str]:
        return {
            "start": self.place.at(0).isoformat(),
            "end": self.place.at(0, days=1).isoformat(),
            "timezone": ZONE,
        }


@pytest.fixture
def page(api: httpx.Client, place: Place) -> Page:
    return Page(api, place)


def close(place: Place, **columns: Any) -> None:
    with transaction() as session:
        kind = session.merge(place.event_type)
        for name, value in columns.items():
            setattr(kind, name, value)
        session.add(kind)


def test_a_customer_books_moves_and_cancels(page: Page) -> None:
    """From the list to a form, a time that is kept, a booking, another time, and the end of it; nobody signs in."""
    (kind,) = page.call("GET", f"/workspaces/{page.place.workspace.slug}/event-types")["items"]
    assert page.call("GET", f"/event-types/{kind['id']}") == kind
    slots = page.call("GET", f"/event-types/{kind['id']}/slots", params=page.span())["slots"]
    assert page.place.at(10).isoformat() in [one["start"] for one in slots]
    assert {one["seats_left"] for one in slots} == {1}
    wish = page.wish()
    asked = {name: wish[name] for name in ("event_type_id", "start", "timezone")}
    hold = page.call("POST", "/holds", json=asked, status=201)
    later = page.call("GET", f"/event-types/{kind['id']}/slots", params=page.span())["slots"]
    assert wish["start"] not in [one["start"] for one in later]
    made = page.call("POST", "/bookings", json=wish | {"hold_id": hold["id"]}, status=201)
    assert (made["status"], made["sync"], made["calendar_event_id"]) == ("confirmed", [], {})
    key = {"token": made["token"]}
    path = f"/bookings/{made['id']}"
    assert page.call("GET", path, params=key) == made
    times = page.call("GET", f"{path}/times", params=key | page.span())["slots"]
    assert page.place.at(14).isoformat() in [one["start"] for one in times]
    body = {"start": page.place.at(14).isoformat()}
    moved = page.call("POST", f"{path}/reschedule", params=key, json=body)
    assert (moved["sequence"], moved["id"]) == (1, made["id"])
    ended = page.call("POST", f"{path}/cancel", params=key, json={"reason": "ill"})
    assert (ended["status"], ended["cancelled_by"], ended["cancel_reason"]) == (
        "cancelled",
        "customer",
        "ill",
    )


def test_a_hold_that_is_let_go_is_free_again(page: Page) -> None:
    """Letting it go again finds nothing."""
    asked = {name: page.wish()[name] for name in ("event_type_id", "start", "timezone")}
    hold = page.call("POST", "/holds", json=asked, status=201)
    page.call("POST", "/holds", json=asked, status=409)
    page.call("DELETE", f"/holds/{hold['id']}", status=204)
    page.call("DELETE", f"/holds/{hold['id']}", status=404)
    page.call("POST", "/holds", json=asked, status=201)


def test_seats_that_are_left_are_told(api: httpx.Client, fake: FakeProvider) -> None:
    """A group of three with one booking has two."""
    page = Page(api, bookable(fake, seats=3))
    page.call("POST", "/bookings", json=page.wish(), status=201)
    path = f"/event-types/{page.place.event_type.id}/slots"
    slots = page.call("GET", path, params=page.span())["slots"]
    left = {one["start"]: one["seats_left"] for one in slots}
    assert (left[page.place.at(10).isoformat()], left[page.place.at(11).isoformat()]) == (2, 3)


def test_a_booking_that_is_sent_twice_is_one(page: Page) -> None:
    """By its Idempotency-Key; another body under the same key is refused."""
    headers = {"Idempotency-Key": "0123456789abcdef0123456789abcdef"}
    first = page.call("POST", "/bookings", json=page.wish(), headers=headers, status=201)
    second = page.call("POST", "/bookings", json=page.wish(), headers=headers, status=201)
    assert first == second
    page.call("POST", "/bookings", json=page.wish(12), headers=headers, status=422)


def test_only_the_sites_of_the_workspace(page: Page, database: Database) -> None:
    """With a list of sites, every operation is refused to scripts of others, which cannot read the answer either; a
    program without a page has no origin."""
    made = page.call("POST", "/bookings", json=page.wish(), status=201)
    with transaction() as session:
        workspace = session.merge(page.place.workspace)
        workspace.sites = [SITE]
        session.add(workspace)
    other = Page(page.api, page.place, "https://evil.example")
    kind, key = page.place.event_type.id, {"token": made["token"]}
    asked = {name: page.wish(12)[name] for name in ("event_type_id", "start", "timezone")}
    for method, path, options in (
        ("GET", f"/workspaces/{page.place.workspace.slug}/event-types", {}),
        ("GET", f"/event-types/{kind}", {}),
        ("GET", f"/event-types/{kind}/slots", {"params": page.span()}),
        ("POST", "/holds", {"json": asked}),
        ("POST", "/bookings", {"json": page.wish(12)}),
        ("GET", f"/bookings/{made['id']}", {"params": key}),
        ("GET", f"/bookings/{made['id']}/times", {"params": key | page.span()}),
        ("POST", f"/bookings/{made['id']}/reschedule", {"params": key, "json": {"start": asked["start"]}}),
        ("POST", f"/bookings/{made['id']}/cancel", {"params": key}),
    ):
        assert other.call(method, path, status=403, **options)["code"] == "site_not_allowed", path
        answer = page.api.request(method, BASE + path, headers=other.headers, **options)
        assert "access-control-allow-origin" not in answer.headers, path
    assert page.call("GET", f"/bookings/{made['id']}", params=key)["status"] == "confirmed"
    answer = page.api.get(f"{BASE}/event-types/{kind}", headers=page.headers)
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers
    assert page.api.get(f"{BASE}/event-types/{kind}").status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/event-types/x/slots"),
        ("POST", "/holds"),
        ("DELETE", "/holds/x"),
        ("POST", "/bookings"),
        ("POST", "/bookings/x/cancel"),
        ("POST", "/bookings/x/reschedule"),
    ],
)
def test_preflights_are_answered(api: httpx.Client, database: Database, method: str, path: str) -> None:
    """Browsers may send JSON, an Idempotency-Key and X-Visitor, and no credentials."""
    headers = {"Origin": SITE, "Access-Control-Request-Method": method}
    answer = api.options(BASE + path, headers=headers)
    assert answer.status_code == 204
    assert method in answer.headers["access-control-allow-methods"]
    assert answer.headers["access-control-allow-headers"] == "Content-Type, Idempotency-Key, X-Visitor"
    assert "access-control-allow-credentials" not in answer.headers


def test_credentials_change_nothing(page: Page) -> None:
    """An owner's token sees no more than a stranger, and a worthless one is not looked at."""
    close(page.place, is_public=False)
    path = f"/event-types/{page.place.event_type.id}"
    for headers in (bearer(page.place.people[0]), {"Authorization": "Bearer made-up"}, {}):
        page.call("GET", path, headers=headers, status=404)
        page.call("POST", "/bookings", json=page.wish(), headers=headers, status=404)


def test_a_private_link_opens_its_event_type_and_nothing_else(page: Page, fake: FakeProvider) -> None:
    """What is not public is there for whoever has the link, for one booking if it is for one."""
    close(page.place, is_public=False)
    other = bookable(fake, is_public=False)
    made = links.create_link(page.place.owner, page.place.event_type.id, label="", single_use=True)
    link = httpx.URL(made.url).params["link"]
    kind = page.place.event_type.id
    page.call("GET", f"/event-types/{kind}", status=404)
    page.call("GET", f"/event-types/{kind}/slots", params=page.span(), status=404)
    page.call("GET", f"/event-types/{other.event_type.id}", params={"link": link}, status=404)
    page.call("GET", f"/event-types/{kind}", params={"link": "made-up"}, status=404)
    assert page.call("GET", f"/event-types/{kind}", params={"link": link})["id"] == kind
    assert page.call("GET", f"/event-types/{kind}/slots", params=page.span() | {"link": link})["slots"]
    asked = {name: page.wish()[name] for name in ("event_type_id", "start", "timezone")}
    page.call("POST", "/holds", json=asked, status=404)
    hold = page.call("POST", "/holds", json=asked | {"link": link}, status=201)
    page.call("POST", "/bookings", json=page.wish(hold_id=hold["id"], link=link), status=201)
    assert page.call("POST", "/bookings", json=page.wish(12, link=link), status=409)["code"] == "link_ended"


def test_a_key_opens_its_own_booking(page: Page) -> None:
    """Another booking's key, a made-up one and none at all lead nowhere, and change nothing."""
    first = page.call("POST", "/bookings", json=page.wish(), status=201)
    second = page.call("POST", "/bookings", json=page.wish(12), status=201)
    body = {"start": page.place.at(15).isoformat()}
    for token in (second["token"], "made-up", first["token"][:-2], first["id"]):
        for method, what, options in (
            ("GET", "", {}),
            ("POST", "/cancel", {}),
            ("POST", "/reschedule", {"json": body}),
        ):
            page.call(
                method, f"/bookings/{first['id']}{what}", params={"token": token}, status=404, **options
            )
    page.call("GET", f"/bookings/{first['id']}", status=422)
    assert page.call("GET", f"/bookings/{first['id']}", params={"token": first["token"]}) == first


def test_markup_stays_text(page: Page) -> None:
    """What a customer types comes back as they typed it, as JSON."""
    name = "<script>alert(1)</script> & 'Co' \u202e"
    made = page.call("POST", "/bookings", json=page.wish(name="<b>Grace</b> & Co"), status=201)
    assert made["name"] == "<b>Grace</b> & Co"
    answer = page.api.post(BASE + "/bookings", json=page.wish(12, name=name), headers=page.headers)
    assert answer.headers["content-type"].startswith(("application/json", "application/problem+json"))


def test_floods_are_refused_and_known_visitors_counted_each(page: Page) -> None:
    """A stranger's reads count for their address; who sends the X-Visitor they were given counts by that."""
    path = f"{BASE}/event-types/{page.place.event_type.id}"
    given = page.api.get(path).headers["x-visitor"]
    statuses = [page.api.get(path).status_code for _ in range(320)]
    assert statuses[0] == 200
    refused = page.api.get(path)
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert int(refused.headers["retry-after"]) > 0
    known = page.api.get(path, headers={"X-Visitor": given})
    assert known.status_code == 200
    assert "x-visitor" not in known.headers
    assert page.api.get(path, headers={"X-Visitor": "made-up"}).status_code == 429


def test_what_is_not_there(page: Page) -> None:
    """Unknown workspaces, event types and holds; an event type that is switched off."""
    page.call("GET", "/workspaces/nowhere/event-types", status=404)
    page.call("GET", "/event-types/none", status=404)
    page.call("DELETE", "/holds/none", status=404)
    empty = factories.workspace()
    assert page.call("GET", f"/workspaces/{empty.slug}/event-types")["items"] == []
    close(page.place, is_active=False)
    assert page.call("GET", f"/event-types/{page.place.event_type.id}")["is_active"] is False
    found = page.call("POST", "/bookings", json=page.wish(), status=409)
    assert found["code"] == "event_type_inactive"
