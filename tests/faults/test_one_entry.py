"""A customer finds an appointment once in their calendar, whatever the hosts' calendars are (services over real HTTP).

The customer has an account at each provider; in all of them together, and in what their mail client files by the
invitations they were sent, a standing booking is one entry and a cancelled one is none.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest
from sqlmodel import col, select

from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import CalendarWrite, EventTypeHost, Mail
from calendar_app.sandbox import filed
from calendar_app.sandbox.stand_in import FOR_PROGRAMS
from calendar_app.services.bookings import queries as booking_queries
from calendar_app.services.bookings import reschedule as booking_reschedule
from calendar_app.services.bookings import transitions
from calendar_app.services.calendar_sync import requests as sync_requests
from calendar_app.services.calendar_sync import run as sync_run
from calendar_app.services.connections import tokens as connection_tokens
from tests.faults.office import DAYS, Office
from tests.faults.test_provider import WRITERS, everywhere, finish
from tests.faults.vendors import VENDORS
from tests.sandbox.microsoft.client import Microsoft
from tests.sandbox.server import OWNER
from tests.support import factories
from tests.support.scheduling import ZONE
from tests.support.sent_emails import send_due

pytestmark = [pytest.mark.timeout(120), pytest.mark.usefixtures("quick")]

CUSTOMER, HOST = "carla.customer@example.org", "henry.host@example.com"
TITLE = "Intro call with"


@dataclass
class Letter:
    """An e-mail's invitation."""

    method: str
    ics: str


def accounts_of_customer(office: Office) -> None:
    """The customer has a calendar at Google and one at Microsoft."""
    office.sandbox.tokens(email=CUSTOMER)
    Microsoft(office.sandbox, None).tokens(email=CUSTOMER)


def invitations(address: str) -> dict[str, filed.Entry]:
    send_due()
    with reading() as session:
        rows = session.exec(select(Mail).where(Mail.recipient == address).order_by(col(Mail.id))).all()
    return filed.entries(Letter(row.ics_method, row.ics) for row in rows)


def at_providers(office: Office, address: str) -> list[datetime]:
    """Starts of the appointment's events in the calendars of an account, at all providers."""
    return [
        event.start
        for key in ("google", "microsoft")
        for account in office.sandbox.app.state.stand_ins[key].accounts(FOR_PROGRAMS)
        if account.email == address
        for calendar in account.calendars
        for event in calendar.events
        if event.title.startswith(TITLE)
    ]


def entries(office: Office, address: str = CUSTOMER) -> list[datetime]:
    return sorted([*at_providers(office, address), *(one.start for one in invitations(address).values())])


def book(office: Office, name: str = "Carla Customer", email: str = CUSTOMER) -> str:
    assert sync_requests.sync_calendar(office.calendar.id).outcome is sync_run.Outcome.DONE
    return office.place.book(office.place.at(20), guest=(name, email)).id


def assert_once(office: Office, booking: str) -> None:
    """One entry after booking and after moving, none after cancelling; the hosts' events know the customer's name."""
    finish(office)
    with reading() as session:
        states = {row.state for row in session.exec(select(CalendarWrite))}
    assert states == {"verified"}
    assert entries(office) == [office.place.at(20)]
    booking_reschedule.reschedule(office.place.owner, booking, office.place.at(22))
    finish(office)
    assert entries(office) == [office.place.at(22)]
    transitions.cancel(office.place.owner, booking)
    finish(office)
    assert entries(office) == []


@everywhere(WRITERS)
def test_one_host(office: Office) -> None:
    """With a calendar at Google, at Microsoft, or on a CalDAV server, which is given nobody to invite."""
    accounts_of_customer(office)
    booking = book(office)
    finish(office)
    remote_id = office.write_of(booking).remote_id
    event = connection_tokens.call(
        office.connection.id, lambda api: api.get_event(office.calendar.remote_id, remote_id)
    )
    assert event.attendees == ()
    assert event.description.startswith(f"Carla Customer <{CUSTOMER}>")
    assert_once(office, booking)


