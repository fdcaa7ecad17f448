"""Bring every encrypted value under the newest key, while the product runs.

``ENCRYPTION_KEYS`` holds keys newest first; what is written is encrypted with the first, what is read may be under any.
So a key is changed in three steps: put the new one first everywhere, rotate, take the old one out. Each value is
replaced only if it is still the one that was read, so that a token which was refreshed meanwhile stays; a run that was
interrupted goes on where there is still something to do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from sqlalchemy import Column, Table, Text, select, type_coerce, update
from sqlmodel import SQLModel

import calendar_app.db.tables  # noqa: F401  # registers every table on the metadata
from calendar_app.db.session import reading, transaction
from calendar_app.db.types import EncryptedText, cipher
from calendar_app.settings import get_settings

BATCH = 200


@dataclass(frozen=True, slots=True)
class Rotation:
    """One column's values: ``current`` were under the newest key already, ``rotated`` are now, ``changed`` were
    written by somebody else meanwhile (so under the newest key), ``unreadable`` are under none of the keys."""

    column: str
    current: int = 0
    rotated: int = 0
    changed: int = 0
    unreadable: int = 0


def encrypted_columns() -> list[tuple[Table, Column[str]]]:
    """Every column that is encrypted at rest, in the order of their names."""
    return [
        (table, column)
        for table in sorted(SQLModel.metadata.tables.values(), key=lambda one: one.name)
        for column in table.columns
        if isinstance(column.type, EncryptedText)
    ]


def rotate(
    *, batch: int = BATCH, dry: bool = False, progress: Callable[[Rotation], None] = lambda _: None
) -> list[Rotation]:
    """Rotate every column, ``batch`` rows in a transaction; ``dry`` only counts (as ``rotated`` what would be)."""
    found = []
    for table, column in encrypted_columns():
        counts = Rotation(f"{table.name}.{column.name}")
        for rows in _batches(table, column, batch):
            counts = _rotated(table, column, rows, counts, dry=dry)
            progress(counts)
        found.append(counts)
    return found


def _batches(table: Table, column: Column[str], size: int) -> Iterator[list[tuple[str, str]]]:
    key, raw = table.c.id, type_coerce(column, Text)
    last = ""
    while True:
        query = select(key, raw).where(key > last, raw.is_not(None)).order_by(key).limit(size)
        with reading() as session:
            rows = [(str(row[0]), str(row[1])) for row in session.execute(query)]
        if not rows:
            return
        yield rows
        last = rows[-1][0]


def _rotated(
    table: Table, column: Column[str], rows: list[tuple[str, str]], counts: Rotation, *, dry: bool
) -> Rotation:
    keys = cipher()
    newest = Fernet(get_settings().encryption_keys[0].get_secret_value())
    old: list[tuple[str, str, str]] = []
    current = unreadable = changed = 0
    for row_id, value in rows:
        if _opens(newest, value):
            current += 1
            continue
        try:
            old.append((row_id, value, keys.rotate(value.encode()).decode()))
        except InvalidToken:
            unreadable += 1
    if old and not dry:
        with transaction() as session:
            for row_id, before, after in old:
                same = type_coerce(column, Text) == before
                # As text: the column's own type would encrypt the token once more.
                statement = update(table).where(table.c.id == row_id, same)
                answer = session.connection().execute(statement.values({column: type_coerce(after, Text)}))
                changed += not answer.rowcount
    return replace(
        counts,
        current=counts.current + current,
        rotated=counts.rotated + len(old) - changed,
        changed=counts.changed + changed,
        unreadable=counts.unreadable + unreadable,
    )


def _opens(key: Fernet | MultiFernet, value: str) -> bool:
    try:
        key.decrypt(value.encode())
    except InvalidToken:
        return False
    return True
