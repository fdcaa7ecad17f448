"""The test fixtures themselves: isolation between tests is what every other test leans on."""

from __future__ import annotations

from redis import Redis
from sqlmodel import Session, select

from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import Person
from calendar_app.queues import enqueue, redis
from calendar_app.settings import Settings, get_settings
from tests.support.databases import Database


def _people(session: Session) -> list[Person]:
    return list(session.exec(select(Person)))


def _add_ada() -> int:
    with transaction() as session:
        session.add(Person(email="ada@example.com"))
    with reading() as session:
        return len(_people(session))


def test_a_database_starts_empty(database: Database) -> None:
    """What one test writes..."""
    assert _add_ada() == 1


def test_a_database_starts_empty_again(database: Database) -> None:
    """...the next one does not see."""
    assert _add_ada() == 1
    assert get_settings().database.startswith(database.kind)


def test_redis_is_real_and_empty(redis_server: Redis) -> None:
    """Jobs reach a real server, which starts without any."""
    assert redis_server.dbsize() == 0
    assert enqueue("default", "sweep", job_id="sweep")
    assert redis_server.exists("rq:job:sweep")
    assert redis().ping()


def test_without_redis_enqueueing_fails_softly(settings: Settings) -> None:
    """A test that asks for no Redis has none, and the product copes."""
    assert not enqueue("default", "sweep")
