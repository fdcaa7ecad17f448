"""Calendars of one account are asked about together, at real servers; what changed is read, and nothing is missed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from redis import Redis
from rq import Queue
from sqlmodel import col, select

from calendar_app import metering
from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import Calendar, Connection, Event
from calendar_app.providers.caldav.listing import Cursor
from calendar_app.queues import SYNC
from calendar_app.services.calendar_sync import requests as sync_requests
from calendar_app.services.calendar_sync import unchanged_calendars
from calendar_app.services.connection_lifecycle import credentials
from calendar_app.settings import Settings
from calendar_app.worker import jobs
from tests.support import dav_servers, factories
from tests.support.databases import Database
from tests.support.dav_servers import PASSWORD, USERNAME, DavServer
from tests.support.factories import Team
from tests.support.scripted_dav import HOST, multi, provider
from tests.support.scripted_dav import found as listed

NAMES = ("family", "choir", "work")
LATER = timedelta(minutes=6)


@pytest.fixture(scope="module", params=["radicale", "xandikos"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DavServer]:
    with getattr(dav_servers, request.param)(tmp_path_factory.mktemp(request.param)) as found:
        yield found


def send(server: DavServer, method: str, path: str, content: str = "") -> None:
    headers = {"content-type": "text/calendar"} if method == "PUT" else {}
    httpx.request(
        method, server.home + path, auth=(USERNAME, PASSWORD), content=content, headers=headers
    ).raise_for_status()


def put(server: DavServer, calendar: str, uid: str) -> None:
    start = datetime.now(UTC).replace(microsecond=0) + timedelta(days=3)
    lines = (
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:x",
        "BEGIN:VEVENT",
        f"UID:{uid}",
        "DTSTAMP:20260101T000000Z",
    )
    lines += (
        f"DTSTART:{start:%Y%m%dT%H%M%SZ}",
        "DURATION:PT1H",
        f"SUMMARY:{uid}",
        "END:VEVENT",
        "END:VCALENDAR",
        "",
    )
    send(server, "PUT", f"{calendar}/{uid}.ics", "\r\n".join(lines))


@pytest.fixture
def account(
    server: DavServer, database: Database, redis_server: Redis, configure: Callable[..., Settings]
) -> Iterator[Team]:
    """An account with three calendars that were read."""
    configure(ALLOWED_PRIVATE_HOSTS=httpx.URL(server.url).netloc.decode())
    for name in NAMES:
        send(server, "MKCALENDAR", f"{name}/")
        put(server, name, f"first-{name}")
    team = factories.team()
    with transaction() as session:
        session.get_one(Connection, team.connection.id).status = "disconnected"
    credentials.connect(team.actor, "caldav", address=server.url, username=USERNAME, password=PASSWORD)
    work(redis_server)
    with transaction() as session:
        for row in session.exec(select(Calendar).where(col(Calendar.checks_conflicts).is_(False))):
            row.checks_conflicts = True
    work(redis_server)
    metering.take()
    yield team
    for name in NAMES:
        send(server, "DELETE", f"{name}/")


def work(redis: Redis) -> list[str]:
    """Do what is queued, as a worker would, and what that queues; the names of the jobs."""
    done = []
    queue = Queue(SYNC, connection=redis)
    while job := next(iter(queue.jobs), None):
        queue.remove(job)
        job.delete()
        getattr(jobs, job.func_name.rpartition(".")[2])(*job.args)
        done.append(job.func_name.rpartition(".")[2])
    return done


def poll(redis: Redis, now: datetime) -> tuple[int, list[str]]:
    """Let that time come; how many requests went out, and which jobs were done."""
    with transaction() as session:  # as if the last readings had been long before
        for row in session.exec(select(Calendar)):
            row.synced_at, row.reading_due_at = now - LATER, now
            session.add(row)
    metering.take()
    sync_requests.poll(now)
    done = work(redis)
    counted = metering.take()
    asked = [n for (name, _, _), n in counted.items() if name == metering.PROVIDER_REQUESTS.name]
    return int(sum(asked)), done


def held() -> set[str]:
    with reading() as session:
        return {event.summary for event in session.exec(select(Event))}


def test_one_request_where_nothing_changed(account: Team, server: DavServer, redis_server: Redis) -> None:
    """For all calendars of the account; each counts as read now."""
    now = datetime.now(UTC)
    requests, done = poll(redis_server, now)
    assert (requests, done) == (1, ["look_for_changes"])
    with reading() as session:
        read = session.exec(
            select(Calendar.synced_at).where(Calendar.connection_id != account.connection.id)
        ).all()
    assert len(read) >= len(NAMES)
    assert all(one is not None and one >= now - timedelta(minutes=1) for one in read)


def test_what_changed_is_read(account: Team, server: DavServer, redis_server: Redis) -> None:
    """An event that came, and one that went; the calendars without a change are left alone."""
    put(server, "choir", "second")
    _, done = poll(redis_server, datetime.now(UTC))
    assert done == ["look_for_changes", "sync_calendar"]
    assert "second" in held()
    send(server, "DELETE", "choir/second.ics")
    _, done = poll(redis_server, datetime.now(UTC))
    assert done == ["look_for_changes", "sync_calendar"]
    assert "second" not in held()
    assert poll(redis_server, datetime.now(UTC)) == (1, ["look_for_changes"])


def test_a_calendar_that_was_made_anew_is_read(account: Team, server: DavServer, redis_server: Redis) -> None:
    """Under the same address: what stood in the old one goes."""
    send(server, "DELETE", "work/")
    send(server, "MKCALENDAR", "work/")
    put(server, "work", "new")
    _, done = poll(redis_server, datetime.now(UTC))
    assert "sync_calendar" in done
    assert held() & {"new", "first-work"} == {"new"}


def test_a_reading_that_was_asked_for_happens(account: Team, server: DavServer, redis_server: Redis) -> None:
    """Somebody asks while the account is asked about: the calendar does not count as read before that."""
    now = datetime.now(UTC)
    with reading() as session:
        seen = session.exec(select(Calendar).where(Calendar.connection_id != account.connection.id)).first()
    assert seen is not None
    sync_requests.request(seen.id, queue=False)
    with transaction() as session:
        assert not unchanged_calendars._count_as_read(session, seen, now)
    assert sync_requests.sweep() == 1


def test_a_server_that_cannot_be_asked_is_read_one_by_one(
    account: Team, server: DavServer, redis_server: Redis, configure: Callable[..., Settings]
) -> None:
    """Each reading says what is wrong, and what is wrong is no word of being unchanged."""
    configure(ALLOWED_PRIVATE_HOSTS="")
    _, done = poll(redis_server, datetime.now(UTC))
    assert done[0] == "look_for_changes"
    assert done.count("sync_calendar") >= len(NAMES)
    with reading() as session:
        failing = session.exec(select(Calendar).where(Calendar.failures > 0)).all()
    assert len(failing) >= len(NAMES)


@pytest.mark.parametrize(
    ("kept", "told", "same"),
    [
        (
            Cursor(token="http://radicale.org/ns/sync/81b2f6b0a7c1d2e3f405162738495a6b"),
            "81b2f6b0a7c1d2e3f405162738495a6b",
            True,
        ),
        (
            Cursor(token="http://radicale.org/ns/sync/81b2f6b0a7c1d2e3f405162738495a6b"),
            "92c3a7c1b8d2e3f405162738495a6b7c",
            False,
        ),
        (Cursor(token="http://radicale.org/ns/sync/7"), "7", False),
        (
            Cursor(ctag="http://radicale.org/ns/sync/81b2f6b0a7c1d2e3f405162738495a6b"),
            "81b2f6b0a7c1d2e3f405162738495a6b",
            True,
        ),
        (Cursor(ctag="http://radicale.org/ns/sync/7"), "7", False),
        (Cursor(), "", False),
    ],
)
def test_only_tokens_of_one_calendar_are_believed(kept: Cursor, told: str, same: bool) -> None:
    """A token or ctag that has not changed says that nothing has, unless it is a count, which another calendar under
    the same address could have; addresses may be escaped in another way."""
    token = f"http://radicale.org/ns/sync/{told}" if told else ""

    def answer(request: httpx.Request) -> httpx.Response:
        assert (request.method, request.url.path, request.headers["depth"]) == ("PROPFIND", "/cal/", "1")
        return multi(*(listed(f"/cal/a%40b-{name}/", sync_token=token, CS_getctag=token) for name in NAMES))

    calendars = {f"{HOST}/cal/a@b-{name}/": kept.dump() for name in NAMES}
    assert provider(answer).unchanged(calendars) == (set(calendars) if same else set())


def test_calendars_in_collections_of_their_own_are_not_asked_about() -> None:
    """A reading of each costs no more; cursors that are none of ours are read, which lists everything."""

    def answer(_request: httpx.Request) -> httpx.Response:
        raise AssertionError("nothing was to be asked")

    cursor = Cursor(token="81b2f6b0a7c1d2e3f405162738495a6b").dump()
    assert provider(answer).unchanged({f"{HOST}/{name}/cal/": cursor for name in NAMES}) == set()
