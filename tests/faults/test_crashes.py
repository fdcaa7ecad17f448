"""kill -9 of real workers and web processes at every step of write, sync, refresh and booking.

The step is caught from outside: the provider holds its answer, or the database holds a lock. Afterwards a new process
finds what the dead one left; database and provider agree, each event exactly once.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import httpx
import psycopg
import pytest
from redis import Redis
from sqlmodel import select

from calendar_app import queues
from calendar_app.db.session import reading
from calendar_app.db.tables import Booking, CalendarWrite
from calendar_app.services import bookings, calendar_writes, grants, sync
from calendar_app.services.sync import Outcome
from tests.concurrency.storm import web_processes
from tests.faults.office import LONG, Office, opened
from tests.sandbox.server import Sandbox
from tests.support.databases import Database
from tests.support.scheduling import ZONE, assert_consistent
from tests.worker.processes import Process, wait_until, worker

pytestmark = [pytest.mark.slow, pytest.mark.serial, pytest.mark.timeout(240)]


@pytest.fixture
def office(database: Database, redis_server: Redis, sandbox: Sandbox) -> Office:
    made = opened(sandbox)
    assert sync.sync_calendar(made.calendar.id).outcome is Outcome.DONE
    return made


@pytest.fixture
def a_worker(tmp_path: Path) -> Callable[[], AbstractContextManager[Process]]:
    return lambda: worker({}, tmp_path / "worker.log")


Workers = Callable[[], AbstractContextManager[Process]]
Count = Callable[[str, object], None]


def settled(office: Office, process: Process, *states: str) -> None:
    """A worker brings the writes to ``states``; claims of the dead are over first, those of the living last."""
    office.pass_time()

    def look() -> bool:
        assert process.running, process.output
        office.pass_time(leases=False)
        calendar_writes.sweep()
        with reading() as session:
            return sorted(row.state for row in session.exec(select(CalendarWrite))) == list(states)

    wait_until(look, 60)


def _killed_while_held(office: Office, a_worker: Workers, operation: str, *, after: bool) -> None:
    fault = office.fault("hold", operation, after=after, times=None, seconds=60)
    with a_worker() as process:
        wait_until(lambda: office.held(fault), 60)
        process.kill()
    office.mend()


def test_a_worker_killed_at_every_step_of_a_write(
    office: Office, a_worker: Workers, record_property: Count
) -> None:
    """Before the call took effect, after it, while reading back; for making, moving and removing an event."""
    steps = 0
    for hour, (operation, after) in enumerate(
        [("create", False), ("create", True), ("get", False), ("get", True)]
    ):
        office.place.book(office.place.at(18 + hour))
        _killed_while_held(office, a_worker, operation, after=after)
        steps += 1
    with reading() as session:
        made = list(session.exec(select(Booking)))
    with a_worker() as process:
        settled(office, process, *["verified"] * len(made))
    assert set(office.ours()) == {row.id for row in made}
    for row, after in zip(made, (False, True), strict=False):
        bookings.reschedule(office.place.owner, row.id, office.place.at(18 + 2 * after, days=1))
        _killed_while_held(office, a_worker, "update", after=after)
        steps += 1
    for row, after in zip(made[2:], (False, True), strict=False):
        bookings.cancel(office.place.owner, row.id)
        _killed_while_held(office, a_worker, "delete", after=after)
        steps += 1
    with a_worker() as process:
        settled(office, process, "removed", "removed", "verified", "verified")
    standing = office.ours()
    with reading() as session:
        rows = {row.id: row for row in session.exec(select(Booking))}
    assert set(standing) == {key for key, row in rows.items() if row.status == "confirmed"}
    for key, event in standing.items():
        assert office.times(event) == (rows[key].start_at, rows[key].end_at)
    record_property("count", f"{steps} kills, {len(standing)} events, each once")


def test_a_worker_killed_between_the_answer_and_its_record(
    office: Office, a_worker: Workers, database: Database
) -> None:
    """The provider has said 200, the row is locked, the worker dies waiting for it: one event."""
    if database.kind != "postgresql":
        pytest.skip("row locks are PostgreSQL's; on SQLite the step is caught in tests/services")
    made = office.place.book(office.place.at(20))
    fault = office.fault("hold", "create", after=True, seconds=60)
    with a_worker() as process, psycopg.connect(database.url) as lock:
        wait_until(lambda: office.held(fault), 60)
        lock.execute("SELECT 1 FROM calendar_write FOR UPDATE")
        office.mend()
        with psycopg.connect(database.url, autocommit=True) as look:
            waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            wait_until(lambda: look.execute(waiting).fetchone(), 30)
        process.kill()
        lock.rollback()
    assert office.write_of(made).applied_version == 0
    assert list(office.ours()) == [made.id]
    with a_worker() as process:
        settled(office, process, "verified")
    assert list(office.ours()) == [made.id]


def test_a_worker_that_sleeps_through_its_claim(office: Office, a_worker: Workers) -> None:
    """SIGSTOP in the middle of a write, another takes over and the booking moves, SIGCONT: the late result counts
    for nothing, the calendar ends as the booking stands."""
    made = office.place.book(office.place.at(20))
    fault = office.fault("hold", "create", after=False, seconds=120)
    with a_worker() as sleeper:
        wait_until(lambda: office.held(fault), 60)
        sleeper.pause()
        with a_worker() as second:
            office.pass_time()
            bookings.reschedule(office.place.owner, made.id, office.place.at(21))
            settled(office, second, "verified")
            office.mend()
            sleeper.resume()
            wait_until(lambda: office.write_of(made).fence >= 3 or not sleeper.running, 60)
            settled(office, second, "verified")
            moved = office.ours()[made.id]
            assert office.times(moved)[0] == office.place.at(21)


def test_one_job_delivered_many_times(office: Office, a_worker: Workers, record_property: Count) -> None:
    """Two workers get twenty copies of one job: one event, one call that made it, and one letter each."""
    made = office.place.book(office.place.at(20))
    creates = office.fault("drip", "create", times=None, seconds=0.2)
    row = office.write_of(made)
    for number in range(20):
        queues.enqueue(queues.WRITES, "apply_write", row.id, job_id=f"copy-{number}")
    with a_worker() as process, a_worker():
        settled(office, process, "verified")
        wait_until(lambda: queues.redis().llen("rq:queue:writes") == 0)
    assert office.met(creates) == 1
    assert list(office.ours()) == [made.id]
    record_property("count", "20 copies, 2 workers, 1 call")


@pytest.mark.parametrize(
    ("page", "after"), [(1, False), (1, True), (2, False), (2, True)] if LONG else [(2, True)]
)
def test_a_worker_killed_while_it_reads(office: Office, a_worker: Workers, page: int, after: bool) -> None:
    """On the first and on the second page, before and after the provider's work: no half-read calendar."""
    before = office.mirrored()
    office.add_remote(2_600)
    office.sandbox.client.post("/sandbox/api/google/expire", json={"what": "sync"})
    sync.request(office.calendar.id)
    fault = office.fault("hold", "list", page=page, after=after, times=None, seconds=60)
    with a_worker() as process:
        wait_until(lambda: office.held(fault), 60)
        process.kill()
    office.mend()
    assert office.mirrored() == before
    office.pass_time()
    sync.sweep()
    with a_worker() as process:
        wait_until(lambda: office.mirrored() != before or not process.running, 60)
        office.assert_mirrored()


