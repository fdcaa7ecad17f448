"""Links that show that an address is somebody's: for an account, a new password, or another address of an account.

Nobody learns here whether an address has an account: who asks gets the same answer at the same cost, and what there is
to know stands in the e-mail (OWASP ASVS 5.0, 6.3.8). A link is 256 random bits, of which the database keeps the
SHA-256; it is worth one use. Nothing happens when it is opened, only when the form behind it is sent, so that mail
scanners use nothing up.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session, col, delete, select

from calendar_app import translations
from calendar_app.clock import utc_now
from calendar_app.db.locks import locked_one
from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import AuthSession, EmailProof, Person
from calendar_app.domain.intake import clean_text
from calendar_app.errors import Conflict, InvalidInput, NotFound
from calendar_app.services.accounts import account_security, authentication, passwords, security_emails
from calendar_app.services.accounts import sessions as browser_sessions
from calendar_app.services.accounts.authentication import Identity, SignedIn, digest
from calendar_app.services.common import audit_log, rate_limits
from calendar_app.services.mail import outbox as mail_outbox
from calendar_app.services.mail.outbox import Draft
from calendar_app.settings import current_settings
from calendar_app.translations import Language

SIGN_UP, RESET, CHANGE = "sign_up", "reset", "change"
SIGN_UP_LIFE, RESET_LIFE, CHANGE_LIFE = timedelta(days=1), timedelta(hours=1), timedelta(hours=1)
OF_CLIENT, TO_ADDRESS, USES_OF_CLIENT = "20/hour", "5/hour", "60/hour"
_LONGEST = 100


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody asks to be sent, checked; ``email`` in lower case."""

    purpose: str
    email: str
    name: str = ""
    workspace_name: str = ""
    timezone: str = "UTC"
    language: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """What a link is for."""

    purpose: str
    email: str
    name: str


def ask_to_sign_up(
    name: str, email: str, workspace_name: str, timezone: str, *, language: str = "", client: str = ""
) -> Wish:
    """What :func:`send` sends to somebody who wants an account. ``language`` is the browser's ``Accept-Language``.

    :raises InvalidInput: a field is unusable. :raises TooManyRequests: too many links were asked for.
    """
    cleaned = [clean_text(" ".join(text.split()), field, 120) for text, field in _named(name, workspace_name)]
    if not cleaned[0]:
        raise InvalidInput("This needs between 1 and 120 characters.", field="name")
    wish = Wish(
        SIGN_UP,
        authentication.normal_email(email),
        cleaned[0],
        cleaned[1],
        authentication.zone(timezone),
        translations.choose((), language).tag if language else "",
    )
    _count(wish, client)
    return wish


def ask_to_reset(email: str, *, client: str = "") -> Wish:
    """What :func:`send` sends to somebody who forgot the password; errors as of :func:`ask_to_sign_up`."""
    wish = Wish(RESET, authentication.normal_email(email))
    _count(wish, client)
    return wish


def send(wish: Wish, *, now: datetime | None = None) -> None:
    """Send what was asked for; to be called once the answer is out, as how long it takes tells who has an account."""
    now = now or utc_now()
    with transaction() as session:
        session.exec(delete(EmailProof).where(col(EmailProof.expires_at) <= now))
        person = session.exec(select(Person).where(Person.email == wish.email)).first()
        if wish.purpose == SIGN_UP and person is not None:
            _queue_has_account(session, wish.email, security_emails.language_of(person), person.name)
        elif wish.purpose == SIGN_UP:
            secret = _keep(session, wish, None, now + SIGN_UP_LIFE, now)
            _queue_sign_up(session, wish, secret)
        elif person is not None:
            secret = _keep(session, wish, person.id, now + RESET_LIFE, now)
            _queue_reset(session, person, secret)


