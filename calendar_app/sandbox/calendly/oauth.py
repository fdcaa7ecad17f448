"""Calendly's OAuth 2.1 endpoints: authorization with a consent page, token, revocation, introspection.

Source: https://developer.calendly.com/creating-an-oauth-app, .../scopes, .../refresh-token-rotation-guide (a refresh
token ends with its first use), .../how-to-access-calendly-data-on-behalf-of-authenticated-users (codes live ten
minutes, access tokens two hours). PKCE is not demanded of web applications.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from calendar_app.sandbox.calendly.bookings import Bookings
from calendar_app.sandbox.calendly.scopes import SCOPES, requested
from calendar_app.sandbox.environment import CALENDLY_CLIENT_ID, CALENDLY_CLIENT_SECRET
from calendar_app.sandbox.grants import CodeGrant, Grant, Grants
from calendar_app.sandbox.oauth import AuthRequest, Form, OAuth, Refused, Words
from calendar_app.sandbox.pages import Pages, form_of

Json = dict[str, Any]

_DEAD = (
    "The provided authorization grant is invalid, expired, revoked, does not match the redirection URI used in the "
    "authorization request, or was issued to another client."
)


class CalendlyGrants(Grants):
    """Access tokens live two hours, refresh tokens until they are used."""

    access_token_life = 7200
    begins: Mapping[str, str] = {"access": "sandbox-access-", "refresh": "sandbox-refresh-"}


class CalendlyOAuth(OAuth):
    """The endpoints."""

    provider, account_kind = "Calendly", "Calendly account"
    client = (CALENDLY_CLIENT_ID, CALENDLY_CLIENT_SECRET)
    texts = SCOPES
    declined: Mapping[str, str] = {
        "error": "access_denied",
        "error_description": "The resource owner denied the request.",
    }
    refusals: Mapping[str, Words] = {
        "client": Words(400, "invalid_client", "Client authentication failed due to unknown client."),
        "redirect": Words(400, "invalid_redirect_uri", "The redirect uri included is not valid."),
        "response_type": Words(400, "unsupported_response_type", "The response type is not supported."),
        "scope": Words(400, "invalid_scope", "The requested scope is invalid, unknown, or malformed."),
        "challenge": Words(400, "invalid_code_challenge_method", "The code challenge method must be S256."),
        "secret": Words(401, "invalid_client", "Client authentication failed."),
        "grant_type": Words(400, "unsupported_grant_type", "The authorization grant type is not supported."),
        "code": Words(400, "invalid_grant", _DEAD),
        "not_revoked": Words(403, "unauthorized_client", "You are not authorized to revoke this token"),
        "missing": Words(400, "invalid_request", "Missing required parameter: {}."),
    }

    def __init__(
        self, bookings: Bookings, grants: Grants, pages: Pages, redirect_uris: Iterable[str]
    ) -> None:
        super().__init__(bookings.accounts, grants, pages, redirect_uris)
        self.bookings = bookings

    def routes(self) -> list[Route]:
        return [
            Route("/oauth/authorize", self.authorize, methods=["GET"]),
            Route("/oauth/authorize", self.decide, methods=["POST"]),
            Route("/oauth/token", self.token, methods=["POST"]),
            Route("/oauth/revoke", self.revoke, methods=["POST"]),
            Route("/oauth/introspect", self.introspect, methods=["POST"]),
        ]

    def canonical(self, scope: str) -> tuple[str, ...] | None:
        return requested(scope)

    def check(self, given: Mapping[str, str]) -> None:
        challenge = given.get("code_challenge", "")
        if challenge and (given.get("code_challenge_method") != "S256" or not 43 <= len(challenge) <= 128):
            raise Refused("challenge")

    def allowed(self, request: Request, asked: AuthRequest, email: str, form: Form) -> Response:
        grant = Grant(self.bookings.ensure_account(email).email, asked.scopes)
        return self.back(asked.given, {"code": self.code_for(asked, grant)})

    def tokens(self, request: Request, form: Mapping[str, str], found: CodeGrant) -> Response:
        return self._tokens(found.grant)

    def refreshed(self, request: Request, form: Mapping[str, str]) -> Response:
        grant = self.grants.find("refresh", form.get("refresh_token", ""))
        if grant is None:
            raise Refused("refresh")
        self.grants.end(form["refresh_token"])
        return self._tokens(grant)

    def _tokens(self, grant: Grant) -> Response:
        account = self.bookings.by_email(grant.account)
        assert account is not None
        answer: Json = {
            "access_token": self.grants.issue("access", grant),
            "token_type": "Bearer",
            "expires_in": self.grants.access_token_life,
            "refresh_token": self.grants.issue("refresh", grant),
            "scope": " ".join(grant.scopes),
            "created_at": int(self.bookings.store.now().timestamp()),
            "owner": account.uri,
            "organization": account.organization,
        }
        return JSONResponse(answer, headers={"Cache-Control": "no-store"})

    async def revoke(self, request: Request) -> Response:
        """Either token ends the whole grant; an unknown one is no error (RFC 7009 §2.2)."""
        form = dict(await form_of(request))
        try:
            self.prove_client(request, form)
        except Refused:
            return self.error(Refused("not_revoked"))
        if not form.get("token"):
            return self.error(Refused("missing", "token"))
        grant = self._found(form["token"])
        if grant is not None:
            self.grants.withdraw(grant.account)
        return JSONResponse({})

    async def introspect(self, request: Request) -> Response:
        """Whether a token still works, and whose it is."""
        form = dict(await form_of(request))
        try:
            self.prove_client(request, form)
        except Refused as refused:
            return self.error(refused)
        grant = self._found(form.get("token", ""))
        account = self.bookings.by_email(grant.account) if grant else None
        if grant is None or account is None:
            return JSONResponse({"active": False})
        answer: Json = {
            "active": True,
            "scope": " ".join(grant.scopes),
            "client_id": CALENDLY_CLIENT_ID,
            "token_type": "Bearer",
            "iat": grant.issued // 1000,
            "owner": account.uri,
            "organization": account.organization,
        }
        return JSONResponse(answer | ({"exp": grant.expires // 1000} if grant.expires else {}))

    def _found(self, token: str) -> Grant | None:
        return self.grants.find("access", token) or self.grants.find("refresh", token)
