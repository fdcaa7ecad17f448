"""Calendar files and feeds (RFC 5545) as domain events.

Reading is lenient towards what real programs write and keeps what it can: one faulty component costs only itself and is
named. What remains unreadable is a typed error. Nothing is expanded here: recurrence lines are kept, with their zone
names turned into IANA names, for :mod:`calendar_app.domain.recurrence`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from urllib.parse import unquote

from calendar_app.domain.event import Attendee, CalendarEvent, EventStatus, EventTime, Response, ShowAs
from calendar_app.domain.ics.lines import (
    SIBLINGS,
    Component,
    FaultyLine,
    Line,
    NotACalendar,
    components,
    decode,
    unescape,
    written_lines,
)
from calendar_app.domain.ics.zones import ZoneNames
from calendar_app.domain.recurrence.errors import RecurrenceError
from calendar_app.domain.recurrence.rule import parse_duration, parse_time
from calendar_app.domain.recurrence.wallclock import wall_seconds, zone_of

MAX_BYTES = 16 * 2**20
MAX_FAULTS = 100
"""How many faulty lines an event may have and still be taken for one."""
PRIVATE_PREFIX = "X-ALMANAC-"
_RECURRENCE = frozenset({"RRULE", "RDATE", "EXDATE", "EXRULE"})
_ESSENTIAL = frozenset({"DTSTART", "DTEND", "DURATION", "RECURRENCE-ID", "UID", *_RECURRENCE})
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
_OTHERS = {
    "VTODO": "it is a task, not an event",
    "VJOURNAL": "it is a journal entry, not an event",
    "VFREEBUSY": "it is a free/busy list, not an event",
}
_STATUSES = {status.value.upper(): status for status in EventStatus}


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a component: ``VEVENT`` number 3 of the file, say, and its UID where it has one.

    ``kept`` tells whether its event is in the result all the same, without the faulty line. ``line`` is the line of
    the file that the component begins in, from 1; ``summary`` is its title.
    """

    component: str
    number: int
    uid: str
    reason: str
    kept: bool = False
    line: int = 0
    summary: str = ""


@dataclass(frozen=True, slots=True)
class CalendarFile:
    """What a file held: masters, single events and exceptions (``master_id`` is the UID), in the file's order.

    ``zone`` is the IANA zone the file names for floating times (X-WR-TIMEZONE), ``None`` if none. ``truncated``: the
    file ends inside a component, so what is missing may only be unread. ``unknown_zones``: TZIDs that mean
    nothing here, whose times are floating. ``others`` are tasks, journals and free/busy lists: no fault of the file's,
    and no events.
    """

    events: tuple[CalendarEvent, ...]
    problems: tuple[Problem, ...] = ()
    name: str = ""
    zone: str | None = None
    method: str = ""
    truncated: bool = False
    unknown_zones: frozenset[str] = frozenset()
    others: tuple[Problem, ...] = ()


def read_calendar(
    data: str | bytes,
    *,
    max_bytes: int = MAX_BYTES,
    owners: Collection[str] = (),
    check: Callable[[CalendarEvent], object] | None = None,
) -> CalendarFile:
    """The events of an iCalendar text.

    Of several components for one event or occurrence the one with the highest SEQUENCE counts, the later among equals
    (RFC 5546 §2.1.5). A missing UID is replaced by one made from the component's text.

    :param owners: the addresses of the person whose calendar this is; attendees with one of them give ``response``.
    :param check: is shown every event; one that it raises ``ValueError`` for is left out and named as a problem.
    :raises NotACalendar: when the text is no iCalendar, or has faults and not one usable event.
    :raises TooLarge: beyond ``max_bytes``, or with too many or too deeply nested components.
    """
    text = decode(data, max_bytes)
    outer = components(text)
    calendars = [component for component in outer if component.name == "VCALENDAR"]
    if not calendars and any(component.name in SIBLINGS for component in outer):
        calendars = [Component("VCALENDAR", children=outer, closed=True)]
    if not calendars:
        raise NotACalendar("The file is not a calendar.")
    reader = _Reader(frozenset(map(plain_address, owners)), text, check)
    for calendar in calendars:
        reader.read(calendar)
    if reader.problems and not reader.events:
        raise NotACalendar(f"Nothing in the calendar can be used: {reader.problems[0].reason}.")
    first = calendars[0]
    return CalendarFile(
        events=tuple(reader.events.values()),
        problems=tuple(reader.problems),
        name=unescape(first.value("X-WR-CALNAME") or first.value("NAME")),
        zone=ZoneNames({}).iana(first.value("X-WR-TIMEZONE").strip()),
        method=first.value("METHOD").strip().upper(),
        truncated=not all(calendar.closed for calendar in calendars),
        unknown_zones=frozenset(reader.unknown_zones),
        others=tuple(reader.others),
    )


