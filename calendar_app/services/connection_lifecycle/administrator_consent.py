"""Where an organization's administrator has to consent before its people can connect their accounts.

A person who was refused gets an address and sends it to the administrator. The answer comes to the provider's usual
callback, in another browser and perhaps days later, so its ``state`` lives longer than that of an attempt to connect
and belongs to no browser; all other rules of :mod:`.connecting` hold: 256 random bits, one use, one provider, and the
person who asked must still be staff. It opens nothing: a code that comes with it is refused, and so is an ordinary
state that comes without one. All that an answer does is to say so: on a page, in the audit trail, and by email to the
person who asked, unless it is they who brought the answer.

Source: https://learn.microsoft.com/entra/identity-platform/v2-admin-consent
"""

from __future__ import annotations

import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from calendar_app.clock import utc_now
from calendar_app.db.session import transaction
from calendar_app.db.tables import OAuthAttempt
from calendar_app.errors import ConsentDenied, NotFound, ProviderUnavailable, StateInvalid
from calendar_app.providers import registry
from calendar_app.providers.base import AsksAdministrators, ConsentRefusal
from calendar_app.services.accounts import authentication
from calendar_app.services.common import audit_log
from calendar_app.services.common.permissions import Actor, Role
from calendar_app.services.connection_lifecycle import oauth as connection_oauth
from calendar_app.services.connections import emails as connection_emails
from calendar_app.services.connections.queries import title

LINK_LIFE = timedelta(days=7)
_ANYBODY = "administrator-consent"
"""The binding of these states, which no browser can prove to be."""

REFUSALS = {
    ConsentRefusal.ADMINISTRATOR: (
        "Your organization lets only an administrator allow Almanac to use calendars. Send your administrator the "
        "link from the Calendars page; once they have agreed, connect again."
    ),
    ConsentRefusal.REQUESTED: (
        "Your request has gone to your organization’s administrator. Once they have agreed, connect again."
    ),
    ConsentRefusal.DECLINED: (
        "Access was not granted, so nothing was connected. You can try again at any time. If Microsoft asked for an "
        "administrator’s approval, send your administrator the link from the Calendars page."
    ),
    ConsentRefusal.NOT_ASSIGNED: (
        "Your organization lets only those people use Almanac whom an administrator has assigned to it. Ask your "
        "administrator to assign you to the application in Entra, then connect again."
    ),
    ConsentRefusal.POLICY: (
        "A sign-in rule of your organization blocked this, for example because of the device or the network you use. "
        "Ask your administrator which rule it was, or try from a device that your organization manages."
    ),
    ConsentRefusal.SIGN_IN: (
        "Microsoft wants you to sign in once more, or to confirm who you are. Connect again and follow its steps."
    ),
}
OFFERS_LINK = frozenset({ConsentRefusal.ADMINISTRATOR, ConsentRefusal.DECLINED})
"""Refusals after which the link for the administrator may help."""


@dataclass(frozen=True, slots=True)
class AdministratorLink:
    """What to send to the administrator, and until when it works."""

    url: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Agreed:
    """An administrator has consented. ``own``: in the browser of the person who had asked; ``next_path`` is theirs."""

    own: bool
    next_path: str


def administrator_link(actor: Actor, provider: str, *, now: datetime | None = None) -> AdministratorLink:
    """An address where an administrator consents for their organization; each call makes a new one.

    :raises Forbidden: customers connect nothing. :raises NotFound: no such provider, or it needs no administrator.
    :raises ProviderNotConfigured: an operator has to set credentials first.
    """
    actor.require(Role.STAFF)
    oauth, state = registry.oauth_client(provider), secrets.token_urlsafe(32)
    url = (
        oauth.administrator_url(state=state, redirect_uri=connection_oauth.redirect_uri(provider))
        if isinstance(oauth, AsksAdministrators)
        else ""
    )
    if not url:
        raise NotFound(f"{title(provider)} asks no administrator.")
    expires_at = (now or utc_now()) + LINK_LIFE
    with transaction() as session:
        session.add(
            OAuthAttempt(
                state_hash=authentication.digest(state),
                binding=authentication.digest(_ANYBODY),
                provider=provider,
                workspace_id=actor.workspace_id,
                person_id=actor.person_id,
                code_verifier="",
                next_path=connection_oauth.DEFAULT_NEXT,
                expires_at=expires_at,
            )
        )
    return AdministratorLink(url, expires_at)


def take_answer(
    *,
    bindings: Collection[str],
    provider: str,
    state: str | None,
    code: str | None = None,
    error: str | None = None,
    now: datetime | None = None,
) -> Agreed:
    """Take the answer that carries ``admin_consent``.

    :raises StateInvalid: ``state`` is missing, unknown, spent, too old, or an ordinary attempt's; or a code came too.
    :raises ConsentDenied: ``admin_consent_refused``. :raises ProviderUnavailable: the provider is in trouble.
    """
    if code:
        raise StateInvalid("The provider's answer cannot be read. Ask for a new link.")
    now = now or utc_now()
    attempt = connection_oauth.spend(state or "", provider, [_ANYBODY], now)
    own = connection_oauth.person_binding(attempt.person_id) in bindings
    if error in ("server_error", "temporarily_unavailable"):
        raise ProviderUnavailable(
            f"{title(provider)} cannot take your consent right now. Ask for a new link."
        )
    with transaction() as session:
        audit_log.record(
            session,
            attempt.workspace_id,
            audit_log.Party.PROVIDER,
            "connection.administrator_refused" if error else "connection.administrator_agreed",
            "person",
            attempt.person_id,
            provider=provider,
        )
        if not error and not own:
            connection_emails.administrator_agreed(
                session, attempt.workspace_id, attempt.person_id, provider, now
            )
    if error:
        raise ConsentDenied(
            f"The administrator did not allow Almanac to use calendars at {title(provider)}.",
            code="admin_consent_refused",
        )
    return Agreed(own, attempt.next_path)
