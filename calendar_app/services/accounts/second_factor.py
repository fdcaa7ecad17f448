"""What an account asks for besides its password: a code of an authenticator app (RFC 6238), a passkey
(:mod:`calendar_app.services.accounts.passkeys`), or one of ten recovery codes.

A sign-in with the right password goes on with a :class:`SignInStep`, whose secret the browser keeps in a cookie for ten
minutes. A code is accepted once: the time step of the last one is kept, and neither it nor an earlier one is accepted
again (RFC 6238, section 5.2). A new password does not take a factor away (OWASP ASVS 5.0, 6.4.4).
"""

from __future__ import annotations

import base64
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from sqlmodel import Session, col, delete, func, select

from calendar_app.clock import utc_now
from calendar_app.db.locks import locked_one
from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import Person, RecoveryCode, SecondFactor, SignInStep
from calendar_app.db.tables.sign_in import WITH_SECRET
from calendar_app.domain.intake import clean_text
from calendar_app.errors import Conflict, InvalidInput, NotFound, NotSignedIn
from calendar_app.services.accounts import account_security, authentication, security_emails
from calendar_app.services.accounts.authentication import Identity, SignedIn, digest
from calendar_app.services.common import audit_log, rate_limits

COOKIE = "almanac_sign_in"
STEP_LIFE = timedelta(minutes=10)
TOTP_KIND, PASSKEY_KIND = "totp", "passkey"
CODES = 10
"""How many recovery codes there are."""
MOST_FACTORS = 10
TRIES = "10 per 15 minutes"
ISSUER = "Almanac"
_STEP_S, _DIGITS, _KEY_BYTES = 30, 6, 20
_SKEW = (-1, 0, 1)
"""Time steps around now whose codes are accepted (RFC 6238, section 5.2)."""


@dataclass(frozen=True, slots=True)
class FactorView:
    """A second factor as its owner sees it."""

    id: str
    kind: str
    name: str
    created_at: datetime
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class NewApp:
    """An authenticator app to be set up: ``key`` in base32 to type, ``uri`` (otpauth) to scan."""

    id: str
    key: str
    uri: str


def list_factors(identity: Identity) -> list[FactorView]:
    """The person's second factors that are in force, oldest first."""
    query = select(SecondFactor).where(
        SecondFactor.person_id == identity.person_id, col(SecondFactor.confirmed_at).is_not(None)
    )
    with reading() as session:
        rows = session.exec(query.order_by(col(SecondFactor.id)))
        return [FactorView(row.id, row.kind, row.name, row.created_at, row.last_used_at) for row in rows]


def recovery_codes_left(identity: Identity) -> int:
    """How many recovery codes have not been used."""
    query = select(func.count()).where(
        RecoveryCode.person_id == identity.person_id, col(RecoveryCode.used_at).is_(None)
    )
    with reading() as session:
        return session.exec(query).one()


def start_app(identity: Identity, password: str, name: str = "", *, now: datetime | None = None) -> NewApp:
    """A key for an authenticator app; it is in force once :func:`confirm_app` has seen a code of it.

    :raises InvalidInput: ``wrong_password``, or too many factors. :raises TooManyRequests: too many tries.
    """
    account_security.require_password(identity, password)
    key = base64.b32encode(secrets.token_bytes(_KEY_BYTES)).decode()
    with transaction() as session:
        check_number(session, identity.person_id)
        session.exec(
            delete(SecondFactor).where(
                col(SecondFactor.person_id) == identity.person_id, col(SecondFactor.confirmed_at).is_(None)
            )
        )
        row = SecondFactor(
            person_id=identity.person_id,
            kind=TOTP_KIND,
            name=factor_name(name, "Authenticator app"),
            secret=key,
            created_at=now or utc_now(),
        )
        session.add(row)
    return NewApp(row.id, key, _totp(key).get_provisioning_uri(identity.email, ISSUER))


