"""Meeting places from the event type to the booking, the customer, the guests and the calendar."""

from __future__ import annotations

from typing import Any

import icalendar
import pytest
from sqlalchemy import update
from sqlmodel import select

from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import Booking, EventType, Mail
from calendar_app.domain.booking_form import GivenDetails
from calendar_app.errors import InvalidInput
from calendar_app.services.bookings import ics, reschedule, transitions
from calendar_app.services.bookings import queries as booking_queries
from calendar_app.services.bookings.views import BookingView
from calendar_app.services.common.permissions import Role
from calendar_app.services.event_types import commands, queries
from tests.support.fake_provider import FakeProvider
from tests.support.scheduling import Place, bookable, carry_out
from tests.support.sent_emails import send_due

LINK = {"kind": "link", "value": "https://meet.example.org/secret", "label": "Our room"}
JITSI = {"kind": "jitsi"}
EVERYTHING = dict.fromkeys(("guests", "booked_by", "phone", "notes"), "optional")
GRACE = "grace@example.org"


def _set(place: Place, *places: dict[str, str], **fields: Any) -> None:
    changes = {"meeting_places": list(places), "form_parts": EVERYTHING} | fields
    commands.update_event_type(place.owner, place.event_type.id, changes)


def _told(made: BookingView) -> BookingView:
    return booking_queries.by_token(made.manage_token)


def _letters() -> dict[tuple[str, str], Mail]:
    send_due()
    with reading() as session:
        return {(row.kind, row.recipient): row for row in session.exec(select(Mail)) if row.body}


def test_text_of_the_release_before_is_a_place(fake: FakeProvider) -> None:
    """An event type that only has text offers it as its place; text that the release before changed counts."""
    place = bookable(fake, location="https://meet.example.org/old")
    seen = queries.get_event_type(place.owner, place.event_type.id)
    assert [(each.kind, each.value) for each in seen.meeting_places] == [
        ("link", "https://meet.example.org/old")
    ]
    _set(place, LINK, JITSI)
    assert queries.get_event_type(place.owner, place.event_type.id).location == LINK["value"]
    with transaction() as session:
        session.execute(update(EventType).values(location="Room 9"))
    seen = queries.get_event_type(place.owner, place.event_type.id)
    assert [(each.kind, each.value) for each in seen.meeting_places] == [("address", "Room 9")]
    commands.update_event_type(place.owner, place.event_type.id, {"location": ""})
    assert queries.get_event_type(place.owner, place.event_type.id).meeting_places == ()


def test_the_same_text_again_leaves_the_places(fake: FakeProvider) -> None:
    """A program that sends an event type back as it read it takes no name from its place."""
    place = bookable(fake)
    _set(place, LINK)
    before = queries.get_event_type(place.owner, place.event_type.id)
    commands.update_event_type(place.owner, place.event_type.id, {"location": before.location})
    assert queries.get_event_type(place.owner, place.event_type.id).meeting_places == before.meeting_places


def test_the_public_sees_kinds_and_names_only(fake: FakeProvider) -> None:
    """What it takes to get there is not told before somebody has booked."""
    place = bookable(fake)
    _set(place, LINK, JITSI)
    offer = queries.public(place.workspace.slug, place.event_type.slug)
    assert [(each.kind, each.label, each.value) for each in offer.meeting_places] == [
        ("link", "Our room", ""),
        ("jitsi", "", ""),
    ]
    assert "secret" not in repr(offer)


def test_the_link_is_told_once_the_booking_stands(fake: FakeProvider) -> None:
    """Not while approval is awaited, nor after it was cancelled; a move keeps it."""
    place = bookable(fake, requires_approval=True)
    _set(place, LINK, JITSI)
    made = place.book(place.at(10), given=GivenDetails(meeting_place="link"))
    assert made.status == "pending"
    assert _told(made).place.where == _told(made).location == ""
    assert "secret" not in ics.ics(_told(made), Role.CUSTOMER).decode()
    assert all("secret" not in row.body + row.ics for key, row in _letters().items() if key[1] == GRACE)
    transitions.confirm(place.owner, made.id)
    assert _told(made).place.link == LINK["value"]
    letter = _letters()["customer_confirmed", GRACE]
    assert LINK["value"] in letter.body
    (event,) = icalendar.Calendar.from_ical(letter.ics).walk("VEVENT")
    assert str(event["location"]) == f"Our room: {LINK['value']}"
    assert str(event["conference"]) == LINK["value"]
    assert event["conference"].params["VALUE"] == "URI"
    moved = reschedule.reschedule(place.owner, made.id, place.at(11))
    assert moved.place.link == LINK["value"]
    transitions.cancel(place.owner, made.id, "")
    assert _told(made).place.where == ""
    assert "secret" not in ics.ics(_told(made), Role.CUSTOMER).decode()
    if (cancelled := _letters().get(("customer_cancelled", GRACE))) is not None:
        assert "secret" not in cancelled.body + cancelled.ics


