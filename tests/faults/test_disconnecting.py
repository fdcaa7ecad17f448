"""Accounts that are disconnected while their provider is slow, full, broken or silent, and workers die meanwhile.

Over real HTTP, from each provider to another: every booking ends where its owner wanted it, once, and the old account
holds nothing of ours and can no longer be used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from redis import Redis
from rq.utils import utcformat
from sqlmodel import select

from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import Booking, Connection, Disconnection
from calendar_app.errors import GrantRevoked
from calendar_app.services.calendar_sync import requests as sync_requests
from calendar_app.services.calendar_sync.run import Outcome
from calendar_app.services.calendar_writes import outbox as write_outbox
from calendar_app.services.connection_lifecycle import disconnect as connection_disconnect
from calendar_app.services.connection_lifecycle import disconnect_job
from calendar_app.services.connection_lifecycle.disconnect import DisconnectionView
from calendar_app.services.connections import tokens as connection_tokens
from tests.faults.office import Office
from tests.faults.test_provider import WRITERS, at, finish
from tests.faults.vendors import VENDORS
from tests.support import factories
from tests.support.databases import Database
from tests.support.long_form import LONG
from tests.worker.processes import wait_until, worker

pytestmark = [pytest.mark.timeout(240), pytest.mark.usefixtures("quick")]

FAULTS: Mapping[str, dict[str, Any]] = {
    "429": {"kind": "throttled", "retry_after": "60", "times": 2},
    "500": {"kind": "error", "times": 5},
    "500 after": {"kind": "error", "times": 1, "after": True},
    "silence": {"kind": "hang", "times": 1, "seconds": 3},
    "silence after": {"kind": "hang", "times": 1, "seconds": 3, "after": True},
}
HOURS = (19, 20, 21)


def moved_to(office: Office) -> Office:
    """The same host's other account, at another provider."""
    place = office.place
    vendor = VENDORS["microsoft" if office.vendor.key == "google" else "google"](office.sandbox, "")
    connection = factories.connection(
        place.people[0],
        place.workspace,
        provider=vendor.key,
        account_email="b@example.org",
        **vendor.columns(),
    )
    calendar = factories.calendar(
        connection, remote_id=vendor.calendar, checks_conflicts=False, receives_bookings=False
    )
    return replace(office, connection=connection, calendar=calendar, vendor=vendor)


def booked(office: Office) -> list[str]:
    assert sync_requests.sync_calendar(office.calendar.id).outcome is Outcome.DONE
    made = [office.place.book(office.place.at(hour)).id for hour in HOURS]
    finish(office, 1)
    assert sorted(office.ours()) == sorted(made)
    return made


def view(office: Office) -> DisconnectionView:
    return connection_disconnect.disconnection(office.place.owner, office.connection.id)


def statuses() -> set[str]:
    with reading() as session:
        return set(session.exec(select(Booking.status)))


def begun(office: Office, choice: str, target: str | None) -> str:
    """Asked for, and left to workers."""
    result = connection_disconnect.disconnect(
        office.place.owner, office.connection.id, bookings=choice, move_to=target, at_once=-1
    )
    assert result.state == "running"
    return result.id


def tokens(office: Office) -> tuple[str | None, str | None]:
    row = office.account()
    return row.access_token, row.refresh_token


def assert_over(office: Office, before: tuple[str | None, str | None]) -> None:
    """We have forgotten the account, and where providers can be told, its old tokens are worth nothing."""
    shown = view(office)
    assert (shown.state, shown.failed) == ("done", 0)
    assert shown.revoked == (office.vendor.key == "google"), "the others have no way to be told"
    assert office.account().status == "disconnected"
    assert tokens(office) == (None, None)
    if office.vendor.key == "google":
        with transaction() as session:  # as if somebody had stolen what we had
            row = session.get_one(Connection, office.connection.id)
            row.status, (row.access_token, row.refresh_token) = "connected", before
            session.add(row)
        with pytest.raises(GrantRevoked):
            connection_tokens.call(office.connection.id, lambda api: api.list_calendars())


SHORT = {
    "google": [("move", "429"), ("cancel", "silence after")],
    "microsoft": [("move", "silence after")],
    "caldav": [("move", "500")],
}
EVERY = [(choice, fault) for choice in ("move", "cancel", "leave") for fault in FAULTS]