def ask_to_change(identity: Identity, email: str, password: str, *, now: datetime | None = None) -> None:
    """Send a link to the address that the account shall have; until it is used nothing changes.

    :raises InvalidInput: no address, the present one, or ``wrong_password``. :raises TooManyRequests: too many.
    :raises Conflict: ``no_mail``, nothing can be sent.
    """
    now, address = now or utc_now(), authentication.normal_email(email)
    account_security.require_password(identity, password)
    if address == identity.email:
        raise InvalidInput("That is the address that the account has.", field="email")
    if not mail_outbox.can_send():
        raise Conflict("No e-mail can be sent here, so an address cannot be proven.", code="no_mail")
    wish = Wish(CHANGE, address)
    _count(wish, identity.person_id)
    with transaction() as session:
        person = session.get_one(Person, identity.person_id)
        session.exec(
            delete(EmailProof).where(
                col(EmailProof.person_id) == identity.person_id, col(EmailProof.purpose) == CHANGE
            )
        )
        if session.exec(select(Person.id).where(Person.email == address)).first() is not None:
            _queue_has_account(session, address, security_emails.language_of(person))
            return
        secret = _keep(session, wish, identity.person_id, now + CHANGE_LIFE, now)
        _queue_change(session, person, address, secret)


def look(secret: str, *, now: datetime | None = None) -> Link:
    """What a link is for. :raises NotFound: unknown, used or too old."""
    with reading() as session:
        row = _open(session, secret, now or utc_now())
        return Link(row.purpose, row.email, row.name)


def sign_up(
    secret: str, password: str, *, user_agent: str = "", client: str = "", now: datetime | None = None
) -> SignedIn:
    """Make the account that a link was sent for, with the password that its owner now chooses, and sign in.

    :raises NotFound: as of :func:`look`. :raises InvalidInput: ``weak_password``.
    :raises Conflict: ``email_taken``, it was made meanwhile.
    """
    rate_limits.check("email-proofs", client, USES_OF_CLIENT)
    with reading() as session:
        row = _open(session, secret, now or utc_now(), SIGN_UP)
    signed_in = authentication.sign_up(
        row.name,
        row.email,
        password,
        row.workspace_name,
        row.timezone,
        language=row.language,
        user_agent=user_agent,
        client=client,
        proven=True,
    )
    with transaction() as session:
        session.exec(delete(EmailProof).where(col(EmailProof.email) == row.email))
    return signed_in


def reset(secret: str, password: str, *, client: str = "", now: datetime | None = None) -> str:
    """A new password by a link. Browser sessions and tokens that may manage the account end, second factors stay; the
    address, to sign in with.

    :raises NotFound: as of :func:`look`. :raises InvalidInput: ``weak_password``; the link stays usable.
    """
    rate_limits.check("email-proofs", client, USES_OF_CLIENT)
    now = now or utc_now()
    with reading() as session:
        row = _open(session, secret, now, RESET)
        person = session.get_one(Person, row.person_id)
    kept = passwords.hashed(passwords.checked(password, person.name, person.email))
    with transaction() as session:
        person = locked_one(session, Person, person.id)
        _open(session, secret, now, RESET)
        person.password_hash = kept
        person.email_proven_at = person.email_proven_at or now
        session.add(person)
        session.exec(delete(EmailProof).where(col(EmailProof.person_id) == person.id))
        ended = browser_sessions.end_sessions(session, col(AuthSession.person_id) == person.id)
        account_security.end_tokens_of(session, person.id)
        actors = authentication.identity_of(session, person).actors()
        audit_log.record_everywhere(
            session, actors, "password.reset", "person", person.id, sessions_ended=ended
        )
        security_emails.password_changed(session, person)
        return person.email


def change(secret: str, *, client: str = "", now: datetime | None = None) -> str:
    """The account gets the address that the link was sent to; that address.

    :raises NotFound: as of :func:`look`. :raises Conflict: ``email_taken``.
    """
    rate_limits.check("email-proofs", client, USES_OF_CLIENT)
    now = now or utc_now()
    with transaction() as session:
        row = _open(session, secret, now, CHANGE)
        person = locked_one(session, Person, row.person_id or "")
        if session.exec(select(Person.id).where(Person.email == row.email)).first() is not None:
            raise Conflict("Another account has this e-mail address by now.", code="email_taken")
        before, person.email, person.email_proven_at = person.email, row.email, now
        session.add(person)
        session.exec(delete(EmailProof).where(col(EmailProof.person_id) == person.id))
        actors = authentication.identity_of(session, person).actors()
        audit_log.record_everywhere(
            session, actors, "email.changed", "person", person.id, before=before, email=person.email
        )
        security_emails.email_changed(session, person, before)
        return person.email


