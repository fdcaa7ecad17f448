"""Emails to the owner of a connection: that it can be made, ends, ended or fails, and what of a calendar could not be
read or written.

They are written in the workspace's language, with times in their reader's zone; what a provider said, and what was
found in a calendar, stays as it is. Everything here queues in the caller's transaction
(:func:`calendar_app.services.mail.outbox.queue`): if that rolls back, nobody hears of what never happened.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlmodel import Session

from calendar_app import translations
from calendar_app.clock import utc_now
from calendar_app.db.tables import Calendar, Connection, Person, Workspace
from calendar_app.domain.unread import MOST_WHY, Unread, one_line
from calendar_app.providers import registry
from calendar_app.services.calendar_mirror import unreadable
from calendar_app.services.mail import outbox as mail_outbox
from calendar_app.services.mail.outbox import Draft
from calendar_app.settings import current_settings
from calendar_app.translations import Language, formats, zones

MOST_NOTES = 20
"""Things that one email names; the page names more."""
_MOST_REMEMBERED = 500
_PAUSE = timedelta(days=1)
"""How long after an email the next one about the same calendar may go out."""


def connection_needs_reconnect(session: Session, connection: Connection) -> bool:
    """Tell the owner of a connection, once for each grant that ends; call it in the transaction that notes the end."""
    owner, language = _owner(session, connection)
    _ = language.gettext
    named = _named(connection, language) | {"since": _moment(utc_now(), owner, language)}
    text = (
        _(
            "Since %(since)s, %(provider)s no longer lets us into the calendars of %(account)s: the permission was "
            "withdrawn or has ended."
        ),
        _(
            "Until you connect the account again, bookings are not written there, and changes you make there do not "
            "reach your booking pages. Bookings go on, and other calendars are not affected. What was not written "
            "meanwhile is written as soon as you reconnect."
        ),
        _("Reconnect:") + "\n%(page)s",
    )
    return _to_owner(
        session,
        connection,
        "needs_reconnect",
        f"{connection.id}:needs_reconnect:{connection.token_version}",
        _("Please reconnect your %(provider)s calendars (%(account)s)"),
        text,
        named,
    )


def ending_occasion(connection: Connection) -> str:
    """How the emails of :func:`grant_ends_soon` about a connection begin."""
    return f"{connection.id}:grant_ends:"


def grant_ends_soon(session: Session, connection: Connection, ends: datetime) -> bool:
    """Tell the owner of a connection until when its provider lets us in, so that they can reconnect before."""
    owner, language = _owner(session, connection)
    _ = language.gettext
    named = _named(connection, language) | {"until": _moment(ends, owner, language)}
    text = (
        _(
            "%(provider)s lets us into the calendars of %(account)s until %(until)s only. Connect the account again "
            "before then, and nothing is interrupted. After that, and until you do, bookings are not written there, "
            "and changes you make there do not reach your booking pages."
        ),
        _("Reconnect:") + "\n%(page)s",
    )
    occasion = f"{ending_occasion(connection)}{ends.isoformat()}"
    subject = _("Please reconnect your %(provider)s calendars soon (%(account)s)")
    return _to_owner(session, connection, "grant_ends_soon", occasion, subject, text, named)


def connection_failing(session: Session, connection: Connection, since: datetime, reason: str) -> bool:
    """Tell the owner of a connection, once for each time that it stops to work, that it has not worked for a day."""
    owner, language = _owner(session, connection)
    _ = language.gettext
    named = _named(connection, language) | {"since": _moment(since, owner, language), "reason": reason}
    text = (
        _(
            "Since %(since)s we cannot read the calendars of %(account)s at %(provider)s. What we are told: "
            "%(reason)s"
        ),
        _(
            "Your booking pages go by what we read last, and bookings are not written there for now. We go on trying, "
            "less and less often; everything is made up for as soon as it works again. If you know the reason and "
            "have mended it, “Sync now” tries at once:"
        )
        + "\n%(page)s",
    )
    occasion = f"{connection.id}:failing:{since.isoformat()}"
    subject = _("We cannot read your %(provider)s calendars")
    return _to_owner(session, connection, "connection_failing", occasion, subject, text, named)


def abandoned_occasion(connection: Connection) -> str:
    """How the announcement of :func:`connection_abandoned` is known; a connection that came back and died again is
    announced anew."""
    since = connection.last_sync_at or connection.created_at
    return f"{connection.id}:abandoned:{connection.token_version}:{since.isoformat()}"


def connection_abandoned(session: Session, connection: Connection, ends: datetime) -> bool:
    """Tell the owner of a connection that has long been dead when it will be disconnected."""
    owner, language = _owner(session, connection)
    _ = language.gettext
    named = _named(connection, language) | {"ends": _moment(ends, owner, language)}
    text = (
        _(
            "The calendars of %(account)s at %(provider)s have not been read for more than a month. If nothing "
            "changes, the account is disconnected after %(ends)s. Bookings and their history stay, and events in your "
            "calendar are not touched."
        ),
        _("To keep it, connect the account again:") + "\n%(page)s",
    )
    occasion = abandoned_occasion(connection)
    subject = _("Your %(provider)s account %(account)s will be disconnected")
    return _to_owner(session, connection, "connection_abandoned", occasion, subject, text, named)


def administrator_agreed(
    session: Session, workspace_id: str, person_id: str, provider: str, now: datetime
) -> bool:
    """Tell a person who had asked for it that their organization's administrator has agreed, once a day at most."""
    person = session.get_one(Person, person_id)
    language = _language(session, workspace_id, person)
    _ = language.gettext
    named = {"provider": registry.kind(provider).title}
    text = (
        _(
            "Your organization’s administrator has allowed Almanac to use calendars at %(provider)s. You can connect "
            "your account now: choose the account of your organization, and nobody has to be asked again."
        ),
        _("Connect %(provider)s:") + "\n%(page)s",
    )
    occasion = f"{workspace_id}:{person_id}:administrator_agreed:{provider}:{now.date()}"
    subject = _("You can connect %(provider)s now")
    draft = _draft(workspace_id, person, language, "administrator_agreed", occasion, subject, text, named)
    return mail_outbox.queue(session, draft)


