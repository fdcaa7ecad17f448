"""Dates, times, lengths and zones in the reader's language and habits. Pure: the moment is a parameter."""

from __future__ import annotations

from datetime import date, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from babel import Locale, dates, numbers, units

from calendar_app.domain.zones import offset_at

_NARROW = "\u202f"


@lru_cache(maxsize=4096)
def _full_date(day: date, locale: Locale) -> str:
    return dates.format_date(day, "full", locale=locale)


def full_date(day: date, locale: Locale) -> str:
    """``Thursday, 3 December 2026``."""
    return _full_date(day, locale)


@lru_cache(maxsize=1024)
def short_date(day: date, locale: Locale) -> str:
    """``Thu, 3 Dec 2026``."""
    return dates.format_skeleton("yMMMEd", day, locale=locale)


@lru_cache(maxsize=1024)
def month_title(month: date, locale: Locale) -> str:
    """``December 2026``."""
    return dates.format_skeleton("yMMMM", month, locale=locale)


@lru_cache(maxsize=64)
def weekdays(locale: Locale) -> tuple[tuple[str, str], ...]:
    """Short and full names of the days, the first of the reader's week first."""
    short, full = (
        dates.get_day_names(width, context="stand-alone", locale=locale) for width in ("abbreviated", "wide")
    )
    order = [(locale.first_week_day + number) % 7 for number in range(7)]
    return tuple((short[day], full[day]) for day in order)


def counts_to_12(locale: Locale) -> bool:
    """Whether clocks of the locale count to twelve."""
    return "a" in locale.time_formats["short"].pattern


@lru_cache(maxsize=8192)
def _clock(hour: int, minute: int, locale: Locale, hour12: bool) -> str:
    moment = datetime(2026, 1, 1, hour, minute)  # noqa: DTZ001 - a clock time, of no day and no zone
    if hour12 == counts_to_12(locale):
        text = dates.format_time(moment.time(), "short", locale=locale)
    else:
        text = dates.format_skeleton("hm" if hour12 else "Hm", moment, locale=locale)
    return text.replace(_NARROW, " ")


def clock(moment: datetime, zone: str, locale: Locale, hour12: bool) -> str:
    """``09:30`` or ``9:30 AM``, in the zone."""
    local = moment.astimezone(ZoneInfo(zone))
    return _clock(local.hour, local.minute, locale, hour12)


def moment(at: datetime, zone: str, locale: Locale) -> str:
    """``Thursday, 3 December 2026, 09:30``, in the zone and as the locale counts hours."""
    day = full_date(at.astimezone(ZoneInfo(zone)).date(), locale)
    return f"{day}, {clock(at, zone, locale, counts_to_12(locale))}"


def span(start: datetime, end: datetime, zone: str, locale: Locale, hour12: bool) -> str:
    """``09:30 – 10:00``; the end's date is added when it is another day in the zone."""
    first, last = start.astimezone(ZoneInfo(zone)), end.astimezone(ZoneInfo(zone))
    tail = clock(end, zone, locale, hour12)
    if first.date() != last.date():
        tail = f"{dates.format_skeleton('MMMEd', last.date(), locale=locale)}, {tail}"
    return f"{clock(start, zone, locale, hour12)} – {tail}"


@lru_cache(maxsize=256)
def length(minutes: int, locale: Locale) -> str:
    """``30 min``, ``1 hr 30 min``, in the language's short forms."""
    days, rest = divmod(minutes, 1440)
    hours, rest = divmod(rest, 60)
    parts = [("day", days), ("hour", hours), ("minute", rest)]
    shown = [
        str(units.format_unit(number, f"duration-{name}", "short", locale=locale))
        for name, number in parts
        if number
    ]
    return " ".join(shown)


def number(value: int, locale: Locale) -> str:
    """``1,234``."""
    return numbers.format_decimal(value, locale=locale)


def offset(zone: str, at: datetime) -> str:
    """``GMT+1``, ``GMT-3:30``, ``GMT``: the offset of the zone at an instant."""
    minutes = offset_at(zone, int(at.timestamp())) // 60
    if not minutes:
        return "GMT"
    hours, rest = divmod(abs(minutes), 60)
    return f"GMT{'+' if minutes > 0 else '-'}{hours}{f':{rest:02d}' if rest else ''}"