def _named(name: str, workspace_name: str) -> tuple[tuple[str, str], ...]:
    return (name, "name"), (workspace_name, "workspace_name")


def _count(wish: Wish, client: str) -> None:
    rate_limits.check(f"{wish.purpose}-links", client, OF_CLIENT)
    rate_limits.check(f"{wish.purpose}-links-to", wish.email, TO_ADDRESS)


def _keep(session: Session, wish: Wish, person_id: str | None, until: datetime, now: datetime) -> str:
    """Add the row of a new link; its secret."""
    secret = secrets.token_urlsafe(32)
    session.add(
        EmailProof(
            purpose=wish.purpose,
            email=wish.email,
            person_id=person_id,
            name=wish.name,
            workspace_name=wish.workspace_name,
            timezone=wish.timezone,
            language=wish.language,
            secret_hash=digest(secret),
            created_at=now,
            expires_at=until,
        )
    )
    return secret


def _open(session: Session, secret: str, now: datetime, purpose: str = "") -> EmailProof:
    row = session.exec(select(EmailProof).where(EmailProof.secret_hash == digest(secret[:_LONGEST]))).first()
    if row is None or row.expires_at <= now or (purpose and row.purpose != purpose):
        raise NotFound("This link has been used, or is too old. Ask for a new one.", code="link_ended")
    return row


def _queue(
    session: Session, recipient: str, language: Language, kind: str, subject: str, name: str, *paragraphs: str
) -> None:
    """``name`` is the account's own; what was typed by somebody who has proven nothing is in no e-mail."""
    _ = language.gettext
    greeting = _("Hello %(name)s,") % {"name": name} if name else _("Hello,")
    end = _("If you did not ask for this, you need not do anything.")
    mail_outbox.queue(
        session,
        Draft(
            workspace_id=None,
            booking_id=None,
            kind=kind,
            dedupe=f"{kind}:{secrets.token_hex(16)}",
            recipient=recipient,
            subject=subject,
            body="\n\n".join((greeting, *paragraphs, end)) + "\n",
            language=language.tag,
        ),
    )


def _queue_has_account(session: Session, recipient: str, language: Language, name: str = "") -> None:
    _, site = language.gettext, current_settings().public_url
    _queue(
        session,
        recipient,
        language,
        "has_account",
        _("You already have an account"),
        name,
        _("Somebody, probably you, wanted to use this address for an account. It has one already."),
        _("Sign in:") + f"\n{site}/login",
        _("Choose a new password:") + f"\n{site}/reset",
    )


def _queue_sign_up(session: Session, wish: Wish, secret: str) -> None:
    language = translations.of_tag(wish.language, wish.timezone)
    _ = language.gettext
    _queue(
        session,
        wish.email,
        language,
        "prove_sign_up",
        _("Confirm your e-mail address"),
        "",
        _(
            "Confirm that this address is yours, and choose a password, to have your account. The link works for a day:"
        )
        + f"\n{_link(secret)}",
    )


def _queue_reset(session: Session, person: Person, secret: str) -> None:
    language = security_emails.language_of(person)
    _ = language.gettext
    _queue(
        session,
        person.email,
        language,
        "reset_password",
        _("Choose a new password"),
        person.name,
        _(
            "Somebody, probably you, asked for a new password. The link works for an hour, and nothing changes until "
            "it is used:"
        )
        + f"\n{_link(secret)}",
    )


def _queue_change(session: Session, person: Person, recipient: str, secret: str) -> None:
    language = security_emails.language_of(person)
    _ = language.gettext
    _queue(
        session,
        recipient,
        language,
        "prove_change",
        _("Confirm your new e-mail address"),
        "",
        _("The account %(email)s shall have this address. Confirm it within an hour:")
        % {"email": person.email}
        + f"\n{_link(secret)}",
    )


def _link(secret: str) -> str:
    return f"{current_settings().public_url}/confirm/{secret}"
