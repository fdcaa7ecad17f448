"""The columns that tables have in common, and how constraints are named; every table's module begins here."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, Text
from sqlmodel import Field, SQLModel

from calendar_app.clock import utc_now
from calendar_app.db.ids import new_id
from calendar_app.db.types import Json, UtcDateTime

SQLModel.metadata.naming_convention = {
    "ix": "ix_%(column_0_N_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
BIG_KEY = BigInteger().with_variant(Integer(), "sqlite")
"""The type of a row number that the database counts itself; SQLite does that for ``INTEGER`` only."""


def row_id() -> Any:
    """The primary key: an opaque string of :func:`calendar_app.db.ids.new_id`."""
    return Field(default_factory=new_id, primary_key=True, max_length=26)


def ref(target: str, *, nullable: bool = False, index: bool = True, ondelete: str = "CASCADE") -> Any:
    """A foreign key to ``table.column``."""
    column: Column[str] = Column(ForeignKey(target, ondelete=ondelete), nullable=nullable, index=index)
    return Field(default=None, sa_column=column) if nullable else Field(sa_column=column)


def when(*, nullable: bool = False, index: bool = False) -> Any:
    """An aware datetime in UTC: the present unless given, or ``None`` where that is possible."""
    if nullable:
        return Field(default=None, sa_column=Column(UtcDateTime, nullable=True, index=index))
    return Field(default_factory=_now, sa_column=Column(UtcDateTime, nullable=False, index=index))


def json(default: Any, *, stored: str | None = None) -> Any:
    """A JSON document; ``default`` makes one. ``stored``: what rows have that a release before the column wrote."""
    column = Column(Json, nullable=False, server_default=stored)
    return Field(default_factory=default, sa_column=column)


def text(*, stored: str | None = None) -> Any:
    """Text of any length, empty unless given; ``stored`` as for :func:`json`."""
    return Field(default="", sa_column=Column(Text, nullable=False, server_default=stored))


def _now() -> datetime:
    return utc_now()
