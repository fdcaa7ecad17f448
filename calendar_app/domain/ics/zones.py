"""From the zone names that calendar programs write to names of the IANA database.

A TZID is any text (RFC 5545 §3.2.19); what it means stands in a VTIMEZONE. Known names are recognised by name: IANA's,
Windows' (Exchange, Outlook), and paths that end in an IANA name (Mozilla, Evolution). Others are recognised by what
their VTIMEZONE does, compared with every IANA zone over some years.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache, lru_cache
from zoneinfo import available_timezones

from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON

from calendar_app.domain.ics.lines import Component, Line, unescape
from calendar_app.domain.recurrence.errors import RecurrenceError
from calendar_app.domain.recurrence.generate import Recurrence
from calendar_app.domain.recurrence.rule import parse_rule, parse_time
from calendar_app.domain.recurrence.wallclock import DAY, wall_seconds, zone_of

_OFFSET = re.compile(r"([+-])(\d{2})(\d{2})(\d{2})?")
_FIXED = re.compile(r"(?:UTC|GMT|Z)? ?([+-])(\d{1,2})(?::?00)?", re.IGNORECASE)
_EPISODES = (19_723, 16_071)  # 2024-01-01; 2014-01-01, for definitions that no longer hold anywhere
_PROBES = 157  # once a week for three years
_MAX_ONSETS = 64


class ZoneNames:
    """The TZIDs of one VCALENDAR, with the VTIMEZONEs it brings along.

    ``unknown`` collects the names for which nothing was found; their times are floating, that is read in the
    calendar's own zone, which beats losing the event.
    """

    def __init__(self, definitions: Mapping[str, Component]) -> None:
        self._definitions = definitions
        self._found: dict[str, str | None] = {}
        self.unknown: set[str] = set()

    @classmethod
    def of(cls, calendar: Component) -> ZoneNames:
        """Those of a VCALENDAR."""
        return cls({unescape(c.value("TZID").strip()): c for c in calendar.children if c.name == "VTIMEZONE"})

    def zone(self, tzid: str) -> str | None:
        """The zone that ``tzid`` stands for."""
        return self.iana(tzid)

    def iana(self, tzid: str) -> str | None:
        """The IANA name that ``tzid`` stands for, or ``None``."""
        if tzid not in self._found:
            name = _named(tzid)
            if name is None and tzid in self._definitions:
                name = _defined(self._definitions[tzid])
            self._found[tzid] = name
            if name is None:
                self.unknown.add(tzid)
        return self._found[tzid]


@cache
def _iana_names() -> dict[str, str]:
    return {name.lower(): name for name in sorted(available_timezones())}


@cache
def _windows_names() -> dict[str, str]:
    return {name.lower(): zone for name, zone in WINDOWS_TO_OLSON.items()}


@lru_cache(maxsize=1024)
def _named(tzid: str) -> str | None:
    name = tzid.strip(" \t\"':").lower()
    if name in ("z", "tzone://microsoft/utc"):
        return "UTC"
    if found := _iana_names().get(name) or _windows_names().get(name):
        return found
    parts = name.split("/")
    for count in (3, 2):  # America/Argentina/Salta before Argentina/Salta
        if len(parts) > count and (found := _iana_names().get("/".join(parts[-count:]))):
            return found
    fixed = _FIXED.fullmatch(name)
    if fixed:  # Etc names have the opposite sign: POSIX counts west of Greenwich
        return _iana_names().get(f"etc/gmt{'-' if fixed[1] == '+' else '+'}{int(fixed[2])}")
    return None


def _defined(definition: Component) -> str | None:
    """The IANA zone that a VTIMEZONE describes."""
    location = definition.value("X-LIC-LOCATION").strip().lower()
    if location in _iana_names():
        return _iana_names()[location]
    for first in _EPISODES:
        offsets = _offsets_of(definition, first)
        if offsets is None:
            return None
        if found := _behaving(offsets, first):
            return found
    return None


def _offsets_of(definition: Component, first: int) -> tuple[int, ...] | None:
    """The offsets a VTIMEZONE gives at the probes from day ``first`` on, or ``None`` where it cannot be followed."""
    onsets: list[tuple[int, int]] = []
    try:
        for part in definition.children:
            onsets += _onsets(part, first)
    except (RecurrenceError, KeyError):
        return None
    if not onsets:
        return None
    onsets.sort()
    return tuple(
        next((offset for at, offset in reversed(onsets) if at <= instant), onsets[0][1])
        for instant in _probes(first)
    )


def _probes(first: int) -> range:
    return range(first * DAY, (first + 7 * _PROBES) * DAY, 7 * DAY)


def _onsets(part: Component, first: int) -> list[tuple[int, int]]:
    """Instants from which a STANDARD or DAYLIGHT part holds, with its offset; only those that the probes can see."""
    lines = {line.name: line for line in part.properties() if isinstance(line, Line)}
    before, after = (_seconds(lines[name].value) for name in ("TZOFFSETFROM", "TZOFFSETTO"))
    start = wall_seconds(parse_time(lines["DTSTART"].value.strip()).value)
    found = [start]
    if "RRULE" in lines:
        rule = parse_rule(lines["RRULE"].value)
        end = _probes(first)[-1]
        if rule.until is not None:
            end = min(end, wall_seconds(rule.until.value) + DAY)
        for chunk in Recurrence(rule, start).between(min(end, first * DAY) - 732 * DAY, end):
            found += chunk
            if len(found) > _MAX_ONSETS:
                raise RecurrenceError("A time zone does not change that often.")
    for line in part.properties():
        if isinstance(line, Line) and line.name == "RDATE":
            found += [
                wall_seconds(parse_time(value.strip()).value)
                for value in line.value.split(",")[-_MAX_ONSETS:]
            ]
    return [(local - before, after) for local in found]


def _seconds(text: str) -> int:
    match = _OFFSET.fullmatch(text.strip())
    if match is None:
        raise RecurrenceError(f"This is not an offset: {text[:20]!r}.")
    seconds = int(match[2]) * 3600 + int(match[3]) * 60 + int(match[4] or 0)
    return -seconds if match[1] == "-" else seconds


@lru_cache(maxsize=64)
def _behaving(offsets: tuple[int, ...], first: int) -> str | None:
    """The IANA zone with these offsets at the probes; of several, the one that Windows knows and the first."""
    usual = dict.fromkeys(WINDOWS_TO_OLSON.values())
    for name in (*usual, *sorted(available_timezones() - usual.keys())):
        zone = zone_of(name)
        if all(zone.local(at) - at == offset for at, offset in zip(_probes(first), offsets, strict=True)):
            return name
    return None
