"""Entra's v2.0 endpoints for web applications: authorization, token, keys, OpenID configuration.

Source: https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow, .../reference-error-codes.
Stricter than Entra in one point: PKCE with S256 is demanded. A request that cannot be trusted (unknown client,
unregistered ``redirect_uri``) ends on an error page and is never redirected. An ID token is an RS256 JWT made with a
key of this store.
"""

from __future__ import annotations

import base64
import binascii
import uuid
from dataclasses import dataclass
from hmac import compare_digest
from typing import Any
from urllib.parse import parse_qs, unquote_plus

import orjson
from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from calendar_app.sandbox.environment import MICROSOFT_CLIENT_ID, MICROSOFT_CLIENT_SECRET
from calendar_app.sandbox.microsoft import scopes as known_scopes
from calendar_app.sandbox.microsoft.administrators import Administrators
from calendar_app.sandbox.microsoft.grants import Grant, Grants
from calendar_app.sandbox.microsoft.mailboxes import ADDRESS, TENANT_ID, Mailbox, Mailboxes
from calendar_app.sandbox.microsoft.redirects import redirect
from calendar_app.sandbox.microsoft.rules import APPROVAL, ASSIGNED, CONDITIONAL_ACCESS, MANAGED_DEVICE
from calendar_app.sandbox.pages import Pages, form_of, refuse_cross_site
from calendar_app.sandbox.rules import Rules

Json = dict[str, Any]

APP_NAME = "Almanac"
_PROMPTS = frozenset({"login", "none", "consent", "select_account"})


class Refused(Exception):
    """An authorization request that cannot be followed; ``back`` is the error word for a redirect, if one is safe."""

    def __init__(self, code: int, detail: str, back: str = "") -> None:
        super().__init__(detail)
        self.code, self.detail, self.back = code, detail, back


@dataclass(frozen=True, slots=True)
class AuthRequest:
    """A checked authorization request."""

    tenant: str
    redirect_uri: str
    scopes: tuple[str, ...]
    state: str | None
    challenge: str
    nonce: str
    prompt: str
    login_hint: str
    query: str

    def back(self, **answer: str) -> RedirectResponse:
        return redirect(self.redirect_uri, self.state, answer)


_BLOCKED = {
    ASSIGNED: "AADSTS50105: Your administrator has configured the application to block users unless they are "
    "specifically granted ('assigned') access to the application.",
    CONDITIONAL_ACCESS: "AADSTS53003: Access has been blocked by Conditional Access policies. The access policy does "
    "not allow token issuance.",
}
"""What Entra says instead of letting anybody in, while such a rule is on."""


