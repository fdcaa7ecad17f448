"""Signing in at Microsoft: Entra ID and personal accounts, by the v2.0 endpoints.

* Flow: https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow
* Permissions: https://learn.microsoft.com/graph/permissions-reference
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import httpx

from calendar_app.providers.base import Account, Grant, ScopeNeed
from calendar_app.providers.microsoft import clouds
from calendar_app.providers.microsoft.clouds import RESOURCES, entra_of, resource_of
from calendar_app.providers.microsoft.consent import administrators_address, client_answer, refused
from calendar_app.providers.microsoft.errors import to_error
from calendar_app.providers.oauth import AuthorizationCode, OAuthVendor
from calendar_app.settings import Settings

# Calendars.Read is what subscriptions are listed with: "Graph Subscriptions will not be able to support write access
# permissions" (https://learn.microsoft.com/graph/api/subscription-post-subscriptions). Older grants work without it, so
# nothing is said where it is missing.
SCOPES = (
    ScopeNeed("offline_access", "keep your calendars in step while you are away", required=True),
    ScopeNeed("User.Read", "know which account this is", required=True),
    ScopeNeed(
        "Calendars.ReadWrite", "read your events and write bookings into your calendars", required=True
    ),
    ScopeNeed("Calendars.Read", "", required=False),
    ScopeNeed("MailboxSettings.Read", "know in which time zone your all-day events lie", required=False),
)
_OFFLINE = "offline_access"
_CANONICAL = {need.scope.lower(): need.scope for need in SCOPES}
_CONSUMERS = "9188040d-6c67-4c5b-b112-36a304b66dad"
"""The tenant of all personal accounts (https://learn.microsoft.com/entra/identity-platform/id-token-claims-reference)."""
_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def access_page(settings: Settings) -> str:
    """Where the owner of an account of the configured cloud ends our access."""
    return clouds.access_page(settings.microsoft_authorize, settings.microsoft_api_url)


def microsoft_oauth(settings: Settings, *, transport: httpx.BaseTransport | None = None) -> AuthorizationCode:
    """Every refresh answers with a new refresh token that replaces the one sent.

    ``prompt=select_account``: many people have a work and a personal account in one browser. ``issuer`` is known for a
    single tenant only: with ``common`` and ``organizations`` it names the tenant of whoever signs in, which nobody
    knows before, so it is empty and not checked. No endpoint ends one application's delegated grant
    (``revokeSignInSessions`` would sign the person out of everything, on every device).
    """
    vendor = OAuthVendor(
        title="Microsoft",
        client_id=settings.microsoft_client_id,
        client_secret=settings.microsoft_client_secret,
        scopes=SCOPES,
        issuer=issuer_of(settings.microsoft_tenant, entra_of(settings.microsoft_authorize)),
        authorize=settings.microsoft_authorize,
        administrators=administrators_address(settings.microsoft_authorize),
        administrator_scopes=_full_names(resource_of(settings.microsoft_api_url)),
        refused=refused,
        client_answer=client_answer,
        token=settings.microsoft_token,
        extra={"response_mode": "query", "prompt": "select_account"},
        no_revocation="Microsoft lets only the account's owner end an application's access, at "
        f"{access_page(settings)}.",
        named=_named,
        account=f"{settings.microsoft_api_url}/me?$select=id,displayName,mail,userPrincipalName",
        account_of=_account,
        to_error=to_error,
    )
    return AuthorizationCode(vendor, timeout=settings.http_timeout, transport=transport)


def issuer_of(tenant: str, entra: str = "https://login.microsoftonline.com") -> str:
    """The ``iss`` of a tenant that is one (by its GUID, or ``consumers``) at that Entra, else empty."""
    guid = _CONSUMERS if tenant.lower() == "consumers" else tenant.lower()
    return f"{entra}/{guid}/v2.0" if _GUID.fullmatch(guid) else ""


def _full_names(resource: str) -> str:
    """All our scopes by their full names, as the admin consent endpoint is shown them; OpenID's have no resource."""
    return " ".join(need.scope if need.scope == _OFFLINE else f"{resource}{need.scope}" for need in SCOPES)


def _account(me: Mapping[str, Any]) -> Account:
    """``id`` never changes; ``mail`` is empty for some accounts, the sign-in name is not."""
    email = str(me.get("mail") or me.get("userPrincipalName") or "")
    return Account(str(me.get("id") or ""), email, str(me.get("displayName") or ""))


def _named(grant: Grant) -> Grant:
    """Scopes by the names that we asked for.

    The answer gives Graph's permissions by their full addresses or in other case, and never ``offline_access``, whose
    proof is the refresh token itself.
    """
    given = [scope.removeprefix(next(filter(scope.startswith, RESOURCES), "")) for scope in grant.scopes]
    scopes = [_CANONICAL.get(scope.lower(), scope) for scope in given if scope.lower() != _OFFLINE]
    if grant.refresh_token:
        scopes.insert(0, _OFFLINE)
    return replace(grant, scopes=tuple(dict.fromkeys(scopes)))
