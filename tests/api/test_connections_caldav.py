"""A CalDAV account over HTTP, at a real Radicale: connected, read, written, refused, brought back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis import Redis

from calendar_app.services.calendar_sync import requests as sync_requests
from calendar_app.services.events import queries as event_queries
from calendar_app.settings import Settings
from tests.support import dav_servers
from tests.support.databases import Database
from tests.support.dav_servers import PASSWORD, USERNAME, DavServer
from tests.support.people import User, problem, user

CALDAV = "/api/v1/connections/caldav"
MKCALENDAR = '<C:mkcalendar xmlns:C="urn:ietf:params:xml:ns:caldav"/>'


@pytest.fixture(scope="module")
def users(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("radicale")


@pytest.fixture(scope="module")
def radicale(users: Path) -> Iterator[DavServer]:
    """A server with an account that has one calendar."""
    with dav_servers.radicale(users) as server:
        httpx.request(
            "MKCALENDAR", f"{server.home}work/", content=MKCALENDAR, auth=(USERNAME, PASSWORD)
        ).raise_for_status()
        yield server


@pytest.fixture
def ada(database: Database, radicale: DavServer, configure: Callable[..., Settings]) -> User:
    """A member of staff, where the server may be called."""
    configure(ALLOWED_PRIVATE_HOSTS=httpx.URL(radicale.url).netloc.decode())
    return user()


def _connect(api: httpx.Client, who: User, server: DavServer, **changes: Any) -> httpx.Response:
    body = {"url": server.url, "username": USERNAME, "password": PASSWORD, **changes}
    return api.post(CALDAV, headers=who.bearer, json=body)


def test_an_account_is_connected_read_and_written(api: httpx.Client, ada: User, radicale: DavServer) -> None:
    """What is typed opens the account, events go both ways, and no answer holds the password."""
    response = _connect(api, ada, radicale)
    assert response.status_code == 201, response.text
    body = response.json()
    assert body["connection"]["provider"] == "caldav"
    assert body["connection"]["account_email"] == USERNAME
    assert body["connection"]["status"] in ("connected", "syncing")
    assert PASSWORD not in response.text
    (calendar,) = body["calendars"]
    assert (calendar["checks_conflicts"], calendar["receives_bookings"]) == (True, True)

    start = datetime.now(UTC).replace(microsecond=0) + timedelta(days=2)
    event = {
        "summary": "Fitting",
        "start": start.isoformat(),
        "end": (start + timedelta(hours=1)).isoformat(),
    }
    made = api.post(f"/api/v1/calendars/{calendar['id']}/events", headers=ada.bearer, json=event)
    assert made.status_code == 201, made.text
    stored = httpx.get(f"{radicale.home}work/{made.json()['remote_id']}", auth=(USERNAME, PASSWORD))
    assert "SUMMARY:Fitting" in stored.text
    assert sync_requests.sync_calendar(calendar["id"]).outcome == "done"
    (shown,) = event_queries.upcoming(ada.identity.actor(), now=datetime.now(UTC))
    assert (shown.title, shown.start) == ("Fitting", start)
    httpx.delete(str(stored.url), auth=(USERNAME, PASSWORD)).raise_for_status()
    assert sync_requests.sync_calendar(calendar["id"]).removed == 1

    for step in ("refresh", "test"):
        answer = api.post(f"/api/v1/connections/{body['connection']['id']}/{step}", headers=ada.bearer)
        assert answer.status_code == 200, answer.text
    listed = api.get("/api/v1/connections", headers=ada.bearer)
    assert [one["status"] for one in listed.json()["items"]] == ["connected"]
    assert PASSWORD not in listed.text


def test_the_password_is_encrypted_at_rest(
    api: httpx.Client, ada: User, radicale: DavServer, database: Database
) -> None:
    """The database holds no password in the clear."""
    assert _connect(api, ada, radicale).status_code == 201
    with database.engine.connect() as connection:
        rows = connection.exec_driver_sql(
            "SELECT access_token, refresh_token, access_expires_at FROM connection"
        ).all()
    assert len(rows) == 1
    assert PASSWORD not in str(rows)
    assert rows[0][1:] == (None, None)


def test_wrong_credentials_are_refused(api: httpx.Client, ada: User, radicale: DavServer) -> None:
    """A wrong password is 422 with a stable code; nothing is stored."""
    body = problem(_connect(api, ada, radicale, password="not it"), 422, "credentials_rejected")
    assert "not it" not in str(body["detail"])
    assert api.get("/api/v1/connections", headers=ada.bearer).json()["items"] == []


def test_addresses_that_may_not_be_called(api: httpx.Client, ada: User, radicale: DavServer) -> None:
    """Addresses inside, other schemes and missing parts are 422, each with one sentence."""
    for address in (
        "http://127.0.0.1:1/",
        "https://169.254.169.254/latest/",
        "https://[::1]/",
        "file:///etc/passwd",
    ):
        problem(_connect(api, ada, radicale, url=address), 422, "address_refused")
    for missing in ({"url": "", "email": ""}, {"password": ""}, {"url": "x" * 3000}):
        problem(_connect(api, ada, radicale, **missing), 422, "invalid_input")


def test_what_is_no_calendar_server(api: httpx.Client, ada: User, configure: Callable[..., Settings]) -> None:
    """A web server that knows nothing of CalDAV is said to be none."""
    configure(ALLOWED_PRIVATE_HOSTS=httpx.URL(str(api.base_url)).netloc.decode())
    body = {"url": str(api.base_url), "username": "ada", "password": PASSWORD}
    problem(api.post(CALDAV, headers=ada.bearer, json=body), 422, "not_caldav")


def test_a_changed_password_is_typed_again(
    api: httpx.Client, ada: User, radicale: DavServer, users: Path
) -> None:
    """The server refuses the old password, the connection says so, and the new one brings it back in place."""
    body = _connect(api, ada, radicale).json()
    connection, (calendar,) = body["connection"]["id"], body["calendars"]
    (users / "users").write_text(f"{USERNAME}:another\n")
    try:
        assert sync_requests.sync_calendar(calendar["id"]).outcome == "failed"
        found = api.get(f"/api/v1/connections/{connection}", headers=ada.bearer).json()
        assert found["status"] == "needs_reconnect"
        problem(_connect(api, ada, radicale, connection_id=connection), 422, "credentials_rejected")
        again = _connect(api, ada, radicale, password="another", connection_id=connection).json()
        assert sync_requests.sync_calendar(calendar["id"]).outcome == "done"
    finally:
        (users / "users").write_text(f"{USERNAME}:{PASSWORD}\n")
    assert again["connection"]["id"] == connection
    found = api.get(f"/api/v1/connections/{connection}", headers=ada.bearer).json()
    assert found["status"] == "connected"
    assert [one["id"] for one in again["calendars"]] == [calendar["id"]]


def test_other_peoples_connections(api: httpx.Client, ada: User, radicale: DavServer) -> None:
    """Nobody brings back a connection of somebody else's, and nobody connects without signing in."""
    connection = _connect(api, ada, radicale).json()["connection"]["id"]
    stranger = user("bob@example.com")
    problem(_connect(api, stranger, radicale, connection_id=connection), 404, "not_found")
    problem(
        api.post(CALDAV, json={"url": radicale.url, "username": USERNAME, "password": PASSWORD}),
        401,
        "not_signed_in",
    )


def test_a_consent_page_that_does_not_exist(api: httpx.Client, ada: User) -> None:
    """Starting OAuth at a provider that has none says how it is connected."""
    body = problem(api.post("/api/v1/connections/caldav/start", headers=ada.bearer), 404, "not_found")
    assert "consent page" in str(body["detail"])


def test_guessing_is_limited(api: httpx.Client, ada: User, radicale: DavServer, redis_server: Redis) -> None:
    """After some wrong passwords the account is not tried any more for a while, with the right one either."""
    statuses = [_connect(api, ada, radicale, password=f"guess {n}").status_code for n in range(7)]
    assert statuses == [422] * 6 + [429]
    refused = _connect(api, ada, radicale)
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) > 0
    assert json.loads(refused.text)["code"] == "rate_limited"
