"""The worker's side: what it imports, what runs by the clock, and that the queue may lose everything."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from redis import Redis
from rq import Queue, SimpleWorker, cron
from rq.job import JobStatus

from calendar_app import queues
from calendar_app.db.session import after_commit, transaction
from calendar_app.db.tables import Calendar
from calendar_app.services.calendar_sync import requests as sync_requests
from calendar_app.worker import jobs
from calendar_app.worker.cron import Scheduler
from tests.support import factories
from tests.support.databases import Database
from tests.support.factories import Team
from tests.support.fake_provider import FakeProvider
from tests.worker.processes import ROOT

MAIN = "main@ada@example.com"


def test_worker_starts_without_reflex() -> None:
    """A worker's process imports nothing of Reflex."""
    code = (
        "import sys, calendar_app.worker.config, calendar_app.worker.schedule; print('reflex' in sys.modules)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "False"


def test_schedule_is_read_by_rqs_own_cron(redis_server: Redis) -> None:
    """``rq cron`` finds every periodic job in the schedule, each with a time and a queue that workers serve."""
    scheduler = cron.CronScheduler(redis_server)
    scheduler.load_config_from_file("calendar_app/worker/schedule.py")
    found = {job.func_name.rpartition(".")[2]: job for job in scheduler.get_jobs()}
    assert found["refresh_tokens"].interval == 15 * 60
    assert found["sweep"].interval <= 60
    assert found["expire_holds"].interval == 60
    assert found["renew_channels"].interval == 3600
    assert found["tell_ending_grants"].interval == 3600
    assert {name for name, job in found.items() if job.cron} == {
        "extend_window",
        "drift_report",
        "clean_up",
    }
    assert {job.queue_name for job in found.values()} <= {queues.WRITES, queues.SYNC, queues.DEFAULT}
    scheduler.enqueue_jobs()
    assert Queue("writes", connection=redis_server).jobs[0].func_name == "calendar_app.worker.jobs.sweep"


_STEPS = """
import time
from datetime import datetime, timedelta, UTC
from redis import Redis
from calendar_app.settings import get_settings
from calendar_app.worker import jobs
from calendar_app.worker.cron import Scheduler
from tests.support.stepped import step

scheduler = Scheduler(Redis.from_url(get_settings().redis_url))
often = scheduler.register(jobs.sweep, "writes", interval=0.2)
hourly = scheduler.register(jobs.clean_up, "default", cron="0 * * * *")
for by in (0, 7200, -7200, -7200, 7200):
    step(by)
    time.sleep(0.25)
    print([job.name.rpartition(".")[2] for job in scheduler.enqueue_jobs()])
    assert scheduler.calculate_sleep_interval() <= 0.2
    assert timedelta() < hourly.next_enqueue_time - datetime.now(UTC) <= timedelta(hours=1)
"""


def test_a_clock_that_is_set_stops_no_periodic_job(redis_server: Redis) -> None:
    """Two hours ahead, back, two hours behind, and back: what is due every moment is queued every time, and what is
    due by the hour no later than the next one."""
    answer = subprocess.run(
        [sys.executable, "-c", _STEPS], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr
    found = [line for line in answer.stdout.splitlines() if line.startswith("[")]
    assert len(found) == 5
    assert all("sweep" in line for line in found), found


def test_a_schedule_that_redis_forgot_ends_in_peace(redis_server: Redis) -> None:
    """Its key was evicted: it is there again with the next sign of life, and ending without it is no error."""
    scheduler = Scheduler(redis_server)
    scheduler.register_birth()
    redis_server.flushall()
    scheduler.heartbeat()
    seen = queues.cron_seen(redis_server)
    assert seen is not None
    assert abs(queues.present(redis_server) - seen) < timedelta(seconds=5)
    redis_server.flushall()
    scheduler.register_death()
    assert queues.cron_seen(redis_server) is None


def test_every_job_is_documented_and_takes_ids_only() -> None:
    """Jobs carry ids and numbers, never data or secrets."""
    for name, job in inspect.getmembers(jobs, inspect.isfunction):
        if job.__module__ != jobs.__name__ or name.startswith("_"):
            continue
        assert job.__doc__, name
        for parameter in inspect.signature(job).parameters.values():
            assert parameter.annotation in ("str", "int"), name


@pytest.mark.parametrize(
    "name",
    [
        "sweep",
        "poll_calendars",
        "refresh_tokens",
        "renew_channels",
        "tell_ending_grants",
        "expire_holds",
        "extend_window",
        "clean_up",
    ],
)
def test_periodic_jobs_run_on_an_empty_database(database: Database, name: str) -> None:
    """Every periodic job runs on a database without rows and without Redis."""
    getattr(jobs, name)()


@pytest.fixture
def fake(database: Database) -> Iterator[FakeProvider]:
    """A provider with one event in Ada's calendar."""
    provider = FakeProvider()
    provider.account("ada@example.com")
    provider.add_event(MAIN, datetime.now(UTC), datetime.now(UTC) + timedelta(hours=1))
    with provider.installed():
        yield provider


@pytest.fixture
def team(fake: FakeProvider) -> Team:
    grant = fake.grant(next(iter(fake.accounts.values())))
    made = factories.team(access_token=grant.access_token, refresh_token=grant.refresh_token)
    with transaction() as session:
        row = session.get_one(Calendar, made.calendar.id)
        row.remote_id = MAIN
        session.add(row)
    return made


def work(redis_server: Redis) -> None:
    """Do what is queued, in this process."""
    names = (queues.WRITES, queues.SYNC, queues.DEFAULT)
    SimpleWorker([Queue(name, connection=redis_server) for name in names], connection=redis_server).work(
        burst=True, logging_level="ERROR"
    )


def test_redis_down_at_commit(fake: FakeProvider, team: Team, request: pytest.FixtureRequest) -> None:
    """What was asked for while Redis was away is done after it came back, without anybody asking again."""
    sync_requests.request(team.calendar.id)
    redis_server = request.getfixturevalue("redis_server")
    work(redis_server)
    assert fake.count("event_pages") == 0
    jobs.sweep()
    work(redis_server)
    assert fake.count("event_pages") == 1
    assert fake.count("watch") == 1


def test_flushall_loses_nothing(fake: FakeProvider, team: Team, redis_server: Redis) -> None:
    """After FLUSHALL everything that is due is queued again from the database."""
    sync_requests.request(team.calendar.id)
    assert Queue("sync", connection=redis_server).count == 1
    redis_server.flushall()
    jobs.sweep()
    (job,) = Queue("sync", connection=redis_server).jobs
    assert (job.func_name, job.args) == ("calendar_app.worker.jobs.sync_calendar", (team.calendar.id,))
    work(redis_server)
    assert fake.count("event_pages") == 1


def test_rolled_back_transaction_queues_nothing(database: Database, redis_server: Redis) -> None:
    """Work that should follow a commit does not follow a rollback."""

    def fail() -> None:
        with transaction() as session:
            after_commit(session, lambda: queues.enqueue("sync", "poll_calendars"))
            raise ValueError("rolled back")

    with pytest.raises(ValueError, match="rolled back"):
        fail()
    assert Queue("sync", connection=redis_server).count == 0


def test_jobs_of_one_id_coalesce(redis_server: Redis, settings: object) -> None:
    """Any number of requests for the same work make one waiting job."""
    for _ in range(5):
        assert queues.enqueue("sync", "sync_calendar", "a", job_id="sync-a")
    assert Queue("sync", connection=redis_server).job_ids == ["sync-a"]


def test_one_more_may_wait_while_one_runs(redis_server: Redis, settings: object) -> None:
    """A request that comes while the job runs is queued behind it, once; one for a dead job takes its place."""
    queue = Queue("sync", connection=redis_server)
    queues.enqueue("sync", "sync_calendar", "a", job_id="sync-a")
    (job,) = queue.jobs
    queue.remove(job)
    job.set_status(JobStatus.STARTED)
    for _ in range(3):
        queues.enqueue("sync", "sync_calendar", "a", job_id="sync-a")
    assert queue.job_ids == ["sync-a-next"]
    job.set_status(JobStatus.FAILED)
    queues.enqueue("sync", "sync_calendar", "a", job_id="sync-a")
    assert queue.job_ids == ["sync-a-next", "sync-a"]


def test_scheduled_job_gives_way_to_one_that_is_due(redis_server: Redis, settings: object) -> None:
    """Work that waits for its time is done now when somebody asks now."""
    later = datetime.now(UTC) + timedelta(hours=1)
    queues.enqueue("sync", "sync_calendar", "a", job_id="sync-a", at=later)
    queue = Queue("sync", connection=redis_server)
    assert queue.scheduled_job_registry.count == 1
    queues.enqueue("sync", "sync_calendar", "a", job_id="sync-a")
    assert queue.job_ids == ["sync-a"]
    assert queue.scheduled_job_registry.count == 0


def test_one_failing_sweep_does_not_stop_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """A periodic job does all its parts, and still fails for the operator to see."""
    done: list[str] = []

    def broken() -> None:
        raise RuntimeError("first")

    with pytest.raises(RuntimeError, match="first"):
        jobs._each(broken, lambda: done.append("second"))
    assert done == ["second"]
