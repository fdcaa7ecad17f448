"""Subscriptions: handshake, notifications after every kind of change, life and death."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from calendar_app.sandbox.microsoft import subscriptions
from tests.sandbox.microsoft.client import (
    OWNER,
    Json,
    Microsoft,
    meeting,
    ok,
    refused,
    running_microsoft,
    weekly,
)
from tests.sandbox.server import SharedServer, serving, wait_until


class Receiver:
    """An application's webhook: ``got`` are the notifications; ``handshakes`` the tokens it was asked to echo."""

    def __init__(self) -> None:
        self.got: list[Json] = []
        self.handshakes: list[str] = []
        self.echo: Any = PlainTextResponse
        self.status = 202
        self.url = ""
        self.lock = threading.Lock()
        self.app = Starlette(routes=[Route("/{name}", self.receive, methods=["POST"])])

    async def receive(self, request: Request) -> Response:
        token = request.query_params.get("validationToken")
        if token is not None:
            assert not await request.body()
            self.handshakes.append(token)
            answer = self.echo(token)
            return await answer if asyncio.iscoroutine(answer) else answer
        body = await request.json()
        with self.lock:
            if self.status == 202:
                self.got += [item | {"at": request.path_params["name"]} for item in body["value"]]
        return Response(status_code=self.status)

    def wait(self, count: int) -> list[Json]:
        wait_until(lambda: len(self.got) >= count)
        with self.lock:
            found, self.got = self.got, []
        assert len(found) == count, found
        return found


@pytest.fixture(scope="module")
def receiving() -> Iterator[Receiver]:
    receiver = Receiver()
    with serving(receiver.app) as url:
        receiver.url = url
        yield receiver


@pytest.fixture
def receiver(receiving: Receiver) -> Receiver:
    """An application's webhook, as new."""
    receiving.got, receiving.handshakes = [], []
    receiving.echo, receiving.status = PlainTextResponse, 202
    return receiving


def wanted(receiver: Receiver, **changes: Any) -> Json:
    body = {
        "changeType": "created,updated,deleted",
        "notificationUrl": f"{receiver.url}/hook?from=graph",
        "lifecycleNotificationUrl": f"{receiver.url}/life",
        "resource": "me/events",
        "expirationDateTime": "2026-11-20T09:00:00Z",
        "clientState": "secret-1",
    }
    return {name: value for name, value in (body | changes).items() if value is not None}


def subscribe(graph: httpx.Client, receiver: Receiver, **changes: Any) -> Json:
    return ok(graph.post("subscriptions", json=wanted(receiver, **changes)), 201)


def test_a_subscription_after_its_handshake(graph: httpx.Client, receiver: Receiver) -> None:
    """Both addresses are asked to echo a token, their own query kept; then the subscription stands."""
    made = subscribe(graph, receiver)
    assert len(receiver.handshakes) == 2
    assert made["clientState"] == "secret-1"
    assert made["expirationDateTime"] == "2026-11-20T09:00:00.0000000Z"
    shown = ok(graph.get(f"subscriptions/{made['id']}"))
    assert shown["clientState"] is None
    assert [row["id"] for row in ok(graph.get("subscriptions"))["value"]] == [made["id"]]


@pytest.mark.parametrize(
    "answer",
    [
        lambda token: PlainTextResponse(token, 202),
        lambda token: PlainTextResponse("ok"),
        JSONResponse,
        lambda token: PlainTextResponse(token.replace(" ", "%20")),
        lambda token: PlainTextResponse(token, 404),
    ],
    ids=["202", "another text", "JSON", "encoded", "404"],
)
def test_a_failed_handshake_makes_no_subscription(
    graph: httpx.Client, receiver: Receiver, answer: Any
) -> None:
    """Anything but 200 with exactly the decoded token as plain text is refused."""
    receiver.echo = answer
    refused(graph.post("subscriptions", json=wanted(receiver)), 400, "ValidationError")
    assert ok(graph.get("subscriptions"))["value"] == []


