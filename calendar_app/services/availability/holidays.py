"""Public holidays, and days away: what closes dates of a schedule besides its own exceptions.

Holidays come from the library ``holidays``, by country and subdivision (ISO 3166). It is loaded once somebody has
chosen a region: most processes never need it. An exception of the schedule wins over a holiday, so that who works on
one says so there; a day away wins over both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import Any

from calendar_app import translations
from calendar_app.domain.intake import clean_text
from calendar_app.domain.schedule import Schedule as WorkingHours
from calendar_app.errors import InvalidInput

MOST_SPANS, LONGEST_DAYS, LONGEST_NOTE = 100, 366, 200
_YEARS_BEFORE, _YEARS_AFTER = 1, 3
"""Years around the present one whose holidays are known to a schedule."""


@dataclass(frozen=True, slots=True)
class Region:
    """A country, or a part of one, whose holidays can be chosen; ``code`` as in ISO 3166."""

    code: str
    name: str


@dataclass(frozen=True, slots=True)
class Holiday:
    """A public holiday."""

    day: date
    name: str


def countries(language: str = "en") -> list[Region]:
    """Every country whose holidays are known, by name; ``language`` is a tag."""
    named = translations.of_tag(language).locale.territories
    found = [Region(code, named[code]) for code in _supported() if len(code) == 2 and code in named]
    return sorted(found, key=lambda region: region.name)


def subdivisions(country: str) -> list[Region]:
    """The parts of a country that have holidays of their own, by code."""
    return [Region(f"{country}-{part}", part) for part in _supported().get(country, ())]


def checked_region(text: object) -> str:
    """The region back. :raises InvalidInput: its holidays are not known."""
    region = str(text).upper()[:16]
    country, _, part = region.partition("-")
    if region and (country not in _supported() or (part and part not in _supported()[country])):
        raise InvalidInput("The holidays of this region are not known.", field="holidays")
    return region


def checked_away(spans: object) -> list[dict[str, str]]:
    """Spans of days away, by their first day. :raises InvalidInput: naming the one that means nothing."""
    if not isinstance(spans, list | tuple) or len(spans) > MOST_SPANS:
        raise InvalidInput(f"Days away are a list of at most {MOST_SPANS}.", field="away")
    return sorted((_span(span, f"away[{at}]") for at, span in enumerate(spans)), key=lambda one: one["first"])


def holidays_of(region: str, years: Iterable[int]) -> list[Holiday]:
    """The region's public holidays in some years, in English, by date; none for no region."""
    found = [day for year in years for day in _of_year(region, year)] if region else []
    return sorted(found, key=lambda holiday: holiday.day)


def coming(region: str, today: date, *, days: int = 366) -> list[Holiday]:
    """The region's holidays from ``today`` on."""
    until = today + timedelta(days=days)
    return [
        one for one in holidays_of(region, range(today.year, until.year + 1)) if today <= one.day <= until
    ]


def as_schedule(
    zone: str,
    weekly: object,
    overrides: object,
    region: str,
    away: Sequence[Mapping[str, str]],
    year: int,
) -> WorkingHours:
    """A stored schedule as the engine reads it, with holidays and days away closed. ``year`` is the present one."""
    if not region and not away:
        return WorkingHours.from_json({"weekly": weekly, "overrides": overrides}, zone)
    closed: dict[str, Any] = {
        holiday.day.isoformat(): []
        for holiday in holidays_of(region, range(year - _YEARS_BEFORE, year + _YEARS_AFTER + 1))
    }
    if isinstance(overrides, Mapping):
        closed |= overrides
    for span in away:
        closed |= {day.isoformat(): [] for day in _days(span)}
    return WorkingHours.from_json({"weekly": weekly, "overrides": closed}, zone)


def _span(span: object, part: str) -> dict[str, str]:
    if not isinstance(span, Mapping):
        raise InvalidInput("A span has a first and a last day.", field=part)
    try:
        first, last = (date.fromisoformat(str(span.get(name, ""))) for name in ("first", "last"))
    except ValueError:
        raise InvalidInput("Enter the first and the last day.", field=part) from None
    if not timedelta() <= last - first <= timedelta(days=LONGEST_DAYS):
        raise InvalidInput(
            f"The last day is not before the first, and at most {LONGEST_DAYS} days later.", field=part
        )
    note = clean_text(span.get("note", ""), f"{part}.note", LONGEST_NOTE)
    return {"first": first.isoformat(), "last": last.isoformat(), "note": note}


def _days(span: Mapping[str, str]) -> list[date]:
    first, last = date.fromisoformat(span["first"]), date.fromisoformat(span["last"])
    return [first + timedelta(days=at) for at in range((last - first).days + 1)]


@lru_cache(maxsize=1)
def _supported() -> dict[str, tuple[str, ...]]:
    import holidays  # a large library, which most processes do not need

    return {code: tuple(parts) for code, parts in holidays.list_supported_countries().items()}


@lru_cache(maxsize=512)
def _of_year(region: str, year: int) -> tuple[Holiday, ...]:
    import holidays  # as above

    country, _, part = region.partition("-")
    found = holidays.country_holidays(country, subdiv=part or None, years=year, language="en_US")
    return tuple(Holiday(day, name) for day, name in sorted(found.items()) if day.year == year)
