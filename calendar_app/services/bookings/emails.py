"""Which letter goes to whom on which occasion.

Everything here queues in the caller's transaction (:func:`calendar_app.services.mail.outbox.queue`): if that rolls
back, nobody hears of what never happened. The invitation that comes with the e-mail is the one entry in a customer's
calendar: customers are attendees of no event that we write (docs/decisions/0015). Whoever has a calendar into which the
product writes the booking, a host or a member who booked, gets no invitation, because two ways into one calendar make
two events.
Whoever was sent an invitation is sent its updates and its cancellation, whatever changed meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from sqlmodel import Session, col, select

from calendar_app.db.tables import (
    Booking,
    BookingHost,
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
from calendar_app.services.bookings import email_texts
from calendar_app.services.bookings.email_texts import Facts, News, Text
from calendar_app.services.common import signed_links
from calendar_app.services.common.permissions import Actor
from calendar_app.services.event_types import answers as event_type_answers
from calendar_app.services.mail import outbox as mail_outbox
from calendar_app.services.mail.outbox import Draft
from calendar_app.settings import get_settings


class Occasion(StrEnum):
    """What happened to a booking; its status says whether it waits for approval afterwards."""

    BOOKED = "booked"
    APPROVED = "approved"
    MOVED = "moved"
    DECLINED = "declined"
    CANCELLED = "cancelled"


OF_STATUS = {
    Status.CONFIRMED: Occasion.APPROVED,
    Status.DECLINED: Occasion.DECLINED,
    Status.CANCELLED: Occasion.CANCELLED,
}
"""What it is called when a booking comes into a state; the other states are nobody's news."""
_NEWS = {
    Occasion.BOOKED: (News.CONFIRMED, News.REQUESTED),
    Occasion.APPROVED: (News.CONFIRMED, News.CONFIRMED),
    Occasion.MOVED: (News.MOVED, News.MOVE_REQUESTED),
    Occasion.DECLINED: (News.DECLINED, News.DECLINED),
    Occasion.CANCELLED: (News.CANCELLED, News.CANCELLED),
}
"""What to tell, and what while the booking is pending."""


def booking_changed(
    session: Session,
    booking: Booking,
    occasion: Occasion,
    *,
    by: str = "customer",
    actor: Actor | None = None,
    reason: str = "",
    before: datetime | None = None,
    now: datetime | None = None,
) -> int:
    """Queue every letter that ``occasion`` calls for, and keep the reminders in step; how many letters are new.

    Call it in the transaction that changed the booking, after its calendar writes were planned. ``by``: ``customer``,
    ``staff`` or ``system``; ``actor``: the member who did it, who is not told of it. ``reason``: what was
    said about a cancellation or refusal; ``before``: the start that a moved booking had.
    """
    now = now or datetime.now(UTC)
    news = _NEWS[occasion][booking.status == Status.PENDING]
    event_type = session.get_one(EventType, booking.event_type_id)
    hosts = _hosts(session, booking)
    facts = _facts(session, booking, event_type, hosts, by=by, reason=reason, before=before, now=now)
    change = _Change(session, booking, facts, news)
    count = int(_to_customer(change))
    for host in hosts:
        told = actor is None or actor.person_id != host.id
        count += _to_host(change, host, told=told, is_new=occasion is Occasion.BOOKED)
    if occasion is not Occasion.BOOKED:
        mail_outbox.drop_reminders(session, booking.id)
    if booking.status == Status.CONFIRMED:
        count += _reminders(change, event_type.reminders)
    return count


@dataclass(frozen=True, slots=True)
class _Change:
    """One change of one booking, to be told to several people."""

    session: Session
    booking: Booking
    facts: Facts
    news: News

    def queue(
        self,
        kind: str,
        recipient: str,
        text: Text,
        invitation: _Invitation | None = None,
        *,
        reply_to: str = "",
        detail: str = "",
        at: datetime | None = None,
    ) -> bool:
        occasion = f"{kind}{detail}:{self.booking.sequence}"
        return mail_outbox.queue(
            self.session,
            Draft(
                workspace_id=self.booking.workspace_id,
                booking_id=self.booking.id,
                kind=kind,
                dedupe=f"{self.booking.id}:{occasion}:{recipient}",
                recipient=recipient,
                subject=text.subject,
                body=text.body,
                ics=invitation.ics if invitation else "",
                ics_method=invitation.method if invitation else "",
                reply_to=reply_to,
                at=at,
            ),
        )

    def invitation(
        self, recipient: str, summary: str, description: str, url: str, *, wanted: bool
    ) -> _Invitation | None:
        """The iTIP message that keeps the recipient's calendar in step, or ``None`` where nothing is to be done.

        ``wanted``: a recipient who was sent none yet gets one, if the booking stands.
        """
        known = select(Mail.id).where(
            Mail.booking_id == self.booking.id, Mail.recipient == recipient, Mail.ics_method == Method.REQUEST
        )
        stands = self.booking.status == Status.CONFIRMED
        if not (wanted and stands) and self.session.exec(known).first() is None:
            return None
        status = EventStatus.CONFIRMED if stands else EventStatus.TENTATIVE
        gone = self.news in email_texts.GONE
        method = Method.CANCEL if gone else Method.REQUEST
        facts = self.facts
        appointment = Appointment(
            uid=self.booking.uid,
            sequence=self.booking.sequence,
            status=EventStatus.CANCELLED if gone else status,
            start=facts.start,
            end=facts.end,
            stamp=facts.now,
            summary=summary,
            description=description,
            location=facts.location,
            url=url,
            organizer=facts.hosts[0] if facts.hosts else None,
            attendees=(facts.customer, *facts.hosts),
        )
        return _Invitation(calendar_text((appointment,), method), method) if facts.hosts else None


