"""A booking as an iCalendar file (RFC 5545), with what its reader may know.

=========  =========================================================================================================
reader     what the file says
=========  =========================================================================================================
customer   whom they meet, where, and the link to change it
staff      who is coming, from which time zone, what was answered, and where to look after it
manager    also who hosts it, and who called it off and why
admin      also how far each calendar has come with it
=========  =========================================================================================================

All carry the booking's UID and SEQUENCE, so that a later file updates the entry made by an earlier one (RFC 5546
§2.1.5), and a cancelled booking says so. ORGANIZER, which PUBLISH asks for (RFC 5546 §3.2.1), is the host who stands
in the invitation, too. Downloads and private feeds are made here alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from calendar_app import translations
from calendar_app.domain.booking import HOLDING, Status
from calendar_app.domain.calendar_write import WriteState
from calendar_app.domain.event import Attendee, EventStatus
from calendar_app.domain.ics.writer import Appointment, Method, calendar_text
from calendar_app.domain.phone import readable_phone
from calendar_app.services.bookings.views import BookingView
from calendar_app.services.common.permissions import Role
from calendar_app.services.event_types.meeting_places import place_in_words
from calendar_app.settings import current_settings

_ALARM_MINUTES = 15
_STATES = {
    Status.PENDING: EventStatus.TENTATIVE,
    Status.CANCELLED: EventStatus.CANCELLED,
    Status.DECLINED: EventStatus.CANCELLED,
}
Translate = Callable[[str], str]


def ics(view: BookingView, reader: Role) -> bytes:
    """The file, UTF-8 with CRLF. Times are written in UTC, which every calendar shows in its reader's zone."""
    return calendar_text((appointment(view, reader),), Method.PUBLISH).encode()


def appointment(view: BookingView, reader: Role, *, alarm: bool = True) -> Appointment:
    """The booking for one reader; the same from one reading to the next, as long as nothing changes."""
    staff = reader >= Role.STAFF
    tag = view.workspace_language if staff else view.language or view.workspace_language
    _ = translations.of_tag(tag, view.timezone).gettext
    return Appointment(
        uid=view.uid,
        sequence=view.sequence,
        status=_STATES.get(Status(view.status), EventStatus.CONFIRMED),
        start=view.start,
        end=view.end,
        stamp=view.changed_at,
        summary=_summary(view, _, staff=staff),
        description="\n".join(_for_staff(view, reader, _) if staff else _for_customer(view, _)),
        location=place_in_words(view.place, for_host=staff, _=_),
        conference=view.place.link,
        url=_booking_url(view) if staff else view.manage_url,
        organizer=Attendee(view.hosts[0].email, view.hosts[0].name) if view.hosts else None,
        created=view.created_at,
        busy=view.status in HOLDING,
        alarm=_ALARM_MINUTES if alarm and view.status in HOLDING else 0,
    )


def _summary(view: BookingView, _: Translate, *, staff: bool) -> str:
    others = view.name if staff else ", ".join(host.name for host in view.hosts) or view.workspace_name
    return _("%(title)s with %(names)s") % {"title": view.title, "names": others}


def _booking_url(view: BookingView) -> str:
    return f"{current_settings().public_url}/bookings?booking={view.id}"


def _for_customer(view: BookingView, _: Translate) -> Iterator[str]:
    yield _("Booked with %(business)s.") % {"business": view.workspace_name}
    if view.place.link:
        yield _("Join: %(link)s") % {"link": view.place.link}
    elif view.link_follows:
        yield _("The link follows by e-mail.")
    yield _("To move or cancel it: %(link)s") % {"link": view.manage_url}


def _for_staff(view: BookingView, reader: Role, _: Translate) -> Iterator[str]:
    yield f"{view.name} <{view.email}>"
    yield _("Time zone of the customer: %(zone)s") % {"zone": view.timezone}
    yield from entered(view, _)
    for label, answer in view.answers_in_words:
        yield f"{label}: {answer}"
    if reader >= Role.MANAGER:
        yield _("Hosts: %(names)s") % {"names": ", ".join(host.name for host in view.hosts)}
        if view.cancelled_at is not None:
            reason = f": {view.cancel_reason}" if view.cancel_reason else ""
            by = view.cancelled_by or _("the customer")
            yield _("Cancelled by %(person)s") % {"person": by} + reason
    if reader >= Role.ADMIN:
        for receipt in view.sync:
            yield _written(receipt.state, _) % {"calendar": receipt.calendar, "account": receipt.account}
    yield _("Booking: %(link)s") % {"link": _booking_url(view)}


def _written(state: str, _: Translate) -> str:
    match state:
        case WriteState.WRITTEN | WriteState.VERIFIED:
            return _("It is in “%(calendar)s” (%(account)s).")
        case WriteState.REMOVED:
            return _("It was taken out of “%(calendar)s” (%(account)s).")
        case WriteState.FAILED:
            return _("It could not be put into “%(calendar)s” (%(account)s).")
        case _state:
            return _("It is on its way to “%(calendar)s” (%(account)s).")


def entered(view: BookingView, _: Translate = str) -> Iterator[str]:
    """What was entered beside name and answers, a line each."""
    rows = [
        (_("Phone"), readable_phone(view.phone)),
        (_("Booked by"), f"{view.booked_by_name} <{view.booked_by_email}>" if view.booked_by_email else ""),
        (_("Guests"), ", ".join(view.guests)),
        (_("Notes"), view.notes),
    ]
    for label, value in rows:
        if value:
            yield f"{label}: {value}"
