"""Every alarm rings in the state that its runbook names, and none while all is well.

The state is brought about in the product, its numbers are read from ``/metrics`` and handed to Prometheus's own
``promtool``, as if they had been so for three hours: gauges as they stand, counters rising every minute by what came.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis
from rq import Queue
from rq.cron import CronScheduler
from rq.job import Job
from rq.worker import Worker

from calendar_app import metering, queues
from calendar_app.db.tables import Channel, Deviation, Mail
from calendar_app.services.operations import health, metrics
from tests.support import factories, servers
from tests.support.broken import meet
from tests.support.databases import Database

RULES = Path(__file__).resolve().parents[2] / "deploy" / "prometheus-alerts.yaml"
PROMTOOL = shutil.which("promtool")
MINUTES = 180

pytestmark = pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed")

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture(autouse=True)
def _nothing_counted() -> Iterator[None]:
    metering.take()
    yield
    metering.take()


@pytest.fixture
def well(database: Database, redis_server: Redis) -> Iterator[Redis]:
    """An installation that is well: a worker, a cron process, somebody who looks for what is late."""
    worker = Worker([Queue(name, connection=redis_server) for name in queues.ALL], connection=redis_server)
    worker.register_birth()
    CronScheduler(redis_server).register_birth()
    redis_server.hset(health.LAST_RUNS, "sweep", str(datetime.now(UTC).timestamp()))
    return redis_server


def ago(**parts: float) -> datetime:
    return datetime.now(UTC) - timedelta(**parts)


def samples() -> Samples:
    health.forget_answers()
    found = text_string_to_metric_families(metrics.exposition().decode())
    return {
        (one.name, tuple(sorted(one.labels.items()))): one.value for family in found for one in family.samples
    }


def series(before: Samples, after: Samples, up: int) -> list[dict[str, str]]:
    """promtool's notation: ``first+step x times``."""
    rows = [{"series": 'up{job="almanac"}', "values": f"{up}x{MINUTES}"}]
    for (name, labels), value in after.items():
        text = ",".join(f'{label}="{content}"' for label, content in labels)
        counts = name.endswith(("_total", "_bucket", "_sum", "_count"))
        step = value - before.get((name, labels), 0.0) if counts else 0.0
        rows.append({"series": f"{name}{{{text}}}", "values": f"{value}+{step}x{MINUTES}"})
    return rows


def _rings(tmp_path: Path, name: str, rows: list[dict[str, str]]) -> bool:
    expression = f'count(ALERTS{{alertname="{name}",alertstate="firing"}}) > bool 0'
    return _promtool(tmp_path, rows, [{"expr": expression, "value": 1.0}])


def _promtool(tmp_path: Path, rows: list[dict[str, str]], wanted: Sequence[dict[str, Any]]) -> bool:
    case = {
        "rule_files": [str(RULES)],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": rows,
                "promql_expr_test": [
                    {
                        "expr": one["expr"],
                        "eval_time": f"{MINUTES}m",
                        "exp_samples": [{"labels": "{}", "value": one["value"]}],
                    }
                    for one in wanted
                ],
            }
        ],
    }
    file = tmp_path / "case.yaml"
    file.write_text(yaml.safe_dump(case))
    done = subprocess.run([str(PROMTOOL), "test", "rules", file], capture_output=True, text=True, check=False)
    assert "SUCCESS" in done.stdout or "FAILED" in done.stdout + done.stderr, done
    assert "parse" not in done.stderr, done
    return done.returncode == 0


# --- the states -------------------------------------------------------------------------------------------------------


def database_is_full(database: Database, _redis: Redis) -> None:
    meet(database, full=True)


def database_is_damaged(database: Database, _redis: Redis) -> None:
    meet(database, full=False)


def redis_is_full(_database: Database, redis: Redis) -> None:
    redis.config_set("maxmemory", 1)


def redis_is_a_replica(_database: Database, redis: Redis) -> None:
    redis.execute_command("REPLICAOF", "127.0.0.1", "1")


def no_worker(_database: Database, redis: Redis) -> None:
    for worker in Worker.all(connection=redis):
        worker.register_death()


def no_clock(_database: Database, redis: Redis) -> None:
    redis.delete("rq:cron_schedulers")


def nobody_sweeps(_database: Database, redis: Redis) -> None:
    redis.hset(health.LAST_RUNS, "sweep", str(ago(hours=1).timestamp()))


def queue_is_late(_database: Database, redis: Redis) -> None:
    queues.enqueue(queues.WRITES, "sweep", job_id="late")
    job = Job.fetch("late", connection=redis)
    job.enqueued_at = ago(minutes=20)
    job.save()


def a_write(**columns: Any) -> None:
    team = factories.team()
    start = datetime.now(UTC) + timedelta(days=3)
    booking = factories.booking(factories.event_type(team.workspace, team.person), team.person, start)
    calendar = factories.calendar(factories.connection(team.person, team.workspace))
    factories.calendar_write(booking, calendar, **columns)


def write_is_behind(_database: Database, _redis: Redis) -> None:
    a_write(created_at=ago(hours=1))


