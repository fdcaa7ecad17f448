"""Health, readiness and numbers: true, quick, and nobody's business but the watchers'."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis
from redis.exceptions import ResponseError
from sqlalchemy import text

from calendar_app import queues
from calendar_app.db.session import transaction
from calendar_app.services.calendar_writes import outbox as write_outbox
from calendar_app.services.operations import health, metrics
from calendar_app.settings import Settings
from calendar_app.worker.cron import Scheduler
from tests.support import servers
from tests.support.broken import meet
from tests.support.databases import Database
from tests.support.fake_provider import FakeProvider
from tests.support.people import problem
from tests.support.scheduling import Place, carry_out, ours


def checks(response: httpx.Response) -> dict[str, str]:
    """The state of each check."""
    return {check["name"]: check["status"] for check in response.json()["checks"]}


def test_alive_and_not_ready_without_redis(api: httpx.Client, database: Database) -> None:
    """Without Redis a process is alive, says what is missing, and wants no traffic."""
    alive, ready = api.get("/health"), api.get("/ready")
    assert (alive.status_code, ready.status_code) == (200, 503)
    assert alive.json() == ready.json()
    assert (alive.json()["status"], alive.json()["ready"]) == ("failed", False)
    assert {name: checks(alive)[name] for name in ("database", "redis", "workers", "cron")} == {
        "database": "ok",
        "redis": "failed",
        "workers": "failed",
        "cron": "failed",
    }
    assert checks(alive)["mode"] == "warning", "the sandbox is on"


def test_a_server_that_is_about_to_stop_wants_no_traffic(
    api: httpx.Client,
    database: Database,
    redis_server: Redis,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """From the notice on, /ready is 503 and says why, while everything is still answered."""
    notice = tmp_path / "stopping"
    monkeypatch.setenv(health.STOPPING, str(notice))
    assert api.get("/ready").status_code == 200
    notice.touch()
    response = api.get("/ready")
    assert (response.status_code, checks(response)["process"]) == (503, "failed")
    assert api.get("/health").status_code == 200


def test_missing_workers_are_told_but_serve(
    api: httpx.Client, database: Database, redis_server: Redis
) -> None:
    """Pages work without workers and cron, so traffic may come; the checks still say that they are missing."""
    response = api.get("/ready")
    assert response.status_code == 200
    found = checks(response)
    assert (found["database"], found["redis"], found["workers"], found["cron"]) == (
        "ok",
        "ok",
        "failed",
        "failed",
    )
    details = {check["name"]: check["detail"] for check in response.json()["checks"]}
    assert details["workers"] == "No worker takes jobs of writes and sync and default and webhooks."


def test_a_sweeper_that_stopped_is_told(api: httpx.Client, database: Database, redis_server: Redis) -> None:
    """What counts is that late work is looked for, not that processes exist."""
    redis_server.hset(health.LAST_RUNS, "sweep", str(datetime.now(UTC).timestamp()))
    assert checks(api.get("/health"))["sweeper"] == "ok"
    redis_server.hset(health.LAST_RUNS, "sweep", str(datetime.now(UTC).timestamp() - 3600))
    health.forget()
    assert checks(api.get("/health"))["sweeper"] == "failed"


def test_a_sign_of_life_from_the_future_is_none(
    api: httpx.Client, database: Database, redis_server: Redis
) -> None:
    """A clock was ahead when cron and sweeper were last seen: nobody knows how they are, and that is said; the next
    sign of life is by Redis's clock, and all is well."""
    scheduler = Scheduler(redis_server)
    scheduler.register_birth()
    ahead = (queues.present(redis_server) + timedelta(hours=2)).timestamp()
    redis_server.zadd("rq:cron_schedulers", {scheduler.name: ahead})
    redis_server.hset(health.LAST_RUNS, "sweep", str(ahead))
    answer = api.get("/health")
    assert (checks(answer)["cron"], checks(answer)["sweeper"]) == ("failed", "failed")
    assert "a clock was set" in answer.text
    scheduler.heartbeat()
    metrics.job_done("sweep", True)
    health.forget()
    found = checks(api.get("/health"))
    assert (found["cron"], found["sweeper"]) == ("ok", "ok")


