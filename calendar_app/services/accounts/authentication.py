"""People, their sign-ins and their API tokens.

A sign-in and an API token are the same thing seen twice: 256 random bits of which the database keeps the SHA-256, with
an end date, revocable. (A fast hash is enough for a secret that nobody can guess.) The browser holds the first in an
HttpOnly cookie, scripts send the second as a bearer token.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from email_validator import EmailNotValidError, validate_email
from sqlalchemy import ColumnElement
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, delete, select

from calendar_app.clock import utc_now
from calendar_app.db.locks import locked_one
from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import ApiToken, AuthSession, Membership, Person, SecondFactor, Workspace
from calendar_app.domain.intake import clean_text
from calendar_app.domain.zones import is_zone
from calendar_app.errors import Conflict, InvalidInput, NotFound, NotSignedIn, SecondFactorRequired
from calendar_app.services.accounts import new_workspace, passwords, security_emails, trusted_devices
from calendar_app.services.accounts import sessions as browser_sessions
from calendar_app.services.common import audit_log, rate_limits
from calendar_app.services.common.permissions import Actor, Role
from calendar_app.settings import get_settings

__all__ = ["SESSION_COOKIE", "Actor", "Identity", "Role", "SessionView", "SignedIn", "WorkspaceRef"]

SESSION_COOKIE = "almanac_session"
SESSION_LIFE = timedelta(days=30)
API_TOKEN_LIFE = timedelta(hours=1)
"""Of a token that is had for the password; programs that run for longer are given one by name."""
PASSWORD_TOKENS = 10
"""Living ones that a person may have; the next one ends the oldest."""
UNNAMED = "made with the password"
"""What a token without a name is called in the audit trail: ``/auth/token`` makes such."""
API_TOKEN_PREFIX = "alm_"  # noqa: S105  # a mark by which secret scanners know our tokens, not a token
_SEEN_EVERY = timedelta(minutes=5)

PER_CLIENT = "60/minute"
PER_CLIENT_AND_EMAIL = "10 per 15 minutes"
PER_EMAIL = "100/hour"
PER_DEVICE = "10 per 15 minutes"
SIGN_UPS = "30/hour"
"""Limits: sign-ins of one client (a network address), its failures at one e-mail address, all failures at one e-mail
address, those of a browser that has signed in there before, sign-ups of one client."""


@dataclass(frozen=True, slots=True)
class WorkspaceRef:
    """A workspace as one of its members sees it."""

    id: str
    slug: str
    name: str
    timezone: str
    role: Role


@dataclass(frozen=True, slots=True)
class Identity:
    """Who is signed in. ``session_id`` is the id of the browser session, or of the API token. ``person_id`` is empty
    for customers without an account, who signed in by a link that was sent to them.

    ``scopes`` are those of the token, ``token`` its name; a browser session may do everything.
    """

    person_id: str
    email: str
    name: str
    timezone: str
    session_id: str
    workspaces: tuple[WorkspaceRef, ...]
    scopes: tuple[str, ...] = ("*",)
    token: str = ""

    def actors(self) -> list[Actor]:
        """The person in each of their workspaces."""
        return [self.actor(ref.id) for ref in self.workspaces]

    def actor(self, workspace: str | None = None) -> Actor:
        """The person in one workspace, by slug or id; without one in their first.

        :raises NotFound: no such workspace, or not theirs.
        """
        for ref in self.workspaces:
            if workspace is None or workspace in (ref.id, ref.slug):
                return Actor(
                    self.person_id, ref.id, ref.role, self.email, self.name, self.timezone, self.token
                )
        raise NotFound("There is no such workspace.")


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A fresh sign-in: ``token`` goes into the cookie and nowhere else."""

    token: str
    identity: Identity


@dataclass(frozen=True, slots=True)
class SessionView:
    """A signed-in browser, for the person's own list."""

    id: str
    user_agent: str
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    current: bool


def normal_email(text: str) -> str:
    """The address in lower case and normal form (RFC 6531). :raises InvalidInput: ``invalid_email``."""
    try:
        found = validate_email(
            text.strip(), check_deliverability=False, test_environment=not get_settings().production
        )
    except EmailNotValidError:
        raise InvalidInput("That is not an e-mail address.", field="email", code="invalid_email") from None
    return found.normalized.lower()


def zone(name: str) -> str:
    """The name back, if it is an IANA time zone. :raises InvalidInput: it is not."""
    if not is_zone(name):
        raise InvalidInput(
            f"There is no time zone called “{name[:60]}”.", field="timezone", code="unknown_timezone"
        )
    return name


