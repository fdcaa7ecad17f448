"""The stand-in for Calendly: OAuth with single-use refresh tokens, the API by its contract, webhooks, the page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from calendar_app.providers.base import PushRequest
from calendar_app.providers.calendly.push import read_push
from calendar_app.sandbox.calendly.bookings import API
from calendar_app.sandbox.calendly.stand_in import OWNER
from calendar_app.sandbox.environment import CALENDLY_CLIENT_ID, CALENDLY_CLIENT_SECRET
from calendar_app.settings import Settings
from tests.openapi_contract import calendly_contract, requires_calendly_contract
from tests.openapi_schemas import Schemas
from tests.sandbox.calendly_server import REDIRECT_URI, RunningCalendly, running_calendly
from tests.sandbox.server import SharedServer, pkce, running_sandbox, wait_until

pytestmark = requires_calendly_contract


@pytest.fixture
def calendly(server: SharedServer) -> Iterator[RunningCalendly]:
    with running_calendly(server) as running:
        yield running


@pytest.fixture
def api(calendly: RunningCalendly) -> httpx.Client:
    """The owner's API, every exchange held against the contract."""
    return calendly.api(calendly.tokens()["access_token"])


@pytest.fixture
def raw(calendly: RunningCalendly) -> httpx.Client:
    """The same without the contract, for requests that break it on purpose."""
    return calendly.api(calendly.tokens()["access_token"], checked=False)


def me(api: httpx.Client) -> dict[str, Any]:
    found: dict[str, Any] = api.get("users/me").json()["resource"]
    return found


def book(calendly: RunningCalendly, days: float = 1, *, email: str = OWNER, minutes: int = 30) -> str:
    start = calendly.clock.now + timedelta(days=days)
    calendar_id = calendly.calendar_id(email)
    return calendly.do(
        lambda: calendly.stand_in.add_event(
            calendar_id, "Intro call", start, start + timedelta(minutes=minutes)
        )
    )


def stamp(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S.%fZ}"


# --- OAuth ------------------------------------------------------------------------------------------------------------


def test_the_consent_page_says_who_asks_for_what(calendly: RunningCalendly) -> None:
    """Permissions in plain words, the seeded account, and the two buttons."""
    page = calendly.consent_page().text
    assert "Almanac wants to access your Calendly account" in page
    assert f'value="{OWNER}" checked' in page
    assert "View and cancel your scheduled events" in page
    assert ">Allow</button>" in page
    assert ">Deny</button>" in page


def test_denying_comes_back_with_the_state_and_no_code(calendly: RunningCalendly) -> None:
    """RFC 6749 §4.1.2.1."""
    answer = calendly.decide("deny")
    assert (answer["error"], answer["state"]) == ("access_denied", "s t&te")
    assert "code" not in answer


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"client_id": "another"}, "invalid_client"),
        ({"redirect_uri": "https://evil.example/"}, "invalid_redirect_uri"),
        ({"redirect_uri": f"{REDIRECT_URI}/more"}, "invalid_redirect_uri"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"scope": "everything"}, "invalid_scope"),
        ({"scope": None}, "invalid_scope"),
        ({"code_challenge": "x" * 43, "code_challenge_method": "plain"}, "invalid_code_challenge_method"),
    ],
)
def test_a_request_that_cannot_be_trusted_is_not_redirected(
    calendly: RunningCalendly, changes: dict[str, str | None], error: str
) -> None:
    """It ends on an error page, whoever sent it."""
    page = calendly.consent_page(**changes)
    assert page.status_code == 400
    assert error in page.text


def test_tokens_say_whose_they_are(calendly: RunningCalendly) -> None:
    """Two hours, the scopes, the owner and the organization."""
    tokens = calendly.tokens()
    person = me(calendly.api(tokens["access_token"]))
    assert (tokens["token_type"], tokens["expires_in"]) == ("Bearer", 7200)
    assert (tokens["owner"], tokens["organization"]) == (person["uri"], person["current_organization"])
    assert "scheduled_events:write" in tokens["scope"].split()


