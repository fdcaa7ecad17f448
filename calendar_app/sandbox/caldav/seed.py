"""What the demonstration's CalDAV account has in it: two calendars, around whatever day it is made on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from icalendar import Calendar, Event, Timezone

ZONE = "Europe/Berlin"
PRODUCT = "-//Almanac//Sandbox//EN"


@dataclass(frozen=True, slots=True)
class SeedCalendar:
    """A collection: its folder's name, Radicale's properties of it, and its resources by file name."""

    name: str
    props: Mapping[str, str]
    events: Mapping[str, str]


def calendars(now: datetime) -> list[SeedCalendar]:
    """The account's calendars as of ``now``."""
    monday = now.date() - timedelta(days=now.date().weekday())
    personal = {
        "dentist": _single("dentist", "Dentist", monday + timedelta(days=8), time(15, 30), 45),
        "running": _weekly("running", "Running with Jo", monday, time(7, 0), 60, "TU"),
        "holiday": _all_day("holiday", "Long weekend", monday + timedelta(days=18), 3),
    }
    studio = {
        "standup": _weekly("standup", "Studio stand-up", monday, time(9, 15), 15, "MO,TU,WE,TH,FR"),
        "review": _single("review", "Review with Lena", monday + timedelta(days=9), time(11, 0), 90),
        "delivery": _single(
            "delivery", "Delivery of the new chairs", monday + timedelta(days=10), time(14, 0), 30
        ),
    }
    return [
        SeedCalendar("personal", _props("Personal", "#2f9e44ff"), _files(personal)),
        SeedCalendar("studio", _props("Studio", "#e8590cff"), _files(studio)),
    ]


def calendar_with(event: Event) -> Calendar:
    """A VCALENDAR with the one event."""
    calendar = Calendar()
    calendar.add("prodid", PRODUCT)
    calendar.add("version", "2.0")
    calendar.add_component(event)
    return calendar


def _props(name: str, color: str) -> dict[str, str]:
    zone = Calendar()
    zone.add("prodid", PRODUCT)
    zone.add("version", "2.0")
    zone.add_component(Timezone.from_tzid(ZONE, first_date=date(2024, 1, 1), last_date=date(2026, 1, 1)))
    return {
        "tag": "VCALENDAR",
        "D:displayname": name,
        "ICAL:calendar-color": color,
        "C:supported-calendar-component-set": "VEVENT",
        "C:calendar-timezone": zone.to_ical().decode(),
    }


def _files(events: Mapping[str, Event]) -> dict[str, str]:
    return {f"{name}.ics": calendar_with(event).to_ical().decode() for name, event in events.items()}


def _event(name: str, title: str) -> Event:
    event = Event()
    event.add("uid", f"{name}@sandbox.example")
    event.add("dtstamp", datetime(2026, 1, 1, tzinfo=ZoneInfo("UTC")))
    event.add("summary", title)
    return event


def _single(name: str, title: str, day: date, at: time, minutes: int) -> Event:
    event = _event(name, title)
    start = datetime.combine(day, at, ZoneInfo(ZONE))
    event.add("dtstart", start.astimezone(ZoneInfo("UTC")))
    event.add("dtend", (start + timedelta(minutes=minutes)).astimezone(ZoneInfo("UTC")))
    return event


def _weekly(name: str, title: str, day: date, at: time, minutes: int, days: str) -> Event:
    event = _event(name, title)
    first = next(
        day + timedelta(days=n) for n in range(7) if ("MO", "TU", "WE", "TH", "FR", "SA", "SU")[n] in days
    )
    start = datetime.combine(first, at, ZoneInfo(ZONE))
    event.add("dtstart", start)
    event.add("dtend", start + timedelta(minutes=minutes))
    event.add("rrule", {"freq": ["weekly"], "byday": days.split(",")})
    return event


def _all_day(name: str, title: str, day: date, days: int) -> Event:
    event = _event(name, title)
    event.add("dtstart", day)
    event.add("dtend", day + timedelta(days=days))
    return event
