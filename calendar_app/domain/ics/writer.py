"""Appointments as iCalendar text: downloads (PUBLISH) and invitations by mail (iTIP, RFC 5546).

Times are written in UTC, which every reader understands without a VTIMEZONE (RFC 5545 §3.3.5 form 2). The library
escapes and folds (RFC 5545 §3.3.11, §3.1); before that, texts lose what a reader might take for the end of a line.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from icalendar import Alarm, Calendar, Event, vCalAddress, vDuration, vText, vUri

from calendar_app.domain.event import Attendee, EventStatus, Response

PRODUCT = "-//Almanac//Almanac//EN"

_BREAKS = re.compile("\r\n?|[\v\f\x1c-\x1e\x85\u2028\u2029]")
"""What some readers end a line at; only the escaped line feed is one (RFC 5545 §3.3.11)."""
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
"""Outside of the grammar of texts (RFC 5545 §3.1, CONTROL), or of Unicode text at all."""

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

    ``conference`` is where the online meeting is joined (RFC 7986 §5.11), ``url`` an absolute address of ours. ``busy``
    is whether it takes the reader's time (TRANSP); ``alarm`` is how many minutes before the start the reader's calendar
    reminds them, 0 for no reminder of ours.
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
    conference: str = ""
    url: str = ""
    organizer: Attendee | None = None
    attendees: tuple[Attendee, ...] = ()
    created: datetime | None = None
    busy: bool = True
    alarm: int = 0


def calendar_text(
    appointments: Sequence[Appointment], method: Method, *, name: str = "", refresh: timedelta | None = None
) -> str:
    """A VCALENDAR with one VEVENT for each appointment, CRLF line ends, lines folded at 75 octets.

    PUBLISH leaves attendees out; REQUEST and CANCEL carry one appointment, with its organizer and attendees (RFC 5546
    §3.2.1, §3.2.2, §3.2.5). ``name`` shows in readers that subscribe (RFC 7986 §5.1 NAME, and the older X-WR-CALNAME);
    ``refresh`` is how often these should look again (RFC 7986 §5.7, and the older X-PUBLISHED-TTL).

    :raises ValueError: an invitation without organizer or attendees, or of several appointments.
    """
    if method is not Method.PUBLISH and not _is_invitation(appointments):
        raise ValueError(f"{method} is for one appointment with an organizer and attendees")
    calendar = Calendar()
    calendar.add("prodid", PRODUCT)
    calendar.add("version", "2.0")
    calendar.add("method", method.value)
    if name:
        # The library takes neither for a text, and would not escape it.
        calendar.add("name", vText(_text(name)))
        calendar.add("x-wr-calname", vText(_text(name)))
    if refresh is not None:
        calendar.add("refresh-interval", refresh, parameters={"value": "DURATION"})
        calendar.add("x-published-ttl", vDuration(refresh))
    for appointment in appointments:
        calendar.add_component(_vevent(appointment, with_attendees=method is not Method.PUBLISH))
    text: bytes = calendar.to_ical()
    return text.decode()


def _is_invitation(appointments: Sequence[Appointment]) -> bool:
    return len(appointments) == 1 and bool(appointments[0].organizer and appointments[0].attendees)


def _vevent(appointment: Appointment, *, with_attendees: bool) -> Event:
    event = Event()
    event.add("uid", _text(appointment.uid))
    event.add("dtstamp", appointment.stamp.astimezone(UTC).replace(microsecond=0))
    event.add("dtstart", appointment.start.astimezone(UTC))
    event.add("dtend", appointment.end.astimezone(UTC))
    event.add("sequence", appointment.sequence)
    event.add("status", appointment.status.value.upper())
    event.add("transp", "OPAQUE" if appointment.busy else "TRANSPARENT")
    if appointment.created is not None:
        event.add("created", appointment.created.astimezone(UTC).replace(microsecond=0))
    event.add("summary", _text(appointment.summary))
    for field in ("description", "location"):
        value = _text(getattr(appointment, field))
        if value:
            event.add(field, value)
    if appointment.conference:
        event.add("conference", _conference(appointment.conference), encode=False)
    if appointment.url:
        event.add("url", appointment.url)
    if appointment.organizer:
        event.add("organizer", _address(appointment.organizer))
    for attendee in appointment.attendees if with_attendees else ():
        address = _address(attendee)
        address.params["partstat"] = vText(_PARTSTAT[attendee.response])
        address.params["role"] = vText("OPT-PARTICIPANT" if attendee.optional else "REQ-PARTICIPANT")
        address.params["rsvp"] = vText("FALSE")
        event.add("attendee", address, encode=False)
    if appointment.alarm:
        event.add_component(_alarm(appointment))
    return event


def _conference(address: str) -> vUri:
    """RFC 7986 §5.11: where to join, with sound and picture."""
    link = vUri(_line(address))
    link.params["VALUE"], link.params["FEATURE"] = "URI", ["AUDIO", "VIDEO"]
    link.params["LABEL"] = "Join the meeting"
    return link


def _alarm(appointment: Appointment) -> Alarm:
    """RFC 5545 §3.6.6: a reminder that shows the title."""
    alarm = Alarm()
    alarm.add("action", "DISPLAY")
    alarm.add("description", _text(appointment.summary))
    alarm.add("trigger", timedelta(minutes=-appointment.alarm))
    return alarm


def _text(value: str) -> str:
    return _CONTROLS.sub("", _BREAKS.sub("\n", value))


def _line(value: str) -> str:
    return " ".join(_text(value).split())


def _address(person: Attendee) -> vCalAddress:
    """``mailto:`` with a common name; neither quotes nor line breaks may stand in a parameter (RFC 5545 §3.1)."""
    address = vCalAddress(f"mailto:{_line(person.email).replace(' ', '')}")
    if name := _line(person.name).replace('"', "'"):
        address.params["cn"] = vText(name)
    return address
