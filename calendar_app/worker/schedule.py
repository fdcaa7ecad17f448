"""What runs by the clock, for RQ's own cron: ``rq cron calendar_app/worker/schedule.py`` (one such process is enough).

Times are UTC. A periodic job that no worker took within its ``ttl`` is dropped, so that a night without workers is not
followed by a morning of stale jobs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rq import cron

from calendar_app.queues import DEFAULT, SYNC, WRITES
from calendar_app.worker import jobs

SWEEP_S = 30
MINUTE, HOUR = 60, 3600


def _every(seconds: int, queue: str, job: Callable[[], Any]) -> None:
    cron.register(
        job, queue, interval=seconds, ttl=2 * seconds, result_ttl=0, failure_ttl=24 * HOUR, job_timeout=600
    )


def _at(moment: str, queue: str, job: Callable[[], Any]) -> None:
    cron.register(
        job, queue, cron=moment, ttl=6 * HOUR, result_ttl=0, failure_ttl=7 * 24 * HOUR, job_timeout=HOUR
    )


_every(SWEEP_S, WRITES, jobs.sweep)
_every(MINUTE, SYNC, jobs.poll_calendars)
_every(MINUTE, DEFAULT, jobs.expire_holds)
_every(15 * MINUTE, DEFAULT, jobs.refresh_tokens)
_every(HOUR, DEFAULT, jobs.renew_channels)
_every(HOUR, DEFAULT, jobs.tell_ending_grants)
_at("40 1 * * *", DEFAULT, jobs.extend_window)
_at("50 2 * * *", DEFAULT, jobs.drift_report)
_at("30 3 * * *", DEFAULT, jobs.clean_up)
