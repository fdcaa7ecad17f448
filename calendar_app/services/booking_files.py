"""A booking as an iCalendar file (RFC 5545), with what its reader may know.

The customer's file is for their own calendar: who they meet, where, and the link to change it. Staff get who is coming
and what was answered. Both carry the booking's UID and SEQUENCE, so importing a later file updates the entry made by an
earlier one (RFC 5546 §2.1.5), and a cancelled booking says so.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import icalendar

from calendar_app.domain.booking import HOLDING, Status
from calendar_app.services.booking_views import BookingView
from calendar_app.settings import get_settings

_STATES = {Status.PENDING: "TENTATIVE", Status.CANCELLED: "CANCELLED", Status.DECLINED: "CANCELLED"}


def ics(view: BookingView, *, staff: bool, now: datetime | None = None) -> bytes:
    """The file, UTF-8 with CRLF. Times are written in UTC, which every calendar shows in its reader's zone."""
    calendar = icalendar.Calendar()
    calendar.add("prodid", "-//Almanac//Bookings//EN")
    calendar.add("version", "2.0")
    calendar.add("method", "PUBLISH")
    event = icalendar.Event()
    event.add("uid", view.uid)
    event.add("sequence", view.sequence)
    event.add("dtstamp", (now or datetime.now(UTC)).replace(microsecond=0))
    event.add("created", view.created_at.replace(microsecond=0))
    event.add("dtstart", view.start)
    event.add("dtend", view.end)
    event.add("summary", _summary(view, staff=staff))
    event.add("description", _description(view, staff=staff))
    event.add("status", _STATES.get(Status(view.status), "CONFIRMED"))
    event.add("transp", "OPAQUE" if view.status in HOLDING else "TRANSPARENT")
    if view.location:
        event.add("location", view.location)
    if not staff:
        event.add("url", view.manage_url)
    if view.status in HOLDING:
        alarm = icalendar.Alarm()
        alarm.add("action", "DISPLAY")
        alarm.add("description", _summary(view, staff=staff))
        alarm.add("trigger", timedelta(minutes=-15))
        event.add_component(alarm)
    calendar.add_component(event)
    return bytes(calendar.to_ical())


def _summary(view: BookingView, *, staff: bool) -> str:
    others = view.name if staff else ", ".join(host.name for host in view.hosts) or view.workspace_name
    return f"{view.title} with {others}"


def _description(view: BookingView, *, staff: bool) -> str:
    if not staff:
        return f"Booked with {view.workspace_name}.\nChange or cancel: {view.manage_url}"
    lines = [f"{view.name} <{view.email}>", f"Time zone of the guest: {view.timezone}"]
    lines += [f"{label}: {answer}" for label, answer in view.answers_in_words]
    lines.append(f"Booking: {get_settings().public_url}/bookings?booking={view.id}")
    return "\n".join(lines)
