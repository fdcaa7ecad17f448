"""Emails to the owner of an account about how one signs in to it, so that they notice what was not them.

Everything here queues in the caller's transaction. Nothing is queued where no mail server is set: there would be nobody
to send it, and it would be old news once there is.
"""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session, col, select

from calendar_app import translations
from calendar_app.clock import utc_now
from calendar_app.db.ids import new_id
from calendar_app.db.tables import ApiToken, AuthSession, Person
from calendar_app.services.mail import outbox as mail_outbox
from calendar_app.services.mail.outbox import Draft
from calendar_app.settings import current_settings
from calendar_app.translations import Language, formats


def language_of(person: Person) -> Language:
    """In which language somebody is written to about their account."""
    return translations.of_tag(person.language, person.timezone)


def new_browser(session: Session, person: Person, user_agent: str, now: datetime) -> None:
    """Somebody signed in with a browser that had not been used for the account; not told of the first one."""
    earlier = select(AuthSession.id).where(col(AuthSession.person_id) == person.id).limit(1)
    if session.exec(earlier).first() is None:
        return
    _ = language_of(person).gettext
    what = _("A browser that had not been used for your account signed in: %(browser)s.") % {
        "browser": user_agent[:100] or "?"
    }
    _queue(session, person, "signed_in", _("A new browser signed in to your account"), what, now=now)


def password_changed(session: Session, person: Person) -> None:
    """The password is another one; other browsers are signed out."""
    _ = language_of(person).gettext
    what = _("The password of your account was changed. Every other browser was signed out.")
    _queue(session, person, "password_changed", _("Your password was changed"), what)


def token_made(session: Session, person: Person, token: ApiToken) -> None:
    """There is a new API token that may manage the account."""
    _ = language_of(person).gettext
    what = _("The API token “%(name)s” was made. It may do everything in your account.") % {
        "name": token.name
    }
    _queue(session, person, "token_made", _("A new API token may manage your account"), what)


def factor_added(session: Session, person: Person, name: str) -> None:
    """A second factor is asked for from now on."""
    _ = language_of(person).gettext
    what = _("“%(name)s” is asked for from now on when you sign in.") % {"name": name}
    _queue(session, person, "second_factor", _("How you sign in was changed"), what)


def factor_removed(session: Session, person: Person, name: str) -> None:
    """A second factor is not asked for any more."""
    _ = language_of(person).gettext
    what = _("“%(name)s” is not asked for any more when you sign in.") % {"name": name}
    _queue(session, person, "second_factor", _("How you sign in was changed"), what)


def recovery_codes_made(session: Session, person: Person) -> None:
    """There are new recovery codes."""
    _ = language_of(person).gettext
    what = _("New recovery codes were made for your account. The earlier ones have ended.")
    _queue(session, person, "second_factor", _("How you sign in was changed"), what)


def recovery_code_used(session: Session, person: Person) -> None:
    """Somebody signed in with a recovery code."""
    _ = language_of(person).gettext
    what = _("A recovery code was used to sign in to your account. It is worth nothing any more.")
    _queue(session, person, "second_factor", _("A recovery code was used"), what)


def email_changed(session: Session, person: Person, before: str) -> None:
    """To the address that the account had ``before``."""
    _ = language_of(person).gettext
    what = _("Your account is %(email)s from now on. This address is not used for it any more.") % {
        "email": person.email
    }
    subject = _("Your account has another e-mail address")
    _queue(session, person, "email_changed", subject, what, recipient=before)


def _queue(
    session: Session,
    person: Person,
    kind: str,
    subject: str,
    what: str,
    *,
    now: datetime | None = None,
    recipient: str = "",
) -> None:
    if not mail_outbox.can_send():
        return
    language, site = language_of(person), current_settings().public_url
    _ = language.gettext
    when = formats.moment(now or utc_now(), person.timezone, language.locale)
    paragraphs = (
        _("Hello %(name)s,") % {"name": person.name},
        what,
        _("That was on %(when)s. If it was you, there is nothing to do.") % {"when": when},
        _("If it was not you, choose a new password at once, and look at what else is signed in:")
        + f"\n{site}/settings/security",
        _("If you cannot sign in any more:") + f"\n{site}/reset",
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
            body="\n\n".join(paragraphs) + "\n",
            language=language.tag,
        ),
    )
