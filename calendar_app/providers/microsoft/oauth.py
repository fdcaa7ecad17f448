"""Signing in at Microsoft: Entra ID and personal accounts, by the v2.0 endpoints.

* Flow: https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow
* Permissions: https://learn.microsoft.com/graph/permissions-reference
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import httpx

from calendar_app.errors import InvalidRequest, ProviderUnavailable
from calendar_app.providers.base import Account, Grant, ScopeNeed
from calendar_app.providers.http import MeteredClient, ProviderHttp, tls
from calendar_app.providers.microsoft.errors import to_error
from calendar_app.providers.oauth import AuthorizationCode, OAuthEndpoints
from calendar_app.settings import Settings

SCOPES = (
    ScopeNeed("offline_access", "keep your calendars in step while you are away", required=True),
    ScopeNeed("User.Read", "know which account this is", required=True),
    ScopeNeed(
        "Calendars.ReadWrite", "read your events and write bookings into your calendars", required=True
    ),
    ScopeNeed("MailboxSettings.Read", "know in which time zone your all-day events lie", required=False),
)
_RESOURCE = "https://graph.microsoft.com/"
_CANONICAL = {need.scope.lower(): need.scope for need in SCOPES}
_CONSUMERS = "9188040d-6c67-4c5b-b112-36a304b66dad"
"""The tenant of all personal accounts (https://learn.microsoft.com/entra/identity-platform/id-token-claims-reference)."""
_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
ACCESS_PAGE = (
    "https://myapps.microsoft.com (work or school) or https://account.live.com/consent/Manage (personal)"
)


class MicrosoftOAuth:
    """:class:`calendar_app.providers.base.OAuthClient` for Microsoft; ``transport`` is a seam for tests.

    ``issuer`` is known for a single tenant only: with ``common`` and ``organizations`` it names the tenant of whoever
    signs in, which nobody knows before, so it is empty and not checked.
    """

    scopes: Sequence[ScopeNeed] = SCOPES

    def __init__(self, settings: Settings, *, transport: httpx.BaseTransport | None = None) -> None:
        self._api = settings.microsoft_api_url
        self._transport = transport
        self._timeout = settings.http_timeout
        self.issuer = issuer_of(settings.microsoft_tenant)
        self._flow = AuthorizationCode(
            OAuthEndpoints(
                title="Microsoft",
                client_id=settings.microsoft_client_id,
                client_secret=settings.microsoft_client_secret,
                authorize=settings.microsoft_authorize,
                token=settings.microsoft_token,
                revoke="",
                extra={"response_mode": "query", "prompt": "select_account"},
            ),
            " ".join(need.scope for need in SCOPES),
            timeout=settings.http_timeout,
            transport=transport,
        )

    def authorization_url(
        self, *, state: str, code_verifier: str, redirect_uri: str, login_hint: str = ""
    ) -> str:
        """``prompt=select_account``: many people have a work and a personal account in one browser."""
        return self._flow.authorization_url(
            state=state, code_verifier=code_verifier, redirect_uri=redirect_uri, login_hint=login_hint
        )

    def exchange(self, *, code: str, code_verifier: str, redirect_uri: str) -> Grant:
        return _named(self._flow.exchange(code=code, code_verifier=code_verifier, redirect_uri=redirect_uri))

    def refresh(self, refresh_token: str) -> Grant:
        """A new access token, and a new refresh token that replaces the one sent."""
        return _named(self._flow.refresh(refresh_token))

    def revoke(self, token: str) -> None:
        """Always refused: Microsoft has no endpoint that ends one application's delegated grant.

        (``revokeSignInSessions`` would sign the person out of everything, on every device.)

        :raises InvalidRequest: with the addresses where people end it themselves.
        """
        raise InvalidRequest(
            f"Microsoft lets only the account's owner end an application's access, at {ACCESS_PAGE}.",
            reason="no_revocation_endpoint",
        )

    def account(self, access_token: str) -> Account:
        """``/me``: ``id`` never changes; ``mail`` is empty for some accounts, the sign-in name is not."""
        with MeteredClient(verify=tls(), transport=self._transport, timeout=self._timeout) as client:
            answer = ProviderHttp(self._api, access_token, to_error, client=client).json(
                "GET", "/me", query={"$select": "id,displayName,mail,userPrincipalName"}
            )
        if not answer.get("id"):
            raise ProviderUnavailable("Microsoft did not say whose account this is.", reason="bad_body")
        email = str(answer.get("mail") or answer.get("userPrincipalName") or "")
        return Account(str(answer["id"]), email, str(answer.get("displayName") or ""))


def issuer_of(tenant: str) -> str:
    """The ``iss`` of a tenant that is one (by its GUID, or ``consumers``), else empty."""
    guid = _CONSUMERS if tenant.lower() == "consumers" else tenant.lower()
    return f"https://login.microsoftonline.com/{guid}/v2.0" if _GUID.fullmatch(guid) else ""


def _named(grant: Grant) -> Grant:
    """Scopes by the names that we asked for.

    The answer gives Graph's permissions by their full addresses or in other case, and never ``offline_access``, whose
    proof is the refresh token itself.
    """
    given = [scope.removeprefix(_RESOURCE) for scope in grant.scopes]
    scopes = [_CANONICAL.get(scope.lower(), scope) for scope in given if scope.lower() != "offline_access"]
    if grant.refresh_token:
        scopes.insert(0, "offline_access")
    return Grant(grant.access_token, grant.refresh_token, grant.expires_at, tuple(dict.fromkeys(scopes)))
