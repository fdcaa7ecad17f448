"""RQ's settings: ``rq worker --config calendar_app.worker.config --with-scheduler``.

RQ forks a process for each job. Importing the jobs here, before the first fork, lets a job start within milliseconds
instead of importing everything anew.
"""

from __future__ import annotations

import calendar_app.worker.jobs  # noqa: F401  # see above
from calendar_app import logs, queues
from calendar_app.settings import get_settings

logs.configure(get_settings(), "worker")

REDIS_URL = get_settings().redis_url
QUEUES = [queues.WRITES, queues.SYNC, queues.DEFAULT]
