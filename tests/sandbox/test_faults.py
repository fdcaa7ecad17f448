"""Fault switches: what each kind does to a call, whom it meets and how often, over real HTTP."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest

from tests.sandbox.server import OWNER, Sandbox, wait_until
from tests.sandbox.test_events import EVENTS, timed
from tests.sandbox.test_push import Receiver, channel, receiver

__all__ = ["receiver"]
FAULTS = "/sandbox/api/faults"


def on(sandbox: Sandbox, kind: str, **fields: Any) -> dict[str, Any]:
    answer = sandbox.client.post(FAULTS, json={"provider": "google", "kind": kind} | fields)
    assert answer.status_code == 201, answer.text
    fault: dict[str, Any] = answer.json()
    return fault


def state(sandbox: Sandbox, fault: dict[str, Any]) -> dict[str, Any]:
    items = sandbox.client.get(FAULTS).json()["items"]
    return next(item for item in items if item["id"] == fault["id"])


@pytest.mark.parametrize(
    ("kind", "status", "reason"),
    [
        ("unauthorized", 401, "authError"),
        ("revoked", 401, "authError"),
        ("rate_forbidden", 403, "rateLimitExceeded"),
        ("forbidden", 403, "forbidden"),
        ("not_found", 404, "notFound"),
        ("conflict", 409, "duplicate"),
        ("gone", 410, "deleted"),
        ("precondition", 412, "conditionNotMet"),
        ("throttled", 429, "rateLimitExceeded"),
        ("error", 500, "backendError"),
        ("bad_gateway", 502, "backendError"),
        ("unavailable", 503, "backendError"),
        ("full", 403, "quotaExceeded"),
    ],
)
def test_errors_have_googles_shape(
    sandbox: Sandbox, raw_api: httpx.Client, kind: str, status: int, reason: str
) -> None:
    """One call meets it, the next does not."""
    on(sandbox, kind, operation="create")
    answer = raw_api.post(EVENTS, json=timed())
    assert answer.status_code == status
    assert answer.json()["error"]["errors"][0]["reason"] == reason
    assert answer.json()["error"]["code"] == status
    assert raw_api.post(EVENTS, json=timed()).status_code == 200


@pytest.mark.parametrize(
    ("provider", "path", "look"),
    [
        ("microsoft", "v1.0/me/events", lambda body: body["error"]["code"]),
        ("calendly", "scheduled_events", lambda body: body["title"]),
    ],
)
def test_other_providers_answer_in_their_own_words(
    sandbox: Sandbox, provider: str, path: str, look: Any
) -> None:
    """The middleware stands before every stand-in, whoever it is."""
    on(sandbox, "throttled", provider=provider, operation="list", retry_after="7")
    answer = sandbox.client.get(f"/sandbox/{provider}/{path}")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
    assert look(answer.json())


def test_caldav_answers_in_xml(sandbox: Sandbox) -> None:
    """An unknown sync token is the precondition of RFC 6578."""
    on(sandbox, "gone", provider="caldav", operation="list")
    body = '<sync-collection xmlns="DAV:"><sync-token>old</sync-token></sync-collection>'
    answer = sandbox.client.request("REPORT", "/sandbox/caldav/owner/calendar/", content=body)
    assert answer.status_code == 403
    assert "valid-sync-token" in answer.text


def test_retry_after_in_seconds_as_a_date_or_not_at_all(sandbox: Sandbox, raw_api: httpx.Client) -> None:
    """RFC 9110 §10.2.3 knows both forms."""
    for given in ("7", "date:7", ""):
        on(sandbox, "throttled", retry_after=given)
        header = raw_api.get(EVENTS).headers.get("retry-after", "")
        if given.startswith("date"):
            left = (parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds()
            assert 5 < left <= 7
        else:
            assert header == given


def test_revoked_grants_end_at_the_token_endpoint(sandbox: Sandbox) -> None:
    """`invalid_grant` until it is switched off."""
    refresh = sandbox.tokens()["refresh_token"]
    fault = on(sandbox, "revoked", operation="token", times=None)
    for _ in range(2):
        answer = sandbox.token(grant_type="refresh_token", refresh_token=refresh)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert state(sandbox, fault)["hits"] == 2
    assert sandbox.client.delete(f"{FAULTS}/{fault['id']}").status_code == 204
    assert sandbox.token(grant_type="refresh_token", refresh_token=refresh).status_code == 200


def test_an_error_after_the_write_took_effect(sandbox: Sandbox, raw_api: httpx.Client) -> None:
    """The event stands although the answer says otherwise."""
    on(sandbox, "unavailable", operation="create", after=True)
    assert raw_api.post(EVENTS, json=timed(id="lost000001")).status_code == 503
    assert raw_api.get(f"{EVENTS}/lost000001").json()["status"] == "confirmed"


@pytest.mark.parametrize("after", [False, True])
def test_a_call_that_hangs(sandbox: Sandbox, raw_api: httpx.Client, after: bool) -> None:
    """No answer before the client gives up; the write took effect, or did not."""
    on(sandbox, "hang", operation="create", after=after)
    with pytest.raises(httpx.ReadTimeout):
        raw_api.post(EVENTS, json=timed(id="hangs00001"), timeout=0.2)
    assert raw_api.get(f"{EVENTS}/hangs00001").status_code == (200 if after else 404)


@pytest.mark.parametrize("after", [False, True])
def test_a_call_that_is_held_goes_on(sandbox: Sandbox, raw_api: httpx.Client, after: bool) -> None:
    """It waits before or after it took effect, is seen waiting, and ends well when it is let go."""
    fault = on(sandbox, "hold", operation="create", after=after)
    answers: list[httpx.Response] = []
    caller = threading.Thread(
        target=lambda: answers.append(raw_api.post(EVENTS, json=timed(id="held000001")))
    )
    caller.start()
    wait_until(lambda: state(sandbox, fault)["waiting"] == 1)
    found = sandbox.client.get(f"/sandbox/api/calendars/{OWNER}/events").json()["items"]
    assert ("held000001" in [item["id"] for item in found]) is after
    sandbox.client.delete(FAULTS)
    caller.join(10)
    assert [answer.status_code for answer in answers] == [200]


def test_an_answer_that_breaks_off(sandbox: Sandbox, raw_api: httpx.Client) -> None:
    """The promised length never comes."""
    on(sandbox, "cut", operation="list")
    with pytest.raises(httpx.RemoteProtocolError):
        raw_api.get(EVENTS)
    assert raw_api.get(EVENTS).status_code == 200


def test_an_answer_that_is_not_json(sandbox: Sandbox, raw_api: httpx.Client) -> None:
    """A complete answer of the right type that nobody can read."""
    on(sandbox, "malformed", operation="list")
    answer = raw_api.get(EVENTS)
    assert answer.status_code == 200
    with pytest.raises(ValueError, match=r"Expecting|Unterminated|Invalid|delimiter"):
        answer.json()


def test_an_answer_in_drips(sandbox: Sandbox, raw_api: httpx.Client) -> None:
    """Whole and right, only slow."""
    on(sandbox, "drip", operation="list", seconds=0.5)
    begun = time.monotonic()
    assert raw_api.get(EVENTS).json()["kind"] == "calendar#events"
    assert time.monotonic() - begun > 0.4


def test_one_page_of_a_listing_fails(sandbox: Sandbox, raw_api: httpx.Client) -> None:
    """Pages are counted from the first, which has no page token."""
    on(sandbox, "error", page=2, times=4)
    for _ in range(2):
        first = raw_api.get(EVENTS, params={"maxResults": "2"})
        assert first.status_code == 200
        following = {"maxResults": "2", "pageToken": first.json()["nextPageToken"]}
        assert raw_api.get(EVENTS, params=following).status_code == 500
        assert raw_api.get(EVENTS, params=following).status_code == 500, "another try of the same page"
    assert raw_api.get(EVENTS, params=following).status_code == 200


def test_only_sync_tokens_are_gone(sandbox: Sandbox, raw_api: httpx.Client) -> None:
    """A full listing never answers 410."""
    token = raw_api.get(EVENTS).json()["nextSyncToken"]
    on(sandbox, "gone", operation="list")
    assert raw_api.get(EVENTS).status_code == 200
    answer = raw_api.get(EVENTS, params={"syncToken": token})
    assert answer.json()["error"]["errors"][0]["reason"] == "fullSyncRequired"


def test_one_account_of_two_is_met(sandbox: Sandbox, raw_api: httpx.Client) -> None:
    """By the token in the request."""
    other = sandbox.api(sandbox.sign_in("other@example.com"), checked=False)
    on(sandbox, "forbidden", account="Other@example.com", times=None)
    assert raw_api.get("users/me/calendarList").status_code == 200
    assert other.get("users/me/calendarList").status_code == 403


def test_a_share_of_calls_is_met(sandbox: Sandbox, raw_api: httpx.Client) -> None:
    """Some of many, with a probability of a half."""
    fault = on(sandbox, "error", operation="calendars", times=None, probability=0.5)
    statuses = [raw_api.get("users/me/calendarList").status_code for _ in range(60)]
    assert set(statuses) == {200, 500}
    assert state(sandbox, fault)["hits"] == statuses.count(500)


@pytest.mark.parametrize(
    ("kind", "arrives"),
    [("push_lost", [1, 3]), ("push_duplicate", [1, 2, 2, 3]), ("push_reordered", [1, 3, 2])],
)
def test_push_lost_twice_and_overtaken(
    sandbox: Sandbox, raw_api: httpx.Client, receiver: Receiver, kind: str, arrives: list[int]
) -> None:
    """The second message of a channel is disturbed; numbers tell."""
    raw_api.post(f"{EVENTS}/watch", json=channel(receiver))
    receiver.expect(1)
    fault = on(sandbox, kind)
    raw_api.post(EVENTS, json=timed())
    wait_until(lambda: state(sandbox, fault)["hits"] == 1)
    if kind == "push_duplicate":
        receiver.expect(3)
    raw_api.post(EVENTS, json=timed())
    receiver.expect(len(arrives))
    assert [int(call["x-goog-message-number"]) for call in receiver.calls] == arrives


def test_push_comes_late(sandbox: Sandbox, raw_api: httpx.Client, receiver: Receiver) -> None:
    """After its time, or when the fault is switched off."""
    raw_api.post(f"{EVENTS}/watch", json=channel(receiver))
    receiver.expect(1)
    fault = on(sandbox, "push_late", seconds=60)
    raw_api.post(EVENTS, json=timed())
    wait_until(lambda: state(sandbox, fault)["waiting"] == 1)
    assert len(receiver.calls) == 1
    sandbox.client.delete(FAULTS)
    receiver.expect(2)


def test_tokens_and_channels_expire_on_demand(
    sandbox: Sandbox, raw_api: httpx.Client, receiver: Receiver
) -> None:
    """Channels end silently; access tokens answer 401; sync tokens 410."""
    raw_api.post(f"{EVENTS}/watch", json=channel(receiver))
    receiver.expect(1)
    token = raw_api.get(EVENTS).json()["nextSyncToken"]
    for what in ("channels", "sync"):
        assert sandbox.client.post("/sandbox/api/google/expire", json={"what": what}).status_code == 204
    raw_api.post(EVENTS, json=timed())
    assert raw_api.get(EVENTS, params={"syncToken": token}).status_code == 410
    assert sandbox.client.get("/sandbox/api/google/accounts").json()["items"][0]["channels"] == 0
    sandbox.client.post("/sandbox/api/google/expire", json={"what": "tokens", "account": OWNER})
    assert raw_api.get(EVENTS).status_code == 401
    assert len(receiver.calls) == 1


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"provider": "google"},
        {"provider": "yahoo", "kind": "error"},
        {"provider": "google", "kind": "boredom"},
        {"provider": "google", "kind": "error", "operation": "dance"},
        {"provider": "google", "kind": "error", "times": 0},
        {"provider": "google", "kind": "error", "times": "many"},
        {"provider": "google", "kind": "error", "probability": 2},
        {"provider": "google", "kind": "error", "after": "yes"},
        {"provider": "google", "kind": "error", "retry_after": "soon"},
        {"provider": "google", "kind": "error", "colour": "red"},
    ],
)
def test_nonsense_is_refused(sandbox: Sandbox, body: dict[str, Any]) -> None:
    """400 and a sentence; nothing is switched on."""
    answer = sandbox.client.post(FAULTS, json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]
    assert sandbox.client.get(FAULTS).json()["items"] == []
    assert sandbox.client.delete(f"{FAULTS}/77").status_code == 404


def test_every_provider_can_be_changed_alike(sandbox: Sandbox) -> None:
    """Add, rename, move and delete through the same requests."""
    url = f"/sandbox/api/google/calendars/{OWNER}/events"
    times = {"start": "2026-11-20T09:00:00+01:00", "end": "2026-11-20T09:30:00+01:00"}
    event = sandbox.client.post(url, json={"title": "Alike"} | times).json()["id"]
    moved = {"title": "Alike still", "start": "2026-11-20T10:00:00+01:00"}
    assert sandbox.client.patch(f"{url}/{event}", json=moved).status_code == 204
    calendars = sandbox.client.get("/sandbox/api/google/accounts").json()["items"][0]["calendars"]
    held = next(item for item in calendars[0]["events"] if item["id"] == event)
    assert (held["title"], held["end"]) == ("Alike still", "2026-11-20T10:30:00+01:00")
    assert sandbox.client.delete(f"{url}/{event}").status_code == 204
    assert sandbox.client.delete(f"{url}/nothing0").status_code == 404
    assert sandbox.client.post(url, json={"title": "x", "start": "soon"}).status_code == 400
    assert sandbox.client.get("/sandbox/api/yahoo/accounts").status_code == 404


@pytest.fixture
def page(sandbox: Sandbox) -> httpx.Client:
    sandbox.client.follow_redirects = True
    return sandbox.client


def test_operators_switch_faults_by_form(page: httpx.Client, sandbox: Sandbox) -> None:
    """On, seen with its count, off; nonsense is said in words."""
    form = {"provider": "google", "kind": "throttled", "operation": "list", "retry_after": "7", "times": "2"}
    shown = page.post("/sandbox/actions/fault", data=form | {"often": "once"}).text
    assert "Fault switched on." in shown
    assert "429: too many requests, Retry-After 7" in shown
    assert "0 of 2" in shown
    (fault,) = page.get(FAULTS).json()["items"]
    assert (fault["times"], fault["operation"], fault["after"]) == (2, "list", False)
    assert "No fault is on." in page.post("/sandbox/actions/fault-off", data={"provider": "google"}).text
    assert "are numbers" in page.post("/sandbox/actions/fault", data=form | {"times": "x"}).text
    assert (
        "Expired." in page.post("/sandbox/actions/expire", data={"provider": "google", "what": "sync"}).text
    )