def test_a_code_works_once_and_only_with_its_verifier(calendly: RunningCalendly) -> None:
    """Reuse, a wrong verifier, a missing one and another redirect address are all the same refusal."""
    verifier, challenge = pkce()

    def attempt(code: str, **changes: str) -> int:
        form = {"code": code, "code_verifier": verifier, "redirect_uri": REDIRECT_URI} | changes
        return calendly.token(grant_type="authorization_code", **form).status_code

    def code() -> str:
        return calendly.decide(code_challenge=challenge, code_challenge_method="S256")["code"]

    good = code()
    assert attempt(good) == 200
    assert attempt(good) == 400
    assert attempt(code(), code_verifier="w" * 64) == 400
    assert attempt(code(), code_verifier="") == 400
    assert attempt(code(), redirect_uri="http://localhost/other") == 400
    late = code()
    calendly.clock.advance(minutes=11)
    assert attempt(late) == 400


def test_a_refresh_token_works_once(calendly: RunningCalendly) -> None:
    """Each refresh gives two new tokens and ends the old one; the access tokens before stay good."""
    first = calendly.tokens()
    second = calendly.token(grant_type="refresh_token", refresh_token=first["refresh_token"]).json()
    assert second["refresh_token"] != first["refresh_token"]
    again = calendly.token(grant_type="refresh_token", refresh_token=first["refresh_token"])
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    third = calendly.token(grant_type="refresh_token", refresh_token=second["refresh_token"])
    assert third.status_code == 200
    for tokens in (first, second, third.json()):
        assert me(calendly.api(tokens["access_token"]))["email"] == OWNER


def test_the_token_endpoint_wants_the_client(calendly: RunningCalendly) -> None:
    """A wrong secret costs neither the code nor the refresh token; other grants do not exist."""
    refresh = calendly.tokens()["refresh_token"]
    form = {"grant_type": "refresh_token", "refresh_token": refresh}
    assert calendly.token(**form, client_secret="guessed").json()["error"] == "invalid_client"
    assert calendly.token(grant_type="password").json()["error"] == "unsupported_grant_type"
    assert calendly.token(**form).status_code == 200


def test_an_access_token_ends_after_two_hours(calendly: RunningCalendly) -> None:
    """Then the API answers 401, and introspection says why."""
    tokens = calendly.tokens()
    own = {"client_id": CALENDLY_CLIENT_ID, "client_secret": CALENDLY_CLIENT_SECRET}

    def introspected(token: str) -> dict[str, Any]:
        answer = calendly.client.post("/sandbox/calendly/oauth/introspect", data=own | {"token": token})
        found: dict[str, Any] = answer.json()
        return found

    before = introspected(tokens["access_token"])
    assert before["active"] is True
    assert before["exp"] - before["iat"] == 7200
    calendly.clock.advance(hours=2)
    assert introspected(tokens["access_token"]) == {"active": False}
    answer = calendly.api(tokens["access_token"]).get("users/me")
    assert (answer.status_code, answer.json()["title"]) == (401, "Unauthenticated")
    assert introspected(tokens["refresh_token"])["active"] is True


def test_revoking_ends_the_grant_and_its_webhooks(calendly: RunningCalendly) -> None:
    """Either token ends all of them; it takes the client's credentials, and an unknown token is no error."""
    tokens = calendly.tokens()
    api = calendly.api(tokens["access_token"])
    subscribe(api)
    url = "/sandbox/calendly/oauth/revoke"
    assert calendly.client.post(url, data={"token": tokens["access_token"]}).status_code == 403
    own = {"client_id": CALENDLY_CLIENT_ID, "client_secret": CALENDLY_CLIENT_SECRET}
    assert calendly.client.post(url, data=own | {"token": "unknown"}).status_code == 200
    assert calendly.client.post(url, data=own | {"token": tokens["access_token"]}).status_code == 200
    assert api.get("users/me").status_code == 401
    refused = calendly.token(grant_type="refresh_token", refresh_token=tokens["refresh_token"])
    assert refused.json()["error"] == "invalid_grant"
    (account,) = calendly.do(calendly.stand_in.accounts)
    assert (account.connected, account.channels) == (False, 0)


def test_a_token_opens_what_its_scopes_say(calendly: RunningCalendly) -> None:
    """``write`` includes ``read``; what was not asked for is 403."""
    tokens = calendly.tokens(scope="users:read scheduled_events:write")
    api = calendly.api(tokens["access_token"])
    own = {"user": me(api)["uri"]}
    assert api.get("scheduled_events", params=own).status_code == 200
    assert api.get("event_types", params=own).status_code == 403
    assert calendly.api("made-up").get("users/me").status_code == 401


# --- API --------------------------------------------------------------------------------------------------------------


