"""A calendar that is used for nothing is not read; one that is used again counts as busy until it has been read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import httpx
import pytest
from redis import Redis
from rq import Queue
from sqlmodel import col, func, select

from calendar_app import queues
from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import Calendar, Connection, Event, Occurrence
from calendar_app.errors import ProviderUnavailable
from calendar_app.providers.base import AccessRole, RemoteCalendar
from calendar_app.services.availability import slots as available_slots
from calendar_app.services.calendar_sync import (
    calendar_listing,
    calendar_use,
    ics_import,
    push_channels,
    suspension,
)
from calendar_app.services.calendar_sync import requests as sync_requests
from calendar_app.services.calendar_sync.requests import SyncState
from calendar_app.services.calendar_sync.run import Outcome
from calendar_app.services.connection_lifecycle import check as connection_check
from calendar_app.services.connection_lifecycle import disconnect as connection_disconnect
from calendar_app.services.connections import calendars
from calendar_app.services.connections import queries as connection_queries
from calendar_app.services.events import queries as event_queries
from calendar_app.services.operations import dashboard as operations_dashboard
from calendar_app.services.operations import metrics
from tests.support import factories
from tests.support.databases import Database
from tests.support.fake_provider import FakeProvider
from tests.support.people import problem
from tests.support.scheduling import Place, bearer, bookable

FLAGS = ("checks_conflicts", "receives_bookings", "shown_on_dashboard")
NOTHING = dict.fromkeys(FLAGS, False)


@pytest.fixture
def place(fake: FakeProvider) -> Place:
    """A business whose calendar was read, with one event, ten to eleven, on the first day, and has a channel."""
    found = bookable(fake)
    fake.add_event(found.calendars[0].remote_id, found.at(10), found.at(11), summary="Dentist")
    sync_requests.sync_calendar(found.calendars[0].id)
    assert push_channels.ensure(found.calendars[0].id)
    fake.calls.clear()
    return found


def use(place: Place, **flags: bool) -> calendars.CalendarView:
    """Switch the host's calendar; switches that are not named stay."""
    return calendar_use.update_calendar(place.owner, place.calendars[0].id, **flags)


def row(place: Place) -> Calendar:
    with reading() as session:
        return session.get_one(Calendar, place.calendars[0].id)


def work(place: Place, *, later: timedelta = timedelta()) -> None:
    """Everything that workers do by themselves about the calendar, whether it is due or not."""
    now = datetime.now(UTC) + later
    found = row(place)
    sync_requests.poll(now)
    sync_requests.sweep(now)
    sync_requests.request(found.id)
    sync_requests.sync_calendar(found.id)
    push_channels.renew(now)
    push_channels.ensure(found.id)


def hours(place: Place) -> list[int]:
    """The full hours of the day that are on offer."""
    seen = available_slots.slots(place.event_type.id, place.at(0), place.at(23, 59), zone="Europe/Berlin")
    return sorted({slot.start.hour for slot in seen.slots if slot.start.minute == 0})


def mirrored(place: Place) -> int:
    with reading() as session:
        mine = [
            session.exec(select(func.count()).where(col(table.calendar_id) == place.calendars[0].id)).one()
            for table in (Event, Occurrence)
        ]
    return sum(mine)


def shown(place: Place) -> list[str]:
    """What the agenda has on the day of the event."""
    return [one.title for one in event_queries.between(place.owner, place.at(0), place.at(23)).items]


def test_any_switch_uses_a_calendar(database: Database) -> None:
    """Each of the three is enough by itself, in Python and in SQL; only without all of them nothing is due."""
    team = factories.team(provider="google")
    for number, flags in enumerate(product((True, False), repeat=3)):
        factories.calendar(team.connection, name=str(number), **dict(zip(FLAGS, flags, strict=True)))
    views = [one for one in calendars.list_calendars(team.actor) if one.id != team.calendar.id]
    assert [one.used for one in views] == [True] * 7 + [False]
    with reading() as session:
        query = select(Calendar.name).where(calendars.used(), col(Calendar.id) != team.calendar.id)
        assert sorted(session.exec(query)) == [str(number) for number in range(7)]
    assert sync_requests.poll() == 8


def test_an_unused_calendar_asks_nothing(fake: FakeProvider, place: Place) -> None:
    """Its channel is stopped, its events are gone, and whatever workers do, nothing is asked of its provider."""
    assert mirrored(place) == 2
    view = use(place, **NOTHING)
    assert (view.used, view.syncing, view.synced_at, view.last_error) == (False, False, None, "")
    assert mirrored(place) == 0
    push_channels.ensure(place.calendars[0].id)
    assert [name for name, _ in fake.calls] == ["stop_channel"]
    assert fake.channels == {}
    fake.calls.clear()
    for days in range(0, 40, 8):
        work(place, later=timedelta(days=days))
    assert fake.calls == []
    assert sync_requests.sync_calendar(place.calendars[0].id).outcome is Outcome.SKIPPED