def test_a_handshake_that_takes_too_long(
    graph: httpx.Client, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Graph waits ten seconds; here a tenth of one."""
    monkeypatch.setattr(subscriptions, "VALIDATION_SECONDS", 0.1)

    async def slow(token: str) -> Response:
        await asyncio.sleep(1)
        return PlainTextResponse(token)

    receiver.echo = slow
    message = refused(graph.post("subscriptions", json=wanted(receiver)), 400, "ValidationError")
    assert "timed out" in message


def test_nobody_at_the_address(graph: httpx.Client, receiver: Receiver) -> None:
    """A refused connection is a failed handshake."""
    body = wanted(receiver, notificationUrl="http://127.0.0.1:9/hook")
    refused(graph.post("subscriptions", json=body), 400, "ValidationError")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"changeType": None}, "InvalidRequest"),
        ({"changeType": "moved"}, "InvalidRequest"),
        ({"resource": "me/messages"}, "InvalidRequest"),
        ({"resource": "users/other@example.net/events"}, "InvalidRequest"),
        ({"resource": "me/calendars/nonsense/events"}, "ErrorInvalidIdMalformed"),
        ({"notificationUrl": "http://app.example/hook"}, "InvalidRequest"),
        ({"notificationUrl": "hook"}, "InvalidRequest"),
        ({"expirationDateTime": "2026-11-18T09:00:00Z"}, "InvalidRequest"),
        ({"expirationDateTime": "2026-11-25T09:00:01Z"}, "InvalidRequest"),
        ({"expirationDateTime": "soon"}, "InvalidRequest"),
        ({"clientState": "x" * 129}, "InvalidRequest"),
        ({"includeResourceData": True}, "InvalidRequest"),
        ({"ttl": 5}, "InvalidRequest"),
    ],
)
def test_requests_that_make_no_subscription(
    graph: httpx.Client, receiver: Receiver, changes: dict[str, Any], code: str
) -> None:
    """Kinds of change, resources, addresses, and a life of seven days at most."""
    refused(graph.post("subscriptions", json=wanted(receiver, **changes)), 400, code)
    assert receiver.handshakes == []


@pytest.mark.parametrize(
    "resource",
    [
        "/me/events",
        "me/calendar/events",
        f"users/{OWNER}/events",
        "Users/{id}/Events",
        "me/calendars/{calendar}/events",
    ],
)
def test_every_way_to_name_the_calendar(graph: httpx.Client, receiver: Receiver, resource: str) -> None:
    """With and without slash, by person and by calendar."""
    named = resource.format(id=ok(graph.get("me"))["id"], calendar=ok(graph.get("me/calendar"))["id"])
    subscribe(graph, receiver, resource=named, lifecycleNotificationUrl=None)
    ok(graph.post("me/events", json=meeting()), 201)
    assert receiver.wait(1)[0]["changeType"] == "created"


def test_changes_are_told(microsoft: Microsoft, graph: httpx.Client, receiver: Receiver) -> None:
    """Created, updated, deleted; with clientState and the id that a GET takes."""
    made = subscribe(graph, receiver)
    event = ok(graph.post("me/events", json=meeting()), 201)
    notice = receiver.wait(1)[0]
    assert (notice["subscriptionId"], notice["clientState"], notice["at"]) == (made["id"], "secret-1", "hook")
    assert notice["subscriptionExpirationDateTime"] == made["expirationDateTime"]
    assert notice["resourceData"]["id"] == event["id"]
    assert notice["resourceData"]["@odata.type"] == "#Microsoft.Graph.Event"
    assert notice["resourceData"]["@odata.etag"] == event["@odata.etag"]
    assert notice["resource"].endswith(event["id"])
    ok(graph.patch(f"me/events/{event['id']}", json={"subject": "x"}))
    ok(graph.delete(f"me/events/{event['id']}"), 204)
    assert sorted(item["changeType"] for item in receiver.wait(2)) == ["deleted", "updated"]


def test_a_series_is_told_as_one_item(graph: httpx.Client, receiver: Receiver) -> None:
    """A change of one occurrence is an update of its master."""
    subscribe(graph, receiver, changeType="updated")
    master = ok(graph.post("me/events", json=meeting("2026-11-16", recurrence=weekly("2026-11-16"))), 201)
    window = {"startDateTime": "2026-11-23T00:00:00Z", "endDateTime": "2026-11-24T00:00:00Z"}
    one = ok(graph.get(f"me/events/{master['id']}/instances", params=window))["value"][0]
    ok(graph.delete(f"me/events/{one['id']}"), 204)
    notice = receiver.wait(1)[0]
    assert (notice["changeType"], notice["resourceData"]["id"]) == ("updated", master["id"])


def test_only_what_was_asked_for_is_told(graph: httpx.Client, receiver: Receiver, project: str) -> None:
    """Other calendars and other kinds of change are not."""
    subscribe(graph, receiver, changeType="deleted", resource=f"me/calendars/{project}/events")
    elsewhere = ok(graph.post("me/events", json=meeting()), 201)["id"]
    here = ok(graph.post(f"me/calendars/{project}/events", json=meeting()), 201)["id"]
    for event in (elsewhere, here):
        ok(graph.delete(f"me/events/{event}"), 204)
    assert [item["resourceData"]["id"] for item in receiver.wait(1)] == [here]


def test_immutable_ids_where_they_were_asked_for(microsoft: Microsoft, receiver: Receiver) -> None:
    """The preference at creation decides about notifications."""
    graph = microsoft.graph(Prefer='IdType="ImmutableId"')
    subscribe(graph, receiver)
    event = ok(graph.post("me/events", json=meeting()), 201)
    assert receiver.wait(1)[0]["resourceData"]["id"] == event["id"]


def test_renewal_extends_and_deletion_ends(
    microsoft: Microsoft, graph: httpx.Client, receiver: Receiver
) -> None:
    """PATCH gives a new end; after DELETE nothing is told."""
    place = f"subscriptions/{subscribe(graph, receiver)['id']}"
    renewed = ok(graph.patch(place, json={"expirationDateTime": "2026-11-25T08:59:00.0000000Z"}))
    assert renewed["expirationDateTime"] == "2026-11-25T08:59:00.0000000Z"
    ok(graph.post(f"{place}/reauthorize"), 204)
    refused(graph.patch(place, json={"expirationDateTime": "2026-12-25T09:00:00Z"}), 400, "InvalidRequest")
    refused(graph.patch(place, json={"changeType": "created"}), 400, "InvalidRequest")
    moved = ok(graph.patch(place, json={"notificationUrl": f"{receiver.url}/other"}))
    assert moved["notificationUrl"].endswith("/other")
    ok(graph.delete(place), 204)
    ok(graph.post("me/events", json=meeting()), 201)
    for answer in (graph.get(place), graph.delete(place), graph.post(f"{place}/reauthorize")):
        refused(answer, 404, "ResourceNotFound")
    assert receiver.got == []


def test_subscriptions_belong_to_their_mailbox(
    microsoft: Microsoft, graph: httpx.Client, receiver: Receiver
) -> None:
    """Nobody else sees or ends them."""
    made = subscribe(graph, receiver)
    scope = "Calendars.ReadWrite"
    other = microsoft.graph(microsoft.tokens(email="other@example.net", scope=scope)["access_token"])
    assert ok(other.get("subscriptions"))["value"] == []
    refused(other.delete(f"subscriptions/{made['id']}"), 404, "ResourceNotFound")


def test_a_subscription_that_ends_soon_asks_for_renewal(
    microsoft: Microsoft, graph: httpx.Client, receiver: Receiver
) -> None:
    """reauthorizationRequired comes to the lifecycle address, once until it is renewed; then the time runs out."""
    made = subscribe(graph, receiver, changeType="deleted", expirationDateTime="2026-11-18T09:20:00Z")
    ok(graph.post("me/events", json=meeting()), 201)
    microsoft.sandbox.clock.advance(minutes=10)
    for _ in range(2):
        ok(graph.post("me/events", json=meeting()), 201)
    notice = receiver.wait(1)[0]
    assert (notice["lifecycleEvent"], notice["at"]) == ("reauthorizationRequired", "life")
    assert (notice["subscriptionId"], notice["clientState"]) == (made["id"], "secret-1")
    assert "resourceData" not in notice
    microsoft.sandbox.clock.advance(minutes=10)
    refused(graph.get(f"subscriptions/{made['id']}"), 404, "ResourceNotFound")


def test_withdrawn_access_removes_subscriptions(
    microsoft: Microsoft, graph: httpx.Client, receiver: Receiver
) -> None:
    """subscriptionRemoved is the last that is heard of them."""
    subscribe(graph, receiver)
    loop = in_the_loop(microsoft)
    loop(lambda: microsoft.stand_in.remove_access(OWNER))
    assert receiver.wait(1)[0]["lifecycleEvent"] == "subscriptionRemoved"
    again = microsoft.graph()
    assert ok(again.get("subscriptions"))["value"] == []


def test_lifecycle_notices_can_be_brought_about(
    microsoft: Microsoft, graph: httpx.Client, receiver: Receiver
) -> None:
    """By kind; an unknown kind is a mistake of the caller."""
    subscribe(graph, receiver)
    loop = in_the_loop(microsoft)
    loop(lambda: microsoft.stand_in.send_notice("missed"))
    assert receiver.wait(1)[0]["lifecycleEvent"] == "missed"
    with pytest.raises(ValueError, match="Not a lifecycle event"):
        microsoft.stand_in.send_notice("lost")


def test_what_could_not_be_delivered_is_told_as_missed(server: SharedServer, receiver: Receiver) -> None:
    """Delivery is tried again after errors; given up, a missed notice follows the next that arrives."""
    with running_microsoft(server, push_retry_after=(0.01,)) as microsoft:
        graph = microsoft.graph()
        subscribe(graph, receiver)
        receiver.status = 503
        ok(graph.post("me/events", json=meeting()), 201)
        wait_until(lambda: microsoft.stand_in.subscriptions._missed)
        receiver.status = 202
        ok(graph.post("me/events", json=meeting()), 201)
        found = receiver.wait(2)
        assert found[0]["changeType"] == "created"
        assert found[1]["lifecycleEvent"] == "missed"


def test_expired_subscriptions_are_silent(
    microsoft: Microsoft, graph: httpx.Client, receiver: Receiver
) -> None:
    """expire_channels ends them as time would."""
    subscribe(graph, receiver)
    microsoft.stand_in.expire_channels(OWNER)
    ok(graph.post("me/events", json=meeting()), 201)
    assert ok(graph.get("subscriptions"))["value"] == []
    assert receiver.got == []


def in_the_loop(microsoft: Microsoft) -> Any:
    """Runs a call where the sandbox runs, as its page does."""
    app = microsoft.sandbox.app

    def run(call: Any) -> None:
        async def inside(_request: Request) -> Response:
            call()
            return Response()

        app.router.routes.insert(0, Route("/run", inside, methods=["POST"]))
        assert microsoft.sandbox.client.post("/run").status_code == 200
        app.router.routes.pop(0)

    return run


def test_a_second_subscription_is_refused_where_microsoft_says_so(
    microsoft: Microsoft, graph: httpx.Client, receiver: Receiver
) -> None:
    """409 names the one that stands; other kinds of changes, and the calendar once it is free, are taken."""
    microsoft.stand_in.rules.switch("one_subscription", on=True)
    first = subscribe(graph, receiver)
    message = refused(graph.post("subscriptions", json=wanted(receiver)), 409, "Conflict")
    assert message == f"Subscription Id {first['id']} already exists for the requested combination"
    subscribe(graph, receiver, changeType="created")
    ok(graph.delete(f"subscriptions/{first['id']}"), 204)
    subscribe(graph, receiver)


def test_notifications_pause_when_the_access_token_ends(
    microsoft: Microsoft, graph: httpx.Client, receiver: Receiver
) -> None:
    """A challenge comes before the token ends; after it nothing is told until /reauthorize, and nothing made up for."""
    microsoft.stand_in.rules.switch("pauses", on=True)
    made = subscribe(graph, receiver)
    microsoft.sandbox.clock.advance(minutes=50)
    graph = microsoft.graph()
    ok(graph.post("me/events", json=meeting()), 201)
    kinds = {item.get("lifecycleEvent", item.get("changeType")) for item in receiver.wait(2)}
    assert kinds == {"reauthorizationRequired", "created"}
    microsoft.sandbox.clock.advance(minutes=20)
    graph = microsoft.graph()
    ok(graph.post("me/events", json=meeting()), 201)
    assert graph.post(f"subscriptions/{made['id']}/reauthorize").status_code == 204
    ok(graph.post("me/events", json=meeting(subject="heard")), 201)
    (heard,) = receiver.wait(1)
    assert heard["changeType"] == "created"