def test_everything_that_is_read_keeps_the_contract(calendly: RunningCalendly, api: httpx.Client) -> None:
    """Users, memberships, event types, events, invitees, schedules: shapes as documented, seed as planted."""
    person = me(api)
    own = {"user": person["uri"]}
    assert api.get(f"users/{calendly.calendar_id()}").json()["resource"] == person
    (member,) = api.get("organization_memberships", params=own).json()["collection"]
    assert (member["role"], member["user"]["email"]) == ("owner", OWNER)
    types = api.get("event_types", params=own | {"active": "true"}).json()["collection"]
    assert [one["duration"] for one in types] == [30, 60]
    events = api.get("scheduled_events", params=own).json()["collection"]
    assert [one["status"] for one in events] == ["active", "active", "canceled"]
    uuid = events[0]["uri"].rpartition("/")[2]
    assert api.get(f"scheduled_events/{uuid}").json()["resource"] == events[0]
    (guest,) = api.get(f"scheduled_events/{uuid}/invitees").json()["collection"]
    assert guest["name"] == "Nadia Novak"
    (schedule,) = api.get("user_availability_schedules", params=own).json()["collection"]
    assert schedule["timezone"] == "Europe/Berlin"


def test_pages_hold_everything_once_while_bookings_come_and_go(
    calendly: RunningCalendly, api: httpx.Client
) -> None:
    """Following page tokens gives each event once, forwards and back, whatever happens in between."""
    own = {
        "user": me(api)["uri"],
        "count": 4,
        "min_start_time": stamp(calendly.clock.now + timedelta(days=30)),
    }
    known = [book(calendly, 31 + number) for number in range(10)]
    seen: list[str] = []
    page = api.get("scheduled_events", params=own).json()
    while True:
        seen += [one["uri"].rpartition("/")[2] for one in page["collection"]]
        token = page["pagination"]["next_page_token"]
        if token is None:
            break
        book(calendly, 30.5)  # before what has been read
        page = api.get("scheduled_events", params=own | {"page_token": token}).json()
    assert seen == known
    back = page["pagination"]["previous_page_token"]
    before = api.get("scheduled_events", params=own | {"page_token": back}).json()["collection"]
    assert [one["uri"].rpartition("/")[2] for one in before] == known[4:8]


@pytest.mark.parametrize(
    "query",
    [
        {"count": "0"},
        {"count": "101"},
        {"count": "many"},
        {"page_token": "made-up"},
        {"page_token": "WzEsMl0"},
        {"sort": "name:asc"},
        {"status": "gone"},
        {"min_start_time": "yesterday"},
        {"user": ""},
    ],
)
def test_a_bad_question_is_400_in_calendly_s_words(raw: httpx.Client, query: dict[str, str]) -> None:
    """The title, the message, and the parameter at fault."""
    answer = raw.get("scheduled_events", params={"user": me(raw)["uri"]} | query)
    assert answer.status_code == 400, answer.text
    assert answer.json()["title"] == "Invalid Argument"
    assert answer.json()["details"][0]["message"]


def test_a_page_token_belongs_to_its_query(calendly: RunningCalendly, api: httpx.Client) -> None:
    """It cannot be carried into another one."""
    own = {"user": me(api)["uri"], "count": 1}
    token = api.get("scheduled_events", params=own).json()["pagination"]["next_page_token"]
    other = own | {"status": "active", "page_token": token}
    assert api.get("scheduled_events", params=other).status_code == 400


def test_filters_narrow_the_list(calendly: RunningCalendly, api: httpx.Client) -> None:
    """By status, by time (the end exclusive), by invitee, and backwards."""
    own = {"user": me(api)["uri"]}

    def count(**query: str) -> int:
        return len(api.get("scheduled_events", params=own | query).json()["collection"])

    assert (count(status="active"), count(status="canceled")) == (2, 1)
    first, second, _ = api.get("scheduled_events", params=own).json()["collection"]
    assert count(min_start_time=second["start_time"]) == 2
    assert count(max_start_time=second["start_time"]) == 1
    assert count(invitee_email="Nadia.Novak@example.net") == 1
    backwards = api.get("scheduled_events", params=own | {"sort": "start_time:desc"}).json()["collection"]
    assert backwards[-1] == first


