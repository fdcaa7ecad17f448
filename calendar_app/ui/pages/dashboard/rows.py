"""The agenda as the dashboard shows it: days with their entries, the grid's events, and whom each host meets next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from calendar_app.domain.booking import HOLDING
from calendar_app.domain.phone import readable_phone
from calendar_app.services.bookings.views import BookingView
from calendar_app.services.event_types.meeting_places import place_in_words
from calendar_app.services.events.occurrences import OccurrenceView
from calendar_app.ui import formats

NO_COLOR = "var(--accent-9)"


@dataclass
class AgendaItem:
    """An entry of the list; ``detail`` is its place, ``html_link`` where it stands at its provider.

    ``status`` is a booking's, empty for an event; ``calendar`` is empty for a booking that no calendar has yet;
    ``person`` is whose it is.
    """

    id: str = ""
    title: str = ""
    time: str = ""
    detail: str = ""
    calendar: str = ""
    provider: str = ""
    color: str = ""
    booking_id: str = ""
    html_link: str = ""
    status: str = ""
    person_id: str = ""
    person: str = ""


@dataclass
class AgendaDay:
    """A day of the list that has something in it."""

    title: str
    events: list[AgendaItem] = field(default_factory=list)


@dataclass
class NextUp:
    """The booking that somebody hosts next. ``start`` is RFC 3339; ``link`` is where an online meeting is."""

    booking_id: str = ""
    title: str = ""
    customer: str = ""
    when: str = ""
    start: str = ""
    status: str = ""
    email: str = ""
    phone: str = ""
    phone_shown: str = ""
    place: str = ""
    link: str = ""


def color_of(view: OccurrenceView, colors: Mapping[str, str]) -> str:
    """The colour of an entry: its calendar's, of ``colors`` by calendar; a booking's own where it has no calendar."""
    if view.calendar_id and view.calendar_id in colors:
        return colors[view.calendar_id]
    if view.booking_status and view.event_color:
        return f"var(--{view.event_color}-9)"
    return view.color or NO_COLOR


def agenda_item(view: OccurrenceView, zone: str, hour12: bool, colors: Mapping[str, str]) -> AgendaItem:
    time = "All day" if view.all_day else formats.span(view.start, view.end, zone, hour12=hour12)
    return AgendaItem(
        id=view.id,
        title=view.title or "(no title)",
        time=time,
        detail=view.location,
        calendar=view.calendar_name,
        provider=view.provider,
        color=color_of(view, colors),
        booking_id=view.booking_id or "",
        html_link=view.html_link,
        status=view.booking_status,
        person_id=view.owner_id,
        person=view.owner_name,
    )


def first_day(view: OccurrenceView, zone: str) -> date:
    """The day under which an occurrence is listed."""
    return (
        view.start_date if view.all_day and view.start_date else view.start.astimezone(ZoneInfo(zone)).date()
    )


def agenda_days(
    views: Iterable[OccurrenceView], zone: str, hour12: bool, today: date, colors: Mapping[str, str]
) -> list[AgendaDay]:
    """Entries by day in ``zone``; what began earlier and still lasts stands under today."""
    days: dict[date, AgendaDay] = {}
    for view in views:
        day = max(first_day(view, zone), today)
        entry = days.setdefault(day, AgendaDay(formats.relative_day(day, today)))
        entry.events.append(agenda_item(view, zone, hour12, colors))
    return [days[day] for day in sorted(days)]


def grid_event(view: OccurrenceView, colors: Mapping[str, str]) -> dict[str, Any]:
    """An entry as FullCalendar reads it; all-day ones by date, so that no zone can shift them."""
    whole = view.all_day and view.start_date and view.end_date
    return {
        "id": view.id,
        "title": view.title or "(no title)",
        "start": view.start_date.isoformat() if whole else formats.rfc3339(view.start),
        "end": view.end_date.isoformat() if whole else formats.rfc3339(view.end),
        "allDay": bool(view.all_day),
        "editable": view.booking_status in HOLDING,
        "extendedProps": {
            "color": color_of(view, colors),
            "status": view.booking_status,
            "booking": view.booking_id if view.booking_status else "",
            "calendar": view.calendar_name,
            "busy": bool(view.busy),
            "people": list(view.people),
        },
    }


def next_up(bookings: Iterable[BookingView], zone: str, hour12: bool, now: datetime) -> dict[str, NextUp]:
    """By host the next of ``bookings``, which come in order; what goes on now counts until it is over."""
    found: dict[str, NextUp] = {}
    today = now.astimezone(ZoneInfo(zone)).date()
    for view in bookings:
        day = view.start.astimezone(ZoneInfo(zone)).date()
        row = NextUp(
            booking_id=view.id,
            title=view.title,
            customer=view.name,
            when=(
                f"{formats.relative_day(day, today)}, "
                f"{formats.span(view.start, view.end, zone, hour12=hour12)}"
            ),
            start=formats.rfc3339(view.start),
            status=view.status,
            email=view.email,
            phone=view.phone,
            phone_shown=readable_phone(view.phone),
            place="" if view.place.link else place_in_words(view.place, for_host=True),
            link=view.place.link,
        )
        for host in view.hosts:
            found.setdefault(host.id, row)
    return found
