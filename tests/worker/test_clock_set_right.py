"""A clock that ran two hours ahead for a while, and was set right: nothing that was put off meanwhile waits for it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import select

from calendar_app.db.due import SLACK, due, free, is_due, is_free
from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import Calendar, CalendarWrite, Connection, Deviation, Mail
from calendar_app.errors import ProviderUnavailable
from calendar_app.services.calendar_sync import calendar_listing, suspension
from calendar_app.services.calendar_sync import requests as sync_requests
from calendar_app.services.calendar_writes import outbox as write_outbox
from calendar_app.services.external_changes import resolve, steps
from calendar_app.services.mail import outbox as mail_outbox
from tests.support import factories
from tests.support.databases import Database
from tests.support.fake_provider import FakeProvider
from tests.support.scheduling import bookable
from tests.support.stepped import stepped

AHEAD = timedelta(hours=2)
SECONDS, MINUTE = timedelta(seconds=2), timedelta(minutes=1)


def _writing(fake: FakeProvider) -> tuple[Callable[[datetime], int], Callable[[datetime], object]]:
    place = bookable(fake)
    place.book(place.at(10))
    with reading() as session:
        write_id = session.exec(select(CalendarWrite.id)).one()
    fake.fail("put_event", *[ProviderUnavailable()] * 9)
    return write_outbox.sweep, lambda now: write_outbox.apply(write_id, now=now)


def _mailing(fake: FakeProvider) -> tuple[Callable[[datetime], int], Callable[[datetime], object]]:
    place = bookable(fake)
    with transaction() as session:
        draft = mail_outbox.Draft(
            place.workspace.id, None, "test", "test", "ada@example.com", "Hello", "Hello"
        )
        mail_outbox.queue(session, draft)
    with reading() as session:
        mail_id = session.exec(select(Mail.id)).one()
    return lambda now: mail_outbox.sweep(now=now), lambda now: mail_outbox.deliver(mail_id, now=now)


def _resolving(fake: FakeProvider) -> tuple[Callable[[datetime], int], Callable[[datetime], object]]:
    place = bookable(fake)
    row = Deviation(
        workspace_id=place.workspace.id,
        calendar_id=place.calendars[0].id,
        kind="sighted",
        resolution="checking",
    )
    factories.save(row)

    def put_off(now: datetime) -> None:
        with transaction() as session:
            steps.postpone(session, session.get_one(Deviation, row.id), now)

    return resolve.sweep, put_off


def _reading(fake: FakeProvider) -> tuple[Callable[[datetime], int], Callable[[datetime], object]]:
    calendar = bookable(fake).calendars[0]
    fake.fail("page", *[ProviderUnavailable()] * 9)
    sync_requests.request(calendar.id, queue=False)

    def read(now: datetime) -> None:
        with stepped((now - datetime.now(UTC)).total_seconds()):
            sync_requests.sync_calendar(calendar.id)

    return sync_requests.sweep, read


def _listing(fake: FakeProvider) -> tuple[Callable[[datetime], int], Callable[[datetime], object]]:
    calendar = bookable(fake).calendars[0]
    return calendar_listing.sweep, lambda now: calendar_listing.list_again(calendar.connection_id, now=now)


WORK = {"write": _writing, "mail": _mailing, "change": _resolving, "sync": _reading, "listing": _listing}


@pytest.mark.parametrize("kind", WORK)
def test_what_was_put_off_by_a_clock_that_ran_ahead_is_due(
    database: Database, kind: str, configure: Callable[..., object]
) -> None:
    """While the clock is right it waits for its time; put off by the wrong one it is due at once."""
    if kind == "sync" and database.kind == "postgresql":
        pytest.skip("the database's clock is not set")
    configure(SMTP_URL="smtp://127.0.0.1:1")
    with FakeProvider().installed() as fake:
        sweep, attempt = WORK[kind](fake)
        now = datetime.now(UTC)
        assert sweep(now) == 1
        attempt(now)
        assert sweep(now + SECONDS) == 0
        attempt(now + AHEAD)
        assert sweep(now + AHEAD + SECONDS) == 0
        assert sweep(now + MINUTE) == 1


def test_a_connection_that_rests_is_taken_up_when_the_clock_is_right(database: Database) -> None:
    """An account that was switched off for a day's failures, which were a clock's, is read again."""
    team, now = factories.team(), datetime.now(UTC)
    with transaction() as session:
        row = session.get_one(Connection, team.connection.id)
        row.retry_at, row.last_error_at = now + AHEAD + timedelta(hours=1), now + AHEAD
        assert not suspension.is_paused(row, now)
        assert suspension.is_paused(row, now + AHEAD)
        session.get_one(Calendar, team.calendar.id).sync_requested_at = now
        session.add(row)
    assert sync_requests.sweep(now) == 1


@pytest.mark.parametrize("kind", ["write", "mail", "sync"])
def test_work_whose_lease_a_wrong_clock_gave_is_free(database: Database, kind: str) -> None:
    """A worker that died while the clock ran ahead holds nothing for hours; a lease of the right length counts."""
    column, length = {
        "write": (CalendarWrite.lease_until, write_outbox.LEASE),
        "mail": (Mail.lease_until, mail_outbox.LEASE),
        "sync": (Calendar.sync_lease_until, timedelta(seconds=45)),
    }[kind]
    now = datetime.now(UTC)
    assert not is_free(now + length, length, now)
    assert is_free(now + AHEAD + length, length, now)
    team = factories.team()
    with transaction() as session:
        session.get_one(Calendar, team.calendar.id).sync_lease_until = now + AHEAD
    if kind == "sync":
        with reading() as session:
            assert session.exec(select(Calendar.id).where(free(column, length, now))).all() == [
                team.calendar.id
            ]
            assert session.exec(select(Calendar.id).where(free(column, AHEAD, now))).all() == []


@pytest.mark.parametrize("at", [None, -1, 0, 1, 7200])
@pytest.mark.parametrize("tried", [None, -60, 0, 59, 61, 7200])
def test_rows_and_sql_agree(database: Database, at: int | None, tried: int | None) -> None:
    """What a sweep finds is what may be claimed."""
    now = datetime.now(UTC)
    moments = [None if one is None else now + timedelta(seconds=one) for one in (at, tried)]
    team = factories.team()
    with transaction() as session:
        row = session.get_one(Connection, team.connection.id)
        row.listing_due_at, row.listing_tried_at = moments
    expected = at is None or at <= 0 or (tried is not None and timedelta(seconds=tried) > SLACK)
    assert is_due(*moments, now) is expected
    with reading() as session:
        rule = due(Connection.listing_due_at, Connection.listing_tried_at, now)
        assert len(session.exec(select(Connection.id).where(rule)).all()) == expected
