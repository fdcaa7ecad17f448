"""``python -m calendar_app.worker.cron``: RQ's cron on our schedule, which goes on where Redis goes away or forgets, or
where the clock of the machine is set.

``rq cron calendar_app/worker/schedule.py`` does the same but ends with the first connection error, which is right under
a supervisor that starts it again, and stands still for as long as its machine's clock was ahead.
"""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from datetime import timedelta

from redis import Redis
from redis.exceptions import RedisError
from rq.cron import CronScheduler
from rq.cron_scheduler_registry import get_registry_key
from rq.exceptions import DuplicateSchedulerError, SchedulerNotFound, StopRequested

from calendar_app import logs, queues
from calendar_app.settings import get_settings

log = logging.getLogger(__name__)

SCHEDULE = "calendar_app.worker.schedule"
PAUSE_S = 2.0
_STEP_S = 1.0
"""By how much the clock must have been set to be noticed."""


class Scheduler(CronScheduler):
    """RQ's scheduler; its intervals are as long as they are by the clock that nobody sets (:func:`time.monotonic`)."""

    def __init__(self, connection: Redis) -> None:
        super().__init__(connection, logging_level=logging.WARNING)
        self._offset = _offset()

    def enqueue_jobs(self) -> list[object]:  # type: ignore[override]  # RQ's own type of job is of no use here
        """Queue what is due."""
        self._follow_the_clock()
        return list(super().enqueue_jobs())

    def heartbeat(self) -> None:
        """Say that this process lives, by the clock of Redis, which is the same for whoever asks."""
        super().heartbeat()
        present = queues.present(self.connection).timestamp()
        self.connection.zadd(get_registry_key(), {self.name: present})

    def register_death(self, pipeline: object = None) -> None:
        """Forget this process; Redis may have done so before."""
        with suppress(SchedulerNotFound, RedisError, OSError):
            super().register_death()

    def _follow_the_clock(self) -> None:
        """Where the clock was set, the times at which jobs are due move with it.

        Those of the day are taken from the schedule again where it went back; where it went ahead, what it passed is
        due now.
        """
        step = _offset() - self._offset
        if abs(step) < _STEP_S:
            return
        self._offset += step
        log.warning("the clock of this machine was set", extra={"seconds": round(step)})
        by = timedelta(seconds=step)
        for job in self.get_jobs():
            if job.interval and job.latest_enqueue_time is not None:
                job.set_enqueue_time(job.latest_enqueue_time + by)
            elif job.cron and step < 0:
                job.latest_enqueue_time = None
                job.next_enqueue_time = job.get_next_enqueue_time()


def _offset() -> float:
    return time.time() - time.monotonic()


def main() -> None:
    """Run until SIGINT or SIGTERM."""
    logs.configure(get_settings(), "cron")
    with suppress(StopRequested):
        while not _ran_to_its_end():
            time.sleep(PAUSE_S)


def _ran_to_its_end() -> bool:
    """Whether the schedule ended because it was asked to; false where Redis was lost or had lost this process."""
    scheduler = Scheduler(Redis.from_url(get_settings().redis_url))
    scheduler.load_config_from_file(SCHEDULE)
    try:
        scheduler.start()  # type: ignore[no-untyped-call]  # RQ types this one function only in part
    except (RedisError, OSError, DuplicateSchedulerError):
        log.warning("Redis is out of reach; the schedule goes on when it is back")
        return False
    return True


if __name__ == "__main__":
    main()
