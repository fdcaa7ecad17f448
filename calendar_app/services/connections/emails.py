"""Emails to the owner of a connection: that it can be made, ends, ended or fails, and what of a calendar could not be
read or written.

Everything here queues in the caller's transaction (:func:`calendar_app.services.mail.outbox.queue`): if that rolls
back, nobody hears of what never happened.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlmodel import Session

from calendar_app.clock import utc_now
from calendar_app.db.tables import Calendar, Connection, Person
from calendar_app.domain.unread import MOST_WHY, Unread, one_line
from calendar_app.providers import registry
from calendar_app.services.calendar_mirror import unreadable
from calendar_app.services.mail import outbox as mail_outbox
from calendar_app.services.mail import rendering as mail_rendering
from calendar_app.services.mail.outbox import Draft
from calendar_app.settings import get_settings

MOST_NOTES = 20
"""Things that one email names; the page names more."""
_MOST_REMEMBERED = 500
_PAUSE = timedelta(days=1)
"""How long after an email the next one about the same calendar may go out."""


def connection_needs_reconnect(session: Session, connection: Connection) -> bool:
    """Tell the owner of a connection, once for each grant that ends; call it in the transaction that notes the end."""
    owner = session.get_one(Person, connection.person_id)
    titles = {kind.key: kind.title for kind in registry.kinds()}
    provider = titles.get(connection.provider, connection.provider)
    account = connection.account_email or "your account"
    zone, now = owner.timezone, utc_now()
    when = mail_rendering.long_time(now, zone)
    body = (
        f"Hello {owner.name},\n\n"
        f"since {when} ({zone}), {provider} no longer lets us into the calendars of {account}: "
        "the permission was withdrawn or has ended.\n\n"
        "Until you connect the account again, bookings are not written there, and changes you make there do not reach "
        "your booking pages. Bookings go on, and other calendars are not affected. What was not written meanwhile "
        "is written as soon as you reconnect.\n\n"
        f"Reconnect:\n{get_settings().public_url}/settings/calendars\n"
    )
    return mail_outbox.queue(
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


def ending_occasion(connection: Connection) -> str:
    """How the emails of :func:`grant_ends_soon` about a connection begin."""
    return f"{connection.id}:grant_ends:"


def grant_ends_soon(session: Session, connection: Connection, ends: datetime) -> bool:
    """Tell the owner of a connection until when its provider lets us in, so that they can reconnect before."""
    provider, account = _account(connection)
    owner = session.get_one(Person, connection.person_id)
    when = mail_rendering.long_time(ends, owner.timezone)
    body = (
        f"Hello {owner.name},\n\n"
        f"{provider} lets us into the calendars of {account} until {when} ({owner.timezone}) only. "
        "Connect the account again before then, and nothing is interrupted. After that, and until you do, bookings are "
        "not written there, and changes you make there do not reach your booking pages.\n\n"
        f"Reconnect:\n{get_settings().public_url}/settings/calendars\n"
    )
    return _to_owner(
        session,
        connection,
        owner,
        "grant_ends_soon",
        f"{ending_occasion(connection)}{ends.isoformat()}",
        f"Please reconnect your {provider} calendars soon ({account})",
        body,
    )


def connection_failing(session: Session, connection: Connection, since: datetime, reason: str) -> bool:
    """Tell the owner of a connection, once for each time that it stops to work, that it has not worked for a day."""
    provider, account = _account(connection)
    owner = session.get_one(Person, connection.person_id)
    zone = owner.timezone
    when = mail_rendering.long_time(since, zone)
    body = (
        f"Hello {owner.name},\n\n"
        f"since {when} ({zone}) we cannot read the calendars of {account} at {provider}. "
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
    when = mail_rendering.long_time(ends, owner.timezone)
    body = (
        f"Hello {owner.name},\n\n"
        f"the calendars of {account} at {provider} have not been read for more than a month. If nothing changes, the "
        f"account is disconnected after {when} ({owner.timezone}). Bookings and "
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


def administrator_agreed(
    session: Session, workspace_id: str, person_id: str, provider: str, now: datetime
) -> bool:
    """Tell a person who had asked for it that their organization's administrator has agreed, once a day at most."""
    person = session.get_one(Person, person_id)
    title = registry.kind(provider).title
    body = (
        f"Hello {person.name},\n\n"
        f"your organization’s administrator has allowed Almanac to use calendars at {title}. "
        "You can connect your account now: choose the account of your organization, and nobody has to be asked again."
        f"\n\nConnect {title}:\n{get_settings().public_url}/settings/calendars\n"
    )
    return mail_outbox.queue(
        session,
        Draft(
            workspace_id=workspace_id,
            booking_id=None,
            kind="administrator_agreed",
            dedupe=f"{workspace_id}:{person_id}:administrator_agreed:{provider}:{now.date()}:{person.email}",
            recipient=person.email,
            subject=f"You can connect {title} now",
            body=body,
        ),
    )


def _account(connection: Connection) -> tuple[str, str]:
    """The provider's name, and what to call the account."""
    titles = {kind.key: kind.title for kind in registry.kinds()}
    return titles.get(connection.provider, connection.provider), connection.account_email or "your account"


def _to_owner(
    session: Session, connection: Connection, owner: Person, kind: str, occasion: str, subject: str, body: str
) -> bool:
    return mail_outbox.queue(
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


def tell_unread(session: Session, calendar: Calendar, now: datetime) -> bool:
    """Email the owner what of the calendar's notes they have not been told yet; whether an email was queued.

    At most one a day for each calendar: what comes up meanwhile is told with the next.
    """
    notes = unreadable.notes_of(calendar)
    known = dict.fromkeys(calendar.unread_told.get("seen", ()))
    fresh = [one for one in notes if _digest(one) not in known]
    last = calendar.unread_told.get("at")
    if not fresh or (last and now < datetime.fromisoformat(last) + _PAUSE):
        return False
    known.update(dict.fromkeys(map(_digest, fresh)))
    calendar.unread_told = {"at": now.isoformat(), "seen": list(known)[-_MOST_REMEMBERED:]}
    session.add(calendar)
    return calendar_unread(session, calendar, fresh, calendar.unread_count - len(notes), now)


def _digest(one: Unread) -> str:
    return hashlib.sha256(f"{one.what}\0{one.why}".encode()).hexdigest()[:16]
