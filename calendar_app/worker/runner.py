"""The worker class of the Procfile: RQ's own, whose jobs are named in the logs, counted, and fail without secrets.

``rq worker --worker-class calendar_app.worker.runner.Worker``. RQ forks a process for each job, which ends without a
farewell; so what it counted is handed on here, before that.
"""

from __future__ import annotations

import logging
import time
from typing import Any

import rq
from rq.job import Job
from rq.queue import Queue

from calendar_app import logs, metering
from calendar_app.queues import REQUEST
from calendar_app.services import metrics

log = logging.getLogger(__name__)


class Worker(rq.Worker):
    """See the module's description."""

    def perform_job(self, job: Job, queue: Queue) -> bool:
        """Do one job, in the process that was forked for it."""
        name = str(job.func_name).rpartition(".")[2]
        began = time.perf_counter()
        with logs.bound(request=str(job.meta.get(REQUEST) or logs.NOBODY), job=job.id):
            done = bool(super().perform_job(job, queue))
            seconds, outcome = time.perf_counter() - began, "done" if done else "failed"
            fields = {"job": name, "queue": queue.name, "outcome": outcome, "seconds": round(seconds, 4)}
            log.info("job", extra=fields)
        metering.count(metering.JOBS, name, outcome)
        metering.observe(metering.JOB_SECONDS, seconds, name)
        metrics.job_done(name, done)
        metrics.flush()
        return done

    def handle_job_failure(
        self, job: Job, queue: Queue, started_job_registry: Any = None, exc_string: str = ""
    ) -> None:
        """As RQ does it, which keeps the stack in Redis for a day: without secrets."""
        super().handle_job_failure(job, queue, started_job_registry, logs.redact(exc_string))
