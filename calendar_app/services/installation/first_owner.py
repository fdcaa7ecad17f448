"""Setting up an installation in which nobody is yet: its owner, their business, and the address of both.

Whoever starts it is shown a code; only who knows that code can become the owner. A start makes a code of its own, and
the latest :data:`MOST_CODES` hold, so that several web processes need not agree on one. The first account ends all of
them, however it was made, and the page is gone for ever.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass

from sqlmodel import Session, col, delete, select

from calendar_app import translations
from calendar_app.clock import utc_now
from calendar_app.db.entered import Group, from_environment
from calendar_app.db.locks import locked_one
from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import Installation, Person, SetupCode, Workspace
from calendar_app.domain.intake import clean_text
from calendar_app.errors import AlmanacError, InvalidInput, NotFound
from calendar_app.services.accounts import authentication, new_workspace, passwords
from calendar_app.services.accounts.authentication import SignedIn
from calendar_app.services.common import audit_log, installation, rate_limits
from calendar_app.services.installation import entry
from calendar_app.settings import current_settings, get_settings

MOST_CODES = 10
TRIES, TRIES_OF_ALL = "10 per 15 minutes", "100/hour"
"""Limits on wrong codes, of one client and of all together."""
_LETTERS = "ABCDEFGHJKMNPQRSTVWXYZ23456789"
"""Without those that look alike. Twelve of them are 58 bits."""
_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class Answers:
    """What the form asks for. ``slug``: of the business's booking pages, empty to make one of its name; ``address``:
    where the installation is reached, empty to leave that to the environment; ``language``: of its pages."""

    name: str
    email: str
    password: str
    business: str
    slug: str
    address: str
    language: str
    timezone: str


class SetUpRefused(InvalidInput):
    """Some answers are unusable: ``errors`` by field, as codes."""

    code = "set_up_refused"

    def __init__(self, errors: dict[str, str]) -> None:
        super().__init__("Some answers cannot be used.")
        self.errors = errors


def is_needed() -> bool:
    """Whether nobody is here yet. Once somebody is, that is remembered for ever."""
    with reading() as session:
        row = installation.own(session)
        if row is not None and row.set_up_at is not None:
            return False
        if session.exec(select(Person.id).limit(1)).first() is None:
            return True
    with transaction() as session:
        _end(session, None)
    return False


def make_code() -> str:
    """A new code that opens the page, to be shown to who starts the installation; the database has its digest."""
    code = "-".join("".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(3))
    with transaction() as session:
        session.add(SetupCode(code_hash=_digest(code)))
        session.flush()
        older = select(SetupCode.id).order_by(col(SetupCode.id).desc()).offset(MOST_CODES).limit(1000)
        for stale in session.exec(older).all():
            session.delete(session.get_one(SetupCode, stale))
    return code


def set_up(code: str, answers: Answers, *, user_agent: str = "", client: str = "") -> SignedIn:
    """Make the owner with their business, signed in; all of it or nothing.

    They need no proof of their e-mail address: the code proved that the installation is theirs.

    :raises NotFound: the installation is set up. :raises InvalidInput: ``wrong_code``, or :class:`SetUpRefused`.
    :raises TooManyRequests: too many wrong codes.
    """
    if not is_needed():
        raise NotFound("This installation is set up.")
    _check_code(code, client)
    kept = _checked(answers)

    def place(session: Session, person: Person) -> None:
        row = locked_one(session, Installation, _row(session).id)
        if row.set_up_at is not None:
            raise NotFound("This installation is set up.")
        person.email_proven_at = None  # nothing was sent to it
        slug = kept.slug or None
        workspace = new_workspace.new_workspace(session, person, kept.business, slug=slug)
        workspace.language = kept.language
        audit_log.record(
            session,
            workspace.id,
            audit_log.Party.SYSTEM,
            "installation.set_up",
            "person",
            person.id,
            email=kept.email,
        )
        if kept.address and kept.address != current_settings().public_url:
            entry.keep(session, Group.SITE, {"base_url": kept.address}, kept.email)
        _end(session, person.id)

    return authentication.sign_up(
        kept.name,
        kept.email,
        kept.password,
        kept.business,
        kept.timezone,
        user_agent=user_agent,
        client=client,
        place=place,
        proven=True,  # the installation is theirs, whomever OPERATORS names
        language=kept.language,
    )


def address_from_environment() -> str:
    """Where this installation is reached, if its environment says so; else empty."""
    fixed = from_environment(get_settings(), Group.SITE)
    return current_settings().public_url if fixed else ""


def _row(session: Session) -> Installation:
    row = installation.own(session)
    if row is None:
        row = Installation()
        session.add(row)
        session.flush()
    return row


def _end(session: Session, owner_id: str | None) -> None:
    row = _row(session)
    row.set_up_at = row.set_up_at or utc_now()
    row.owner_id = row.owner_id or owner_id
    session.add(row)
    session.exec(delete(SetupCode))


def _check_code(code: str, client: str) -> None:
    limits = (("set-up", client, TRIES), ("set-up-all", "", TRIES_OF_ALL))
    for limit in limits:
        rate_limits.peek(*limit)
    plain = re.sub(r"[^A-Z0-9]", "", code.upper())[:40]
    wanted = _digest("-".join(plain[place : place + 4] for place in range(0, len(plain), 4)))
    with reading() as session:
        kept = session.exec(select(SetupCode.code_hash)).all()
    if sum(hmac.compare_digest(wanted, one) for one in kept) == 0:
        for limit in limits:
            rate_limits.count(*limit)
        raise InvalidInput(
            "This is not the code that was shown at the start.", field="code", code="wrong_code"
        )


def _digest(code: str) -> str:
    key = get_settings().secret_key.get_secret_value().encode()
    return hmac.new(key, f"set-up {code}".encode(), hashlib.sha256).hexdigest()


def _checked(given: Answers) -> Answers:
    """The answers in the form in which they are kept. :raises SetUpRefused: naming every field that is unusable."""
    errors: dict[str, str] = {}
    found: dict[str, str] = {}

    def read(field: str, work: object) -> None:
        assert callable(work)
        try:
            found[field] = str(work(getattr(given, field)))
        except AlmanacError as error:
            errors[field] = error.code

    read("name", lambda text: _text(text, "name", 120))
    read("email", authentication.normal_email)
    read("password", lambda text: passwords.checked(text, given.name, given.email))
    read("business", lambda text: _text(text, "business", 100))
    read("slug", _slug)
    read("language", _language)
    read("timezone", authentication.zone)
    fixed = address_from_environment()
    read("address", lambda text: "" if fixed or not text.strip() else entry.checked_address(text))
    if errors:
        raise SetUpRefused(errors)
    return Answers(**found)


def _text(text: str, field: str, most: int) -> str:
    cleaned = clean_text(text, field, most)
    if not cleaned:
        raise InvalidInput("This is needed.", field=field)
    return cleaned


def _slug(text: str) -> str:
    slug = text.strip().lower()
    if not slug:
        return ""
    if not _SLUG.fullmatch(slug) or len(slug) > 48:
        raise InvalidInput("Use small letters, digits and hyphens.", field="slug")
    with reading() as session:
        if session.exec(select(Workspace.id).where(Workspace.slug == slug)).first() is not None:
            raise InvalidInput("Somebody has this address already.", field="slug")
    return slug


def _language(code: str) -> str:
    if code not in translations.NAMES:
        raise InvalidInput("This language is not offered.", field="language")
    return code
