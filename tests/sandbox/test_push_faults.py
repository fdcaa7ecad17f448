"""Notifications of Microsoft and Calendly under push faults, and what operators let them say, over real HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from calendar_app.sandbox.calendly.stand_in import OWNER as CALENDLY_OWNER
from tests.sandbox.calendly_server import Receiver as Unused
from tests.sandbox.calendly_server import RunningCalendly
from tests.sandbox.microsoft.client import Microsoft
from tests.sandbox.microsoft.client import ok as graph_ok
from tests.sandbox.server import OWNER, Sandbox, SharedServer, running_sandbox, serving, wait_until

FAULTS = "/sandbox/api/faults"


class Hook:
    """An application's webhook: what came, in order."""

    def __init__(self) -> None:
        self.url = ""
        self.got: list[Any] = []
        self.lock = threading.Lock()
        self.app = Starlette(routes=[Route("/{name}", self.receive, methods=["POST"])])

    async def receive(self, request: Request) -> Response:
        token = request.query_params.get("validationToken")
        if token is not None:
            return PlainTextResponse(token)
        with self.lock:
            self.got.append(json.loads(await request.body()))
        return Response(status_code=202)

    def expect(self, count: int) -> list[Any]:
        wait_until(lambda: len(self.got) >= count)
        with self.lock:
            return list(self.got)


@pytest.fixture(scope="module")
def hook() -> Iterator[Hook]:
    made = Hook()
    with serving(made.app) as url:
        made.url = url
        yield made


@pytest.fixture
def sandbox(server: SharedServer, hook: Hook) -> Iterator[Sandbox]:
    hook.got = []
    with running_sandbox(server=server, push_retry_after=(0.0,)) as running:
        yield running


def microsoft(sandbox: Sandbox, hook: Hook) -> Callable[[Any], str]:
    """Subscribes the owner's calendar; tells which event a notification is about."""
    body = {
        "changeType": "created",
        "notificationUrl": f"{hook.url}/hook",
        "lifecycleNotificationUrl": f"{hook.url}/life",
        "resource": "me/events",
        "expirationDateTime": "2026-11-20T09:00:00Z",
        "clientState": "secret",
    }
    graph_ok(Microsoft(sandbox, None).graph().post("subscriptions", json=body), 201)
    return lambda body: str(body["value"][0]["resourceData"]["id"])


def calendly(sandbox: Sandbox, hook: Hook) -> Callable[[Any], str]:
    stand_in = sandbox.app.state.stand_ins["calendly"]
    server = sandbox.closing  # not used by what is called here
    running = RunningCalendly(
        sandbox.url,
        sandbox.clock,
        stand_in,
        Unused(),
        sandbox.client,
        sandbox.closing,
        server,  # type: ignore[arg-type]
    )
    api = running.api(running.tokens()["access_token"], checked=False)
    person = api.get("users/me").json()["resource"]
    body = {
        "url": f"{hook.url}/hook",
        "events": ["invitee.created"],
        "organization": person["current_organization"],
        "user": person["uri"],
        "scope": "user",
        "signing_key": "secret",
    }
    assert api.post("webhook_subscriptions", json=body).status_code == 201
    return lambda body: str(body["payload"]["event"]).rpartition("/")[2]


PROVIDERS = {"microsoft": (microsoft, OWNER), "calendly": (calendly, CALENDLY_OWNER)}


def on(sandbox: Sandbox, provider: str, kind: str, **fields: Any) -> str:
    answer = sandbox.client.post(FAULTS, json={"provider": provider, "kind": kind} | fields)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def state(sandbox: Sandbox, fault: str) -> dict[str, Any]:
    items = sandbox.client.get(FAULTS).json()["items"]
    found: dict[str, Any] = next(item for item in items if item["id"] == fault)
    return found


