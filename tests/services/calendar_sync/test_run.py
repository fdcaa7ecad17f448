"""Reading calendars: what a sync commits, what failures lead to, and who may have it done."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlmodel import Session, col, select

from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import Calendar, Connection, Event, Occurrence
from calendar_app.domain.event import CalendarEvent, EventStatus, EventTime
from calendar_app.domain.timespan import Span
from calendar_app.errors import (
    Forbidden,
    GrantRevoked,
    NotFound,
    PermissionDenied,
    ProviderUnavailable,
    RateLimited,
)
from calendar_app.services.calendar_mirror import expansion, mirror
from calendar_app.services.calendar_sync import requests as sync_requests
from calendar_app.services.calendar_sync import run as sync_run
from calendar_app.services.calendar_sync.run import Outcome
from calendar_app.services.common.permissions import Role
from tests.support import factories
from tests.support.databases import Database
from tests.support.factories import Team
from tests.support.fake_provider import FakeProvider
from tests.support.mirrored import busy_spans

NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
MAIN = "main@ada@example.com"


@pytest.fixture
def fake(database: Database) -> Iterator[FakeProvider]:
    """A provider that knows Ada's calendar."""
    provider = FakeProvider(page_size=3)
    provider.account("ada@example.com")
    with provider.installed():
        yield provider


@pytest.fixture
def team(fake: FakeProvider) -> Team:
    """A team whose calendar is Ada's at the provider."""
    grant = fake.grant(next(iter(fake.accounts.values())))
    made = factories.team(access_token=grant.access_token, refresh_token=grant.refresh_token)
    change(made.calendar.id, remote_id=MAIN)
    return made


def change(calendar_id: str, **columns: Any) -> None:
    with transaction() as session:
        row = session.get_one(Calendar, calendar_id)
        row.sqlmodel_update(columns)
        session.add(row)


def row(team: Team) -> Calendar:
    with reading() as session:
        return session.get_one(Calendar, team.calendar.id)


def events(team: Team) -> dict[str, Event]:
    with reading() as session:
        found = session.exec(select(Event).where(col(Event.calendar_id) == team.calendar.id)).all()
    assert len({event.remote_id for event in found}) == len(found)
    return {event.remote_id: event for event in found}


def occurrences(team: Team, remote_id: str) -> list[Occurrence]:
    with reading() as session:
        return list(
            session.exec(
                select(Occurrence)
                .join(Event, col(Event.id) == col(Occurrence.event_id))
                .where(col(Event.calendar_id) == team.calendar.id, col(Event.remote_id) == remote_id)
                .order_by(col(Occurrence.starts))
            )
        )


def fill(fake: FakeProvider, count: int, **parts: Any) -> list[str]:
    return [
        fake.add_event(
            MAIN,
            NOON + timedelta(days=1 + n),
            NOON + timedelta(days=1 + n, hours=1),
            summary=f"E{n}",
            **parts,
        ).remote_id
        for n in range(count)
    ]


def test_first_sync_mirrors_every_page(fake: FakeProvider, team: Team) -> None:
    """A first sync stores all events of all pages, their occurrences, and the last page's cursor."""
    made = fill(fake, 8)
    result = sync_requests.sync_calendar(team.calendar.id)
    assert (result.outcome, result.full, result.changed) == (Outcome.DONE, True, 8)
    assert set(events(team)) == set(made)
    assert all(len(occurrences(team, one)) == 1 for one in made)
    calendar = row(team)
    assert calendar.sync_cursor
    assert calendar.synced_at
    assert calendar.full_synced_at
    assert calendar.sync_lease_until is None
    with reading() as session:
        assert session.get_one(Connection, team.connection.id).last_sync_at == calendar.synced_at


def test_sync_without_changes_is_one_request(fake: FakeProvider, team: Team) -> None:
    """A sync that finds nothing asks the provider once, and still stores the new cursor and time."""
    fill(fake, 5)
    sync_requests.sync_calendar(team.calendar.id)
    before = row(team)
    fake.calendar(MAIN).clock += 1
    fake.calls.clear()
    result = sync_requests.sync_calendar(team.calendar.id)
    after = row(team)
    assert fake.calls == [("event_pages", MAIN)]
    assert (result.outcome, result.full, result.changed, result.removed) == (Outcome.DONE, False, 0, 0)
    assert after.sync_cursor != before.sync_cursor
    assert after.synced_at
    assert before.synced_at
    assert after.synced_at > before.synced_at


