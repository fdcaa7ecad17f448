"""A booking as its customer reads it, and the ways into the customer's own calendar."""

from __future__ import annotations

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from calendar_app.booking_site import places
from calendar_app.booking_site.visit import Visit
from calendar_app.domain import calendar_links
from calendar_app.domain.booking import HOLDING
from calendar_app.domain.phone import readable_phone
from calendar_app.services.bookings.views import BookingView
from calendar_app.services.event_types.meeting_places import place_in_words
from calendar_app.translations import formats, zones


@dataclass(frozen=True, slots=True)
class Facts:
    """``status`` is that of the booking, and ``over`` once it has begun. ``zone``: the customer's, with its offset.

    ``place`` is the kind of place or its name, ``link`` the address of an online meeting, ``where`` a line about other
    places; both are empty while the customer may not know.

    ``deadline``: until when the customer may change it, in words; empty where that is its start. ``changeable``: they
    still may. Links are addresses of this site, but the two of calendars elsewhere.
    """

    title: str
    business: str
    status: str
    over: bool
    day: str
    time: str
    zone: str
    hosts: str
    name: str
    email: str
    place: str
    where: str
    link: str
    phone: str
    booked_by: str
    guests: tuple[str, ...]
    notes: str
    manage: str
    ics: str
    google: str
    outlook: str
    deadline: str
    changeable: bool


def of(visit: Visit, view: BookingView) -> Facts:
    """The booking in its customer's zone, or the one that the address names."""
    zone = zone_of(visit, view)
    locale, hour12 = visit.language.locale, visit.hour12
    begins = view.start.astimezone(ZoneInfo(zone))
    holds = view.status in HOLDING and visit.now < view.start
    manage = f"/manage/{view.manage_token}"
    where = place_in_words(view.place, for_host=False, _=visit.language.gettext)
    return Facts(
        title=view.title,
        business=view.workspace_name,
        status=view.status,
        over=view.status in HOLDING and visit.now >= view.start,
        day=formats.full_date(begins.date(), locale),
        time=formats.span(view.start, view.end, zone, locale, hour12),
        zone=zones.described(zone, view.start, locale),
        hosts=", ".join(host.name for host in view.hosts),
        name=view.name,
        email=view.email,
        place=places.named(view.place.kind, view.place.label, visit.language.gettext),
        where=places.told(view.place, view.status, visit.language.gettext, link_follows=view.link_follows),
        link=view.place.link,
        phone=readable_phone(view.phone),
        booked_by=view.booked_by_name,
        guests=view.guests,
        notes=view.notes,
        manage=visit.link(manage, tz="", duration="", embed=""),
        ics=f"{manage}/booking.ics",
        google=calendar_links.google(view.title, view.start, view.end, where),
        outlook=calendar_links.outlook(view.title, view.start, view.end, where),
        deadline=_deadline(visit, view, zone) if holds else "",
        changeable=holds and visit.now <= view.change_deadline,
    )


def zone_of(visit: Visit, view: BookingView) -> str:
    """The zone that the address names, else the one that the booking was made in."""
    return zones.current(visit.params.get("tz", "")) or zones.current(view.timezone) or "UTC"


def _deadline(visit: Visit, view: BookingView, zone: str) -> str:
    if view.change_deadline == view.start:
        return ""
    day = view.change_deadline.astimezone(ZoneInfo(zone)).date()
    clock = formats.clock(view.change_deadline, zone, visit.language.locale, visit.hour12)
    return f"{formats.full_date(day, visit.language.locale)}, {clock}"
