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
CREATE TABLE IF NOT EXISTS account (email TEXT PRIMARY KEY, sub TEXT NOT NULL, name TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS consent (
  account TEXT PRIMARY KEY, scopes TEXT NOT NULL, offline INTEGER NOT NULL, given INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS code (
  digest TEXT PRIMARY KEY, account TEXT NOT NULL, scopes TEXT NOT NULL, redirect_uri TEXT NOT NULL,
  challenge TEXT NOT NULL, challenge_method TEXT NOT NULL, nonce TEXT NOT NULL, refreshable INTEGER NOT NULL,
  expires INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS token (
  digest TEXT PRIMARY KEY, kind TEXT NOT NULL, account TEXT NOT NULL, scopes TEXT NOT NULL,
  expires INTEGER) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS calendar (
  id TEXT PRIMARY KEY, account TEXT NOT NULL, seq INTEGER NOT NULL, deleted INTEGER NOT NULL DEFAULT 0,
  is_primary INTEGER NOT NULL, sync_epoch INTEGER NOT NULL DEFAULT 0, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS event (
  calendar TEXT NOT NULL, id TEXT NOT NULL, seq INTEGER NOT NULL, status TEXT NOT NULL, updated INTEGER NOT NULL,
  starts INTEGER NOT NULL, ends INTEGER NOT NULL, recurring INTEGER NOT NULL, series TEXT, original TEXT,
  ical_uid TEXT NOT NULL, body TEXT NOT NULL, UNIQUE (calendar, id));
CREATE UNIQUE INDEX IF NOT EXISTS event_seq ON event (calendar, seq);
CREATE INDEX IF NOT EXISTS event_series ON event (calendar, series);
CREATE INDEX IF NOT EXISTS event_uid ON event (calendar, ical_uid);
CREATE TABLE IF NOT EXISTS ghost (
  calendar TEXT NOT NULL, id TEXT NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (calendar, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS channel (
  id TEXT PRIMARY KEY, account TEXT NOT NULL, resource TEXT NOT NULL, resource_id TEXT NOT NULL,
  resource_uri TEXT NOT NULL, address TEXT NOT NULL, token TEXT NOT NULL, expires INTEGER NOT NULL,
  number INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS channel_resource ON channel (resource);
"""


def digest(secret: str) -> str:
    """How codes and tokens are kept: never in clear."""
    return hashlib.sha256(secret.encode()).hexdigest()


class Store:
    """The open file, its clock and its change sequence.

    ``on_change`` is called after each commit with the resources that changed: ``events:<calendar id>``,
    ``calendars:<account>``.
    """

    def __init__(self, path: Path | str, clock: Clock) -> None:
        if path != ":memory:":
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        self.db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
        self.db.row_factory = sqlite3.Row
        self.db.execute("PRAGMA journal_mode=WAL")
        self.db.execute("PRAGMA synchronous=NORMAL")
        self.db.executescript(_SCHEMA)
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
