"""A backup of the database in one file, made while everything runs, and putting it back.

SQLite: a copy made by its online backup (https://www.sqlite.org/backup.html), itself a database. PostgreSQL:
``pg_dump``'s custom format (https://www.postgresql.org/docs/current/app-pgdump.html), made and read by PostgreSQL's own
programs, which have to be of the server's version or newer. Keys are never in it.

Putting one back brings it to this version's schema, and then trusts nothing that it knew of calendars
(:func:`calendar_app.services.common.installation.after_restore`).
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import psutil
from alembic.script import ScriptDirectory
from sqlalchemy import make_url, text
from sqlalchemy.engine import URL

from calendar_app.clock import utc_now
from calendar_app.db import migrate
from calendar_app.db.session import get_engine
from calendar_app.errors import AlmanacError
from calendar_app.services.common import installation
from calendar_app.settings import get_settings

_PLACES = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql*/bin")
"""Where distributions keep PostgreSQL's programs of several versions side by side."""
_SUFFIXES = ("-wal", "-shm", "")
_SQLITE_MAGIC, _DUMP_MAGIC = b"SQLite format 3\0", b"PGDMP"


class BackupError(AlmanacError):
    """A backup could not be made or put back; one sentence for the operator."""

    code, title = "backup_failed", "The backup failed"


@dataclass(frozen=True, slots=True)
class Restored:
    """What became of it: ``calendars`` that are read anew, and the file with what was there before, if any."""

    calendars: int
    before: Path | None


def make(target: Path) -> int:
    """Write a backup to a file that does not exist yet, for its owner's eyes only; its size in bytes.

    :raises BackupError: the file exists or cannot be written, or PostgreSQL's programs are missing or too old.
    """
    if target.exists():
        raise BackupError(f"{target} exists already: name another file.")
    partial = target.with_name(f"{target.name}.part")
    try:
        partial.touch(mode=0o600)
        if _is_sqlite():
            _copy(_database_file(), partial)
        else:
            _postgres("pg_dump", "--format=custom", "--no-owner", "--no-privileges", f"--file={partial}")
        partial.replace(target)
    except (OSError, sqlite3.Error) as error:
        raise BackupError(f"{target} cannot be written ({_reason(error)}).") from error
    finally:
        partial.unlink(missing_ok=True)
    return target.stat().st_size


def restore(source: Path, *, as_copy: bool = False) -> Restored:
    """Put a backup back in the place of what there is, which is kept in ``DATA_DIR``; every process has to be stopped.

    ``as_copy``: for a staging system, which becomes an installation of its own and keeps no access to accounts.

    :raises BackupError: the file is no backup of this kind of database, or of a newer version, or is damaged; or
        something still uses the database.
    """
    _check(source)
    _require_alone()
    before = _keep_present()
    if _is_sqlite():
        _put_back_file(source)
    else:
        _put_back_dump(source)
    get_engine().dispose()
    migrate.upgrade()
    return Restored(installation.after_restore(as_copy=as_copy), before)


def _check(source: Path) -> None:
    try:
        with source.open("rb") as file:
            start = file.read(len(_SQLITE_MAGIC))
    except OSError as error:
        raise BackupError(f"{source} cannot be read ({error.strerror}).") from error
    wanted, kind = (_SQLITE_MAGIC, "SQLite") if _is_sqlite() else (_DUMP_MAGIC, "PostgreSQL")
    if not start.startswith(wanted):
        raise BackupError(f"{source} is no backup of a {kind} database, which DATABASE_URL names.")
    if not _is_sqlite():
        _postgres("pg_restore", "--list", str(source), connects=False)
        return
    try:
        with closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as copy:
            (found,) = copy.execute("PRAGMA quick_check(1)").fetchone()
            revisions = {revision for (revision,) in copy.execute("SELECT version_num FROM alembic_version")}
    except sqlite3.Error as error:
        raise BackupError(f"{source} is damaged, or no backup of Almanac ({error}).") from error
    if found != "ok":
        raise BackupError(f"{source} is damaged ({found}).")
    _require_known(source, revisions)


def _require_known(source: Path, revisions: set[str]) -> None:
    known = {one.revision for one in ScriptDirectory.from_config(migrate.alembic_config()).walk_revisions()}
    if not revisions or not revisions <= known:
        raise BackupError(f"{source} was made by a newer version: put it back with that version’s code.")


def _require_alone() -> None:
    get_engine().dispose()
    users: Sequence[int]
    if _is_sqlite():
        users = _processes_with(_database_file())
    else:
        others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        with get_engine().connect() as connection:
            users = connection.scalars(text(f"SELECT pid {others}")).all()
        get_engine().dispose()
    if users:
        raise BackupError(
            f"The database is in use (by process {', '.join(map(str, users))}): stop every process first."
        )


