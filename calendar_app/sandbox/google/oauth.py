"""Google's OAuth 2.0 endpoints for web-server applications: authorization, token, revocation, userinfo, keys.

Source: https://developers.google.com/identity/protocols/oauth2/web-server, .../openid-connect/openid-connect.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from calendar_app.sandbox.environment import CLIENT_ID, CLIENT_SECRET
from calendar_app.sandbox.google import scopes as known_scopes
from calendar_app.sandbox.google.calendars import Account, Calendars
from calendar_app.sandbox.google.rules import TESTING
from calendar_app.sandbox.grants import CodeGrant, Grant, Grants, bearer_token
from calendar_app.sandbox.oauth import AuthRequest, Form, IdTokens, OAuth, Refused, Words
from calendar_app.sandbox.pages import Pages, form_of
from calendar_app.sandbox.rules import Rules

Json = dict[str, Any]

ISSUER = "https://accounts.google.com"
TESTING_LIFE_S = 7 * 86_400
"""How long a grant lasts for an application whose publishing status is "Testing"."""


class GoogleGrants(Grants):
    """Refresh tokens live until they are revoked."""

    begins: Mapping[str, str] = {"code": "4/0A", "access": "ya29.sandbox-", "refresh": "1//0"}


class GoogleOAuth(OAuth):
    """The endpoints."""

    provider, account_kind = "Google", "Google Account"
    client = (CLIENT_ID, CLIENT_SECRET)
    texts: Mapping[str, str] = known_scopes.IDENTITY | known_scopes.CALENDAR
    granular = known_scopes.CALENDAR
    required = ("code", "redirect_uri")
    always_answered: Mapping[str, str] = {"iss": ISSUER}  # RFC 9207
    refusals: Mapping[str, Words] = {
        "client": Words(401, "invalid_client", "The OAuth client was not found."),
        "redirect": Words(
            400, "redirect_uri_mismatch", "The redirect URI {!r} is not registered for this client."
        ),
        "response_type": Words(400, "unsupported_response_type", "Only response_type=code is offered."),
        "scope": Words(400, "invalid_scope", "Some requested scopes were invalid: {!r}."),
        "challenge": Words(400, "invalid_request", "The code challenge is not valid."),
        "parameter": Words(400, "invalid_request", "Invalid parameter value for {}."),
        "secret": Words(401, "invalid_client", "The provided client secret is invalid."),
        "grant_type": Words(400, "unsupported_grant_type", "Invalid grant_type: {}"),
        "missing": Words(400, "invalid_request", "Missing required parameter: {}"),
        "code": Words(400, "invalid_grant", "Malformed auth code."),
        "other_redirect": Words(400, "redirect_uri_mismatch", "Bad Request"),
        "verifier": Words(400, "invalid_grant", "Invalid code verifier."),
        "refresh": Words(400, "invalid_grant", "Token has been expired or revoked."),
        "token": Words(400, "invalid_token", "Token expired or revoked"),
    }

    def __init__(
        self, calendars: Calendars, grants: Grants, pages: Pages, redirect_uris: Iterable[str], rules: Rules
    ) -> None:
        super().__init__(calendars.accounts, grants, pages, redirect_uris)
        self.calendars, self.id_tokens, self.rules = calendars, IdTokens(calendars.store), rules

    def routes(self) -> list[Route]:
        return [
            Route("/o/oauth2/v2/auth", self.authorize, methods=["GET"]),
            Route("/o/oauth2/v2/auth", self.decide, methods=["POST"]),
            Route("/token", self.token, methods=["POST"]),
            Route("/revoke", self.revoke, methods=["POST"]),
            Route("/userinfo", self.userinfo, methods=["GET", "POST"]),
            Route("/oauth2/v3/certs", self.id_tokens.keys, methods=["GET"]),
        ]

    def canonical(self, scope: str) -> tuple[str, ...] | None:
        return known_scopes.canonical(scope)

    def check(self, given: Mapping[str, str]) -> None:
        challenge = given.get("code_challenge", "")
        if given.get("code_challenge_method", "plain") not in ("S256", "plain") or (
            challenge and not 43 <= len(challenge) <= 128
        ):
            raise Refused("challenge")
        if given.get("access_type", "online") not in ("online", "offline"):
            raise Refused("parameter", "access_type")
        prompts = set(given.get("prompt", "").split())
        if not prompts <= {"none", "consent", "select_account"} or ("none" in prompts and len(prompts) > 1):
            raise Refused("parameter", "prompt")

    def without_page(self, request: Request, asked: AuthRequest) -> Response | None:
        """Straight back where everything was allowed before and no prompt is asked for."""
        given = self.grants.consent(asked.login_hint)
        if given and not asked.prompts - {"none"} and given >= set(asked.scopes):
            return self._answered(asked, asked.login_hint, asked.scopes)
        if "none" in asked.prompts:
            return self.back(asked.given, {"error": "interaction_required"})
        return None

    def allowed(self, request: Request, asked: AuthRequest, email: str, form: Form) -> Response:
        ticked = set(form.getlist("scope"))
        scopes = tuple(name for name in asked.scopes if name in known_scopes.IDENTITY or name in ticked)
        if not scopes:
            return self.back(asked.given, self.declined)
        return self._answered(asked, self.calendars.ensure_account(email).email, scopes)

    def _answered(self, asked: AuthRequest, email: str, scopes: tuple[str, ...]) -> Response:
        first = not self.grants.is_offline(email)
        if asked.given.get("include_granted_scopes") == "true":
            scopes += tuple(sorted(self.grants.consent(email) - set(scopes)))
        offline = asked.given.get("access_type") == "offline"
        code = self.code_for(
            asked, Grant(email, scopes), refreshable=offline and (first or "consent" in asked.prompts)
        )
        prompt = " ".join(sorted(asked.prompts)) or ("consent" if first else "none")
        answer = {"code": code, "scope": " ".join(scopes), "authuser": "0", "prompt": prompt}
        return self.back(asked.given, answer)

    def tokens(self, request: Request, form: Mapping[str, str], found: CodeGrant) -> Response:
        ends = self.grants.store.now_ms() + TESTING_LIFE_S * 1000 if TESTING in self.rules else None
        grant = replace(found.grant, expires=ends)
        return self._tokens(grant, refreshable=found.refreshable, nonce=found.nonce)

    def refreshed(self, request: Request, form: Mapping[str, str]) -> Response:
        if not form.get("refresh_token"):
            raise Refused("missing", "refresh_token")
        grant = self.grants.find("refresh", form["refresh_token"])
        if grant is None:
            raise Refused("refresh")
        return self._tokens(grant)

    def _tokens(self, grant: Grant, *, refreshable: bool = False, nonce: str = "") -> Response:
        answer: Json = {
            "access_token": self.grants.issue("access", grant),
            "expires_in": max(self.grants.access_token_life - 1, 0),
            "scope": " ".join(grant.scopes),
            "token_type": "Bearer",
        }
        if grant.expires is not None:
            answer["refresh_token_expires_in"] = (grant.expires - self.grants.store.now_ms()) // 1000
        if refreshable:
            answer["refresh_token"] = self.grants.issue("refresh", grant)
        account = self.calendars.account(grant.account)
        if "openid" in grant.scopes and account is not None:
            claims = _identity(account, grant.scopes) | ({"nonce": nonce} if nonce else {})
            answer["id_token"] = self.id_tokens.encode(ISSUER, CLIENT_ID, {"azp": CLIENT_ID, **claims})
        return JSONResponse(answer, headers={"Cache-Control": "no-store"})

    async def revoke(self, request: Request) -> Response:
        """Either token ends the whole grant of its account."""
        token = request.query_params.get("token") or (await form_of(request)).get("token", "")
        grant = self.grants.find("refresh", token) or self.grants.find("access", token)
        if grant is None:
            return self.error(Refused("token"))
        self.grants.withdraw(grant.account)
        return JSONResponse({})

    async def userinfo(self, request: Request) -> Response:
        """OpenID Connect Core §5.3: ``sub``, and what the scopes ``email`` and ``profile`` add."""
        grant = self.grants.find("access", bearer_token(request.headers))
        account = self.calendars.account(grant.account) if grant else None
        if grant is None or account is None or not set(grant.scopes) & set(known_scopes.IDENTITY):
            error = {"error": "invalid_request", "error_description": "Invalid Credentials"}
            return JSONResponse(
                error, 401, headers={"WWW-Authenticate": f'Bearer realm="{ISSUER}/", error="invalid_token"'}
            )
        return JSONResponse(_identity(account, grant.scopes))


def _identity(account: Account, scopes: tuple[str, ...]) -> Json:
    claims: Json = {"sub": account.sub}
    if known_scopes.EMAIL in scopes:
        claims |= {"email": account.email, "email_verified": True}
    if known_scopes.PROFILE in scopes:
        given, _, family = account.name.partition(" ")
        claims |= {"name": account.name, "given_name": given} | ({"family_name": family} if family else {})
    return claims