def test_a_channel_that_was_left_open_is_stopped_within_the_hour(fake: FakeProvider, place: Place) -> None:
    """If the queue was away when the calendar was switched off, the hourly job finds its channel; once."""
    use(place, **NOTHING)
    assert len(fake.channels) == 1
    assert push_channels.renew() == 1
    push_channels.ensure(place.calendars[0].id)
    assert (fake.channels, push_channels.renew()) == ({}, 0)


def test_switches_queue_what_follows(fake: FakeProvider, place: Place, redis_server: Redis) -> None:
    """Switching off has the channel stopped, switching on has the calendar read; a switch that changes no use
    queues nothing."""

    def queued() -> list[str]:
        found = [job for name in queues.ALL for job in Queue(name, connection=redis_server).job_ids]
        redis_server.flushall()
        return found

    calendar_id = place.calendars[0].id
    use(place, shown_on_dashboard=False)
    use(place, checks_conflicts=False)
    assert queued() == []
    use(place, receives_bookings=False)
    assert queued() == [f"channel-{calendar_id}"]
    use(place, shown_on_dashboard=True)
    assert queued() == [f"sync-{calendar_id}"]
    use(place, checks_conflicts=True)
    assert queued() == []


def test_nobody_is_told_that_an_unused_calendar_is_old(fake: FakeProvider, place: Place) -> None:
    """Status, connection, metrics and Operations say nothing of its age, of a reading to come, or of failures."""
    fake.fail("event_pages", ProviderUnavailable())
    sync_requests.sync_calendar(place.calendars[0].id)
    use(place, **NOTHING)
    (status,) = sync_requests.status(place.owner, now=datetime.now(UTC) + timedelta(days=3))
    assert (status.state, status.used, status.next_sync_at) == (SyncState.IDLE, False, None)
    assert (status.last_error, status.push_note) == ("", sync_requests.NOT_USED)
    push_channels.ensure(place.calendars[0].id)
    assert operations_dashboard.channels(place.owner) == []
    (state,) = operations_dashboard.connections(place.owner)
    assert state.failing_calendars == 0
    (connection,) = connection_queries.list_connections(place.owner)
    assert (connection.status, connection.next_sync_at, connection.last_error) == ("connected", None, "")
    exposed = metrics.exposition().decode()
    assert "almanac_sync_lag_seconds{" not in exposed
    assert "almanac_calendars{" not in exposed


def test_a_suspended_account_without_used_calendars_is_no_trouble(fake: FakeProvider, place: Place) -> None:
    """Nothing would ever clear it, so it is cleared as its last used calendar ends; when one is used again after weeks
    the account is not said to have failed for weeks."""
    first = place.calendars[0]
    second = factories.calendar(connection_of(place), remote_id="second")
    with transaction() as session:
        found = session.get_one(Connection, first.connection_id)
        found.status, found.last_error_code, found.last_error = (
            "error",
            suspension.GIVEN_UP,
            "It could not be read.",
        )
        found.failures, found.retry_at = 9, datetime.now(UTC) + timedelta(hours=6)
        found.last_sync_at = datetime.now(UTC) - timedelta(days=30)
    use(place, **NOTHING)
    assert connection_of(place).last_error_code == suspension.GIVEN_UP, "its other calendar is still used"
    calendar_use.update_calendar(place.owner, second.id, **NOTHING)
    found = connection_of(place)
    assert (found.status, found.last_error, found.failures, found.retry_at) == ("connected", "", 0, None)
    use(place, checks_conflicts=True)
    for days in (0.1,) * 10 + (1.1,):
        with transaction() as session:
            now = datetime.now(UTC) + timedelta(days=days)
            suspension.record_failure(session, first.connection_id, ProviderUnavailable(), now)
        assert connection_of(place).status == ("error" if days > 1 else "connected")
    assert connection_of(place).last_error.startswith("This account could not be read for a day")


def test_a_calendar_used_again_hides_no_failure_of_the_others(fake: FakeProvider, place: Place) -> None:
    """An account of which one calendar has failed for a day is suspended, however often another is switched on."""
    second = factories.calendar(connection_of(place), remote_id="second", **NOTHING)
    calendar_use.update_calendar(place.owner, second.id, shown_on_dashboard=True)
    now = datetime.now(UTC) + timedelta(minutes=5)
    with transaction() as session:
        session.get_one(Connection, second.connection_id).last_sync_at = now - timedelta(hours=25)
    for _ in range(suspension.FAILURES + 1):
        with transaction() as session:
            suspension.record_failure(session, second.connection_id, ProviderUnavailable(), now)
    assert connection_of(place).status == "error"


