"""The operator puts back a backup that is older than bookings which stand in the provider's calendar."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlmodel import select

from calendar_app import cli
from calendar_app.db.session import clock, reading
from calendar_app.db.tables import Booking
from calendar_app.services.availability import slots as available_slots
from calendar_app.services.bookings import queries as booking_queries
from calendar_app.services.calendar_sync import requests as sync_requests
from calendar_app.services.calendar_sync.run import Outcome
from calendar_app.services.external_changes import drift_report
from tests.faults.office import Office
from tests.faults.test_provider import WRITERS, everywhere, finish, reread
from tests.support.scheduling import GUEST, ZONE
from tests.support.servers import postgres_binaries

pytestmark = [pytest.mark.timeout(120), pytest.mark.usefixtures("quick")]


@pytest.fixture
def backup(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """Where the backup goes; PostgreSQL's programs of the server's version come first in PATH."""
    monkeypatch.setenv("PATH", f"{postgres_binaries() / 'bin'}{os.pathsep}{os.environ['PATH']}")
    return tmp_path / "backup"


def offered(office: Office, hour: int) -> bool:
    place = office.place
    found = available_slots.slots(
        place.event_type.id, place.at(0), place.at(23, 30), zone=ZONE, actor=None, now=clock()
    )
    return place.at(hour) in {slot.start for slot in found.slots}


def read(office: Office) -> None:
    """What a worker does with a calendar that was not read since, and with its account."""
    assert sync_requests.sync_calendar(office.calendar.id).outcome is Outcome.DONE
    drift_report.check_connection(office.connection.id, now=clock() + timedelta(minutes=1))


def open_items(office: Office) -> dict[datetime, str]:
    """What the drift report lists: ids by the start of the event."""
    items = drift_report.report(office.place.owner).items
    assert all(item.kind == "orphaned" and item.choices == ("take_in", "remove", "keep") for item in items)
    return {item.found_start: item.id for item in items if item.found_start}


@everywhere(WRITERS)
def test_bookings_made_since_the_backup_are_found_at_the_provider(office: Office, backup: Path) -> None:
    """Their times are offered at no moment, each is listed as orphaned, and is taken back or removed; the booking from
    before the backup stands as it stood, and no event is doubled or lost."""
    reread(office)
    before = office.place.book(office.place.at(17))
    finish(office)
    assert cli.main(["backup", str(backup)]) == 0
    kept, dropped = office.place.book(office.place.at(18)), office.place.book(office.place.at(20))
    finish(office)
    at_provider = office.ours()
    assert set(at_provider) == {before.id, kept.id, dropped.id}
    assert cli.main(["restore", str(backup)]) == 0
    with reading() as session:
        assert [row.id for row in session.exec(select(Booking))] == [before.id]
    assert not any(offered(office, hour) for hour in (17, 18, 20, 22)), "no calendar counts as read"
    read(office)
    assert [offered(office, hour) for hour in (17, 18, 20, 22)] == [False, False, False, True]
    listed = open_items(office)
    assert set(listed) == {kept.start, dropped.start}
    assert drift_report.fix(office.place.owner, listed[kept.start], "take_in").resolution == "taken_in"
    assert drift_report.fix(office.place.owner, listed[dropped.start], "remove").resolution == "removed"
    finish(office)
    read(office)
    assert open_items(office) == {}
    again = booking_queries.get(office.place.owner, kept.id)
    assert (again.status, again.start, again.end, again.name, again.email) == (
        "confirmed",
        kept.start,
        kept.end,
        *GUEST,
    )
    stand = office.ours()
    assert {key: (one.id, office.times(one)) for key, one in stand.items()} == {
        key: (one.id, office.times(one)) for key, one in at_provider.items() if key != dropped.id
    }
    assert [offered(office, hour) for hour in (17, 18, 20)] == [False, False, True]
    office.assert_mirrored()
