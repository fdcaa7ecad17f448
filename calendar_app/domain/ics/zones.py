"""The time zones of a calendar file: what a TZID (RFC 5545 §3.2.19) stands for.

A VTIMEZONE is a definition (§3.6.5): it gives the instants, and the zone carries it along
(:mod:`calendar_app.domain.recurrence.definition`). A zone of the IANA database stands for it where its name says so and
the two agree in all years that are ever expanded. Where they do not, a name that is exactly IANA's means both, and any
other name means the definition. Without a definition the name is all there is
(:mod:`calendar_app.domain.ics.zone_names`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache

from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON

from calendar_app.domain.ics.lines import Component, Line, unescape
from calendar_app.domain.ics.zone_names import named
from calendar_app.domain.recurrence.definition import (
    OR,
    PREFIX,
    Observance,
    changes_of,
    defined_zone,
    offset_of,
    readings,
)
from calendar_app.domain.recurrence.errors import RecurrenceError
from calendar_app.domain.recurrence.rule import parse_time
from calendar_app.domain.recurrence.wallclock import DAY, wall_seconds, zone_of
from calendar_app.domain.zones import is_zone, zone_names

MAX_DEFINITIONS = 200
"""How many definitions of a file are followed."""
MAX_LINES = 2_000
_FIRST, _LAST = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) for year in (2024, 2038))
"""The years in which a definition and an IANA zone are compared: none before is expanded, and many definitions say
nothing after."""
_PROBE = 14 * DAY  # no zone of the IANA database changes twice within so few days


class ZoneNames:
    """The TZIDs of one VCALENDAR, with the VTIMEZONEs it brings along.

    ``unknown`` collects the names for which nothing was found; their times are floating, that is read in the
    calendar's own zone, which beats losing the event. ``unclear`` collects those whose definition cannot be followed,
    so that their name decides.
    """

    def __init__(self, definitions: Mapping[str, Component], followed: set[str] | None = None) -> None:
        self._definitions = {_tidy(name): component for name, component in definitions.items()}
        self._followed = set() if followed is None else followed
        self._found: dict[str, str | None] = {}
        self.unknown: set[str] = set()
        self.unclear: set[str] = set()

    @classmethod
    def of(cls, calendar: Component, followed: set[str] | None = None) -> ZoneNames:
        """Those of a VCALENDAR; ``followed`` are the definitions that other parts of its file have brought along."""
        parts = [component for component in calendar.children if component.name == "VTIMEZONE"]
        return cls({component.value("TZID"): component for component in parts}, followed)

    def zone(self, tzid: str) -> str | None:
        """The zone that ``tzid`` stands for, as :func:`zone_of` reads it; ``None`` where nothing is known of it."""
        if tzid not in self._found:
            self._found[tzid] = self._find(tzid)
            if self._found[tzid] is None:
                self.unknown.add(tzid)
        return self._found[tzid]

    def iana(self, tzid: str) -> str | None:
        """The IANA zone that ``tzid`` stands for, or behaves like in the years of interest."""
        zone = self.zone(tzid) if tzid else None
        names = readings(zone)
        if exact := next((name for name in names if is_zone(name)), None):
            return exact
        return _behaving(names[0]) if names else None

    def _find(self, tzid: str) -> str | None:
        component = self._definitions.get(_tidy(tzid))
        if component is None:
            return named(tzid)
        definition = self._follow(tzid, component)
        location = unescape(component.value("X-LIC-LOCATION"))
        if definition is None:
            return named(tzid) or (named(location) if location else None)
        for name in (named(tzid), named(location)):
            if name is not None and is_zone(name) and _agree(definition, name):
                return name
        exact = _tidy(tzid)
        return f"{definition}{OR}{exact}" if is_zone(exact) else definition

    def _follow(self, tzid: str, component: Component) -> str | None:
        """The zone that a VTIMEZONE defines; ``None`` where it defines nothing, or cannot be followed."""
        parts = [part for part in component.children if part.name in ("STANDARD", "DAYLIGHT")]
        if not parts:
            return None
        try:
            if sum(len(part.lines) for part in parts) > MAX_LINES or len(self._followed) >= MAX_DEFINITIONS:
                raise RecurrenceError("There are too many time zones.")
            zone = defined_zone([observance for part in parts for observance in _observances(part)])
        except (RecurrenceError, KeyError, OverflowError):
            self.unclear.add(tzid)
            return None
        self._followed.add(zone)
        return zone


def _tidy(tzid: str) -> str:
    """A TZID as it is compared: it is TEXT in a VTIMEZONE (RFC 5545 §3.8.3.1), and often quoted in a parameter."""
    return " ".join(unescape(tzid).strip(" \t\"'").split())


def _observances(part: Component) -> list[Observance]:
    """What a STANDARD or DAYLIGHT part says (RFC 5545 §3.6.5). DTSTART is an onset, whether its rule has it or not.

    :raises RecurrenceError: it cannot be read. :raises KeyError: it lacks what it must have.
    """
    lines: dict[str, list[Line]] = {}
    for line in part.properties():
        if isinstance(line, Line):
            lines.setdefault(line.name, []).append(line)
    after = offset_of(lines["TZOFFSETTO"][0].value)
    before = offset_of(lines["TZOFFSETFROM"][0].value) if "TZOFFSETFROM" in lines else after

    def local(text: str) -> int:
        time = parse_time(text.partition("/")[0].strip())
        return wall_seconds(time.value) + (before if time.zone else 0)

    start = local(lines["DTSTART"][0].value)
    dates = [local(text) for line in lines.get("RDATE", ()) for text in line.value.split(",") if text.strip()]
    rules = [line.value for line in lines.get("RRULE", ()) if line.value.strip()]
    found = [Observance(before, after, (start,), rule) for rule in rules]
    if dates or not rules:
        found.append(Observance(before, after, tuple(dates) if rules else (start, *dates)))
    return found


@lru_cache(maxsize=1024)
def _agree(definition: str, name: str) -> bool:
    """Whether the two have the same offset at every instant of the years that are compared."""
    ours, theirs = zone_of(definition), zone_of(name)
    edges = (change.at for change in changes_of(definition) if _FIRST < change.at < _LAST)
    instants = [*range(_FIRST, _LAST, _PROBE), *(at - before for at in edges for before in (1, 0))]
    return all(ours.local(at) == theirs.local(at) for at in instants)


@lru_cache(maxsize=64)
def _behaving(definition: str) -> str | None:
    """The IANA zone that does what the definition does; of several, the one that Windows knows and the first."""
    if not definition.startswith(PREFIX):
        return None
    usual = dict.fromkeys(WINDOWS_TO_OLSON.values())
    return next(
        (name for name in (*usual, *sorted(zone_names() - usual.keys())) if _agree(definition, name)), None
    )