def connection_of(place: Place) -> Connection:
    with reading() as session:
        return session.get_one(Connection, place.calendars[0].connection_id)


@pytest.mark.parametrize("flag", FLAGS)
def test_a_calendar_used_again_is_busy_until_it_is_read(fake: FakeProvider, place: Place, flag: str) -> None:
    """It is asked for at once and counts as never read, even if it was read a minute before it was switched off;
    a reading that fails changes nothing about that."""
    use(place, **NOTHING)
    assert hours(place) == [9, 10, 11, 12, 13, 14, 15, 16], "it blocks nothing while it is not used"
    view = use(place, **{flag: True})
    assert (view.synced_at, view.syncing, view.used) == (None, True, True)
    assert sync_requests.sweep() == 1
    blocks = flag == "checks_conflicts"
    assert hours(place) == ([] if blocks else [9, 10, 11, 12, 13, 14, 15, 16])
    fake.fail("event_pages", ProviderUnavailable())
    sync_requests.sync_calendar(place.calendars[0].id)
    assert (hours(place) == []) == blocks
    assert sync_requests.sync_calendar(place.calendars[0].id).full
    use(place, checks_conflicts=True)
    assert hours(place) == [9, 11, 12, 13, 14, 15, 16]


def test_a_calendar_that_is_read_already_counts_at_once(fake: FakeProvider, place: Place) -> None:
    """One that was only shown has been read all the time: checking it for conflicts takes no reading."""
    use(place, checks_conflicts=False, receives_bookings=False)
    assert hours(place) == [9, 10, 11, 12, 13, 14, 15, 16]
    use(place, checks_conflicts=True)
    assert (hours(place), fake.calls) == ([9, 11, 12, 13, 14, 15, 16], [])


@pytest.mark.parametrize("again", [False, True])
def test_a_reading_under_way_stores_nothing(fake: FakeProvider, place: Place, again: bool) -> None:
    """A calendar that is switched off while it is read, and perhaps on again, is not filled by that reading."""
    calendar = fake.calendar(place.calendars[0].remote_id)
    with transaction() as session:
        session.get_one(Calendar, place.calendars[0].id).sync_cursor = None

    class Interrupting(dict[str, Any]):
        def values(self) -> Any:
            calendar.events = dict(self)
            use(place, **NOTHING)
            if again:
                use(place, checks_conflicts=True)
            return calendar.events.values()

    calendar.events = Interrupting(calendar.events)
    assert sync_requests.sync_calendar(place.calendars[0].id).outcome is Outcome.SUPERSEDED
    assert (mirrored(place), row(place).synced_at) == (0, None)
    assert hours(place) == ([] if again else [9, 10, 11, 12, 13, 14, 15, 16])


def test_what_an_older_release_has_read_does_not_count(fake: FakeProvider, place: Place) -> None:
    """Processes of the release before read unused calendars too; such a state is not taken for fresh later."""
    use(place, **NOTHING)
    with transaction() as session:
        found = session.get_one(Calendar, place.calendars[0].id)
        found.synced_at, found.sync_cursor = datetime.now(UTC), "0:99"
    use(place, checks_conflicts=True)
    assert hours(place) == []
    assert sync_requests.sync_calendar(place.calendars[0].id).full
    assert hours(place) == [9, 11, 12, 13, 14, 15, 16]


def test_only_shown_calendars_are_on_the_agenda(fake: FakeProvider, place: Place) -> None:
    """Its switch takes a calendar off the agenda, named or not, and never touches what blocks time."""
    calendar_id = place.calendars[0].id
    assert shown(place) == ["Dentist"]
    use(place, shown_on_dashboard=False)
    assert shown(place) == []
    assert event_queries.between(place.owner, place.at(0), calendar_id=calendar_id).items == []
    listed = event_queries.between(place.owner, place.at(0), calendar_id=calendar_id, hidden=True).items
    assert [one.title for one in listed] == ["Dentist"]
    assert hours(place) == [9, 11, 12, 13, 14, 15, 16]
    use(place, shown_on_dashboard=True)
    assert shown(place) == ["Dentist"], "it was read all the time"


NEW: list[tuple[AccessRole, bool, bool, tuple[bool, bool]]] = [
    (AccessRole.OWNER, False, False, (True, True)),
    (AccessRole.READER, True, False, (True, True)),
    (AccessRole.READER, False, True, (False, True)),
    (AccessRole.WRITER, False, False, (False, False)),
    (AccessRole.FREEBUSY, False, False, (False, False)),
]


