"""The worker class of the Procfile: RQ's own, whose jobs are named in the logs, counted, and fail without secrets.

``rq worker --worker-class calendar_app.worker.runner.Worker``, with more options the Procfile's lines, which
:func:`work` and :func:`write` are. RQ forks a process for each job, so that one that eats
up the memory or dies takes nobody along. Such a process starts with cold caches and without a connection, which costs
several times what a short job does; so :data:`QUICK` jobs, which handle one row and an answer or two, and readings of
what changed since the last one, are done in the worker itself. They are watched as forked ones are: heartbeats go on,
and one that outlasts its time-out ends.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import rq
from rq.cli.cli import main as rq_command
from rq.job import Job
from rq.queue import Queue
from rq.worker import WorkerStatus

from calendar_app import logs, metering
from calendar_app.queues import JOBS, REQUEST, WRITES
from calendar_app.services.calendar_sync import requests as sync_requests
from calendar_app.services.operations import metrics

log = logging.getLogger(__name__)

QUICK = frozenset(
    f"{JOBS}.{job}"
    for job in (
        "apply_write",
        "send_mail",
        "push",
        "settle_deviation",
        "send_webhooks",
        "read_for_viewers",
    )
)
"""What is done without a process of its own."""
ARGUMENTS = ["worker", "--quiet", "--worker-class", "calendar_app.worker.runner.Worker", "--worker-ttl", "90"]
WRITER = [*ARGUMENTS, "--config", "calendar_app.worker.config", WRITES]
WORKER = [*ARGUMENTS, "--with-scheduler", "--config", "calendar_app.worker.config"]
_SYNC = f"{JOBS}.sync_calendar"
_GRACE_S = 60
"""For how long a job may go on after its time-out has interrupted it, before the process ends."""


class Worker(rq.Worker):
    """See the module's description."""

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Do a job: here if it is a quick one, else in a process of its own."""
        if not _is_quick(job):
            super().execute_job(job, queue)
            return
        self.prepare_execution(job)
        with self._watched(job):
            self.perform_job(job, queue)
        self.set_state(WorkerStatus.IDLE)

    def perform_job(self, job: Job, queue: Queue) -> bool:
        """Do one job, in this process."""
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

    @contextmanager
    def _watched(self, job: Job) -> Iterator[None]:
        """What RQ's parent does for a forked job: heartbeats, and an end to one that does not heed its time-out.

        The thread is gone before the worker forks again.
        """
        over = threading.Event()
        ends = time.monotonic() + (job.timeout or self.queue_class.DEFAULT_TIMEOUT) + _GRACE_S

        def watch() -> None:
            while not over.wait(self.job_monitoring_interval):
                if time.monotonic() > ends:
                    log.critical("a job does not end: the worker does", extra={"job": job.func_name})
                    os.kill(os.getpid(), signal.SIGKILL)
                with suppress(Exception):  # Redis is away, or the job has just come to its end
                    self.maintain_heartbeats(job)

        watcher = threading.Thread(target=watch, name="watch", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()


def write() -> None:
    """The Procfile's `writer`: only what brings bookings into calendars."""
    rq_command(WRITER, prog_name="rq")


def work() -> None:
    """The Procfile's `worker`: every queue."""
    rq_command(WORKER, prog_name="rq")


def _is_quick(job: Job) -> bool:
    if job.func_name != _SYNC:
        return job.func_name in QUICK
    try:
        return sync_requests.is_delta(str(job.args[0]))
    except Exception:
        log.warning("it cannot be told whether a job is quick", extra={"job": job.id}, exc_info=True)
        return False
