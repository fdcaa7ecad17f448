"""Web processes and workers whose clocks differ by two hours: they agree all the same on what is past and what is held.

Real processes, each with a clock of its own, on PostgreSQL: its clock is the one that counts. Processes on SQLite are
on one machine and have one clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from redis import Redis
from sqlmodel import select

from calendar_app import queues
from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import Booking, CalendarWrite, Hold, HostReservation
from calendar_app.services.calendar_sync import requests as sync_requests
from calendar_app.services.calendar_sync.run import Outcome
from calendar_app.services.calendar_writes import outbox as write_outbox
from tests.concurrency.storm import Web, web_processes
from tests.faults.office import Office, opened
from tests.sandbox.server import Sandbox
from tests.support import factories
from tests.support.databases import Database
from tests.support.long_form import LONG
from tests.support.scheduling import ZONE, assert_consistent
from tests.worker.processes import Process, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.serial, pytest.mark.timeout(240)]

HOURS = (-2, 0, 2) if LONG else (-2, 2)
STEPS = [hours * 3600 for hours in HOURS]


@pytest.fixture
def office(database: Database, redis_server: Redis, sandbox: Sandbox) -> Office:
    if database.kind != "postgresql":
        pytest.skip("processes on SQLite share one machine's clock")
    made = opened(sandbox)
    assert sync_requests.sync_calendar(made.calendar.id).outcome is Outcome.DONE
    return made


@pytest.fixture
def webs(office: Office) -> Iterator[list[Web]]:
    with web_processes(len(STEPS), steps=STEPS) as running:
        yield running


@contextmanager
def _worker(step: int, log: Path) -> Iterator[Process]:
    command = ["tests.support.stepped", str(step), "rq.cli", "worker", "--burst"]
    command += [
        "--worker-class",
        "calendar_app.worker.runner.Worker",
        "--config",
        "calendar_app.worker.config",
    ]
    process = Process(command, {}, log, forked=True)
    try:
        yield process
    finally:
        process.stop()


def _book(web: Web, kind: str, start: datetime, **fields: str) -> httpx.Response:
    wish = {"event_type_id": kind, "start": start.isoformat(), "timezone": ZONE}
    body = wish | {"name": "Ada", "email": "ada@example.org"} | fields
    return httpx.post(f"{web.url}/api/v1/bookings", json=body, timeout=60)


def _hold(web: Web, office: Office, start: datetime) -> dict[str, str]:
    body = {"event_type_id": office.place.event_type.id, "start": start.isoformat(), "timezone": ZONE}
    answer = httpx.post(f"{web.url}/api/v1/holds", json=body, timeout=60)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def _time_runs_out() -> None:
    """Every hold ended a minute ago, by the right clock."""
    over = datetime.now(UTC) - timedelta(minutes=1)
    with transaction() as session:
        for hold in session.exec(select(Hold)):
            hold.expires_at = over
            session.add(hold)
        for claim in session.exec(select(HostReservation).where(HostReservation.state == "held")):
            claim.expires = int(over.timestamp())
            session.add(claim)


def test_clocks_that_differ_by_hours(
    office: Office, webs: list[Web], tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """An hour ago is over for the web process that is two hours behind as well; and a hold ends for all at once."""
    refused = _book_the_past(office, webs)
    kept = _keep_live_holds(office, webs, tmp_path)
    _forget_dead_holds(office, webs)
    assert_consistent()
    told = (
        f"{refused} past times refused, {kept} live holds kept others out, {len(webs)} that ran out did not"
    )
    record_property("count", f"clocks {HOURS} h: {told}")


def _book_the_past(office: Office, webs: list[Web]) -> int:
    """Nobody can; and the web process that is ahead still sells what is to come."""
    person = office.place.people[0]
    kind = factories.event_type(office.place.workspace, person, durations=[5], step_minutes=5).id
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    refused = 0
    for web in webs:
        for hours in (-1, -23):
            answer = _book(web, kind, hour + timedelta(hours=hours))
            assert answer.status_code in (409, 422), answer.text
            refused += 1
    for number, web in enumerate(webs):
        answer = _book(web, kind, office.place.at(18 + number))
        assert answer.status_code == 201, answer.text
    soon = _book(webs[-1], kind, hour + timedelta(hours=1, minutes=30))
    assert soon.status_code == 201 or soon.json()["code"] != "in_the_past", soon.text
    with reading() as session:
        assert all(row.start_at > datetime.now(UTC) for row in session.exec(select(Booking)))
    return refused


def _keep_live_holds(office: Office, webs: list[Web], tmp_path: Path) -> int:
    """Whoever made it and whoever is asked, and though a worker that is two hours ahead has swept."""
    kind = office.place.event_type.id
    held = []
    for number, maker in enumerate(webs):
        for day, asked in enumerate(webs, start=1):
            start = office.place.at(18 + number, days=day)
            hold = _hold(maker, office, start)
            left = datetime.fromisoformat(hold["expires_at"]) - datetime.now(UTC)
            assert timedelta(minutes=8) < left < timedelta(minutes=11), "its maker's clock counted"
            assert _book(asked, kind, start).status_code == 409
            held.append((hold["id"], start))
    queues.enqueue(queues.DEFAULT, "expire_holds")
    with _worker(7200, tmp_path / "ahead.log") as process:
        wait_until(lambda: not process.running, 60)
    with reading() as session:
        assert len(list(session.exec(select(Hold)))) == len(held), "a live hold was swept away"
    (first, elsewhere), (last, mine) = held[0], held[-1]
    assert _book(webs[-1], kind, elsewhere, hold_id=last).status_code == 409
    assert _book(webs[0], kind, mine, hold_id=last).status_code == 201
    assert _book(webs[-1], kind, elsewhere, hold_id=first).status_code == 201
    return len(held)


def _forget_dead_holds(office: Office, webs: list[Web]) -> None:
    """Nobody swept them, and nobody honours them."""
    kind = office.place.event_type.id
    for number, asked in enumerate(webs):
        start = office.place.at(20, days=number + 4)
        late = _hold(webs[-1], office, start)
        _time_runs_out()
        assert _book(asked, kind, start).status_code == 201
        assert _book(asked, kind, start, hold_id=late["id"]).status_code == 409


def test_one_key_at_processes_whose_clocks_differ(office: Office, webs: list[Web]) -> None:
    """The first request with an Idempotency-Key is still worked on at one web process when it is repeated at another,
    hours ahead, and repeated everywhere once it is answered: one booking, one answer."""
    start = office.place.at(18)
    key = {"Idempotency-Key": "one-wish"}
    wish = {"event_type_id": office.place.event_type.id, "start": start.isoformat(), "timezone": ZONE}
    body = wish | {"name": "Ada", "email": "ada@example.org"}

    def send(web: Web) -> httpx.Response:
        return httpx.post(f"{web.url}/api/v1/bookings", json=body, headers=key, timeout=60)

    held = office.fault("hold", "freebusy", times=None)
    with ThreadPoolExecutor(1) as elsewhere:
        first = elsewhere.submit(send, webs[0])
        wait_until(lambda: office.held(held))
        for web in webs[1:]:
            answer = send(web)
            assert (answer.status_code, answer.json()["code"]) == (409, "request_in_flight")
        office.mend()
        made = first.result()
    assert made.status_code == 201, made.text
    assert {send(web).text for web in webs} == {made.text}
    with reading() as session:
        assert len(list(session.exec(select(Booking)))) == 1


@pytest.mark.skipif(not LONG, reason="in the long form")
@pytest.mark.parametrize("step", [-7200, 7200])
def test_a_worker_with_a_wrong_clock_writes_each_booking_once(
    office: Office, webs: list[Web], tmp_path: Path, step: int
) -> None:
    """Bookings of web processes that are ahead and behind, written by a worker that is neither: one event each, none
    marked as over before its time."""
    made = set()
    for number, web in enumerate(webs):
        answer = _book(web, office.place.event_type.id, office.place.at(18 + number))
        assert answer.status_code == 201, answer.text
        made.add(answer.json()["id"])
    at = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=30)
    soon = factories.booking(office.place.event_type, office.place.people[0], at)
    queues.enqueue(queues.DEFAULT, "expire_holds")

    def look() -> bool:
        with _worker(step, tmp_path / "worker.log") as process:
            wait_until(lambda: not process.running, 60)
        office.pass_time(leases=False)
        write_outbox.sweep()
        with reading() as session:
            return all(row.state == "verified" for row in session.exec(select(CalendarWrite)))

    wait_until(look, 120)
    assert set(office.ours()) == made
    with reading() as session:
        assert session.get_one(Booking, soon.id).status == "confirmed"
    assert_consistent()