def test_others_accounts_are_out_of_reach(
    calendly: RunningCalendly, api: httpx.Client, raw: httpx.Client
) -> None:
    """Their events, invitees, busy times and webhooks, by id or by user."""
    other = calendly.api(calendly.tokens(email="eve@example.com")["access_token"], checked=False)
    event = book(calendly)
    owner = me(api)["uri"]
    span = {
        "start_time": stamp(calendly.clock.now),
        "end_time": stamp(calendly.clock.now + timedelta(days=1)),
    }
    assert other.get(f"scheduled_events/{event}").status_code == 403
    assert other.get(f"scheduled_events/{event}/invitees").status_code == 403
    assert other.post(f"scheduled_events/{event}/cancellation").status_code == 403
    assert other.get("scheduled_events", params={"user": owner}).status_code == 403
    assert other.get("user_busy_times", params={"user": owner} | span).status_code == 403
    mine = subscribe(api)
    assert other.delete(f"webhook_subscriptions/{mine}").status_code == 404
    assert raw.get("scheduled_events/nowhere").status_code == 404
    assert raw.get("no/such/path").status_code == 404


def test_busy_times_cover_a_week_at_most(calendly: RunningCalendly, api: httpx.Client) -> None:
    """Active events that overlap the range, cancelled ones not."""
    now = calendly.clock.now
    event = book(calendly, 20)
    own = {"user": me(api)["uri"], "start_time": stamp(now + timedelta(days=20, minutes=10))}
    week = own | {"end_time": stamp(now + timedelta(days=27))}
    (busy,) = api.get("user_busy_times", params=week).json()["collection"]
    assert busy["event"]["uri"].endswith(event)
    api.post(f"scheduled_events/{event}/cancellation", json={"reason": "Ill"})
    assert api.get("user_busy_times", params=week).json()["collection"] == []
    longer = own | {"end_time": stamp(now + timedelta(days=28))}
    assert api.get("user_busy_times", params=longer).status_code == 400
    past = own | {"start_time": stamp(now - timedelta(minutes=1)), "end_time": stamp(now + timedelta(days=1))}
    answer = api.get("user_busy_times", params=past)
    assert (answer.status_code, answer.json()["details"][0]["message"]) == (400, "cannot be in the past")
    backwards = own | {"end_time": stamp(now)}
    assert api.get("user_busy_times", params=backwards).status_code == 400


def test_cancelling_follows_calendly_s_rules(calendly: RunningCalendly, api: httpx.Client) -> None:
    """Once, with its reason, by the host; not twice, and not what is over."""
    event = book(calendly)
    answer = api.post(f"scheduled_events/{event}/cancellation", json={"reason": "Ill"})
    assert answer.status_code == 201
    assert answer.json()["resource"] == {
        "canceled_by": "Olivia Owner",
        "reason": "Ill",
        "canceler_type": "host",
    }
    again = api.post(f"scheduled_events/{event}/cancellation", json={})
    assert (again.status_code, again.json()["message"]) == (403, "Event is already canceled")
    past = book(calendly, -1)
    answer = api.post(f"scheduled_events/{past}/cancellation", json={})
    assert (answer.status_code, answer.json()["message"]) == (403, "Event in the past")


# --- webhooks ---------------------------------------------------------------------------------------------------------


def subscribe(api: httpx.Client, **changes: Any) -> str:
    """A subscription of the account's own events; its uuid."""
    person = me(api)
    body = {
        "url": "http://127.0.0.1:9/hook?channel=c1",
        "events": ["invitee.created", "invitee.canceled"],
        "organization": person["current_organization"],
        "user": person["uri"],
        "scope": "user",
        "signing_key": "secret",
    }
    wanted = {name: value for name, value in (body | changes).items() if value is not None}
    answer = api.post("webhook_subscriptions", json=wanted)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["resource"]["uri"]).rpartition("/")[2]


def test_a_booking_is_told_with_a_signature_that_our_own_check_believes(
    calendly: RunningCalendly, api: httpx.Client, settings: Settings
) -> None:
    """The payload is the invitee with its event; the signature covers time and body."""
    subscribe(api)
    event = book(calendly)
    wait_until(lambda: calendly.receiver.deliveries)
    (delivery,) = calendly.receiver.deliveries
    body = json.loads(delivery.body)
    assert body["event"] == "invitee.created"
    assert body["payload"]["event"].endswith(event)
    assert body["payload"]["scheduled_event"]["name"] == "Intro call"
    request = PushRequest(
        {name.lower(): value for name, value in delivery.headers.items()}, {"channel": "c1"}, delivery.body
    )
    (notice,) = read_push(request, clock=calendly.clock.now.timestamp)
    assert notice.authentic("secret")
    assert not notice.authentic("other")


