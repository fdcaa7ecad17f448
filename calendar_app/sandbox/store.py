"""What the stand-in providers remember: one SQLite file, one connection.

Every handler runs on the server's event loop and touches the store without awaiting in between, so requests never
interleave inside it; a second process on the same file is kept apart by ``BEGIN IMMEDIATE``. All changes draw a number
from one *update sequence*: it orders changes, makes ETags, and is what a sync token points at.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

Clock = Callable[[], datetime]
"""Tells the present instant, aware, in UTC."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS secret (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""


def digest(secret: str) -> str:
    """How codes and tokens are kept: never in clear."""
    return hashlib.sha256(secret.encode()).hexdigest()


class Store:
    """The open file, its clock and its change sequence; ``schema``: SQL that makes a provider's tables if need be.

    ``on_change`` is called after each commit with the resources that changed, as the provider names them.
    """

    def __init__(self, path: Path | str, clock: Clock, schema: str = "") -> None:
        if path != ":memory:":
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        self.db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
        self.db.row_factory = sqlite3.Row
        self.db.execute("PRAGMA journal_mode=WAL")
        self.db.execute("PRAGMA synchronous=NORMAL")
        self.db.executescript(_SCHEMA + schema)
        self.clock = clock
        self.on_change: Callable[[frozenset[str]], None] = lambda _resources: None
        self._touched: set[str] = set()

    def close(self) -> None:
        self.db.close()

    def now(self) -> datetime:
        return self.clock().astimezone(UTC)

    def now_ms(self) -> int:
        """Milliseconds since the epoch, the unit of every ``updated`` and ``expires`` column."""
        return int(self.now().timestamp() * 1000)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """One transaction; watchers hear of it after the commit, once per changed resource."""
        self.db.execute("BEGIN IMMEDIATE")
        self._touched = set()
        try:
            yield
        except BaseException:
            self.db.execute("ROLLBACK")
            raise
        self.db.execute("COMMIT")
        if touched := frozenset(self._touched):
            self.on_change(touched)

    def touch(self, resource: str) -> None:
        """Marks ``resource`` as changed by the present transaction."""
        self._touched.add(resource)

    def next_sequence(self) -> int:
        """The next number of the update sequence; only inside :meth:`writing`."""
        row = self.db.execute(
            "INSERT INTO meta VALUES ('sequence', 1) ON CONFLICT (name) DO UPDATE SET value = value + 1 RETURNING value"
        ).fetchone()
        return int(row[0])

    def sequence(self) -> int:
        """The newest number of the update sequence."""
        row = self.db.execute("SELECT value FROM meta WHERE name = 'sequence'").fetchone()
        return int(row[0]) if row else 0

    def secret(self, name: str, make: Callable[[], str]) -> str:
        """A value made on first use and kept."""
        row = self.db.execute("SELECT value FROM secret WHERE name = ?", (name,)).fetchone()
        if row is None:
            self.db.execute("INSERT OR IGNORE INTO secret VALUES (?, ?)", (name, make()))
            row = self.db.execute("SELECT value FROM secret WHERE name = ?", (name,)).fetchone()
        return str(row[0])
