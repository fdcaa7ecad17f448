"""Queues as everybody uses them, when Redis is not what it should be."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from redis import Redis
from rq.job import Job, JobStatus
from rq.utils import now, utcformat

from calendar_app import queues
from calendar_app.services.common import change_events, rate_limits
from calendar_app.settings import Settings


@pytest.fixture
def hung(configure: Callable[..., Settings]) -> Iterator[None]:
    """A Redis that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        configure(REDIS_URL=f"redis://127.0.0.1:{server.getsockname()[1]}/0")
        yield


@pytest.mark.usefixtures("hung")
def test_a_hung_redis_is_waited_for_once() -> None:
    """The first to ask waits two seconds, and for the next ones there is no Redis: no request stands in line."""
    before = time.monotonic()
    assert not queues.enqueue(queues.DEFAULT, "sweep")
    assert time.monotonic() - before >= 1.5
    asked = time.monotonic()
    for _ in range(20):
        assert not queues.enqueue(queues.DEFAULT, "sweep")
        assert queues.first_time("anything", 60)
        rate_limits.check("bucket", "key", "100/minute")
        change_events.publish("workspace", "events")
    assert time.monotonic() - asked < 1.5


def test_workers_that_died_with_a_job_do_not_hold_it_up(redis_server: Redis) -> None:
    """While one runs one more may wait; where both were begun by workers that are dead, the next is queued anew."""

    def begun(job_id: str, ago: timedelta) -> None:
        redis_server.lpop("rq:queue:default")
        job = Job.fetch(job_id, connection=redis_server)
        job.set_status(JobStatus.STARTED)
        redis_server.hset(job.key, "last_heartbeat", utcformat(now() - ago))

    def waiting() -> list[bytes]:
        queues.enqueue(queues.DEFAULT, "carry_on_disconnection", "one", job_id="once")
        return list(redis_server.lrange("rq:queue:default", 0, -1))

    assert waiting() == [b"once"]
    begun("once", timedelta(seconds=60))
    assert waiting() == [b"once-next"]
    begun("once-next", timedelta(seconds=60))
    assert waiting() == []
    begun("once", timedelta(minutes=2))
    assert waiting() == [b"once"]
    assert waiting() == [b"once"]