def test_the_payload_keeps_the_contract(calendly: RunningCalendly, api: httpx.Client) -> None:
    """The document describes payloads as of 2023; the nested event came after that."""
    subscribe(api)
    calendar_id, event = calendly.calendar_id(), book(calendly)
    calendly.do(lambda: calendly.stand_in.delete_event(calendar_id, event))
    wait_until(lambda: len(calendly.receiver.deliveries) == 2)
    schemas = Schemas(calendly_contract().document["components"]["schemas"])
    for delivery in calendly.receiver.deliveries:
        body = json.loads(delivery.body)
        assert body["payload"].pop("scheduled_event")["uri"].endswith(event)
        schemas.check(("webhook", "payload"), body, {"$ref": "#/components/schemas/WebhookPayload"})


def test_rescheduling_tells_both_sides_and_links_them(calendly: RunningCalendly, api: httpx.Client) -> None:
    """One cancelled, marked as rescheduled, and one created; they name each other."""
    event = book(calendly)
    subscribe(api)
    later = calendly.clock.now + timedelta(days=9)
    calendly.do(lambda: calendly.stand_in.bookings.reschedule(event, later))
    wait_until(lambda: len(calendly.receiver.deliveries) == 2)
    told = {body["event"]: body["payload"] for body in map(_body, calendly.receiver.deliveries)}
    old, new = told["invitee.canceled"], told["invitee.created"]
    assert old["rescheduled"] is True
    assert (old["new_invitee"], new["old_invitee"]) == (new["uri"], old["uri"])


def _body(delivery: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(delivery.body)
    return found


def test_a_delivery_that_fails_is_tried_again_and_then_disabled(
    calendly: RunningCalendly, api: httpx.Client
) -> None:
    """Three tries; a subscription that has failed for a day is disabled, and told nothing more."""
    uuid = subscribe(api)
    calendly.receiver.answers = [500, 503]
    book(calendly)
    wait_until(lambda: len(calendly.receiver.deliveries) == 3)
    wait_until(lambda: state(api, uuid) == ("active", None))
    calendly.receiver.answers = [500] * 3
    book(calendly)
    wait_until(lambda: len(calendly.receiver.deliveries) == 6)
    wait_until(lambda: state(api, uuid)[1] is not None)
    calendly.clock.advance(hours=1)
    api.headers["Authorization"] = f"Bearer {calendly.tokens()['access_token']}"
    calendly.clock.advance(hours=24)
    api.headers["Authorization"] = f"Bearer {calendly.tokens()['access_token']}"
    calendly.receiver.answers = [500] * 3
    book(calendly)
    wait_until(lambda: state(api, uuid)[0] == "disabled")
    before = len(calendly.receiver.deliveries)
    book(calendly)
    assert len(calendly.receiver.deliveries) == before


def state(api: httpx.Client, uuid: str) -> tuple[str, str | None]:
    found = api.get(f"webhook_subscriptions/{uuid}").json()["resource"]
    return found["state"], found["retry_started_at"]


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"url": "http://example.com/hook"}, 400),
        ({"url": "ftp://127.0.0.1/"}, 400),
        ({"events": []}, 400),
        ({"events": ["invitee.exploded"]}, 400),
        ({"scope": "planet"}, 400),
        ({"user": None}, 400),
        ({"organization": f"{API}/organizations/other"}, 403),
        ({"signing_key": 7}, 400),
    ],
)
def test_a_subscription_that_cannot_be(raw: httpx.Client, changes: dict[str, Any], status: int) -> None:
    """Plain http to other hosts, unknown events and scopes, somebody else's organization."""
    person = me(raw)
    body = {
        "url": "https://almanac.example/hook",
        "events": ["invitee.created"],
        "organization": person["current_organization"],
        "user": person["uri"],
        "scope": "user",
    } | changes
    wanted = {name: value for name, value in body.items() if value is not None}
    assert raw.post("webhook_subscriptions", json=wanted).status_code == status
    assert raw.post("webhook_subscriptions", content=b"{").status_code == 400
    assert raw.post("webhook_subscriptions", json=[]).status_code == 400


def test_subscriptions_are_listed_found_taken_and_ended(calendly: RunningCalendly, api: httpx.Client) -> None:
    """One per address; the organization's own list is apart; deleting twice is 404."""
    uuid = subscribe(api)
    person = me(api)
    own = {"organization": person["current_organization"], "user": person["uri"], "scope": "user"}
    (listed,) = api.get("webhook_subscriptions", params=own).json()["collection"]
    assert listed["uri"].endswith(uuid)
    body = {name: listed[name] for name in ("events", "organization", "user", "scope")}
    taken = api.post("webhook_subscriptions", json=body | {"url": listed["callback_url"]})
    assert (taken.status_code, taken.json()["title"]) == (409, "Already Exists")
    everybody = {"organization": person["current_organization"], "scope": "organization"}
    assert api.get("webhook_subscriptions", params=everybody).json()["collection"] == []
    assert api.delete(f"webhook_subscriptions/{uuid}").status_code == 204
    assert api.delete(f"webhook_subscriptions/{uuid}").status_code == 404


