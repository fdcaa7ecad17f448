"""The right to write a calendar is taken away and given back, or the calendar is deleted and comes back."""

from __future__ import annotations

from datetime import datetime, timedelta
from urllib.parse import quote

import pytest
from sqlmodel import col, select

from calendar_app.db.session import clock, reading
from calendar_app.db.tables import Mail
from calendar_app.services.bookings import reschedule as booking_reschedule
from calendar_app.services.bookings import transitions
from calendar_app.services.calendar_sync import calendar_listing
from calendar_app.services.calendar_sync import requests as sync_requests
from calendar_app.services.calendar_writes import outbox as write_outbox
from calendar_app.services.connections import calendars
from calendar_app.services.connections import queries as connection_queries
from tests.faults.office import Office
from tests.faults.test_provider import WRITERS, apply, booked, everywhere, finish, reread

pytestmark = [pytest.mark.timeout(120), pytest.mark.usefixtures("quick")]


def give(office: Office, role: str) -> None:
    """The calendar's owner lets the account do this with it."""
    path = f"/sandbox/api/{office.vendor.key}/calendars/{quote(office.vendor.shown, safe='')}/role"
    answer = office.sandbox.client.put(path, json={"role": role})
    assert answer.status_code == 204, answer.text


def told() -> int:
    """How many e-mails have said that bookings cannot be written."""
    with reading() as session:
        return len(session.exec(select(Mail).where(col(Mail.kind) == "calendar_not_writable")).all())


def shown(office: Office) -> tuple[str, str]:
    """What the account's page says of the connection, and of the calendar."""
    (connection,) = connection_queries.list_connections(office.place.owner)
    calendar = calendars.get_calendar(office.place.owner, office.calendar.id)
    return connection.status, calendar.last_error


def look(office: Office, now: datetime) -> list[str]:
    """What the listing says; calendars of the account that we did not know before are read, as a worker would."""
    missing = calendar_listing.list_again(office.connection.id, now=now)
    for one in calendars.list_calendars(office.place.owner):
        if one.synced_at is None and one.id != office.calendar.id:
            sync_requests.sync_calendar(one.id)
    return missing


@everywhere(WRITERS)
@pytest.mark.parametrize("role", ["reader", "none"])
def test_what_was_refused_is_made_up_for_when_the_right_is_back(office: Office, role: str) -> None:
    """Bookings are made, moved and cancelled meanwhile: the host is told once, the calendar shows it, and everything
    is in the calendar after a reading that finds the right there again, without anybody's click."""
    gone, moved = booked(office), office.place.book(office.place.at(18)).id
    assert [apply(office, one) for one in (gone, moved)] == ["verified", "verified"]
    now = clock()
    give(office, role)
    made = office.place.book(office.place.at(22)).id
    assert apply(office, made) == "failed"
    booking_reschedule.reschedule(office.place.owner, moved, office.place.at(19))
    transitions.cancel(office.place.owner, gone)
    apply(office, moved)
    apply(office, gone)
    assert told() == 1
    assert shown(office)[0] == "error"
    assert shown(office)[1]
    assert calendar_listing.sweep(now + timedelta(minutes=2)) == 1, "looked for again within minutes"
    assert look(office, now) == [office.calendar.id]
    late = office.place.book(office.place.at(23)).id
    assert apply(office, late) == "failed", "planned though the calendar cannot be written"
    assert told() == 1
    give(office, "owner")
    assert look(office, now) == []
    finish(office)
    assert {key: event.start for key, event in office.ours().items()} == {
        moved: office.place.at(19),
        made: office.place.at(22),
        late: office.place.at(23),
    }
    assert [office.write_of(one).state for one in (moved, made, late)] == ["verified"] * 3
    assert office.row().write_lost_at is None
    reread(office)
    assert shown(office)[1] == ""


@everywhere(WRITERS)
def test_a_calendar_that_comes_back_is_read_at_once(office: Office) -> None:
    """Reading finds it gone, which has the account's calendars listed within a minute, and then read again as soon as
    it is listed; not in an hour."""
    assert sync_requests.sync_calendar(office.calendar.id).outcome == "done"
    give(office, "none")
    assert sync_requests.sync_calendar(office.calendar.id).outcome == "failed"
    now = clock()
    assert calendar_listing.sweep(now + timedelta(minutes=2)) == 1
    assert look(office, now) == [office.calendar.id]
    assert told() == 1
    give(office, "owner")
    assert look(office, now) == []
    assert sync_requests.sweep() == 1
    assert sync_requests.sync_calendar(office.calendar.id).outcome == "done"
    office.assert_mirrored()
    assert shown(office)[1] == ""
    assert write_outbox.sweep() == 0
