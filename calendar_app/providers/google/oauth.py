"""Signing in at Google (https://developers.google.com/identity/protocols/oauth2/web-server)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import httpx

from calendar_app.providers.base import Account, Capability, Grant, ScopeNeed
from calendar_app.providers.google.errors import to_error
from calendar_app.providers.oauth import AuthorizationCode, OAuthVendor
from calendar_app.settings import Settings

_BASE = "https://www.googleapis.com/auth"
SCOPES = (
    ScopeNeed("openid", "know which account this is", required=True),
    ScopeNeed("email", "show which account is connected", required=True),
    ScopeNeed(f"{_BASE}/calendar.calendarlist.readonly", "list your calendars", required=True),
    ScopeNeed(
        f"{_BASE}/calendar.events", "read your events and write bookings into your calendars", required=True
    ),
    ScopeNeed(
        f"{_BASE}/calendar.freebusy",
        "check a time at Google once more before a booking is confirmed",
        required=False,
        capability=Capability.FREEBUSY,
    ),
)
_SCOPE_ALIASES = {f"{_BASE}/userinfo.email": "email"}


def google_oauth(settings: Settings, *, transport: httpx.BaseTransport | None = None) -> AuthorizationCode:
    """Offline access with ``prompt=consent``, without which Google sends a refresh token only the first time.

    The account is known by OpenID Connect's ``sub``, which never changes; the address may.
    """
    vendor = OAuthVendor(
        title="Google",
        client_id=settings.google_client_id,
        client_secret=settings.google_client_secret,
        scopes=SCOPES,
        issuer="https://accounts.google.com",
        authorize=settings.google_auth_url,
        token=settings.google_token_url,
        revoke=settings.google_revoke_url,
        extra={"access_type": "offline", "prompt": "consent", "include_granted_scopes": "true"},
        named=_named,
        account=settings.google_userinfo_url,
        account_of=_account,
        to_error=to_error,
    )
    return AuthorizationCode(vendor, timeout=settings.http_timeout, transport=transport)


def _account(user: Mapping[str, Any]) -> Account:
    return Account(str(user.get("sub") or ""), str(user.get("email") or ""), str(user.get("name") or ""))


def _named(grant: Grant) -> Grant:
    """Google names the e-mail scope by its long form, which is undone here."""
    scopes = dict.fromkeys(_SCOPE_ALIASES.get(scope, scope) for scope in grant.scopes)
    return replace(grant, scopes=tuple(scopes))
