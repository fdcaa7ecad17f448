"""Whether what the product stands on is there, and does its work: the checks behind ``/health`` and ``/ready``.

Each check runs in a thread of its own and gets :data:`PATIENCE` seconds; one that hangs is reported as such, and is not
started a second time while it hangs. A short memory keeps watchers from being a load.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, wait
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cache

from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from calendar_app import queues
from calendar_app.db import failures
from calendar_app.db.migrate import alembic_config
from calendar_app.db.session import get_engine
from calendar_app.services.operations import storage
from calendar_app.settings import get_settings

PATIENCE = 0.7
"""Seconds that all checks together may take."""
REMEMBERED = 1.0
CRON_LATE = timedelta(minutes=3)
"""The clock gives a sign of life every minute."""
SWEEP_LATE = timedelta(minutes=5)
"""The sweeper runs every 30 seconds, so a workless queue shows here even where workers seem alive."""
STOPPING = "ALMANAC_STOPPING"
"""The environment variable that names a file which appears when this web server is about to stop."""
LAST_RUNS = "almanac:ran"
"""A hash in Redis: job -> epoch seconds, by Redis's clock, at which it was last done."""
AHEAD = timedelta(seconds=5)
"""How far ahead of the present a sign of life may be before it says nothing: a clock was set."""


class Status(StrEnum):
    """``failed``: this does not work; ``warning``: it works, and somebody should look."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. ``serving``: without it this instance must get no requests."""

    name: str
    status: Status
    detail: str
    serving: bool = False


Answer = tuple[Status, str]

_lock = threading.Lock()
_running: dict[str, Future[Answer]] = {}
_remembered: dict[str, tuple[float, tuple[Check, ...]]] = {}


def checks(*, fresh: bool = False) -> tuple[Check, ...]:
    """All checks, in under a second whatever hangs; at most a second old unless ``fresh``."""
    memory = _remembered.get("checks")
    if memory and not fresh and time.monotonic() - memory[0] < REMEMBERED:
        return memory[1]
    works: dict[str, Callable[[], Answer]] = {
        "database": _database,
        "durability": _durability,
        "redis": _redis,
        "workers": _workers,
        "cron": _cron,
        "sweeper": _sweeper,
    }
    answers = _asked(works)
    found = (
        Check("database", *answers["database"], serving=True),
        Check("redis", *answers["redis"], serving=True),
        *(Check(name, *answers[name]) for name in ("workers", "cron", "sweeper", "durability")),
        Check("mode", *_mode()),
    )
    _remembered["checks"] = (time.monotonic(), found)
    return found


def stopping() -> bool:
    """Whether this web server has been asked to stop and only ends what it is at."""
    notice = os.environ.get(STOPPING, "")
    return notice != "" and os.path.exists(notice)


def serves(found: Iterable[Check]) -> bool:
    """Whether requests may be sent here."""
    return not any(check.serving and check.status is Status.FAILED for check in found)


def verdict(found: Iterable[Check]) -> Status:
    """The worst of them."""
    states = {check.status for check in found}
    return next(state for state in (Status.FAILED, Status.WARNING, Status.OK) if state in states)


def _asked(works: dict[str, Callable[[], Answer]]) -> dict[str, Answer]:
    with _lock:
        for name, work in works.items():
            if name not in _running or _running[name].done():
                _running[name] = _started(name, work)
        futures = {name: _running[name] for name in works}
    wait(futures.values(), timeout=PATIENCE)
    late = (Status.FAILED, f"There was no answer within {PATIENCE:g} s.")
    return {name: future.result() if future.done() else late for name, future in futures.items()}


def _started(name: str, work: Callable[[], Answer]) -> Future[Answer]:
    future: Future[Answer] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except (RedisError, OSError):
            future.set_result((Status.FAILED, "Nobody can tell while Redis does not answer."))
        except BaseException as error:
            future.set_exception(error)
            raise

    threading.Thread(target=run, name=f"check-{name}", daemon=True).start()
    return future


