"""What keeps an account its owner's: signed-in browsers, API tokens, the password.

Nobody gets in here with a token that was made for less (:func:`calendar_app.api.deps.account_holder`), so that such a
token cannot make a mightier one.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session, col, select

from calendar_app.clock import utc_now
from calendar_app.db.locks import locked_one
from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import ApiToken, AuthSession, Person
from calendar_app.domain.intake import clean_text
from calendar_app.errors import InvalidInput, NotFound
from calendar_app.services.accounts import passwords, security_emails
from calendar_app.services.accounts import sessions as browser_sessions
from calendar_app.services.accounts.authentication import API_TOKEN_PREFIX, Identity, digest
from calendar_app.services.common import audit_log, rate_limits

SCOPES = ("read", "write", "*")
"""What a token may be made for: look, also change things, also manage the account."""
LONGEST_DAYS = 366
MOST_TOKENS = 100
PASSWORD_TRIES = "10 per 15 minutes"  # noqa: S105  # a limit, not a password


@dataclass(frozen=True, slots=True)
class TokenView:
    """An API token as its owner sees it; its secret was shown once. ``expires_at`` ``None``: it does not end. One that
    is not ``named`` was had for the password and lasts for an hour."""

    id: str
    name: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    current: bool
    named: bool = True


@dataclass(frozen=True, slots=True)
class NewToken:
    """``secret`` is what callers send; nobody can read it again."""

    secret: str
    token: TokenView


def list_tokens(identity: Identity, *, now: datetime | None = None) -> list[TokenView]:
    """The person's living tokens, latest first."""
    now = now or utc_now()
    with reading() as session:
        rows = session.exec(
            select(ApiToken).where(ApiToken.person_id == identity.person_id).order_by(col(ApiToken.id).desc())
        )
        return [_view(row, identity) for row in rows if row.expires_at is None or row.expires_at > now]


def create_token(
    identity: Identity, name: str, scopes: list[str], days: int | None, *, now: datetime | None = None
) -> NewToken:
    """A token for a program. ``days`` until it ends, ``None``: never.

    :raises InvalidInput: a scope that there is not, a life that is too long, or too many tokens.
    """
    now = now or utc_now()
    name = clean_text(" ".join(name.split()), "name", 100)
    if not name:
        raise InvalidInput("Give the token a name by which you will know it.", field="name")
    if not scopes or set(scopes) - set(SCOPES):
        raise InvalidInput(f"Scopes are some of {', '.join(SCOPES)}.", field="scopes")
    if days is not None and not 1 <= days <= LONGEST_DAYS:
        raise InvalidInput(f"A token lives from 1 to {LONGEST_DAYS} days, or without end.", field="days")
    if sum(1 for token in list_tokens(identity, now=now) if token.named) >= MOST_TOKENS:
        raise InvalidInput("There are too many tokens: revoke some first.", code="too_many_tokens")
    secret = API_TOKEN_PREFIX + secrets.token_urlsafe(32)
    with transaction() as session:
        row = ApiToken(
            person_id=identity.person_id,
            name=name,
            token_hash=digest(secret),
            scopes=[scope for scope in SCOPES if scope in scopes],
            expires_at=now + timedelta(days=days) if days is not None else None,
        )
        session.add(row)
        if "*" in row.scopes:
            security_emails.token_made(session, session.get_one(Person, identity.person_id), row)
        _note(session, identity, "token.created", "token", row.id, name=name, scopes=row.scopes)
    return NewToken(secret, _view(row, identity))


def revoke_token(identity: Identity, token_id: str) -> None:
    """End a token now. :raises NotFound: it is not theirs."""
    with transaction() as session:
        row = session.get(ApiToken, token_id)
        if row is None or row.person_id != identity.person_id:
            raise NotFound("There is no such token.")
        session.delete(row)
        _note(session, identity, "token.revoked", "token", row.id, name=row.name)


def sign_out_others(identity: Identity) -> int:
    """End every browser session but the caller's; how many."""
    with transaction() as session:
        ended = _others(session, identity)
        _note(session, identity, "sessions.ended", "person", identity.person_id, number=ended)
    return ended


def change_password(identity: Identity, present: str, wanted: str, *, end_tokens: bool = False) -> int:
    """A new password, which ends every other browser session; how many those were. Every other token that may manage
    the account ends too, as whoever knew the old password could make one; tokens for less only with ``end_tokens``.

    :raises InvalidInput: the present one is wrong, or the new one too weak. :raises TooManyRequests: too many tries.
    """
    person = require_password(identity, present)
    kept = passwords.hashed(passwords.checked(wanted, person.name, person.email))
    with transaction() as session:
        fresh = locked_one(session, Person, person.id)
        fresh.password_hash = kept
        session.add(fresh)
        ended = _others(session, identity)
        tokens = end_tokens_of(session, person.id, but=identity.session_id, all_of_them=end_tokens)
        _note(
            session,
            identity,
            "password.changed",
            "person",
            person.id,
            sessions_ended=ended,
            tokens_ended=tokens,
        )
        security_emails.password_changed(session, fresh)
    return ended


def require_password(identity: Identity, password: str) -> Person:
    """Whoever changes how one signs in shows that they know the password, however they got to the browser; the person.

    :raises InvalidInput: ``wrong_password``. :raises TooManyRequests: too many tries.
    """
    rate_limits.peek("password", identity.person_id, PASSWORD_TRIES)
    with reading() as session:
        person = session.get(Person, identity.person_id)
    if person is None or not passwords.matches(person.password_hash, password):
        rate_limits.count("password", identity.person_id, PASSWORD_TRIES)
        raise InvalidInput("That is not your present password.", field="present", code="wrong_password")
    return person


def end_tokens_of(session: Session, person_id: str, *, but: str = "", all_of_them: bool = False) -> int:
    """End the person's tokens that may manage the account, or all, except the one with the id ``but``; how many."""
    rows = session.exec(select(ApiToken).where(ApiToken.person_id == person_id, ApiToken.id != but)).all()
    ended = [row for row in rows if all_of_them or "*" in row.scopes]
    for row in ended:
        session.delete(row)
    return len(ended)


def _others(session: Session, identity: Identity) -> int:
    mine = (col(AuthSession.person_id) == identity.person_id) & (col(AuthSession.id) != identity.session_id)
    return browser_sessions.end_sessions(session, mine)


def _note(
    session: Session,
    identity: Identity,
    action: str,
    subject: str,
    subject_id: str,
    **detail: str | int | list[str],
) -> None:
    """In the trail of every workspace that the person works in: each has a right to know."""
    audit_log.record_everywhere(session, identity.actors(), action, subject, subject_id, **detail)


def _view(row: ApiToken, identity: Identity) -> TokenView:
    return TokenView(
        row.id,
        row.name,
        tuple(row.scopes),
        row.created_at,
        row.expires_at,
        row.last_used_at,
        row.id == identity.session_id,
        bool(row.name),
    )
