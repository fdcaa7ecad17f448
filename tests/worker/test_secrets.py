"""No secret in clear where it does not belong: in logs, in Redis, in stacks, in the database."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from redis import Redis
from sqlalchemy import inspect, text
from sqlmodel import select

from calendar_app import logs, queues
from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import Calendar, Connection
from calendar_app.services.calendar_sync import requests as sync_requests
from calendar_app.settings import Settings
from tests.sandbox.server import OWNER, running_sandbox
from tests.support import factories
from tests.support.clock import Clock
from tests.support.databases import Database
from tests.support.people import PASSWORD, user
from tests.worker.processes import wait_until, worker

pytestmark = [pytest.mark.slow, pytest.mark.serial, pytest.mark.timeout(120)]

log = logging.getLogger(__name__)


def careless(connection_id: str) -> None:
    """A job that does everything wrong: it logs a token, and fails with it in its message."""
    with reading() as session:
        row = session.get_one(Connection, connection_id)
        log.warning(
            "called with Bearer %s", row.access_token, extra={"refresh": f"refresh_token={row.refresh_token}"}
        )
        raise RuntimeError(
            f"400 from /token?access_token={row.access_token}&refresh_token={row.refresh_token}"
        )


def everything_in(client: Redis) -> str:
    """All keys of a Redis with what they hold, compressed stacks included."""
    found = []
    for key in client.scan_iter():
        kind = client.type(key).decode()
        found.append(key.decode(errors="replace"))
        if kind == "string":
            found.append(repr(client.get(key)))
        elif kind == "hash":
            found.append(repr(client.hgetall(key)))
        elif kind == "list":
            found.append(repr(client.lrange(key, 0, -1)))
        elif kind == "set":
            found.append(repr(client.smembers(key)))
        elif kind == "zset":
            found.append(repr(client.zrange(key, 0, -1)))
        elif kind == "stream":
            found.append(repr(client.xrange(key)))
    for one in queues.failed_jobs(client):
        job = queues.Job.fetch(one.id, connection=client)
        found += [str(result.exc_string) for result in job.results()]
    return "\n".join(found)


def everything_at(database: Database) -> str:
    """All rows of all tables, as the database holds them."""
    found = []
    with reading() as session:
        for table in inspect(database.engine).get_table_names():
            found += [repr(tuple(row)) for row in session.execute(text(f'SELECT * FROM "{table}"'))]
    return "\n".join(found)


def test_no_secret_is_found_anywhere(
    database: Database,
    redis_server: Redis,
    configure: Callable[..., Settings],
    api: httpx.Client,
    tmp_path: Path,
    logging_restored: None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """After sign-ins, a token refresh, a sync, and a job that fails with tokens in its message: grep finds none."""
    if database.kind == "sqlite":
        pytest.skip("columns and logs are the same on both databases: the dump of one will do")
    with running_sandbox(clock=Clock(datetime.now(UTC))) as sandbox:
        settings = configure(**sandbox.environment, LOG_FORMAT="json", LOG_LEVEL="DEBUG")
        logs.configure(settings, "web")
        ada = user()
        tokens = sandbox.tokens()
        team = factories.team(
            provider="google",
            account_email=OWNER,
            access_token=tokens["access_token"],
            refresh_token=tokens["refresh_token"],
            access_expires_at=datetime.now(UTC) - timedelta(minutes=1),
        )
        with transaction() as session:
            session.get_one(Calendar, team.calendar.id).remote_id = OWNER
        secrets = [
            tokens["access_token"],
            tokens["refresh_token"],
            PASSWORD,
            settings.google_client_secret.get_secret_value(),
        ]
        secrets += [settings.secret_key.get_secret_value(), settings.encryption_keys[0].get_secret_value()]
        secrets += [
            ada.bearer["Authorization"].removeprefix("Bearer "),
            ada.cookie["Cookie"].partition("=")[2],
        ]
        made = api.post(
            "/api/v1/tokens", json={"name": "x"}, headers=ada.bearer | {"X-Request-Id": "request-0001"}
        )
        secrets.append(made.json()["access_token"])
        environment = sandbox.environment | {
            "DATA_DIR": str(settings.data_dir),
            "DATABASE_URL": settings.database_url,
            "REDIS_URL": settings.redis_url,
            "SECRET_KEY": settings.secret_key.get_secret_value(),
            "ENCRYPTION_KEYS": settings.encryption_keys[0].get_secret_value(),
            "LOG_FORMAT": "json",
            "LOG_LEVEL": "DEBUG",
        }
        with logs.bound(request="request-0001"):
            sync_requests.request(team.calendar.id)
            queue = queues.Queue("default", connection=redis_server)
            queue.enqueue(
                careless, team.connection.id, meta={queues.REQUEST: "request-0001"}, failure_ttl=600
            )
        with worker(environment, tmp_path / "worker.log") as process:
            wait_until(lambda: queues.failed_jobs(redis_server))
            wait_until(lambda: _synced(team))
            with reading() as session:
                row = session.exec(select(Connection)).one()
                assert row.access_token not in secrets, "the token was refreshed"
                secrets += [str(row.access_token), str(row.refresh_token)]
        places = {
            "the worker's log": process.output,
            "the web's log": capsys.readouterr().err,
            "Redis": everything_in(redis_server),
            "the database": everything_at(database),
        }
    for place, content in places.items():
        leaked = [secret for secret in secrets if secret in content]
        assert not leaked, f"{len(leaked)} secrets in {place}"
    assert "RuntimeError: 400 from" in places["Redis"], "the stack is there, without its tokens"
    assert "RuntimeError: 400 from" in places["the worker's log"]
    lines = [json.loads(line) for line in process.output.splitlines() if line.startswith("{")]
    said = next(line for line in lines if line["message"].startswith("called with"))
    assert (said["request_id"], said["process"]) == ("request-0001", "worker")
    assert said["job_id"] != "-"
    jobs = {(line.get("job"), line["request_id"]) for line in lines if line["message"] == "job"}
    assert ("sync_calendar", "request-0001") in jobs, "a job that a request queued is logged under its id"


def _synced(team: factories.Team) -> bool:
    with reading() as session:
        return session.get_one(Calendar, team.calendar.id).synced_at is not None
