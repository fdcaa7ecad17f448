"""Real ``rq worker`` processes that are killed in the middle of their work, over real HTTP to a slow provider."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import anyio.to_thread
import pytest
from redis import Redis
from rq import Queue
from sqlmodel import col, func, select

from calendar_app import queues
from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import Calendar, Channel, Event, Occurrence
from calendar_app.services.calendar_sync import requests as sync_requests
from calendar_app.settings import Settings
from tests.sandbox.server import OWNER, Sandbox, running_sandbox
from tests.support import factories
from tests.support.clock import Clock
from tests.support.databases import Database
from tests.support.factories import Team
from tests.worker.processes import Process, cron, wait_until, worker

pytestmark = [pytest.mark.slow, pytest.mark.serial, pytest.mark.timeout(180)]

EVENTS = 6_000
"""More than two pages of Google's 2,500."""


class Gate:
    """ASGI middleware that holds every page of a listing but the first, and counts listings, until it is opened."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self.open = threading.Event()
        self.held = threading.Event()
        self.listings = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["method"] == "GET" and scope["path"].endswith("/events"):
            query = parse_qs(scope["query_string"].decode())
            if "timeMax" in query:
                pass  # the coming weeks, which are read ahead
            elif "pageToken" in query:
                self.held.set()
                await anyio.to_thread.run_sync(self.open.wait, 60, abandon_on_cancel=True)
            else:
                self.listings += 1
        await self._app(scope, receive, send)


@dataclass(frozen=True, slots=True)
class Place:
    """A provider behind a gate, a team that is connected to it, and the environment that workers need."""

    sandbox: Sandbox
    gate: Gate
    team: Team
    environment: dict[str, str]
    log: Path

    def worker(self) -> Any:
        return worker(self.environment, self.log)


@pytest.fixture
def place(
    database: Database,
    redis_server: Redis,
    configure: Callable[..., Settings],
    tmp_path: Path,
) -> Iterator[Place]:
    gates: list[Gate] = []

    def wrap(app: Any) -> Gate:
        gates.append(Gate(app))
        return gates[0]

    with running_sandbox(clock=Clock(datetime.now(UTC)), wrap=wrap) as sandbox:
        settings = configure(**sandbox.environment)
        tokens = sandbox.tokens()
        team = factories.team(
            provider="google",
            account_email=OWNER,
            access_token=tokens["access_token"],
            refresh_token=tokens["refresh_token"],
        )
        with transaction() as session:
            row = session.get_one(Calendar, team.calendar.id)
            row.remote_id = OWNER
            session.add(row)
        environment = {
            **sandbox.environment,
            "DATA_DIR": str(settings.data_dir),
            "DATABASE_URL": settings.database_url,
            "REDIS_URL": settings.redis_url,
            "SECRET_KEY": settings.secret_key.get_secret_value(),
            "ENCRYPTION_KEYS": settings.encryption_keys[0].get_secret_value(),
        }
        try:
            yield Place(sandbox, gates[0], team, environment, tmp_path / "worker.log")
        finally:
            gates[0].open.set()


def generate(place: Place, count: int) -> None:
    answer = place.sandbox.client.post(
        f"/sandbox/api/calendars/{OWNER}/generate", json={"count": count, "days": 365}, timeout=60
    )
    assert answer.status_code == 200, answer.text


def calendar(place: Place) -> Calendar:
    with reading() as session:
        return session.get_one(Calendar, place.team.calendar.id)


def synced(place: Place) -> bool:
    return calendar(place).synced_at is not None


def stored(place: Place) -> Counter[str]:
    with reading() as session:
        mine = col(Event.calendar_id) == place.team.calendar.id
        return Counter(session.exec(select(Event.remote_id).where(mine)).all())


def at_provider(place: Place) -> Counter[str]:
    answer = place.sandbox.client.get(
        f"/sandbox/api/calendars/{OWNER}/events", params={"limit": "100000"}, timeout=60
    ).json()
    return Counter(item["id"] for item in answer["items"])


def running(process: Process) -> None:
    assert process.running, process.output


def test_worker_killed_in_the_middle_of_a_sync(place: Place) -> None:
    """kill -9 between two pages leaves nothing half-done but the coming weeks, each of their events once; the next
    worker brings every event exactly once."""
    generate(place, EVENTS)
    sync_requests.request(place.team.calendar.id)
    with place.worker() as first:
        assert place.gate.held.wait(60), first.output
        assert wait_until(lambda: calendar(place).sync_progress) == 2_500
        first.kill()
    assert set(stored(place).values()) == {1}
    assert not synced(place)
    assert calendar(place).sync_cursor is None
    assert sync_requests.sweep() == 0
    place.gate.open.set()
    with transaction() as session:  # three minutes pass
        row = session.get_one(Calendar, place.team.calendar.id)
        row.sync_lease_until = datetime.now(UTC) - timedelta(seconds=1)
        session.add(row)
    with place.worker() as second:
        assert sync_requests.sweep() == 1
        wait_until(lambda: synced(place) or running(second), 60)
        expected = at_provider(place)
        assert len(expected) > EVENTS
        assert stored(place) == expected
    with reading() as session:
        singles = (
            select(func.count())
            .select_from(Occurrence)
            .where(col(Occurrence.calendar_id) == place.team.calendar.id)
        )
        assert (session.scalar(singles) or 0) >= EVENTS


@pytest.mark.parametrize("quick", [False, True])
def test_worker_that_is_asked_to_stop_ends_its_job_first(
    place: Place, redis_server: Redis, database: Database, quick: bool
) -> None:
    """SIGTERM in the middle of a job, in a process of its own or not: it is done to its end, and no other is begun."""
    if database.kind == "sqlite":
        pytest.skip("the same on both")
    generate(place, 2_600)
    calendar_id = place.team.calendar.id
    if quick:
        ends = datetime.now(UTC) + timedelta(days=3)
        channel = factories.save(
            Channel(calendar_id=calendar_id, secret="s", resource_id="r", expires_at=ends)
        )
        queues.enqueue(queues.SYNC, "push", channel.id, 1, "changed")
    else:
        sync_requests.request(calendar_id)
    with place.worker() as process:
        assert place.gate.held.wait(60), process.output
        process.terminate()
        queues.enqueue(queues.SYNC, "sync_calendar", calendar_id)
        place.gate.open.set()
        wait_until(lambda: not process.running, 60)
    assert synced(place), process.output
    assert place.gate.listings == 1
    assert stored(place) == at_provider(place)
    assert Queue(queues.SYNC, connection=redis_server).count == 1


def test_redis_flushed_under_a_running_worker(place: Place, redis_server: Redis) -> None:
    """A worker that is connected goes on after FLUSHALL; what was queued is queued again by the sweeper."""
    place.gate.open.set()
    with place.worker() as process:
        wait_until(lambda: redis_server.smembers("rq:workers"))
        sync_requests.request(place.team.calendar.id)
        redis_server.flushall()
        wait_until(lambda: (sync_requests.sweep(), synced(place))[1] or running(process), 60)
        assert stored(place) == at_provider(place)


def test_schedule_and_worker_do_it_alone(place: Place) -> None:
    """With nobody asking, the clock and one worker read a new calendar and open its push channel."""
    place.gate.open.set()
    with cron(place.environment, place.log), place.worker() as process:
        wait_until(lambda: synced(place) or running(process), 60)
        assert stored(place) == at_provider(place)
        accounts = place.sandbox.client.get
        wait_until(
            lambda: any(account["channels"] for account in accounts("/sandbox/api/accounts").json()["items"])
        )
