"""A booking as an event in a host's calendar."""

from __future__ import annotations

from dataclasses import replace

from sqlmodel import Session, col, select

from calendar_app.db.tables import (
    Booking,
    BookingHost,
    Calendar,
    CalendarWrite,
    Connection,
    EventType,
    Person,
)
from calendar_app.domain.colors import booking_color
from calendar_app.domain.event import BOOKING_MARK, ORIGIN_MARK, EventDraft, write_key
from calendar_app.domain.event_texts import TEXTS_MARK, texts_mark
from calendar_app.domain.meeting_place import PlaceKind
from calendar_app.domain.phone import readable_phone
from calendar_app.services.common import installation
from calendar_app.services.event_types.answers import answers_in_words
from calendar_app.services.event_types.meeting_places import place_in_words, place_of
from calendar_app.settings import current_settings


def draft(session: Session, row: CalendarWrite) -> EventDraft:
    """What must stand in the calendar of ``row``: the booking as its host needs to see it, shown in the host's zone.

    The customer is named in the description and is no attendee: providers would put a second entry beside that of our
    e-mail into the customer's calendar (docs/decisions/0015). The calendar that makes the online meeting shows it by
    itself, the others have its link as their place.
    """
    booking = session.get_one(Booking, row.booking_id)
    event_type = session.get_one(EventType, booking.event_type_id)
    owner = session.exec(
        select(Person)
        .join(Connection, col(Connection.person_id) == col(Person.id))
        .join(Calendar, col(Calendar.connection_id) == col(Connection.id))
        .where(Calendar.id == row.calendar_id)
    ).one()
    others = session.exec(
        select(Person.name)
        .join(BookingHost, col(BookingHost.person_id) == col(Person.id))
        .where(BookingHost.booking_id == booking.id, Person.id != owner.id)
        .order_by(col(Person.name))
    ).all()
    wanted = EventDraft(
        remote_id=row.remote_id,
        key=write_key(booking.id, row.calendar_id),
        uid=booking.uid,
        summary=f"{event_type.title} with {booking.name}",
        start=booking.start_at,
        end=booking.end_at,
        zone=owner.timezone,
        description=_description(booking, event_type, others),
        location="" if row.meeting else place_in_words(place_of(booking, told=True), for_host=True),
        color=booking_color(chosen=booking.color or event_type.color).value,
        sequence=booking.sequence,
        private={BOOKING_MARK: booking.id, ORIGIN_MARK: installation.mark(session, booking)},
        meeting=PlaceKind(row.meeting) if row.meeting else None,
    )
    return replace(wanted, private={**wanted.private, TEXTS_MARK: texts_mark(wanted)})


def _description(booking: Booking, event_type: EventType, others: object) -> str:
    lines = [f"{booking.name} <{booking.email}>", f"Time zone of the guest: {booking.timezone}"]
    lines += _entered(booking)
    names = list(others) if isinstance(others, list | tuple) else []
    if names:
        lines.append(f"Together with {', '.join(names)}")
    asked = answers_in_words(booking, event_type)
    if asked:
        lines.append("")
        lines += [f"{label}: {answer}" for label, answer in asked]
    lines += ["", f"Booking: {current_settings().public_url}/bookings?booking={booking.id}"]
    return "\n".join(lines)


def _entered(booking: Booking) -> list[str]:
    """What was entered beside name, e-mail and answers. Guests are named here only, as the customer is."""
    booker = f"{booking.booked_by_name} <{booking.booked_by_email}>" if booking.booked_by_email else ""
    lines = [
        ("Phone", readable_phone(booking.phone)),
        ("Booked by", booker),
        ("Guests", ", ".join(booking.guests)),
        ("Notes", booking.notes),
    ]
    return [f"{label}: {value}" for label, value in lines if value]
