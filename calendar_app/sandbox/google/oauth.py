"""Google's OAuth 2.0 endpoints for web-server applications: authorization, token, revocation, userinfo, keys.

Source: https://developers.google.com/identity/protocols/oauth2/web-server, .../openid-connect/openid-connect. As at
Google, a request that cannot be trusted (unknown client, unregistered ``redirect_uri``) ends on an error page and is
never redirected. An ID token is an RS256 JWT made with a key of this store, so that any OpenID client can check it.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from hmac import compare_digest
from typing import Any
from urllib.parse import parse_qs, unquote_plus, urlencode

from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from calendar_app.sandbox.environment import CLIENT_ID, CLIENT_SECRET
from calendar_app.sandbox.google import scopes as known_scopes
from calendar_app.sandbox.google.calendars import Account, Calendars
from calendar_app.sandbox.google.grants import CodeGrant, Grants, TokenGrant
from calendar_app.sandbox.google.resource import EMAIL
from calendar_app.sandbox.google.rules import TESTING
from calendar_app.sandbox.pages import Pages, form_of, refuse_cross_site
from calendar_app.sandbox.rules import Rules

Json = dict[str, Any]

ISSUER = "https://accounts.google.com"
APP_NAME = "Almanac"


class Refused(Exception):
    """An authorization request that ends on an error page: HTTP status, Google's error word, an explanation."""

    def __init__(self, status: int, error: str, detail: str) -> None:
        super().__init__(detail)
        self.status, self.error, self.detail = status, error, detail


@dataclass(frozen=True, slots=True)
class AuthRequest:
    """A checked authorization request."""

    redirect_uri: str
    scopes: tuple[str, ...]
    state: str | None
    challenge: str
    challenge_method: str
    nonce: str
    offline: bool
    prompts: frozenset[str]
    login_hint: str
    include_granted: bool

    def back(self, **answer: str) -> RedirectResponse:
        """To the application, with ``state`` as it came and the issuer (RFC 9207)."""
        state = {} if self.state is None else {"state": self.state}
        query = urlencode({**state, "iss": ISSUER, **answer})
        return RedirectResponse(f"{self.redirect_uri}{'&' if '?' in self.redirect_uri else '?'}{query}", 302)


TESTING_LIFE_S = 7 * 86_400
"""How long a grant lasts for an application whose publishing status is "Testing"."""


