"""Signing in at Calendly (OAuth 2.1).

* Flow: https://developer.calendly.com/how-to-access-calendly-data-on-behalf-of-authenticated-users
* Scopes: https://developer.calendly.com/scopes; rotation: https://developer.calendly.com/refresh-token-rotation-guide
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import httpx

from calendar_app.providers.base import Account, Grant, ScopeNeed
from calendar_app.providers.calendly.errors import to_error
from calendar_app.providers.calendly.mapping import resource_of
from calendar_app.providers.http import MeteredClient, ProviderHttp, tls
from calendar_app.providers.oauth import AuthorizationCode, OAuthEndpoints
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


class CalendlyOAuth:
    """:class:`calendar_app.providers.base.OAuthClient` for Calendly; ``transport`` is a seam for tests.

    Every refresh answers with a new refresh token and ends the old one at once.
    """

    scopes: Sequence[ScopeNeed] = SCOPES
    issuer = "https://calendly.com"

    def __init__(self, settings: Settings, *, transport: httpx.BaseTransport | None = None) -> None:
        self._api = settings.calendly_api_url
        self._transport = transport
        self._timeout = settings.http_timeout
        self._flow = AuthorizationCode(
            OAuthEndpoints(
                title="Calendly",
                client_id=settings.calendly_client_id,
                client_secret=settings.calendly_client_secret,
                authorize=settings.calendly_auth_url,
                token=settings.calendly_token_url,
                revoke=settings.calendly_revoke_url,
                revoke_as_client=True,
            ),
            " ".join(need.scope for need in SCOPES),
            timeout=settings.http_timeout,
            transport=transport,
        )

    def authorization_url(
        self, *, state: str, code_verifier: str, redirect_uri: str, login_hint: str = ""
    ) -> str:
        """The consent page; Calendly knows no ``login_hint``."""
        return self._flow.authorization_url(
            state=state, code_verifier=code_verifier, redirect_uri=redirect_uri
        )

    def exchange(self, *, code: str, code_verifier: str, redirect_uri: str) -> Grant:
        return _named(self._flow.exchange(code=code, code_verifier=code_verifier, redirect_uri=redirect_uri))

    def refresh(self, refresh_token: str) -> Grant:
        return _named(self._flow.refresh(refresh_token))

    def revoke(self, token: str) -> None:
        self._flow.revoke(token)

    def account(self, access_token: str) -> Account:
        """``users/me``: the user's URI never changes, the address may."""
        with MeteredClient(verify=tls(), transport=self._transport, timeout=self._timeout) as client:
            http = ProviderHttp(self._api, access_token, to_error, client=client)
            user = resource_of(http.json("GET", "/users/me"))
        return Account(str(user["uri"]), str(user.get("email") or ""), str(user.get("name") or ""))


def _named(grant: Grant) -> Grant:
    """``write`` includes ``read``; applications from before scopes have one that means everything."""
    if "default" in grant.scopes:
        return replace(grant, scopes=tuple(need.scope for need in SCOPES))
    implied = [scope.removesuffix(":write") + ":read" for scope in grant.scopes if scope.endswith(":write")]
    return replace(grant, scopes=tuple(dict.fromkeys((*grant.scopes, *implied))))
