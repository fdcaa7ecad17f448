"""From the zone names that calendar programs write to zones, where nothing but the name is to be had.

Known are IANA's names, Windows' (Exchange, Outlook) with the names under which Outlook shows them, paths that end in an
IANA name (Mozilla, Evolution), and offsets from UTC. A display name lists places, some of which the IANA database has,
in any language that spells them alike; the offset in front tells them from places of the same name.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache

from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON

from calendar_app.domain.recurrence.definition import OR, fixed_zone
from calendar_app.domain.recurrence.wallclock import DAY, zone_of
from calendar_app.domain.zones import zone_names

_FIXED = re.compile(r"\(?(?:utc|gmt|z)? ?([+-]) ?(\d{1,2})[:.]?(\d{2})?\)?")
_DISPLAYED = re.compile(r"\((?:utc|gmt) ?(?:([+-]) ?(\d{1,2})[:.]?(\d{2})?)?\) *(.+)")
_SUMMER, _WINTER = (56 * 365 + 200) * DAY, (56 * 365 + 20) * DAY
# What Windows shows for zones that it does not name after a place of the IANA database.
_PLACES = {
    "easterntimeuscanada": "America/New_York",
    "centraltimeuscanada": "America/Chicago",
    "mountaintimeuscanada": "America/Denver",
    "pacifictimeuscanada": "America/Los_Angeles",
    "atlantictimecanada": "America/Halifax",
    "aleutianislands": "America/Adak",
    "bajacalifornia": "America/Tijuana",
    "bougainvilleisland": "Pacific/Bougainville",
    "brasilia": "America/Sao_Paulo",
    "caboverdeis": "Atlantic/Cape_Verde",
    "capeverdeis": "Atlantic/Cape_Verde",
    "centralamerica": "America/Guatemala",
    "chathamislands": "Pacific/Chatham",
    "chetumal": "America/Cancun",
    "chokurdakh": "Asia/Srednekolymsk",
    "cityofbuenosaires": "America/Argentina/Buenos_Aires",
    "easterisland": "Pacific/Easter",
    "ekaterinburg": "Asia/Yekaterinburg",
    "gazahebron": "Asia/Gaza",
    "greenland": "America/Nuuk",
    "haiti": "America/Port-au-Prince",
    "indianaeast": "America/Indiana/Indianapolis",
    "kiritimatiisland": "Pacific/Kiritimati",
    "lordhoweisland": "Australia/Lord_Howe",
    "marquesasislands": "Pacific/Marquesas",
    "midwayislandsamoa": "Pacific/Pago_Pago",
    "norfolkisland": "Pacific/Norfolk",
    "nukualofa": "Pacific/Tongatapu",
    "portlouis": "Indian/Mauritius",
    "saintpierremiquelon": "America/Miquelon",
    "salvador": "America/Bahia",
    "samoa": "Pacific/Apia",
    "solomonisnewcaledonia": "Pacific/Guadalcanal",
    "srijayawardenepura": "Asia/Colombo",
    "turkscaicos": "America/Grand_Turk",
    "westcentralafrica": "Africa/Lagos",
    "yangonrangoon": "Asia/Yangon",
}


@lru_cache(maxsize=1024)
def named(tzid: str) -> str | None:
    """The zone that ``tzid`` stands for by its name alone, ``None`` if it says nothing.

    It may be two: an offset with a place that nobody knows may be with summer time or without.
    """
    name = " ".join(tzid.strip(" \t\"':").lower().split())
    if name in ("z", "tzone://microsoft/utc"):
        return "UTC"
    if found := _iana_names().get(name) or _windows_names().get(name):
        return found
    parts = name.split("/")
    for count in (3, 2):  # America/Argentina/Salta before Argentina/Salta
        if len(parts) > count and (found := _iana_names().get("/".join(parts[-count:]))):
            return found
    if fixed := _FIXED.fullmatch(name):
        return _fixed(*fixed.groups())
    return _displayed(name)


def _displayed(name: str) -> str | None:
    """The zone behind a name under which Outlook shows one: ``(UTC+01:00) Amsterdam, Berlin, …``."""
    match = _DISPLAYED.fullmatch(name)
    if match is None:
        return _PLACES.get(_letters(name))
    fixed = _fixed(match[1] or "+", match[2] or "0", match[3])
    if fixed is None or match[4].startswith("coordinated universal time"):
        return fixed
    offset = zone_of(fixed).local(0)
    places = [match[4], *re.split("[,;]", match[4])]
    zones = [zone for place in places for zone in _zones_of(_letters(place))]
    fitting = (zone for zone in zones if offset in (_at(zone, _SUMMER), _at(zone, _WINTER)))
    found = next(fitting, zones[0] if len(set(zones)) == 1 else None)
    return found or f"{fixed}{OR}{fixed_zone(offset + 3600)}"


def _at(zone: str, instant: int) -> int:
    return zone_of(zone).local(instant) - instant


def _fixed(sign: str, hours: str, minutes: str | None) -> str | None:
    offset = int(hours) * 3600 + int(minutes or 0) * 60
    if offset > 14 * 3600:
        return None
    return fixed_zone(-offset if sign == "-" else offset)


def _letters(text: str) -> str:
    return re.sub(r"\band\b|&amp;|[^a-z]", "", text)


@cache
def _iana_names() -> dict[str, str]:
    return {name.lower(): name for name in sorted(zone_names())}


@cache
def _windows_names() -> dict[str, str]:
    return {name.lower(): zone for name, zone in WINDOWS_TO_OLSON.items()}


@cache
def _places() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name in sorted(zone_names()):
        if "/" in name and not name.startswith("Etc/"):
            found.setdefault(_letters(name.rpartition("/")[2].lower()), []).append(name)
    return found


def _zones_of(place: str) -> list[str]:
    return [_PLACES[place]] if place in _PLACES else _places().get(place, [])