def sign_up(
    name: str,
    email: str,
    password: str,
    workspace_name: str,
    timezone: str,
    *,
    user_agent: str = "",
    client: str = "",
    place: Callable[[Session, Person], object] | None = None,
    proven: bool = False,
    language: str = "",
) -> SignedIn:
    """A person with a workspace of their own, ready to be booked, and signed in.

    ``place`` puts them somewhere else instead, in the same transaction. ``proven``: they came by a link that was sent
    to the address. ``language``: the tag of that in which they are written to.

    :raises InvalidInput: a field is unusable. :raises Conflict: ``email_taken``. :raises TooManyRequests: too many.
    """
    rate_limits.check("sign-up", client, SIGN_UPS)
    person = Person(
        email=normal_email(email), name=_text(name, "name"), timezone=zone(timezone), password_hash=""
    )
    if not proven and person.email in get_settings().operators:
        # Nobody has shown that it is theirs, and whoever has it looks after the whole installation.
        raise _taken()
    workspace_name = _text(workspace_name or f"{name}’s workspace", "workspace_name")
    person.password_hash = passwords.hashed(passwords.checked(password, person.name, person.email))
    person.email_proven_at, person.language = utc_now() if proven else None, language
    token = secrets.token_urlsafe(32)
    try:
        with transaction() as session:
            session.add(person)
            session.flush()
            if place is not None:
                place(session, person)
            else:
                workspace = new_workspace.new_workspace(session, person, workspace_name)
                maker = Actor(person.id, workspace.id, Role.OWNER, person.email, person.name, person.timezone)
                audit_log.record(session, workspace.id, maker, "workspace.created", "workspace", workspace.id)
            sign_in_row = _new_session(session, person, token, user_agent)
    except IntegrityError as error:
        if "email" not in str(error.orig):
            raise Conflict("Somebody else was just given this workspace's address: try again.") from None
        raise _taken() from None
    with reading() as session:
        return SignedIn(token, _identity(session, person, sign_in_row.id))


def sign_in(
    email: str, password: str, *, user_agent: str = "", client: str = "", device: str = ""
) -> SignedIn:
    """A new browser session. ``device`` is what :mod:`calendar_app.services.accounts.trusted_devices` gave this
    browser, if anything.

    :raises NotSignedIn: ``invalid_credentials``, whichever of the two was wrong. :raises TooManyRequests: too many.
    :raises SecondFactorRequired: both are right, and the account asks for more.
    """
    person = _authenticate(email, password, client, device)
    with transaction() as session:
        if has_second_factor(session, person.id):
            raise SecondFactorRequired(person.id)
        return open_session(session, person, user_agent=user_agent, device=device)


def open_session(session: Session, person: Person, *, user_agent: str = "", device: str = "") -> SignedIn:
    """A new browser session of somebody who has shown who they are, in the caller's transaction. They are told by
    e-mail where ``device``, the browser's cookie, does not say that it was used for the account before."""
    now = utc_now()
    session.exec(
        delete(AuthSession).where(
            (col(AuthSession.expires_at) <= now) | (col(AuthSession.last_seen_at) <= now - idle_limit())
        )
    )
    if not trusted_devices.known(device, person.email):
        security_emails.new_browser(session, person, user_agent, now)
    token = secrets.token_urlsafe(32)
    row = _new_session(session, person, token, user_agent)
    return SignedIn(token, _identity(session, person, row.id))


def idle_limit() -> timedelta:
    """How long a browser session lasts without being used (``SESSION_IDLE_HOURS``)."""
    return timedelta(hours=get_settings().session_idle_hours)


def _alive(now: datetime) -> ColumnElement[bool]:
    """Which browser sessions have neither ended nor been left alone for too long."""
    return (col(AuthSession.expires_at) > now) & (col(AuthSession.last_seen_at) > now - idle_limit())


def sign_out(token: str) -> None:
    """End the browser session; an unknown one has ended already."""
    with transaction() as session:
        row = session.exec(select(AuthSession).where(AuthSession.token_hash == digest(token))).first()
        if row is None or not browser_sessions.end_sessions(session, col(AuthSession.id) == row.id):
            return
        _note(session, session.get_one(Person, row.person_id), "person.signed_out", row)


def identify(token: str, *, now: datetime | None = None) -> Identity | None:
    """Who holds this cookie; ``None`` if the session is unknown, ended or expired."""
    return identify_digest(digest(token), now=now)