def calendar_unread(
    session: Session, calendar: Calendar, notes: Sequence[Unread], more: int, now: datetime
) -> bool:
    """Tell a calendar's owner what in it could not be read; ``more``: how many things are not named beside these."""
    connection = session.get_one(Connection, calendar.connection_id)
    _owned_by, language = _owner(session, connection)
    _ = language.gettext
    more += max(0, len(notes) - MOST_NOTES)
    named = {
        "calendar": _unlinked(calendar.name) or _("Calendar"),
        "notes": "\n".join(f"- {_unlinked(one.what)}: {_unlinked(one.why)}" for one in notes[:MOST_NOTES]),
        "number": formats.number(more, language.locale),
    }
    rest = "\n" + language.ngettext("and %(number)s more.", "and %(number)s more.", more) if more else ""
    text = (
        _("Some of what stands in your calendar “%(calendar)s” could not be read or understood:"),
        f"%(notes)s{rest}",
        _(
            "Where the time of an event is unclear, you count as busy wherever it might be, so that nobody books over "
            "it. An event whose time says nothing at all cannot keep anybody from booking: please look at those in "
            "your calendar. You are told of each thing once; the whole list is here:"
        )
        + "\n%(page)s",
    )
    occasion = f"{calendar.id}:unread:{now.isoformat()}"
    subject = _("Not all of “%(calendar)s” could be read")
    return _to_owner(session, connection, "calendar_unread", occasion, subject, text, named)


def _unlinked(text: str) -> str:
    """A stranger's words on one line, in which no email program sees a link."""
    return one_line(text.replace("://", ": //"), MOST_WHY)


