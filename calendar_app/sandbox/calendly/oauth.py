"""Calendly's OAuth 2.1 endpoints: authorization with a consent page, token, revocation, introspection.

Source: https://developer.calendly.com/creating-an-oauth-app, .../scopes, .../refresh-token-rotation-guide. As at
Calendly, a request that cannot be trusted (unknown client, unregistered ``redirect_uri``) ends on an error page.
"""

from __future__ import annotations

from dataclasses import dataclass
from hmac import compare_digest
from typing import Any
from urllib.parse import parse_qs, urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from calendar_app.sandbox.calendly.bookings import Bookings
from calendar_app.sandbox.calendly.grants import CodeGrant, Grants, TokenGrant
from calendar_app.sandbox.calendly.scopes import SCOPES, requested
from calendar_app.sandbox.environment import CALENDLY_CLIENT_ID, CALENDLY_CLIENT_SECRET
from calendar_app.sandbox.pages import Pages, form_of, refuse_cross_site

Json = dict[str, Any]


class Refused(Exception):
    """An authorization request that ends on an error page."""

    def __init__(self, error: str, detail: str) -> None:
        super().__init__(detail)
        self.error, self.detail = error, detail


@dataclass(frozen=True, slots=True)
class AuthRequest:
    """A checked authorization request."""

    redirect_uri: str
    scopes: tuple[str, ...]
    state: str | None
    challenge: str
    challenge_method: str

    def back(self, **answer: str) -> RedirectResponse:
        """To the application, with ``state`` as it came."""
        query = urlencode(answer | ({} if self.state is None else {"state": self.state}))
        return RedirectResponse(f"{self.redirect_uri}{'&' if '?' in self.redirect_uri else '?'}{query}", 302)