def test_changes_and_deletions_arrive(fake: FakeProvider, team: Team) -> None:
    """A delta moves what moved, removes what was deleted, and leaves the rest alone."""
    moved, gone, kept = fill(fake, 3)
    sync_requests.sync_calendar(team.calendar.id)
    ids = {name: event.id for name, event in events(team).items()}
    event = fake.calendar(MAIN).events[moved]
    assert event.start
    later = EventTime(NOON.replace(tzinfo=None) + timedelta(days=9), "UTC")
    fake.change(MAIN, replace(event, start=later, end=EventTime(later.value + timedelta(hours=2), "UTC")))
    fake.remove(MAIN, gone)
    result = sync_requests.sync_calendar(team.calendar.id)
    assert (result.changed, result.removed) == (1, 1)
    assert {name: event.id for name, event in events(team).items()} == {moved: ids[moved], kept: ids[kept]}
    (one,) = occurrences(team, moved)
    assert one.starts == int((NOON + timedelta(days=9)).timestamp())


def test_a_page_that_fails_stores_nothing(fake: FakeProvider, team: Team) -> None:
    """When a later page fails neither events nor cursor are stored, and the next sync is complete."""
    made = fill(fake, 8)
    fake.fail("page", None, None, ProviderUnavailable("Fake is down."))
    result = sync_requests.sync_calendar(team.calendar.id)
    calendar = row(team)
    assert (result.outcome, result.error) == (Outcome.FAILED, "Fake is down.")
    assert not events(team)
    assert calendar.sync_cursor is None
    assert calendar.last_error == "Fake is down."
    assert calendar.sync_retry_at
    sync_requests.sync_calendar(team.calendar.id)
    assert set(events(team)) == set(made)
    assert row(team).last_error == ""


