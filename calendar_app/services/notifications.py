"""Which letter goes to whom on which occasion.

Everything here queues in the caller's transaction (:func:`calendar_app.services.mails.queue`): if that rolls back,
nobody hears of what never happened. The invitation that comes with the e-mail is the one entry in a customer's
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
from calendar_app.domain.unread import MOST_WHY, Unread, one_line
from calendar_app.providers import registry
from calendar_app.services import booking_events, letters, mails, manage_links
from calendar_app.services.letters import Facts, News, Text
from calendar_app.services.mails import Draft
from calendar_app.services.roles import Actor
from calendar_app.settings import get_settings

MOST_NOTES = 20
"""Things that one email names; the page names more."""


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
        mails.drop_reminders(session, booking.id)
    if booking.status == Status.CONFIRMED:
        count += _reminders(change, event_type.reminders)
    return count


def connection_needs_reconnect(session: Session, connection: Connection) -> bool:
    """Tell the owner of a connection, once for each grant that ends; call it in the transaction that notes the end."""
    owner = session.get_one(Person, connection.person_id)
    titles = {kind.key: kind.title for kind in registry.kinds()}
    provider = titles.get(connection.provider, connection.provider)
    account = connection.account_email or "your account"
    zone, now = owner.timezone, datetime.now(UTC)
    body = (
        f"Hello {owner.name},\n\n"
        f"since {letters.long_time(now, zone)} ({zone}), {provider} no longer lets us into the calendars of {account}: "
        "the permission was withdrawn or has ended.\n\n"
        "Until you connect the account again, bookings are not written there, and changes you make there do not reach "
        "your booking pages. Bookings go on, and other calendars are not affected. What was not written meanwhile "
        "is written as soon as you reconnect.\n\n"
        f"Reconnect:\n{get_settings().public_url}/settings/calendars\n"
    )
    return mails.queue(
        session,
        Draft(
            workspace_id=connection.workspace_id,
            booking_id=None,
            kind="needs_reconnect",
            dedupe=f"{connection.id}:needs_reconnect:{connection.token_version}:{owner.email}",
            recipient=owner.email,
            subject=f"Please reconnect your {provider} calendars ({account})",
            body=body,
        ),
    )


def connection_failing(session: Session, connection: Connection, since: datetime, reason: str) -> bool:
    """Tell the owner of a connection, once for each time that it stops to work, that it has not worked for a day."""
    provider, account = _account(connection)
    owner = session.get_one(Person, connection.person_id)
    zone = owner.timezone
    body = (
        f"Hello {owner.name},\n\n"
        f"since {letters.long_time(since, zone)} ({zone}) we cannot read the calendars of {account} at {provider}. "
        f"What we are told: {reason}\n\n"
        "Your booking pages go by what we read last, and bookings are not written there for now. We go on trying, "
        "less and less often; everything is made up for as soon as it works again. If you know the reason and have "
        "mended it, “Sync now” tries at once:\n"
        f"{get_settings().public_url}/settings/calendars\n"
    )
    occasion = f"{connection.id}:failing:{since.isoformat()}"
    return _to_owner(
        session,
        connection,
        owner,
        "connection_failing",
        occasion,
        f"We cannot read your {provider} calendars",
        body,
    )


def abandoned_occasion(connection: Connection) -> str:
    """How the announcement of :func:`connection_abandoned` is known; a connection that came back and died again is
    announced anew."""
    since = connection.last_sync_at or connection.created_at
    return f"{connection.id}:abandoned:{connection.token_version}:{since.isoformat()}"


def connection_abandoned(session: Session, connection: Connection, ends: datetime) -> bool:
    """Tell the owner of a connection that has long been dead when it will be disconnected."""
    provider, account = _account(connection)
    owner = session.get_one(Person, connection.person_id)
    body = (
        f"Hello {owner.name},\n\n"
        f"the calendars of {account} at {provider} have not been read for more than a month. If nothing changes, the "
        f"account is disconnected after {letters.long_time(ends, owner.timezone)} ({owner.timezone}). Bookings and "
        "their history stay, and events in your calendar are not touched.\n\n"
        f"To keep it, connect the account again:\n{get_settings().public_url}/settings/calendars\n"
    )
    return _to_owner(
        session,
        connection,
        owner,
        "connection_abandoned",
        abandoned_occasion(connection),
        f"Your {provider} account {account} will be disconnected",
        body,
    )


def _account(connection: Connection) -> tuple[str, str]:
    """The provider's name, and what to call the account."""
    titles = {kind.key: kind.title for kind in registry.kinds()}
    return titles.get(connection.provider, connection.provider), connection.account_email or "your account"


def _to_owner(
    session: Session, connection: Connection, owner: Person, kind: str, occasion: str, subject: str, body: str
) -> bool:
    return mails.queue(
        session,
        Draft(
            workspace_id=connection.workspace_id,
            booking_id=None,
            kind=kind,
            dedupe=f"{occasion}:{owner.email}",
            recipient=owner.email,
            subject=subject,
            body=body,
        ),
    )


