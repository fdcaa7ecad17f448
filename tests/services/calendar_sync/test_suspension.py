"""Connections that fail and fail: switched off with one letter, tried again at growing intervals, ended when dead."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import select

from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import AuditEntry, Calendar, CalendarWrite, Connection, Mail
from calendar_app.db.tables.connections import WITH_TOKENS
from calendar_app.domain.event import CalendarEvent
from calendar_app.errors import GrantRevoked, PermissionDenied, ProviderUnavailable
from calendar_app.services.calendar_sync import requests as sync_requests
from calendar_app.services.calendar_sync import run as sync_run
from calendar_app.services.calendar_sync import suspension
from calendar_app.services.calendar_sync.run import Outcome
from calendar_app.services.connection_lifecycle import check as connection_check
from calendar_app.services.connection_lifecycle import expiry as connection_expiry
from calendar_app.services.connection_lifecycle import oauth as connection_oauth
from calendar_app.services.connections import queries as connection_queries
from tests.support.fake_provider import FakeClient, FakeProvider
from tests.support.scheduling import Place, carry_out, writes


def row(place: Place) -> Connection:
    with reading() as session:
        return session.get_one(Connection, place.calendars[0].connection_id, options=WITH_TOKENS)


def change(place: Place, **columns: object) -> None:
    with transaction() as session:
        found = session.get_one(Connection, place.calendars[0].connection_id)
        for name, value in columns.items():
            setattr(found, name, value)
        session.add(found)


def mails(kind: str) -> list[Mail]:
    with reading() as session:
        return list(session.exec(select(Mail).where(Mail.kind == kind)))


def fail(fake: FakeProvider, place: Place, times: int = 1, error: Exception | None = None) -> str:
    """So many failed syncs; how the last one ended."""
    outcome = ""
    for _ in range(times):
        fake.fail("event_pages", error or ProviderUnavailable("Down."))
        outcome = sync_requests.sync_calendar(place.calendars[0].id).outcome
        if outcome != Outcome.FAILED:
            fake._failures["event_pages"].clear()
    return outcome


def silent_since(place: Place, ago: timedelta) -> None:
    change(place, last_sync_at=datetime.now(UTC) - ago)


def test_failures_of_an_afternoon_switch_nothing_off(fake: FakeProvider, place: Place) -> None:
    """Many failures within a day are an outage; few over a day are a quiet calendar."""
    silent_since(place, timedelta(hours=20))
    fail(fake, place, 12)
    assert (row(place).status, row(place).retry_at) == ("connected", None)
    change(place, failures=0)
    silent_since(place, timedelta(days=3))
    fail(fake, place, 3)
    assert row(place).status == "connected"
    assert mails("connection_failing") == []


def test_a_day_of_failures_switches_the_connection_off(fake: FakeProvider, place: Place) -> None:
    """Status, sentence, one letter, and rest: pushes, polls and sweeps leave it alone until its time has come."""
    silent_since(place, timedelta(days=2))
    assert fail(fake, place, suspension.FAILURES + 1) == Outcome.FAILED
    found = row(place)
    assert (found.status, found.last_error_code) == ("error", "suspended")
    assert "2 days" in found.last_error
    assert found.retry_at is not None
    assert timedelta(hours=11) < found.retry_at - datetime.now(UTC) < timedelta(hours=13)
    assert sync_requests.sync_calendar(place.calendars[0].id).outcome == Outcome.SKIPPED
    sync_requests.request(place.calendars[0].id)
    assert sync_requests.sweep() == 0
    assert sync_requests.sweep(datetime.now(UTC) + timedelta(days=1)) == 1
    (view,) = connection_queries.list_connections(place.owner)
    assert (view.status, view.last_error) == ("error", found.last_error)
    change(place, retry_at=None)
    silent_since(place, timedelta(days=9))
    fail(fake, place)
    later = row(place).retry_at
    assert later is not None
    assert timedelta(hours=23) < later - datetime.now(UTC) <= timedelta(days=1)
    assert len(mails("connection_failing")) == 1


def test_the_first_success_clears_everything(fake: FakeProvider, place: Place) -> None:
    """Connected again, and what was given up meanwhile is written."""
    made = place.book(place.at(10))
    with transaction() as session:
        write = session.get_one(CalendarWrite, writes(made.id)[0].id)
        write.state, write.last_error_code, write.attempts = "failed", "provider_unavailable", 10
        session.add(write)
    silent_since(place, timedelta(days=2))
    fail(fake, place, suspension.FAILURES + 1)
    sync_requests.request_for(place.owner)
    assert row(place).retry_at is None
    assert sync_requests.sync_calendar(place.calendars[0].id).outcome == Outcome.DONE
    found = row(place)
    assert (found.status, found.last_error, found.failures, found.retry_at) == ("connected", "", 0, None)
    carry_out()
    assert [write.state for write in writes(made.id)] == ["verified"]
    with reading() as session:
        actions = [entry.action for entry in session.exec(select(AuditEntry))]
    assert actions.count("connection.suspended") == actions.count("connection.recovered") == 1


@pytest.mark.parametrize("how", ["reconnect", "refresh"])
def test_a_person_who_acts_ends_the_rest(fake: FakeProvider, place: Place, how: str) -> None:
    """Connecting the account again, or a refresh that works, has it read at once."""
    silent_since(place, timedelta(days=2))
    fail(fake, place, suspension.FAILURES + 1)
    if how == "refresh":
        connection_check.refresh(place.owner, row(place).id)
    else:
        url = connection_oauth.start(place.owner, "fake", binding="b", connection_id=row(place).id)
        answer = fake.allow(url, fake.accounts[row(place).account_id])
        connection_oauth.finish(bindings=["b"], provider="fake", **answer)
    assert row(place).retry_at is None
    assert sync_requests.sync_calendar(place.calendars[0].id).outcome == Outcome.DONE
    assert row(place).status == "connected"


def test_a_second_outage_is_told_of_again(fake: FakeProvider, place: Place) -> None:
    """One letter for each time that it stops to work."""
    for days in (5, 2):
        change(place, failures=0, retry_at=None)
        silent_since(place, timedelta(days=days))
        fail(fake, place, suspension.FAILURES + 1)
        sync_requests.request_for(place.owner)
        sync_requests.sync_calendar(place.calendars[0].id)
    assert len(mails("connection_failing")) == 2


def test_a_refusal_is_asked_again_within_hours(fake: FakeProvider, place: Place) -> None:
    """A calendar that is no longer shared is not left to the night."""
    waits = []
    for _ in range(5):
        fail(fake, place, error=PermissionDenied("Not shared."))
        with reading() as session:
            again = session.get_one(Calendar, place.calendars[0].id).sync_retry_at
        assert again is not None
        waits.append((again - datetime.now(UTC)).total_seconds())
    assert 2_000 < waits[0] < 5_000
    assert max(waits) < 8 * 3600
    fail(fake, place, error=GrantRevoked())
    with reading() as session:
        assert session.get_one(Calendar, place.calendars[0].id).sync_retry_at is None


def test_the_dead_are_announced_and_then_ended(fake: FakeProvider, place: Place) -> None:
    """A month dead: a letter. Two weeks later: disconnected, history kept. Who comes back in between stays."""
    place.book(place.at(10))
    carry_out()
    now = datetime.now(UTC)
    change(place, status="needs_reconnect", last_error_at=now - timedelta(days=20))
    assert connection_expiry.clean_up(now) == 0
    assert mails("connection_abandoned") == []
    change(place, last_error_at=now - timedelta(days=31))
    assert connection_expiry.clean_up(now) == 0
    assert connection_expiry.clean_up(now + timedelta(days=7)) == 0
    assert len(mails("connection_abandoned")) == 1
    change(place, status="connected")
    assert connection_expiry.clean_up(now + timedelta(days=15)) == 0
    change(place, status="needs_reconnect")
    assert connection_expiry.clean_up(now + timedelta(days=15)) == 1
    assert row(place).status == "disconnected"
    assert row(place).refresh_token is None
    with reading() as session:
        actions = [entry.action for entry in session.exec(select(AuditEntry))]
        assert session.get_one(Calendar, place.calendars[0].id).receives_bookings
    assert "connection.abandoned" in actions
    assert connection_expiry.clean_up(now + timedelta(days=22)) == 0


def test_the_switched_off_are_ended_too(fake: FakeProvider, place: Place) -> None:
    """An account that could not be read for a month, though nobody withdrew anything."""
    silent_since(place, timedelta(days=40))
    fail(fake, place, suspension.FAILURES + 1)
    now = datetime.now(UTC)
    assert connection_expiry.clean_up(now) == 0
    assert connection_expiry.clean_up(now + timedelta(days=15)) == 1
    assert row(place).status == "disconnected"


def test_a_slow_provider_does_not_cost_the_lease(
    fake: FakeProvider, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a page takes longer than the lease, the sync says that it lives; nobody else takes the calendar."""
    monkeypatch.setattr(sync_run, "BEAT_S", 0.05)
    fake.change(place.calendars[0].remote_id, CalendarEvent("one"))
    held, release = threading.Event(), threading.Event()
    real = FakeClient.event_pages

    def slow(self: FakeClient, *arguments: object, **options: object) -> object:
        held.set()
        assert release.wait(30)
        return real(self, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(FakeClient, "event_pages", slow)
    results: list[str] = []
    thread = threading.Thread(
        target=lambda: results.append(sync_requests.sync_calendar(place.calendars[0].id).outcome)
    )
    thread.start()
    assert held.wait(30)
    with transaction() as session:
        calendar = session.get_one(Calendar, place.calendars[0].id)
        calendar.sync_lease_until = datetime.now(UTC) - timedelta(seconds=1)
        session.add(calendar)
    deadline = datetime.now(UTC) + timedelta(seconds=30)
    renewed = None
    while datetime.now(UTC) < deadline:
        with reading() as session:
            renewed = session.get_one(Calendar, place.calendars[0].id).sync_lease_until
        if renewed is not None and renewed > datetime.now(UTC):
            break
    assert renewed is not None
    assert renewed > datetime.now(UTC)
    assert sync_requests.sync_calendar(place.calendars[0].id).outcome == Outcome.BUSY
    release.set()
    thread.join(30)
    assert results == [Outcome.DONE]
    with reading() as session:
        assert session.get_one(Calendar, place.calendars[0].id).sync_lease_until is None
