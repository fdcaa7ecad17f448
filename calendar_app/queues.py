"""The one place that puts jobs on RQ's queues; jobs are named by path, so that enqueueing imports no worker code.

A queue is a hint, never the truth: what is due stands in the database, and sweepers enqueue it again. So a Redis that
is down or was flushed costs time, not work, and :func:`enqueue` does not raise for it.
"""

from __future__ import annotations

import logging
from datetime import datetime
from functools import lru_cache

from redis import Redis
from redis.exceptions import RedisError
from rq import Queue

from calendar_app.settings import get_settings

log = logging.getLogger(__name__)

WRITES, SYNC, DEFAULT = "writes", "sync", "default"
"""Queue names, most urgent first: booking writes, mirror syncs, everything else."""

JOBS = "calendar_app.worker.jobs"


@lru_cache(maxsize=1)
def redis() -> Redis:
    """The process's Redis client; short time-outs, so that a dead Redis does not hold a request up."""
    return Redis.from_url(
        get_settings().redis_url, socket_connect_timeout=2, socket_timeout=15, health_check_interval=30
    )


def enqueue(
    queue: str, job: str, *arguments: str | int, job_id: str | None = None, at: datetime | None = None, timeout: int = 300
) -> bool:
    """Queue ``calendar_app.worker.jobs.<job>(*arguments)``, now or ``at`` an aware time; false if Redis is out of reach.

    ``job_id`` (letters, digits, ``-``, ``_``) makes repeats replace each other while they wait. ``timeout`` in seconds.
    """
    try:
        target = Queue(queue, connection=redis())
        options = {"job_id": job_id, "job_timeout": timeout, "result_ttl": 60, "failure_ttl": 86_400}
        if at is None:
            target.enqueue(f"{JOBS}.{job}", *arguments, **options)
        else:
            target.enqueue_at(at, f"{JOBS}.{job}", *arguments, **options)
    except (RedisError, OSError):
        log.warning("queue %s is out of reach: %s waits for the sweeper", queue, job)
        return False
    return True
