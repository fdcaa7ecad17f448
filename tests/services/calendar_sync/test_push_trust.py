"""A push channel is relied on once it told a change, and no longer when one was found that it did not tell."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import select

from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import Calendar, Channel
from calendar_app.services.availability import conflict_calendars
from calendar_app.services.calendar_sync import push_channels, push_trust
from calendar_app.services.calendar_sync import requests as sync_requests
from tests.support import factories
from tests.support.databases import Database
from tests.support.factories import Team
from tests.support.fake_provider import FakeProvider

MAIN = "main@ada@example.com"
HOUR = timedelta(hours=1)


@pytest.fixture
def fake(database: Database) -> Iterator[FakeProvider]:
    provider = FakeProvider()
    provider.account("ada@example.com")
    with provider.installed():
        yield provider


@pytest.fixture
def team(fake: FakeProvider) -> Team:
    """A team whose calendar has been read, and has a channel that has said it is open."""
    grant = fake.grant(next(iter(fake.accounts.values())))
    made = factories.team(access_token=grant.access_token, refresh_token=grant.refresh_token)
    change(made, remote_id=MAIN)
    sync_requests.sync_calendar(made.calendar.id)
    assert push_channels.ensure(made.calendar.id)
    push_channels.pushed(channel(made).id, 1)
    return made


def change(team: Team, **columns: object) -> None:
    with transaction() as session:
        row = session.get_one(Calendar, team.calendar.id)
        session.add(row.sqlmodel_update(columns))


def row(team: Team) -> Calendar:
    with reading() as session:
        return session.get_one(Calendar, team.calendar.id)


def channel(team: Team) -> Channel:
    """The newest."""
    with reading() as session:
        mine = select(Channel).where(Channel.calendar_id == team.calendar.id)
        return max(session.exec(mine), key=lambda one: (one.stopped_at is None, one.created_at))


def rest(team: Team) -> timedelta:
    """How long the calendar is not asked."""
    due = row(team).reading_due_at
    assert due is not None
    return due - datetime.now(UTC)


def add(fake: FakeProvider, title: str) -> None:
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(days=1)
    fake.add_event(MAIN, start, start + HOUR, summary=title)


def let_it_be_due(team: Team) -> None:
    """The time of the planned reading has come, and a worker reads."""
    change(team, reading_due_at=datetime.now(UTC))
    assert sync_requests.poll() == 1
    sync_requests.sync_calendar(team.calendar.id)


def test_a_channel_has_to_tell_a_change_first(fake: FakeProvider, team: Team) -> None:
    """That it is open says nothing of whether messages arrive; once one did, the calendar is asked once in hours."""
    assert rest(team) < timedelta(minutes=6)
    assert not row(team).relies_on_push
    add(fake, "Told")
    push_channels.pushed(channel(team).id, 2)
    assert row(team).relies_on_push
    assert timedelta(hours=1) < rest(team) < timedelta(hours=5)
    assert sync_requests.poll(datetime.now(UTC) + HOUR) == 0


def test_a_quiet_channel_is_fresh(fake: FakeProvider, team: Team) -> None:
    """For as long as nothing has to be asked the calendar is not stale; once the safety reading is late, it is."""
    push_channels.pushed(channel(team).id, 2)
    due = row(team).reading_due_at
    assert due is not None

    def is_stale(at: datetime) -> bool:
        with reading() as session:
            (state,) = conflict_calendars.calendars_of(session, [team.person.id], at)
        return state.freshness.stale

    assert not is_stale(due)
    assert not is_stale(due + timedelta(minutes=14))
    assert is_stale(due + timedelta(minutes=16))


def test_a_push_whose_reading_fails_makes_the_calendar_stale(fake: FakeProvider, team: Team) -> None:
    """What was told and not read counts from then on, not from the plan of before."""
    from calendar_app.errors import ProviderUnavailable

    push_channels.pushed(channel(team).id, 2)
    fake.fail("event_pages", *[ProviderUnavailable()] * 8)
    push_channels.pushed(channel(team).id, 3)
    with reading() as session:
        later = datetime.now(UTC) + timedelta(minutes=16)
        (state,) = conflict_calendars.calendars_of(session, [team.person.id], later)
        (now,) = conflict_calendars.calendars_of(session, [team.person.id], datetime.now(UTC))
    assert (state.freshness.stale, now.freshness.stale) == (True, False)


def test_a_channel_that_did_not_tell_is_not_relied_on(fake: FakeProvider, team: Team) -> None:
    """The safety reading finds a change: the calendar is asked as without push, the channel replaced, and its successor
    relied on when it told a change."""
    push_channels.pushed(channel(team).id, 2)
    first = channel(team).id
    add(fake, "Untold")
    change(team, sync_started_at=datetime.now(UTC) + timedelta(milliseconds=1))  # the push was before
    let_it_be_due(team)
    assert channel(team).suspected_at is not None
    assert (row(team).relies_on_push, rest(team) < timedelta(minutes=6)) == (False, True)
    later = datetime.now(UTC) + push_trust.PATIENCE + timedelta(seconds=1)
    assert push_channels.renew(later) == 1
    assert push_channels.ensure(team.calendar.id, now=later)
    second = channel(team)
    assert (second.id != first, second.suspected_at) == (True, None)
    push_channels.pushed(second.id, 1)
    assert not row(team).relies_on_push
    push_channels.pushed(second.id, 2)
    assert row(team).relies_on_push


def test_a_message_under_way_ends_the_suspicion(fake: FakeProvider, team: Team) -> None:
    """The reading was quicker than the push: when that arrives, the channel is relied on as before."""
    push_channels.pushed(channel(team).id, 2)
    add(fake, "Soon told")
    change(team, sync_started_at=datetime.now(UTC) + timedelta(milliseconds=1))
    let_it_be_due(team)
    assert channel(team).suspected_at is not None
    push_channels.pushed(channel(team).id, 3)
    assert channel(team).suspected_at is None
    assert row(team).relies_on_push
    assert push_channels.renew(datetime.now(UTC) + HOUR) == 0


def test_what_a_person_asks_for_accuses_nobody(fake: FakeProvider, team: Team) -> None:
    """A reading on demand may well be quicker than the push."""
    push_channels.pushed(channel(team).id, 2)
    add(fake, "Quickly read")
    change(team, sync_started_at=datetime.now(UTC) + timedelta(milliseconds=1))
    sync_requests.request(team.calendar.id)
    sync_requests.sync_calendar(team.calendar.id)
    assert channel(team).suspected_at is None


@pytest.mark.parametrize("end", ["stopped_at", "expires_at", "refusal"])
def test_a_channel_that_dies_unseen_leaves_no_gap(fake: FakeProvider, team: Team, end: str) -> None:
    """However it ended, and although the plan says hours: within the minute the calendar is asked as without push."""
    push_channels.pushed(channel(team).id, 2)
    change(team, synced_at=datetime.now(UTC) - timedelta(minutes=6))
    assert sync_requests.poll() == 0
    with transaction() as session:
        found = session.get_one(Channel, channel(team).id)
        session.add(found.sqlmodel_update({end: "no proof" if end == "refusal" else datetime.now(UTC)}))
    assert sync_requests.poll() == 1
