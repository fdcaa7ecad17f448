"""A booking as its customer sees it: what, when, who, and the ways to put it into one's own calendar."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import reflex as rx

from calendar_app.services.bookings.queries import BookingView
from calendar_app.ui import formats
from calendar_app.ui.components import plain


@dataclass
class Appointment:
    """The facts of one booking, ready to be read. ``zone`` is the customer's, with its offset then."""

    id: str = ""
    title: str = ""
    status: str = ""
    day: str = ""
    time: str = ""
    zone: str = ""
    hosts: str = ""
    name: str = ""
    email: str = ""
    location: str = ""
    manage_path: str = ""
    ics_path: str = ""
    google_url: str = ""


def appointment(view: BookingView, *, hour12: bool) -> Appointment:
    """The booking in its customer's zone."""
    zone = formats.known_zone(view.timezone)
    local = view.start.astimezone(ZoneInfo(zone))
    return Appointment(
        id=view.id,
        title=view.title,
        status=view.status,
        day=formats.day(local.date()),
        time=formats.span(view.start, view.end, zone, hour12=hour12),
        zone=formats.zone_name(zone, view.start),
        hosts=", ".join(host.name for host in view.hosts),
        name=view.name,
        email=view.email,
        location=view.location,
        manage_path=f"/manage/{view.manage_token}",
        ics_path=f"/api/v1/bookings/{view.id}.ics?token={view.manage_token}",
        google_url=google_url(view.title, view.start, view.end, view.location),
    )


def google_url(title: str, start: datetime, end: datetime, location: str) -> str:
    """A link that opens Google Calendar with the event filled in (its documented-by-use TEMPLATE action)."""
    stamps = (f"{at.astimezone(UTC):%Y%m%dT%H%M%SZ}" for at in (start, end))
    query = {"action": "TEMPLATE", "text": title, "dates": "/".join(stamps)}
    if location:
        query["location"] = location
    return f"https://calendar.google.com/calendar/render?{urlencode(query)}"


def _fact(icon: str, label: str, *content: Any) -> rx.Component:
    return rx.flex(
        rx.icon(icon, size=18, aria_hidden="true", color=rx.color("gray", 11), flex_shrink="0"),
        rx.box(rx.el.span(label, class_name="visually-hidden"), *content, min_width="0"),
        spacing="3",
        align="start",
    )


def facts(booking: Any) -> rx.Component:
    """What has been agreed."""
    return rx.flex(
        _fact(
            "calendar",
            "What: ",
            rx.text(booking.title, size="3", weight="medium", class_name="wrap-anywhere"),
        ),
        _fact(
            "clock",
            "When: ",
            rx.text(booking.day, size="3"),
            rx.text(booking.time, size="3", class_name="tabular"),
            rx.text(booking.zone, size="2", color_scheme="gray"),
        ),
        _fact("user", "With: ", rx.text(booking.hosts, size="3")),
        _fact(
            "mail",
            "For: ",
            rx.text(booking.name, size="3", class_name="wrap-anywhere"),
            rx.text(booking.email, size="2", color_scheme="gray", class_name="wrap-anywhere"),
        ),
        rx.cond(
            booking.location != "",
            _fact("map-pin", "Where: ", rx.text(booking.location, size="3", class_name="wrap-anywhere")),
        ),
        direction="column",
        spacing="4",
    )


def add_links(booking: Any) -> rx.Component:
    """The ways into the customer's own calendar, for those whose mail program does not take invitations: the .ics has
    the invitation's UID, and Google's link makes an entry of its own."""
    return rx.flex(
        rx.text(
            "If the invitation in our e-mail has not entered it into your calendar already:",
            size="2",
            color_scheme="gray",
            width="100%",
        ),
        rx.button(
            plain.link(
                rx.icon("download", size=16, aria_hidden="true"),
                "Add to calendar (.ics)",
                href=booking.ics_path,
                download=True,
            ),
            as_child=True,
            variant="soft",
        ),
        rx.button(
            plain.link(
                "Google Calendar",
                rx.icon("external-link", size=14, aria_hidden="true"),
                href=booking.google_url,
                target="_blank",
                rel="noopener noreferrer",
            ),
            as_child=True,
            variant="soft",
            color_scheme="gray",
        ),
        spacing="3",
        wrap="wrap",
    )
