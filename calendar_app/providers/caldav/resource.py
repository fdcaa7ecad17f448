"""The calendar resource that says what a draft says: written anew, or into what is there already; pure.

A resource is changed line by line in its own text, because it belongs to its owner: alarms, categories, another
program's ``X-`` properties and whatever else we do not know stay exactly as they are. Times are written in UTC, which
every reader understands without a VTIMEZONE (RFC 5545 §3.3.5, form 2).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime

from icalendar import Calendar, Event, vCalAddress, vText

from calendar_app.domain.colors import parse_color
from calendar_app.domain.event import Attendee, CalendarEvent, EventDraft, Response
from calendar_app.domain.ics import CalendarFileError, read_calendar
from calendar_app.domain.ics.lines import Component, Line, components, parse_line
from calendar_app.domain.ics.vevent import PRIVATE_PREFIX
from calendar_app.domain.ics.writer import PRODUCT
from calendar_app.domain.recurrence import RecurrenceError
from calendar_app.domain.recurrence.wallclock import instant_of
from calendar_app.domain.timespan import instant

_PARTSTAT = {
    Response.ACCEPTED: "ACCEPTED",
    Response.TENTATIVE: "TENTATIVE",
    Response.DECLINED: "DECLINED",
}
_BREAKS = re.compile("\r\n?|[\u2028\u2029]")
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_TIMES = ("DTSTART", "DTEND", "DURATION")


def new_resource(draft: EventDraft, now: datetime) -> str:
    """A VCALENDAR with the one VEVENT; ``now`` becomes DTSTAMP."""
    calendar = Calendar()
    calendar.add("prodid", PRODUCT)
    calendar.add("version", "2.0")
    calendar.add_component(_vevent(draft, now))
    text: bytes = calendar.to_ical()
    return text.decode()


def merged_resource(draft: EventDraft, present: str, now: datetime) -> str | None:
    """``present`` changed to say what ``draft`` says; ``None`` where it does already. One that has no usable event is
    replaced."""
    try:
        outer = components(present)
        (event,) = (e for e in read_calendar(present).events if e.original_start is None)
    except (CalendarFileError, ValueError):
        return new_resource(draft, now)
    calendar = next((part for part in outer if part.name == "VCALENDAR"), None)
    vevents = [] if calendar is None else [part for part in calendar.children if part.name == "VEVENT"]
    mains = [part for part in vevents if not part.value("RECURRENCE-ID")]
    if calendar is None or len(mains) != 1:
        return new_resource(draft, now)
    fresh = components(new_resource(draft, now))[0].children[0]
    if not _bring(mains[0], fresh, event, draft):
        return None
    calendar.children = [part for part in calendar.children if part.name != "VEVENT" or part is mains[0]]
    return "".join(f"{_folded(line)}\r\n" for part in outer for line in _lines(part))


def mark_name(key: str) -> str:
    """The property that holds one of our marks; names of properties have no underscore (RFC 5545 §3.1)."""
    return f"{PRIVATE_PREFIX}{key.replace('_', '-').upper()}"


def private_marks(event: CalendarEvent) -> dict[str, str]:
    """An event's marks under the keys that drafts have, which are lower-case and without hyphens."""
    return {key.replace("-", "_"): value for key, value in event.private.items()}


def _vevent(draft: EventDraft, now: datetime) -> Event:
    event = Event()
    event.add("uid", draft.uid)
    event.add("dtstamp", now.astimezone(UTC).replace(microsecond=0))
    event.add("dtstart", draft.start.astimezone(UTC))
    event.add("dtend", draft.end.astimezone(UTC))
    event.add("summary", _clean(draft.summary))
    for name, value in (("description", draft.description), ("location", draft.location)):
        if value:
            event.add(name, _clean(value))
    event.add("status", "CONFIRMED")
    event.add("transp", "OPAQUE")
    event.add("sequence", draft.sequence)
    if color := parse_color(draft.color):
        event.add("color", color.value)
    for name, value in draft.private.items():
        event.add(mark_name(name), _clean(value))
    for attendee in draft.attendees:
        event.add("attendee", _attendee(attendee), encode=False)
    return event


