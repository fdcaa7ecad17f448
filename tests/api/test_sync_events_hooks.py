"""Sync, events and pushes over HTTP."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from redis import Redis
from rq import Queue
from sqlmodel import select

from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import Calendar, Connection, Person, Workspace
from calendar_app.services.calendar_sync import push_channels
from calendar_app.services.calendar_sync import requests as sync_requests
from tests.support import factories
from tests.support.databases import Database
from tests.support.fake_provider import FakeProvider
from tests.support.people import User, problem, user

MAIN = "main@ada@example.com"
START = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Office:
    """Ada, her calendar, and the provider that holds it."""

    ada: User
    fake: FakeProvider
    connection: Connection
    calendar: Calendar


@pytest.fixture
def office(database: Database) -> Iterator[Office]:
    """Ada with a connected calendar that holds three events and has been read."""
    ada = user()
    fake = FakeProvider()
    account = fake.account("ada@example.com")
    with fake.installed():
        grant = fake.grant(account)
        with reading() as session:
            person = session.get_one(Person, ada.identity.person_id)
            workspace = session.get_one(Workspace, ada.workspace_id)
        connection = factories.connection(
            person, workspace, access_token=grant.access_token, refresh_token=grant.refresh_token
        )
        calendar = factories.calendar(connection, remote_id=MAIN, is_primary=True, name="Main")
        for number in range(3):
            begin = START + timedelta(days=number)
            fake.add_event(MAIN, begin, begin + timedelta(hours=1), summary=f"Event {number}")
        sync_requests.sync_calendar(calendar.id)
        yield Office(ada, fake, connection, calendar)


def test_sync_of_everything_one_connection_one_calendar(
    api: httpx.Client, office: Office, redis_server: Redis
) -> None:
    """All three ways of asking queue the calendar, once."""
    for body in (None, {}, {"connection_id": office.connection.id}, {"calendar_id": office.calendar.id}):
        answer = api.post("/api/v1/sync", headers=office.ada.bearer, json=body)
        assert (answer.status_code, answer.json()) == (202, {"calendar_ids": [office.calendar.id]})
    assert len(Queue("sync", connection=redis_server).job_ids) == 1
    (status,) = api.get("/api/v1/sync/status", headers=office.ada.bearer).json()["items"]
    assert (status["state"], status["calendar_name"], status["failures"]) == ("queued", "Main", 0)
    assert datetime.fromisoformat(status["synced_at"]).tzinfo


def test_sync_of_what_is_not_there(api: httpx.Client, office: Office) -> None:
    """Unknown ids and other workspaces' are 404, unknown fields 422, and nobody's request 401."""
    stranger = user("eve@example.com")
    for body in ({"calendar_id": "nope"}, {"connection_id": "nope"}):
        problem(api.post("/api/v1/sync", headers=office.ada.bearer, json=body), 404, "not_found")
    mine = {"calendar_id": office.calendar.id}
    problem(api.post("/api/v1/sync", headers=stranger.bearer, json=mine), 404, "not_found")
    path = f"/api/v1/sync/{office.calendar.id}/accept-removals"
    problem(api.post(path, headers=stranger.bearer), 404, "not_found")
    assert api.post(path, headers=office.ada.bearer).status_code == 202
    problem(api.post("/api/v1/sync", headers=office.ada.bearer, json={"all": True}), 422, "invalid_input")
    problem(api.post("/api/v1/sync", json={}), 401, "not_signed_in")
    assert api.get("/api/v1/sync/status", headers=stranger.bearer).json() == {"items": [], "next": None}


def test_sync_of_a_lost_connection(api: httpx.Client, office: Office) -> None:
    """Asking for a calendar whose account must be connected again says so."""
    with transaction() as session:
        row = session.get_one(Connection, office.connection.id)
        row.status = "needs_reconnect"
        session.add(row)
    body = {"calendar_id": office.calendar.id}
    problem(api.post("/api/v1/sync", headers=office.ada.bearer, json=body), 409, "needs_reconnect")
    assert api.post("/api/v1/sync", headers=office.ada.bearer).json() == {"calendar_ids": []}


def test_upcoming_events(api: httpx.Client, office: Office) -> None:
    """``/events/upcoming`` gives what comes next, as many and as far as asked."""
    items = api.get("/api/v1/events/upcoming", headers=office.ada.bearer).json()["items"]
    assert [one["title"] for one in items] == ["Event 0", "Event 1", "Event 2"]
    assert datetime.fromisoformat(items[0]["start"]) == START
    assert items[0]["calendar_name"] == "Main"
    assert items[0]["busy"] is True
    short = api.get("/api/v1/events/upcoming?limit=1&days=30", headers=office.ada.bearer).json()["items"]
    assert len(short) == 1


def test_events_between(api: httpx.Client, office: Office) -> None:
    """``/events`` gives a period, page by page, in any zone the caller writes its times in."""
    period = {
        "start": (START - timedelta(hours=1)).isoformat(),
        "end": (START + timedelta(days=9)).isoformat(),
    }
    first = api.get("/api/v1/events", headers=office.ada.bearer, params=period | {"limit": "2"}).json()
    assert len(first["items"]) == 2
    rest = api.get(
        "/api/v1/events", headers=office.ada.bearer, params=period | {"after": first["next"]}
    ).json()
    assert [one["title"] for one in rest["items"]] == ["Event 2"]
    assert rest["next"] is None
    assert len(api.get("/api/v1/events", headers=office.ada.bearer).json()["items"]) == 3


@pytest.mark.parametrize(
    "query",
    [
        "start=2026-03-01T10:00:00",
        "start=2026-03-02T10:00:00Z&end=2026-03-01T10:00:00Z",
        "start=2026-03-02T10:00:00Z&end=2036-03-01T10:00:00Z",
        "start=0001-01-01T00:00:00%2B14:00",
        "start=9999-12-31T23:59:59Z",
        "limit=0",
        "after=x",
        "after=99999999999999999999.1.1",
    ],
)
def test_bad_questions_are_422(api: httpx.Client, office: Office, query: str) -> None:
    """Naive times, empty and endless periods, the ends of time and foreign positions are refused."""
    problem(api.get(f"/api/v1/events?{query}", headers=office.ada.bearer), 422, "invalid_input")


def test_events_of_others_are_not_found(api: httpx.Client, office: Office) -> None:
    """Another workspace's calendar is 404, and its events are not in anybody else's list."""
    stranger = user("eve@example.com")
    query = f"/api/v1/events?calendar_id={office.calendar.id}"
    problem(api.get(query, headers=stranger.bearer), 404, "not_found")
    assert api.get("/api/v1/events", headers=stranger.bearer).json()["items"] == []
    assert len(api.get(query, headers=office.ada.bearer).json()["items"]) == 3


def push(office: Office, number: int = 1, **changes: str) -> dict[str, str]:
    ((channel_id, (_, token, _)),) = office.fake.channels.items()
    headers = {
        "X-Goog-Channel-ID": channel_id,
        "X-Goog-Channel-Token": token,
        "X-Goog-Message-Number": str(number),
        "X-Goog-Resource-State": "exists",
    }
    return headers | changes


def test_push_is_answered_and_queued(api: httpx.Client, office: Office, redis_server: Redis) -> None:
    """A genuine push is answered with 204 and queues one job; a replay queues nothing more."""
    push_channels.ensure(office.calendar.id)
    assert api.post("/api/v1/hooks/fake", headers=push(office)).status_code == 202
    queue = Queue("sync", connection=redis_server)
    (job,) = queue.jobs
    job.perform()
    job.delete()
    assert api.post("/api/v1/hooks/fake", headers=push(office)).status_code == 202
    assert queue.count == 0


def test_forged_pushes(api: httpx.Client, office: Office, redis_server: Redis) -> None:
    """Unknown channels are 404, wrong tokens 403, nothing is queued, and nothing of the request comes back."""
    push_channels.ensure(office.calendar.id)
    unknown = push(office, **{"X-Goog-Channel-ID": "<script>"})
    body = problem(api.post("/api/v1/hooks/fake", headers=unknown), 404, "not_found")
    assert "script" not in str(body)
    wrong = push(office, **{"X-Goog-Channel-Token": "wrong"})
    problem(api.post("/api/v1/hooks/fake", headers=wrong), 403, "forbidden")
    problem(api.post("/api/v1/hooks/fake"), 404, "not_found")
    assert Queue("sync", connection=redis_server).count == 0


@pytest.mark.serial
def test_push_is_answered_at_once(
    api: httpx.Client, office: Office, redis_server: Redis, database: Database
) -> None:
    """A push is answered within 50 ms, also while somebody writes to the database for a long time."""
    push_channels.ensure(office.calendar.id)
    api.post("/api/v1/hooks/fake", headers=push(office, 1))
    took = []
    with transaction() as session:
        for row in session.exec(select(Calendar)):
            row.name = "locked"
            session.add(row)
        session.flush()
        for number in range(2, 17):
            begun = time.perf_counter()
            assert api.post("/api/v1/hooks/fake", headers=push(office, number)).status_code == 202
            took.append(time.perf_counter() - begun)
    assert min(took) < 0.05, took  # the best of them: other processes may share the machine