class OAuth:
    """The endpoints; ``redirect_uris`` are the registered ones, compared exactly."""

    def __init__(
        self,
        calendars: Calendars,
        grants: Grants,
        pages: Pages,
        redirect_uris: frozenset[str],
        rules: Rules,
    ) -> None:
        self.calendars, self.grants, self.pages, self.redirect_uris = calendars, grants, pages, redirect_uris
        self.rules = rules
        self._key: RSAKey | None = None

    def routes(self) -> list[Route]:
        return [
            Route("/o/oauth2/v2/auth", self.authorize, methods=["GET"]),
            Route("/o/oauth2/v2/auth", self.decide, methods=["POST"]),
            Route("/token", self.token, methods=["POST"]),
            Route("/revoke", self.revoke, methods=["POST"]),
            Route("/userinfo", self.userinfo, methods=["GET", "POST"]),
            Route("/oauth2/v3/certs", self.certs, methods=["GET"]),
        ]

    def _checked(self, query: str) -> AuthRequest:
        given = {name: values[-1] for name, values in parse_qs(query, keep_blank_values=True).items()}
        if given.get("client_id") != CLIENT_ID:
            raise Refused(401, "invalid_client", "The OAuth client was not found.")
        redirect_uri = given.get("redirect_uri", "")
        if redirect_uri not in self.redirect_uris:
            raise Refused(
                400,
                "redirect_uri_mismatch",
                f"The redirect URI {redirect_uri!r} is not registered for this client.",
            )
        if given.get("response_type") != "code":
            raise Refused(400, "unsupported_response_type", "Only response_type=code is offered.")
        scopes = known_scopes.canonical(given.get("scope", ""))
        if scopes is None:
            raise Refused(
                400, "invalid_scope", f"Some requested scopes were invalid: {given.get('scope', '')!r}."
            )
        method = given.get("code_challenge_method", "plain")
        challenge = given.get("code_challenge", "")
        if method not in ("S256", "plain") or (challenge and not 43 <= len(challenge) <= 128):
            raise Refused(400, "invalid_request", "The code challenge is not valid.")
        if given.get("access_type", "online") not in ("online", "offline"):
            raise Refused(400, "invalid_request", "Invalid parameter value for access_type.")
        prompts = frozenset(given.get("prompt", "").split())
        if not prompts <= {"none", "consent", "select_account"} or ("none" in prompts and len(prompts) > 1):
            raise Refused(400, "invalid_request", "Invalid parameter value for prompt.")
        return AuthRequest(
            redirect_uri=redirect_uri,
            scopes=scopes,
            state=given.get("state"),
            challenge=challenge,
            challenge_method=method,
            nonce=given.get("nonce", ""),
            offline=given.get("access_type") == "offline",
            prompts=prompts,
            login_hint=given.get("login_hint", "").strip().lower(),
            include_granted=given.get("include_granted_scopes") == "true",
        )

    async def authorize(self, request: Request) -> Response:
        """The consent page; straight back where everything was allowed before and no prompt is asked for."""
        try:
            asked = self._checked(request.url.query)
        except Refused as refused:
            return self._error_page(request, refused)
        given = self.grants.consent(asked.login_hint)
        if given is not None and not asked.prompts - {"none"} and given.scopes >= set(asked.scopes):
            return self._allowed(asked, asked.login_hint, asked.scopes)
        if "none" in asked.prompts:
            return asked.back(error="interaction_required")
        return self._consent_page(request, asked, request.url.query)

    async def decide(self, request: Request) -> Response:
        """``Allow`` or ``Deny`` on the consent page, which sends the authorization request along."""
        refuse_cross_site(request)
        form = await form_of(request)
        query = form.get("request", "")
        try:
            asked = self._checked(query)
        except Refused as refused:
            return self._error_page(request, refused)
        if form.get("decision") != "allow":
            return asked.back(error="access_denied")
        email = form.get("email", "").strip().lower() or form.get("account", "").strip().lower()
        if not EMAIL.match(email):
            return self._consent_page(request, asked, query, problem="Enter an e-mail address to continue.")
        ticked = set(form.getlist("scope"))
        scopes = tuple(name for name in asked.scopes if name in known_scopes.IDENTITY or name in ticked)
        if not scopes:
            return asked.back(error="access_denied")
        return self._allowed(asked, self.calendars.ensure_account(email).email, scopes)

    def _allowed(self, asked: AuthRequest, email: str, scopes: tuple[str, ...]) -> Response:
        before = self.grants.consent(email)
        if asked.include_granted and before:
            scopes += tuple(sorted(before.scopes - set(scopes)))
        first = before is None or not before.offline
        code = self.grants.allow(
            CodeGrant(
                account=email,
                scopes=scopes,
                redirect_uri=asked.redirect_uri,
                challenge=asked.challenge,
                challenge_method=asked.challenge_method,
                nonce=asked.nonce,
                refreshable=asked.offline and (first or "consent" in asked.prompts),
            )
        )
        prompt = " ".join(sorted(asked.prompts)) or ("consent" if first else "none")
        return asked.back(code=code, scope=" ".join(scopes), authuser="0", prompt=prompt)

    def _consent_page(self, request: Request, asked: AuthRequest, query: str, problem: str = "") -> Response:
        accounts = self.calendars.accounts()
        known = {account.email for account in accounts}
        chosen = asked.login_hint if asked.login_hint in known else (accounts[0].email if accounts else "")
        typed = asked.login_hint if asked.login_hint and asked.login_hint not in known else ""
        return self.pages.render(
            request,
            "consent.html",
            400 if problem else 200,
            app_name=APP_NAME,
            accounts=accounts,
            chosen="" if typed else chosen,
            typed=typed,
            identity=[known_scopes.IDENTITY[name] for name in asked.scopes if name in known_scopes.IDENTITY],
            permissions=[
                (name, known_scopes.CALENDAR[name]) for name in asked.scopes if name in known_scopes.CALENDAR
            ],
            query=query,
            problem=problem,
        )

    def _error_page(self, request: Request, refused: Refused) -> Response:
        return self.pages.render(
            request,
            "refused.html",
            refused.status,
            error=refused.error,
            detail=refused.detail,
            code=refused.status,
        )

    async def token(self, request: Request) -> Response:
        """Exchanges a code, or refreshes; errors as RFC 6749 §5.2 in Google's words."""
        form = dict(await form_of(request))
        if not _client_proven(request, form):
            return _token_error(401, "invalid_client", "The provided client secret is invalid.")
        kind = form.get("grant_type", "")
        if kind == "authorization_code":
            return self._exchange(form)
        if kind == "refresh_token":
            if not form.get("refresh_token"):
                return _token_error(400, "invalid_request", "Missing required parameter: refresh_token")
            grant = self.grants.find("refresh", form["refresh_token"])
            if grant is None:
                return _token_error(400, "invalid_grant", "Token has been expired or revoked.")
            return self._tokens(grant)
        return _token_error(400, "unsupported_grant_type", f"Invalid grant_type: {kind}")

    def _exchange(self, form: dict[str, str]) -> Response:
        for name in ("code", "redirect_uri"):
            if not form.get(name):
                return _token_error(400, "invalid_request", f"Missing required parameter: {name}")
        grant = self.grants.redeem(form["code"])
        if grant is None:
            return _token_error(400, "invalid_grant", "Malformed auth code.")
        if grant.redirect_uri != form["redirect_uri"]:
            return _token_error(400, "redirect_uri_mismatch", "Bad Request")
        if not grant.proves(form.get("code_verifier", "")):
            missing = "Invalid code verifier." if form.get("code_verifier") else "Missing code verifier."
            return _token_error(400, "invalid_grant", missing)
        ends = self.calendars.store.now_ms() + TESTING_LIFE_S * 1000 if TESTING in self.rules else None
        return self._tokens(
            TokenGrant(grant.account, grant.scopes, ends), refreshable=grant.refreshable, nonce=grant.nonce
        )

    def _tokens(self, grant: TokenGrant, *, refreshable: bool = False, nonce: str = "") -> Response:
        answer: Json = {
            "access_token": self.grants.issue("access", grant),
            "expires_in": max(self.grants.access_token_life - 1, 0),
            "scope": " ".join(grant.scopes),
            "token_type": "Bearer",
        }
        if grant.ends is not None:
            answer["refresh_token_expires_in"] = (grant.ends - self.calendars.store.now_ms()) // 1000
        if refreshable:
            answer["refresh_token"] = self.grants.issue("refresh", grant)
        account = self.calendars.account(grant.account)
        if "openid" in grant.scopes and account is not None:
            answer["id_token"] = self._id_token(account, grant, nonce)
        return JSONResponse(answer, headers={"Cache-Control": "no-store"})

    def _signing_key(self) -> RSAKey:
        if self._key is None:
            made = self.calendars.store.secret(
                "id_token_key", lambda: RSAKey.generate_key(2048).as_pem(private=True).decode()
            )
            self._key = RSAKey.import_key(made)
            self._key.ensure_kid()
        return self._key

    def _id_token(self, account: Account, grant: TokenGrant, nonce: str) -> str:
        now = int(self.calendars.store.now().timestamp())
        claims: Json = {"iss": ISSUER, "azp": CLIENT_ID, "aud": CLIENT_ID, "iat": now, "exp": now + 3600}
        claims |= _identity(account, grant.scopes) | ({"nonce": nonce} if nonce else {})
        key = self._signing_key()
        return jwt.encode({"alg": "RS256", "kid": key.kid, "typ": "JWT"}, claims, key)

    async def certs(self, _request: Request) -> Response:
        """The public key of ID tokens, as a JWK set."""
        key = self._signing_key()
        return JSONResponse({"keys": [{**key.as_dict(private=False), "use": "sig", "alg": "RS256"}]})

    async def revoke(self, request: Request) -> Response:
        """Either token ends the whole grant of its account."""
        token = request.query_params.get("token") or (await form_of(request)).get("token", "")
        grant = self.grants.find("refresh", token) or self.grants.find("access", token)
        if grant is None:
            return _token_error(400, "invalid_token", "Token expired or revoked")
        self.grants.withdraw(grant.account)
        return JSONResponse({})

    async def userinfo(self, request: Request) -> Response:
        """OpenID Connect Core §5.3: ``sub``, and what the scopes ``email`` and ``profile`` add."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        grant = self.grants.find("access", token) if scheme.lower() == "bearer" else None
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


def _client_proven(request: Request, form: dict[str, str]) -> bool:
    """``client_secret_post`` or ``client_secret_basic`` (RFC 6749 §2.3.1)."""
    client_id, secret = form.get("client_id", ""), form.get("client_secret", "")
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            name, _, word = base64.b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return False
        client_id, secret = unquote_plus(name), unquote_plus(word)
    return compare_digest(client_id.encode(), CLIENT_ID.encode()) and compare_digest(
        secret.encode(), CLIENT_SECRET.encode()
    )


def _token_error(status: int, error: str, detail: str) -> Response:
    headers = {"Cache-Control": "no-store"} | ({"WWW-Authenticate": "Basic"} if status == 401 else {})
    return JSONResponse({"error": error, "error_description": detail}, status, headers=headers)