def confirm_app(identity: Identity, factor_id: str, code: str, *, now: datetime | None = None) -> list[str]:
    """Put an authenticator app in force by a code of it; recovery codes where the person had none, shown once.

    :raises NotFound: no such factor to confirm. :raises InvalidInput: ``wrong_code``.
    :raises TooManyRequests: too many tries.
    """
    now = now or utc_now()
    rate_limits.peek("second-factor", identity.person_id, TRIES)
    with transaction() as session:
        person = locked_one(session, Person, identity.person_id)
        row = session.get(SecondFactor, factor_id, options=WITH_SECRET)
        if row is None or row.person_id != person.id or row.confirmed_at is not None:
            raise NotFound("There is no such authenticator app to confirm: begin again.")
        if _accept(row, code, now):
            row.confirmed_at = now
            session.add(row)
            return added(session, identity, person, row, now)
    rate_limits.count("second-factor", identity.person_id, TRIES)
    raise InvalidInput(
        "That is not the code that the app shows now. Is the clock of your phone right?",
        field="code",
        code="wrong_code",
    )


def remove(identity: Identity, factor_id: str, password: str) -> None:
    """Take a factor away; with the last one the recovery codes go.

    :raises NotFound: it is not theirs. :raises InvalidInput: ``wrong_password``.
    """
    account_security.require_password(identity, password)
    with transaction() as session:
        person = locked_one(session, Person, identity.person_id)
        row = session.get(SecondFactor, factor_id)
        if row is None or row.person_id != person.id:
            raise NotFound("There is no such factor.")
        session.delete(row)
        session.flush()
        if not authentication.has_second_factor(session, person.id):
            session.exec(delete(RecoveryCode).where(col(RecoveryCode.person_id) == person.id))
        _note(session, identity, "second_factor.removed", row)
        security_emails.factor_removed(session, person, row.name)


def new_recovery_codes(identity: Identity, password: str, *, now: datetime | None = None) -> list[str]:
    """Ten new codes; the earlier ones end. :raises InvalidInput: ``wrong_password``.
    :raises Conflict: ``no_second_factor``, there is nothing that they would stand for."""
    account_security.require_password(identity, password)
    with transaction() as session:
        person = locked_one(session, Person, identity.person_id)
        if not authentication.has_second_factor(session, person.id):
            raise Conflict("Add an authenticator app or a passkey first.", code="no_second_factor")
        codes = _make_codes(session, person.id, now or utc_now())
        audit_log.record_everywhere(
            session, identity.actors(), "recovery_codes.made", "person", person.id, number=len(codes)
        )
        security_emails.recovery_codes_made(session, person)
    return codes


def begin(person_id: str | None, *, challenge: str = "", now: datetime | None = None) -> str:
    """A step of a sign-in that is half done; its secret, for the cookie :data:`COOKIE`."""
    now, secret = now or utc_now(), secrets.token_urlsafe(32)
    with transaction() as session:
        session.exec(delete(SignInStep).where(col(SignInStep.expires_at) <= now))
        session.add(
            SignInStep(
                person_id=person_id,
                secret_hash=digest(secret),
                challenge=challenge,
                created_at=now,
                expires_at=now + STEP_LIFE,
            )
        )
    return secret


def step(session: Session, secret: str, now: datetime) -> SignInStep:
    """The step of a cookie. :raises NotSignedIn: ``sign_in_ended``, it is unknown or too old."""
    row = session.exec(select(SignInStep).where(SignInStep.secret_hash == digest(secret[:100]))).first()
    if row is None or row.expires_at <= now:
        raise NotSignedIn("This sign-in took too long: begin again.", code="sign_in_ended")
    return row


def finish(
    secret: str, code: str, *, user_agent: str = "", device: str = "", now: datetime | None = None
) -> SignedIn:
    """Sign in with the code of an authenticator app, or a recovery code. ``device`` as in
    :func:`calendar_app.services.accounts.authentication.sign_in`.

    :raises NotSignedIn: ``sign_in_ended``; ``wrong_code``, also for a code that was used before.
    :raises TooManyRequests: too many codes were tried at this account.
    """
    now = now or utc_now()
    with reading() as session:
        person_id = step(session, secret, now).person_id
    if person_id is None:
        raise NotSignedIn("This sign-in took too long: begin again.", code="sign_in_ended")
    rate_limits.peek("second-factor", person_id, TRIES)
    with transaction() as session:
        person = locked_one(session, Person, person_id)
        row = step(session, secret, now)
        if _accept_any(session, person, code, now):
            session.delete(row)
            return authentication.open_session(session, person, user_agent=user_agent, device=device)
    rate_limits.count("second-factor", person_id, TRIES)
    raise NotSignedIn("That code is wrong, or was used before.", code="wrong_code")


