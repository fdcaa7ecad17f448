"""Passkeys (WebAuthn Level 3): made on the security page, used instead of a password and as a second factor.

A passkey is asked to verify its user (a fingerprint, a PIN), so it stands for both factors. It is bound to the site's
name, ``PUBLIC_URL``'s host. Each challenge is worth one use: it stands in a :class:`SignInStep` whose secret only that
browser has.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from sqlmodel import Session, col, select
from webauthn import (
    base64url_to_bytes,
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import bytes_to_base64url
from webauthn.helpers.exceptions import InvalidCBORData, InvalidJSONStructure, WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from calendar_app.clock import utc_now
from calendar_app.db.locks import locked_one
from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import Person, SecondFactor, SignInStep
from calendar_app.errors import InvalidInput, NotSignedIn
from calendar_app.services.accounts import account_security, authentication, second_factor
from calendar_app.services.accounts.authentication import Identity, SignedIn
from calendar_app.services.accounts.second_factor import PASSKEY_KIND
from calendar_app.services.common import rate_limits
from calendar_app.settings import current_settings

CHALLENGES_OF_CLIENT = "60/minute"
_REFUSED = (WebAuthnException, InvalidCBORData, InvalidJSONStructure, ValueError, KeyError, TypeError)


@dataclass(frozen=True, slots=True)
class Challenge:
    """``options`` (JSON) for ``navigator.credentials``, and the ``secret`` for the browser's cookie."""

    secret: str
    options: str


def start_adding(identity: Identity, password: str) -> Challenge:
    """Options to make a passkey. :raises InvalidInput: ``wrong_password``, or too many factors.
    :raises TooManyRequests: too many tries."""
    account_security.require_password(identity, password)
    with reading() as session:
        second_factor.check_number(session, identity.person_id)
        known = _credentials(session, identity.person_id)
    options = generate_registration_options(
        rp_id=_site(),
        rp_name=second_factor.ISSUER,
        user_id=identity.person_id.encode(),
        user_name=identity.email,
        user_display_name=identity.name,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED,
            user_verification=UserVerificationRequirement.REQUIRED,
        ),
        exclude_credentials=known,
    )
    secret = second_factor.begin(identity.person_id, challenge=bytes_to_base64url(options.challenge))
    return Challenge(secret, options_to_json(options))


def add(
    identity: Identity, secret: str, credential: dict[str, Any], name: str, *, now: datetime | None = None
) -> list[str]:
    """Keep the passkey that a browser made; recovery codes where the person had none, shown once.

    :raises NotSignedIn: ``sign_in_ended``. :raises InvalidInput: ``passkey_refused``.
    """
    now = now or utc_now()
    with transaction() as session:
        person = locked_one(session, Person, identity.person_id)
        step = _own_step(session, secret, person.id, now)
        try:
            verified = verify_registration_response(
                credential=json.dumps(credential),
                expected_challenge=base64url_to_bytes(step.challenge),
                expected_rp_id=_site(),
                expected_origin=_origin(),
                require_user_verification=True,
            )
        except _REFUSED:
            raise InvalidInput("This passkey could not be checked.", code="passkey_refused") from None
        own_id = bytes_to_base64url(verified.credential_id)
        if session.exec(select(SecondFactor.id).where(SecondFactor.credential_id == own_id)).first():
            raise InvalidInput("This passkey is known already.", code="passkey_refused")
        row = SecondFactor(
            person_id=person.id,
            kind=PASSKEY_KIND,
            name=second_factor.factor_name(name, "Passkey"),
            credential_id=own_id,
            public_key=verified.credential_public_key,
            sign_count=verified.sign_count,
            created_at=now,
            confirmed_at=now,
        )
        session.add(row)
        session.delete(step)
        return second_factor.added(session, identity, person, row, now)


def start_using(secret: str = "", *, client: str = "", now: datetime | None = None) -> Challenge:
    """Options to sign in with a passkey: any of this site's, or where ``secret`` belongs to a sign-in with the right
    password, one of that account's.

    :raises TooManyRequests: too many challenges.
    """
    rate_limits.check("passkey-challenges", client, CHALLENGES_OF_CLIENT)
    now, person_id = now or utc_now(), None
    known: list[PublicKeyCredentialDescriptor] = []
    with reading() as session, suppress(NotSignedIn):
        person_id = second_factor.step(session, secret, now).person_id
        known = _credentials(session, person_id) if person_id else []
    options = generate_authentication_options(
        rp_id=_site(), allow_credentials=known, user_verification=UserVerificationRequirement.REQUIRED
    )
    challenge = bytes_to_base64url(options.challenge)
    return Challenge(second_factor.begin(person_id, challenge=challenge), options_to_json(options))


def use(
    secret: str,
    credential: dict[str, Any],
    *,
    user_agent: str = "",
    device: str = "",
    now: datetime | None = None,
) -> SignedIn:
    """Sign in with what a passkey answered to :func:`start_using`.

    :raises NotSignedIn: ``sign_in_ended``, or ``passkey_refused``: unknown, another account's, or forged.
    """
    now = now or utc_now()
    with transaction() as session:
        step = second_factor.step(session, secret, now)
        own_id = credential.get("id")
        row = session.exec(
            select(SecondFactor)
            .where(SecondFactor.credential_id == (own_id if isinstance(own_id, str) else ""))
            .where(SecondFactor.kind == PASSKEY_KIND)
            .with_for_update()
        ).first()
        if row is None or not step.challenge or step.person_id not in (None, row.person_id):
            raise _refused()
        try:
            verified = verify_authentication_response(
                credential=json.dumps(credential),
                expected_challenge=base64url_to_bytes(step.challenge),
                expected_rp_id=_site(),
                expected_origin=_origin(),
                credential_public_key=row.public_key,
                credential_current_sign_count=row.sign_count,
                require_user_verification=True,
            )
        except _REFUSED:
            raise _refused() from None
        row.sign_count, row.last_used_at = verified.new_sign_count, now
        session.add(row)
        session.delete(step)
        person = session.get_one(Person, row.person_id)
        return authentication.open_session(session, person, user_agent=user_agent, device=device)


def _own_step(session: Session, secret: str, person_id: str, now: datetime) -> SignInStep:
    step = second_factor.step(session, secret, now)
    if step.person_id != person_id or not step.challenge:
        raise NotSignedIn("This took too long: begin again.", code="sign_in_ended")
    return step


def _credentials(session: Session, person_id: str) -> list[PublicKeyCredentialDescriptor]:
    query = select(SecondFactor.credential_id).where(
        SecondFactor.person_id == person_id, col(SecondFactor.credential_id).is_not(None)
    )
    return [
        PublicKeyCredentialDescriptor(id=base64url_to_bytes(own_id))
        for own_id in session.exec(query)
        if own_id
    ]


def _refused() -> NotSignedIn:
    return NotSignedIn("This passkey does not open an account here.", code="passkey_refused")


def _site() -> str:
    return urlsplit(current_settings().public_url).hostname or "localhost"


def _origin() -> str:
    parts = urlsplit(current_settings().public_url)
    return f"{parts.scheme}://{parts.netloc}"
