"""A provider that is down for days: asked ever less often, said once, and taken up again by itself (over real HTTP)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import select

from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import Calendar, Connection, Mail
from calendar_app.services.calendar_sync import requests as sync_requests
from calendar_app.services.calendar_sync.run import Outcome
from calendar_app.services.connections import queries as connection_queries
from tests.faults.office import Office
from tests.faults.test_provider import READERS, everywhere
from tests.support.long_form import LONG

pytestmark = [pytest.mark.timeout(120), pytest.mark.usefixtures("quick")]


def until_due(office: Office) -> timedelta:
    """Time passes until the calendar is due again; how much."""
    calendar, account = office.row(), office.account()
    assert calendar.sync_retry_at is not None, "nobody would ever try again"
    assert sync_requests.sweep() == 0, "due before its time"
    again = max(calendar.sync_retry_at, account.retry_at or calendar.sync_retry_at)
    gap = max(again - datetime.now(UTC), timedelta()) + timedelta(seconds=1)
    with transaction() as session:
        for row in (session.get_one(Calendar, calendar.id), session.get_one(Connection, account.id)):
            for name in ("synced_at", "sync_requested_at", "sync_retry_at", "last_sync_at", "retry_at"):
                if (moment := getattr(row, name, None)) is not None:
                    setattr(row, name, moment - gap)
            session.add(row)
    assert sync_requests.sweep() == 1, "not due when its time has come"
    return gap


@everywhere(READERS if LONG else READERS[:1])
def test_days_of_failure(office: Office, record_property: Callable[[str, object], None]) -> None:
    """Half a minute, doubling to an hour, and after a day at most once in hours, to once a day: the account says since
    when it does not work, one letter goes out, and the first answer makes all well without anybody's doing."""
    assert sync_requests.sync_calendar(office.calendar.id).outcome is Outcome.DONE
    before = office.mirrored()
    office.fault("error", times=None)
    gaps: list[timedelta] = []
    while sum(gaps, timedelta()) < timedelta(days=9):
        assert sync_requests.sync_calendar(office.calendar.id).outcome is Outcome.FAILED
        gaps.append(until_due(office))
        assert len(gaps) < 80
        if sum(gaps, timedelta()) < timedelta(hours=20):
            assert office.account().status == "connected"
    assert timedelta(seconds=20) < gaps[0] < timedelta(seconds=40)
    assert timedelta(minutes=40) < max(gaps[:12]) < timedelta(minutes=80)
    assert timedelta(hours=20) < gaps[-1] <= timedelta(days=1, seconds=1)
    (shown,) = connection_queries.list_connections(office.place.owner)
    assert (shown.status, shown.last_error) == ("error", office.account().last_error)
    assert "days" in shown.last_error
    assert letters() == ["connection_failing"]
    assert office.mirrored() == before, "what was known still counts"
    office.mend()
    assert sync_requests.sync_calendar(office.calendar.id).outcome is Outcome.DONE
    account = office.account()
    assert (account.status, account.last_error, account.failures, account.retry_at) == (
        "connected",
        "",
        0,
        None,
    )
    assert sync_requests.sweep() == 0
    assert letters() == ["connection_failing"]
    record_property("count", f"{office.vendor.key}: asked {len(gaps)} times in 9 days, 1 letter")


def letters() -> list[str]:
    with reading() as session:
        return list(session.exec(select(Mail.kind)))
