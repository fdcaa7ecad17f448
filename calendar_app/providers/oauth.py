"""OAuth 2.0 authorization code flow with PKCE, on Authlib, for every provider that speaks it.

RFC 6749 §4.1 (code), §6 (refresh); RFC 7636 (PKCE, always S256); RFC 7009 (revocation). Tokens pass through here and
nowhere else in the clear; no error carries a token or the provider's raw body.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

import httpx
from authlib.common.errors import AuthlibBaseError
from authlib.oauth2 import OAuth2Client
from pydantic import SecretStr

from calendar_app.clock import utc_now
from calendar_app.errors import GrantRevoked, InvalidRequest, ProviderUnavailable, RateLimited
from calendar_app.providers.base import Account, ClientAnswer, ConsentRefusal, Grant, ScopeNeed
from calendar_app.providers.http import ErrorMap, MeteredClient, ProviderHttp, retry_after, tls

_GRANT_ENDED = frozenset({"invalid_grant", "interaction_required", "consent_required", "login_required"})
"""RFC 6749 §5.2, and OpenID Connect Core §3.1.2.6 for servers that want the person back first."""


_PASSING = frozenset({"temporarily_unavailable", "server_error", "internal_failure", "rate_limit_exceeded"})
"""Words for trouble that passes: RFC 6749 §4.1.2.1, and two that Google's token endpoint has been seen to give with 400
(google-auth retries on ``internal_failure``)."""


@dataclass(frozen=True, slots=True)
class OAuthVendor:
    """All that one provider's sign-in needs to say beyond the RFCs.

    * ``scopes``: asked for together; ``named`` puts a grant's scopes into these names.
    * ``extra``: query parameters of the consent page; ``login_hint``: whether that page knows who is expected.
    * ``account``: the address that tells whose grant it is, ``account_of`` what its answer says (an empty id: it does
      not say), ``to_error`` what a refusal there means.
    * ``issuer``: as in :class:`calendar_app.providers.base.OAuthClient`.
    * ``administrators``: where an organization's administrator consents for its people, to ``administrator_scopes``;
      ``refused`` reads ``error`` and ``error_description`` of a refusal.
    * ``revoke``: where a grant is withdrawn; where there is no such place, ``no_revocation`` tells people what to do.
      ``revoke_as_client``: that takes the client's own credentials too (RFC 7009 §2.1).
    * ``client_answer`` reads ``error`` and ``error_description`` of a refused code where they say more of our client
      than RFC 6749 does.
    """

    title: str
    client_id: str
    client_secret: SecretStr
    scopes: Sequence[ScopeNeed]
    authorize: str
    token: str
    account: str
    account_of: Callable[[Mapping[str, Any]], Account]
    to_error: ErrorMap
    issuer: str = ""
    extra: Mapping[str, str] = field(default_factory=dict)
    login_hint: bool = True
    named: Callable[[Grant], Grant] = lambda grant: grant
    administrators: str = ""
    administrator_scopes: str = ""
    refused: Callable[[str, str], ConsentRefusal | None] = lambda _error, _description: None
    revoke: str = ""
    revoke_as_client: bool = False
    no_revocation: str = ""
    client_answer: Callable[[str, str], ClientAnswer | None] = lambda _error, _description: None


NOBODYS_CODE = "almanac-checks-its-client"  # no secret: an authorization code that no server has issued
_CLIENT_ANSWERS = {
    # RFC 6749 §5.2: a client that fails to authenticate is `invalid_client`; a code can only be judged after that.
    "invalid_client": ClientAnswer.REFUSED,
    "unauthorized_client": ClientAnswer.REFUSED,
    "invalid_grant": ClientAnswer.ACCEPTED,
    "redirect_uri_mismatch": ClientAnswer.REDIRECT,
    "invalid_request": ClientAnswer.UNPROVEN,
}


class AuthorizationCode:
    """The flow for one provider: :class:`calendar_app.providers.base.OAuthClient` for all of them.

    ``timeout`` in seconds; ``transport`` is a seam for tests.
    """

    def __init__(
        self, vendor: OAuthVendor, *, timeout: float, transport: httpx.BaseTransport | None = None
    ) -> None:
        self.scopes = vendor.scopes
        self.issuer = vendor.issuer
        self._vendor = vendor
        self._scope = " ".join(need.scope for need in vendor.scopes)
        self._timeout = timeout
        self._transport = transport

    def authorization_url(
        self, *, state: str, code_verifier: str, redirect_uri: str, login_hint: str = ""
    ) -> str:
        """The provider's consent page, with PKCE challenge and our state."""
        extra = dict(self._vendor.extra)
        if login_hint and self._vendor.login_hint:
            extra["login_hint"] = login_hint
        client = OAuth2Client(
            session=None, client_id=self._vendor.client_id, scope=self._scope, code_challenge_method="S256"
        )
        url, _state = client.create_authorization_url(
            self._vendor.authorize,
            state=state,
            code_verifier=code_verifier,
            redirect_uri=redirect_uri,
            **extra,
        )
        return str(url)

    def administrator_url(self, *, state: str, redirect_uri: str) -> str:
        """Where an administrator consents for everybody; empty where there is no such place."""
        vendor = self._vendor
        if not vendor.administrators:
            return ""
        query = {
            "client_id": vendor.client_id,
            "scope": vendor.administrator_scopes,
            "redirect_uri": redirect_uri,
            "state": state,
        }
        return f"{vendor.administrators}?{urlencode(query, quote_via=quote)}"

    def refusal(self, error: str, description: str) -> ConsentRefusal | None:
        """What the provider's refusal means."""
        return self._vendor.refused(error, description)

    def exchange(self, *, code: str, code_verifier: str, redirect_uri: str) -> Grant:
        """:raises GrantRevoked: the code was refused. :raises InvalidRequest: our own credentials were."""
        with self._http() as http, self._errors():
            token = self._client(http).fetch_token(
                self._vendor.token,
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
                self._vendor.token, refresh_token=refresh_token, **self._credentials()
            )
        return self._grant(token, sent=refresh_token)

    def revoke(self, token: str) -> None:
        """Withdraw the grant. A provider that no longer knows the token says so: the goal is reached.

        :raises InvalidRequest: the provider has no such endpoint, and the sentence says where people end access; or it
            refused.
        """
        if not self._vendor.revoke:
            raise InvalidRequest(self._vendor.no_revocation, reason="no_revocation_endpoint")
        with self._http() as http, self._errors():
            response = http.post(self._vendor.revoke, data={"token": token} | self._revoker())
        if response.status_code in (200, 204) or _names_a_dead_token(response):
            return
        if response.status_code < 500:
            raise InvalidRequest(
                f"{self._vendor.title} refused to withdraw the access.", reason="not_revoked"
            )
        raise ProviderUnavailable(f"{self._vendor.title} did not confirm that access was withdrawn.")

    def account(self, access_token: str) -> Account:
        """Whose grant it is. :raises ProviderUnavailable: the answer does not say."""
        with self._http() as http:
            answer = ProviderHttp(self._vendor.account, access_token, self._vendor.to_error, client=http)
            account = self._vendor.account_of(answer.json("GET", ""))
        if not account.account_id:
            raise ProviderUnavailable(
                f"{self._vendor.title} did not say whose account this is.", reason="bad_body"
            )
        return account

    def check_client(self, redirect_uri: str) -> ClientAnswer:
        """Offer a code that nobody issued, and see which of the two is refused, our client or the code.

        :raises ProviderUnavailable: no answer, or none that can be read.
        """
        body = {
            "grant_type": "authorization_code",
            "code": NOBODYS_CODE,
            "code_verifier": NOBODYS_CODE * 2,
            "redirect_uri": redirect_uri,
            "client_id": self._vendor.client_id,
            "client_secret": self._vendor.client_secret.get_secret_value(),
        }
        with self._http() as http, self._errors():
            answer = self._passes(http.post(self._vendor.token, data=body)).json()
        if not isinstance(answer, dict) or not isinstance(error := answer.get("error"), str):
            raise ProviderUnavailable(
                f"{self._vendor.title} sent an answer that cannot be read.", reason="bad_body"
            )
        found = self._vendor.client_answer(error, str(answer.get("error_description") or ""))
        return found or _CLIENT_ANSWERS.get(error, ClientAnswer.UNPROVEN)

    def _revoker(self) -> dict[str, str]:
        if not self._vendor.revoke_as_client:
            return {}
        secret = self._vendor.client_secret.get_secret_value()
        return {"client_id": self._vendor.client_id, "client_secret": secret}

    def _http(self) -> httpx.Client:
        return MeteredClient(verify=tls(), timeout=self._timeout, transport=self._transport)

    def _client(self, http: httpx.Client) -> OAuth2Client:
        client = OAuth2Client(session=http, client_id=self._vendor.client_id, scope=self._scope)
        for hook in ("access_token_response", "refresh_token_response"):
            client.register_compliance_hook(hook, self._passes)
        return client

    def _passes(self, response: httpx.Response) -> httpx.Response:
        """An answer that says something of the grant. The status comes before ``error`` in the body: no 429 and no 5xx
        does, whatever words it brings (RFC 6585 §4, RFC 9110 §15.6; RFC 6749 §5.2 speaks of 400 and 401 only)."""
        if response.status_code == 429:
            raise RateLimited(
                f"{self._vendor.title} asked us to slow down.",
                reason="rate_limited",
                retry_after=retry_after(response),
            )
        if response.status_code >= 500:
            raise ProviderUnavailable(
                f"{self._vendor.title} cannot be reached right now.",
                reason="http",
                retry_after=retry_after(response),
            )
        return response

    def _credentials(self) -> dict[str, Any]:
        """Client authentication in the body (RFC 6749 §2.3.1), which leaves the ``Authorization`` header unused."""
        return {
            "client_id": self._vendor.client_id,
            "client_secret": self._vendor.client_secret.get_secret_value(),
            "auth": httpx.Auth(),
        }

    def _grant(self, token: Mapping[str, Any], *, sent: str | None = None) -> Grant:
        if not token.get("access_token"):
            raise ProviderUnavailable(
                f"{self._vendor.title} sent an answer that cannot be read.", reason="bad_body"
            )
        given = token.get("refresh_token")
        lifetime = timedelta(seconds=int(token.get("expires_in") or 3600))
        grant = Grant(
            access_token=str(token["access_token"]),
            refresh_token=str(given) if given and given != sent else None,
            expires_at=utc_now() + lifetime,
            scopes=tuple(str(token.get("scope") or self._scope).split()),
            ends_at=_from_now(token.get("refresh_token_expires_in")),
        )
        return self._vendor.named(grant)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        title = self._vendor.title
        try:
            yield
        except AuthlibBaseError as error:
            reason = str(error.error or "")
            if reason in _GRANT_ENDED:
                why = self._vendor.refused(reason, str(error.description or ""))
                raise GrantRevoked(
                    f"{title} no longer accepts this sign-in: connect the account again.", reason=why or ""
                ) from None
            if reason in _PASSING:
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
        except (httpx.HTTPError, ValueError) as error:
            raise ProviderUnavailable(
                f"{title} cannot be reached right now.", reason=type(error).__name__
            ) from None


def _from_now(seconds: object) -> datetime | None:
    """When the refresh token ends: ``refresh_token_expires_in``, which Google sends for grants of limited time
    (developers.google.com/identity/protocols/oauth2/web-server#time-based-access) and others for theirs."""
    try:
        return utc_now() + timedelta(seconds=int(str(seconds)))
    except (ValueError, OverflowError):
        return None


def _names_a_dead_token(response: httpx.Response) -> bool:
    """Whether a refusal says that the token is over, which is what was wanted.

    RFC 7009 §2.2 has servers answer that with 200; Google says 400 ``invalid_token``
    (developers.google.com/identity/protocols/oauth2/web-server#tokenrevoke). Any other 400 says nothing of the token.
    """
    try:
        return response.status_code == 400 and response.json().get("error") == "invalid_token"
    except (ValueError, AttributeError):
        return False
