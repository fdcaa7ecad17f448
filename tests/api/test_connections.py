"""Connections and calendars over HTTP: the whole way of the browser, and of programs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from calendar_app.api.connections import BINDING_COOKIE
from calendar_app.errors import ProviderUnavailable
from calendar_app.services.common.permissions import Role
from tests.support.databases import Database
from tests.support.fake_provider import FakeAccount, FakeProvider
from tests.support.people import PASSWORD, User, problem, user

CALLBACK = "/api/v1/connections/fake/callback"
JSON = {"Accept": "application/json"}


@pytest.fixture
def fake() -> Iterator[FakeProvider]:
    vendor = FakeProvider()
    with vendor.installed():
        yield vendor


@pytest.fixture
def ada(database: Database) -> User:
    return user()


def _start(api: httpx.Client, headers: dict[str, str], **body: Any) -> str:
    response = api.post("/api/v1/connections/fake/start", headers=headers, json=body)
    assert response.status_code == 200, response.text
    return str(response.json()["authorization_url"])


def _connect(
    api: httpx.Client, fake: FakeProvider, who: User, account: FakeAccount | None = None
) -> dict[str, Any]:
    account = account or fake.account(who.identity.email, calendars=("main", "team"))
    answer = fake.allow(_start(api, who.cookie), account)
    response = api.get(CALLBACK, params=answer, headers=who.cookie | JSON)
    assert response.status_code == 200, response.text
    return dict(response.json())


def test_a_browser_connects_an_account(api: httpx.Client, fake: FakeProvider, ada: User) -> None:
    """Start, consent, callback: the browser lands where it wanted to go, with the connection's id."""
    url = _start(api, ada.cookie, next="/dashboard?view=week")
    answer = fake.allow(url, fake.account("ada@example.com"))
    response = api.get(CALLBACK, params=answer, headers=ada.cookie)
    assert response.status_code == 303
    target = urlsplit(response.headers["location"])
    (connection,) = api.get("/api/v1/connections", headers=ada.cookie).json()["items"]
    assert target.path == "/dashboard"
    assert parse_qs(target.query) == {"view": ["week"], "connected": [connection["id"]]}
    assert not target.netloc


def test_a_program_gets_json(api: httpx.Client, fake: FakeProvider, ada: User) -> None:
    """With `Accept: application/json` the callback answers what was connected; no token is in it."""
    body = _connect(api, fake, ada)
    assert body["success"] is True
    assert body["connection"]["account_email"] == "ada@example.com"
    assert body["message"].startswith("Fake account ada@example.com is connected")
    assert [calendar["name"] for calendar in body["calendars"]] == ["Main", "Team"]
    assert not {word for word in ("at-", "rt-", "access_token", "refresh_token") if word in json.dumps(body)}


def test_a_start_by_token_ends_at_the_client_that_started(
    api: httpx.Client, fake: FakeProvider, ada: User
) -> None:
    """The start's answer leaves a cookie that is enough for the callback; another client without it is refused."""
    answer = fake.allow(_start(api, ada.bearer), fake.account("ada@example.com"))
    assert BINDING_COOKIE in api.cookies
    with httpx.Client(base_url=api.base_url, timeout=30) as stranger:
        problem(stranger.get(CALLBACK, params=answer, headers=JSON), 400, "state_invalid")
    assert api.get(CALLBACK, params=answer, headers=JSON).status_code == 200


def test_a_start_by_token_ends_in_the_same_persons_browser(
    api: httpx.Client, fake: FakeProvider, ada: User
) -> None:
    """Whoever is signed in as the person may bring the answer; somebody else may not, forged cookie or not."""
    answer = fake.allow(_start(api, ada.bearer), fake.account("ada@example.com"))
    api.cookies.clear()
    eve = user("eve@example.com")
    problem(api.get(CALLBACK, params=answer, headers=eve.cookie | JSON), 400, "state_invalid")
    forged = {"Cookie": f"{BINDING_COOKIE}={ada.identity.person_id}"}
    problem(api.get(CALLBACK, params=answer, headers=forged | JSON), 400, "state_invalid")
    assert api.get(CALLBACK, params=answer, headers=ada.cookie | JSON).status_code == 200