def add(sandbox: Sandbox, provider: str, owner: str, number: int) -> str:
    """An outside event in the owner's first calendar; its id."""
    accounts = sandbox.client.get(f"/sandbox/api/{provider}/accounts").json()["items"]
    calendar = next(item for item in accounts if item["email"] == owner)["calendars"][0]["id"]
    start = sandbox.clock.now + timedelta(days=number)
    body = {"title": "Seen", "start": start.isoformat(), "end": (start + timedelta(hours=1)).isoformat()}
    answer = sandbox.client.post(f"/sandbox/api/{provider}/calendars/{calendar}/events", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    ("kind", "arrives"),
    [("push_lost", [1]), ("push_duplicate", [0, 0, 1]), ("push_reordered", [1, 0])],
)
def test_push_lost_twice_and_overtaken(
    sandbox: Sandbox, hook: Hook, provider: str, kind: str, arrives: list[int]
) -> None:
    """The first of two notifications is disturbed; the second arrives as it should."""
    subscribe, owner = PROVIDERS[provider]
    about = subscribe(sandbox, hook)
    fault = on(sandbox, provider, kind)
    events = [add(sandbox, provider, owner, 1)]
    wait_until(lambda: state(sandbox, fault)["hits"] == 1)
    if kind == "push_duplicate":
        hook.expect(2)
    events.append(add(sandbox, provider, owner, 2))
    assert [events.index(about(body)) for body in hook.expect(len(arrives))] == arrives


@pytest.mark.parametrize("provider", PROVIDERS)
def test_push_comes_late(sandbox: Sandbox, hook: Hook, provider: str) -> None:
    """After its time, or when the fault is switched off."""
    subscribe, owner = PROVIDERS[provider]
    about = subscribe(sandbox, hook)
    fault = on(sandbox, provider, "push_late", seconds=60)
    event = add(sandbox, provider, owner, 1)
    wait_until(lambda: state(sandbox, fault)["waiting"] == 1)
    assert hook.got == []
    sandbox.client.delete(FAULTS)
    assert [about(body) for body in hook.expect(1)] == [event]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_channels_end_silently(sandbox: Sandbox, hook: Hook, provider: str) -> None:
    """As if their time had come; nothing is told and nothing comes any more."""
    subscribe, owner = PROVIDERS[provider]
    subscribe(sandbox, hook)
    answer = sandbox.client.post(
        f"/sandbox/api/{provider}/expire", json={"what": "channels", "account": owner}
    )
    assert answer.status_code == 204
    add(sandbox, provider, owner, 1)
    accounts = sandbox.client.get(f"/sandbox/api/{provider}/accounts").json()["items"]
    assert {item["channels"] for item in accounts} == {0}
    assert hook.got == []


@pytest.mark.parametrize("kind", ["reauthorizationRequired", "missed", "subscriptionRemoved"])
def test_notices_by_request_and_by_button(sandbox: Sandbox, hook: Hook, kind: str) -> None:
    """Each of Graph's lifecycle notices goes to every open subscription, or one account's; the last one ends it."""
    url = "/sandbox/api/microsoft/notice"
    assert sandbox.client.post(url, json={"kind": kind}).json() == {"sent": 0}
    microsoft(sandbox, hook)
    assert sandbox.client.post(url, json={"kind": kind, "account": "other@example.com"}).json() == {"sent": 0}
    sandbox.client.follow_redirects = True
    form = {"provider": "microsoft", "what": kind, "place": "faults"}
    assert "Notice sent" in sandbox.client.post("/sandbox/actions/notice", data=form).text
    ((notice,),) = (body["value"] for body in hook.expect(1))
    assert notice["lifecycleEvent"] == kind
    still = sandbox.client.post(url, json={"kind": kind}).json()["sent"]
    assert still == (0 if kind == "subscriptionRemoved" else 1)
    hook.expect(1 + still)
    if not still:
        assert "no push channel is open" in sandbox.client.post("/sandbox/actions/notice", data=form).text


def test_notices_that_nobody_sends(sandbox: Sandbox) -> None:
    """400 and a sentence, by request and by form."""
    assert sandbox.client.post("/sandbox/api/microsoft/notice", json={"kind": "lost"}).status_code == 400
    answer = sandbox.client.post("/sandbox/api/google/notice", json={"kind": "missed"})
    assert (answer.status_code, "no notices" in answer.json()["error"]) == (400, True)
    form = {"provider": "google", "what": "missed"}
    assert sandbox.client.post("/sandbox/actions/notice", data=form).status_code == 400
    assert sandbox.client.post("/sandbox/api/yahoo/notice", json={"kind": "missed"}).status_code == 404
