"""Whether what the product stands on is there: the database, at the newest schema, and Redis."""

from __future__ import annotations

from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from calendar_app.db.migrate import alembic_config
from calendar_app.db.session import get_engine
from calendar_app.queues import redis


def failures() -> dict[str, str]:
    """What is missing, by name, in one sentence each; empty when all is well."""
    found = {}
    if sentence := _database():
        found["database"] = sentence
    try:
        redis().ping()
    except (RedisError, OSError):
        found["redis"] = "Redis does not answer: bookings stand, but calendars and open pages lag behind."
    return found


def _database() -> str:
    try:
        with get_engine().connect() as connection:
            current = set(MigrationContext.configure(connection).get_current_heads())
    except (SQLAlchemyError, OSError):
        return "The database does not answer."
    wanted = set(ScriptDirectory.from_config(alembic_config()).get_heads())
    return (
        ""
        if current == wanted
        else "The database is not at this version’s schema: run `alembic upgrade head`."
    )