def test_a_start_in_a_browser_ends_in_that_browser(api: httpx.Client, fake: FakeProvider, ada: User) -> None:
    """Another session of the same person is another browser."""
    answer = fake.allow(_start(api, ada.cookie), fake.account("ada@example.com"))
    api.post("/auth/sign-in", data={"email": "ada@example.com", "password": PASSWORD})
    problem(api.get(CALLBACK, params=answer, headers=JSON), 400, "state_invalid")
    problem(api.get(CALLBACK, params=answer, headers=ada.bearer | JSON), 400, "state_invalid")
    api.cookies.clear()
    assert api.get(CALLBACK, params=answer, headers=ada.cookie | JSON).status_code == 200


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"state": None}, 400, "state_invalid"),
        ({"state": "x" * 43}, 400, "state_invalid"),
        ({"code": None, "error": "access_denied"}, 400, "consent_denied"),
        ({"code": None}, 400, "state_invalid"),
        ({"code": "made-up"}, 400, "state_invalid"),
        ({"iss": "https://evil.example"}, 400, "state_invalid"),
    ],
)
def test_what_goes_wrong_is_said_to_both(
    api: httpx.Client, fake: FakeProvider, ada: User, change: dict[str, str | None], status: int, code: str
) -> None:
    """A program gets a problem, a browser a redirect into the app with the code; nothing is stored."""
    for headers in (JSON, {"Accept": "text/html"}):
        query = fake.allow(_start(api, ada.cookie), fake.account("ada@example.com")) | change
        params = {name: value for name, value in query.items() if value is not None}
        response = api.get(CALLBACK, params=params, headers=ada.cookie | headers)
        if headers is JSON:
            problem(response, status, code)
        else:
            assert (response.status_code, response.headers["location"]) == (
                303,
                f"/settings/calendars?error={code}",
            )
    assert api.get("/api/v1/connections", headers=ada.cookie).json()["items"] == []


def test_a_replayed_callback_is_refused(api: httpx.Client, fake: FakeProvider, ada: User) -> None:
    """The second time the state is spent."""
    answer = fake.allow(_start(api, ada.cookie), fake.account("ada@example.com"))
    assert api.get(CALLBACK, params=answer, headers=ada.cookie | JSON).status_code == 200
    problem(api.get(CALLBACK, params=answer, headers=ada.cookie | JSON), 400, "state_invalid")


def test_foreign_next_paths_are_ignored(api: httpx.Client, fake: FakeProvider, ada: User) -> None:
    """The callback never sends a browser to another site."""
    for bad in ("//evil.example", "https:evil.example", "/\\evil.example"):
        answer = fake.deny(_start(api, ada.cookie, next=bad))
        location = api.get(CALLBACK, params=answer, headers=ada.cookie).headers["location"]
        assert location == "/settings/calendars?error=consent_denied"


def test_a_provider_without_credentials_says_what_to_set(api: httpx.Client, ada: User) -> None:
    """503 with the names of the variables."""
    body = problem(
        api.post("/api/v1/connections/google/start", headers=ada.bearer), 503, "provider_not_configured"
    )
    assert "GOOGLE_CLIENT_ID and GOOGLE_CLIENT_SECRET" in str(body["detail"])
    problem(api.post("/api/v1/connections/palm-pilot/start", headers=ada.bearer), 404, "not_found")


def test_the_life_of_a_connection(api: httpx.Client, fake: FakeProvider, ada: User) -> None:
    """Listed, read, tested, refreshed, and gone: by bearer token, as a program does it."""
    connection = _connect(api, fake, ada)["connection"]
    path = f"/api/v1/connections/{connection['id']}"
    page = api.get("/api/v1/connections", headers=ada.bearer).json()
    assert [item["id"] for item in page["items"]] == [connection["id"]]
    assert page["next"] is None
    shown = api.get(path, headers=ada.bearer).json()
    assert (shown["provider"], shown["calendars_count"], shown["last_error"]) == ("fake", 2, "")
    status = api.get("/api/v1/connections/fake/status", headers=ada.bearer).json()
    assert status == {"connected": True, "accounts": ["ada@example.com"]}
    tested = api.post(f"{path}/test", headers=ada.bearer).json()
    assert tested["ok"] is True
    assert tested["latency_ms"] >= 0
    fake.fail("list_calendars", ProviderUnavailable())
    assert api.post(f"{path}/test", headers=ada.bearer).json()["ok"] is False
    fake.accounts["id-of-ada@example.com"].add_calendar("new")
    assert api.post(f"{path}/refresh", headers=ada.bearer).json()["calendars_count"] == 3
    preview = api.get(f"{path}/disconnect-preview", headers=ada.bearer).json()
    assert preview == {"bookings": [], "move_targets": []}
    gone = api.delete(path, headers=ada.bearer).json()
    assert (gone["revoked"], gone["moved"], gone["cancelled"]) == (True, 0, 0)
    assert api.get("/api/v1/connections", headers=ada.bearer).json()["items"] == []
    assert api.get(path, headers=ada.bearer).json()["status"] == "disconnected"
    problem(api.post(f"{path}/refresh", headers=ada.bearer), 409, "needs_reconnect")
    assert problem_code(api.delete(path, params={"bookings": "burn"}, headers=ada.bearer)) == "invalid_input"