class _Reader:
    """Collects the events of a file's calendars, newest version of each."""

    def __init__(
        self, owners: frozenset[str], text: str, check: Callable[[CalendarEvent], object] | None
    ) -> None:
        self._owners = owners
        self._check = check
        self._text = text
        self._lines: list[int] | None = None
        self._number = 0
        self.events: dict[tuple[str, EventTime | None], CalendarEvent] = {}
        self.problems: list[Problem] = []
        self.others: list[Problem] = []
        self.unknown_zones: set[str] = set()

    def read(self, calendar: Component) -> None:
        faulty = next((line for line in calendar.properties() if isinstance(line, FaultyLine)), None)
        if faulty is not None:
            self.problems.append(self._problem(calendar, str(faulty), number=1, kept=True))
        zones = ZoneNames({c.value("TZID").strip(): c for c in calendar.children if c.name == "VTIMEZONE"})
        for component in calendar.children:
            if component.name != "VEVENT":
                if kind := _OTHERS.get(component.name):
                    self.others.append(self._problem(component, kind, number=len(self.others) + 1))
                continue
            self._number += 1
            try:
                event = self._event(component, zones)
                if self._check is not None:
                    self._check(event)
            except (ValueError, OverflowError) as error:  # OverflowError: a date beyond year 9999
                self.problems.append(self._problem(component, str(error).rstrip(".")))
            else:
                self._keep(event)
        self.unknown_zones |= zones.unknown

    def _problem(
        self, component: Component, reason: str, *, number: int | None = None, kept: bool = False
    ) -> Problem:
        if self._lines is None:
            self._lines = written_lines(self._text)
        return Problem(
            component.name,
            self._number if number is None else number,
            component.value("UID")[:200],
            reason,
            kept,
            self._lines[component.at],
            unescape(component.value("SUMMARY"))[:200],
        )

    def _keep(self, event: CalendarEvent) -> None:
        key = (event.ical_uid, event.original_start)
        if key not in self.events or self.events[key].sequence <= event.sequence:
            self.events[key] = event

    def _event(self, component: Component, zones: ZoneNames) -> CalendarEvent:
        """The event of a VEVENT. :raises ValueError: the sentence says what it lacks."""
        if not component.closed:
            raise ValueError("the file ends inside it")
        lines: dict[str, list[Line]] = {}
        faults: list[FaultyLine] = []
        for line in component.properties():
            if isinstance(line, Line):
                lines.setdefault(line.name, []).append(line)
            elif line.name in _ESSENTIAL:
                raise line
            else:
                faults.append(line)
                if len(faults) > MAX_FAULTS:
                    raise ValueError("most of its lines cannot be read")
        if faults:
            more = f", and {len(faults) - 1:,} more like it" if len(faults) > 1 else ""
            self.problems.append(self._problem(component, f"{faults[0]}{more}", kept=True))
        start = _time(lines, "DTSTART", zones)
        original = _time(lines, "RECURRENCE-ID", zones)
        if start is None and original is None:
            raise ValueError("it has no DTSTART")
        start, end, nominal_days = _extent(start, lines, zones)
        uid = _text(lines, "UID").strip() or self._made_uid(component)
        return CalendarEvent(
            remote_id=uid if original is None else f"{uid}_{original.value:%Y%m%dT%H%M%S}",
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
            response=self._response(lines),
            recurrence=tuple(_recurrence(lines, zones)) if original is None else (),
            master_id=uid if original is not None else None,
            original_start=original,
            this_and_future=any(
                line.params.get("RANGE", "").upper() == "THISANDFUTURE"
                for line in lines.get("RECURRENCE-ID", ())
            ),
            nominal_days=nominal_days,
            organizer_email=_address(lines["ORGANIZER"][0]) if "ORGANIZER" in lines else "",
            attendees=tuple(_attendees(lines)),
            private={
                name.removeprefix(PRIVATE_PREFIX).lower(): _text(lines, name)
                for name in lines
                if name.startswith(PRIVATE_PREFIX)
            },
        )

    def _response(self, lines: dict[str, list[Line]]) -> Response:
        """The owner's answer; of several addresses of theirs that are invited, the one that takes most time counts."""
        own = [_answer(line) for line in lines.get("ATTENDEE", ()) if self._owners & _addresses(line)]
        return min(own, key=_ANSWERS.index, default=Response.NONE)

    def _made_uid(self, component: Component) -> str:
        """RFC 5545 §3.8.4.7 demands a UID; without one the text identifies the event from one reading to the next."""
        digest = hashlib.sha256("\n".join(sorted(component.lines)).encode())
        return f"{digest.hexdigest()[:32]}@no-uid.invalid"