def remove_all(session: Session, person: Person) -> int:
    """Take every factor away, for an operator whom somebody has asked who lost them all; how many."""
    rows = session.exec(select(SecondFactor).where(SecondFactor.person_id == person.id)).all()
    for row in rows:
        session.delete(row)
    session.exec(delete(RecoveryCode).where(col(RecoveryCode.person_id) == person.id))
    return len(rows)


def check_number(session: Session, person_id: str) -> None:
    """:raises InvalidInput: ``too_many_factors``."""
    number = session.exec(
        select(func.count()).where(
            SecondFactor.person_id == person_id, col(SecondFactor.confirmed_at).is_not(None)
        )
    ).one()
    if number >= MOST_FACTORS:
        raise InvalidInput("There are too many: remove one first.", code="too_many_factors")


def factor_name(name: str, fallback: str) -> str:
    """A name by which the person knows a factor."""
    return clean_text(" ".join(name.split()), "name", 100) or fallback


def added(
    session: Session, identity: Identity, person: Person, row: SecondFactor, now: datetime
) -> list[str]:
    """Note a factor that is now in force, in the caller's transaction; recovery codes where there were none."""
    _note(session, identity, "second_factor.added", row)
    security_emails.factor_added(session, person, row.name)
    unused = select(RecoveryCode.id).where(
        RecoveryCode.person_id == person.id, col(RecoveryCode.used_at).is_(None)
    )
    return [] if session.exec(unused.limit(1)).first() else _make_codes(session, person.id, now)


def _accept_any(session: Session, person: Person, code: str, now: datetime) -> bool:
    apps = (
        select(SecondFactor)
        .where(SecondFactor.person_id == person.id, SecondFactor.kind == TOTP_KIND)
        .where(col(SecondFactor.confirmed_at).is_not(None))
        .options(*WITH_SECRET)
    )
    for app in session.exec(apps):
        if _accept(app, code, now):
            session.add(app)
            return True
    return _accept_recovery(session, person, code, now)


def _accept(row: SecondFactor, code: str, now: datetime) -> bool:
    """Whether it is a code of the app that has not been used; notes that it has."""
    given = "".join(code.split())
    if len(given) != _DIGITS or not given.isdecimal() or not given.isascii():
        return False
    totp, present = _totp(row.secret), int(now.timestamp()) // _STEP_S
    for at in (present + shift for shift in _SKEW):
        if at > row.last_step and hmac.compare_digest(totp.generate(at * _STEP_S), given.encode()):
            row.last_step, row.last_used_at = at, now
            return True
    return False


def _accept_recovery(session: Session, person: Person, code: str, now: datetime) -> bool:
    plain = "".join(one for one in code.lower() if one.isalnum())
    row = session.exec(
        select(RecoveryCode).where(
            RecoveryCode.person_id == person.id,
            RecoveryCode.code_hash == digest(plain),
            col(RecoveryCode.used_at).is_(None),
        )
    ).first()
    if row is None:
        return False
    row.used_at = now
    session.add(row)
    security_emails.recovery_code_used(session, person)
    return True


def _make_codes(session: Session, person_id: str, now: datetime) -> list[str]:
    """80 random bits each, in base32, in groups of four."""
    session.exec(delete(RecoveryCode).where(col(RecoveryCode.person_id) == person_id))
    codes = [base64.b32encode(secrets.token_bytes(10)).decode().lower() for _ in range(CODES)]
    session.add_all(
        RecoveryCode(person_id=person_id, code_hash=digest(code), created_at=now) for code in codes
    )
    return ["-".join(code[at : at + 4] for at in range(0, 16, 4)) for code in codes]


def _totp(key: str) -> TOTP:
    return TOTP(base64.b32decode(key), _DIGITS, SHA1(), _STEP_S, enforce_key_length=False)  # noqa: S303


def _note(session: Session, identity: Identity, action: str, row: SecondFactor) -> None:
    audit_log.record_everywhere(
        session, identity.actors(), action, "second_factor", row.id, kind=row.kind, name=row.name
    )
