"""Webhooks over HTTP: made with a secret that is told once, seen, tested, replayed and ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from calendar_app.services.webhooks import sending
from calendar_app.settings import Settings
from tests.support.receivers import Receiver, Reply, receiver
from tests.support.scheduling import GUEST, ZONE, Place, bearer

Configure = Callable[..., Settings]
BASE = "/api/v1/webhooks"


@dataclass(frozen=True, slots=True)
class Caller:
    """A manager's program, and the receiver that it subscribes."""

    api: httpx.Client
    headers: dict[str, str]
    receiver: Receiver
    place: Place

    def call(self, method: str, path: str = "", *, status: int = 200, **options: Any) -> Any:
        answer = self.api.request(method, BASE + path, headers=self.headers, **options)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    def subscribe(self, *events: str) -> dict[str, Any]:
        body = {"url": self.receiver.url, "events": list(events) or ["booking.created"]}
        found: dict[str, Any] = self.call("POST", json=body, status=201)
        return found


@pytest.fixture
def caller(api: httpx.Client, place: Place, configure: Configure) -> Iterator[Caller]:
    configure(ALLOWED_PRIVATE_HOSTS="127.0.0.1")
    with receiver() as running:
        yield Caller(api, bearer(place.people[0]), running, place)


def test_a_subscription_from_beginning_to_end(caller: Caller) -> None:
    """Made with its secret, listed without it, changed, given a new secret, tested, paused and deleted."""
    made = caller.subscribe("booking.created", "order.confirmed")
    key = f"/{made['id']}"
    secret = made.pop("secret")
    assert (caller.call("GET")["items"], caller.call("GET", key)) == ([made], made)
    assert caller.call("PATCH", key, json={"description": "CRM"})["description"] == "CRM"
    renewed = caller.call("POST", f"{key}/secret")
    assert renewed["secret"] not in ("", secret)
    assert renewed["previous_secret_until"] is not None
    tested = caller.call("POST", f"{key}/test")
    assert (tested["state"], tested["event"], tested["answer_status"]) == ("delivered", "webhook.test", 204)
    caller.receiver.verified(secret)
    assert caller.call("PATCH", key, json={"state": "paused"})["state"] == "paused"
    caller.call("DELETE", key, status=204)
    assert caller.call("GET")["items"] == []
    assert caller.call("GET", key, status=404)["code"] == "not_found"


def test_what_is_told_is_what_the_api_answers(caller: Caller) -> None:
    """The booking in a message is, field by field, the one that is read at that moment."""
    made = caller.subscribe("booking.created", "booking.cancelled")
    wish = {
        "event_type_id": caller.place.event_type.id,
        "start": caller.place.at(10).isoformat(),
        "timezone": ZONE,
        "name": GUEST[0],
        "email": GUEST[1],
    }
    booked = caller.api.post("/api/v1/bookings", json=wish, headers=caller.headers).json()
    read = caller.api.get(f"/api/v1/bookings/{booked['id']}", headers=caller.headers).json()
    assert sending.send_due(made["id"]) == 1
    assert caller.receiver.got[0].payload["data"]["booking"] == read
    path = f"/api/v1/bookings/{booked['id']}/cancel"
    cancelled = caller.api.post(path, json={"reason": "ill"}, headers=caller.headers).json()
    assert sending.send_due(made["id"]) == 1
    assert caller.receiver.got[1].payload["data"]["booking"] == cancelled


def test_deliveries_are_read_and_sent_again(caller: Caller) -> None:
    """Filtered lists, bodies and answers; one again, and everything since an instant."""
    made = caller.subscribe()
    caller.receiver.answer(Reply(500, b"broken"), Reply(204))
    booked = caller.place.book(caller.place.at(10))
    sending.send_due(made["id"])
    path = f"/{made['id']}/deliveries"
    (row,) = caller.call("GET", path, params={"state": "waiting", "subject_id": booked.id})["items"]
    assert (row["event"], row["answer_status"], row["last_error"]) == (
        "booking.created",
        500,
        "It answered 500.",
    )
    full = caller.call("GET", f"{path}/{row['id']}")
    assert (full["payload"].encode(), full["answer"]) == (caller.receiver.got[0].body, "broken")
    assert caller.call("POST", f"{path}/{row['id']}/replay")["attempts"] == 0
    assert sending.send_due(made["id"]) == 1
    since = {"since": "2020-01-01T00:00:00Z"}
    assert caller.call("POST", f"/{made['id']}/replay", json=since) == {"messages": 1}
    assert sending.send_due(made["id"]) == 1
    assert len({one.id for one in caller.receiver.got}) == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"url": "https://10.0.0.1/", "events": ["booking.created"]}, "url"),
        ({"url": "http://hooks.example/", "events": ["booking.created"]}, "url"),
        ({"url": "https://hooks.example/", "events": []}, "events"),
        ({"url": "https://hooks.example/", "events": ["booking.creatd"]}, "events[0]"),
        ({"url": "https://hooks.example/", "events": ["booking.created"], "secret": "mine"}, "secret"),
    ],
)
def test_bad_input_is_named(caller: Caller, body: dict[str, Any], field: str) -> None:
    """422 with the request's own field, and nothing is made."""
    problem = caller.call("POST", json=body, status=422)
    assert [one["field"] for one in problem["errors"]] == [field]
    assert caller.call("GET")["items"] == []


def test_a_request_that_is_repeated_makes_one(caller: Caller) -> None:
    """The same Idempotency-Key: the same answer, the secret included."""
    body = {"url": caller.receiver.url, "events": ["booking.created"]}
    headers = {**caller.headers, "Idempotency-Key": "once"}
    first, second = (caller.api.post(BASE, json=body, headers=headers).json() for _ in range(2))
    assert first == second
    assert len(caller.call("GET")["items"]) == 1


def test_a_token_that_may_only_read_changes_nothing(caller: Caller) -> None:
    """403 for everything that changes or sends."""
    made = caller.subscribe()
    body = {"name": "reader", "scopes": ["read"]}
    token = caller.api.post("/api/v1/tokens", json=body, headers=caller.headers).json()["access_token"]
    reader = Caller(caller.api, {"Authorization": f"Bearer {token}"}, caller.receiver, caller.place)
    assert len(reader.call("GET")["items"]) == 1
    for method, path in (
        ("POST", f"/{made['id']}/test"),
        ("DELETE", f"/{made['id']}"),
        ("POST", f"/{made['id']}/secret"),
    ):
        assert reader.call(method, path, status=403)["code"] == "insufficient_scope"
    assert caller.receiver.got == []
