"""The engine and the two ways to use it: :func:`reading` and :func:`transaction`.

SQLite starts every write transaction with ``BEGIN IMMEDIATE``, so that two writers queue up instead of failing with
"database is locked" half-way (https://www.sqlite.org/lang_transaction.html), and lets them in one by one in the order
in which they came; reads start deferred and never wait (WAL). PostgreSQL runs at its default, READ COMMITTED.

A commit that returned is on the disk. In WAL mode SQLite syncs each commit only with ``synchronous=FULL``
(https://www.sqlite.org/pragma.html#pragma_synchronous), and on macOS past the drive's cache only with ``fullfsync``.

:func:`clock` is the time that every process agrees on, whatever its machine believes.

Work that must follow a commit (enqueueing a job, publishing "changed") is registered with :func:`after_commit`; a
transaction that rolls back runs none of it.
"""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine, create_engine, event, func, select
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DatabaseError
from sqlmodel import Session

from calendar_app.clock import utc_now
from calendar_app.db import failures
from calendar_app.settings import get_settings

log = logging.getLogger(__name__)

_lock = threading.Lock()
_current: list[Engine] = []


PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "fullfsync=ON", "foreign_keys=ON", "busy_timeout=15000")


def _note_failure(context: ExceptionContext) -> None:
    failures.note(context.original_exception)


def make_engine(url: str) -> Engine:
    """An engine for ``url`` with the pragmas and BEGIN modes that the rest of the product relies on."""
    if not url.startswith("sqlite"):
        engine = create_engine(
            url, pool_pre_ping=True, pool_size=10, max_overflow=20, hide_parameters=True
        )  # errors show no values: they would carry tokens and addresses into logs
        event.listen(engine, "handle_error", _note_failure)
        return engine
    engine = create_engine(
        url,
        connect_args={"timeout": 15, "check_same_thread": False},
        pool_size=10,
        max_overflow=30,
        hide_parameters=True,
    )
    event.listen(engine, "handle_error", _note_failure)

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver must not start transactions behind our back
        for pragma in PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        mode = connection.get_execution_options().get("sqlite_begin", "DEFERRED")
        connection.exec_driver_sql(f"BEGIN {mode}")

    return engine


def get_engine() -> Engine:
    """The process's engine, made on first use from the settings."""
    with _lock:
        if not _current:
            _current.append(make_engine(get_settings().database))
        return _current[0]


def require_whole_file() -> None:
    """Read through all pages of a SQLite file: damage in the middle of it shows nowhere else before it is met.

    :raises sqlalchemy.exc.DatabaseError: it is damaged; :func:`calendar_app.db.failures.sentence` says what to do.
    """
    engine = get_engine()
    if engine.dialect.name != "sqlite":
        return
    with engine.connect() as connection:
        found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
    if found != "ok":
        cause = sqlite3.DatabaseError(found)
        cause.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise DatabaseError(None, None, cause)


def use_engine(engine: Engine | None) -> None:
    """Replace the process's engine (tests, migrations); ``None`` forgets it."""
    with _lock:
        _current[:] = [] if engine is None else [engine]


def _close_idle() -> None:
    """SQLite connections must not be carried into another process (https://www.sqlite.org/howtocorrupt.html §2.6)."""
    for engine in _current:
        if engine.dialect.name == "sqlite":
            engine.dispose()


def _forget_connections() -> None:
    for engine in _current:
        engine.dispose(close=False)


os.register_at_fork(before=_close_idle, after_in_child=_forget_connections)


@contextmanager
def reading() -> Iterator[Session]:
    """A session for reads; whatever is pending at the end is rolled back."""
    with Session(get_engine()) as session:
        yield session


@contextmanager
def _turn_to_write(engine: Engine) -> Iterator[None]:
    """On SQLite, wait in line for the only write lock, across threads and processes.

    SQLite itself lets waiters poll for it, up to 100 ms apart, so that whoever releases it is the likeliest to get it
    back: with sixteen bookers some waited for seconds. ``flock`` wakes one waiter at a time, in order, and a process
    that dies leaves the line by itself.
    """
    path = engine.url.database
    if engine.dialect.name != "sqlite" or not path or path == ":memory:":
        yield
        return
    descriptor = os.open(f"{path}-queue", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def transaction() -> Iterator[Session]:
    """One write transaction: commits at the end, rolls back on any exception, then runs :func:`after_commit` work."""
    bind = get_engine().execution_options(sqlite_begin="IMMEDIATE")
    with _turn_to_write(bind), Session(bind, expire_on_commit=False) as session:
        yield session
        session.commit()
        followers = session.info.pop("after_commit", [])
    for follower in followers:
        try:
            follower()
        except Exception:
            log.exception("work after a commit failed; the sweeper will make up for it")


def clock(session: Session | None = None) -> datetime:
    """The present by the clock that all processes share: PostgreSQL's, or this machine's, which SQLite never leaves.

    What is past, and which hold has run out, is decided by it: web processes and workers on machines whose clocks
    differ by hours still agree. Inside of a transaction its ``session`` asks, without a second connection.
    """
    if get_engine().dialect.name != "postgresql":
        return utc_now()
    if session is None:
        with reading() as asking:
            return clock(asking)
    present: datetime = session.execute(select(func.clock_timestamp())).scalar_one()
    return present.astimezone(UTC)


def after_commit(session: Session, work: Callable[[], object]) -> None:
    """Run ``work`` once ``session``'s transaction has committed; never if it rolls back.

    A failure in ``work`` is logged, not raised: the committed rows say what is due, and the sweepers act on them.
    """
    session.info.setdefault("after_commit", []).append(work)
