"""A database that is full or damaged, met by this process as the server or the file says it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from calendar_app.db.session import make_engine
from tests.support.databases import Database


def run(engine: Engine, statements: Sequence[str]) -> None:
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def meet(database: Database, *, full: bool) -> None:
    """Run a statement that fails because the database is full, or else because it is damaged."""
    engine = database.engine
    if database.kind == "postgresql":
        code = "53100" if full else "XX001"
        statements = [f"DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{code}'; END $$"]
    elif full:
        statements = ["PRAGMA max_page_count = 1", "CREATE TABLE too_much AS SELECT zeroblob(1000000)"]
    else:
        file = Path(f"{engine.url.database}-broken")
        file.write_bytes(b"no database at all " * 1000)
        engine, statements = make_engine(f"sqlite:///{file}"), []
    with pytest.raises(DBAPIError):
        run(engine, statements)
