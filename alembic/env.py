"""Alembic's entry point: migrates the database named by the settings, or the connection that a caller hands over."""

from __future__ import annotations

from typing import Any, Literal

from alembic.util import CommandError
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import SQLModel
from sqlmodel.sql.sqltypes import AutoString

import calendar_app.db.tables  # noqa: F401  # registers every table on the metadata
from alembic import context
from calendar_app.db import failures
from calendar_app.db.session import get_engine
from calendar_app.db.types import EncryptedText, Json, UtcDateTime

ONE_AT_A_TIME = 6_201_377_814
"""A key of an advisory lock that nothing else in the database uses."""
PATIENCE = "3s"
"""How long a migration waits for a table that a long transaction holds, before it gives up and is run again."""


def render_item(kind: str, item: Any, _context: Any) -> str | Literal[False]:
    """Write our own column types by name, and SQLModel's string as plain ``sa.String``."""
    if kind == "type":
        if isinstance(item, AutoString):
            return f"sa.String(length={item.length})" if item.length else "sa.String()"
        if isinstance(item, UtcDateTime | EncryptedText):
            return f"{type(item).__name__}()"
        if item is Json:
            return "Json"
    return False


def run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=SQLModel.metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        render_item=render_item,
        compare_type=False,
    )
    with context.begin_transaction():
        if connection.dialect.name == "postgresql":
            # One at a time, wherever `release` is run; and whoever waits for a table has everybody else wait behind.
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({ONE_AT_A_TIME})")
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{PATIENCE}'")
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    try:
        with get_engine().execution_options(sqlite_begin="IMMEDIATE").begin() as own:
            run(own)
    except SQLAlchemyError as error:
        if failures.recognise(error) is None:
            raise
        raise CommandError(failures.sentence(error)) from error