def test_every_booking_has_a_jitsi_room_of_its_own(fake: FakeProvider) -> None:
    """Nobody can guess it: 128 random bits; it stands in the event of the host's calendar."""
    place = bookable(fake)
    _set(place, JITSI)
    rooms = [place.book(place.at(hour)).place.link for hour in (10, 11)]
    assert rooms[0] != rooms[1]
    for room in rooms:
        server, _, name = room.rpartition("/")
        assert server == "https://meet.jit.si"
        assert len(bytes.fromhex(name)) == 16
    carry_out()
    (account,) = fake.accounts.values()
    events = [event for calendar in account.calendars.values() for event in calendar.events.values()]
    assert {event.location for event in events} == set(rooms)


def test_a_place_has_to_be_chosen(fake: FakeProvider) -> None:
    """Where there are several, and nothing is written otherwise; a phone call needs a number."""
    place = bookable(fake)
    _set(place, {"kind": "host_calls"}, JITSI)
    for given, field in (
        (GivenDetails(), "meeting_place"),
        (GivenDetails(meeting_place="moon"), "meeting_place"),
        (GivenDetails(meeting_place="host_calls"), "phone"),
    ):
        with pytest.raises(InvalidInput) as refused:
            place.book(place.at(10), given=given)
        assert refused.value.field == field
    with reading() as session:
        assert session.exec(select(Booking)).all() == []
    call = GivenDetails(meeting_place="host_calls", phone="030 1234567", country="DE")
    made = place.book(place.at(10), given=call)
    assert (made.phone, made.location, made.place.where) == ("+49301234567", "+49301234567", "+49 30 1234567")


def test_guests_are_invited_and_told(fake: FakeProvider) -> None:
    """Guests get the invitation and its cancellation, without the customer's words, number or manage link."""
    place = bookable(fake)
    _set(place, {"kind": "host_calls"})
    given = GivenDetails(
        phone="+49301234567", guests=["a@example.org", "b@example.org"], notes="buy at evil.example"
    )
    made = place.book(place.at(10), guest=("Visit evil.example", GRACE), given=given)
    letters = _letters()
    letter = letters["guest_confirmed", "a@example.org"]
    for text in (letter.body, letter.subject, letter.ics):
        for secret in ("evil.example", "1234567", made.manage_token):
            assert secret not in text.replace("\r\n ", "")
    (event,) = icalendar.Calendar.from_ical(letter.ics).walk("VEVENT")
    invited = {str(each).removeprefix("mailto:") for each in event["attendee"]}
    assert {GRACE, "a@example.org", "b@example.org"} < invited
    assert "Guests: a@example.org, b@example.org" in letters["host_confirmed", place.people[0].email].body
    transitions.cancel(place.owner, made.id, "")
    gone = _letters()["guest_cancelled", "b@example.org"]
    assert gone.ics_method == "CANCEL"
    assert "does not take place" in gone.body


def test_guests_hear_nothing_before_approval(fake: FakeProvider) -> None:
    """A request that is declined never reaches them."""
    place = bookable(fake, requires_approval=True)
    _set(place)
    made = place.book(place.at(10), given=GivenDetails(guests=["a@example.org"]))
    transitions.decline(place.owner, made.id, "")
    assert not [key for key in _letters() if key[1] == "a@example.org"]


def test_booked_for_somebody_else(fake: FakeProvider) -> None:
    """The customer is invited; whoever booked gets the same letter, which says for whom it is."""
    place = bookable(fake)
    _set(place)
    given = GivenDetails(booked_by_name="Ada Lovelace", booked_by_email="ada@example.org", notes="Ring twice")
    made = place.book(place.at(10), given=given)
    letters = _letters()
    assert "Hello Grace Hopper," in letters["customer_confirmed", GRACE].body
    ours = letters["customer_confirmed", "ada@example.org"].body.splitlines()
    assert "Hello Ada Lovelace," in ours
    assert "For:   Grace Hopper" in ours
    assert made.manage_url in ours
    to_host = letters["host_confirmed", place.people[0].email].body
    assert "Booked by: Ada Lovelace <ada@example.org>" in to_host
    assert "Notes:     Ring twice" in to_host
    staff = ics.ics(booking_queries.get(place.owner, made.id), Role.STAFF).decode().replace("\r\n ", "")
    assert "Booked by: Ada Lovelace" in staff
