"""kill -9 of real workers and web processes at every step of write, sync, refresh and booking.

The step is caught from outside: the provider holds its answer, or the database holds a lock. Afterwards a new process
finds what the dead one left; database and provider agree, each event exactly once.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from redis import Redis
from sqlmodel import select

from calendar_app import queues
from calendar_app.db.session import reading
from calendar_app.db.tables import Booking, CalendarWrite, Mail
from calendar_app.domain.event import BOOKING_MARK
from calendar_app.errors import GrantRevoked
from calendar_app.services.bookings import reschedule as booking_reschedule
from calendar_app.services.bookings import transitions
from calendar_app.services.calendar_sync import requests as sync_requests
from calendar_app.services.calendar_sync.run import Outcome
from calendar_app.services.calendar_writes import outbox as write_outbox
from calendar_app.services.connections import tokens as connection_tokens
from tests.concurrency.storm import web_processes
from tests.faults.office import Office, opened
from tests.faults.vendors import Held, MicrosoftAccount
from tests.sandbox.server import Sandbox
from tests.support.databases import Database
from tests.support.long_form import LONG
from tests.support.scheduling import ZONE, assert_consistent
from tests.worker.processes import Process, wait_until, worker

pytestmark = [pytest.mark.slow, pytest.mark.serial, pytest.mark.timeout(240)]


ALL = ["google", "microsoft", "caldav"]
"""Each has its own way to make a write repeatable: an own id, ``transactionId``, ``If-None-Match``."""


def at(*providers: str) -> pytest.MarkDecorator:
    """Run the test with the calendar at each of them."""
    return pytest.mark.parametrize("provider", providers, indirect=True)


@pytest.fixture
def office(
    database: Database, redis_server: Redis, sandbox: Sandbox, provider: str, request: pytest.FixtureRequest
) -> Office:
    made = opened(sandbox, provider, request.getfixturevalue("radicale").url if provider == "caldav" else "")
    if isinstance(made.vendor, MicrosoftAccount):
        made.vendor = Marked(made.vendor)
    assert sync_requests.sync_calendar(made.calendar.id).outcome is Outcome.DONE
    return made


class Marked:
    """A mailbox whose events of ours show their mark, which Graph gives for single events and not in listings."""

    def __init__(self, mailbox: MicrosoftAccount) -> None:
        self._mailbox = mailbox
        self.key, self.calendar, self.shown = mailbox.key, mailbox.calendar, mailbox.shown

    def held(self) -> list[Held]:
        return [self._marked(held) for held in self._mailbox.held()]

    def _marked(self, held: Held) -> Held:
        if held.booking or not held.title.startswith("Intro call"):
            return held
        event = self._mailbox._reader().get_event(self.calendar, held.id)
        return replace(held, booking=event.private.get(BOOKING_MARK, ""))

    def columns(self) -> Mapping[str, Any]:
        return self._mailbox.columns()

    def crowd(self) -> int:
        return self._mailbox.crowd()


@pytest.fixture
def a_worker(tmp_path: Path) -> Callable[[], AbstractContextManager[Process]]:
    return lambda: worker({}, tmp_path / "worker.log", forked=True)


Workers = Callable[[], AbstractContextManager[Process]]
Count = Callable[[str, object], None]


def settled(office: Office, process: Process, *states: str) -> None:
    """A worker brings the writes to ``states``; claims of the dead are over first, those of the living last."""
    office.pass_time()
    for slots in queues.redis().scan_iter("almanac:parallel:*"):  # the dead keep theirs for a while
        queues.redis().delete(slots)

    def look() -> bool:
        assert process.running, process.output
        office.pass_time(leases=False)
        write_outbox.sweep()
        with reading() as session:
            return sorted(row.state for row in session.exec(select(CalendarWrite))) == list(states)

    wait_until(look, 60)


def _killed_while_held(office: Office, a_worker: Workers, operation: str, *, after: bool) -> None:
    fault = office.fault("hold", operation, after=after, times=None, seconds=60)
    with a_worker() as process:
        wait_until(lambda: office.held(fault), 60)
        process.kill()
    office.mend()


@at(*(ALL if LONG else ALL[:1]))
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
        booking_reschedule.reschedule(office.place.owner, row.id, office.place.at(18 + 2 * after, days=1))
        _killed_while_held(office, a_worker, "update", after=after)
        steps += 1
    for row, after in zip(made[2:], (False, True), strict=False):
        transitions.cancel(office.place.owner, row.id)
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
    record_property("count", f"{office.vendor.key}: {steps} kills, {len(standing)} events, each once")


WAITING = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


def _killed_at_a_lock(
    office: Office, a_worker: Workers, database: Database, table: str, fault: str = "", *, seconds: float = 60
) -> None:
    """A worker dies where it waits for the rows of ``table``; ``fault`` holds it until they are locked."""
    with a_worker() as process, psycopg.connect(database.url) as lock:
        if fault:
            wait_until(lambda: office.held(fault), seconds)
        lock.execute(f"SELECT 1 FROM {table} FOR UPDATE")
        if fault:
            office.mend()
        with psycopg.connect(database.url, autocommit=True) as look:
            wait_until(lambda: look.execute(WAITING).fetchone(), 30)
        process.kill()
        lock.rollback()


def _row_locks(database: Database) -> None:
    if database.kind != "postgresql":
        pytest.skip("row locks are PostgreSQL's; on SQLite the step is caught in tests/services")


STEPS = {"answered, not recorded": ("create", True), "read back, not recorded": ("get", True)}


@at(*(ALL if LONG else ALL[1:2]))
@pytest.mark.parametrize("step", STEPS if LONG else list(STEPS)[:1])
def test_a_worker_killed_between_the_answer_and_its_record(
    office: Office, a_worker: Workers, database: Database, step: str
) -> None:
    """The provider has said what it did, the row is locked, the worker dies waiting for it: one event."""
    _row_locks(database)
    made = office.place.book(office.place.at(20))
    operation, after = STEPS[step]
    fault = office.fault("hold", operation, after=after, times=None, seconds=60)
    _killed_at_a_lock(office, a_worker, database, "calendar_write", fault)
    row = office.write_of(made)
    assert row.verified_at is None
    assert row.applied_version == (0 if operation == "create" else row.desired_version)
    assert list(office.ours()) == [made.id]
    with a_worker() as process:
        settled(office, process, "verified")
    assert list(office.ours()) == [made.id]


@pytest.mark.skipif(not LONG, reason="in the long form")
def test_a_worker_killed_before_it_claims(office: Office, a_worker: Workers, database: Database) -> None:
    """The job is taken from the queue, and its row not yet: nothing has happened, and the sweeper knows."""
    _row_locks(database)
    made = office.place.book(office.place.at(20))
    with psycopg.connect(database.url) as lock, a_worker() as process:
        lock.execute("SELECT 1 FROM calendar_write FOR UPDATE")
        with psycopg.connect(database.url, autocommit=True) as look:
            wait_until(lambda: look.execute(WAITING).fetchone(), 30)
        process.kill()
        lock.rollback()
    assert office.write_of(made).attempts == 0
    assert office.ours() == {}
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
            booking_reschedule.reschedule(office.place.owner, made.id, office.place.at(21))
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
    sync_requests.request(office.calendar.id)
    fault = office.fault("hold", "list", page=page, after=after, times=None, seconds=60)
    with a_worker() as process:
        wait_until(lambda: office.held(fault), 60)
        process.kill()
    office.mend()
    assert office.mirrored() == before
    office.pass_time()
    sync_requests.sweep()
    with a_worker() as process:
        wait_until(lambda: office.mirrored() != before or not process.running, 60)
        office.assert_mirrored()


@contextmanager
def _stopped_redis(client: Redis) -> Iterator[None]:
    pid = int(client.info("server")["process_id"])
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.skipif(not LONG, reason="in the long form")
def test_a_worker_killed_before_it_commits_what_it_read(
    office: Office, a_worker: Workers, database: Database
) -> None:
    """Everything was listed, nothing is written yet: the calendar is as before, and is read again."""
    _row_locks(database)
    before = office.mirrored()
    office.add_remote(40)
    sync_requests.request(office.calendar.id)
    fault = office.fault("hold", "list", after=True, times=None, seconds=60)
    _killed_at_a_lock(office, a_worker, database, "calendar", fault)
    assert office.mirrored() == before
    office.pass_time()
    sync_requests.sweep()
    with a_worker() as process:
        wait_until(lambda: office.mirrored() != before or not process.running, 60)
        office.assert_mirrored()


@pytest.mark.skipif(not LONG, reason="in the long form")
def test_a_worker_killed_after_it_committed_what_it_read(
    office: Office, a_worker: Workers, redis_server: Redis
) -> None:
    """The rows stand, nobody was told: nothing is read twice, and the next change is seen."""
    before = office.mirrored()
    office.add_remote(40)
    sync_requests.request(office.calendar.id)
    fault = office.fault("hold", "list", after=True, times=None, seconds=60)
    with a_worker() as process:
        wait_until(lambda: office.held(fault), 60)
        with _stopped_redis(redis_server):
            office.mend()
            wait_until(lambda: office.mirrored() != before, 30)
            process.kill()
    office.assert_mirrored()
    read = office.row().sync_cursor
    office.add_remote(1)
    sync_requests.request(office.calendar.id)
    office.pass_time()
    sync_requests.sweep()
    with a_worker() as process:
        wait_until(lambda: office.row().sync_cursor != read or not process.running, 60)
        office.assert_mirrored()


@at(*(ALL[:2] if LONG else ALL[:1]))
@pytest.mark.parametrize("after", [False, True] if LONG else [True])
def test_a_worker_killed_while_it_refreshes(office: Office, a_worker: Workers, after: bool) -> None:
    """At the token endpoint, before and after it gave new tokens: the account stays connected and is used again."""
    made = office.place.book(office.place.at(20)) if after else None
    office.age_token()
    if made is None:
        sync_requests.request(office.calendar.id)
    fault = office.fault("hold", "token", after=after, times=None, seconds=60)
    with a_worker() as process:
        wait_until(lambda: office.held(fault), 60)
        process.kill()
    office.mend()
    office.pass_time()
    assert connection_tokens.call(office.connection.id, lambda provider: provider.list_calendars())
    assert office.account().status == "connected"
    if made is not None:
        with a_worker() as process:
            settled(office, process, "verified")
        assert list(office.ours()) == [made.id]


@pytest.mark.skipif(not LONG, reason="in the long form")
@at("google", "microsoft", "calendly")
def test_a_worker_killed_before_it_saves_new_tokens(
    office: Office, a_worker: Workers, database: Database, provider: str
) -> None:
    """The provider has answered, the tokens are lost: where the old refresh token still counts the account stays
    connected; where it was rotated away its person is asked to reconnect, and is never left without word."""
    _row_locks(database)
    office.age_token()
    sync_requests.request(office.calendar.id)
    fault = office.fault("hold", "token", after=True, times=None, seconds=60)
    _killed_at_a_lock(office, a_worker, database, "connection", fault)
    office.pass_time()
    if provider == "calendly":  # the only one that ends a refresh token when it gives another
        with pytest.raises(GrantRevoked):
            connection_tokens.call(office.connection.id, lambda api: api.list_calendars())
        assert office.account().status == "needs_reconnect"
        with reading() as session:
            assert len(session.exec(select(Mail)).all()) == 1
        return
    assert connection_tokens.call(office.connection.id, lambda api: api.list_calendars())
    assert office.account().status == "connected"


@pytest.mark.skipif(not LONG, reason="in the long form")
@at("google", "microsoft", "calendly")
def test_a_worker_killed_after_it_saved_new_tokens(office: Office, a_worker: Workers) -> None:
    """Saved before they are used: whoever comes next uses them, and asks for no others."""
    office.age_token()
    sync_requests.request(office.calendar.id)
    asked = office.fault("drip", "token", times=None, seconds=0)
    held = office.fault("hold", "list", times=None, seconds=60)
    with a_worker() as process:
        wait_until(lambda: office.held(held), 60)
        process.kill()
    office.mend(held)
    assert connection_tokens.call(office.connection.id, lambda api: api.list_calendars())
    assert office.met(asked) == 1
    assert office.account().status == "connected"


TRIGGER = """
CREATE FUNCTION hold_booking() RETURNS trigger AS $$ BEGIN PERFORM pg_advisory_xact_lock(4242); RETURN NULL; END $$
LANGUAGE plpgsql;
CREATE CONSTRAINT TRIGGER hold_booking AFTER INSERT ON booking {when} FOR EACH ROW EXECUTE FUNCTION hold_booking();
"""


@pytest.mark.parametrize(
    "step",
    ["after the insert", "in the commit", "before it is queued", "when it is queued"]
    if LONG
    else ["in the commit"],
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
        try:
            book(webs[0].url)
        except httpx.TransportError:
            return
        assert step == "when it is queued", "only then may the answer be quicker than the kill"

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
            if step == "when it is queued":
                admin.execute("SELECT pg_advisory_unlock(4242)")
                wait_until(lambda: redis_server.llen("rq:queue:writes"), 30)
                webs[0].kill()
            elif step == "before it is queued":  # the commit goes through; telling the queue hangs
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
        assert len(rows()) == (1 if "queued" in step else 0)
        office.pass_time()
        answer = book(webs[1].url).json()
    assert [row.id for row in rows()] == [answer["id"]]
    assert_consistent()
    with a_worker() as process:
        settled(office, process, "verified")
    assert list(office.ours()) == [answer["id"]]
