"""Calendar files and feeds (RFC 5545) as domain events.

Reading is lenient towards what real programs write and keeps what it can: one faulty component costs only itself and is
named. What remains unreadable is a typed error. Nothing is expanded here: recurrence lines are kept, with their zones
as :func:`zone_of` reads them, for :mod:`calendar_app.domain.recurrence`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import timedelta

from calendar_app.domain.event import CalendarEvent, part_lost
from calendar_app.domain.ics.freebusy import read_freebusy
from calendar_app.domain.ics.lines import (
    SIBLINGS,
    Component,
    FaultyLine,
    NotACalendar,
    components,
    decode,
    unescape,
    written_lines,
)
from calendar_app.domain.ics.versions import SHARED_UID, TWO_VERSIONS, events_of
from calendar_app.domain.ics.vevent import MAX_FAULTS, Vevent, plain_address, read_vevent
from calendar_app.domain.ics.zones import ZoneNames
from calendar_app.domain.recurrence.errors import RecurrenceError
from calendar_app.domain.recurrence.rule import parse_duration
from calendar_app.domain.unread import Unread

MAX_BYTES = 16 * 2**20
LONGEST_REFRESH = timedelta(days=30)
"""A wish to be left alone for longer is understood as this."""
LEFT_OUT = "It was left out: {}."
_OTHERS = {
    "VTODO": "it is a task, not an event",
    "VJOURNAL": "it is a journal entry, not an event",
}


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
    nothing here, whose times are floating. ``unclear_zones``: TZIDs that are known by name, while their
    definition in the file cannot be followed. ``others`` are tasks and journals: no fault of the file's, and no events.
    The busy times of free/busy lists are events. ``unreadable`` are the components with a UID and the busy times that
    were left out, as events without a time: what is known of them from an earlier reading still counts
    (:func:`time_lost`). ``refresh``: how long its publisher wants it not to be fetched, zero where it does not say.
    """

    events: tuple[CalendarEvent, ...]
    problems: tuple[Problem, ...] = ()
    name: str = ""
    zone: str | None = None
    method: str = ""
    truncated: bool = False
    unknown_zones: frozenset[str] = frozenset()
    unclear_zones: frozenset[str] = frozenset()
    others: tuple[Problem, ...] = ()
    unreadable: tuple[CalendarEvent, ...] = ()
    refresh: timedelta = timedelta()

    @property
    def unread(self) -> tuple[Unread, ...]:
        """What of the file is in no event, not even in an unreadable one: components that were left out, and time zones
        that are not known."""
        named = {event.ical_uid[:200] for event in self.unreadable}
        left_out = [
            Unread(problem.summary or f"An event (line {problem.line})", LEFT_OUT.format(problem.reason))
            for problem in self.problems
            if not problem.kept and not (problem.component == "VEVENT" and problem.uid in named)
        ]
        zones = [
            Unread(
                f"Time zone “{name[:80]}”",
                "It is not known here, so that times in it are read in this calendar’s time zone.",
            )
            for name in sorted(self.unknown_zones)
        ]
        zones += [
            Unread(
                f"Time zone “{name[:80]}”",
                "What the calendar says of it cannot be followed, so that it is taken for the zone of that name.",
            )
            for name in sorted(self.unclear_zones)
        ]
        return (*left_out, *zones)