class OAuth:
    """The endpoints; ``redirect_uris`` are the registered ones, compared exactly."""

    def __init__(
        self,
        mailboxes: Mailboxes,
        grants: Grants,
        pages: Pages,
        redirect_uris: frozenset[str],
        rules: Rules,
    ) -> None:
        self.mailboxes, self.grants, self.pages, self.redirect_uris = mailboxes, grants, pages, redirect_uris
        self.store, self.rules = mailboxes.store, rules
        self.administrators = Administrators(grants, pages, redirect_uris, rules)
        self._key: RSAKey | None = None

    def routes(self) -> list[Route]:
        base = "/{tenant}/oauth2/v2.0"
        return [
            Route(f"{base}/authorize", self.authorize, methods=["GET"]),
            Route(f"{base}/authorize", self.decide, methods=["POST"]),
            *self.administrators.routes(),
            Route(f"{base}/token", self.token, methods=["POST"]),
            Route("/{tenant}/discovery/v2.0/keys", self.keys, methods=["GET"]),
            Route("/{tenant}/v2.0/.well-known/openid-configuration", self.configuration, methods=["GET"]),
        ]

    def _checked(self, tenant: str, query: str) -> AuthRequest:
        given = {name: values[-1] for name, values in parse_qs(query, keep_blank_values=True).items()}
        if given.get("client_id") != MICROSOFT_CLIENT_ID:
            raise Refused(
                700016, f"Application with identifier '{given.get('client_id', '')}' was not found."
            )
        redirect_uri = given.get("redirect_uri", "")
        if redirect_uri not in self.redirect_uris:
            raise Refused(
                50011,
                f"The redirect URI '{redirect_uri}' specified in the request does not match the ones registered.",
            )
        scopes = known_scopes.canonical(given.get("scope", ""))
        prompt, challenge = given.get("prompt", ""), given.get("code_challenge", "")
        if given.get("response_type") != "code":
            raise Refused(
                700054, "response_type is not enabled for the application.", "unsupported_response_type"
            )
        if given.get("response_mode", "query") != "query":
            raise Refused(90009, "Only response_mode=query is offered here.", "invalid_request")
        if scopes is None:
            raise Refused(
                70011,
                f"The provided value for scope '{given.get('scope', '')}' is not valid.",
                "invalid_scope",
            )
        if prompt and prompt not in _PROMPTS:
            raise Refused(90023, "Unsupported 'prompt' value.", "invalid_request")
        if not 43 <= len(challenge) <= 128 or given.get("code_challenge_method") != "S256":
            raise Refused(9002325, "Proof Key for Code Exchange with S256 is required.", "invalid_request")
        return AuthRequest(
            tenant=tenant,
            redirect_uri=redirect_uri,
            scopes=scopes,
            state=given.get("state"),
            challenge=challenge,
            nonce=given.get("nonce", ""),
            prompt=prompt,
            login_hint=given.get("login_hint", "").strip().lower(),
            query=query,
        )

    async def authorize(self, request: Request) -> Response:
        """The consent page; straight back where everything was allowed before and the person is known."""
        try:
            asked = self._checked(request.path_params["tenant"], request.url.query)
        except Refused as refused:
            return self._refusal(request, request.url.query, refused)
        given = self.grants.consent(asked.login_hint)
        if asked.prompt in ("", "none") and given and given >= set(asked.scopes):
            return self._allowed(asked, asked.login_hint)
        if asked.prompt == "none":
            return asked.back(
                error="interaction_required",
                error_description="AADSTS50058: A silent sign-in request was sent.",
            )
        return self._consent_page(request, asked)

    async def decide(self, request: Request) -> Response:
        """``Allow`` or ``Deny`` on the consent page, which sends the authorization request along."""
        refuse_cross_site(request)
        form = await form_of(request)
        query = form.get("request", "")
        try:
            asked = self._checked(request.path_params["tenant"], query)
        except Refused as refused:
            return self._refusal(request, query, refused)
        if form.get("decision") == "request":
            return asked.back(
                error="access_denied",
                error_description="AADSTS90095: Admin consent was requested.",
            )
        if form.get("decision") != "allow":
            return asked.back(
                error="access_denied",
                error_description="AADSTS65004: User declined to consent to access the app.",
                error_subcode="cancel",
            )
        email = form.get("email", "").strip().lower() or form.get("account", "").strip().lower()
        if not ADDRESS.match(email):
            return self._consent_page(request, asked, problem="Enter an e-mail address to continue.")
        for rule, refusal in _BLOCKED.items():
            if rule in self.rules:
                return asked.back(error="access_denied", error_description=refusal)
        if self.administrators.wanted(email, asked.scopes):
            return self.pages.render(
                request,
                "approval.html",
                action=request.url.path,
                query=asked.query,
                can_request=APPROVAL in self.rules,
            )
        return self._allowed(asked, self.mailboxes.ensure(email).email)

    def _allowed(self, asked: AuthRequest, email: str) -> Response:
        grant = Grant(email, asked.tenant, asked.scopes)
        code = self.grants.allow(grant, asked.redirect_uri, asked.challenge, asked.nonce)
        return asked.back(code=code, session_state=str(uuid.uuid4()))

    def _consent_page(self, request: Request, asked: AuthRequest, problem: str = "") -> Response:
        mailboxes = self.mailboxes.all()
        known = {mailbox.email for mailbox in mailboxes}
        typed = asked.login_hint if asked.login_hint not in known else ""
        chosen = asked.login_hint if asked.login_hint in known else (mailboxes[0].email if mailboxes else "")
        return self.pages.render(
            request,
            "consent.html",
            400 if problem else 200,
            provider="Microsoft",
            account_kind="Microsoft account",
            action=request.url.path,
            app_name=APP_NAME,
            accounts=mailboxes,
            chosen="" if typed else chosen,
            typed=typed,
            identity=[known_scopes.KNOWN[name] for name in asked.scopes],
            permissions=[],
            query=asked.query,
            problem=problem,
        )

    def _refusal(self, request: Request, query: str, refused: Refused) -> Response:
        """Back to a registered address where the error may be told there; else a page."""
        given = {name: values[-1] for name, values in parse_qs(query).items()}
        if refused.back:
            answer = {"error": refused.back, "error_description": f"AADSTS{refused.code}: {refused.detail}"}
            return redirect(given["redirect_uri"], given.get("state"), answer)
        return self.pages.render(
            request,
            "refused.html",
            400,
            provider="Microsoft",
            error=f"AADSTS{refused.code}",
            detail=refused.detail,
            code=400,
        )

    async def token(self, request: Request) -> Response:
        """Exchanges a code, or refreshes; errors in Entra's words and shape."""
        form = dict(await form_of(request))
        tenant, kind = request.path_params["tenant"], form.get("grant_type", "")
        if not kind:
            return self._missing("grant_type")
        client_id, secret = _client(request, form)
        if client_id != MICROSOFT_CLIENT_ID:
            detail = f"Application with identifier '{client_id}' was not found in the directory '{tenant}'."
            return self._error(400, "unauthorized_client", 700016, detail)
        if not compare_digest(secret.encode(), MICROSOFT_CLIENT_SECRET.encode()):
            code = 7000215 if secret else 7000218
            return self._error(401, "invalid_client", code, "Invalid client secret provided.")
        if kind == "authorization_code":
            return self._exchange(request, form)
        if kind == "refresh_token":
            return self._refresh(request, form)
        return self._error(
            400, "unsupported_grant_type", 70003, f"The app requested an unsupported grant type '{kind}'."
        )

    def _exchange(self, request: Request, form: dict[str, str]) -> Response:
        for name in ("code", "redirect_uri", "code_verifier"):
            if not form.get(name):
                return self._missing(name)
        found = self.grants.redeem(form["code"])
        if found is None:
            return self._error(
                400, "invalid_grant", 9002313, "Invalid request. Request is malformed or invalid."
            )
        if found.used:
            return self._error(400, "invalid_grant", 54005, "OAuth2 Authorization code was already redeemed.")
        if found.expired:
            return self._error(400, "invalid_grant", 70008, "The provided authorization code has expired.")
        if found.redirect_uri != form["redirect_uri"]:
            detail = f"The reply address '{form['redirect_uri']}' does not match the one used for the code."
            return self._error(400, "invalid_grant", 500112, detail)
        if not found.proves(form["code_verifier"]):
            return self._error(
                400, "invalid_grant", 501481, "The Code_Verifier does not match the code_challenge supplied."
            )
        return self._tokens(request, found.grant, form, nonce=found.nonce)

    def _refresh(self, request: Request, form: dict[str, str]) -> Response:
        if not form.get("refresh_token"):
            return self._missing("refresh_token")
        asked = known_scopes.canonical(form["scope"]) if form.get("scope") else ()
        if asked is None:
            return self._error(
                400,
                "invalid_scope",
                70011,
                "The provided value for the input parameter 'scope' is not valid.",
            )
        found = self.grants.refreshed(form["refresh_token"])
        if found == "expired":
            return self._error(
                400, "invalid_grant", 700082, "The refresh token has expired due to inactivity."
            )
        if not isinstance(found, Grant):
            return self._error(
                400, "invalid_grant", 50173, "The provided grant has expired due to it being revoked."
            )
        if not set(asked) <= self.grants.consent(found.mailbox) | known_scopes.IDENTITY:
            return self._error(
                400,
                "invalid_grant",
                65001,
                "The user or administrator has not consented to use the application.",
            )
        kept = (*asked, known_scopes.OFFLINE) if asked else found.scopes
        return self._tokens(request, Grant(found.mailbox, found.tenant, tuple(dict.fromkeys(kept))), form)

    def _tokens(self, request: Request, grant: Grant, form: dict[str, str], nonce: str = "") -> Response:
        if MANAGED_DEVICE in self.rules:
            detail = "Your device is required to be managed to access this resource."
            return self._error(400, "invalid_grant", 530003, detail)
        life = max(self.grants.access_token_life - 1, 0)
        answer: Json = {
            "token_type": "Bearer",
            "scope": known_scopes.answered(grant.scopes),
            "expires_in": life,
            "ext_expires_in": life,
            "access_token": self.grants.issue("access", grant),
        }
        if known_scopes.OFFLINE in grant.scopes:
            answer["refresh_token"] = self.grants.issue("refresh", grant)
        mailbox = self.mailboxes.get(grant.mailbox)
        if "openid" in grant.scopes:
            answer["id_token"] = self._id_token(request, mailbox, grant, nonce)
        if form.get("client_info") == "1":
            info = orjson.dumps({"uid": mailbox.id, "utid": TENANT_ID})
            answer["client_info"] = base64.urlsafe_b64encode(info).decode().rstrip("=")
        return JSONResponse(answer, headers={"Cache-Control": "no-store", "Pragma": "no-cache"})

    def _id_token(self, request: Request, mailbox: Mailbox, grant: Grant, nonce: str) -> str:
        now = int(self.store.now().timestamp())
        claims: Json = {
            "aud": MICROSOFT_CLIENT_ID,
            "iss": f"{_entra(request)}/{TENANT_ID}/v2.0",
            "iat": now,
            "nbf": now,
            "exp": now + 3600,
            "sub": mailbox.id,
            "oid": mailbox.id,
            "tid": TENANT_ID,
            "ver": "2.0",
        }
        if "profile" in grant.scopes:
            claims |= {"name": mailbox.name, "preferred_username": mailbox.email}
        if "email" in grant.scopes:
            claims["email"] = mailbox.email
        claims |= {"nonce": nonce} if nonce else {}
        key = self._signing_key()
        return jwt.encode({"alg": "RS256", "kid": key.kid, "typ": "JWT"}, claims, key)

    def _signing_key(self) -> RSAKey:
        if self._key is None:
            made = self.store.secret(
                "id_token_key", lambda: RSAKey.generate_key(2048).as_pem(private=True).decode()
            )
            self._key = RSAKey.import_key(made)
            self._key.ensure_kid()
        return self._key

    async def keys(self, _request: Request) -> Response:
        """The public key of ID tokens, as a JWK set."""
        key = self._signing_key()
        return JSONResponse({"keys": [{**key.as_dict(private=False), "use": "sig", "alg": "RS256"}]})

    async def configuration(self, request: Request) -> Response:
        """OpenID Connect Discovery 1.0."""
        entra, tenant = _entra(request), request.path_params["tenant"]
        return JSONResponse(
            {
                "issuer": f"{entra}/{TENANT_ID}/v2.0",
                "authorization_endpoint": f"{entra}/{tenant}/oauth2/v2.0/authorize",
                "token_endpoint": f"{entra}/{tenant}/oauth2/v2.0/token",
                "jwks_uri": f"{entra}/{tenant}/discovery/v2.0/keys",
                "response_types_supported": ["code"],
                "response_modes_supported": ["query"],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "scopes_supported": ["openid", "profile", "email", "offline_access"],
                "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
            }
        )

    def _missing(self, name: str) -> Response:
        detail = f"The request body must contain the following parameter: '{name}'."
        return self._error(400, "invalid_request", 900144, detail)

    def _error(self, status: int, error: str, code: int, detail: str) -> Response:
        """https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow#error-response-1"""
        trace, correlation = str(uuid.uuid4()), str(uuid.uuid4())
        stamp = f"{self.store.now():%Y-%m-%d %H:%M:%SZ}"
        body = {
            "error": error,
            "error_description": f"AADSTS{code}: {detail} Trace ID: {trace} Correlation ID: {correlation} "
            f"Timestamp: {stamp}",
            "error_codes": [code],
            "timestamp": stamp,
            "trace_id": trace,
            "correlation_id": correlation,
            "error_uri": f"https://login.microsoftonline.com/error?code={code}",
        }
        return JSONResponse(body, status, headers={"Cache-Control": "no-store"})


def _entra(request: Request) -> str:
    """The address of this Entra, as the caller reached it."""
    return f"{request.url.scheme}://{request.url.netloc}{request.scope.get('root_path', '')}"


def _client(request: Request, form: dict[str, str]) -> tuple[str, str]:
    """``client_secret_post`` or ``client_secret_basic`` (RFC 6749 §2.3.1)."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            name, _, secret = base64.b64decode(value).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return "", ""
        return unquote_plus(name), unquote_plus(secret)
    return form.get("client_id", ""), form.get("client_secret", "")
