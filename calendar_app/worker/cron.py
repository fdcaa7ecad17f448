"""``python -m calendar_app.worker.cron``: ``rq cron`` on our schedule, which also outlives a Redis that goes away.

``rq cron calendar_app/worker/schedule.py`` does the same but ends with the first connection error, which is right under
a supervisor that starts it again.
"""

from __future__ import annotations

import logging
import time

from redis import Redis
from redis.exceptions import RedisError
from rq.cron import CronScheduler

from calendar_app import logs
from calendar_app.settings import get_settings

log = logging.getLogger(__name__)

SCHEDULE = "calendar_app.worker.schedule"
PAUSE_S = 2.0


def main() -> None:
    """Run until SIGINT or SIGTERM."""
    logs.configure(get_settings(), "cron")
    while True:
        scheduler = CronScheduler(Redis.from_url(get_settings().redis_url), logging_level=logging.WARNING)
        scheduler.load_config_from_file(SCHEDULE)
        try:
            scheduler.start()  # type: ignore[no-untyped-call]  # RQ types this one function only in part
        except (RedisError, OSError):
            log.warning("Redis is out of reach; the schedule goes on when it is back")
            time.sleep(PAUSE_S)
        else:
            return


if __name__ == "__main__":
    main()
