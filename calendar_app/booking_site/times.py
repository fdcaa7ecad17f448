"""A month of days and the times of one of them: what a page shows of the slots that a service found."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from calendar_app.booking_site.visit import Visit
from calendar_app.domain.freebusy import StalePolicy
from calendar_app.domain.hosting import Slot
from calendar_app.domain.timespan import Span
from calendar_app.domain.zones import DAY, day_of, segments
from calendar_app.services.availability.slots import FreshnessView, SlotsView
from calendar_app.translations import formats, zones

Ask = Callable[[datetime, datetime], SlotsView]
"""The slots that start in ``[start, end)``, in the visitor's zone."""
LONGEST = timedelta(days=360)


@dataclass(frozen=True, slots=True)
class Day:
    """A cell of the month. ``link`` is empty where there are no times."""

    number: int
    label: str
    link: str = ""
    today: bool = False
    selected: bool = False


@dataclass(frozen=True, slots=True)
class Time:
    """A start that can be chosen: its instant in RFC 3339, how it reads, and the seats left, if that counts."""

    start: str
    label: str
    seats: int = 0


@dataclass(frozen=True, slots=True)
class Month:
    """``blanks``: cells before the first. ``day``: the chosen one, in words; empty: none. ``none``: why nothing is
    shown, ``month``, ``day`` or ``ever``. ``previous``, ``following``, ``first_free`` are links, empty where they lead
    nowhere."""

    title: str
    weekdays: tuple[tuple[str, str], ...]
    blanks: int
    days: tuple[Day, ...]
    day: str
    times: tuple[Time, ...]
    none: str
    previous: str
    following: str
    first_free: str
    zone: str
    zone_text: str
    freshness: str
    query: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Frame:
    """What can be turned to, in the visitor's zone."""

    zone: str
    today: date
    last: date

    def midnight(self, day: date) -> datetime:
        return datetime.combine(day, time(), ZoneInfo(self.zone))


def month(visit: Visit, path: str, ask: Ask, *, zone: str, horizon_days: int) -> Month:
    """The month that the visit asks for, or the first that has times, and the times of the day that it asks for, or of
    the first one. Links lead to ``path``."""
    today = visit.now.astimezone(ZoneInfo(zone)).date()
    frame = _Frame(zone, today, today + min(timedelta(days=horizon_days), LONGEST))
    first, view, days = _found(visit, frame, ask)
    shown = {day: slots for day, slots in days.items() if day.replace(day=1) == first}
    chosen = visit.day if visit.day in shown else None
    if chosen is None and visit.day is None and shown:
        chosen = min(shown)
    slots = shown.get(chosen, []) if chosen else []
    before, after = add_months(first, -1), add_months(first, 1)
    return Month(
        title=formats.month_title(first, visit.language.locale),
        weekdays=formats.weekdays(visit.language.locale),
        blanks=(first.weekday() - visit.language.locale.first_week_day) % 7,
        days=tuple(_cells(visit, path, first, shown, today, chosen)),
        day=formats.full_date(chosen, visit.language.locale) if chosen else "",
        times=tuple(_times(visit, slots, view, zone)),
        none=_why_none(visit, days, shown, chosen),
        previous=visit.link(path, month=f"{before:%Y-%m}") if first > today.replace(day=1) else "",
        following=visit.link(path, month=f"{after:%Y-%m}") if after <= frame.last else "",
        first_free=visit.link(path) if visit.month else "",
        zone=zone,
        zone_text=zones.described(zone, visit.now, visit.language.locale),
        freshness=freshness(view.freshness),
        query={
            "month": f"{first:%Y-%m}",
            "day": chosen.isoformat() if chosen else visit.params.get("day", ""),
        },
    )


def _found(visit: Visit, frame: _Frame, ask: Ask) -> tuple[date, SlotsView, dict[date, list[Slot]]]:
    """The month to show, slots that hold all of it, and the same by their day."""
    this, latest = frame.today.replace(day=1), frame.last.replace(day=1)
    if visit.month:
        wanted = min(max(visit.month, this), latest)
        view = ask(frame.midnight(wanted), frame.midnight(add_months(wanted, 1)))
        return wanted, view, _by_day(view)
    begun = add_months(this, 2)
    view = ask(visit.now, frame.midnight(begun))
    if not view.found and begun <= frame.last:
        view = ask(frame.midnight(begun), frame.midnight(frame.last + timedelta(days=1)))
    days = _by_day(view)
    return (min(days) if days else this).replace(day=1), view, days


def _by_day(view: SlotsView) -> dict[date, list[Slot]]:
    """Slots by the day on which they start. Days are counted with whole numbers: there may be thousands of slots, and
    only those of one day are shown."""
    numbered: dict[int, list[Slot]] = {}
    parts = iter(segments(view.zone, Span(view.window.start, view.window.end + 1)))
    part = next(parts)
    for slot in view.found:
        while slot.start >= part.end:
            part = next(parts)
        numbered.setdefault((slot.start + part.offset) // DAY, []).append(slot)
    return {day_of(number): slots for number, slots in numbered.items()}


def _cells(
    visit: Visit, path: str, first: date, shown: Collection[date], today: date, chosen: date | None
) -> list[Day]:
    cells, day, end = [], first, add_months(first, 1)
    while day < end:
        link = visit.link(path, month=f"{first:%Y-%m}", day=day.isoformat()) if day in shown else ""
        label = formats.full_date(day, visit.language.locale)
        cells.append(Day(day.day, label, link, day == today, day == chosen))
        day += timedelta(days=1)
    return cells


def _times(visit: Visit, slots: list[Slot], view: SlotsView, zone: str) -> list[Time]:
    locale, hour12, here = visit.language.locale, visit.hour12, ZoneInfo(zone)
    starts = [(slot.start, datetime.fromtimestamp(slot.start, here)) for slot in slots]
    return [
        Time(rfc3339(start), formats.clock(start, zone, locale, hour12), view.seats.get(at, 0))
        for at, start in starts
    ]


def _why_none(visit: Visit, days: Collection[date], shown: Collection[date], chosen: date | None) -> str:
    if chosen:
        return ""
    if shown:
        return "day"
    return "month" if visit.month or days else "ever"


def freshness(view: FreshnessView) -> str:
    """How far the times can be trusted: ``closed`` (some times are not offered until a calendar can be read), ``asks``
    (bookings wait for approval), ``old``, or empty."""
    policies = {calendar.policy for calendar in view.calendars if calendar.stale}
    if StalePolicy.CLOSE in policies:
        return "closed"
    if view.needs_approval:
        return "asks"
    return "old" if view.stale else ""


def rfc3339(moment: datetime) -> str:
    """``2026-12-03T09:30:00+01:00``, with the offset of the zone that it is in."""
    return moment.isoformat()


def add_months(day: date, months: int) -> date:
    """The first of the month that lies so many months after that of ``day``."""
    index = day.year * 12 + day.month - 1 + months
    return date(index // 12, index % 12 + 1, 1)