# --- the page ---------------------------------------------------------------------------------------------------------


def test_the_page_s_actions_are_what_people_do_at_calendly(calendly: RunningCalendly) -> None:
    """A customer books and picks another time, the host cancels; nobody renames, and unknown ids are told apart."""
    stand_in, calendar_id = calendly.stand_in, calendly.calendar_id()
    event = book(calendly)
    later = calendly.clock.now + timedelta(days=2)
    calendly.do(lambda: stand_in.move_event(calendar_id, event, later))
    (account,) = calendly.do(stand_in.accounts)
    (calendar,) = account.calendars
    assert calendar.total == 3
    (moved,) = [one for one in calendar.events if one.start == later]
    assert moved.notes == ("booked by Casey Customer",)
    calendly.do(lambda: stand_in.delete_event(calendar_id, moved.id))
    for act in (
        lambda: stand_in.delete_event(calendar_id, moved.id),
        lambda: stand_in.move_event(calendar_id, event, later),
        lambda: stand_in.rename_event(calendar_id, event, "Other"),
        lambda: stand_in.add_event(calendar_id, "x", later, later),
    ):
        with pytest.raises(ValueError, match=r"\w"):
            calendly.do(act)
    for missing in (
        lambda: stand_in.add_event("nowhere", "x", later, later),
        lambda: stand_in.delete_event(calendar_id, "nothing"),
        lambda: stand_in.remove_access("nobody@example.com"),
    ):
        with pytest.raises(KeyError):
            calendly.do(missing)


def test_ends_can_be_brought_about(calendly: RunningCalendly, api: httpx.Client) -> None:
    """Access tokens of one account, its webhooks; requests tell whose they are."""
    tokens = calendly.tokens()
    headers = httpx.Headers({"authorization": f"Bearer {tokens['access_token']}"})
    assert calendly.do(lambda: calendly.stand_in.account_of(headers)) == OWNER  # type: ignore[arg-type]
    subscribe(api)
    before = calendly.do(calendly.stand_in.sequence)
    book(calendly)
    assert calendly.do(calendly.stand_in.sequence) > before
    calendly.do(lambda: calendly.stand_in.expire_channels(OWNER))
    assert calendly.do(calendly.stand_in.accounts)[0].channels == 0
    calendly.do(lambda: calendly.stand_in.expire_access_tokens("eve@example.com"))
    assert api.get("users/me").status_code == 200
    calendly.do(lambda: calendly.stand_in.expire_access_tokens(OWNER))
    assert api.get("users/me").status_code == 401
    assert calendly.do(lambda: calendly.stand_in.account_of(headers)) == ""  # type: ignore[arg-type]


def test_the_sandbox_s_own_page_books_moves_and_cancels(server: SharedServer) -> None:
    """By the forms that a person fills in; what Calendly does not offer is refused with a sentence."""
    with running_sandbox(server=server) as sandbox:

        def held() -> dict[str, Any]:
            accounts = sandbox.app.state.stand_ins["calendly"].accounts
            (calendar,) = server.run(accounts)[0].calendars
            return {event.title: event for event in calendar.events} | {"": calendar}

        def act(name: str, **form: str) -> httpx.Response:
            own = {"provider": "calendly", "calendar": held()[""].id}
            return sandbox.client.post(f"/sandbox/actions/{name}", data=own | form)

        times = {"start": "2026-11-25T10:00", "end": "2026-11-25T10:30"}
        assert act("add-event", title="Fresh booking", **times).status_code == 303
        booked = held()["Fresh booking"]
        assert "booked by Casey Customer" in booked.notes
        assert act("move-event", event=booked.id, start="2026-11-26T15:00").status_code == 303
        moved = held()["Fresh booking"]
        assert moved.id != booked.id
        assert moved.start - booked.start == timedelta(days=1, hours=5)
        refused = act("rename-event", event=moved.id, title="Other")
        assert refused.status_code == 400
        assert "keeps the name" in refused.text
        assert act("delete-event", event=moved.id).status_code == 303
        assert "Fresh booking" not in held()