def read_calendar(
    data: str | bytes,
    *,
    max_bytes: int = MAX_BYTES,
    owners: Collection[str] = (),
) -> CalendarFile:
    """The events of an iCalendar text.

    Of several versions of one event or occurrence the newest counts (:mod:`calendar_app.domain.ics.versions`). A
    missing UID is replaced by one made from the component's text.

    :param owners: the addresses of the person whose calendar this is; attendees with one of them give ``response``.
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
    reader = _Reader(frozenset(map(plain_address, owners)), text)
    for calendar in calendars:
        reader.read(calendar)
    events = reader.events()
    if reader.problems and not events:
        raise NotACalendar(f"Nothing in the calendar can be used: {reader.problems[0].reason}.")
    first = calendars[0]
    return CalendarFile(
        events=tuple(events),
        problems=tuple(reader.problems),
        name=unescape(first.value("X-WR-CALNAME") or first.value("NAME")),
        zone=ZoneNames.of(first).iana(unescape(first.value("X-WR-TIMEZONE")).strip()),
        method=first.value("METHOD").strip().upper(),
        truncated=not all(calendar.closed for calendar in calendars),
        unknown_zones=frozenset(reader.unknown_zones),
        unclear_zones=frozenset(reader.unclear_zones),
        others=tuple(reader.others),
        unreadable=tuple(reader.unreadable(events)),
        refresh=_refresh(first),
    )


def _refresh(calendar: Component) -> timedelta:
    """How long the publisher wants the file not to be fetched (RFC 7986 §5.7, or the older X-PUBLISHED-TTL of
    https://learn.microsoft.com/openspecs/exchange_server_protocols/ms-oxcical); nothing where it is no length of
    time."""
    for name in ("REFRESH-INTERVAL", "X-PUBLISHED-TTL"):
        try:
            days, seconds = parse_duration(calendar.value(name).strip())
            return max(timedelta(), min(timedelta(days=days, seconds=seconds), LONGEST_REFRESH))
        except (RecurrenceError, OverflowError):
            continue
    return timedelta()


class _Reader:
    """Collects the events of a file's calendars."""

    def __init__(self, owners: frozenset[str], text: str) -> None:
        self._owners = owners
        self._text = text
        self._lines: list[int] | None = None
        self._number = 0
        self._found: list[Vevent] = []
        self._busy: dict[str, CalendarEvent] = {}
        self._lost: dict[str, CalendarEvent] = {}
        self._lost_busy: set[str] = set()
        self.problems: list[Problem] = []
        self.others: list[Problem] = []
        self.unknown_zones: set[str] = set()
        self.unclear_zones: set[str] = set()
        self._definitions: set[str] = set()

    def read(self, calendar: Component) -> None:
        faulty = next((line for line in calendar.properties() if isinstance(line, FaultyLine)), None)
        if faulty is not None:
            self.problems.append(self._problem(calendar, str(faulty), number=1, kept=True))
        zones = ZoneNames.of(calendar, self._definitions)
        for component in calendar.children:
            if component.name == "VFREEBUSY":
                self._read_freebusy(component, zones)
                continue
            if component.name != "VEVENT":
                if kind := _OTHERS.get(component.name):
                    self.others.append(self._problem(component, kind, number=len(self.others) + 1))
                continue
            self._number += 1
            try:
                found = read_vevent(component, zones, self._owners)
            except (ValueError, OverflowError) as error:  # OverflowError: a date beyond year 9999
                problem = self._problem(component, str(error).rstrip("."))
                self.problems.append(problem)
                if problem.uid:
                    self._lose(unescape(component.value("UID")).strip(), problem)
                continue
            self._found.append(found)
            for reason in dict.fromkeys((*found.faults, *found.doubts)):
                self.problems.append(self._problem(component, reason, kept=True))
        self.unknown_zones |= zones.unknown
        self.unclear_zones |= zones.unclear - zones.unknown

    def _read_freebusy(self, component: Component, zones: ZoneNames) -> None:
        found = read_freebusy(component, zones.iana)
        self._busy.update((event.remote_id, event) for event in found.events)
        self._lost_busy |= found.lost_ids
        for reason in found.doubts:
            self.problems.append(self._problem(component, reason, kept=True))
        for reason in found.lost:
            self.problems.append(replace(self._problem(component, reason), summary="Busy time"))

    def events(self) -> list[CalendarEvent]:
        """One for each event of the file; different ones that share a UID, or an occurrence, are problems, too."""
        events = events_of(self._found)
        for sentence in (SHARED_UID, TWO_VERSIONS):
            shared = [event for event in events if sentence in event.unread]
            for event in shared[:MAX_FAULTS]:
                reason = sentence.rstrip(".")
                self.problems.append(
                    Problem("VEVENT", 0, event.ical_uid[:200], reason, True, 1, event.summary[:200])
                )
        return [*events, *self._busy.values()]

    def _lose(self, uid: str, problem: Problem) -> None:
        sentence = LEFT_OUT.format(problem.reason)
        self._lost[uid] = CalendarEvent(uid, summary=problem.summary, ical_uid=uid, unread=(sentence,))

    def unreadable(self, events: Collection[CalendarEvent]) -> list[CalendarEvent]:
        """One for each UID of what was left out, as a part of the event that has the UID where there is one; and for
        the busy times that were not clear, whose problems say so."""
        read = {event.ical_uid for event in events}
        lost = [part_lost(event) if event.ical_uid in read else event for event in self._lost.values()]
        return [*lost, *(CalendarEvent(name, ical_uid=name) for name in sorted(self._lost_busy))]

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
