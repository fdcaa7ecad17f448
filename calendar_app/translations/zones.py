"""Time zones by the names that people know: cities and countries, in the reader's language.

The list is ``zone.tab`` of the tz database, which holds the current name of each zone that a country uses and no
obsolete ones; ``tzdata.zi`` says which zone an obsolete name means. Names of cities and countries come from CLDR.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache, lru_cache
from importlib import resources

from babel import Locale
from babel.core import get_global

from calendar_app.domain.zones import is_zone
from calendar_app.translations import formats

MOST = 60
"""Places that one search shows."""
_NO_MATCH = 3
_MORE_CITIES = {
    "America/Chicago": "Houston, Dallas, Austin, Minneapolis",
    "America/Los_Angeles": "San Francisco, Seattle, San Diego, Las Vegas, Portland",
    "America/New_York": "Washington, Boston, Miami, Philadelphia, Atlanta",
    "America/Sao_Paulo": "Rio de Janeiro, Brasilia",
    "America/Toronto": "Montreal, Ottawa",
    "Asia/Kolkata": "Mumbai, Delhi, Bangalore, Chennai, Hyderabad",
    "Asia/Shanghai": "Beijing, Peking, Shenzhen, Guangzhou",
    "Asia/Tokyo": "Osaka, Kyoto",
    "Australia/Sydney": "Canberra",
    "Europe/Berlin": "Munich, München, Hamburg, Cologne, Köln, Frankfurt, Stuttgart, Leipzig",
    "Europe/Istanbul": "Ankara, Izmir",
    "Europe/London": "Manchester, Birmingham, Edinburgh, Glasgow",
    "Europe/Madrid": "Barcelona, Valencia, Sevilla",
    "Europe/Paris": "Lyon, Marseille",
    "Europe/Rome": "Milan, Mailand, Milano, Naples, Neapel",
    "Europe/Vienna": "Graz, Salzburg, Linz",
    "Europe/Warsaw": "Krakow",
    "Europe/Zurich": "Geneva, Genf, Basel, Bern",
}
"""Large cities that give no zone its name."""


@dataclass(frozen=True, slots=True)
class Place:
    """A zone as it is offered: ``Europe/Berlin``, ``Berlin``, ``Germany``."""

    zone: str
    city: str
    country: str


def _tz_file(name: str) -> list[str]:
    text = (resources.files("tzdata") / "zoneinfo" / name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


@cache
def _countries() -> Mapping[str, str]:
    """Current zones, and the country of each by its two letters."""
    rows = (line.split("\t") for line in _tz_file("zone.tab"))
    found = {row[2]: row[0] for row in rows}
    return {zone: country for zone, country in found.items() if is_zone(zone)}


@cache
def _renamed() -> Mapping[str, str]:
    """Obsolete names, and what they mean today."""
    links = [line.split() for line in _tz_file("tzdata.zi") if line.startswith("L ")]
    return {old: target for _, target, old in links if target in _countries() and old not in _countries()}


def current(zone: str) -> str:
    """The zone by its present name: ``Asia/Kolkata`` for ``Asia/Calcutta``. Empty: there is no such zone."""
    return _renamed().get(zone, zone) if is_zone(zone) else ""


@lru_cache(maxsize=2048)
def all_current() -> list[str]:
    """The present names of all zones that a country uses."""
    return sorted(_countries())


def place(zone: str, locale: Locale) -> Place:
    """The zone as a place."""
    code = _countries().get(zone, "")
    name = zone.rpartition("/")[2].replace("_", " ")
    alias = get_global("zone_aliases").get(zone, zone)
    known = locale.time_zones.get(zone) or locale.time_zones.get(alias) or {}
    return Place(zone, str(known.get("city", name)), str(locale.territories.get(code, "")) if code else "")


def described(zone: str, at: datetime, locale: Locale, *, until: datetime | None = None) -> str:
    """``Berlin, Germany (GMT+1)``; both offsets where they differ between ``at`` and ``until``."""
    found = place(zone, locale)
    where = f"{found.city}, {found.country}" if found.country else found.city
    offsets = dict.fromkeys(formats.offset(zone, moment) for moment in (at, until or at))
    return f"{where} ({' – '.join(offsets)})"


def search(text: str, locale: Locale) -> list[Place]:
    """Places whose city, country or zone begins with, or then contains, what was typed; all for an empty text."""
    wanted = _plain(text[:100].replace("_", " "))
    if not wanted:
        return list(_all(locale))
    ranked = [(_rank(wanted, _names(found.zone, locale)), found) for found in _all(locale)]
    matching = [entry for entry in ranked if entry[0] < _NO_MATCH]
    matching.sort(key=lambda entry: (entry[0], entry[1].city))
    return [found for _, found in matching[:MOST]]


def _rank(wanted: str, names: tuple[str, ...]) -> int:
    """How well a text matches: 0 is a whole name."""
    if wanted in names:
        return 0
    if any(name.startswith(wanted) for name in names):
        return 1
    return 2 if any(wanted in name for name in names) else _NO_MATCH


@lru_cache(maxsize=16)
def _all(locale: Locale) -> tuple[Place, ...]:
    found = [place(zone, locale) for zone in _countries()]
    return tuple(sorted(found, key=lambda each: (_plain(each.country), _plain(each.city))))


@lru_cache(maxsize=4096)
def _names(zone: str, locale: Locale) -> tuple[str, ...]:
    """What a zone can be found by, here and in English."""
    found = [place(zone, each) for each in (locale, Locale("en"))]
    texts = {zone.replace("_", " "), *(each.city for each in found), *(each.country for each in found)}
    texts |= {old.rpartition("/")[2].replace("_", " ") for old, new in _renamed().items() if new == zone}
    texts |= set(_MORE_CITIES.get(zone, "").split(", "))
    words = {word for text in texts for word in text.split()}
    return tuple(_plain(text) for text in texts | words if text)


def _plain(text: str) -> str:
    """Lower case without accents."""
    folded = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in folded if not unicodedata.combining(letter)).strip()