def test_refused_cursor_lists_everything_and_removes_what_vanished(
    fake: FakeProvider, team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    """410 leads to one full listing in the same run; before its commit the old state still counts as busy."""
    kept, vanished = fill(fake, 2)
    sync_requests.sync_calendar(team.calendar.id)
    fake.calendar(MAIN).events.pop(vanished)
    fake.expire_cursors(MAIN)
    added = fake.add_event(MAIN, NOON + timedelta(days=5), NOON + timedelta(days=5, hours=1)).remote_id
    seen: list[int] = []
    real = mirror.apply

    def watching(session: Session, *arguments: Any, **options: Any) -> mirror.Applied:
        seen.append(len(busy(team)))
        return real(session, *arguments, **options)

    monkeypatch.setattr(mirror, "apply", watching)
    fake.calls.clear()
    result = sync_requests.sync_calendar(team.calendar.id)
    assert fake.count("event_pages") == 2
    assert (result.outcome, result.full) == (Outcome.DONE, True)
    assert seen == [2]
    assert set(events(team)) == {kept, added}
    assert len(busy(team)) == 2


def busy(team: Team) -> list[Span]:
    with reading() as session:
        window = expansion.window_at(datetime.now(UTC))
        return busy_spans(session, team.calendar.id, window)


def test_mass_delete_needs_a_person(fake: FakeProvider, team: Team) -> None:
    """A full listing without most of the future is not believed until somebody confirms it."""
    fill(fake, 40)
    sync_requests.sync_calendar(team.calendar.id)
    fake.calendar(MAIN).events.clear()
    left = fill(fake, 1)
    fake.expire_cursors(MAIN)
    result = sync_requests.sync_calendar(team.calendar.id)
    assert (result.outcome, result.kept) == (Outcome.DONE, 40)
    assert len(events(team)) == 41
    assert "40 events" in row(team).last_error
    sync_requests.sync_calendar(team.calendar.id)
    (status,) = sync_requests.status(team.actor)
    assert status.needs_confirmation
    sync_requests.accept_mass_delete(team.actor, team.calendar.id)
    result = sync_requests.sync_calendar(team.calendar.id)
    assert (result.full, result.removed) == (True, 40)
    assert set(events(team)) == set(left)
    assert row(team).last_error == ""
    assert row(team).removals_accepted is False


def test_mass_delete_that_the_provider_tells_is_believed(fake: FakeProvider, team: Team) -> None:
    """Deletions that a delta names one by one need no confirmation, however many they are."""
    made = fill(fake, 40)
    sync_requests.sync_calendar(team.calendar.id)
    for one in made:
        fake.remove(MAIN, one)
    assert sync_requests.sync_calendar(team.calendar.id).removed == 40
    assert not events(team)


def test_late_worker_is_fenced_off(fake: FakeProvider, team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that was stopped past its lease comes back after another has finished; its result is discarded."""
    fill(fake, 2)
    real = sync_run._commit

    def stopped(claim: Any, spool: Any, listing: Any) -> Any:
        monkeypatch.setattr(sync_run, "_commit", real)
        change(team.calendar.id, sync_lease_until=datetime.now(UTC) - timedelta(seconds=1))
        fill(fake, 1, remote_id="newer")
        assert sync_requests.sync_calendar(team.calendar.id).outcome is Outcome.DONE
        return real(claim, spool, replace(listing, cursor="stale-cursor"))

    monkeypatch.setattr(sync_run, "_commit", stopped)
    assert sync_requests.sync_calendar(team.calendar.id).outcome is Outcome.SUPERSEDED
    assert "newer" in events(team)
    assert row(team).sync_cursor != "stale-cursor"


def test_one_runner_a_calendar_and_requests_coalesce(fake: FakeProvider, team: Team) -> None:
    """While a sync runs another call does nothing, and any number of requests meanwhile make one more reading."""
    fill(fake, 1)
    outcomes: list[Outcome] = []
    provider = fake.installed

    def meanwhile(name: str, calendar_id: str = "") -> None:
        if name == "page" and not outcomes:
            outcomes.append(sync_requests.sync_calendar(team.calendar.id).outcome)
            for _ in range(3):
                sync_requests.request(team.calendar.id)
            fake.add_event(MAIN, NOON, NOON + timedelta(hours=1), remote_id="late")
        called(name, calendar_id)

    assert provider
    called = fake._called
    fake._called = meanwhile  # type: ignore[method-assign]
    result = sync_requests.sync_calendar(team.calendar.id)
    assert outcomes == [Outcome.BUSY]
    assert (result.outcome, result.full) == (Outcome.DONE, False)
    assert fake.count("event_pages") == 2
    assert "late" in events(team)


@pytest.mark.parametrize(
    ("error", "hours"),
    [
        (RateLimited("Slow down.", retry_after=900), 1),
        (ProviderUnavailable("Down."), 1),
        (PermissionDenied("Not allowed."), 2),
    ],
)
def test_failures_follow_the_policy(fake: FakeProvider, team: Team, error: Exception, hours: int) -> None:
    """What may heal is tried again soon, not before ``Retry-After``; what seldom does in an hour or more."""
    fake.fail("event_pages", error)
    before = datetime.now(UTC)
    sync_requests.sync_calendar(team.calendar.id)
    calendar = row(team)
    assert calendar.failures == 1
    assert calendar.last_error
    assert calendar.sync_retry_at
    if isinstance(error, RateLimited):
        assert calendar.sync_retry_at >= before + timedelta(seconds=900)
    assert sync_requests.sweep(before) == 0
    assert sync_requests.sweep(before + timedelta(minutes=40)) == int(hours == 1)
    assert sync_requests.sweep(before + timedelta(hours=2)) == 1
    assert sync_requests.poll(before + timedelta(hours=2)) == 0


def test_backoff_grows(fake: FakeProvider, team: Team) -> None:
    """Repeated failures wait longer and longer, an hour at most."""
    waits = []
    for _ in range(10):
        fake.fail("event_pages", ProviderUnavailable())
        sync_requests.sync_calendar(team.calendar.id)
        retry = row(team).sync_retry_at
        assert retry
        waits.append((retry - datetime.now(UTC)).total_seconds())
    assert waits[0] < 60 < waits[3] < waits[6]
    assert max(waits) <= 3600 * 1.25


def test_revoked_grant_stops_reading(fake: FakeProvider, team: Team) -> None:
    """A revoked grant makes the connection need its person; nothing is tried until then, and old events stay."""
    fill(fake, 1)
    sync_requests.sync_calendar(team.calendar.id)
    fake.revoke_grants(next(iter(fake.accounts.values())))
    sync_requests.sync_calendar(team.calendar.id)
    with reading() as session:
        assert session.get_one(Connection, team.connection.id).status == "needs_reconnect"
    assert sync_requests.sweep(datetime.now(UTC) + timedelta(days=1)) == 0
    assert sync_requests.sync_calendar(team.calendar.id).outcome is Outcome.SKIPPED
    assert len(events(team)) == 1
    with pytest.raises(GrantRevoked):
        sync_requests.request_for(team.actor, calendar_id=team.calendar.id)


def test_expired_token_in_the_middle_of_a_listing(fake: FakeProvider, team: Team) -> None:
    """A 401 between pages refreshes once and lists again; every event is there once."""
    made = fill(fake, 8)
    real = fake._called

    def called(name: str, calendar_id: str = "") -> None:
        if name == "page" and fake.count("refresh") == 0 and fake.calls[-1][0] == "event_pages":
            fake.calls.append(("expired", ""))
            fake.expire_access_tokens()
            fake._holder("nobody")
        real(name, calendar_id)

    fake._called = called  # type: ignore[method-assign]
    assert sync_requests.sync_calendar(team.calendar.id).outcome is Outcome.DONE
    assert fake.count("refresh") == 1
    assert set(events(team)) == set(made)


def test_sweeper_finds_what_a_dead_worker_left(fake: FakeProvider, team: Team) -> None:
    """A lease that ran out, a request that nobody took up and a retry that is due are all found in the database."""
    sync_requests.sync_calendar(team.calendar.id)
    now = datetime.now(UTC)
    assert sync_requests.sweep(now) == 0
    change(team.calendar.id, sync_lease_until=now + timedelta(minutes=1))
    assert sync_requests.sweep(now) == 0
    assert sync_requests.sweep(now + timedelta(minutes=2)) == 1
    change(team.calendar.id, sync_lease_until=None)
    sync_requests.request(team.calendar.id)
    assert sync_requests.sweep(now) == 1
    sync_requests.sync_calendar(team.calendar.id)
    assert sync_requests.sweep(now) == 0


def test_polling_finds_what_push_missed(fake: FakeProvider, team: Team) -> None:
    """Calendars that were not read for POLL_MINUTES are due; fresh ones are not."""
    assert sync_requests.poll() == 1
    sync_requests.sync_calendar(team.calendar.id)
    assert sync_requests.poll() == 0
    assert sync_requests.poll(datetime.now(UTC) + timedelta(minutes=6)) == 1


def test_a_calendar_read_in_the_future_is_due(fake: FakeProvider, team: Team) -> None:
    """Read while the clock was two hours ahead: it is read again now, and not in two hours."""
    sync_requests.sync_calendar(team.calendar.id)
    change(team.calendar.id, synced_at=datetime.now(UTC) + timedelta(hours=2))
    assert sync_requests.poll() == 1
    sync_requests.sync_calendar(team.calendar.id)
    assert sync_requests.poll() == 0


def test_clock_of_another_machine_is_ahead(fake: FakeProvider, team: Team) -> None:
    """A request is not lost when the worker's clock is hours ahead of the web process's."""
    sync_requests.sync_calendar(team.calendar.id)
    ahead = datetime.now(UTC) + timedelta(hours=2)
    change(team.calendar.id, sync_started_at=ahead)
    sync_requests.request(team.calendar.id)
    assert sync_requests.sweep() == 1
    sync_requests.sync_calendar(team.calendar.id)
    assert sync_requests.sweep() == 0


def test_a_calendar_is_listed_in_full_at_its_time(fake: FakeProvider, team: Team) -> None:
    """Once a day a reading lists everything, which finds events that no delta ever told; one that a person waits for
    stays short, and the next one makes up for it."""
    fill(fake, 1)
    sync_requests.sync_calendar(team.calendar.id)
    fake.calendar(MAIN).events["silent"] = replace(
        fake.calendar(MAIN).events[next(iter(events(team)))], remote_id="silent"
    )
    fake.calendar(MAIN).changed["silent"] = 0
    planned = row(team).full_due_at
    assert planned is not None
    assert timedelta(hours=12) <= planned - datetime.now(UTC) <= timedelta(hours=36)
    change(team.calendar.id, full_due_at=datetime.now(UTC) - timedelta(seconds=1))
    sync_requests.request(team.calendar.id)
    assert not sync_requests.sync_calendar(team.calendar.id).full
    assert sync_requests.poll(datetime.now(UTC) + timedelta(minutes=1, seconds=1)) == 1
    assert sync_requests.sync_calendar(team.calendar.id).full
    assert "silent" in events(team)


def test_who_may_ask(fake: FakeProvider, team: Team) -> None:
    """Staff have their own calendars read, managers everybody's in the workspace, customers none, strangers nothing."""
    colleague = factories.person()
    staff = factories.actor(colleague, team.workspace, Role.STAFF)
    stranger = factories.team().actor
    assert sync_requests.request_for(staff) == []
    with pytest.raises(NotFound):
        sync_requests.request_for(staff, calendar_id=team.calendar.id)
    with pytest.raises(NotFound):
        sync_requests.request_for(stranger, connection_id=team.connection.id)
    with pytest.raises(NotFound):
        sync_requests.accept_mass_delete(stranger, team.calendar.id)
    with pytest.raises(Forbidden):
        sync_requests.request_for(factories.actor(colleague, team.workspace, Role.CUSTOMER))
    manager = factories.actor(colleague, team.workspace, Role.MANAGER)
    assert sync_requests.request_for(manager, connection_id=team.connection.id) == [team.calendar.id]
    assert [one.calendar_id for one in sync_requests.status(manager)] == [team.calendar.id]
    assert sync_requests.status(staff) == []


def test_status_tells_progress_and_errors(
    fake: FakeProvider, team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While pages come in the status counts their events; afterwards it says when the next reading is due."""
    fill(fake, 8)
    seen: list[tuple[str, int]] = []
    real = sync_run._progress

    def progress(claim: Any, count: int) -> None:
        real(claim, count)
        (status,) = sync_requests.status(team.actor)
        seen.append((status.state, status.progress))

    (before,) = sync_requests.status(team.actor)
    assert before.state == "queued"
    monkeypatch.setattr(sync_run, "_progress", progress)
    sync_requests.sync_calendar(team.calendar.id)
    assert seen == [("syncing", 3), ("syncing", 6), ("syncing", 8)]
    (after,) = sync_requests.status(team.actor)
    assert (after.state, after.push) == ("idle", False)
    assert after.next_sync_at
    assert after.synced_at
    fake.fail("event_pages", PermissionDenied("No longer shared."))
    sync_requests.sync_calendar(team.calendar.id)
    (failed,) = sync_requests.status(team.actor)
    assert (failed.state, failed.last_error) == ("error", "No longer shared.")
    assert failed.next_sync_at


def test_unexpected_failure_is_recorded_and_raised(
    fake: FakeProvider, team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug in our own code frees the calendar, shows a plain sentence, and still reaches the operator."""
    fill(fake, 1)

    def broken(*_arguments: Any, **_options: Any) -> mirror.Applied:
        raise RuntimeError("secret detail")

    with monkeypatch.context() as patch:
        patch.setattr(mirror, "apply", broken)
        with pytest.raises(RuntimeError):
            sync_requests.sync_calendar(team.calendar.id)
    calendar = row(team)
    assert calendar.sync_lease_until is None
    assert calendar.sync_retry_at
    assert "secret" not in calendar.last_error
    assert sync_requests.sync_calendar(team.calendar.id).outcome is Outcome.DONE


def test_strange_text_does_not_stop_a_sync(fake: FakeProvider, team: Team) -> None:
    """NUL characters and lone surrogates, which PostgreSQL refuses, are taken out on the way in."""
    fill(fake, 1, remote_id="odd", location="a\x00b\ud800", attendees=())
    assert sync_requests.sync_calendar(team.calendar.id).outcome is Outcome.DONE
    assert events(team)["odd"].payload["location"] == "ab?"


def test_cancelled_single_event_was_never_here(fake: FakeProvider, team: Team) -> None:
    """The deletion of an event that was never mirrored changes nothing."""
    sync_requests.sync_calendar(team.calendar.id)
    fake.change(MAIN, CalendarEvent("ghost", status=EventStatus.CANCELLED))
    result = sync_requests.sync_calendar(team.calendar.id)
    assert (result.changed, result.removed) == (0, 0)
    assert not events(team)
