"""Which email goes to whom when something happens to a booking.

:func:`booking_changed` queues what is due in the caller's transaction: if that rolls back, nobody hears of what never
happened. A row says who is told what of which version of the booking; it is written when it is sent
(:mod:`calendar_app.services.booking_emails.writer`).

Where a calendar makes the online meeting, what tells of a booking that stands waits for the link, for :data:`LINK_WAIT`
at most; a link that comes later is told by an e-mail of its own (:mod:`calendar_app.services.mail.follow_ups`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlmodel import Session, col, select

from calendar_app.clock import utc_now
from calendar_app.db.tables import (
    Booking,
    BookingHost,
    EventType,
    Person,
)
from calendar_app.domain.booking import Status
from calendar_app.domain.meeting_place import MADE_BY_CALENDARS
from calendar_app.domain.timespan import instant
from calendar_app.services.booking_emails.texts import News
from calendar_app.services.common.permissions import Actor
from calendar_app.services.mail import outbox as mail_outbox
from calendar_app.services.mail.outbox import Due

LINK_WAIT = timedelta(seconds=60)
"""How long the first e-mails wait for the link of an online meeting."""


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


@dataclass(frozen=True, slots=True)
class HostAddress:
    """A host, and where their emails go."""

    id: str
    email: str


def booking_changed(
    session: Session,
    booking: Booking,
    occasion: Occasion,
    *,
    hosts: Iterable[HostAddress] | None = None,
    by: str = "customer",
    actor: Actor | None = None,
    reason: str = "",
    before: datetime | None = None,
    at: datetime | None = None,
    now: datetime | None = None,
) -> None:
    """Queue every email that ``occasion`` calls for, and keep the reminders in step.

    Call it in the transaction that changed the booking. ``hosts``: the booking's, where the caller knows them. ``by``:
    ``customer``, ``staff`` or ``system``; ``actor``: the member who did it, who is not told of it. ``reason``: what
    was said about a cancellation, a refusal or a move; ``before``: the start that a moved booking had. ``at``: nothing
    is sent before this (aware), ``None`` means now.
    """
    now = now or utc_now()
    news = _NEWS[occasion][booking.status == Status.PENDING]
    facts = _told(booking, news, by, now)
    facts |= {"reason": reason} if reason else {}
    facts |= {"before": instant(before)} if before else {}
    due = [_due(booking, f"customer_{news}", booking.email, facts)]
    due += _to_others(booking, news, facts)
    for host in _hosts(session, booking) if hosts is None else hosts:
        told = actor is None or actor.person_id != host.id
        is_new = occasion is Occasion.BOOKED and news is News.CONFIRMED
        due.append(
            _due(
                booking,
                f"host_{news}",
                host.email,
                facts | {"host": host.id, "told": told, "is_new": is_new},
            )
        )
    if occasion is not Occasion.BOOKED:
        mail_outbox.drop_reminders(session, booking.id)
    if _waits_for_link(booking):
        at = max(at or now, now + LINK_WAIT)
    due = [replace(one, at=at) for one in due]
    mail_outbox.queue_due(session, [*due, *_reminders(session, booking, by, now)])


def move_undone(session: Session, booking: Booking, *, by: str, now: datetime) -> None:
    """The booking is back at a time that everybody knows: nobody is told, but reminded. Call it as
    :func:`booking_changed`."""
    mail_outbox.drop_reminders(session, booking.id)
    mail_outbox.queue_due(session, list(_reminders(session, booking, by, now)))


def _told(booking: Booking, news: News, by: str, now: datetime) -> dict[str, Any]:
    """The facts of a letter about the booking as it is."""
    return {
        "news": news.value,
        "status": booking.status,
        "start": instant(booking.start_at),
        "end": instant(booking.end_at),
        "zone": booking.timezone,
        "now": instant(now),
        "by": by,
    }


def _waits_for_link(booking: Booking) -> bool:
    """Whether a calendar is about to make the booking's online meeting."""
    stands = booking.status == Status.CONFIRMED and booking.place_kind in MADE_BY_CALENDARS
    return stands and not booking.location and not booking.meeting_error


def _to_others(booking: Booking, news: News, facts: dict[str, Any]) -> Iterable[Due]:
    """To whoever booked for the customer, as to the customer; to guests once the booking stands, and from then on."""
    told = {booking.email.casefold()}
    if booking.booked_by_email and booking.booked_by_email.casefold() not in told:
        told.add(booking.booked_by_email.casefold())
        yield _due(booking, f"customer_{news}", booking.booked_by_email, facts | {"booker": True})
    for guest in booking.guests:
        if guest.casefold() not in told:
            yield _due(booking, f"guest_{news}", guest, facts | {"guest": True})


def _due(
    booking: Booking,
    kind: str,
    recipient: str,
    facts: dict[str, Any],
    *,
    detail: str = "",
    at: datetime | None = None,
) -> Due:
    return Due(
        workspace_id=booking.workspace_id,
        booking_id=booking.id,
        kind=kind,
        recipient=recipient,
        version=booking.version,
        sequence=booking.sequence,
        facts=facts,
        detail=detail,
        at=at,
    )


def _reminders(session: Session, booking: Booking, by: str, now: datetime) -> Iterable[Due]:
    """Those that are still ahead, of a booking that is confirmed."""
    if booking.status != Status.CONFIRMED:
        return
    facts = _told(booking, News.REMINDER, by, now)
    for ahead in sorted(set(session.get_one(EventType, booking.event_type_id).reminders)):
        at = booking.start_at - timedelta(minutes=ahead)
        if ahead > 0 and at > now:
            yield _due(booking, mail_outbox.REMINDER, booking.email, facts, detail=f"_{ahead}", at=at)


def _hosts(session: Session, booking: Booking) -> list[HostAddress]:
    return [HostAddress(person.id, person.email) for person in hosts_of(session, booking)]


def hosts_of(session: Session, booking: Booking) -> list[Person]:
    """The hosts, in the order in which they were written."""
    query = (
        select(Person)
        .join(BookingHost, col(BookingHost.person_id) == col(Person.id))
        .where(BookingHost.booking_id == booking.id)
        .order_by(col(BookingHost.id))
    )
    return list(session.exec(query))
