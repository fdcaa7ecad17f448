"""The claim on people's time: the database itself refuses overlaps, and what it gives up is tried again."""

from __future__ import annotations

import itertools
import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from calendar_app.db.session import transaction
from calendar_app.db.tables import EventType, HostReservation, Person
from calendar_app.domain.timespan import Span, instant
from calendar_app.errors import SlotUnavailable
from calendar_app.services.bookings import reservations
from tests.support import factories
from tests.support.databases import Database
from tests.support.scheduling import reservations as rows

NOW = datetime(2030, 1, 7, 9, tzinfo=UTC)
AT = instant(NOW)


@pytest.fixture
def kind(database: Database) -> EventType:
    return factories.event_type(factories.workspace())


@pytest.fixture
def host(database: Database) -> Person:
    return factories.person()


def _claim(
    kind: EventType, start: int, end: int, *hosts: Person, state: str = reservations.CONFIRMED
) -> None:
    with transaction() as session:
        expires = NOW + timedelta(minutes=10) if state == reservations.HELD else None
        span = Span(AT + start, AT + end)
        reservations.claim(session, kind.id, [h.id for h in hosts], span, state, expires=expires)


@pytest.mark.parametrize(("start", "end"), [(0, 60), (-30, 1), (59, 90), (10, 20), (-10, 100)])
def test_no_overlap_without_any_lock(kind: EventType, host: Person, start: int, end: int) -> None:
    """The constraint holds for a claim that forgot to lock and to look."""
    _claim(kind, 0, 60, host)
    with pytest.raises(SlotUnavailable, match="just taken"):
        _claim(kind, start, end, host)
    assert len(rows()) == 1


def test_touching_claims_and_other_hosts_are_free(kind: EventType, host: Person) -> None:
    """Half-open: what ends at ten leaves ten free; others' time is others'."""
    _claim(kind, 0, 60, host)
    _claim(kind, 60, 90, host)
    _claim(kind, -30, 0, host)
    _claim(kind, 0, 60, factories.person())
    assert len(rows()) == 4


def test_several_hosts_are_claimed_together_or_not_at_all(kind: EventType, host: Person) -> None:
    """One busy host of three, and nothing is claimed."""
    _claim(kind, 0, 60, host)
    with pytest.raises(SlotUnavailable):
        _claim(kind, 30, 90, factories.person(), host, factories.person())
    assert len(rows()) == 1


def test_a_row_cannot_be_moved_onto_another(kind: EventType, host: Person) -> None:
    """Updates are held to the same rule as inserts."""
    _claim(kind, 0, 60, host)
    _claim(kind, 60, 120, host)

    def move() -> None:
        with transaction() as session:
            row = session.get_one(HostReservation, rows()[1].id)
            row.starts = AT + 30
            session.add(row)

    with pytest.raises((IntegrityError, OperationalError), match=reservations.NO_OVERLAP):
        move()
    assert [row.starts - AT for row in rows()] == [0, 60]


def test_expired_holds_give_way_under_the_lock(kind: EventType, host: Person) -> None:
    """A hold claims until its second, and not after it, whether or not it was swept away."""
    _claim(kind, 0, 60, host, state=reservations.HELD)
    for late, gone in ((599, False), (600, True)):
        with transaction() as session:
            reservations.lock_hosts(session, [kind.id], [host.id], NOW + timedelta(seconds=late))
        assert (rows() == []) == gone


def test_parallel_claims_without_locks_never_overlap(kind: EventType, host: Person) -> None:
    """Threads that only insert, retried on deadlock: one winner a time, and nobody sees a database error."""
    barrier = threading.Barrier(8)
    outcomes: list[str] = []

    def work(number: int) -> None:
        for turn in range(6):
            barrier.wait()
            try:
                reservations.retrying(lambda: _claim(kind, turn * 100 + number, turn * 100 + 60, host))  # noqa: B023
                outcomes.append("ok")
            except SlotUnavailable:
                outcomes.append("taken")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 48
    found = rows()
    assert len(found) == outcomes.count("ok")
    assert len(found) <= 6
    assert all(one.ends <= two.starts for one, two in itertools.pairwise(found))


def _database_error(sqlstate: str) -> DBAPIError:
    class Refused(Exception):
        pass

    refused = Refused("refused")
    refused.sqlstate = sqlstate  # type: ignore[attr-defined]
    return DBAPIError("INSERT", {}, refused)


def test_transient_refusals_are_retried_a_few_times() -> None:
    """40001 and 40P01 run the work again; always refused, it is a taken slot and never a server error."""
    tries: list[str] = []

    def work() -> str:
        tries.append("once")
        if len(tries) < 3:
            raise _database_error("40P01" if len(tries) == 1 else "40001")
        return "done"

    assert reservations.retrying(work) == "done"
    assert len(tries) == 3

    def never() -> str:
        raise _database_error("40001")

    with pytest.raises(SlotUnavailable, match="try again"):
        reservations.retrying(never)


def test_other_database_errors_are_not_hidden() -> None:
    """What is not transient is raised at once."""
    tries: list[str] = []

    def work() -> None:
        tries.append("once")
        raise _database_error("23502")

    with pytest.raises(DBAPIError):
        reservations.retrying(work)
    assert len(tries) == 1
