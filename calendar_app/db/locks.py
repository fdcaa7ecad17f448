"""Locking one row for the rest of a transaction, as it stands now.

PostgreSQL locks the row (``FOR UPDATE``); on SQLite a writing transaction is alone anyway. Several rows of one
table are locked by one query that orders them by id, so that two transactions never wait for each other.
"""

from __future__ import annotations

from typing import TypeVar

from sqlmodel import Session, SQLModel

Row = TypeVar("Row", bound=SQLModel)


def locked(session: Session, table: type[Row], key: object) -> Row | None:
    """The row with this primary key, locked and read anew; what was changed of it before is written first."""
    session.flush()
    return session.get(table, key, with_for_update=True, populate_existing=True)


def locked_one(session: Session, table: type[Row], key: object) -> Row:
    """:func:`locked` for a row that must be there. :raises sqlalchemy.exc.NoResultFound: it is not."""
    session.flush()
    return session.get_one(table, key, with_for_update=True, populate_existing=True)