class OAuth:
    """The endpoints; ``redirect_uris`` are the registered ones, compared exactly."""

    def __init__(
        self, bookings: Bookings, grants: Grants, pages: Pages, redirect_uris: frozenset[str]
    ) -> None:
        self.bookings, self.grants, self.pages, self.redirect_uris = bookings, grants, pages, redirect_uris

    def routes(self) -> list[Route]:
        return [
            Route("/oauth/authorize", self.authorize, methods=["GET"]),
            Route("/oauth/authorize", self.decide, methods=["POST"]),
            Route("/oauth/token", self.token, methods=["POST"]),
            Route("/oauth/revoke", self.revoke, methods=["POST"]),
            Route("/oauth/introspect", self.introspect, methods=["POST"]),
        ]

    def _checked(self, query: str) -> AuthRequest:
        given = {name: values[-1] for name, values in parse_qs(query, keep_blank_values=True).items()}
        if given.get("client_id") != CALENDLY_CLIENT_ID:
            raise Refused("invalid_client", "Client authentication failed due to unknown client.")
        redirect_uri = given.get("redirect_uri", "")
        if redirect_uri not in self.redirect_uris:
            raise Refused("invalid_redirect_uri", "The redirect uri included is not valid.")
        if given.get("response_type") != "code":
            raise Refused("unsupported_response_type", "The response type is not supported.")
        scopes = requested(given.get("scope", ""))
        if scopes is None:
            raise Refused("invalid_scope", "The requested scope is invalid, unknown, or malformed.")
        method, challenge = given.get("code_challenge_method", "plain"), given.get("code_challenge", "")
        if challenge and (method != "S256" or not 43 <= len(challenge) <= 128):
            raise Refused("invalid_code_challenge_method", "The code challenge method must be S256.")
        return AuthRequest(redirect_uri, scopes, given.get("state"), challenge, method)

    async def authorize(self, request: Request) -> Response:
        """The consent page."""
        try:
            asked = self._checked(request.url.query)
        except Refused as refused:
            return self._error_page(request, refused)
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
            return asked.back(
                error="access_denied", error_description="The resource owner denied the request."
            )
        email = form.get("email", "").strip().lower() or form.get("account", "").strip().lower()
        if "@" not in email.strip("@") or len(email) > 254:
            return self._consent_page(request, asked, query, "Enter an e-mail address to continue.")
        account = self.bookings.ensure_account(email)
        code = self.grants.allow(
            CodeGrant(account.uuid, asked.scopes, asked.redirect_uri, asked.challenge, asked.challenge_method)
        )
        return asked.back(code=code)

    def _consent_page(self, request: Request, asked: AuthRequest, query: str, problem: str = "") -> Response:
        accounts = self.bookings.accounts()
        return self.pages.render(
            request,
            "consent.html",
            400 if problem else 200,
            provider="Calendly",
            account_kind="Calendly account",
            action=request.url.path,
            app_name="Almanac",
            accounts=accounts,
            chosen=accounts[0].email if accounts else "",
            identity=[SCOPES[name] for name in asked.scopes],
            permissions=[],
            query=query,
            problem=problem,
        )

    def _error_page(self, request: Request, refused: Refused) -> Response:
        return self.pages.render(
            request,
            "refused.html",
            400,
            provider="Calendly",
            error=refused.error,
            detail=refused.detail,
            code=400,
        )

    async def token(self, request: Request) -> Response:
        """Exchanges a code, or a refresh token for two new tokens."""
        form = dict(await form_of(request))
        if not _client_proven(form):
            return _error(401, "invalid_client", "Client authentication failed.")
        kind = form.get("grant_type", "")
        if kind == "authorization_code":
            return self._exchange(form)
        if kind == "refresh_token":
            grant = self.grants.rotate(form.get("refresh_token", ""))
            return self._tokens(grant) if grant else _error(400, "invalid_grant", _DEAD)
        return _error(400, "unsupported_grant_type", "The authorization grant type is not supported.")

    def _exchange(self, form: dict[str, str]) -> Response:
        grant = self.grants.redeem(form.get("code", ""))
        if (
            grant is None
            or grant.redirect_uri != form.get("redirect_uri")
            or not grant.proves(form.get("code_verifier", ""))
        ):
            return _error(400, "invalid_grant", _DEAD)
        return self._tokens(TokenGrant(grant.account, grant.scopes))

    def _tokens(self, grant: TokenGrant) -> Response:
        account = self.bookings.account(grant.account)
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
        if not _client_proven(form):
            return _error(403, "unauthorized_client", "You are not authorized to revoke this token")
        if not form.get("token"):
            return _error(400, "invalid_request", "Missing required parameter: token.")
        grant = self.grants.find(form["token"])
        if grant is not None:
            self.grants.withdraw(grant.account)
        return JSONResponse({})

    async def introspect(self, request: Request) -> Response:
        """Whether a token still works, and whose it is."""
        form = dict(await form_of(request))
        if not _client_proven(form):
            return _error(401, "invalid_client", "Client authentication failed.")
        token = form.get("token", "")
        grant = self.grants.find(token)
        account = self.bookings.account(grant.account) if grant else None
        if grant is None or account is None:
            return JSONResponse({"active": False})
        answer: Json = {
            "active": True,
            "scope": " ".join(grant.scopes),
            "client_id": CALENDLY_CLIENT_ID,
            "token_type": "Bearer",
            "iat": grant.issued,
            "owner": account.uri,
            "organization": account.organization,
        }
        return JSONResponse(answer | ({"exp": grant.expires} if grant.expires else {}))


_DEAD = (
    "The provided authorization grant is invalid, expired, revoked, does not match the redirection URI used in the "
    "authorization request, or was issued to another client."
)


def _client_proven(form: dict[str, str]) -> bool:
    return compare_digest(form.get("client_id", "").encode(), CALENDLY_CLIENT_ID.encode()) and compare_digest(
        form.get("client_secret", "").encode(), CALENDLY_CLIENT_SECRET.encode()
    )


def _error(status: int, error: str, detail: str) -> Response:
    return JSONResponse(
        {"error": error, "error_description": detail}, status, headers={"Cache-Control": "no-store"}
    )