@dataclass(frozen=True, slots=True)
class _Invitation:
    ics: str
    method: Method


def _to_customer(change: _Change) -> bool:
    facts, url = change.facts, change.facts.manage_url
    address = facts.customer.email
    names = ", ".join(host.name or host.email for host in facts.hosts) or facts.business
    invitation = change.invitation(
        address,
        f"{facts.title} with {names}",
        f"To move or cancel it: {url}",
        url,
        wanted=not _writes_for(change.session, change.booking, address),
    )
    text = email_texts.for_customer(change.news, facts)
    reply_to = facts.hosts[0].email if facts.hosts else ""
    return change.queue(f"customer_{change.news}", address, text, invitation, reply_to=reply_to)


def _to_host(change: _Change, host: Person, *, told: bool, is_new: bool) -> bool:
    """``told``: the host has to be told in words, and not only to be sent what a calendar needs."""
    facts, url = change.facts, change.facts.staff_url
    customer = facts.customer
    invitation = change.invitation(
        host.email,
        f"{facts.title} with {customer.name}",
        f"{customer.name} <{customer.email}>\n{url}",
        url,
        wanted=not _writes_for(change.session, change.booking, host.email),
    )
    if not told and invitation is None:
        return False
    is_new = is_new and change.news is News.CONFIRMED
    text = email_texts.for_host(change.news, facts, _attendee(host), host.timezone, is_new=is_new)
    return change.queue(f"host_{change.news}", host.email, text, invitation, reply_to=customer.email)


def _reminders(change: _Change, minutes: Sequence[int]) -> int:
    """Queue those that are still ahead; how many."""
    facts, count = change.facts, 0
    text = email_texts.for_customer(News.REMINDER, facts)
    for ahead in sorted(set(minutes)):
        at = facts.start - timedelta(minutes=ahead)
        if ahead > 0 and at > facts.now:
            detail = f"_{ahead}"
            count += change.queue(mail_outbox.REMINDER, facts.customer.email, text, detail=detail, at=at)
    return count


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


def _hosts(session: Session, booking: Booking) -> list[Person]:
    query = (
        select(Person)
        .join(BookingHost, col(BookingHost.person_id) == col(Person.id))
        .where(BookingHost.booking_id == booking.id)
        .order_by(col(BookingHost.id))
    )
    return list(session.exec(query))


def _attendee(host: Person) -> Attendee:
    return Attendee(host.email, host.name, Response.ACCEPTED)


def _facts(
    session: Session,
    booking: Booking,
    event_type: EventType,
    hosts: Sequence[Person],
    *,
    by: str,
    reason: str,
    before: datetime | None,
    now: datetime,
) -> Facts:
    workspace = session.get_one(Workspace, booking.workspace_id)
    site = get_settings().public_url
    is_offered = event_type.is_public and event_type.is_active
    return Facts(
        title=event_type.title,
        business=workspace.name,
        start=booking.start_at,
        end=booking.end_at,
        customer=Attendee(booking.email, booking.name, Response.ACCEPTED),
        customer_zone=booking.timezone,
        hosts=tuple(_attendee(host) for host in hosts),
        location=booking.location,
        answers=tuple(event_type_answers.answers_in_words(booking, event_type)),
        deadline=change_deadline(booking.start_at, event_type.cancel_notice),
        manage_url=signed_links.url(booking.id),
        staff_url=f"{site}/bookings?booking={booking.id}",
        again_url=f"{site}/book/{workspace.slug}/{event_type.slug}" if is_offered else "",
        by=by,
        reason=reason,
        before=before,
        now=now,
    )