@pytest.mark.parametrize(("role", "primary", "selected", "expected"), NEW)
def test_new_calendars_are_shown_where_people_expect_it(
    fake: FakeProvider,
    place: Place,
    role: AccessRole,
    primary: bool,
    selected: bool,
    expected: tuple[bool, bool],
) -> None:
    """One's own and one's primary calendar are checked and shown, one displayed at the provider is shown, others are
    listed and not read, by a listing in the background as by connecting."""
    held = fake.calendar(place.calendars[0].remote_id)
    account = next(iter(fake.accounts.values()))
    account.add_calendar("new").listed = RemoteCalendar(
        "new", "New", "Europe/Berlin", role, is_primary=primary, is_selected=selected
    )
    assert held.listed.remote_id in account.calendars
    calendar_listing.list_again(place.calendars[0].connection_id)
    (view,) = [one for one in calendars.list_calendars(place.owner) if one.name == "New"]
    assert (view.checks_conflicts, view.shown_on_dashboard) == expected
    assert sync_requests.sweep() == int(any(expected))
    assert view.syncing == any(expected)
    connection_check.refresh(place.owner, place.calendars[0].connection_id)
    sync_requests.sync_calendar(view.id)
    assert fake.count("event_pages", "new") == int(any(expected))


def test_an_imported_file_keeps_its_events(fake: FakeProvider, place: Place) -> None:
    """Nobody could read them again: a file's calendar is off the agenda and blocks nothing, and comes back whole."""
    start = place.at(12).astimezone(UTC)
    made = ics_import.import_file(place.owner, event_file(start)).calendar
    off = calendar_use.update_calendar(place.owner, made.id, **NOTHING)
    assert (off.used, off.synced_at) == (False, made.synced_at)
    assert (shown(place), 12 in hours(place)) == (["Dentist"], True)
    calendar_use.update_calendar(place.owner, made.id, checks_conflicts=True, shown_on_dashboard=True)
    assert (shown(place), 12 in hours(place)) == (["Dentist", "Lunch"], False)


def event_file(start: datetime) -> bytes:
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//x//x//EN", "BEGIN:VEVENT", "UID:1", "SUMMARY:Lunch"]
    lines += [f"DTSTAMP:{start:%Y%m%dT%H%M%SZ}", f"DTSTART:{start:%Y%m%dT%H%M%SZ}", "DURATION:PT1H"]
    return "\r\n".join([*lines, "END:VEVENT", "END:VCALENDAR", ""]).encode()


def test_bookings_that_move_to_an_unused_calendar_make_it_used(fake: FakeProvider, place: Place) -> None:
    """The calendar that takes over the bookings of a disconnected account is read from then on."""
    account = fake.account("second@example.com")
    grant = fake.grant(account)
    other = factories.connection(
        place.people[0], place.workspace, access_token=grant.access_token, refresh_token=grant.refresh_token
    )
    target = factories.calendar(other, remote_id="main@second@example.com", **NOTHING)
    booking = place.book(place.at(14))
    connection_disconnect.disconnect(
        place.owner, place.calendars[0].connection_id, bookings="move", move_to=target.id
    )
    assert booking.id
    with reading() as session:
        found = session.get_one(Calendar, target.id)
    assert (found.receives_bookings, found.sync_requested_at is not None) == (True, True)
    assert sync_requests.sync_calendar(target.id).full


def test_the_api_shows_and_changes_it(place: Place, fake: FakeProvider, api: httpx.Client) -> None:
    """GET and PATCH of a calendar name the switch and whether it is used; ``/events`` and ``/sync`` follow it."""
    headers, calendar_id = bearer(place.people[0]), place.calendars[0].id
    path = f"/api/v1/calendars/{calendar_id}"
    found = api.get(path, headers=headers).json()
    assert (found["shown_on_dashboard"], found["used"]) == (True, True)
    span = {"start": place.at(0).isoformat(), "end": place.at(23).isoformat()}
    assert len(api.get("/api/v1/events", headers=headers, params=span).json()["items"]) == 1
    found = api.patch(path, headers=headers, json={"shown_on_dashboard": False}).json()
    assert (found["shown_on_dashboard"], found["used"]) == (False, True)
    for more in ({}, {"calendar_id": calendar_id}):
        assert api.get("/api/v1/events", headers=headers, params=span | more).json()["items"] == []
    found = api.patch(path, headers=headers, json=NOTHING).json()
    assert (found["used"], found["synced_at"], found["syncing"]) == (False, None, False)
    answer = api.post("/api/v1/sync", headers=headers, json={"calendar_id": calendar_id})
    problem(answer, 409, "calendar_not_used")
    assert api.post("/api/v1/sync", headers=headers, json={}).json() == {"calendar_ids": []}
    (status,) = api.get("/api/v1/sync/status", headers=headers).json()["items"]
    assert (status["used"], status["state"]) == (False, "idle")
    problem(api.patch(path, headers=headers, json={"shown_on_dashboard": "perhaps"}), 422, "invalid_input")
    assert api.patch(path, headers=headers, json={"shown_on_dashboard": None}).json()["used"] is False