def _processes_with(file: Path) -> list[int]:
    """Other processes that have the file open, as far as this user may see."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and any(one.path == str(file) for one in process.open_files()):
                found.append(process.pid)
        except (psutil.Error, OSError):
            continue
    return found


def _keep_present() -> Path | None:
    """A backup of what is there now, or the damaged files themselves; ``None`` where there is nothing."""
    folder = get_settings().data_dir
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    target = folder / f"before-restore-{utc_now():%Y%m%dT%H%M%S.%f}"
    if _is_sqlite() and not _database_file().exists():
        return None
    try:
        make(target)
    except BackupError:
        if not _is_sqlite():
            return None
        for suffix in _SUFFIXES:
            if (part := Path(f"{_database_file()}{suffix}")).exists():
                shutil.move(part, f"{target}{suffix}")
    return target


# --- SQLite -----------------------------------------------------------------------------------------------------------


def _is_sqlite() -> bool:
    return _url().get_backend_name() == "sqlite"


def _url() -> URL:
    return make_url(get_settings().database)


def _database_file() -> Path:
    return Path(str(_url().database))


def _copy(source: Path, target: Path) -> None:
    """A whole copy in one file: SQLite's own pages, whoever writes meanwhile."""
    if not source.exists():
        raise BackupError(f"There is no database file {source}.")
    with closing(sqlite3.connect(source)) as present, closing(sqlite3.connect(target)) as copy:
        present.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")
        (found,) = copy.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise BackupError(f"The database file {source} is damaged ({found}): put an earlier backup back.")


def _put_back_file(source: Path) -> None:
    """A fresh file takes the database's name; the old one goes, with its journal."""
    file = _database_file()
    get_engine().dispose()
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = file.with_name(f"{file.name}.restoring")
    try:
        fresh.touch(mode=0o600)
        with closing(sqlite3.connect(source)) as backup, closing(sqlite3.connect(fresh)) as copy:
            backup.backup(copy)
        for suffix in _SUFFIXES:
            Path(f"{file}{suffix}").unlink(missing_ok=True)
        fresh.replace(file)
        descriptor = os.open(file.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except (OSError, sqlite3.Error) as error:
        raise BackupError(f"{source} cannot be put back ({_reason(error)}).") from error
    finally:
        fresh.unlink(missing_ok=True)


# --- PostgreSQL -------------------------------------------------------------------------------------------------------


def _put_back_dump(source: Path) -> None:
    """Empty the database of tables, then let ``pg_restore`` fill it in one transaction."""
    with get_engine().begin() as connection:
        names = connection.scalars(
            text("SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = current_schema()")
        ).all()
        if names:
            connection.execute(text(f"DROP TABLE {', '.join(names)} CASCADE"))
    get_engine().dispose()
    options = ("--no-owner", "--no-privileges", "--no-comments", "--single-transaction", "--exit-on-error")
    _postgres("pg_restore", *options, str(source))
    with get_engine().connect() as connection:
        _require_known(source, set(connection.scalars(text("SELECT version_num FROM alembic_version"))))


def _postgres(program: str, *options: str, connects: bool = True) -> None:
    """Run one of PostgreSQL's programs on the database; the password is in no argument that others see."""
    url = _url()
    environment = dict(os.environ)
    if url.password is not None:
        environment["PGPASSWORD"] = str(url.password)
    plain = url.set(drivername="postgresql", password=None).render_as_string()
    command = [*options, f"--dbname={plain}"] if connects else list(options)
    refusals = []
    for path in _programs(program):
        done = subprocess.run(  # noqa: S603  # PostgreSQL's own program, with a path and the operator's settings
            [path, *command], capture_output=True, text=True, env=environment, check=False
        )
        if done.returncode == 0:
            return
        refusals.append(f"{path}: {' '.join(done.stderr.split()) or done.returncode}")
        if "version" not in done.stderr:
            break
    if not refusals:
        raise BackupError(f"{program} is not installed: install PostgreSQL’s client of the server’s version.")
    raise BackupError(f"{program} failed ({'; '.join(refusals)[:600]}).")


def _programs(name: str) -> Iterator[str]:
    """That of ``PATH`` first, then others that are installed, the newest version first."""
    first = shutil.which(name)
    if first:
        yield first
    others = {str(path / name) for place in _PLACES for path in Path("/").glob(place[1:])}
    yield from sorted((path for path in others if path != first and os.access(path, os.X_OK)), reverse=True)


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
