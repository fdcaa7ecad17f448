"""The worker class: what it does itself, what it forks for, and that neither goes on for ever."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable

import pytest
from redis import Redis
from rq import Queue
from rq.job import Job
from rq.timeouts import JobTimeoutException

from calendar_app.db.session import get_engine, make_engine, reading, transaction, use_engine
from calendar_app.db.tables import Calendar
from calendar_app.providers.http import shared_client
from calendar_app.settings import Settings
from calendar_app.worker import runner
from calendar_app.worker.runner import Worker
from tests.support import factories
from tests.support.databases import Database
from tests.worker.processes import ROOT

HERE = __name__


def note(key: str) -> None:
    """A job that leaves the process in which it was done."""
    Redis.from_url(os.environ["TEST_REDIS"]).rpush(key, os.getpid())


def fail() -> None:
    """A job that raises."""
    raise RuntimeError("refused: access_token=ya29.a0AfH6SMBsecretsecret")


def linger() -> None:
    """A job that outlasts its time-out, and heeds it."""
    time.sleep(30)


def stay() -> None:
    """A job that outlasts its time-out, and does not heed it."""
    while True:
        try:
            time.sleep(30)
        except JobTimeoutException:
            continue


@pytest.fixture
def queue(redis_server: Redis, configure: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch) -> Queue:
    settings = configure()
    monkeypatch.setenv("TEST_REDIS", settings.redis_url)
    quick = {f"{HERE}.{job.__name__}" for job in (note, fail, linger, stay)}
    monkeypatch.setattr(runner, "QUICK", frozenset(quick))
    return Queue("writes", connection=redis_server)


def work(queue: Queue) -> None:
    Worker([queue], connection=queue.connection).work(burst=True)


def pids(queue: Queue, key: str) -> list[int]:
    return [int(pid) for pid in queue.connection.lrange(key, 0, -1)]  # type: ignore[union-attr]


def test_quick_jobs_need_no_process_of_their_own(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is quick is done by the worker itself, everything else in a process that ends with it."""
    queue.enqueue(note, "here")
    work(queue)
    assert pids(queue, "here") == [os.getpid()]
    monkeypatch.setattr(runner, "QUICK", frozenset())
    for _ in range(2):
        queue.enqueue(note, "there")
    work(queue)
    assert len({*pids(queue, "there"), os.getpid()}) == 3


def test_a_quick_job_that_fails_leaves_the_worker_at_work(queue: Queue) -> None:
    """Its reason is kept without secrets, as that of a forked one, and the next job is done."""
    failed = queue.enqueue(fail)
    queue.enqueue(note, "after")
    work(queue)
    assert pids(queue, "after") == [os.getpid()]
    assert failed.id in queue.failed_job_registry
    result = Job.fetch(failed.id, connection=queue.connection).latest_result()
    assert result is not None
    assert "RuntimeError" in str(result.exc_string)
    assert "secretsecret" not in str(result.exc_string)


def test_a_slow_quick_job_is_watched(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its heartbeats go on, so that nobody takes the worker for dead; its time-out interrupts it, and work goes on."""
    beats: list[str] = []
    monkeypatch.setattr(Worker, "maintain_heartbeats", lambda _self, job: beats.append(job.func_name))
    slow = queue.enqueue(linger, job_timeout=1)
    queue.enqueue(note, "after")
    Worker([queue], connection=queue.connection, job_monitoring_interval=0.2).work(burst=True)  # type: ignore[arg-type]
    assert len(beats) >= 3
    assert slow.id in queue.failed_job_registry
    assert pids(queue, "after") == [os.getpid()]


def test_a_job_that_does_not_heed_its_time_out_ends_the_worker(queue: Queue) -> None:
    """A supervisor starts another; the alternative is one that never does anything again."""
    queue.enqueue(stay, job_timeout=1)
    code = f"""
        from redis import Redis
        from rq import Queue
        import {HERE}
        from calendar_app.worker import runner
        runner.QUICK, runner._GRACE_S = frozenset({{"{HERE}.stay"}}), 0.5
        server = Redis.from_url({os.environ["TEST_REDIS"]!r})
        queue = Queue("writes", connection=server)
        runner.Worker([queue], connection=server, job_monitoring_interval=0.2).work(burst=True)
    """
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], cwd=ROOT, timeout=60, capture_output=True, check=False
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr


def test_a_forked_process_shares_no_connection(database: Database) -> None:
    """Neither the provider's connections nor the database's are used by two processes."""
    client = shared_client()
    with reading() as session:
        session.connection()
    assert get_engine().pool.checkedin() == 1  # type: ignore[attr-defined]
    child = os.fork()
    if not child:
        os._exit(10 * (shared_client() is client) + get_engine().pool.checkedin())  # type: ignore[attr-defined]
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert shared_client() is client
    assert get_engine().pool.checkedin() == (0 if database.kind == "sqlite" else 1)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("provider", "cursor", "quick"),
    [
        ("google", "token", True),
        ("microsoft", "link", True),
        ("google", None, False),
        ("caldav", "token", False),
    ],
)
def test_only_readings_of_changes_are_quick(
    database: Database, redis_server: Redis, provider: str, cursor: str | None, quick: bool
) -> None:
    """A full listing, and what servers of anybody's may answer, is read behind a wall."""
    team = factories.team(provider=provider)
    with transaction() as session:
        session.get_one(Calendar, team.calendar.id).sync_cursor = cursor
    job = Job.create("calendar_app.worker.jobs.sync_calendar", [team.calendar.id], connection=redis_server)
    assert runner._is_quick(job) is quick


def test_a_reading_is_forked_for_where_nobody_can_tell(database: Database, redis_server: Redis) -> None:
    """A database that is away, or a calendar that is gone, ends no worker."""
    job = Job.create("calendar_app.worker.jobs.sync_calendar", ["0" * 26], connection=redis_server)
    assert runner._is_quick(job) is False
    use_engine(make_engine("sqlite:////nowhere/at/all.db"))
    assert runner._is_quick(job) is False
