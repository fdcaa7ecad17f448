"""The one place that puts jobs on RQ's queues; jobs are named by path, so that enqueueing imports no worker code.

A queue is a hint, never the truth: what is due stands in the database, and sweepers enqueue it again. So a Redis that
is down or was flushed costs time, not work, and :func:`enqueue` does not raise for it.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeout
from redis.retry import Retry
from rq import Queue, Worker
from rq.cron import CronScheduler
from rq.exceptions import DuplicateJobError, InvalidJobOperation, NoSuchJobError
from rq.job import Job, JobStatus
from rq.registry import FailedJobRegistry

from calendar_app.clock import utc_now
from calendar_app.logs import NOBODY, request_id
from calendar_app.settings import get_settings

log = logging.getLogger(__name__)

WRITES, SYNC, DEFAULT, WEBHOOKS = "writes", "sync", "default", "webhooks"
"""Queue names, most urgent first: booking writes, mirror syncs, everything else, and messages to other programs, whose
answers may be slow."""

JOBS = "calendar_app.worker.jobs"
ALL = (WRITES, SYNC, DEFAULT, WEBHOOKS)
REQUEST = "request_id"
"""Where a job's meta data keep the id of the request that queued it."""
_LEFT_ALONE_S = 5.0
_LOST_AFTER = 3600
"""Seconds after which a job that nobody took makes room for another of its id."""
_SILENT_AFTER = timedelta(seconds=90)
"""A worker gives a sign of life for its job every 30 seconds; RQ itself looks for dead ones every ten minutes only."""
_WAITING = (JobStatus.CREATED, JobStatus.QUEUED, JobStatus.DEFERRED)


class _Silence:
    """Until when nobody asks Redis, after it has kept somebody waiting."""

    until = 0.0


class _Client(Redis):
    """A client that leaves a server that hangs alone for a while, instead of having every request wait for it."""

    def execute_command(self, *arguments: Any, **options: Any) -> Any:
        if not answers():
            raise RedisTimeout("Redis did not answer a moment ago.")
        try:
            return super().execute_command(*arguments, **options)  # type: ignore[no-untyped-call]  # redis types it not
        except RedisTimeout as error:
            missed(error)
            raise


def answers() -> bool:
    """Whether asking Redis is worth it: a server that hangs is left alone for :data:`_LEFT_ALONE_S` at a time."""
    return time.monotonic() >= _Silence.until


def forget() -> None:
    """Drop the client and what it knows of its server: the settings have changed."""
    redis.cache_clear()
    _Silence.until = 0.0


def missed(error: BaseException) -> None:
    """Note a failure to reach Redis. A refused connection costs nothing and is tried again at once."""
    if answers() and isinstance(error, RedisTimeout):
        _Silence.until = time.monotonic() + _LEFT_ALONE_S


@lru_cache(maxsize=1)
def redis() -> Redis:
    """The process's Redis client; short time-outs and no repeats, so that a hung Redis does not hold a request up."""
    return _Client.from_url(
        get_settings().redis_url,
        socket_connect_timeout=2,
        socket_timeout=2,
        health_check_interval=30,
        retry=Retry(NoBackoff(), 0),
    )


def enqueue(
    queue: str,
    job: str,
    *arguments: str | int,
    job_id: str | None = None,
    at: datetime | None = None,
    timeout: int = 300,
) -> bool:
    """Queue ``calendar_app.worker.jobs.<job>(*arguments)``, now or ``at`` an aware time; false without Redis.

    Jobs of one ``job_id`` (letters, digits, ``-``, ``_``) coalesce: while one waits no other joins it, and
    while one runs one more may wait. One whose worker died makes room. ``timeout`` in seconds.
    """
    options: dict[str, Any] = {"job_timeout": timeout, "result_ttl": 0, "failure_ttl": 86_400}
    if request_id.get() != NOBODY:
        options["meta"] = {REQUEST: request_id.get()}
    target = Queue(queue, connection=redis())
    try:
        if not answers():  # RQ's pipelines would ask nevertheless
            raise RedisTimeout
        if job_id is None:
            _put(target, job, arguments, at, options)
        elif not _put_once(target, job, arguments, at, options | {"job_id": job_id, "ttl": _LOST_AFTER}):
            _put_once(target, job, arguments, at, options | {"job_id": f"{job_id}-next", "ttl": _LOST_AFTER})
    except (RedisError, OSError) as error:
        missed(error)
        log.warning("queue %s is out of reach: %s waits for the sweeper", queue, job)
        return False
    return True


def first_time(key: str, seconds: int) -> bool:
    """Whether nobody has asked this about ``key`` in the last ``seconds``; true without Redis."""
    try:
        return bool(redis().set(f"almanac:once:{key}", 1, nx=True, ex=seconds))
    except (RedisError, OSError):
        return True


def _put(
    queue: Queue, job: str, arguments: tuple[str | int, ...], at: datetime | None, options: dict[str, Any]
) -> None:
    if at is None:
        queue.enqueue(f"{JOBS}.{job}", *arguments, **options)
    else:
        queue.enqueue_at(at, f"{JOBS}.{job}", *arguments, **options)


def _put_once(
    queue: Queue, job: str, arguments: tuple[str | int, ...], at: datetime | None, options: dict[str, Any]
) -> bool:
    """Queue the job unless one of its id waits already; false if that one runs."""
    for _ in range(3):
        try:
            _put(queue, job, arguments, at, options | {"unique": True})
        except DuplicateJobError:
            found = queue.fetch_job(options["job_id"])
            try:
                status = found.get_status() if found else None
            except InvalidJobOperation:  # it came to its end at this moment
                continue
            if status in _WAITING or (status == JobStatus.SCHEDULED and at is not None):
                return True
            if found and status == JobStatus.STARTED and not _is_silent(found):
                return False
            if found:
                found.delete()
        else:
            return True
    return True


