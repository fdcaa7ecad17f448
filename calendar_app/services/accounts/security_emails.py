"""Emails to the owner of an account about how one signs in to it, so that they notice what was not them.

Everything here queues in the caller's transaction. Nothing is queued where no mail server is set: there would be nobody
to send it, and it would be old news once there is.
"""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session, col, select

from calendar_app.clock import utc_now
from calendar_app.db.ids import new_id
from calendar_app.db.tables import ApiToken, AuthSession, Person
from calendar_app.services.mail import outbox as mail_outbox
from calendar_app.services.mail import rendering as mail_rendering
from calendar_app.services.mail.outbox import Draft
from calendar_app.settings import get_settings

_NOT_YOU = (
    "If this was not you, choose a new password at once, and look at what else is signed in:\n"
    "{site}/settings/security\nIf you cannot sign in any more: {site}/reset\n"
)


def new_browser(session: Session, person: Person, user_agent: str, now: datetime) -> None:
    """Somebody signed in with a browser that had not been used for it; not told of the first one."""
    earlier = select(AuthSession.id).where(col(AuthSession.person_id) == person.id).limit(1)
    if session.exec(earlier).first() is None:
        return
    _queue(
        session,
        person,
        "signed_in",
        "A new browser signed in to your account",
        f"somebody signed in to your account with a browser that was not used for it before: "
        f"{user_agent[:100] or 'unknown'}.",
        now,
    )


def password_changed(session: Session, person: Person) -> None:
    """The password is another one; other browsers are signed out."""
    _queue(
        session,
        person,
        "password_changed",
        "Your password was changed",
        "the password of your account was changed, and every other browser was signed out.",
    )


def token_made(session: Session, person: Person, token: ApiToken) -> None:
    """There is a new API token that may manage the account."""
    _queue(
        session,
        person,
        "token_made",
        "A new API token may manage your account",
        f"an API token called \u201c{token.name}\u201d was made, which may do everything in your account.",
    )


def second_factor_changed(session: Session, person: Person, what: str) -> None:
    """``what`` was done to the second factors, as a sentence that follows the greeting."""
    _queue(session, person, "second_factor", "How you sign in was changed", what)


def email_changed(session: Session, person: Person, before: str) -> None:
    """To the address that the account had ``before``."""
    _queue(
        session,
        person,
        "email_changed",
        "Your account has another e-mail address",
        f"your account is {person.email} from now on. This address is not used for it any more.",
        recipient=before,
    )


def _queue(
    session: Session,
    person: Person,
    kind: str,
    subject: str,
    what: str,
    now: datetime | None = None,
    *,
    recipient: str = "",
) -> None:
    if not mail_outbox.can_send():
        return
    when = mail_rendering.long_time(now or utc_now(), person.timezone)
    body = (
        f"Hello {person.name},\n\n{what}\n\nThat was on {when} ({person.timezone}). If it was you, there is nothing "
        f"to do.\n\n{_NOT_YOU.format(site=get_settings().public_url)}"
    )
    mail_outbox.queue(
        session,
        Draft(
            workspace_id=None,
            booking_id=None,
            kind=kind,
            dedupe=f"{person.id}:{kind}:{new_id()}",
            recipient=recipient or person.email,
            subject=subject,
            body=body,
        ),
    )