def _text(lines: dict[str, list[Line]], name: str) -> str:
    return unescape(lines[name][0].value) if name in lines else ""


def _link(text: str) -> str:
    """``text``, if it leads to the web and nowhere else: it is shown as a link to click on."""
    text = text.strip()
    return text if text.lower().startswith(("https://", "http://")) else ""


def _time(lines: dict[str, list[Line]], name: str, zones: ZoneNames) -> EventTime | None:
    if name not in lines:
        return None
    line = lines[name][0]
    tzid = line.params.get("TZID", "")
    return parse_time(line.value.strip(), zones.iana(tzid) if tzid else None)


def _extent(
    start: EventTime | None, lines: dict[str, list[Line]], zones: ZoneNames
) -> tuple[EventTime | None, EventTime | None, int]:
    """Start, end and nominal days. An end before the start is taken as the start, as other readers do."""
    if start is None:
        return None, None, 0
    end = _time(lines, "DTEND", zones)
    if end is None and "DURATION" in lines:
        return _lasting(start, lines["DURATION"][0].value.strip())
    if end is None:
        return start, None, 0
    if end.all_day != start.all_day:
        end = _alike(start, end)
    if end.zone == start.zone and wall_seconds(end.value) < wall_seconds(start.value):
        return end, start, 0
    return start, end, 0


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


def _recurrence(lines: dict[str, list[Line]], zones: ZoneNames) -> Iterator[str]:
    """Recurrence lines with IANA zone names. Whether they can be followed is the expansion's question."""
    for name in ("RRULE", "EXRULE", "RDATE", "EXDATE"):
        for line in lines.get(name, ()):
            if line.value.strip():
                tzid = line.params.get("TZID", "")
                zone = zones.iana(tzid) if tzid else None
                yield f"{name};TZID={zone}:{line.value}" if zone else f"{name}:{line.value}"


def _sequence(lines: dict[str, list[Line]]) -> int:
    text = _text(lines, "SEQUENCE").strip()
    return int(text) if text.isdecimal() and len(text) < 10 else 0


def _updated(lines: dict[str, list[Line]]) -> datetime | None:
    for name in ("LAST-MODIFIED", "DTSTAMP"):
        try:
            value = parse_time(lines[name][0].value.strip()).value if name in lines else None
        except RecurrenceError:
            continue
        if isinstance(value, datetime):
            return value.replace(tzinfo=UTC)
    return None


def _show_as(lines: dict[str, list[Line]]) -> ShowAs:
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


def _attendees(lines: dict[str, list[Line]]) -> Iterator[Attendee]:
    for line in lines.get("ATTENDEE", ()):
        yield Attendee(
            email=_address(line),
            name=line.params.get("CN", ""),
            response=_answer(line),
            optional=line.params.get("ROLE", "").upper() == "OPT-PARTICIPANT",
        )
