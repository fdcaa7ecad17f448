"""What the database is asked to do: transactions and statements, of every thread of this process.

with counted() as seen:
    ...
assert (seen.commits, len(seen.statements)) == (1, 12)
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import event

from calendar_app.db.session import get_engine
from calendar_app.settings import current_settings


@dataclass
class Seen:
    """``commits`` and ``rollbacks`` end transactions, the second those that only read; ``writing`` are the statements
    of the transaction that committed last."""

    commits: int = 0
    rollbacks: int = 0
    statements: list[str] = field(default_factory=list)
    writing: list[str] = field(default_factory=list)
    _open: dict[int, list[str]] = field(default_factory=dict)

    def of(self, table: str) -> list[str]:
        """Statements that read rows of a table by the ORM's or Core's way of writing it."""
        return [text for text in self.statements if f"FROM {table}" in text]


@contextmanager
def counted() -> Iterator[Seen]:
    """Count until the end of the block. What operators entered was just read, as it is every few seconds."""
    current_settings()
    seen, engine = Seen(), get_engine()

    def begin(connection: Any) -> None:
        seen._open[id(connection.connection.dbapi_connection)] = []

    def execute(connection: Any, _cursor: Any, text: str, *_rest: Any) -> None:
        if text.startswith("BEGIN"):
            return
        flat = " ".join(text.split())
        seen.statements.append(flat)
        seen._open.setdefault(id(connection.connection.dbapi_connection), []).append(flat)

    def commit(connection: Any) -> None:
        seen.commits += 1
        seen.writing = seen._open.pop(id(connection.connection.dbapi_connection), [])

    def rollback(connection: Any) -> None:
        seen.rollbacks += 1
        seen._open.pop(id(connection.connection.dbapi_connection), None)

    listeners = {"begin": begin, "before_cursor_execute": execute, "commit": commit, "rollback": rollback}
    for name, listener in listeners.items():
        event.listen(engine, name, listener)
    try:
        yield seen
    finally:
        for name, listener in listeners.items():
            event.remove(engine, name, listener)
