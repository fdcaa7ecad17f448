"""Databases for tests: migrated once per session, then copied (SQLite) or emptied (PostgreSQL) for each test.

The place stays the same, so that an engine serves all of them.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psycopg
from sqlalchemy import Engine, event
from sqlmodel import SQLModel

import calendar_app.db.tables  # noqa: F401  # registers every table on the metadata
from calendar_app.db import migrate
from calendar_app.db.ids import new_id
from calendar_app.db.session import make_engine, use_engine


@dataclass(frozen=True, slots=True)
class Database:
    """The database of one test. ``kind`` is ``sqlite`` or ``postgresql``; ``url`` works as ``DATABASE_URL``."""

    kind: str
    url: str
    engine: Engine


def migrated(url: str) -> None:
    """Run every migration on the database at a SQLAlchemy URL."""
    engine = make_engine(url)
    with engine.execution_options(sqlite_begin="IMMEDIATE").begin() as connection:
        migrate.upgrade(connection)
    engine.dispose()


def sqlite_template(folder: Path) -> Path:
    """A migrated SQLite file without journal files beside it, ready to be copied."""
    path = folder / "template.db"
    migrated(f"sqlite:///{path}")
    engine = make_engine(f"sqlite:///{path}")
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    engine.dispose()
    return path


def sqlite_copy(template: Path, target: Path) -> str:
    """The URL of a fresh copy of the template, in place of what is there."""
    for suffix in ("", "-wal", "-shm", "-journal"):
        target.with_name(target.name + suffix).unlink(missing_ok=True)
    shutil.copyfile(template, target)
    return f"sqlite:///{target}"


def postgres_database(server: str, name: str) -> str:
    """A new, migrated database on ``server`` (a ``postgresql://`` URL); yields a URL for ``DATABASE_URL``."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        connection.execute(f'CREATE DATABASE "{name}"')
    before, _, query = server.partition("?")
    url = f"{before.rpartition('/')[0]}/{name}" + (f"?{query}" if query else "")
    migrated(url.replace("postgresql://", "postgresql+psycopg://", 1))
    return url


def emptied(url: str) -> str:
    """Leave what the migrations leave, one installation, and return the URL; deleting rows is quicker than TRUNCATE."""
    wipe = ";".join(f'DELETE FROM "{table.name}"' for table in reversed(SQLModel.metadata.sorted_tables))
    fresh = f"INSERT INTO installation (id, created_at) VALUES ('{new_id()}', now())"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"BEGIN;{wipe};{fresh};COMMIT")
    return url


@cache
def _engine(url: str) -> Engine:
    """One engine for all tests of a URL, since it keeps what statements compile to. SQLite does not sync either."""
    engine = make_engine(url.replace("postgresql://", "postgresql+psycopg://", 1))
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous=OFF"))
    return engine


@contextmanager
def in_use(kind: str, url: str) -> Iterator[Database]:
    """Make the database the process's own for the length of a ``with`` block; its connections end with it."""
    engine = _engine(url)
    use_engine(engine)
    try:
        yield Database(kind, url, engine)
    finally:
        use_engine(None)
        engine.dispose()
