"""Signing in at Calendly (OAuth 2.1).

* Flow: https://developer.calendly.com/how-to-access-calendly-data-on-behalf-of-authenticated-users
* Scopes: https://developer.calendly.com/scopes; rotation: https://developer.calendly.com/refresh-token-rotation-guide
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import httpx

from calendar_app.providers.base import Account, Grant, ScopeNeed
from calendar_app.providers.calendly.errors import to_error
from calendar_app.providers.calendly.mapping import resource_of
from calendar_app.providers.oauth import AuthorizationCode, OAuthVendor
from calendar_app.settings import Settings

SCOPES = (
    ScopeNeed("users:read", "know which account this is", required=True),
    ScopeNeed("scheduled_events:read", "see what customers have booked with you at Calendly", required=True),
    ScopeNeed(
        "availability:read",
        "check a time at Calendly once more before a booking is confirmed",
        required=False,
    ),
    ScopeNeed("webhooks:write", "hear at once when somebody books or cancels at Calendly", required=False),
    ScopeNeed("event_types:read", "show your Calendly event types", required=False),
    ScopeNeed("scheduled_events:write", "cancel a Calendly appointment for you", required=False),
)


def calendly_oauth(settings: Settings, *, transport: httpx.BaseTransport | None = None) -> AuthorizationCode:
    """Every refresh answers with a new refresh token and ends the old one at once.

    The account is known by the user's URI, which never changes; the address may.
    """
    vendor = OAuthVendor(
        title="Calendly",
        client_id=settings.calendly_client_id,
        client_secret=settings.calendly_client_secret,
        scopes=SCOPES,
        issuer="https://calendly.com",
        authorize=settings.calendly_auth_url,
        token=settings.calendly_token_url,
        revoke=settings.calendly_revoke_url,
        revoke_as_client=True,
        login_hint=False,
        named=_named,
        account=f"{settings.calendly_api_url}/users/me",
        account_of=_account,
        to_error=to_error,
    )
    return AuthorizationCode(vendor, timeout=settings.http_timeout, transport=transport)


def _account(answer: Mapping[str, Any]) -> Account:
    user = resource_of(answer)
    return Account(str(user["uri"]), str(user.get("email") or ""), str(user.get("name") or ""))


def _named(grant: Grant) -> Grant:
    """``write`` includes ``read``; applications from before scopes have one that means everything."""
    if "default" in grant.scopes:
        return replace(grant, scopes=tuple(need.scope for need in SCOPES))
    implied = [scope.removesuffix(":write") + ":read" for scope in grant.scopes if scope.endswith(":write")]
    return replace(grant, scopes=tuple(dict.fromkeys((*grant.scopes, *implied))))
