"""Failures of the database that an operator has to repair, told in one sentence each.

The engine notes each as it happens (:func:`note`), so that ``/ready`` can say what requests have met:
a full disk shows only when something needs new space, and a damaged page only when somebody reads it.
"""

from __future__ import annotations

import errno
import os
import tempfile
import time
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from sqlalchemy.engine import make_url

from calendar_app.places import COMMAND
from calendar_app.settings import get_settings

REMEMBERED_S = 60.0
"""Seconds for which a full disk counts after the last write that it refused."""


class Failure(StrEnum):
    """What is wrong with the database."""

    DAMAGED = "damaged"
    FULL = "full"
    READ_ONLY = "read_only"
    NOT_OPENED = "not_opened"
    DISK = "disk"


_SQLITE = {
    11: Failure.DAMAGED,
    26: Failure.DAMAGED,
    13: Failure.FULL,
    8: Failure.READ_ONLY,
    14: Failure.NOT_OPENED,
    10: Failure.DISK,
}
"""Primary result codes: CORRUPT, NOTADB, FULL, READONLY, CANTOPEN, IOERR (https://www.sqlite.org/rescode.html)."""
_POSTGRES = {
    "53100": Failure.FULL,
    "25006": Failure.READ_ONLY,
    "XX001": Failure.DAMAGED,
    "XX002": Failure.DAMAGED,
    "58030": Failure.DISK,
}
"""SQLSTATE: disk_full, read_only_sql_transaction, data_corrupted, index_corrupted, io_error
(https://www.postgresql.org/docs/current/errcodes-appendix.html)."""

SPACE = 1 << 20
"""Bytes that have to be writable beside a database file."""
_REFUSED = {
    errno.ENOSPC: Failure.FULL,
    errno.EDQUOT: Failure.FULL,
    errno.EROFS: Failure.READ_ONLY,
    errno.EACCES: Failure.READ_ONLY,
    errno.EPERM: Failure.READ_ONLY,
}


@dataclass(slots=True)
class _Seen:
    failure: Failure | None = None
    at: float = 0.0


_seen = _Seen()


def recognise(error: BaseException | None) -> Failure | None:
    """Which of the failures it is, whether SQLAlchemy's error or the driver's; ``None``: another one."""
    cause = getattr(error, "orig", None) or error
    code, state = getattr(cause, "sqlite_errorcode", None), getattr(cause, "sqlstate", None)
    if isinstance(code, int):
        return _SQLITE.get(code & 0xFF)
    return _POSTGRES.get(state) if isinstance(state, str) else None


def diagnose(error: BaseException) -> Failure | None:
    """As :func:`recognise`, and on SQLite why a file cannot be used: on a full disk it cannot even be opened."""
    failure = recognise(error)
    url = make_url(get_settings().database)
    if failure in (Failure.DISK, Failure.NOT_OPENED) and url.get_backend_name() == "sqlite":
        folder = Path(url.database or ".").absolute().parent
        return (folder_refuses(folder) if folder.is_dir() else None) or failure
    return failure


def folder_refuses(folder: Path) -> Failure | None:
    """Why a megabyte cannot be written in a folder; nothing of it stays."""
    try:
        with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
            file.write(os.urandom(SPACE))
    except OSError as error:
        return _REFUSED.get(error.errno or 0, Failure.DISK)
    return None


def explain(failure: Failure) -> str:
    """What is wrong, and what to do about it."""
    url = make_url(get_settings().database)
    if url.get_backend_name() == "sqlite":
        return _of_a_file(failure, str(url.database))
    return {
        Failure.DAMAGED: "PostgreSQL reports damaged data: look into its log and, if an index is named, REINDEX it; "
        'else restore a backup (docs/operations.md, "Backup and restore").',
        Failure.FULL: "The database’s disk is full: make room on PostgreSQL’s machine. What was acknowledged stands.",
        Failure.READ_ONLY: "The database takes no writes (a standby, or default_transaction_read_only): "
        "point DATABASE_URL at the primary server.",
    }.get(failure, "PostgreSQL cannot read or write its files: look into its log and at its disk.")


def sentence(error: BaseException) -> str:
    """What to tell the person at a terminal about any error of the database."""
    failure = diagnose(error)
    if failure is not None:
        return explain(failure)
    reason = str(getattr(error, "orig", None) or error).strip().partition("\n")[0].rstrip(".")
    return f"The database cannot be used ({reason}): check DATABASE_URL."


def _of_a_file(failure: Failure, path: str) -> str:
    return {
        Failure.DAMAGED: f"The database file {path} is damaged or no SQLite database: stop everything and restore a "
        f'backup with `{COMMAND} restore FILE` (docs/operations.md, "Backup and restore").',
        Failure.FULL: f"The disk that holds the database file {path} is full: make room there. "
        "What was acknowledged stands.",
        Failure.READ_ONLY: f"The database file {path} cannot be written: give this user the right to write it "
        "and its folder.",
        Failure.NOT_OPENED: f"The database file {path} cannot be opened: its folder must exist, and this user must be "
        "allowed to write there.",
    }.get(
        failure,
        f"The disk that holds the database file {path} does not read or write: look at its health and space.",
    )


def note(error: BaseException | None) -> None:
    """Remember what a statement of this process met."""
    failure = recognise(error)
    if failure is not None:
        _seen.failure, _seen.at = failure, time.monotonic()


def recent() -> Failure | None:
    """What this process met last: a damaged file until the process is started again, all else for a minute."""
    if _seen.failure is None:
        return None
    lasting = _seen.failure is Failure.DAMAGED and get_settings().database.startswith("sqlite")
    return _seen.failure if lasting or time.monotonic() - _seen.at < REMEMBERED_S else None


def forget() -> None:
    """Start anew (tests, a change of settings)."""
    _seen.failure = None
