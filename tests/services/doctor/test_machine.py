"""Database, disk, Redis and clocks: each trouble is brought about once, and told with what to do."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from redis import Redis

from calendar_app import queues
from calendar_app.clock import utc_now
from calendar_app.db.session import get_engine, use_engine
from calendar_app.services.doctor import machine
from calendar_app.services.doctor.findings import Finding, Level, worst
from calendar_app.settings import Settings
from tests.support.databases import Database


def named(found: list[Finding], name: str) -> Finding:
    """The one finding of that name."""
    (one,) = [one for one in found if one.name == name]
    return one


def test_a_database_that_is_well(database: Database) -> None:
    """Its version is told, and PostgreSQL's extension; that the tests' databases do not wait for disks is a warning."""
    found = machine.database()
    assert named(found, "database").level is Level.OK
    assert named(found, "database writes").level is Level.OK
    assert named(found, "database sync").level is Level.WARNING
    if database.kind == "postgresql":
        assert "btree_gist is there" in named(found, "database extension").detail
        assert "synchronous_commit" in named(found, "database sync").advice


def test_the_products_own_sqlite_file(configure: Callable[..., Settings], tmp_path: Path) -> None:
    """As the product opens it, nothing that was acknowledged can be lost."""
    configure(DATABASE_URL=f"sqlite:///{tmp_path}/own.db")
    use_engine(None)
    try:
        assert worst(machine.database()) is Level.OK
    finally:
        get_engine().dispose()
        use_engine(None)


def test_a_database_that_does_not_answer(configure: Callable[..., Settings], tmp_path: Path) -> None:
    """Nobody is left with a stack."""
    configure(DATABASE_URL=f"postgresql://nobody@/none?host={tmp_path}")
    use_engine(None)
    try:
        (found,) = machine.database()
    finally:
        get_engine().dispose()
        use_engine(None)
    assert (found.level, found.name) == (Level.ERROR, "database")
    assert "DATABASE_URL" in found.advice


@pytest.mark.parametrize(("left", "level"), [(10, Level.ERROR), (120, Level.WARNING), (5_000, Level.OK)])
def test_a_disk_that_fills(settings: Settings, left: int, level: Level) -> None:
    """Little room is a warning, none an error; both say what to do."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    (found,) = machine.disk(lambda _folder: left)
    assert found.level is level
    assert f"{left} MB" in found.detail
    assert bool(found.advice) is (level is not Level.OK)


def test_redis_without_persistence(redis_server: Redis) -> None:
    """A server that keeps nothing and one that evicts are both told with the line to set; mended, both are well."""
    before = {name: redis_server.config_get(name)[name] for name in ("save", "maxmemory-policy")}
    try:
        redis_server.config_set("save", "")
        redis_server.config_set("maxmemory-policy", "allkeys-lru")
        found = machine.redis()
        assert named(found, "redis").level is Level.OK
        assert "appendonly yes" in named(found, "redis persistence").advice
        assert "noeviction" in named(found, "redis memory").advice
        redis_server.config_set("save", "900 1")
        redis_server.config_set("maxmemory-policy", "noeviction")
        assert worst(machine.redis()) is Level.OK
    finally:
        for name, value in before.items():
            redis_server.config_set(name, value)


def test_redis_that_does_not_answer(settings: Settings) -> None:
    """One error that names the variable."""
    (found,) = machine.redis()
    assert (found.level, "REDIS_URL" in found.advice) == (Level.ERROR, True)


@pytest.mark.parametrize(
    ("off", "level"),
    [(timedelta(0), Level.OK), (timedelta(seconds=20), Level.WARNING), (timedelta(minutes=5), Level.ERROR)],
)
@pytest.mark.parametrize("direction", [1, -1])
def test_a_clock_that_is_off(
    database: Database, redis_server: Redis, off: timedelta, level: Level, direction: int
) -> None:
    """This machine ahead of or behind Redis's clock, and the database's where that has one of its own."""
    queues.forget()
    found = machine.clocks(lambda: utc_now() + direction * off)
    assert len(found) == (2 if database.kind == "postgresql" else 1)
    assert {one.level for one in found} == {level}
    if level is Level.ERROR:
        assert "5 minutes apart" in found[0].detail
        assert "Synchronise" in found[0].advice
