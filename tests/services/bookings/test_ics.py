"""The file of a booking, for each reader."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import icalendar
import pytest

from calendar_app.services.bookings import ics as booking_ics
from calendar_app.services.bookings import queries as booking_queries
from calendar_app.services.bookings import transitions
from calendar_app.services.bookings.views import BookingView
from calendar_app.services.common.permissions import Role
from tests.support.databases import Database
from tests.support.fake_provider import FakeProvider
from tests.support.scheduling import Place, bookable, carry_out


@pytest.fixture
def place(database: Database) -> Iterator[Place]:
    """A business with one host."""
    fake = FakeProvider()
    with fake.installed():
        yield bookable(fake, location="Room 1, Main; Street\\2")


def _read(view: BookingView, reader: Role) -> tuple[icalendar.Calendar, icalendar.Event]:
    calendar = icalendar.Calendar.from_ical(booking_ics.ics(view, reader))
    (event,) = calendar.walk("VEVENT")
    return calendar, event


def test_each_reader_is_told_their_own(place: Place) -> None:
    """Customers get the link and the host, staff the guest, managers the hosts, admins the calendars."""
    made = place.book(place.at(10))
    carry_out()
    view = booking_queries.get(place.owner, made.id)
    texts = {role: str(_read(view, role)[1]["DESCRIPTION"]) for role in Role}
    host = place.people[0].name
    customer = texts[Role.CUSTOMER]
    assert made.manage_url in customer
    assert "grace@example.org" not in customer
    for role in (Role.STAFF, Role.MANAGER, Role.ADMIN, Role.OWNER):
        assert "Grace Hopper <grace@example.org>" in texts[role]
        assert made.manage_token not in texts[role]
        assert f"/bookings?booking={made.id}" in texts[role]
    assert f"Hosts: {host}" in texts[Role.MANAGER]
    assert f"Hosts: {host}" not in texts[Role.STAFF]
    assert f"is in “{place.calendars[0].name}”" in texts[Role.ADMIN]
    assert "is in “" not in texts[Role.MANAGER]
    _, theirs = _read(view, Role.CUSTOMER)
    assert theirs["SUMMARY"] == f"Intro call with {host}"
    assert _read(view, Role.STAFF)[1]["SUMMARY"] == "Intro call with Grace Hopper"


def test_a_later_file_updates_the_earlier_entry(place: Place) -> None:
    """UID stays, SEQUENCE rises, a cancelled booking says so, frees the time and brings no reminder."""
    made = place.book(place.at(10))
    calendar, first = _read(made, Role.CUSTOMER)
    assert (calendar["METHOD"], calendar["VERSION"]) == ("PUBLISH", "2.0")
    assert (first["STATUS"], first["TRANSP"]) == ("CONFIRMED", "OPAQUE")
    assert first.decoded("dtstart") == place.at(10)
    assert first["LOCATION"] == "Room 1, Main; Street\\2"
    assert len(first.walk("VALARM")) == 1
    transitions.cancel(place.owner, made.id, "The room is flooded")
    _, later = _read(booking_queries.get(place.owner, made.id), Role.MANAGER)
    assert (later["UID"], int(later["SEQUENCE"])) == (first["UID"], int(first["SEQUENCE"]) + 1)
    assert (later["STATUS"], later["TRANSP"]) == ("CANCELLED", "TRANSPARENT")
    assert "The room is flooded" in later["DESCRIPTION"]
    assert not later.walk("VALARM")
    assert later.decoded("dtstamp") >= first.decoded("dtstamp")


def test_lines_are_folded_and_hostile_texts_stay_texts(place: Place) -> None:
    """75 octets a line at most; a name with line breaks and commands is but a name."""
    name = "Eve\u2028ATTENDEE:mailto:x@example.net 日本語の長い名前" + "é" * 100
    made = replace(place.book(place.at(10)), name=name)
    for role in Role:
        content = booking_ics.ics(made, role)
        assert all(len(line) <= 75 for line in content.split(b"\r\n"))
        _, event = _read(made, role)
        assert "ATTENDEE" not in event
        assert "\u2028" not in content.decode()