def identify_digest(token_digest: str, *, now: datetime | None = None) -> Identity | None:
    """As :func:`identify`, for who was given the :func:`digest` of the cookie only (as pages are)."""
    now = now or utc_now()
    with reading() as session:
        found = session.exec(
            select(AuthSession, Person)
            .join(Person, col(Person.id) == col(AuthSession.person_id))
            .where(AuthSession.token_hash == token_digest)
            .where(_alive(now))
        ).first()
        if found is None:
            return None
        row, person = found
        identity = _identity(session, person, row.id)
    if now - row.last_seen_at > _SEEN_EVERY:
        with transaction() as session:
            if fresh := session.get(AuthSession, row.id):
                fresh.last_seen_at = now
    return identity


def actors(workspace_id: str, sessions: Collection[str], *, now: datetime | None = None) -> dict[str, Actor]:
    """Who acts in the workspace through each of these browser sessions, which are given as digests of their secrets.

    Those that have ended, or whose person is no member any more, are left out. One query, however many.
    """
    with reading() as session:
        rows = session.exec(
            select(AuthSession.token_hash, Person, Membership.role)
            .join(Person, col(Person.id) == col(AuthSession.person_id))
            .join(Membership, col(Membership.person_id) == col(Person.id))
            .where(Membership.workspace_id == workspace_id)
            .where(col(AuthSession.token_hash).in_(sessions))
            .where(_alive(now or utc_now()))
        )
        return {
            digested: Actor(person.id, workspace_id, Role(role), person.email, person.name, person.timezone)
            for digested, person, role in rows
        }


def living(sessions: Collection[str], *, now: datetime | None = None) -> dict[str, datetime]:
    """Which of these browser sessions, given as digests of their secrets, are alive, and when they end if nobody uses
    them."""
    with reading() as session:
        rows = session.exec(
            select(AuthSession.token_hash, AuthSession.expires_at, AuthSession.last_seen_at)
            .where(col(AuthSession.token_hash).in_(sessions))
            .where(_alive(now or utc_now()))
        )
        return {digested: min(expires, seen + idle_limit()) for digested, expires, seen in rows}


def list_sessions(identity: Identity, *, now: datetime | None = None) -> list[SessionView]:
    """The person's signed-in browsers, latest first."""
    with reading() as session:
        rows = session.exec(
            select(AuthSession)
            .where(AuthSession.person_id == identity.person_id)
            .where(_alive(now or utc_now()))
            .order_by(col(AuthSession.last_seen_at).desc())
        )
        return [
            SessionView(
                row.id,
                row.user_agent,
                row.created_at,
                row.last_seen_at,
                row.expires_at,
                row.id == identity.session_id,
            )
            for row in rows
        ]


def revoke_session(identity: Identity, session_id: str) -> None:
    """End one of the person's own browser sessions. :raises NotFound: it is not theirs, or has ended."""
    with transaction() as session:
        row = session.get(AuthSession, session_id)
        if row is None or row.person_id != identity.person_id:
            raise NotFound("There is no such session.")
        browser_sessions.end_sessions(session, col(AuthSession.id) == row.id)
        audit_log.record_everywhere(
            session, identity.actors(), "session.ended", "session", row.id, browser=row.user_agent[:100]
        )


def issue_api_token(email: str, password: str, *, client: str = "") -> tuple[str, int]:
    """A short-lived bearer token for the HTTP API and its life in seconds; errors as in :func:`sign_in`.

    Tokens of this kind have no name. They are listed, and replaced rather than piled up: those that have ended go, and
    of the living the oldest, so that no more than :data:`PASSWORD_TOKENS` stand.
    """
    person = _authenticate(email, password, client)
    token = API_TOKEN_PREFIX + secrets.token_urlsafe(32)
    now = utc_now()
    with transaction() as session:
        if has_second_factor(session, person.id):
            raise SecondFactorRequired(person.id)
        locked_one(session, Person, person.id)
        unnamed = session.exec(
            select(ApiToken)
            .where(ApiToken.person_id == person.id, ApiToken.name == "")
            .order_by(col(ApiToken.id).desc())
        ).all()
        living = [row for row in unnamed if row.expires_at is not None and row.expires_at > now]
        for row in unnamed:
            if row not in living[: PASSWORD_TOKENS - 1]:
                session.delete(row)
        row = ApiToken(
            person_id=person.id,
            token_hash=digest(token),
            scopes=["*"],
            expires_at=now + API_TOKEN_LIFE,
        )
        session.add(row)
        actors = _identity(session, person, row.id).actors()
        audit_log.record_everywhere(
            session, actors, "token.created", "token", row.id, name=row.name, scopes=row.scopes
        )
    return token, int(API_TOKEN_LIFE.total_seconds())