def bookings_vanished(session: Session, connection: Connection, calendar: Calendar, occasion: str) -> bool:
    """Tell a calendar's owner that many events of bookings were deleted there at once, and that nothing followed."""
    _owned_by, language = _owner(session, connection)
    _ = language.gettext
    named = _named(connection, language) | {"calendar": calendar.name, "bookings": _page("/bookings")}
    text = (
        _(
            "Many events of bookings were deleted at once in your calendar “%(calendar)s” (%(account)s). That looks "
            "like an accident, so no booking was cancelled: all of them stand, and customers expect you."
        ),
        _(
            "Each of these bookings shows what was found, and buttons to put the event back or to cancel the booking:"
        )
        + "\n%(bookings)s",
    )
    occasion = f"{calendar.id}:bookings_vanished:{occasion}"
    subject = _("Many events were deleted in “%(calendar)s”: please check your bookings")
    return _to_owner(session, connection, "bookings_vanished", occasion, subject, text, named)


def calendar_not_writable(
    session: Session, connection: Connection, calendar: Calendar, now: datetime
) -> bool:
    """Tell a calendar's owner, once for each time that it happens, that bookings cannot be written into it."""
    _owned_by, language = _owner(session, connection)
    _ = language.gettext
    named = _named(connection, language) | {"calendar": calendar.name, "reason": calendar.write_error}
    text = (
        _(
            "Bookings cannot be written into your calendar “%(calendar)s” (%(account)s at %(provider)s). What we are "
            "told: %(reason)s"
        ),
        _(
            "Bookings go on, and their events are kept ready: as soon as the calendar can be written again, which we "
            "look at regularly, they are written. If it will not come back, choose another calendar for your bookings:"
        )
        + "\n%(page)s",
    )
    occasion = f"{calendar.id}:not_writable:{now.isoformat()}"
    subject = _("Bookings cannot be written into “%(calendar)s”")
    return _to_owner(session, connection, "calendar_not_writable", occasion, subject, text, named)


def _owner(session: Session, connection: Connection) -> tuple[Person, Language]:
    """Whom a connection belongs to, and in which language they are written to."""
    owner = session.get_one(Person, connection.person_id)
    return owner, _language(session, connection.workspace_id, owner)


def _language(session: Session, workspace_id: str, person: Person) -> Language:
    return translations.of_tag(session.get_one(Workspace, workspace_id).language, person.timezone)


def _named(connection: Connection, language: Language) -> dict[str, str]:
    """The provider's name, and what to call the account."""
    titles = {kind.key: kind.title for kind in registry.kinds()}
    account = connection.account_email or language.gettext("your account")
    return {"provider": titles.get(connection.provider, connection.provider), "account": account}


def _moment(at: datetime, owner: Person, language: Language) -> str:
    """The moment in the owner's zone, which is named."""
    locale = language.locale
    return f"{formats.moment(at, owner.timezone, locale)} ({zones.place(owner.timezone, locale).city})"


def _page(path: str) -> str:
    return f"{current_settings().public_url}{path}"


def _to_owner(
    session: Session,
    connection: Connection,
    kind: str,
    occasion: str,
    subject: str,
    text: Sequence[str],
    named: Mapping[str, str],
) -> bool:
    owner, language = _owner(session, connection)
    draft = _draft(connection.workspace_id, owner, language, kind, occasion, subject, text, named)
    return mail_outbox.queue(session, draft)


def _draft(
    workspace_id: str,
    person: Person,
    language: Language,
    kind: str,
    occasion: str,
    subject: str,
    text: Sequence[str],
    named: Mapping[str, str],
) -> Draft:
    """The letter of ``text``, a paragraph each; ``named``: what its placeholders stand for."""
    greeting = language.gettext("Hello %(name)s,") % {"name": person.name}
    values = {"page": _page("/settings/calendars"), **named}
    return Draft(
        workspace_id=workspace_id,
        booking_id=None,
        kind=kind,
        dedupe=f"{occasion}:{person.email}",
        recipient=person.email,
        subject=subject % values,
        body="\n\n".join([greeting, *(paragraph % values for paragraph in text)]) + "\n",
        language=language.tag,
    )


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
