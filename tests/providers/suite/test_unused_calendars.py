"""What the contract suite's counterparts are asked about a calendar that is used for nothing: not one thing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlmodel import Session, col, func, select

from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import Calendar, Channel, Event
from calendar_app.providers import registry
from calendar_app.providers.base import Capability
from calendar_app.services.availability import conflict_calendars
from calendar_app.services.calendar_mirror import mirror
from calendar_app.services.calendar_sync import calendar_use, push_channels
from calendar_app.services.calendar_sync import requests as sync_requests
from calendar_app.services.external_changes import drift_report
from calendar_app.settings import Settings
from tests.providers.suite.calendly import calendly
from tests.providers.suite.google import google
from tests.providers.suite.harness import Harness
from tests.providers.suite.harnesses import HARNESSES, Counterparts, HarnessMaker
from tests.providers.suite.microsoft import microsoft
from tests.support import factories
from tests.support.clock import Clock
from tests.support.databases import Database
from tests.support.factories import Team

TODAY: dict[str, HarnessMaker] = HARNESSES | {
    "google": lambda at: google(at.sandbox, Clock()),
    "calendly": lambda at: calendly(at.sandbox, Clock()),
    "microsoft": lambda at: microsoft(at.sandbox, Clock()),
}
"""Counterparts in whose present we live, as the mirror does."""
NOTHING = {"checks_conflicts": False, "receives_bookings": False, "shown_on_dashboard": False}
HALF_HOUR = timedelta(minutes=30)


@pytest.fixture(params=["google", "microsoft", "calendly", "caldav-radicale", "ics"])
def harness(request: pytest.FixtureRequest, counterparts: Counterparts) -> Iterator[Harness]:
    with TODAY[request.param](counterparts) as made:
        yield made
        made.switch.close()


@pytest.fixture
def team(harness: Harness, database: Database, configure: Callable[..., Settings]) -> Iterator[Team]:
    """A person whose only calendar is the counterpart's; it has one event."""
    configure(BASE_URL=harness.hook.partition("/api/")[0])
    with registry.override(harness.key, oauth=_Unasked(), calendar=lambda _token: harness.provider()):
        made = factories.team(provider=harness.key, access_expires_at=datetime.now(UTC) + timedelta(days=90))
        with transaction() as session:
            session.get_one(Calendar, made.calendar.id).remote_id = harness.calendar_id
        harness.add("Dentist", harness.at(3, 9), harness.at(3, 9) + HALF_HOUR)
        yield made


class _Unasked:
    """The authority, which has no part in this."""

    scopes = ()

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(name)


def work(team: Team, now: datetime) -> int:
    """What workers do by themselves; how many readings they had queued."""
    queued = sync_requests.poll(now) + sync_requests.sweep(now) + push_channels.renew(now)
    mirror.extend_all_windows(now)
    sync_requests.sync_calendar(team.calendar.id)
    push_channels.ensure(team.calendar.id, now=now)
    drift_report.check_connection(team.connection.id, now=now)
    return queued


def titles(session: Session) -> list[str]:
    return sorted(session.exec(select(Event.summary)))


def test_an_unused_calendar_asks_nothing_until_it_is_used_again(harness: Harness, team: Team) -> None:
    """Switched off, it costs at most the request that ends its channel, and none in five weeks; switched on, it is
    unknown, and so busy, until it has been read in full."""
    calendar_id, pushes = team.calendar.id, Capability.PUSH in harness.provider().capabilities
    assert sync_requests.sync_calendar(calendar_id).full
    assert push_channels.ensure(calendar_id) == pushes
    before = harness.switch.requests
    calendar_use.update_calendar(team.actor, calendar_id, **NOTHING)
    push_channels.ensure(calendar_id)
    assert harness.switch.requests == before + pushes
    with reading() as session:
        standing = select(func.count()).where(col(Channel.stopped_at).is_(None))
        assert (titles(session), session.exec(standing).one()) == ([], 0)

    before = harness.switch.requests
    assert [work(team, datetime.now(UTC) + timedelta(days=days)) for days in (0, 1, 8, 35)] == [0, 0, 0, 0]
    assert harness.switch.requests == before

    harness.add("Hairdresser", harness.at(4, 9), harness.at(4, 9) + HALF_HOUR)
    calendar_use.update_calendar(team.actor, calendar_id, checks_conflicts=True)
    assert _trouble(team) == "never_synced"
    assert sync_requests.sweep() == 1
    assert sync_requests.sync_calendar(calendar_id).full
    assert _trouble(team) == ""
    with reading() as session:
        assert titles(session) == ["Dentist", "Hairdresser"]
    assert push_channels.ensure(calendar_id) == pushes


def _trouble(team: Team) -> str:
    with reading() as session:
        (state,) = conflict_calendars.calendars_of(session, [team.person.id], datetime.now(UTC))
    return state.trouble
