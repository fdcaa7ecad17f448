"""Writes emails about bookings when they are sent, or finds that there is nothing to tell any more.

:class:`BookingWriter` writes what a row tells with the times, the SEQUENCE and the DTSTAMP of its version. What the
booking has left behind by then is not sent: the later version has a row of its own. Whoever never heard of a booking is
not told that it is off, and an invitation is withdrawn wherever it may have arrived.

The invitation that comes with the e-mail is the one entry in a customer's calendar: customers are attendees of no event
that we write (docs/decisions/0015). Whoever has a calendar into which the product writes the booking, a host or a
member who booked, gets no invitation, because two ways into one calendar make two events. Whoever was sent an
invitation is sent its updates and its cancellation, whatever changed meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select

from calendar_app import translations
from calendar_app.db.tables import (
    Booking,
    Calendar,
    CalendarWrite,
    Connection,
    EventType,
    Mail,
    Person,
    Workspace,
)
from calendar_app.domain.booking import Status, change_deadline
from calendar_app.domain.event import Attendee, EventStatus, Response
from calendar_app.domain.ics.writer import Appointment, Method, calendar_text
from calendar_app.domain.meeting_place import MADE_BY_CALENDARS, PlaceKind
from calendar_app.domain.phone import readable_phone
from calendar_app.domain.timespan import utc
from calendar_app.services.booking_emails import texts
from calendar_app.services.booking_emails.occasions import hosts_of
from calendar_app.services.booking_emails.texts import Facts, News
from calendar_app.services.common import signed_links
from calendar_app.services.event_types import answers as event_type_answers
from calendar_app.services.event_types.meeting_places import PlaceView, place_in_words, place_of
from calendar_app.services.mail import outbox as mail_outbox
from calendar_app.services.mail import rendering
from calendar_app.services.mail.look import look_of
from calendar_app.services.mail.outbox import Written
from calendar_app.settings import current_settings
from calendar_app.translations import Language


class BookingWriter:
    """Writes the emails about bookings (:class:`calendar_app.services.mail.outbox.Writer`)."""

    def choose(self, session: Session, row: Mail) -> str | None:
        """What goes along with the email, or ``None``: the booking has changed since, which another email tells; or
        the recipient has nothing to learn."""
        facts = row.facts or {}
        booking = session.get(Booking, row.booking_id)
        if booking is None or (booking.version, booking.sequence) != (row.version, row.sequence):
            return None
        if "host" in facts and session.get(Person, facts["host"]) is None:
            return None
        if facts["news"] == News.REMINDER:
            return ""
        earlier = _earlier(session, row)
        arrived = [one for one in earlier if _may_have_arrived(one)]
        is_off = News(facts["news"]) in texts.GONE
        if "guest" in facts and not arrived and (is_off or facts["status"] != Status.CONFIRMED):
            return None
        if is_off and earlier and not arrived and not _made_it(row, earlier):
            return None
        method = ""
        if row.ics_method or any(one.ics_method == Method.REQUEST for one in arrived):
            method = Method.CANCEL if is_off else Method.REQUEST
        elif "booker" in facts:
            method = ""
        elif facts["status"] == Status.CONFIRMED and not _writes_for(session, booking, row.recipient):
            method = Method.REQUEST
        return method if method or facts.get("told", True) else None

    def write(self, session: Session, row: Mail, now: datetime) -> Written:
        """The email, as its version of the booking has it; a reminder says what can be done now."""
        told = row.facts or {}
        booking = session.get_one(Booking, row.booking_id)
        hosts = hosts_of(session, booking)
        facts = _facts(session, booking, hosts, told)
        look = look_of(session, session.get_one(Workspace, booking.workspace_id))
        news = News(told["news"])
        if news is News.REMINDER:
            facts = replace(facts, now=now)
        names = facts.host_names or facts.business
        _ = facts.language.gettext
        if "host" in told:
            host = session.get_one(Person, told["host"])
            content = texts.for_host(news, facts, _attendee(host), host.timezone, is_new=told["is_new"])
            customer, url = facts.customer, facts.staff_url
            names = customer.name
            entered = (f"{label}: {value}" for label, value in texts.entered(facts))
            description = "\n".join((f"{customer.name} <{customer.email}>", *entered, url))
            reply_to = customer.email
        elif "guest" in told:
            facts = _for_guests(facts)
            content, url, description = texts.for_guest(news, facts), "", ""
            reply_to = facts.hosts[0].email if facts.hosts else ""
        else:
            reader = facts.booker if "booker" in told else None
            content, url = texts.for_customer(news, facts, reader), facts.manage_url
            description = _("To move or cancel it: %(link)s") % {"link": url}
            reply_to = facts.hosts[0].email if facts.hosts and news is not News.REMINDER else ""
        summary = texts.with_names(facts.title, names, facts.language)
        ics = _invitation(row, booking, facts, summary, description, url) if row.ics_method else ""
        html = rendering.html_of(content, facts.language, look)
        return Written(content.subject, rendering.text_of(content), ics, reply_to, html, look.logo)


def _earlier(session: Session, row: Mail) -> list[Mail]:
    """What the recipient was to be told of the booking before, reminders aside."""
    query = select(Mail).where(Mail.booking_id == row.booking_id, Mail.recipient == row.recipient)
    others = query.where(Mail.id != row.id, Mail.kind != mail_outbox.REMINDER)
    return [one for one in session.exec(others) if (one.version, one.sequence) <= (row.version, row.sequence)]


def _may_have_arrived(row: Mail) -> bool:
    """Whether its recipient may know it. What the release before queued goes out whatever happens."""
    return row.facts is None or row.state == mail_outbox.SENT or row.may_have_arrived


def _made_it(row: Mail, earlier: Iterable[Mail]) -> bool:
    """Whether the recipient made the booking, and so knows of it without any email."""
    is_customer = "host" not in (row.facts or {})
    return is_customer and any((one.facts or {}).get("by") == "customer" for one in earlier)


def _invitation(row: Mail, booking: Booking, facts: Facts, summary: str, description: str, url: str) -> str:
    """The iTIP message (RFC 5546) that keeps the recipient's calendar in step; none without a host who organizes."""
    if not facts.hosts:
        return ""
    stands = row.facts is not None and row.facts["status"] == Status.CONFIRMED
    status = EventStatus.CONFIRMED if stands else EventStatus.TENTATIVE
    method = Method(row.ics_method)
    appointment = Appointment(
        uid=booking.uid,
        sequence=row.sequence,
        status=EventStatus.CANCELLED if method is Method.CANCEL else status,
        start=facts.start,
        end=facts.end,
        stamp=facts.now,
        summary=summary,
        description=description,
        location=place_in_words(facts.place, for_host="host" in (row.facts or {}), _=facts.language.gettext),
        conference=facts.place.link,
        url=url,
        organizer=facts.hosts[0],
        attendees=(facts.customer, *facts.hosts, *(Attendee(guest) for guest in facts.guests)),
    )
    return calendar_text((appointment,), method)


