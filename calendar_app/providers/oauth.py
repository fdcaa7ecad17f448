"""OAuth 2.0 authorization code flow with PKCE, on Authlib, for every provider that speaks it.

RFC 6749 §4.1 (code), §6 (refresh); RFC 7636 (PKCE, always S256); RFC 7009 (revocation). Tokens pass through here and
nowhere else in the clear; no error carries a token or the provider's raw body.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from authlib.common.errors import AuthlibBaseError
from authlib.oauth2 import OAuth2Client
from pydantic import SecretStr

from calendar_app.errors import GrantRevoked, InvalidRequest, ProviderUnavailable, RateLimited
from calendar_app.providers.base import Grant
from calendar_app.providers.http import MeteredClient, retry_after, tls

_GRANT_ENDED = frozenset({"invalid_grant", "interaction_required", "consent_required", "login_required"})
"""RFC 6749 §5.2, and OpenID Connect Core §3.1.2.6 for servers that want the person back first."""


@dataclass(frozen=True, slots=True)
class OAuthEndpoints:
    """Where a provider's authorization server lives, and what it wants beyond the RFC (``extra``: query parameters).

    ``revoke_as_client``: revoking takes the client's own credentials too (RFC 7009 §2.1).
    """

    title: str
    client_id: str
    client_secret: SecretStr
    authorize: str
    token: str
    revoke: str
    extra: Mapping[str, str] = field(default_factory=dict)
    revoke_as_client: bool = False


class AuthorizationCode:
    """The flow for one provider. ``timeout`` in seconds; ``transport`` is a seam for tests."""

    def __init__(
        self,
        endpoints: OAuthEndpoints,
        scope: str,
        *,
        timeout: float,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._endpoints = endpoints
        self._timeout = timeout
        self._scope = scope
        self._transport = transport

    def authorization_url(
        self, *, state: str, code_verifier: str, redirect_uri: str, login_hint: str = ""
    ) -> str:
        """The provider's consent page, with PKCE challenge and our state."""
        extra = dict(self._endpoints.extra)
        if login_hint:
            extra["login_hint"] = login_hint
        client = OAuth2Client(
            session=None, client_id=self._endpoints.client_id, scope=self._scope, code_challenge_method="S256"
        )
        url, _state = client.create_authorization_url(
            self._endpoints.authorize,
            state=state,
            code_verifier=code_verifier,
            redirect_uri=redirect_uri,
            **extra,
        )
        return str(url)

    def exchange(self, *, code: str, code_verifier: str, redirect_uri: str) -> Grant:
        """:raises GrantRevoked: the code was refused. :raises InvalidRequest: our own credentials were."""
        with self._http() as http, self._errors():
            token = self._client(http).fetch_token(
                self._endpoints.token,
                grant_type="authorization_code",
                code=code,
                code_verifier=code_verifier,
                redirect_uri=redirect_uri,
                **self._credentials(),
            )
        return self._grant(token)

    def refresh(self, refresh_token: str) -> Grant:
        """:raises GrantRevoked: the grant is gone, only the person can bring it back."""
        with self._http() as http, self._errors():
            client = self._client(http)
            client.scope = None  # the granted scopes stay (RFC 6749 §6)
            token = client.refresh_token(
                self._endpoints.token, refresh_token=refresh_token, **self._credentials()
            )
        return self._grant(token, sent=refresh_token)

    def revoke(self, token: str) -> None:
        """Withdraw the grant. A provider that no longer knows the token answers 400: the goal is reached."""
        with self._http() as http, self._errors():
            response = http.post(self._endpoints.revoke, data={"token": token} | self._revoker())
        if response.status_code not in (200, 204, 400):
            raise ProviderUnavailable(f"{self._endpoints.title} did not confirm that access was withdrawn.")

    def _revoker(self) -> dict[str, str]:
        if not self._endpoints.revoke_as_client:
            return {}
        secret = self._endpoints.client_secret.get_secret_value()
        return {"client_id": self._endpoints.client_id, "client_secret": secret}

    def _http(self) -> httpx.Client:
        return MeteredClient(verify=tls(), timeout=self._timeout, transport=self._transport)

    def _client(self, http: httpx.Client) -> OAuth2Client:
        return OAuth2Client(session=http, client_id=self._endpoints.client_id, scope=self._scope)

    def _credentials(self) -> dict[str, Any]:
        """Client authentication in the body (RFC 6749 §2.3.1), which leaves the ``Authorization`` header unused."""
        return {
            "client_id": self._endpoints.client_id,
            "client_secret": self._endpoints.client_secret.get_secret_value(),
            "auth": httpx.Auth(),
        }

    def _grant(self, token: Mapping[str, Any], *, sent: str | None = None) -> Grant:
        if not token.get("access_token"):
            raise ProviderUnavailable(
                f"{self._endpoints.title} sent an answer that cannot be read.", reason="bad_body"
            )
        given = token.get("refresh_token")
        lifetime = timedelta(seconds=int(token.get("expires_in") or 3600))
        return Grant(
            access_token=str(token["access_token"]),
            refresh_token=str(given) if given and given != sent else None,
            expires_at=datetime.now(UTC) + lifetime,
            scopes=tuple(str(token.get("scope") or self._scope).split()),
        )

    @contextmanager
    def _errors(self) -> Iterator[None]:
        title = self._endpoints.title
        try:
            yield
        except AuthlibBaseError as error:
            reason = str(error.error or "")
            if reason in _GRANT_ENDED:
                raise GrantRevoked(
                    f"{title} no longer accepts this sign-in: connect the account again."
                ) from None
            if reason in ("temporarily_unavailable", "server_error"):
                raise ProviderUnavailable(f"{title} cannot be reached right now.", reason=reason) from None
            known = {
                "invalid_client": "does not accept this application's client id and secret",
                "unauthorized_client": "does not accept this application's client id and secret",
                "redirect_uri_mismatch": "does not know this application's redirect address",
            }
            what = known.get(reason, "refused the sign-in")
            raise InvalidRequest(
                f"{title} {what}: an operator has to check the configuration.", reason=reason
            ) from None
        except httpx.HTTPStatusError as error:
            if error.response.status_code == 429:
                raise RateLimited(
                    f"{title} asked us to slow down.",
                    reason="rate_limited",
                    retry_after=retry_after(error.response),
                ) from None
            raise ProviderUnavailable(f"{title} cannot be reached right now.", reason="http") from None
        except (httpx.HTTPError, ValueError) as error:
            raise ProviderUnavailable(
                f"{title} cannot be reached right now.", reason=type(error).__name__
            ) from None