@pytest.mark.parametrize(
    ("revision", "status", "state"), [("0001", 503, "failed"), ("9999_of_the_future", 200, "warning")]
)
def test_schemas_of_other_versions(
    api: httpx.Client, database: Database, redis_server: Redis, revision: str, status: int, state: str
) -> None:
    """An older schema cannot be served; a newer one is an upgrade in progress, beside which old code goes on."""
    with transaction() as session:
        before = session.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
        session.execute(text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})
    try:
        response = api.get("/ready")
        assert (response.status_code, checks(response)["database"]) == (status, state)
    finally:
        with transaction() as session:
            session.execute(text("UPDATE alembic_version SET version_num = :before"), {"before": before})


@contextmanager
def silent_server() -> Iterator[int]:
    """A port that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        kept: list[socket.socket] = []

        def accept() -> None:
            while True:
                try:
                    kept.append(server.accept()[0])
                except OSError:
                    return

        threading.Thread(target=accept, daemon=True).start()
        yield server.getsockname()[1]
        for one in kept:
            one.close()


def test_a_redis_that_hangs_delays_nobody(
    api: httpx.Client, database: Database, configure: Callable[..., Settings]
) -> None:
    """With a Redis that takes connections and says nothing, the answer still comes within a second, each time."""
    with silent_server() as port:
        configure(REDIS_URL=f"redis://127.0.0.1:{port}/0")
        for _ in range(3):
            began = time.monotonic()
            response = api.get("/ready")
            assert time.monotonic() - began < 1
            assert (response.status_code, checks(response)["redis"]) == (503, "failed")
            health.forget()


def test_numbers_are_in_prometheus_format(api: httpx.Client, database: Database, redis_server: Redis) -> None:
    """From this machine, every family parses, and requests are counted by route template, not by address."""
    api.get("/api/v1/bookings/some-id-of-a-booking")
    api.get("/wp-login.php")
    shown = api.get("/metrics")
    assert shown.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = {family.name: family for family in text_string_to_metric_families(shown.text)}
    routes = {sample.labels["route"] for sample in families["almanac_http_requests"].samples}
    assert {"/api/v1/bookings/{booking_id}", "other"} <= routes
    assert "some-id-of-a-booking" not in shown.text
    assert "wp-login" not in shown.text
    expected = {
        "almanac_check_ok",
        "almanac_queue_jobs",
        "almanac_workers",
        "almanac_sync_lag_seconds",
        "almanac_calendars",
        "almanac_connections",
        "almanac_channels",
        "almanac_calendar_writes",
        "almanac_mails",
        "almanac_bookings_created",
        "almanac_provider_requests",
        "almanac_provider_request_seconds",
    }
    assert expected <= set(families)


def test_numbers_need_the_token_where_one_is_set(
    api: httpx.Client, database: Database, configure: Callable[..., Settings]
) -> None:
    """With METRICS_TOKEN nothing else opens them, not even this machine."""
    configure(METRICS_TOKEN="watcher-token-1")
    problem(api.get("/metrics"), 401, "not_signed_in")
    problem(api.get("/metrics", headers={"Authorization": "Bearer wrong"}), 401, "not_signed_in")
    assert api.get("/metrics", headers={"Authorization": "Bearer watcher-token-1"}).status_code == 200


def test_a_proxy_on_this_machine_is_not_this_machine(api: httpx.Client, database: Database) -> None:
    """What a proxy passes on comes from elsewhere, so that numbers do not leak through it."""
    problem(api.get("/metrics", headers={"X-Forwarded-For": "203.0.113.9"}), 401, "not_signed_in")


def detail(response: httpx.Response, name: str) -> str:
    """The sentence of a check."""
    return next(check["detail"] for check in response.json()["checks"] if check["name"] == name)


def not_ready(api: httpx.Client, name: str) -> str:
    """The sentence of the check that keeps requests away."""
    health.forget_answers()
    response = api.get("/ready")
    assert (response.status_code, checks(response)[name]) == (503, "failed")
    return detail(response, name)


def test_a_full_redis_is_named_and_gets_no_requests(
    api: httpx.Client, database: Database, redis_server: Redis
) -> None:
    """At `maxmemory` Redis still answers what is read; whoever asks it to keep something learns the truth."""
    assert api.get("/ready").status_code == 200
    redis_server.config_set("maxmemory", 1)
    try:
        assert "full" in not_ready(api, "redis")
    finally:
        redis_server.config_set("maxmemory", 0)
    health.forget()
    assert api.get("/ready").status_code == 200


def test_a_redis_that_is_a_replica_is_named(
    api: httpx.Client, database: Database, redis_server: Redis
) -> None:
    """A replica takes no writes, and the sentence says so."""
    redis_server.execute_command("REPLICAOF", "127.0.0.1", "1")
    try:
        assert "replica" in not_ready(api, "redis")
    finally:
        redis_server.execute_command("REPLICAOF", "NO", "ONE")


def test_bookings_go_on_while_redis_cannot_save(
    api: httpx.Client, place: Place, fake: FakeProvider, redis_server: Redis
) -> None:
    """A server whose snapshots fail takes no writes (``MISCONF``): that is named, bookings and cancellations stand, and
    the sweeper brings them into the calendar when it is well."""
    body = {
        "event_type_id": place.event_type.id,
        "timezone": "Europe/Berlin",
        "name": "Grace",
        "email": "grace@example.com",
    }
    with servers.unable_to_save(redis_server):
        with pytest.raises(ResponseError, match="MISCONF"):
            redis_server.set("anything", 1)
        assert "cannot save to its disk" in not_ready(api, "redis")
        made = []
        for hour in (10, 12):
            start = place.at(hour).isoformat()
            answer = api.post(
                "/api/v1/bookings", json=body | {"start": start}, headers={"Idempotency-Key": start}
            )
            assert answer.status_code == 201, answer.text
            again = api.post(
                "/api/v1/bookings", json=body | {"start": start}, headers={"Idempotency-Key": start}
            )
            assert (again.status_code, again.json()["id"]) == (201, answer.json()["id"])
            made.append(answer.json())
        token = {"token": made[1]["manage_url"].rpartition("/")[2]}
        path = f"/api/v1/bookings/{made[1]['id']}/cancel"
        assert api.post(path, params=token, json={}).status_code == 200
        assert redis_server.llen("rq:queue:writes") == 0
    health.forget()
    assert api.get("/ready").status_code == 200
    assert write_outbox.sweep() == 2
    carry_out()
    assert list(ours(fake, place.calendars)) == [made[0]["id"]]


def test_a_redis_that_throws_jobs_away_is_a_warning(
    api: httpx.Client, database: Database, redis_server: Redis
) -> None:
    """A limit together with an eviction policy loses jobs: it works, and somebody should look."""
    redis_server.config_set("maxmemory", "1gb")
    redis_server.config_set("maxmemory-policy", "allkeys-lru")
    try:
        response = api.get("/ready")
        assert (response.status_code, checks(response)["redis"]) == (200, "warning")
        assert "noeviction" in detail(response, "redis")
    finally:
        redis_server.config_set("maxmemory", 0)
        redis_server.config_set("maxmemory-policy", "noeviction")


def test_a_full_database_is_named(api: httpx.Client, database: Database, redis_server: Redis) -> None:
    """Once a booking has met a full disk, `/ready` says so for a minute, in one sentence with what to do."""
    assert api.get("/ready").status_code == 200
    meet(database, full=True)
    assert "is full: make room" in not_ready(api, "database")


def test_damage_is_named(api: httpx.Client, database: Database, redis_server: Redis) -> None:
    """So is a damaged file or page, with how to restore a backup."""
    meet(database, full=False)
    assert "restore a backup" in not_ready(api, "database")


def test_a_database_that_takes_no_writes_is_named(
    api: httpx.Client, database: Database, redis_server: Redis
) -> None:
    """A PostgreSQL standby answers everything that is read."""
    if database.kind != "postgresql":
        pytest.skip("a file's folder is tried in the test of the full disk")
    with psycopg.connect(database.url, autocommit=True) as connection:
        name = connection.info.dbname
        connection.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
        try:
            database.engine.dispose()
            assert "takes no writes" in not_ready(api, "database")
        finally:
            connection.execute(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')
            database.engine.dispose()


def test_a_database_that_does_not_sync_is_named(api: httpx.Client, database: Database) -> None:
    """PostgreSQL without synchronous_commit may lose what was acknowledged: the tests' own server runs so."""
    response = api.get("/health")
    if database.kind == "sqlite":
        assert checks(response)["durability"] == "ok"
        return
    assert checks(response)["durability"] == "warning"
    assert "synchronous_commit" in detail(response, "durability")
    with psycopg.connect(database.url, autocommit=True) as connection:
        name = connection.info.dbname
        connection.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = on')
        try:
            database.engine.dispose()
            health.forget()
            assert "synchronous_commit" not in detail(api.get("/health"), "durability")
        finally:
            connection.execute(f'ALTER DATABASE "{name}" RESET synchronous_commit')
            database.engine.dispose()