def write_gave_up(_database: Database, _redis: Redis) -> None:
    a_write(state="failed")


def email_gave_up(_database: Database, _redis: Redis) -> None:
    place = factories.team().workspace.id
    factories.save(
        Mail(workspace_id=place, kind="x", dedupe="x", recipient="a@b.example", subject="", state="failed")
    )


def calendars_are_old(_database: Database, _redis: Redis) -> None:
    team = factories.team()
    account = factories.connection(team.person, team.workspace, provider="google")
    factories.calendar(account, synced_at=ago(hours=2))


def many_need_reconnecting(_database: Database, _redis: Redis) -> None:
    for _ in range(6):
        team = factories.team()
        factories.connection(team.person, team.workspace, provider="google", status="needs_reconnect")


def provider_fails(_database: Database, _redis: Redis) -> None:
    metering.count(metering.PROVIDER_REQUESTS, "google", "events.list", "503", amount=5)


def channel_expired(_database: Database, _redis: Redis) -> None:
    team = factories.team()
    calendar = factories.calendar(factories.connection(team.person, team.workspace, provider="google"))
    factories.save(Channel(calendar_id=calendar.id, secret="s", resource_id="r", expires_at=ago(hours=3)))


def much_differs(_database: Database, _redis: Redis) -> None:
    team = factories.team()
    calendar = factories.calendar(factories.connection(team.person, team.workspace))
    for number in range(21):
        factories.save(
            Deviation(
                workspace_id=team.workspace.id,
                calendar_id=calendar.id,
                remote_id=f"e{number}",
                kind="moved",
                found_at=ago(hours=1),
            )
        )


def requests_fail(_database: Database, _redis: Redis) -> None:
    metering.count(metering.HTTP_REQUESTS, "POST", "/api/v1/bookings", "500", amount=3)


def requests_are_slow(_database: Database, _redis: Redis) -> None:
    for _ in range(5):
        metering.observe(metering.HTTP_SECONDS, 9.0, "POST", "/api/v1/bookings")


def a_job_fails(_database: Database, _redis: Redis) -> None:
    metering.count(metering.JOBS, "sync_calendar", "failed")


STATES: list[tuple[str, Callable[[Database, Redis], None]]] = [
    ("AlmanacDatabase", database_is_full),
    ("AlmanacDatabase", database_is_damaged),
    ("AlmanacRedis", redis_is_full),
    ("AlmanacRedis", redis_is_a_replica),
    ("AlmanacNoWorker", no_worker),
    ("AlmanacClockStopped", no_clock),
    ("AlmanacClockStopped", nobody_sweeps),
    ("AlmanacQueueLate", queue_is_late),
    ("AlmanacWritesBehind", write_is_behind),
    ("AlmanacDeadLetters", write_gave_up),
    ("AlmanacDeadLetters", email_gave_up),
    ("AlmanacSyncLag", calendars_are_old),
    ("AlmanacReconnect", many_need_reconnecting),
    ("AlmanacProviderErrors", provider_fails),
    ("AlmanacChannelsExpired", channel_expired),
    ("AlmanacDrift", much_differs),
    ("AlmanacServerErrors", requests_fail),
    ("AlmanacSlow", requests_are_slow),
    ("AlmanacJobsFail", a_job_fails),
]


@pytest.mark.parametrize(("alarm", "state"), STATES, ids=[state.__name__ for _, state in STATES])
def test_each_alarm_rings_in_its_state(
    database: Database,
    well: Redis,
    tmp_path: Path,
    alarm: str,
    state: Callable[[Database, Redis], None],
) -> None:
    """The state is brought about once; after three hours of it the alarm rings."""
    before = samples()
    try:
        state(database, well)
        after = samples()
    finally:
        well.config_set("maxmemory", 0)
        well.execute_command("REPLICAOF", "NO", "ONE")
    assert _rings(tmp_path, alarm, series(before, after, 1))


def test_a_redis_that_cannot_save_rings(database: Database, well: Redis, tmp_path: Path) -> None:
    """Its snapshots fail, so that it takes no writes, while it answers whatever is read."""
    before = samples()
    with servers.unable_to_save(well):
        after = samples()
    assert _rings(tmp_path, "AlmanacRedis", series(before, after, 1))


def test_no_alarm_rings_while_all_is_well(database: Database, well: Redis, tmp_path: Path) -> None:
    """And when no web process answers any more, that alarm rings."""
    found = samples()
    silence = {"expr": 'count(ALERTS{alertstate="firing"}) or vector(0)', "value": 0.0}
    assert _promtool(tmp_path, series(found, found, 1), [silence])
    assert _rings(tmp_path, "AlmanacDown", series({}, {}, 0))


def test_every_alarm_is_tried() -> None:
    """No rule without a state in which it was seen to ring."""
    rules = yaml.safe_load(RULES.read_text())["groups"]
    names = {rule["alert"] for group in rules for rule in group["rules"]}
    assert {alarm for alarm, _ in STATES} | {"AlmanacDown"} == names
