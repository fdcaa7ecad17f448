"""One VEVENT (RFC 5545 §3.6.1) as a domain event, with what of it could not be understood.

What is missing or unreadable never makes an event shorter: a time that says nothing leaves the rest of its day busy, a
rule that cannot be followed stays for :mod:`calendar_app.domain.recurrence.cautious`. Only a component without any time
that can be read has no event in it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from urllib.parse import unquote

from calendar_app.domain.event import Attendee, CalendarEvent, EventStatus, EventTime, Response, ShowAs
from calendar_app.domain.ics.lines import Component, FaultyLine, Line, unescape
from calendar_app.domain.ics.zones import ZoneNames
from calendar_app.domain.recurrence.cautious import what_is_unclear
from calendar_app.domain.recurrence.errors import RecurrenceError
from calendar_app.domain.recurrence.rule import parse_duration, parse_time
from calendar_app.domain.recurrence.wallclock import DAY, wall_seconds, zone_of

PRIVATE_PREFIX = "X-ALMANAC-"
MAX_FAULTS = 100
"""How many faulty lines of an event are looked at."""
_RECURRENCE = frozenset({"RRULE", "RDATE", "EXDATE", "EXRULE"})
_ESSENTIAL = frozenset({"DTSTART", "DTEND", "DURATION", "RECURRENCE-ID", "UID", *_RECURRENCE})
_ESCAPED = re.compile(r"\\([;,])")
_BUSY_STATUS = {
    "FREE": ShowAs.FREE,
    "TENTATIVE": ShowAs.TENTATIVE,
    "BUSY": ShowAs.BUSY,
    "OOF": ShowAs.OUT_OF_OFFICE,
    "WORKINGELSEWHERE": ShowAs.WORKING_ELSEWHERE,
}
_NOT_BUSY = (ShowAs.FREE, ShowAs.WORKING_ELSEWHERE)
_RESPONSES = {
    "NEEDS-ACTION": Response.NEEDS_ACTION,
    "ACCEPTED": Response.ACCEPTED,
    "TENTATIVE": Response.TENTATIVE,
    "DECLINED": Response.DECLINED,
}
_ANSWERS = (
    Response.ACCEPTED,
    Response.TENTATIVE,
    Response.NEEDS_ACTION,
    Response.DECLINED,
)
_STATUSES = {status.value.upper(): status for status in EventStatus}


Lines = dict[str, list[Line]]


@dataclass(slots=True)
class Vevent:
    """What a VEVENT says.

    ``faults`` are other lines that could not be read, ``doubts`` what of its time was not understood: both as parts of
    a sentence. ``is_detached``: it changes an occurrence of a series and does not say which.
    """

    event: CalendarEvent
    faults: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    is_detached: bool = False


def read_vevent(component: Component, zones: ZoneNames, owners: Collection[str]) -> Vevent:
    """The event of a VEVENT; attendees with an address of ``owners`` (:func:`plain_address`) give the response.

    :raises ValueError: it has no time that can be read; the sentence says so.
    """
    faults: list[str] = []
    doubts: list[str] = []
    lines = _sorted(component, faults, doubts)
    if not component.closed:
        doubts.append("its end is missing")
    times = _Times(lines, zones, doubts)
    original = times.at("RECURRENCE-ID")
    start, end, nominal_days = times.extent(needed=original is None)
    is_detached = original is None and "RECURRENCE-ID" in lines
    uid = _text(lines, "UID").strip() or _made_uid(component)
    recurrence = () if "RECURRENCE-ID" in lines else tuple(times.recurrence())
    unclear = what_is_unclear(recurrence)
    event = CalendarEvent(
        remote_id=uid,
        status=_STATUSES.get(_text(lines, "STATUS").strip().upper(), EventStatus.CONFIRMED),
        start=start,
        end=end,
        summary=_text(lines, "SUMMARY"),
        description=_text(lines, "DESCRIPTION"),
        location=_text(lines, "LOCATION"),
        html_link=_link(_text(lines, "URL")),
        color=_text(lines, "COLOR"),
        ical_uid=uid,
        sequence=_sequence(lines),
        updated=_updated(lines),
        show_as=_show_as(lines),
        response=_response(lines, owners),
        recurrence=recurrence,
        master_id=uid if original is not None else None,
        original_start=original,
        this_and_future=any(
            line.params.get("RANGE", "").upper() == "THISANDFUTURE" for line in lines.get("RECURRENCE-ID", ())
        ),
        nominal_days=nominal_days,
        organizer_email=_address(lines["ORGANIZER"][0]) if "ORGANIZER" in lines else "",
        attendees=tuple(_attendees(lines)),
        unread=tuple(dict.fromkeys((*map(_sentence, doubts), *unclear))),
        private={
            name.removeprefix(PRIVATE_PREFIX).lower(): _text(lines, name)
            for name in lines
            if name.startswith(PRIVATE_PREFIX)
        },
    )
    sentences = (sentence.rstrip(".") for sentence in unclear)
    return Vevent(event, faults, [*doubts, *times.unknown_zones, *sentences], is_detached)


def _sorted(component: Component, faults: list[str], doubts: list[str]) -> Lines:
    """The lines by name. Of one that breaks the grammar and says when the event is, what stands behind the last colon
    is its value."""
    lines: Lines = {}
    number = 0
    for line in component.properties():
        if isinstance(line, Line):
            lines.setdefault(line.name, []).append(line)
            continue
        number += 1
        if line.name in _ESSENTIAL:
            doubts.append(str(line))
            lines.setdefault(line.name, []).append(Line(line.name, {}, _value(line)))
        elif number <= MAX_FAULTS:
            faults.append(str(line))
    if len(faults) > 1:
        faults[:] = [f"{faults[0]}, and {number - 1:,} more like it"]
    return lines


def _value(line: FaultyLine) -> str:
    text = line.text.strip()[len(line.name) :]
    if line.name in _RECURRENCE:
        return text.lstrip(";:= ")
    return text.rpartition(":")[2].strip()


class _Times:
    """The times of one VEVENT; ``doubts`` takes what of them was not understood, but for ``unknown_zones``, which are
    told once for all events of a file."""

    def __init__(self, lines: Lines, zones: ZoneNames, doubts: list[str]) -> None:
        self._lines = lines
        self._zones = zones
        self._doubts = doubts
        self.unknown_zones: list[str] = []

    def at(self, name: str) -> EventTime | None:
        """The time of a property; ``None`` where there is none or it says nothing."""
        found = self._lines.get(name, [])
        for line in found:
            tzid, value = line.params.get("TZID", ""), line.value.strip().strip('"')
            try:
                time = parse_time(value, self._zone(tzid))
            except RecurrenceError:  # a colon in a TZID that should stand in quotes?
                more, _, value = value.rpartition(":")
                try:
                    time = parse_time(value, self._zone(f"{tzid}:{more}") if tzid else None)
                except RecurrenceError:
                    continue
            if line.params.get("VALUE", "").upper() == "DATE" and wall_seconds(time.value) % DAY == 0:
                return EventTime(date(time.value.year, time.value.month, time.value.day))
            return time
        if found:
            self._say(name, f"its {name} is not a time: {found[0].value.strip()[:40]!r}")
        return None

    def _zone(self, tzid: str) -> str | None:
        zone = self._zones.zone(tzid) if tzid else None
        if tzid and zone is None:
            doubt = f"its time zone “{tzid[:80]}” is not known, so its times are read in this calendar’s time zone"
            if doubt not in self.unknown_zones:
                self.unknown_zones.append(doubt)
        return zone

    def extent(self, *, needed: bool) -> tuple[EventTime | None, EventTime | None, int]:
        """Start, end and nominal days. An end before the start is taken as the start, as other readers do.

        :raises ValueError: there is no time that can be read, and one is ``needed``.
        """
        start = self.at("DTSTART")
        if start is None:
            start = self._start_before(self.at("DTEND"))
        if start is None:
            if needed:
                raise ValueError(self._doubts[-1] if "DTSTART" in self._lines else "it has no DTSTART")
            return None, None, 0
        end = self.at("DTEND")
        if end is None and "DURATION" in self._lines:
            text = self._lines["DURATION"][0].value.strip()
            try:
                return _lasting(start, text)
            except (RecurrenceError, OverflowError):
                self._say("DURATION", f"its DURATION is not a length of time: {text[:40]!r}")
                return start, self._end_of_day(start, "DURATION"), 0
        if end is None:
            return start, self._end_of_day(start, "DTEND") if "DTEND" in self._lines else None, 0
        if end.all_day != start.all_day:
            end = _alike(start, end)
        if end.zone == start.zone and wall_seconds(end.value) < wall_seconds(start.value):
            return end, start, 0
        return start, end, 0

    def _start_before(self, end: EventTime | None) -> EventTime | None:
        """The beginning of the day of which only the end is known."""
        if end is None:
            return None
        self._conclude(
            "DTSTART", "it does not say when it starts", "it counts as busy from the beginning of its day"
        )
        try:
            last = (
                end.value - timedelta(seconds=1)
                if isinstance(end.value, datetime)
                else end.value - timedelta(days=1)
            )
        except OverflowError:
            return end
        if isinstance(last, datetime):
            return EventTime(last.replace(hour=0, minute=0, second=0), end.zone)
        return EventTime(last)

    def _say(self, name: str, doubt: str) -> None:
        """Say what is wrong with the value of a property, in the place of what was said of its line."""
        said = tuple(f"a line cannot be read: {quote}{name}" for quote in "'\"")
        self._doubts[:] = [known for known in self._doubts if not known.startswith(said)]
        self._doubts.append(doubt)

    def _conclude(self, name: str, doubt: str, then: str) -> None:
        """Say what follows from a property that cannot be read, in the sentence that says so if there is one."""
        for number, known in enumerate(self._doubts):
            if known.startswith(f"its {name} is not"):
                self._doubts[number] = f"{known}, so {then}"
                return
        self._doubts.append(f"{doubt}, so {then}")

    def _end_of_day(self, start: EventTime, name: str) -> EventTime | None:
        """Where an event ends whose property ``name`` should say so and cannot be read."""
        self._conclude(name, "it does not say when it ends", "it counts as busy to the end of its day")
        if not isinstance(start.value, datetime):
            return None
        try:
            return EventTime(start.value.replace(hour=0, minute=0, second=0) + timedelta(days=1), start.zone)
        except OverflowError:
            return start

    def recurrence(self) -> Iterator[str]:
        """Recurrence lines with the zones' names here. Whether they can be followed is the expansion's question.

        Values that servers took for text are as they were before: xandikos stores a rule that it does not understand
        with ``\\;`` and ``\\,`` (icalendar's ``vBrokenProperty``).
        """
        for name in ("RRULE", "EXRULE", "RDATE", "EXDATE"):
            for line in self._lines.get(name, ()):
                value = _ESCAPED.sub(r"\1", line.value.strip())
                if value:
                    tzid = line.params.get("TZID", "")
                    zone = self._zone(tzid) if tzid and name in ("RDATE", "EXDATE") else None
                    quoted = f'"{zone}"' if zone and set(zone) & set(":;,") else zone
                    yield f"{name};TZID={quoted}:{value}" if zone else f"{name}:{value}"


def _sentence(part: str) -> str:
    return f"{part[:1].upper()}{part[1:]}."


def _response(lines: Lines, owners: Collection[str]) -> Response:
    """The owner's answer; of several addresses of theirs that are invited, the one that takes most time counts."""
    own = [_answer(line) for line in lines.get("ATTENDEE", ()) if not _addresses(line).isdisjoint(owners)]
    return min(own, key=_ANSWERS.index, default=Response.NONE)


def _made_uid(component: Component) -> str:
    """RFC 5545 §3.8.4.7 demands a UID; without one the text identifies the event from one reading to the next."""
    digest = hashlib.sha256("\n".join(sorted(component.lines)).encode())
    return f"{digest.hexdigest()[:32]}@no-uid.invalid"


def _text(lines: Lines, name: str) -> str:
    return unescape(lines[name][0].value) if name in lines else ""


def _link(text: str) -> str:
    """``text``, if it leads to the web and nowhere else: it is shown as a link to click on."""
    text = text.strip()
    return text if text.lower().startswith(("https://", "http://")) else ""


def _alike(start: EventTime, end: EventTime) -> EventTime:
    """An end of the start's type (RFC 5545 §3.8.2.2 demands it), for files in which it is not."""
    if start.all_day:
        return EventTime(date(end.value.year, end.value.month, end.value.day))
    midnight = datetime(end.value.year, end.value.month, end.value.day)  # noqa: DTZ001  # wall clock of start.zone
    return EventTime(midnight, start.zone)


def _lasting(start: EventTime, text: str) -> tuple[EventTime, EventTime, int]:
    """Start, end and nominal days of an event with a DURATION (RFC 5545 §3.3.6)."""
    days, seconds = parse_duration(text)
    exact = timedelta(seconds=seconds)
    if not isinstance(start.value, datetime):
        return start, EventTime(start.value + timedelta(days=days) + exact), 0
    end = EventTime(_after(start.value + timedelta(days=days), exact, start.zone), start.zone)
    return (end, start, 0) if end.value < start.value else (start, end, days)


def _after(moment: datetime, exact: timedelta, zone: str | None) -> datetime:
    """The wall-clock time an exact duration after ``moment``."""
    if zone is None or not exact:
        return moment + exact
    clock = zone_of(zone)
    instant = clock.instant(wall_seconds(moment)) + int(exact.total_seconds())
    return datetime.fromtimestamp(clock.local(instant), UTC).replace(tzinfo=None)


def _sequence(lines: Lines) -> int:
    text = _text(lines, "SEQUENCE").strip()
    return int(text) if text.isdecimal() and len(text) < 10 else 0


def _updated(lines: Lines) -> datetime | None:
    for name in ("LAST-MODIFIED", "DTSTAMP"):
        try:
            value = parse_time(lines[name][0].value.strip()).value if name in lines else None
        except RecurrenceError:
            continue
        if isinstance(value, datetime):
            return value.replace(tzinfo=UTC)
    return None


def _show_as(lines: Lines) -> ShowAs:
    """TRANSP (RFC 5545 §3.8.2.7) and Outlook's status, which counts where TRANSP is missing and says more where both
    agree, as MS-OXCICAL 2.1.3.1.1.20.25 pairs them: free and working elsewhere with TRANSPARENT, others with OPAQUE.
    Where one of them says busy and the other does not, the event is busy."""
    status = _BUSY_STATUS.get(_text(lines, "X-MICROSOFT-CDO-BUSYSTATUS").strip().upper())
    transparency = _text(lines, "TRANSP").strip().upper()
    if transparency not in ("TRANSPARENT", "OPAQUE"):
        return status or ShowAs.BUSY
    if status is None or (status in _NOT_BUSY and transparency == "OPAQUE"):
        return ShowAs.FREE if transparency == "TRANSPARENT" else ShowAs.BUSY
    return status


def plain_address(text: str) -> str:
    """A calendar user's address as it is compared: without ``mailto:``, whose escapes (RFC 6068 §2) are undone."""
    return _mailbox(text.strip()).lower()


def _mailbox(address: str) -> str:
    return unquote(address[7:]) if address[:7].lower() == "mailto:" else address


def _address(line: Line) -> str:
    """A person's e-mail address; EMAIL (RFC 7986 §6.2) where the value is an address of another kind."""
    address = _mailbox(line.value.strip())
    return address if "@" in address else line.params.get("EMAIL", "").strip() or address


def _addresses(line: Line) -> set[str]:
    """Every address of a person that the line names, to be compared."""
    return {plain_address(line.value), plain_address(line.params.get("EMAIL", ""))} - {""}


def _answer(line: Line) -> Response:
    return _RESPONSES.get(line.params.get("PARTSTAT", "").upper(), Response.NEEDS_ACTION)


def _attendees(lines: Lines) -> Iterator[Attendee]:
    for line in lines.get("ATTENDEE", ()):
        yield Attendee(
            email=_address(line),
            name=line.params.get("CN", ""),
            response=_answer(line),
            optional=line.params.get("ROLE", "").upper() == "OPT-PARTICIPANT",
        )