def _writes_for(session: Session, booking: Booking, address: str) -> bool:
    """Whether the product keeps the booking in a calendar of the person with this e-mail address."""
    query = (
        select(Person.email, Connection.account_email)
        .join(Connection, col(Connection.person_id) == col(Person.id))
        .join(Calendar, col(Calendar.connection_id) == col(Connection.id))
        .join(CalendarWrite, col(CalendarWrite.calendar_id) == col(Calendar.id))
        .where(CalendarWrite.booking_id == booking.id, col(CalendarWrite.present).is_(True))
    )
    return any(address.lower() in (one.lower() for one in row) for row in session.exec(query))


def _attendee(host: Person) -> Attendee:
    return Attendee(host.email, host.name, Response.ACCEPTED)


def _facts(session: Session, booking: Booking, hosts: Sequence[Person], told: dict[str, Any]) -> Facts:
    """What there is to tell: ``told`` of the booking's version, and names as they are now."""
    event_type = session.get_one(EventType, booking.event_type_id)
    workspace = session.get_one(Workspace, booking.workspace_id)
    site = current_settings().public_url
    is_offered = event_type.is_public and event_type.is_active
    start = utc(told["start"])
    return Facts(
        language=_language(session, booking, workspace, told),
        title=event_type.title,
        business=workspace.name,
        start=start,
        end=utc(told["end"]),
        customer=Attendee(booking.email, booking.name, Response.ACCEPTED),
        customer_zone=told["zone"],
        hosts=tuple(_attendee(host) for host in hosts),
        place=_place(booking, told),
        guests=tuple(booking.guests),
        booker=Attendee(booking.booked_by_email, booking.booked_by_name) if booking.booked_by_email else None,
        phone=readable_phone(booking.phone),
        notes=booking.notes,
        answers=tuple(event_type_answers.answers_in_words(booking, event_type)),
        deadline=change_deadline(start, event_type.cancel_notice),
        manage_url=signed_links.url(booking.id),
        staff_url=f"{site}/bookings?booking={booking.id}",
        no_link=bool(booking.meeting_error),
        link_follows=booking.place_kind in MADE_BY_CALENDARS and _stands(told) and not booking.location,
        again_url=f"{site}/book/{workspace.slug}/{event_type.slug}" if is_offered else "",
        by=told["by"],
        reason=told.get("reason", ""),
        before=utc(told["before"]) if "before" in told else None,
        now=utc(told["now"]),
    )


def _language(session: Session, booking: Booking, workspace: Workspace, told: dict[str, Any]) -> Language:
    """A host reads the workspace's language, everybody else the customer's."""
    if "host" in told:
        return translations.of_tag(workspace.language, session.get_one(Person, told["host"]).timezone)
    return translations.of_tag(booking.language or workspace.language, told["zone"])


def _place(booking: Booking, told: dict[str, Any]) -> PlaceView:
    """Where it takes place, told while the booking stands."""
    return place_of(booking, told=_stands(told))


def _stands(told: dict[str, Any]) -> bool:
    return told["status"] == Status.CONFIRMED and News(told["news"]) not in texts.GONE


def _for_guests(facts: Facts) -> Facts:
    """Without what the customer typed, and without the number at which the customer is called."""
    place = PlaceView(facts.place.kind) if facts.place.kind == PlaceKind.HOST_CALLS else facts.place
    return replace(facts, customer=replace(facts.customer, name=""), place=place)
