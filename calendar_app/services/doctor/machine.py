"""What the product stands on: database, disk, Redis, and the clocks of all three."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError, ResponseError
from sqlalchemy import Connection, func, select
from sqlalchemy.exc import SQLAlchemyError

from calendar_app import queues
from calendar_app.clock import utc_now
from calendar_app.db import failures
from calendar_app.db.session import get_engine
from calendar_app.services.doctor.findings import Finding, error, ok, warning
from calendar_app.services.operations import storage
from calendar_app.settings import get_settings

OLDEST_POSTGRES, OLDEST_SQLITE = 13, (3, 37)
"""What migrations and queries were written for: PostgreSQL before 13 gets no repairs any more
(https://www.postgresql.org/support/versioning/)."""
LITTLE_MB, NO_MB = storage.LITTLE_MB, 50
"""Megabytes left on a disk below which somebody should act, and below which writes are about to fail."""
CLOCK_OFF, CLOCK_WRONG = timedelta(seconds=5), timedelta(seconds=60)
"""How far clocks may be apart before somebody should act, and before holds and tokens end at the wrong time."""
PATIENCE_S = 3.0

_NO_DATABASE = "Start the database, and compare DATABASE_URL with it."
_NO_REDIS = "Start Redis, and compare REDIS_URL with it."
_SYNC = "Synchronise the clock of every machine (`timedatectl set-ntp true`, chrony)."


def free_mb(folder: Path) -> int:
    """Megabytes left on the disk of a folder."""
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize >> 20


def database() -> list[Finding]:
    """Version, extension and what a power cut could take."""
    try:
        with get_engine().connect() as connection:
            if connection.dialect.name == "sqlite":
                return [*_sqlite(connection), *_writable(connection)]
            return [*_postgres(connection), *_writable(connection)]
    except (SQLAlchemyError, OSError) as trouble:
        met = failures.diagnose(trouble)
        detail = failures.explain(met) if met else "The database does not answer."
        return [error("database", detail, _NO_DATABASE)]


def _postgres(connection: Connection) -> list[Finding]:
    number = int(connection.exec_driver_sql("SHOW server_version_num").scalar_one())
    version, found = f"PostgreSQL {number // 10_000}.{number % 10_000}", []
    if number // 10_000 < OLDEST_POSTGRES:
        found.append(
            error("database", f"{version} is too old.", f"Upgrade to PostgreSQL {OLDEST_POSTGRES} or later.")
        )
    else:
        found.append(ok("database", f"{version} answers."))
    has = connection.exec_driver_sql("SELECT count(*) FROM pg_extension WHERE extname = 'btree_gist'")
    if has.scalar_one():
        found.append(
            ok("database extension", "btree_gist is there: no two bookings can share a host's time.")
        )
    else:
        found.append(
            error(
                "database extension",
                "The extension btree_gist is missing, on which the rule against double bookings rests.",
                "Run `CREATE EXTENSION btree_gist` in this database as its administrator, then the migrations.",
            )
        )
    if losses := storage.losses(connection):
        found.append(
            warning(
                "database sync",
                losses,
                "Set synchronous_commit, fsync and full_page_writes to on in postgresql.conf.",
            )
        )
    else:
        found.append(ok("database sync", "What was acknowledged is on the disk."))
    return found


def _sqlite(connection: Connection) -> list[Finding]:
    version = str(connection.exec_driver_sql("SELECT sqlite_version()").scalar_one())
    found = [ok("database", f"SQLite {version} answers.")]
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_SQLITE:
        needed = ".".join(map(str, OLDEST_SQLITE))
        found = [
            error("database", f"SQLite {version} is too old.", f"Use a Python with SQLite {needed} or later.")
        ]
    journal = str(connection.exec_driver_sql("PRAGMA journal_mode").scalar_one()).lower()
    synchronous = int(connection.exec_driver_sql("PRAGMA synchronous").scalar_one())
    # https://www.sqlite.org/pragma.html#pragma_synchronous: FULL is 2; less may lose what was committed last.
    if journal != "wal" or synchronous < 2:
        found.append(
            warning(
                "database sync",
                f"SQLite keeps its journal as {journal} at synchronous {synchronous}: a power cut may lose bookings.",
                "Put DATA_DIR on a disk of this machine: network file systems have no write-ahead log.",
            )
        )
    else:
        found.append(
            ok("database sync", "Write-ahead log, synchronous FULL: what was acknowledged is on the disk.")
        )
    return found


def _writable(connection: Connection) -> list[Finding]:
    if met := failures.recent() or storage.refuses_to_write(connection):
        return [
            error(
                "database writes", failures.explain(met), "Make room, or give the database its rights back."
            )
        ]
    return [ok("database writes", "It takes what is written.")]


def disk(free: Callable[[Path], int] = free_mb) -> list[Finding]:
    """The disks of DATA_DIR and of a database file; a server's disk is out of sight."""
    settings = get_settings()
    folders = {settings.data_dir.absolute()}
    if settings.database.startswith("sqlite:///"):
        folders.add(Path(settings.database.removeprefix("sqlite:///")).absolute().parent)
    found = []
    for folder in sorted(one for one in folders if one.exists()):
        left = free(folder)
        said = f"{left} MB are left on the disk of {folder}."
        advice = "Make room there, or move DATA_DIR to a larger disk: a full disk takes no bookings."
        if left < NO_MB:
            found.append(error("disk", said, advice))
        elif left < LITTLE_MB:
            found.append(warning("disk", said, advice))
        else:
            found.append(ok("disk", said))
    return found


def redis() -> list[Finding]:
    """Whether jobs outlive a restart of Redis, and a lack of memory."""
    try:
        with queues.probe(PATIENCE_S) as client:
            if refusal := storage.redis_refuses(client):
                return [error("redis", refusal, "Give it memory and disk, and see its log.")]
            version = str(client.info("server").get("redis_version", ""))
            return [ok("redis", f"Redis {version} answers and takes what is written."), *_kept(client)]
    except (RedisError, OSError):
        return [error("redis", "Redis does not answer: calendars and open pages lag behind.", _NO_REDIS)]


def _kept(client: Redis) -> list[Finding]:
    found = []
    appended = str(client.info("persistence").get("aof_enabled", "")) == "1"  # type: ignore[union-attr]
    saved = _configured(client, "save")
    if appended or saved:
        how = "every write goes to its append-only file" if appended else f"it saves by the rule “{saved}”"
        found.append(ok("redis persistence", f"Jobs outlive a restart of Redis: {how}."))
    else:
        detail = "Redis keeps nothing on its disk: a restart loses queued jobs, which the sweepers make up for later."
        if saved is None:
            detail = "Redis does not append its writes to a file, and does not say whether it saves them otherwise."
        found.append(warning("redis persistence", detail, "Set `appendonly yes` in its configuration."))
    policy = str(client.info("memory").get("maxmemory_policy", ""))  # type: ignore[union-attr]
    if policy and policy != "noeviction":
        found.append(
            warning(
                "redis memory",
                f"Redis throws jobs away when it is full (maxmemory-policy {policy}).",
                "Set `maxmemory-policy noeviction` in its configuration.",
            )
        )
    else:
        found.append(ok("redis memory", "Redis throws nothing away (noeviction)."))
    return found


def _configured(client: Redis, name: str) -> str | None:
    """A setting of the server; ``None``: it does not say, as hosted ones do not."""
    try:
        answer = client.config_get(name)
    except ResponseError:
        return None
    return str(answer.get(name, ""))  # type: ignore[union-attr]


def clocks(now: Callable[[], datetime] = utc_now) -> list[Finding]:
    """This machine's clock against the database's and Redis's; ``now`` is this machine's."""
    asked: list[tuple[str, Callable[[], datetime]]] = [("Redis", _redis_time)]
    if get_engine().dialect.name == "postgresql":
        asked.insert(0, ("the database", _database_time))
    found = []
    for whose, ask in asked:
        began = time.monotonic()
        try:
            theirs = ask()
        except (RedisError, SQLAlchemyError, OSError):
            continue  # that it does not answer is told as such
        passed = timedelta(seconds=time.monotonic() - began)
        apart = abs(now() - passed / 2 - theirs)
        said = f"This machine's clock and that of {whose} are {_seconds(apart)} apart."
        if apart > CLOCK_WRONG + passed:
            found.append(error("clock", said, _SYNC))
        elif apart > CLOCK_OFF + passed:
            found.append(warning("clock", said, _SYNC))
        else:
            found.append(ok("clock", f"This machine's clock agrees with that of {whose}."))
    return found


def _redis_time() -> datetime:
    with queues.probe(PATIENCE_S) as client:
        return queues.present(client)


def _database_time() -> datetime:
    with get_engine().connect() as connection:
        present: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
        return present.astimezone(UTC)


def _seconds(span: timedelta) -> str:
    seconds = round(span.total_seconds())
    return f"{seconds} seconds" if seconds < 120 else f"{seconds // 60} minutes"