@pytest.mark.parametrize(("provider", "how"), at(SHORT, EVERY), indirect=["provider"])
def test_an_account_that_is_hard_to_leave(office: Office, how: tuple[str, str]) -> None:
    """The old provider limits, fails or says nothing while events are taken out, and the new one while they are
    written: progress is kept and never goes back, it goes on by itself, and each event is where it belongs, once."""
    choice, fault = how
    made = booked(office)
    target = moved_to(office)
    before = tokens(office)
    old = office.fault(operation="delete", **FAULTS[fault])
    if choice == "move":
        target.fault(operation="create", **FAULTS[fault])
    work = begun(office, choice, target.calendar.id if choice == "move" else None)
    now, seen = datetime.now(UTC), []
    while disconnect_job.carry_on(work, now=now) == "running":
        seen.append(view(office).done)
        assert office.account().status == "connected", "let go before its events were taken out"
        now += timedelta(minutes=5)
        assert now < datetime.now(UTC) + timedelta(minutes=50)
    assert seen == sorted(seen)
    assert bool(office.met(old)) == (choice != "leave")
    office.mend()
    finish(office)
    assert sorted(office.ours()) == (sorted(made) if choice == "leave" else [])
    assert sorted(target.ours()) == (sorted(made) if choice == "move" else [])
    for booking, hour in zip(made, HOURS, strict=True):
        if choice == "move":
            assert target.ours()[booking].start == office.place.at(hour)
    assert statuses() == ({"cancelled"} if choice == "cancel" else {"confirmed"})
    assert (view(office).done, view(office).total) == ((0, 0) if choice == "leave" else (3, 3))
    assert_over(office, before)


@pytest.mark.parametrize("kind", ["error", "hang"] if LONG else ["error"])
def test_a_provider_that_does_not_hear_of_the_end(office: Office, kind: str) -> None:
    """The end of the grant gets no answer: the tokens are forgotten all the same, and its owner is told what to do."""
    begun(office, "leave", None)
    asked = office.fault(kind, "revoke", times=None, seconds=3)
    assert disconnect_job.carry_on(view(office).id) == "done"
    assert office.met(asked)
    assert tokens(office) == (None, None)
    assert not view(office).revoked
    assert "could not be told" in view(office).message


@pytest.mark.skipif(not LONG, reason="in the long form")
@pytest.mark.parametrize("provider", WRITERS, indirect=True)
@pytest.mark.parametrize("choice", ["move", "cancel"])
@pytest.mark.slow
@pytest.mark.serial
def test_workers_killed_between_two_bookings(
    database: Database,
    redis_server: Redis,
    office: Office,
    choice: str,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    """kill -9 where the second booking is about to move, and where the first event has just been taken out: what was
    done stays done, the next worker does the rest, and nothing is there twice or left behind."""
    if database.kind != "postgresql":
        pytest.skip("row locks are PostgreSQL's")
    made, target, before = booked(office), moved_to(office), tokens(office)
    work = begun(office, choice, target.calendar.id if choice == "move" else None)
    with worker({}, tmp_path / "first.log", forked=True) as first, psycopg.connect(database.url) as lock:
        lock.execute("SELECT 1 FROM booking WHERE id = %s FOR UPDATE", (made[1],))
        taken_up(redis_server, work)
        wait_until(lambda: view(office).done == 1, 60)
        first.kill()
        lock.rollback()
    assert (view(office).state, view(office).done) == ("running", 1)
    gone = office.fault("hold", "delete", after=True, times=None, seconds=60)
    with worker({}, tmp_path / "second.log", forked=True) as second:
        taken_up(redis_server, work)
        wait_until(lambda: office.held(gone) and view(office).done == 3, 60)
        second.kill()
    office.mend()
    assert view(office).state == "running"
    assert tokens(office) == before
    with worker({}, tmp_path / "third.log", forked=True) as third:
        office.pass_time()
        taken_up(redis_server, work)

        def over() -> bool:
            assert third.running, third.output
            disconnect_job.sweep()
            office.pass_time(leases=False)
            write_outbox.sweep()
            return view(office).state == "done"

        wait_until(over, 60)
    finish(office)
    assert office.ours() == {}
    assert sorted(target.ours()) == (sorted(made) if choice == "move" else [])
    assert (view(office).done, view(office).total) == (3, 3)
    assert_over(office, before)
    record_property("count", f"{office.vendor.key}: 2 kills, 3 bookings, each once")


def taken_up(redis: Redis, work: str) -> None:
    """Two minutes pass: what a dead worker held is free again, and the sweeper comes by."""
    with transaction() as session:
        row = session.get_one(Disconnection, work)
        row.lease_until = None
        session.add(row)
    for key in redis.scan_iter("rq:job:*"):
        if redis.hget(key, "last_heartbeat"):
            redis.hset(key, "last_heartbeat", utcformat(datetime.now(UTC) - timedelta(minutes=2)))
    disconnect_job.sweep()
