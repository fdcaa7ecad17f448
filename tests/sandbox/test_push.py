"""Push channels of the stand-in for Google: watch, delivery, expiry, stop."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from calendar_app.sandbox.delivery import Reply
from tests.sandbox.server import OWNER, Sandbox, SharedServer, running_sandbox, wait_until
from tests.sandbox.test_events import EVENTS, reason, timed

WATCH = f"{EVENTS}/watch"


class Receiver:
    """A webhook on loopback; ``answers`` are the statuses of the next calls, then 200."""

    def __init__(self) -> None:
        self.calls: list[dict[str, str]] = []
        self.bodies: list[bytes] = []
        self.answers: list[int] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver.bodies.append(self.rfile.read(int(self.headers.get("content-length", 0))))
                receiver.calls.append({name.lower(): value for name, value in self.headers.items()})
                self.send_response(receiver.answers.pop(0) if receiver.answers else 200)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}/hook"

    def states(self) -> list[tuple[str, int]]:
        numbered = [
            (call["x-goog-resource-state"], int(call["x-goog-message-number"])) for call in self.calls
        ]
        return sorted(numbered, key=lambda call: call[1])

    def expect(self, count: int) -> None:
        wait_until(lambda: len(self.calls) >= count)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


@pytest.fixture
def sandbox(server: SharedServer) -> Iterator[Sandbox]:
    """As elsewhere, but retries come at once."""
    with running_sandbox(server=server, push_retry_after=(0.0, 0.0, 0.0)) as running:
        yield running


def channel(receiver: Receiver, **more: Any) -> dict[str, Any]:
    return {"id": "channel-1", "type": "web_hook", "address": receiver.address, "token": "my=token", **more}


def test_watch_announces_itself_and_every_change(
    sandbox: Sandbox, api: httpx.Client, receiver: Receiver
) -> None:
    """`sync` first, then `exists` per change with growing numbers, all facts in headers, no body."""
    answer = api.post(WATCH, json=channel(receiver)).json()
    assert answer["kind"] == "api#channel"
    assert int(answer["expiration"]) == int(sandbox.clock.now.timestamp() + 7 * 86_400) * 1000
    receiver.expect(1)
    event = api.post(EVENTS, json=timed()).json()
    api.patch(f"{EVENTS}/{event['id']}", json={"summary": "Other"})
    api.delete(f"{EVENTS}/{event['id']}")
    receiver.expect(4)
    assert receiver.states() == [("sync", 1), ("exists", 2), ("exists", 3), ("exists", 4)]
    headers = receiver.calls[-1]
    assert headers["x-goog-channel-id"] == "channel-1"
    assert headers["x-goog-channel-token"] == "my=token"
    assert headers["x-goog-channel-expiration"] == "Wed, 25 Nov 2026 09:00:00 GMT"
    assert headers["x-goog-resource-id"] == answer["resourceId"]
    assert headers["x-goog-resource-uri"] == answer["resourceUri"]
    assert answer["resourceUri"] == f"{sandbox.api_url}/{EVENTS}?alt=json"
    assert set(receiver.bodies) == {b""}


def test_outside_changes_are_pushed_too(sandbox: Sandbox, api: httpx.Client, receiver: Receiver) -> None:
    """The control interface and the page act like a person in Google Calendar; a bulk change is one message."""
    api.post(WATCH, json=channel(receiver))
    sandbox.client.post(f"/sandbox/api/calendars/{OWNER}/generate", json={"count": 50})
    receiver.expect(2)
    form = {"calendar": OWNER, "title": "By hand", "start": "2026-11-20T09:00", "end": "2026-11-20T10:00"}
    sandbox.client.post("/sandbox/actions/add-event", data=form)
    receiver.expect(3)
    assert receiver.states() == [("sync", 1), ("exists", 2), ("exists", 3)]


def test_other_calendars_do_not_disturb(api: httpx.Client, receiver: Receiver) -> None:
    """A channel hears of its own calendar only; the list of calendars has channels of its own."""
    api.post(WATCH, json=channel(receiver))
    api.post("users/me/calendarList/watch", json=channel(receiver, id="list-1"))
    receiver.expect(2)
    made = api.post("calendars", json={"summary": "Other"}).json()["id"]
    receiver.expect(3)
    api.post(f"calendars/{made}/events", json=timed())
    api.post(EVENTS, json=timed())
    receiver.expect(4)
    ids = [(call["x-goog-channel-id"], call["x-goog-resource-state"]) for call in receiver.calls]
    assert sorted(ids) == [
        ("channel-1", "exists"),
        ("channel-1", "sync"),
        ("list-1", "exists"),
        ("list-1", "sync"),
    ]


def test_server_errors_are_tried_again(api: httpx.Client, receiver: Receiver) -> None:
    """503 is repeated with the same number until it is taken; 4xx is not."""
    receiver.answers = [503, 500, 200, 404]
    api.post(WATCH, json=channel(receiver))
    receiver.expect(3)
    api.post(EVENTS, json=timed())
    receiver.expect(4)
    api.post(EVENTS, json=timed())
    receiver.expect(5)
    assert receiver.states() == [("sync", 1), ("sync", 1), ("sync", 1), ("exists", 2), ("exists", 3)]


def test_unreachable_receiver_does_not_hold_up_writes(api: httpx.Client, receiver: Receiver) -> None:
    """A dead address is given up quietly; the live channel hears everything."""
    api.post(WATCH, json=channel(receiver, id="dead", address="http://127.0.0.1:9/hook"))
    api.post(WATCH, json=channel(receiver))
    assert api.post(EVENTS, json=timed()).status_code == 200
    receiver.expect(2)
    assert receiver.states() == [("sync", 1), ("exists", 2)]


def test_stop_ends_a_channel(api: httpx.Client, receiver: Receiver) -> None:
    """204, then silence and 404; the id may be used again."""
    answer = api.post(WATCH, json=channel(receiver)).json()
    receiver.expect(1)
    stop = {"id": "channel-1", "resourceId": answer["resourceId"]}
    assert reason(api.post("channels/stop", json=stop | {"resourceId": "other"})) == (404, "notFound")
    assert api.post("channels/stop", json=stop).status_code == 204
    assert reason(api.post("channels/stop", json=stop)) == (404, "notFound")
    api.post(EVENTS, json=timed())
    api.post(WATCH, json=channel(receiver))
    receiver.expect(2)
    assert receiver.states() == [("sync", 1), ("sync", 1)]


def test_channels_expire(sandbox: Sandbox, api: httpx.Client, receiver: Receiver) -> None:
    """At its expiration a channel falls silent."""
    answer = api.post(WATCH, json=channel(receiver, params={"ttl": "60"})).json()
    assert int(answer["expiration"]) == int(sandbox.clock.now.timestamp() + 60) * 1000
    receiver.expect(1)
    sandbox.clock.advance(seconds=61)
    api.post(EVENTS, json=timed())
    api.post(WATCH, json=channel(receiver))
    receiver.expect(2)
    assert receiver.states() == [("sync", 1), ("sync", 1)]


def test_life_is_bounded(sandbox: Sandbox, api: httpx.Client, receiver: Receiver) -> None:
    """A wished expiration is kept where it is not too far away."""
    soon = str(int(sandbox.clock.now.timestamp() + 3600) * 1000)
    assert api.post(WATCH, json=channel(receiver, expiration=soon)).json()["expiration"] == soon
    far = api.post(WATCH, json=channel(receiver, id="far", params={"ttl": "99999999"})).json()["expiration"]
    assert int(far) == int(sandbox.clock.now.timestamp() + 30 * 86_400) * 1000


def test_removing_access_closes_channels(sandbox: Sandbox, api: httpx.Client, receiver: Receiver) -> None:
    """After "Remove access" nothing is delivered any more."""
    api.post(WATCH, json=channel(receiver))
    receiver.expect(1)
    sandbox.client.post("/sandbox/actions/remove-access", data={"account": OWNER})
    sandbox.client.post(f"/sandbox/api/calendars/{OWNER}/events", json=timed())
    accounts = sandbox.client.get("/sandbox/api/accounts").json()["items"]
    assert [(account["channels"], account["scopes"]) for account in accounts] == [([], [])]
    assert receiver.states() == [("sync", 1)]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"type": "pigeon"}, "invalid"),
        ({"id": ""}, "required"),
        ({"id": "x" * 65}, "invalid"),
        ({"address": None}, "required"),
        ({"address": "http://example.com/hook"}, "push.webhookUrlNotHttps"),
        ({"address": "http://127.0.0.1.example.com/hook"}, "push.webhookUrlNotHttps"),
        ({"address": "ftp://127.0.0.1/hook"}, "push.webhookUrlNotHttps"),
        ({"expiration": "1000"}, "invalid"),
        ({"expiration": "soon"}, "invalid"),
        ({"params": {"ttl": "-5"}}, "invalid"),
    ],
)
def test_bad_channels_are_refused(
    raw_api: httpx.Client, receiver: Receiver, change: dict[str, Any], expected: str
) -> None:
    """400 with a reason; plain http goes to loopback only."""
    assert reason(raw_api.post(WATCH, json=channel(receiver) | change)) == (400, expected)


def test_channel_id_is_unique(api: httpx.Client, receiver: Receiver) -> None:
    """The same id twice is refused while the first lives."""
    api.post(WATCH, json=channel(receiver))
    assert reason(api.post(WATCH, json=channel(receiver))) == (400, "channelIdNotUnique")


def test_delivery_can_be_injected(server: SharedServer) -> None:
    """A test may take notifications without a socket."""
    taken: list[tuple[str, str]] = []

    async def deliver(address: str, headers: Mapping[str, str], _content: bytes) -> Reply:
        taken.append((address, headers["X-Goog-Resource-State"]))
        return Reply(200)

    with running_sandbox(server=server, deliver=deliver) as sandbox:
        body = {"id": "c", "type": "web_hook", "address": "https://app.example/hook"}
        assert (
            sandbox.api(sandbox.sign_in()).post(WATCH, content=json.dumps(body), headers=_JSON).status_code
            == 200
        )
        wait_until(lambda: taken == [("https://app.example/hook", "sync")])


_JSON = {"content-type": "application/json"}