def add_host(office: Office, provider: str) -> None:
    """A second host, with a calendar at another provider, who takes part in every appointment."""
    place = office.place
    person = factories.person(timezone=ZONE, email=HOST)
    factories.membership(person, place.workspace)
    factories.schedule(person, place.workspace, weekly=DAYS)
    vendor = VENDORS[provider](office.sandbox, "")
    link = factories.connection(
        person, place.workspace, provider=provider, account_email=OWNER, **vendor.columns()
    )
    factories.calendar(link, remote_id=vendor.calendar, receives_bookings=True, checks_conflicts=False)
    factories.save(EventTypeHost(event_type_id=place.event_type.id, person_id=person.id))
    with transaction() as session:
        kind = session.get_one(type(place.event_type), place.event_type.id)
        kind.hosting = "collective"
        session.add(kind)


def test_several_hosts(office: Office) -> None:
    """One at Google and one at Microsoft: two events, one entry; and no invitation to a host whose calendar is
    written."""
    accounts_of_customer(office)
    add_host(office, "microsoft")
    booking = book(office)
    finish(office)
    with reading() as session:
        assert len(session.exec(select(CalendarWrite)).all()) == 2
    assert invitations(HOST) == invitations(OWNER) == {}
    assert_once(office, booking)


@everywhere(("google", "microsoft"))
def test_several_receiving_calendars(office: Office) -> None:
    """A host who wants bookings in two calendars has two events, their customer one entry."""
    accounts_of_customer(office)
    stand_in = office.sandbox.app.state.stand_ins[office.vendor.key]
    (own,) = (account for account in stand_in.accounts() if account.email == OWNER)
    second = next(one for one in own.calendars if one.id != office.vendor.shown and one.writable)
    factories.calendar(office.connection, remote_id=second.id, receives_bookings=True, checks_conflicts=False)
    booking = book(office)
    finish(office)
    assert len(at_providers(office, OWNER)) == 2
    assert_once(office, booking)


def google_event(office: Office, booking: str, **change: Any) -> dict[str, Any]:
    """The booking's event as the owner has it, after a change that the owner makes."""
    api = office.sandbox.api(office.sandbox.sign_in())
    path = f"calendars/{OWNER}/events/{office.write_of(booking).remote_id}"
    answer = api.patch(path, params={"sendUpdates": "none"}, json=change) if change else api.get(path)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_an_event_that_still_has_the_customer_as_attendee(office: Office) -> None:
    """As releases before wrote it: nobody is invited again or struck off, and both entries move and end with the
    booking."""
    accounts_of_customer(office)
    booking = book(office)
    finish(office)
    google_event(office, booking, attendees=[{"email": CUSTOMER, "displayName": "Carla Customer"}])
    assert len(entries(office)) == 2
    booking_reschedule.reschedule(office.place.owner, booking, office.place.at(22))
    finish(office)
    assert [person["email"] for person in google_event(office, booking)["attendees"]] == [CUSTOMER]
    assert entries(office) == [office.place.at(22)] * 2
    transitions.cancel(office.place.owner, booking)
    finish(office)
    assert entries(office) == []


def test_guests_whom_the_host_added_stay(office: Office) -> None:
    """Their answers too, and they are not written into the description, which names the customer and what they
    answered."""
    booking = book(office)
    finish(office)
    guests = [{"email": "boss@example.com", "responseStatus": "accepted"}]
    google_event(office, booking, attendees=guests)
    booking_reschedule.reschedule(office.place.owner, booking, office.place.at(22))
    finish(office)
    event = google_event(office, booking)
    assert [(one["email"], one["responseStatus"]) for one in event["attendees"]] == [
        ("boss@example.com", "accepted")
    ]
    assert "boss@example.com" not in event["description"]
    assert CUSTOMER in event["description"]
    assert booking_queries.get(office.place.owner, booking).email == CUSTOMER


def test_a_member_who_books_with_a_host_has_it_once(office: Office) -> None:
    """Who tries their own booking page has the event in their calendar already: their e-mail carries no invitation."""
    booking = book(office, "Olivia Owner", OWNER.upper())
    finish(office)
    assert entries(office, OWNER) == [office.place.at(20)]
    transitions.cancel(office.place.owner, booking)
    finish(office)
    assert entries(office, OWNER) == []


@everywhere(WRITERS)
def test_the_old_time_of_a_moved_booking_before_its_event_has_moved(office: Office) -> None:
    """The last look takes our own event for what it is at every provider, wherever it stands: the time is free."""
    booking = book(office)
    finish(office)
    booking_reschedule.reschedule(office.place.owner, booking, office.place.at(22))
    assert office.place.book(office.place.at(20)).status == "confirmed"
    finish(office)
    assert len(office.ours()) == 2