def _attendee(person: Attendee) -> vCalAddress:
    """Without ORGANIZER, and with SCHEDULE-AGENT=CLIENT besides (RFC 6638 §7.1): the server is not to send invitations,
    which are ours to send."""
    address = vCalAddress(f"mailto:{''.join(_clean(person.email).split())}")
    if name := " ".join(_clean(person.name).replace('"', "'").split()):
        address.params["cn"] = vText(name)
    address.params["partstat"] = vText(_PARTSTAT.get(person.response, "NEEDS-ACTION"))
    address.params["role"] = vText("OPT-PARTICIPANT" if person.optional else "REQ-PARTICIPANT")
    address.params["schedule-agent"] = vText("CLIENT")
    return address


def _clean(text: str) -> str:
    """Text without control characters other than the line feed (RFC 5545 §3.1)."""
    return _CONTROLS.sub("", _BREAKS.sub("\n", text))


def _bring(vevent: Component, fresh: Component, event: CalendarEvent, draft: EventDraft) -> bool:
    """Bring a VEVENT's own lines to those of ``fresh`` where they say something else; whether any did."""
    wanted = {line.name: text for line, text in _parsed(fresh) if line.name != "ATTENDEE"}
    drop: set[str] = set()
    if not _same_time(event, draft):
        drop |= {*_TIMES, "RRULE", "RDATE", "EXDATE", "EXRULE"}
    for name, value in (
        ("SUMMARY", event.summary),
        ("DESCRIPTION", event.description),
        ("LOCATION", event.location),
    ):
        if value != _clean(getattr(draft, name.lower())):
            drop.add(name)
    if event.status.value != "confirmed":
        drop.add("STATUS")
    if not event.blocks_time:
        drop |= {"TRANSP", "X-MICROSOFT-CDO-BUSYSTATUS"}
    if draft.color and parse_color(event.color) != parse_color(draft.color):
        drop.add("COLOR")
    if event.sequence < draft.sequence:
        drop.add("SEQUENCE")
    drop |= {
        mark_name(name)
        for name, value in draft.private.items()
        if private_marks(event).get(name) != _clean(value)
    }
    known = {person.email.lower() for person in event.attendees}
    guests = [text for line, text in _parsed(fresh) if line.name == "ATTENDEE" and _email(line) not in known]
    if not drop and not guests:
        return False
    drop |= {"DTSTAMP", "LAST-MODIFIED"}
    kept = [text for text in vevent.lines if _name(text) not in drop]
    vevent.lines = [*kept, *(wanted[name] for name in sorted(drop & wanted.keys())), *guests]
    return True


def _same_time(event: CalendarEvent, draft: EventDraft) -> bool:
    if event.start is None or event.end is None or event.start.all_day or event.recurrence:
        return False
    if event.start.zone is None or event.end.zone is None:
        return False
    try:
        times = instant_of(event.start, "UTC"), instant_of(event.end, "UTC")
    except RecurrenceError:
        return False
    return times == (instant(draft.start), instant(draft.end))


def _parsed(component: Component) -> Iterator[tuple[Line, str]]:
    for text in component.lines:
        yield parse_line(text), text


def _email(line: Line) -> str:
    return line.value.strip().lower().removeprefix("mailto:")


def _name(text: str) -> str:
    return text.lstrip().replace(":", ";").split(";", 1)[0].strip().upper()


def _lines(component: Component) -> Iterator[str]:
    yield f"BEGIN:{component.name}"
    yield from component.lines
    for child in component.children:
        yield from _lines(child)
    yield f"END:{component.name}"


def _folded(line: str) -> str:
    """A content line in pieces of at most 75 octets (RFC 5545 §3.1), never inside a character."""
    data = line.encode()
    if len(data) <= 75:
        return line
    pieces: list[bytes] = []
    while data:
        end = 75 if not pieces else 74
        while 0 < end < len(data) and data[end] & 0xC0 == 0x80:
            end -= 1
        pieces.append(data[:end])
        data = data[end:]
    return "\r\n ".join(piece.decode() for piece in pieces)
