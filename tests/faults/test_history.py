"""All that clients did, with its times, against the database and against the provider (a check of Jepsen's kind).

Real web processes, a real worker, the provider over HTTP, with every third of its answers to writes spoilt: what was
acknowledged stands once in both, what was refused stands nowhere, and times never overlap.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from redis import Redis
from sqlmodel import select

from calendar_app.db.session import reading
from calendar_app.db.tables import Booking, BookingHost, CalendarWrite, HostReservation
from calendar_app.domain.timespan import Span
from calendar_app.services.calendar_sync import requests as sync_requests
from calendar_app.services.calendar_sync.run import Outcome
from calendar_app.services.calendar_writes import outbox as write_outbox
from tests.concurrency.storm import Client, Kind, Storm, web_processes
from tests.faults.office import Office, opened
from tests.sandbox.server import Sandbox
from tests.support import factories
from tests.support.databases import Database
from tests.support.long_form import LONG
from tests.support.scheduling import assert_consistent
from tests.worker.processes import wait_until, worker

pytestmark = [pytest.mark.slow, pytest.mark.serial, pytest.mark.timeout(300)]

CLIENTS, ACTS = 16, 8
SPOILT = [("unavailable", True), ("unavailable", False), ("cut", True), ("error", False)]


@pytest.fixture
def office(database: Database, redis_server: Redis, sandbox: Sandbox) -> Office:
    made = opened(sandbox)
    assert sync_requests.sync_calendar(made.calendar.id).outcome is Outcome.DONE
    return made


def _claims() -> dict[str, list[Span]]:
    with reading() as session:
        query = select(BookingHost.booking_id, HostReservation).where(
            BookingHost.reservation_id == HostReservation.id
        )
        found: dict[str, list[Span]] = {}
        for booking_id, row in session.exec(query):
            found.setdefault(booking_id, []).append(Span(row.starts, row.ends))
        return found


@pytest.mark.skipif(not LONG, reason="in the long form")
def test_database_and_provider_tell_the_same_story(
    office: Office, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Sixteen clients book, move and cancel overlapping times of two event types at once, while writes go wrong."""
    person = office.place.people[0]
    other = factories.event_type(
        office.place.workspace,
        person,
        durations=[45],
        step_minutes=15,
        buffer_before=5,
        buffer_after=5,
        title="Intro call, long",
    )
    kinds = [Kind(office.place.event_type.id, 30), Kind(other.id, 45, 5, 5)]
    for kind, after in SPOILT:
        for operation in ("create", "update", "delete"):
            office.fault(kind, operation, times=None, probability=0.08, after=after)

    def work(client: Client) -> None:
        chance = random.Random(3_000 + client.number)
        mine: list[tuple[Kind, str]] = []
        for _ in range(ACTS):
            start = office.place.at(
                18 + chance.randrange(5), 30 * chance.randrange(2), days=chance.randrange(2)
            )
            what = chance.random()
            if mine and what < 0.25:
                client.cancel(*mine.pop(chance.randrange(len(mine))))
            elif mine and what < 0.5:
                client.reschedule(*chance.choice(mine), start)
            else:
                kind = chance.choice(kinds)
                if booking := client.create(kind, start):
                    mine.append((kind, booking))

    def done() -> bool:
        assert process.running, process.output
        office.pass_time(leases=False)
        write_outbox.sweep()
        with reading() as session:
            states = {row.state for row in session.exec(select(CalendarWrite))}
        return states <= {"verified", "removed"}

    with web_processes(2) as webs, worker({}, tmp_path / "worker.log", forked=True) as process:
        storm = Storm(webs)
        storm.run(CLIENTS, work)
        storm.check_answers()
        storm.check_history(_claims())
        office.mend()
        wait_until(done, 120)
    assert_consistent()
    standing = office.ours()
    with reading() as session:
        rows = {row.id: row for row in session.exec(select(Booking))}
    assert {operation.booking for operation in storm.ok()} == set(rows)
    assert set(standing) == {key for key, row in rows.items() if row.status == "confirmed"}
    for key, event in standing.items():
        assert office.times(event) == (rows[key].start_at, rows[key].end_at)
    counts = (
        f"{len(storm.operations)} operations, {len(storm.ok())} bookings, {len(storm.ok('reschedule'))} moves"
    )
    record_property("count", f"{counts}, {len(storm.ok('cancel'))} cancellations, {len(standing)} events")
