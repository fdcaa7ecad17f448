"""Migrations run beside old code: each only adds, so that what the code of the release before writes is still taken.

An upgrade migrates first and replaces processes afterwards (``docs/operations.md``), so for a while code of the release
before works on the new schema. Here every migration is run on a database that holds a row of each table; afterwards
the old code's statements, built from the schema that it knows, must work as before.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import (
    Column,
    Connection,
    Engine,
    MetaData,
    Table,
    delete,
    insert,
    inspect,
    select,
    text,
    update,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from alembic import command
from calendar_app.db.migrate import alembic_config
from calendar_app.db.session import make_engine
from calendar_app.settings import Settings

SCRIPTS = ScriptDirectory.from_config(alembic_config())
REVISIONS = [revision.revision for revision in reversed(list(SCRIPTS.walk_revisions()))]
BEFORE_THE_FIRST_RELEASE = {"0003"}
"""No installation ran the code before it: it replaced a column. Nothing else may ever stand here."""
NUMBERS = {"starts": 10, "ends": 20}
"""Columns that a check compares."""


@pytest.fixture
def engine(database_kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """A database without any table."""
    if database_kind == "sqlite":
        found = make_engine(f"sqlite:///{tmp_path / 'migrations.db'}")
    else:
        url = make_url(request.getfixturevalue("_postgres_url")).set(drivername="postgresql+psycopg")
        name = f"{url.database}_migrations"
        admin = make_engine(url.render_as_string(hide_password=False))
        with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'))
            connection.execute(text(f'CREATE DATABASE "{name}"'))
        admin.dispose()
        found = make_engine(url.set(database=name).render_as_string(hide_password=False))
    yield found
    found.dispose()


def upgrade(engine: Engine, revision: str) -> None:
    with engine.execution_options(sqlite_begin="IMMEDIATE").begin() as connection:
        command.upgrade(alembic_config(connection), revision)


def tables(engine: Engine) -> list[Table]:
    """What code of this schema knows, those that others refer to first."""
    found = MetaData()
    found.reflect(engine)
    return [table for table in found.sorted_tables if table.name != "alembic_version"]


def must_give(column: Column[Any]) -> bool:
    """Whether an INSERT has to name the column; keys are named so that references meet them."""
    return column.primary_key or not (column.nullable or column.server_default is not None)


def value(column: Column[Any], number: int) -> Any:
    """Something that fits; a reference fits the row of the same number."""
    kind = column.type.python_type
    if kind in (str, bytes):
        return f"{number:x}" if kind is str else b"x"
    if kind is int:
        return NUMBERS.get(column.name, 1) + 100 * number
    if kind is datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)
    return False if kind is bool else {}


def write(connection: Connection, known: list[Table], number: int) -> None:
    """A row of every table, as the code that knows these tables inserts, reads, changes and deletes it."""
    for table in known:
        row = {column.name: value(column, number) for column in table.columns if must_give(column)}
        connection.execute(insert(table).values(row))
        connection.execute(select(table)).all()
        connection.execute(update(table).values(row).where(*(table.c[name] == row[name] for name in row)))


def clear(connection: Connection, known: list[Table]) -> None:
    for table in reversed(known):
        connection.execute(delete(table))


@dataclass(frozen=True)
class Schema:
    """What there is between two migrations. ``files`` and ``indexes`` by table; PostgreSQL only."""

    tables: dict[str, Table]
    files: dict[str, int]
    indexes: dict[str, set[str]]


def look(engine: Engine) -> Schema:
    known = {table.name: table for table in tables(engine)}
    if engine.dialect.name != "postgresql":
        return Schema(known, {}, {})
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT relname, relfilenode FROM pg_class WHERE relkind = 'r'"))
        files = {row.relname: row.relfilenode for row in rows if row.relname in known}
    found = inspect(engine)
    indexes = {name: {str(one["name"]) for one in found.get_indexes(name)} for name in known}
    return Schema(known, files, indexes)


def nothing_is_narrowed(old: Schema, new: Schema) -> None:
    """No column goes or changes its type or becomes obligatory, and no new constraint refuses what was allowed."""
    assert set(old.tables) <= set(new.tables)
    for name, table in old.tables.items():
        there = new.tables[name]
        assert set(table.columns.keys()) <= set(there.columns.keys()), name
        assert len(there.constraints) == len(table.constraints), name
        for column in table.columns:
            now = there.columns[column.name]
            assert (str(now.type), now.nullable or not column.nullable) == (str(column.type), True), column


def nothing_is_rewritten(old: Schema, new: Schema) -> None:
    """Locks of existing tables are held for moments only, however large the tables are."""
    assert {name: new.files[name] for name in old.files} == old.files
    assert {name: new.indexes[name] for name in old.indexes} == old.indexes


def test_old_code_works_on_the_schema_of_the_release_after(engine: Engine) -> None:
    """For each migration: rows stay, what old code inserts, reads, changes and deletes is taken, nothing is narrowed,
    and on PostgreSQL no table that may be large is rewritten or indexed while others wait."""
    upgrade(engine, REVISIONS[0])
    new = look(engine)
    for number, revision in enumerate(REVISIONS[1:], 1):
        old, known = new, list(new.tables.values())
        with engine.begin() as connection:
            write(connection, known, 2 * number)
        upgrade(engine, revision)
        new = look(engine)
        if revision not in BEFORE_THE_FIRST_RELEASE:
            nothing_is_narrowed(old, new)
            nothing_is_rewritten(old, new)
            with engine.begin() as connection:
                write(connection, known, 2 * number + 1)
                assert {len(connection.execute(select(table)).all()) for table in known} == {2}, revision
        with engine.begin() as connection:
            clear(connection, list(new.tables.values()))


def test_a_migration_does_not_queue_the_whole_product_behind_itself(
    engine: Engine, database_kind: str
) -> None:
    """Somebody's long transaction holds a table: the migration gives up within seconds, and succeeds when run again."""
    if database_kind == "sqlite":
        pytest.skip("SQLite has one lock, which readers do not need")
    upgrade(engine, REVISIONS[0])
    with engine.begin() as busy:
        busy.execute(text("SELECT count(*) FROM mail"))
        with pytest.raises(OperationalError, match="lock timeout"):
            upgrade(engine, "head")
    upgrade(engine, "head")


def test_two_machines_may_migrate_at_once(
    engine: Engine, database_kind: str, configure: Callable[..., Settings]
) -> None:
    """Each runs the Procfile's `release`: one migrates, the other waits for it and finds nothing to do."""
    if database_kind == "sqlite":
        pytest.skip("SQLite's file belongs to one machine")
    url = engine.url.set(drivername=engine.url.get_backend_name()).render_as_string(hide_password=False)
    configure(DATABASE_URL=url)
    release = [Path(sys.executable).with_name("alembic"), "upgrade", "head"]
    both = [subprocess.Popen(release, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    assert [(process.communicate(timeout=60)[1], process.returncode)[1] for process in both] == [0, 0]
    assert len(tables(engine)) > 20


def test_what_was_the_default_for_stale_calendars_becomes_the_new_one(engine: Engine) -> None:
    """A calendar that kept its last state because nobody chose asks for approval; what somebody chose stays."""
    upgrade(engine, "0007")
    trails: dict[int, tuple[str, list[dict[str, Any]]]] = {
        1: ("keep", []),
        2: ("keep", [{"stale_policy": "close"}, {"stale_policy": "keep"}, {"receives_bookings": True}]),
        3: ("keep", [{"checks_conflicts": True}]),
        4: ("close", [{"stale_policy": "close"}]),
    }
    with engine.begin() as connection:
        known = tables(engine)
        calendar, audit = (next(t for t in known if t.name == name) for name in ("calendar", "audit_entry"))
        for number, (policy, details) in trails.items():
            write(connection, known, number)
            mine = calendar.c.id == f"{number:x}"
            connection.execute(update(calendar).where(mine).values(stale_policy=policy))
            for place, detail in enumerate(details):
                row = {column.name: value(column, number) for column in audit.columns if must_give(column)}
                row |= {"id": f"{number}-{place}", "action": "calendar.updated", "subject_type": "calendar"}
                connection.execute(
                    insert(audit).values(row | {"subject_id": f"{number:x}", "detail": detail})
                )
    upgrade(engine, "0008")
    with engine.connect() as connection:
        found = {row.id: row.stale_policy for row in connection.execute(select(calendar))}
    assert found == {"1": "approve", "2": "keep", "3": "approve", "4": "close"}


def test_calendars_stay_on_the_dashboard(engine: Engine) -> None:
    """Those of before the switch are shown, whatever else they are used for, and so are those that older code adds."""
    upgrade(engine, "0018")
    with engine.begin() as connection:
        before = tables(engine)
        write(connection, before, 1)
    upgrade(engine, "0019")
    with engine.begin() as connection:
        write(connection, before, 2)
        calendar = next(table for table in tables(engine) if table.name == "calendar")
        found = [
            (row.shown_on_dashboard, row.checks_conflicts) for row in connection.execute(select(calendar))
        ]
    assert found == [(True, False), (True, False)]


@pytest.mark.parametrize("in_use", [False, True])
def test_only_an_upgrade_has_older_code_beside_it(engine: Engine, in_use: bool) -> None:
    """A database in which people work was served by the release before, which may go on for a day; a new one not."""
    upgrade(engine, "0009")
    if in_use:
        (person,) = [table for table in tables(engine) if table.name == "person"]
        with engine.begin() as connection:
            write(connection, [person], 1)
    upgrade(engine, "0010")
    with engine.connect() as connection:
        until = connection.execute(text("SELECT older_code_until FROM installation")).scalar_one()
    assert (until is not None) is in_use
