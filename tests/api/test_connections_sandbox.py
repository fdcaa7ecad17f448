"""Connecting a Google account for real: our routes, the Google provider, and the stand-in for Google, over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from sqlmodel import select

from calendar_app import errors
from calendar_app.db.session import reading
from calendar_app.db.tables import Connection
from calendar_app.services.connections import tokens as connection_tokens
from calendar_app.settings import Settings
from tests.sandbox.server import OWNER, Sandbox, running_sandbox
from tests.support.databases import Database
from tests.support.people import User, problem, user

CALLBACK = "/api/v1/connections/google/callback"
JSON = {"Accept": "application/json"}


@pytest.fixture
def sandbox(database: Database, configure: Callable[..., Settings]) -> Iterator[Sandbox]:
    with running_sandbox() as running:
        configure(**running.environment)
        yield running


@pytest.fixture
def ada(sandbox: Sandbox) -> User:
    return user()


def _consent(
    api: httpx.Client, sandbox: Sandbox, who: User, decision: str = "allow", **choice: str
) -> dict[str, str]:
    """Press "Connect", then "Allow" or "Deny" on the consent page; what the browser brings back."""
    url = api.post("/api/v1/connections/google/start", headers=who.cookie).json()["authorization_url"]
    assert urlsplit(url).path == "/sandbox/google/o/oauth2/v2/auth"
    return sandbox.decide(
        decision, email=choice.pop("email", OWNER), **choice, **dict(parse_qsl(urlsplit(url).query))
    )


def _connect(api: httpx.Client, sandbox: Sandbox, who: User) -> dict[str, Any]:
    response = api.get(CALLBACK, params=_consent(api, sandbox, who), headers=who.cookie | JSON)
    assert response.status_code == 200, response.text
    return dict(response.json())


def test_the_life_of_a_google_connection(api: httpx.Client, sandbox: Sandbox, ada: User) -> None:
    """Consent with PKCE, calendars, a live test, refresh, revocation at the provider, reconnection in place."""
    body = _connect(api, sandbox, ada)
    connection = body["connection"]
    assert (connection["account_email"], connection["missing_features"]) == (OWNER, [])
    assert body["calendars"][0]["is_primary"] is True
    assert body["calendars"][0]["receives_bookings"] is True
    path = f"/api/v1/connections/{connection['id']}"
    assert api.post(f"{path}/test", headers=ada.cookie).json()["ok"] is True
    assert api.post(f"{path}/refresh", headers=ada.cookie).json()["calendars_count"] == len(body["calendars"])
    assert api.delete(path, headers=ada.cookie).json()["revoked"] is True
    again = _connect(api, sandbox, ada)
    assert again["connection"]["id"] == connection["id"]
    assert [one["id"] for one in again["calendars"]] == [one["id"] for one in body["calendars"]]


def test_denied_consent_and_a_replay(api: httpx.Client, sandbox: Sandbox, ada: User) -> None:
    """Google's own words for "Deny" are understood; a second use of an answer is refused."""
    denied = _consent(api, sandbox, ada, "deny")
    problem(api.get(CALLBACK, params=denied, headers=ada.cookie | JSON), 400, "consent_denied")
    answer = _consent(api, sandbox, ada)
    assert api.get(CALLBACK, params=answer, headers=ada.cookie | JSON).status_code == 200
    problem(api.get(CALLBACK, params=answer, headers=ada.cookie | JSON), 400, "state_invalid")


def test_an_unticked_permission_is_noticed(api: httpx.Client, sandbox: Sandbox, ada: User) -> None:
    """Without the events nothing works; without free/busy one feature is missing."""
    base = "https://www.googleapis.com/auth"
    answer = _consent(api, sandbox, ada, untick=f"{base}/calendar.events")
    problem(api.get(CALLBACK, params=answer, headers=ada.cookie | JSON), 400, "scope_missing")
    answer = _consent(api, sandbox, ada, untick=f"{base}/calendar.freebusy")
    body = api.get(CALLBACK, params=answer, headers=ada.cookie | JSON).json()
    assert len(body["missing_features"]) == 1


def test_a_wrong_client_secret_is_the_operators_fault(
    api: httpx.Client, sandbox: Sandbox, ada: User, configure: Callable[..., Settings]
) -> None:
    """The sentence says who has to act, and holds no secret."""
    answer = _consent(api, sandbox, ada)
    configure(GOOGLE_CLIENT_SECRET="not-the-secret")
    response = api.get(CALLBACK, params=answer, headers=ada.cookie | JSON)
    body = problem(response, 503, "provider_misconfigured")
    assert "operator" in str(body["detail"])
    assert "not-the-secret" not in response.text
    assert api.get("/api/v1/connections", headers=ada.cookie).json()["items"] == []


def test_a_grant_that_was_withdrawn_at_google(api: httpx.Client, sandbox: Sandbox, ada: User) -> None:
    """`invalid_grant` becomes `needs_reconnect`, with a sentence."""
    connection = _connect(api, sandbox, ada)["connection"]
    with reading() as session:
        token = session.exec(select(Connection)).one().refresh_token
    assert sandbox.client.post("/sandbox/google/revoke", data={"token": token}).status_code == 200
    with pytest.raises(errors.GrantRevoked):
        connection_tokens.refresh(connection["id"])
    shown = api.get(f"/api/v1/connections/{connection['id']}", headers=ada.cookie).json()
    assert shown["status"] == "needs_reconnect"
    assert OWNER in shown["last_error"]