def _is_silent(job: Job) -> bool:
    """Whether nobody is at a started job any more: its worker died, or stopped, with it."""
    return job.last_heartbeat is not None and utc_now() - job.last_heartbeat > _SILENT_AFTER


# --- what stands in the queues, for operators -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class QueueState:
    """One queue: jobs that wait, are being done, wait for their time, or failed; ``oldest`` waits longest."""

    name: str
    waiting: int
    running: int
    scheduled: int
    failed: int
    oldest: datetime | None


@dataclass(frozen=True, slots=True)
class WorkerState:
    """A worker process that was alive at ``seen``; ``job`` is what it does at the moment, empty when idle."""

    name: str
    host: str
    pid: int
    queues: tuple[str, ...]
    state: str
    job: str
    started: datetime | None
    seen: datetime | None
    done: int
    failed: int


@dataclass(frozen=True, slots=True)
class FailedJob:
    """A job that raised; ``reason`` is the last line of its stack. It is kept for a day."""

    id: str
    queue: str
    job: str
    arguments: tuple[str, ...]
    reason: str
    failed_at: datetime | None


def probe(seconds: float = 0.5) -> Redis:
    """A client for one question that must be answered, or not, quickly; close it afterwards."""
    return Redis.from_url(
        get_settings().redis_url,
        socket_connect_timeout=seconds,
        socket_timeout=seconds,
        retry=Retry(NoBackoff(), 0),
    )


def queue_states(connection: Redis) -> list[QueueState]:
    """Every queue, most urgent first. :raises RedisError: Redis is out of reach."""
    return [_queue_state(Queue(name, connection=connection)) for name in ALL]


def worker_states(connection: Redis) -> list[WorkerState]:
    """Every worker that has not missed its heartbeats. :raises RedisError: Redis is out of reach."""
    found = []
    for worker in Worker.all(connection=connection):
        job = _fetched(worker.get_current_job_id() or "", connection)
        found.append(
            WorkerState(
                name=str(worker.name),
                host=str(worker.hostname or ""),
                pid=int(worker.pid or 0),
                queues=tuple(worker.queue_names()),
                state=str(worker.get_state() or "starting"),
                job=_title(job) if job else "",
                started=_aware(worker.birth_date),
                seen=_aware(worker.last_heartbeat),
                done=int(worker.successful_job_count or 0),
                failed=int(worker.failed_job_count or 0),
            )
        )
    return sorted(found, key=lambda one: one.name)


def present(connection: Redis) -> datetime:
    """The present by Redis's clock, which all who use it share. :raises RedisError: Redis is out of reach."""
    seconds, micros = connection.time()  # type: ignore[misc]  # redis types it for both its clients
    return datetime.fromtimestamp(int(seconds) + int(micros) / 1e6, UTC)


def cron_seen(connection: Redis) -> datetime | None:
    """When a cron process last gave a sign of life, by Redis's clock. :raises RedisError: Redis is out of reach."""
    seen = [one.last_heartbeat for one in CronScheduler.all(connection, cleanup=False)]
    return max((one for one in seen if one is not None), default=None)


def failed_jobs(connection: Redis, limit: int = 200) -> list[FailedJob]:
    """Jobs that raised, latest first. :raises RedisError: Redis is out of reach."""
    found = []
    for name in ALL:
        registry = FailedJobRegistry(name, connection=connection)
        for job_id in registry.get_job_ids(0, limit - 1, desc=True):
            if job := _fetched(job_id, connection):
                found.append(_failed_job(job, name))
    oldest = datetime.min.replace(tzinfo=UTC)
    return sorted(found, key=lambda one: one.failed_at or oldest, reverse=True)[:limit]


def requeue_failed(connection: Redis, job_id: str) -> bool:
    """Put a failed job back into its queue; false if it is not there any more."""
    for name in ALL:
        registry = FailedJobRegistry(name, connection=connection)
        if job_id in registry:
            registry.requeue(job_id)
            return True
    return False


def _queue_state(queue: Queue) -> QueueState:
    first = _fetched(next(iter(queue.get_job_ids(0, 1)), ""), queue.connection)
    return QueueState(
        name=queue.name,
        waiting=queue.count,
        running=queue.started_job_registry.get_job_count(cleanup=False),
        scheduled=queue.scheduled_job_registry.get_job_count(cleanup=False),
        failed=queue.failed_job_registry.get_job_count(cleanup=False),
        oldest=_aware(first.enqueued_at or first.created_at) if first else None,
    )


def _fetched(job_id: str, connection: Redis) -> Job | None:
    if not job_id:
        return None
    try:
        return Job.fetch(job_id, connection=connection)
    except NoSuchJobError:
        return None


def _failed_job(job: Job, queue: str) -> FailedJob:
    result = job.latest_result()
    stack = str((result.exc_string if result else "") or "").strip()
    return FailedJob(
        id=str(job.id),
        queue=queue,
        job=_title(job),
        arguments=tuple(str(one)[:60] for one in job.args),
        reason=stack.rpartition("\n")[2][:300] or "The worker ended in the middle of it.",
        failed_at=_aware(job.ended_at or job.enqueued_at),
    )


def _title(job: Job) -> str:
    return str(job.func_name).rpartition(".")[2]


def _aware(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment
