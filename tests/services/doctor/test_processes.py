"""Workers, cron, and a schema that is not the code's."""

from __future__ import annotations

from redis import Redis
from sqlalchemy import text

from calendar_app.db.session import transaction
from calendar_app.services.doctor import processes
from calendar_app.services.doctor.findings import Level
from tests.support.databases import Database


def test_nobody_works(database: Database, redis_server: Redis) -> None:
    """Without workers and cron each is an error with what to start; the version and the schema are told."""
    found = {one.name: one for one in processes.processes()}
    assert found["version"].detail.startswith("Almanac 0.")
    assert found["migrations"].level is Level.OK
    assert (found["workers"].level, "worker" in found["workers"].advice) == (Level.ERROR, True)
    assert (found["cron"].level, "cron" in found["cron"].advice) == (Level.ERROR, True)


def test_a_migration_is_pending(database: Database, redis_server: Redis) -> None:
    """A schema behind the code is an error that names the command."""
    with transaction() as session:
        head = session.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
        session.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    try:
        found = {one.name: one for one in processes.processes()}
    finally:
        with transaction() as session:
            session.execute(text("UPDATE alembic_version SET version_num = :head"), {"head": head})
    assert found["migrations"].level is Level.ERROR
    assert "alembic upgrade head" in found["migrations"].advice
