"""The one place that puts jobs on RQ's queues; jobs are named by path, so that enqueueing imports no worker code.

A queue is a hint, never the truth: what is due stands in the database, and sweepers enqueue it again. So a Redis that
is down or was flushed costs time, not work, and :func:`enqueue` does not raise for it.
"""

from __future__ import annotations

import logging
from datetime import datetime
from functools import lru_cache
from typing import Any

from redis import Redis
from redis.exceptions import RedisError
from rq import Queue
from rq.exceptions import DuplicateJobError
from rq.job import JobStatus

from calendar_app.settings import get_settings

log = logging.getLogger(__name__)

WRITES, SYNC, DEFAULT = "writes", "sync", "default"
"""Queue names, most urgent first: booking writes, mirror syncs, everything else."""

JOBS = "calendar_app.worker.jobs"
_LOST_AFTER = 3600
"""Seconds after which a job that nobody took makes room for another of its id."""
_WAITING = (JobStatus.CREATED, JobStatus.QUEUED, JobStatus.DEFERRED)


@lru_cache(maxsize=1)
def redis() -> Redis:
    """The process's Redis client; short time-outs, so that a dead Redis does not hold a request up."""
    return Redis.from_url(
        get_settings().redis_url, socket_connect_timeout=2, socket_timeout=15, health_check_interval=30
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
    while one runs one more may wait. ``timeout`` in seconds.
    """
    options: dict[str, Any] = {"job_timeout": timeout, "result_ttl": 0, "failure_ttl": 86_400}
    target = Queue(queue, connection=redis())
    try:
        if job_id is None:
            _put(target, job, arguments, at, options)
        elif not _put_once(target, job, arguments, at, options | {"job_id": job_id, "ttl": _LOST_AFTER}):
            _put_once(target, job, arguments, at, options | {"job_id": f"{job_id}-next", "ttl": _LOST_AFTER})
    except (RedisError, OSError):
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
            status = found.get_status() if found else None
            if status in _WAITING or (status == JobStatus.SCHEDULED and at is not None):
                return True
            if status == JobStatus.STARTED:
                return False
            if found:
                found.delete()
        else:
            return True
    return True