@pytest.mark.parametrize("after", [False, True] if LONG else [True])
def test_a_worker_killed_while_it_refreshes(office: Office, a_worker: Workers, after: bool) -> None:
    """At the token endpoint, before and after it gave new tokens: the account stays connected and is used again."""
    made = office.place.book(office.place.at(20)) if after else None
    office.age_token()
    if made is None:
        sync.request(office.calendar.id)
    fault = office.fault("hold", "token", after=after, times=None, seconds=60)
    with a_worker() as process:
        wait_until(lambda: office.held(fault), 60)
        process.kill()
    office.mend()
    office.pass_time()
    assert grants.call(office.connection.id, lambda provider: provider.list_calendars())
    assert office.account().status == "connected"
    if made is not None:
        with a_worker() as process:
            settled(office, process, "verified")
        assert list(office.ours()) == [made.id]


@contextmanager
def _stopped_redis(client: Redis) -> Iterator[None]:
    pid = int(client.info("server")["process_id"])
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


TRIGGER = """
CREATE FUNCTION hold_booking() RETURNS trigger AS $$ BEGIN PERFORM pg_advisory_xact_lock(4242); RETURN NULL; END $$
LANGUAGE plpgsql;
CREATE CONSTRAINT TRIGGER hold_booking AFTER INSERT ON booking {when} FOR EACH ROW EXECUTE FUNCTION hold_booking();
"""


@pytest.mark.parametrize(
    "step", ["after the insert", "in the commit", "before the answer"] if LONG else ["in the commit"]
)
def test_a_web_process_killed_while_it_books(
    office: Office, database: Database, redis_server: Redis, a_worker: Workers, step: str
) -> None:
    """Before the commit there is no booking, after it exactly one; a repetition with the same key gives it."""
    if database.kind != "postgresql":
        pytest.skip("triggers that wait are PostgreSQL's")
    body = {
        "event_type_id": office.place.event_type.id,
        "start": office.place.at(20).isoformat(),
        "timezone": ZONE,
        "name": "Ada",
        "email": "ada@example.org",
    }
    headers = {"Idempotency-Key": "one-wish"}

    def book(url: str) -> httpx.Response:
        return httpx.post(f"{url}/api/v1/bookings", json=body, headers=headers, timeout=60)

    def lost() -> None:
        with pytest.raises(httpx.TransportError):
            book(webs[0].url)

    def rows() -> list[Booking]:
        with reading() as session:
            return list(session.exec(select(Booking)))

    client = threading.Thread(target=lost)
    with web_processes(2) as webs, psycopg.connect(database.url, autocommit=True) as admin:
        admin.execute(
            TRIGGER.format(when="" if step == "after the insert" else "DEFERRABLE INITIALLY DEFERRED")
        )
        try:
            admin.execute("SELECT pg_advisory_lock(4242)")
            client.start()
            held = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            (backend,) = wait_until(lambda: admin.execute(held).fetchone(), 30)
            if step == "before the answer":  # the commit goes through; telling the queue hangs
                with _stopped_redis(redis_server):
                    admin.execute("SELECT pg_advisory_unlock(4242)")
                    wait_until(rows, 30)
                    webs[0].kill()
            else:
                webs[0].kill()
                admin.execute("SELECT pg_terminate_backend(%s)", (backend,))
                admin.execute("SELECT pg_advisory_unlock(4242)")
        finally:
            admin.execute("DROP FUNCTION hold_booking CASCADE")
        client.join(30)
        assert len(rows()) == (1 if step == "before the answer" else 0)
        office.pass_time()
        answer = book(webs[1].url).json()
    assert [row.id for row in rows()] == [answer["id"]]
    assert_consistent()
    with a_worker() as process:
        settled(office, process, "verified")
    assert list(office.ours()) == [answer["id"]]