def identify_bearer(token: str, *, now: datetime | None = None) -> Identity | None:
    """Who holds this API token; ``None`` if it is unknown, revoked or expired."""
    now = now or utc_now()
    with reading() as session:
        found = session.exec(
            select(ApiToken, Person)
            .join(Person, col(Person.id) == col(ApiToken.person_id))
            .where(ApiToken.token_hash == digest(token))
        ).first()
        if found is None or (found[0].expires_at is not None and found[0].expires_at <= now):
            return None
        row, person = found
        identity = replace(
            _identity(session, person, row.id), scopes=tuple(row.scopes), token=row.name or UNNAMED
        )
    if row.last_used_at is None or now - row.last_used_at > _SEEN_EVERY:
        with transaction() as session:
            if fresh := session.get(ApiToken, row.id):
                fresh.last_used_at = now
    return identity


def digest(secret: str) -> str:
    """What the database keeps of a secret: SHA-256 in hex."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _authenticate(email: str, password: str, client: str, device: str = "") -> Person:
    """The person behind the credentials; failures are counted per client and per address, successes are not.

    A browser that has signed in to the account before is counted by itself instead: what others do to it does not
    keep it out.
    """
    rate_limits.check("sign-in", client, PER_CLIENT)
    try:
        address = normal_email(email)
    except InvalidInput:
        address = ""
    browser = trusted_devices.known(device, address)
    counted = (
        [("sign-in-device", browser, PER_DEVICE)]
        if browser
        else [
            ("sign-in-pair", f"{client}|{address}", PER_CLIENT_AND_EMAIL),
            ("sign-in-email", address, PER_EMAIL),
        ]
    )
    for limit in counted:
        rate_limits.peek(*limit)
    with reading() as session:
        person = session.exec(select(Person).where(Person.email == address)).first()
    if not passwords.matches(person.password_hash if person else None, password) or person is None:
        for limit in counted:
            rate_limits.count(*limit)
        raise NotSignedIn("The e-mail address or the password is wrong.", code="invalid_credentials")
    return person


def has_second_factor(session: Session, person_id: str) -> bool:
    """Whether the account asks for more than a password."""
    query = select(SecondFactor.id).where(
        SecondFactor.person_id == person_id, col(SecondFactor.confirmed_at).is_not(None)
    )
    return session.exec(query.limit(1)).first() is not None


def _taken() -> Conflict:
    return Conflict(
        "There is already an account with this e-mail address: sign in instead.", code="email_taken"
    )


def _new_session(session: Session, person: Person, token: str, user_agent: str) -> AuthSession:
    row = AuthSession(
        person_id=person.id,
        token_hash=digest(token),
        user_agent=user_agent[:200],
        expires_at=utc_now() + SESSION_LIFE,
    )
    session.add(row)
    _note(session, person, "person.signed_in", row)
    return row


def _note(session: Session, person: Person, action: str, row: AuthSession) -> None:
    """An entry in the audit trail about a browser session."""
    actors = _identity(session, person, row.id).actors()
    audit_log.record_everywhere(session, actors, action, "session", row.id, browser=row.user_agent[:100])


def identity_of(session: Session, person: Person) -> Identity:
    """The person as somebody who acts without a browser session."""
    return _identity(session, person, "")


def _identity(session: Session, person: Person, session_id: str) -> Identity:
    rows: Sequence[tuple[Workspace, Membership]] = session.exec(
        select(Workspace, Membership)
        .join(Membership, col(Membership.workspace_id) == col(Workspace.id))
        .where(Membership.person_id == person.id)
        .order_by(col(Membership.created_at), col(Membership.id))
    ).all()
    refs = tuple(
        WorkspaceRef(place.id, place.slug, place.name, place.timezone, Role(member.role))
        for place, member in rows
    )
    return Identity(person.id, person.email, person.name, person.timezone, session_id, refs)


def _text(value: str, field: str) -> str:
    text = clean_text(" ".join(value.split()), field, 120)
    if not text:
        raise InvalidInput("This needs between 1 and 120 characters.", field=field)
    return text
