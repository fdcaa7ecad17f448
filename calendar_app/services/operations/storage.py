"""Whether the database and Redis take what is written to them: parts of the checks behind ``/ready``.

A full disk and a full Redis still answer everything that is read, so each is asked for new space.
"""

from __future__ import annotations

import os
from pathlib import Path

from redis import Redis
from redis.exceptions import ReadOnlyError, ResponseError
from sqlalchemy import Connection

from calendar_app.db import failures
from calendar_app.db.failures import Failure

LITTLE_MB = 200
"""Megabytes left on the disk of a database file below which somebody should look."""
_PROBE, _PROBE_S = "almanac:probe", 60
_SPILL = "SELECT count(*) FROM generate_series(1, 60000)"
"""With the smallest ``work_mem`` PostgreSQL writes this megabyte to a new file, and removes it."""
_REDIS_FULL = (
    "Redis is full (maxmemory is reached): nothing is queued and pages do not open; give it more memory."
)
_MISCONFIGURED = (
    "Redis takes no writes because it cannot save to its disk (MISCONF): make room there; its log says more."
)
_REPLICA = "Redis is a replica and takes no writes: point REDIS_URL at the primary server."


def refuses_to_write(connection: Connection) -> Failure | None:
    """Why the database would not store a booking, as far as that can be told without storing one.

    :raises sqlalchemy.exc.DBAPIError: it answers something else than expected.
    """
    if connection.dialect.name == "sqlite":
        return failures.folder_refuses(_folder(connection))
    if connection.exec_driver_sql("SHOW transaction_read_only").scalar_one() == "on":
        return Failure.READ_ONLY
    connection.exec_driver_sql("SET LOCAL work_mem = '64kB'")
    connection.exec_driver_sql(_SPILL)
    return None


def megabytes_left(connection: Connection) -> int | None:
    """Megabytes left on the disk of a database file; ``None`` for a server, whose disk is out of sight."""
    if connection.dialect.name != "sqlite":
        return None
    disk = os.statvfs(_folder(connection))
    return disk.f_bavail * disk.f_frsize >> 20


def losses(connection: Connection) -> str:
    """What of an acknowledged booking a power cut could take, in a sentence; empty: nothing.

    https://www.postgresql.org/docs/current/runtime-config-wal.html: with ``synchronous_commit`` off, commits return
    before they are on the disk; without ``fsync`` or ``full_page_writes`` the whole database may be lost.
    """
    if connection.dialect.name == "sqlite":
        return ""
    off = [
        name
        for name in ("synchronous_commit", "fsync", "full_page_writes")
        if connection.exec_driver_sql(f"SHOW {name}").scalar_one() == "off"
    ]
    if not off:
        return ""
    return (
        f"A power cut may lose bookings that were acknowledged: PostgreSQL runs with {' and '.join(off)} off."
    )


def redis_refuses(client: Redis) -> str:
    """Why Redis would not take a job, in a sentence; empty: it does.

    :raises redis.exceptions.RedisError: it does not answer, or with something unexpected.
    """
    try:
        client.set(_PROBE, os.getpid(), ex=_PROBE_S)
    except ReadOnlyError:
        return _REPLICA
    except ResponseError as error:
        # OutOfMemoryError is a ResponseError; MISCONF comes as a plain one.
        text = str(error)
        if "maxmemory" in text:
            return _REDIS_FULL
        if "MISCONF" in text or "RDB" in text or "AOF" in text:
            return _MISCONFIGURED
        raise
    return ""


def redis_forgets(client: Redis) -> str:
    """Whether Redis may throw jobs away when it is full, in a sentence; empty: it does not, or does not tell."""
    try:
        memory = client.info("memory")
    except ResponseError:
        return ""
    policy = str(memory.get("maxmemory_policy", ""))  # type: ignore[union-attr]  # it is no asynchronous client
    if not int(memory.get("maxmemory", 0)) or policy in ("", "noeviction"):  # type: ignore[union-attr]
        return ""
    return f"Redis throws jobs away when it is full: set maxmemory-policy from {policy} to noeviction."


def _folder(connection: Connection) -> Path:
    return Path(connection.engine.url.database or ".").absolute().parent