def _database() -> Answer:
    try:
        with get_engine().connect() as connection:
            current = set(MigrationContext.configure(connection).get_current_heads())
            failure = failures.recent() or storage.refuses_to_write(connection)
            left = storage.megabytes_left(connection)
    except (SQLAlchemyError, OSError) as error:
        failure = failures.diagnose(error)
        return Status.FAILED, failures.explain(failure) if failure else "The database does not answer."
    if failure:
        return Status.FAILED, failures.explain(failure)
    status, detail = _schema(current)
    if status is Status.OK and left is not None and left < storage.LITTLE_MB:
        return Status.WARNING, f"Only {left} MB are left on the disk of the database file."
    return status, detail


@cache
def revisions() -> tuple[frozenset[str], frozenset[str]]:
    """The newest revision of this version's schema, and all that lead to it; read from the files once."""
    script = ScriptDirectory.from_config(alembic_config())
    return frozenset(script.get_heads()), frozenset(one.revision for one in script.walk_revisions())


def _schema(current: set[str]) -> Answer:
    newest, known = revisions()
    if current == newest:
        return Status.OK, "It answers, at this version’s schema."
    if current - known:
        return Status.WARNING, "The database is at a newer version’s schema: finish the upgrade."
    return Status.FAILED, "The database is not at this version’s schema: run `alembic upgrade head`."


def _durability() -> Answer:
    try:
        with get_engine().connect() as connection:
            losses = storage.losses(connection)
    except (SQLAlchemyError, OSError):
        return Status.WARNING, "Nobody can tell while the database does not answer."
    if losses:
        return Status.WARNING, losses
    return Status.OK, "What was acknowledged is on the disk."


def _redis() -> Answer:
    try:
        with queues.probe() as client:
            refusal = storage.redis_refuses(client)
            forgets = storage.redis_forgets(client)
    except (RedisError, OSError):
        return (
            Status.FAILED,
            "Redis does not answer: bookings stand, but calendars and open pages lag behind.",
        )
    if refusal:
        return Status.FAILED, refusal
    if forgets:
        return Status.WARNING, forgets
    return Status.OK, "It answers and takes what is written."


def _workers() -> Answer:
    with queues.probe() as client:
        alive = queues.worker_states(client)
    idle = [name for name in queues.ALL if not any(name in one.queues for one in alive)]
    if idle:
        return Status.FAILED, f"No worker takes jobs of {' and '.join(idle)}."
    return (
        Status.OK,
        f"{len(alive)} {'worker takes' if len(alive) == 1 else 'workers take'} jobs of every queue.",
    )


def _cron() -> Answer:
    with queues.probe() as client:
        seen, now = queues.cron_seen(client), queues.present(client)
    if seen is None:
        return Status.FAILED, "No cron process runs: nothing is done by the clock."
    if seen - now > AHEAD:
        return Status.FAILED, f"The cron process was last seen {_minutes(seen - now)} ahead of now: {_SET}"
    if now - seen > CRON_LATE:
        return Status.FAILED, f"The cron process was last seen {_minutes(now - seen)} ago."
    return Status.OK, "It runs."


def _sweeper() -> Answer:
    with queues.probe() as client:
        last, now = client.hget(LAST_RUNS, "sweep"), queues.present(client)
    if last is None:
        return Status.WARNING, "Nothing that is late has been looked for yet."
    age = now - datetime.fromtimestamp(float(last), UTC)
    if age < -AHEAD:
        return Status.FAILED, f"What is late was last looked for {_minutes(-age)} ahead of now: {_SET}"
    if age > SWEEP_LATE:
        return Status.FAILED, f"Nobody has looked for what is late for {_minutes(age)}."
    return Status.OK, "What is late is looked for."


def _mode() -> Answer:
    settings = get_settings()
    if settings.sandbox:
        return Status.WARNING, "Sandbox: calendars are local stand-ins."
    if not settings.production:
        return Status.WARNING, "Development: secrets are kept in DATA_DIR."
    return Status.OK, "Production."


_SET = "a clock was set, and nobody can tell whether it still runs."


def _minutes(age: timedelta) -> str:
    minutes = int(age.total_seconds() // 60)
    return f"{minutes} {'minute' if minutes == 1 else 'minutes'}"


def forget() -> None:
    """Ask everything anew, and forget what statements met (tests, a change of settings)."""
    forget_answers()
    failures.forget()


def forget_answers() -> None:
    """Ask everything anew."""
    with _lock:
        _running.clear()
        _remembered.clear()
