"""RQ's settings: ``rq worker --config calendar_app.worker.config --with-scheduler``.

RQ forks a process for each job. Importing the jobs and the database's driver here, before the first fork, lets a job
start within milliseconds instead of importing everything anew; and what is here for good is left out of the garbage
collector's rounds, each of which would otherwise copy all of it into the job's process (:func:`gc.freeze`).
"""

from __future__ import annotations

import gc

import calendar_app.worker.jobs  # noqa: F401  # see above
from calendar_app import logs, queues
from calendar_app.services.operations import warm_up
from calendar_app.settings import get_settings

logs.configure(get_settings(), "worker")
warm_up.database()
gc.collect()
gc.freeze()

REDIS_URL = get_settings().redis_url
QUEUES = list(queues.ALL)
