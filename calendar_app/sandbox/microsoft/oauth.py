"""Entra's v2.0 endpoints for web applications: authorization, token, keys, OpenID configuration.

Source: https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow, .../refresh-tokens,
.../reference-error-codes. Stricter than Entra in one point: PKCE with S256 is demanded.
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from calendar_app.sandbox.environment import MICROSOFT_CLIENT_ID, MICROSOFT_CLIENT_SECRET
from calendar_app.sandbox.grants import CodeGrant, Grant, Grants
from calendar_app.sandbox.microsoft import scopes as known_scopes
from calendar_app.sandbox.microsoft.administrators import Administrators
from calendar_app.sandbox.microsoft.mailboxes import TENANT_ID, Mailboxes
from calendar_app.sandbox.microsoft.rules import APPROVAL, ASSIGNED, CONDITIONAL_ACCESS, MANAGED_DEVICE
from calendar_app.sandbox.oauth import AuthRequest, Form, IdTokens, OAuth, Refused, Words, client_of, fields
from calendar_app.sandbox.pages import Pages
from calendar_app.sandbox.rules import Rules

Json = dict[str, Any]

_PROMPTS = frozenset({"login", "none", "consent", "select_account"})
_BLOCKED = {
    ASSIGNED: "AADSTS50105: Your administrator has configured the application to block users unless they are "
    "specifically granted ('assigned') access to the application.",
    CONDITIONAL_ACCESS: "AADSTS53003: Access has been blocked by Conditional Access policies. The access policy does "
    "not allow token issuance.",
}
"""What Entra says instead of letting anybody in, while such a rule is on."""


class MicrosoftGrants(Grants):
    """Each refresh brings a new refresh token and leaves the older one alive for the rest of its 90 days. Access tokens
    are opaque."""

    refresh_token_life_ms = 90 * 86_400_000
    begins: Mapping[str, str] = {"code": "1.AX0A", "access": "EwB", "refresh": "1.AX0A"}


class MicrosoftOAuth(OAuth):
    """The endpoints."""

    provider, account_kind = "Microsoft", "Microsoft account"
    client = (MICROSOFT_CLIENT_ID, MICROSOFT_CLIENT_SECRET)
    texts = known_scopes.KNOWN
    required = ("code", "redirect_uri", "code_verifier")
    declined: Mapping[str, str] = {
        "error": "access_denied",
        "error_description": "AADSTS65004: User declined to consent to access the app.",
        "error_subcode": "cancel",
    }
    approval_requested: Mapping[str, str] = {
        "error": "access_denied",
        "error_description": "AADSTS90095: Admin consent was requested.",
    }
    refusals: Mapping[str, Words] = {
        "client": Words(
            400,
            "unauthorized_client",
            "Application with identifier '{}' was not found in the directory.",
            700016,
        ),
        "redirect": Words(
            400,
            "invalid_request",
            "The redirect URI '{}' specified in the request does not match the ones registered.",
            50011,
        ),
        "response_type": Words(
            400, "unsupported_response_type", "response_type is not enabled for the application.", 700054
        ),
        "response_mode": Words(400, "invalid_request", "Only response_mode=query is offered here.", 90009),
        "scope": Words(400, "invalid_scope", "The provided value for scope '{}' is not valid.", 70011),
        "prompt": Words(400, "invalid_request", "Unsupported 'prompt' value.", 90023),
        "challenge": Words(
            400, "invalid_request", "Proof Key for Code Exchange with S256 is required.", 9002325
        ),
        "secret": Words(401, "invalid_client", "Invalid client secret provided.", 7000215),
        "no_secret": Words(401, "invalid_client", "Invalid client secret provided.", 7000218),
        "grant_type": Words(
            400, "unsupported_grant_type", "The app requested an unsupported grant type '{}'.", 70003
        ),
        "missing": Words(
            400, "invalid_request", "The request body must contain the following parameter: '{}'.", 900144
        ),
        "code": Words(400, "invalid_grant", "Invalid request. Request is malformed or invalid.", 9002313),
        "used": Words(400, "invalid_grant", "OAuth2 Authorization code was already redeemed.", 54005),
        "expired": Words(400, "invalid_grant", "The provided authorization code has expired.", 70008),
        "other_redirect": Words(
            400, "invalid_grant", "The reply address '{}' does not match the one used for the code.", 500112
        ),
        "verifier": Words(
            400, "invalid_grant", "The Code_Verifier does not match the code_challenge supplied.", 501481
        ),
        "refresh": Words(
            400, "invalid_grant", "The provided grant has expired due to it being revoked.", 50173
        ),
        "inactive": Words(400, "invalid_grant", "The refresh token has expired due to inactivity.", 700082),
        "no_consent": Words(
            400,
            "invalid_grant",
            "The user or administrator has not consented to use the application.",
            65001,
        ),
        "device": Words(
            400, "invalid_grant", "Your device is required to be managed to access this resource.", 530003
        ),
    }

    def __init__(
        self, mailboxes: Mailboxes, grants: Grants, pages: Pages, redirect_uris: Iterable[str], rules: Rules
    ) -> None:
        super().__init__(mailboxes.all, grants, pages, redirect_uris)
        self.mailboxes, self.rules = mailboxes, rules
        self.administrators = Administrators(self, rules)
        self.id_tokens = IdTokens(mailboxes.store)

    def routes(self) -> list[Route]:
        base = "/{tenant}/oauth2/v2.0"
        return [
            Route(f"{base}/authorize", self.authorize, methods=["GET"]),
            Route(f"{base}/authorize", self.decide, methods=["POST"]),
            *self.administrators.routes(),
            Route(f"{base}/token", self.token, methods=["POST"]),
            Route("/{tenant}/discovery/v2.0/keys", self.id_tokens.keys, methods=["GET"]),
            Route("/{tenant}/v2.0/.well-known/openid-configuration", self.configuration, methods=["GET"]),
        ]

    def canonical(self, scope: str) -> tuple[str, ...] | None:
        return known_scopes.canonical(scope)

    def check(self, given: Mapping[str, str]) -> None:
        if given.get("response_mode", "query") != "query":
            raise Refused("response_mode")
        if given.get("prompt", "") not in {"", *_PROMPTS}:
            raise Refused("prompt")
        if (
            not 43 <= len(given.get("code_challenge", "")) <= 128
            or given.get("code_challenge_method") != "S256"
        ):
            raise Refused("challenge")

    def without_page(self, request: Request, asked: AuthRequest) -> Response | None:
        """Straight back where everything was allowed before and the person is known."""
        given = self.grants.consent(asked.login_hint)
        if asked.prompts <= {"none"} and given and given >= set(asked.scopes):
            return self._answered(asked, asked.login_hint)
        if "none" in asked.prompts:
            return self.back(
                asked.given,
                {
                    "error": "interaction_required",
                    "error_description": "AADSTS50058: A silent sign-in request was sent.",
                },
            )
        return None

    def allowed(self, request: Request, asked: AuthRequest, email: str, form: Form) -> Response:
        for rule, refusal in _BLOCKED.items():
            if rule in self.rules:
                return self.back(asked.given, {"error": "access_denied", "error_description": refusal})
        if self.administrators.wanted(email, asked.scopes):
            return self.pages.render(
                request,
                "approval.html",
                action=request.url.path,
                query=asked.query,
                can_request=APPROVAL in self.rules,
            )
        return self._answered(asked, self.mailboxes.ensure(email).email)

    def _answered(self, asked: AuthRequest, email: str) -> Response:
        code = self.code_for(asked, Grant(email, asked.scopes, asked.tenant))
        return self.back(asked.given, {"code": code, "session_state": str(uuid.uuid4())})

    def refuse_request(self, request: Request, query: str, refused: Refused) -> Response:
        """Back to a registered address where the error may be told there; else a page."""
        words = self.refusals[refused.reason]
        detail = words.detail.format(refused.sent)
        if refused.reason in ("client", "redirect"):
            return self.refusal_page(request, f"AADSTS{words.number}", detail)
        told = {"error": words.error, "error_description": f"AADSTS{words.number}: {detail}"}
        return self.back(fields(query), told)

    def prove_client(self, request: Request, form: Mapping[str, str]) -> None:
        if not form.get("grant_type"):
            raise Refused("missing", "grant_type")
        client_id, secret = client_of(request, form)
        if client_id != MICROSOFT_CLIENT_ID:
            raise Refused("client", client_id)
        if not secret:
            raise Refused("no_secret")
        super().prove_client(request, form)

    def tokens(self, request: Request, form: Mapping[str, str], found: CodeGrant) -> Response:
        return self._tokens(request, found.grant, form, nonce=found.nonce)

    def refreshed(self, request: Request, form: Mapping[str, str]) -> Response:
        if not form.get("refresh_token"):
            raise Refused("missing", "refresh_token")
        asked = known_scopes.canonical(form["scope"]) if form.get("scope") else ()
        if asked is None:
            raise Refused("scope", form["scope"])
        found = self.grants.known("refresh", form["refresh_token"])
        if found is None:
            raise Refused("refresh")
        if self.grants.has_ended(found):
            raise Refused("inactive")
        if not set(asked) <= self.grants.consent(found.account) | known_scopes.IDENTITY:
            raise Refused("no_consent")
        kept = tuple(dict.fromkeys((*asked, known_scopes.OFFLINE))) if asked else found.scopes
        return self._tokens(request, Grant(found.account, kept, found.tenant), form)

    def _tokens(self, request: Request, grant: Grant, form: Mapping[str, str], nonce: str = "") -> Response:
        if MANAGED_DEVICE in self.rules:
            raise Refused("device")
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
        mailbox = self.mailboxes.get(grant.account)
        if "openid" in grant.scopes:
            claims: Json = {"sub": mailbox.id, "oid": mailbox.id, "tid": TENANT_ID, "ver": "2.0"}
            if "profile" in grant.scopes:
                claims |= {"name": mailbox.name, "preferred_username": mailbox.email}
            if "email" in grant.scopes:
                claims["email"] = mailbox.email
            claims |= {"nonce": nonce} if nonce else {}
            issuer = f"{_entra(request)}/{TENANT_ID}/v2.0"
            answer["id_token"] = self.id_tokens.encode(issuer, MICROSOFT_CLIENT_ID, claims)
        if form.get("client_info") == "1":
            info = orjson.dumps({"uid": mailbox.id, "utid": TENANT_ID})
            answer["client_info"] = base64.urlsafe_b64encode(info).decode().rstrip("=")
        return JSONResponse(answer, headers={"Cache-Control": "no-store", "Pragma": "no-cache"})

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

    def error(self, refused: Refused) -> Response:
        """https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow#error-response-1"""
        words = self.refusals[refused.reason]
        trace, correlation = str(uuid.uuid4()), str(uuid.uuid4())
        stamp = f"{self.mailboxes.store.now():%Y-%m-%d %H:%M:%SZ}"
        body = {
            "error": words.error,
            "error_description": f"AADSTS{words.number}: {words.detail.format(refused.sent)} Trace ID: {trace} "
            f"Correlation ID: {correlation} Timestamp: {stamp}",
            "error_codes": [words.number],
            "timestamp": stamp,
            "trace_id": trace,
            "correlation_id": correlation,
            "error_uri": f"https://login.microsoftonline.com/error?code={words.number}",
        }
        return JSONResponse(body, words.status, headers={"Cache-Control": "no-store"})


def _entra(request: Request) -> str:
    """The address of this Entra, as the caller reached it."""
    return f"{request.url.scheme}://{request.url.netloc}{request.scope.get('root_path', '')}"
