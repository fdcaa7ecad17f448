"""Appointments as iCalendar text: downloads (PUBLISH) and invitations by mail (iTIP, RFC 5546).

Times are written in UTC, which every reader understands without a VTIMEZONE (RFC 5545 §3.3.5 form 2); the libraries'
escaping and folding keep hostile text inert (RFC 5545 §3.3.11, §3.1).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from icalendar import Calendar, Event, vCalAddress, vText

from calendar_app.domain.event import Attendee, EventStatus, Response

PRODUCT = "-//Almanac//Almanac//EN"

_PARTSTAT = {
    Response.NONE: "NEEDS-ACTION",
    Response.NEEDS_ACTION: "NEEDS-ACTION",
    Response.ACCEPTED: "ACCEPTED",
    Response.TENTATIVE: "TENTATIVE",
    Response.DECLINED: "DECLINED",
}


class Method(StrEnum):
    """What the reader should do: keep a copy, accept or update an invitation, or take it off (RFC 5546 §1.4)."""

    PUBLISH = "PUBLISH"
    REQUEST = "REQUEST"
    CANCEL = "CANCEL"


@dataclass(frozen=True, slots=True)
class Appointment:
    """One appointment as one reader may see it.

    ``start``, ``end`` and ``stamp`` are aware; ``stamp`` is when this text's state came to be (DTSTAMP). ``uid`` stays
    the same for the appointment's life, ``sequence`` rises with each change of time or place (RFC 5546 §2.1.4).
    """

    uid: str
    sequence: int
    status: EventStatus
    start: datetime
    end: datetime
    stamp: datetime
    summary: str
    description: str = ""
    location: str = ""
    url: str = ""
    organizer: Attendee | None = None
    attendees: tuple[Attendee, ...] = ()


def calendar_text(appointments: tuple[Appointment, ...], method: Method, *, name: str = "") -> str:
    """A VCALENDAR with one VEVENT for each appointment, CRLF line ends, lines folded at 75 octets.

    ``name`` shows in readers that subscribe (RFC 7986 §5.1 NAME, and the older X-WR-CALNAME).
    """
    calendar = Calendar()
    calendar.add("prodid", PRODUCT)
    calendar.add("version", "2.0")
    calendar.add("method", method.value)
    if name:
        calendar.add("name", name)
        calendar.add("x-wr-calname", name)
    for appointment in appointments:
        calendar.add_component(_vevent(appointment))
    text: bytes = calendar.to_ical()
    return text.decode()


def _vevent(appointment: Appointment) -> Event:
    event = Event()
    event.add("uid", appointment.uid)
    event.add("dtstamp", appointment.stamp.astimezone(UTC))
    event.add("dtstart", appointment.start.astimezone(UTC))
    event.add("dtend", appointment.end.astimezone(UTC))
    event.add("sequence", appointment.sequence)
    event.add("status", appointment.status.value.upper())
    event.add("summary", appointment.summary)
    for field in ("description", "location", "url"):
        value = getattr(appointment, field)
        if value:
            event.add(field, value)
    if appointment.organizer:
        event.add("organizer", _address(appointment.organizer))
    for attendee in appointment.attendees:
        address = _address(attendee)
        address.params["partstat"] = vText(_PARTSTAT[attendee.response])
        address.params["role"] = vText("OPT-PARTICIPANT" if attendee.optional else "REQ-PARTICIPANT")
        address.params["rsvp"] = vText("FALSE")
        event.add("attendee", address, encode=False)
    return event


def _address(person: Attendee) -> vCalAddress:
    """``mailto:`` with a common name; neither quotes nor line breaks may stand in a parameter (RFC 5545 §3.1)."""
    address = vCalAddress(f"mailto:{''.join(person.email.split())}")
    if person.name:
        address.params["cn"] = vText(" ".join(person.name.replace('"', "'").split()))
    return address