def problem_code(response: httpx.Response) -> str:
    return str(response.json()["code"])


def test_a_dead_grant_is_409_until_reconnected(api: httpx.Client, fake: FakeProvider, ada: User) -> None:
    """`needs_reconnect` is what programs see, and the same connection comes back in place."""
    account = fake.account("ada@example.com")
    connection = _connect(api, fake, ada, account)["connection"]
    fake.revoke_grants(account)
    problem(
        api.post(f"/api/v1/connections/{connection['id']}/refresh", headers=ada.bearer),
        409,
        "needs_reconnect",
    )
    assert (
        api.get(f"/api/v1/connections/{connection['id']}", headers=ada.bearer).json()["status"]
        == "needs_reconnect"
    )
    url = _start(api, ada.cookie, connection_id=connection["id"])
    answer = fake.allow(url, account)
    again = api.get(CALLBACK, params=answer, headers=ada.cookie | JSON).json()
    assert again["connection"]["id"] == connection["id"]


def test_calendars_are_listed_and_changed(api: httpx.Client, fake: FakeProvider, ada: User) -> None:
    """With the provider spelled out; unknown fields are refused rather than ignored."""
    main, team = _connect(api, fake, ada)["calendars"]
    assert main["provider_details"] == {"key": "fake", "title": "Fake"}
    assert main["connection_status"] == "connected"
    page = api.get("/api/v1/calendars", headers=ada.bearer).json()
    assert [item["id"] for item in page["items"]] == [main["id"], team["id"]]
    path = f"/api/v1/calendars/{team['id']}"
    changed = api.patch(
        path, json={"receives_bookings": True, "checks_conflicts": False}, headers=ada.bearer
    ).json()
    assert (changed["receives_bookings"], changed["checks_conflicts"]) == (True, False)
    assert problem_code(api.patch(path, json={"name": "Mine"}, headers=ada.bearer)) == "invalid_input"


ROUTES = [
    ("GET", "/connections/{connection}"),
    ("GET", "/connections/{connection}/disconnect-preview"),
    ("POST", "/connections/{connection}/refresh"),
    ("POST", "/connections/{connection}/test"),
    ("DELETE", "/connections/{connection}"),
    ("PATCH", "/calendars/{calendar}"),
]


@pytest.mark.parametrize(("method", "route"), ROUTES)
def test_other_peoples_objects_do_not_exist(
    api: httpx.Client, fake: FakeProvider, ada: User, method: str, route: str
) -> None:
    """404 for another workspace's owner, 403 for a customer, 401 for nobody; the object is untouched."""
    connected = _connect(api, fake, ada)
    ids = {"connection": connected["connection"]["id"], "calendar": connected["calendars"][0]["id"]}
    path = "/api/v1" + route.format(**ids)
    calls = len(fake.calls)
    body = {"checks_conflicts": False} if method == "PATCH" else None
    eve, customer = user("eve@example.com"), user("carl@example.com", role=Role.CUSTOMER)
    api.cookies.clear()
    missing = problem(api.request(method, path, json=body, headers=eve.bearer), 404, "not_found")
    unknown = problem(api.request(method, path[:-1] + "!", json=body, headers=eve.bearer), 404, "not_found")
    if route.endswith("}"):
        assert missing["detail"] == unknown["detail"]
    problem(api.request(method, path, json=body, headers=customer.bearer), 403, "forbidden")
    response = api.request(method, path, json=body)
    problem(response, 401, "not_signed_in")
    assert "www-authenticate" in response.headers
    assert len(fake.calls) == calls
    shown = api.get(f"/api/v1/connections/{ids['connection']}", headers=ada.bearer).json()
    assert shown["status"] != "disconnected"