def calendar_unread(
    session: Session, calendar: Calendar, notes: Sequence[Unread], more: int, now: datetime
) -> bool:
    """Tell a calendar's owner what in it could not be read; ``more``: how many things are not named beside these."""
    connection = session.get_one(Connection, calendar.connection_id)
    owner = session.get_one(Person, connection.person_id)
    named = "\n".join(f"- {_unlinked(one.what)}: {_unlinked(one.why)}" for one in notes[:MOST_NOTES])
    more += max(0, len(notes) - MOST_NOTES)
    rest = f"\nand {more:,} more.\n" if more else ""
    name = _unlinked(calendar.name) or "Calendar"
    body = (
        f"Hello {owner.name},\n\n"
        f"some of what stands in your calendar “{name}” could not be read or understood:\n\n"
        f"{named}\n{rest}\n"
        "Where the time of an event is unclear, you count as busy wherever it might be, so that nobody books over it. "
        "An event whose time says nothing at all cannot keep anybody from booking: please look at those in your "
        "calendar. You are told of each thing once; the whole list is here:\n"
        f"{get_settings().public_url}/settings/calendars\n"
    )
    occasion = f"{calendar.id}:unread:{now.isoformat()}"
    return _to_owner(
        session, connection, owner, "calendar_unread", occasion, f"Not all of “{name}” could be read", body
    )


def _unlinked(text: str) -> str:
    """A stranger's words on one line, in which no email program sees a link."""
    return one_line(text.replace("://", ": //"), MOST_WHY)


def bookings_vanished(session: Session, connection: Connection, calendar: Calendar, occasion: str) -> bool:
    """Tell a calendar's owner that many events of bookings were deleted there at once, and that nothing followed."""
    owner = session.get_one(Person, connection.person_id)
    body = (
        f"Hello {owner.name},\n\n"
        f"many events of bookings were deleted at once in your calendar “{calendar.name}” "
        f"({connection.account_email}). That looks like an accident, so no booking was cancelled: all of them stand, "
        "and customers expect you.\n\n"
        "Each of these bookings shows what was found, and buttons to put the event back or to cancel the booking:\n"
        f"{get_settings().public_url}/bookings\n"
    )
    occasion = f"{calendar.id}:bookings_vanished:{occasion}"
    subject = f"Many events were deleted in “{calendar.name}”: please check your bookings"
    return _to_owner(session, connection, owner, "bookings_vanished", occasion, subject, body)


def calendar_not_writable(
    session: Session, connection: Connection, calendar: Calendar, now: datetime
) -> bool:
    """Tell a calendar's owner, once for each time that it happens, that bookings cannot be written into it."""
    owner = session.get_one(Person, connection.person_id)
    provider, account = _account(connection)
    body = (
        f"Hello {owner.name},\n\n"
        f"bookings cannot be written into your calendar “{calendar.name}” ({account} at {provider}). "
        f"What we are told: {calendar.write_error}\n\n"
        "Bookings go on, and their events are kept ready: as soon as the calendar can be written again, which we look "
        "at regularly, they are written. If it will not come back, choose another calendar for your bookings:\n"
        f"{get_settings().public_url}/settings/calendars\n"
    )
    occasion = f"{calendar.id}:not_writable:{now.isoformat()}"
    subject = f"Bookings cannot be written into “{calendar.name}”"
    return _to_owner(session, connection, owner, "calendar_not_writable", occasion, subject, body)


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
        return mails.queue(
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
        gone = self.news in letters.GONE
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
    text = letters.for_customer(change.news, facts)
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
    text = letters.for_host(change.news, facts, _attendee(host), host.timezone, is_new=is_new)
    return change.queue(f"host_{change.news}", host.email, text, invitation, reply_to=customer.email)


def _reminders(change: _Change, minutes: Sequence[int]) -> int:
    """Queue those that are still ahead; how many."""
    facts, count = change.facts, 0
    text = letters.for_customer(News.REMINDER, facts)
    for ahead in sorted(set(minutes)):
        at = facts.start - timedelta(minutes=ahead)
        if ahead > 0 and at > facts.now:
            detail = f"_{ahead}"
            count += change.queue(mails.REMINDER, facts.customer.email, text, detail=detail, at=at)
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
        answers=tuple(booking_events.answers(booking, event_type)),
        deadline=change_deadline(booking.start_at, event_type.cancel_notice),
        manage_url=manage_links.url(booking.id),
        staff_url=f"{site}/bookings?booking={booking.id}",
        again_url=f"{site}/book/{workspace.slug}/{event_type.slug}" if is_offered else "",
        by=by,
        reason=reason,
        before=before,
        now=now,
    )
