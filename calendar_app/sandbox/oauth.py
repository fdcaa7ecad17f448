"""What the OAuth endpoints of the stand-ins share: consent page, codes, PKCE, client authentication, refreshing.

RFC 6749 §4.1, §5, §6 and RFC 7636. A provider's endpoints derive from :class:`OAuth` and say what is its own: its
words, its scopes, what it asks of a request, and the shape of its token answer. As at all of them, a request that
cannot be trusted (unknown client, unregistered ``redirect_uri``) ends on an error page and is never redirected.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hmac import compare_digest
from typing import Any, Protocol
from urllib.parse import parse_qs, unquote_plus, urlencode

from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.datastructures import ImmutableMultiDict
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from calendar_app.sandbox.grants import CodeGrant, Grant, Grants
from calendar_app.sandbox.pages import Pages, form_of, refuse_cross_site
from calendar_app.sandbox.store import Store

Json = dict[str, Any]
Form = ImmutableMultiDict[str, str]

APP_NAME = "Almanac"
ADDRESS = re.compile(r"^[^@\s<>\"]{1,64}@[^@\s<>\"]{1,255}$")
_INSTEAD = {
    "used": "code",
    "expired": "code",
    "other_redirect": "code",
    "verifier": "code",
    "refresh": "code",
}
"""Reason for a refusal -> the one whose words a provider uses that has none for it."""


@dataclass(frozen=True, slots=True)
class Words:
    """How a provider refuses: HTTP status, OAuth's error word, a sentence in which ``{}`` is what was sent.

    ``number`` is Entra's.
    """

    status: int
    error: str
    detail: str
    number: int = 0


class Refused(Exception):
    """A request that is not followed; ``reason`` is a key of :attr:`OAuth.refusals`, ``sent`` what was wrong."""

    def __init__(self, reason: str, sent: str = "") -> None:
        super().__init__(reason)
        self.reason, self.sent = reason, sent


@dataclass(frozen=True, slots=True)
class AuthRequest:
    """A checked authorization request: its fields as they came, and the scopes by the provider's names."""

    given: Mapping[str, str]
    scopes: tuple[str, ...]
    query: str
    tenant: str = ""

    @property
    def redirect_uri(self) -> str:
        return self.given["redirect_uri"]

    @property
    def login_hint(self) -> str:
        return self.given.get("login_hint", "").strip().lower()

    @property
    def prompts(self) -> frozenset[str]:
        return frozenset(self.given.get("prompt", "").split())


class Person(Protocol):
    """An account as the consent page shows it."""

    @property
    def email(self) -> str: ...
    @property
    def name(self) -> str: ...


class OAuth:
    """The endpoints. ``people`` are the accounts that the consent page offers; ``redirect_uris`` the registered
    addresses, compared exactly."""

    provider: str
    account_kind: str
    client: tuple[str, str]
    """Id and secret."""
    refusals: Mapping[str, Words]
    texts: Mapping[str, str]
    """Scope -> what the consent page says of it."""
    granular: Iterable[str] = ()
    """Scopes that a person may leave out."""
    required: Sequence[str] = ()
    """Fields without which a code is not exchanged."""
    declined: Mapping[str, str] = {"error": "access_denied"}
    approval_requested = declined
    """The answer to "Request approval", where there is such a button."""
    always_answered: Mapping[str, str] = {}

    def __init__(
        self,
        people: Callable[[], Sequence[Person]],
        grants: Grants,
        pages: Pages,
        redirect_uris: Iterable[str],
    ) -> None:
        self.people, self.grants, self.pages = people, grants, pages
        self.redirect_uris = frozenset(redirect_uris)

    # --- what a provider does in its own way --------------------------------------------------------------------------

    def canonical(self, scope: str) -> tuple[str, ...] | None:
        """The requested scopes by their full names, in order; ``None`` where one is unknown or none was asked for."""
        raise NotImplementedError

    def check(self, given: Mapping[str, str]) -> None:
        """:raises Refused: for what only this provider refuses of an authorization request."""

    def without_page(self, request: Request, asked: AuthRequest) -> Response | None:
        """The answer to a request that needs no consent page; ``None`` where it does."""
        return None

    def allowed(self, request: Request, asked: AuthRequest, email: str, form: Form) -> Response:
        """What follows on "Allow" by the owner of ``email``."""
        raise NotImplementedError

    def tokens(self, request: Request, form: Mapping[str, str], found: CodeGrant) -> Response:
        """The token answer to a code."""
        raise NotImplementedError

    def refreshed(self, request: Request, form: Mapping[str, str]) -> Response:
        """The token answer to a refresh token. :raises Refused: ``refresh``, or the provider's own."""
        raise NotImplementedError

    # --- the consent page ---------------------------------------------------------------------------------------------

    async def authorize(self, request: Request) -> Response:
        """The consent page; straight back where the provider needs none."""
        query = request.url.query
        try:
            asked = self._checked(request, query)
        except Refused as refused:
            return self.refuse_request(request, query, refused)
        return self.without_page(request, asked) or self._consent_page(request, asked)

    async def decide(self, request: Request) -> Response:
        """``Allow`` or ``Deny`` on the consent page, which sends the authorization request along."""
        refuse_cross_site(request)
        form = await form_of(request)
        query = form.get("request", "")
        try:
            asked = self._checked(request, query)
        except Refused as refused:
            return self.refuse_request(request, query, refused)
        decision = form.get("decision")
        if decision != "allow":
            return self.back(asked.given, self.approval_requested if decision == "request" else self.declined)
        email = form.get("email", "").strip().lower() or form.get("account", "").strip().lower()
        if not ADDRESS.match(email):
            return self._consent_page(request, asked, problem="Enter an e-mail address to continue.")
        return self.allowed(request, asked, email, form)

    def _checked(self, request: Request, query: str) -> AuthRequest:
        given = fields(query)
        if given.get("client_id") != self.client[0]:
            raise Refused("client", given.get("client_id", ""))
        if given.get("redirect_uri") not in self.redirect_uris:
            raise Refused("redirect", given.get("redirect_uri", ""))
        if given.get("response_type") != "code":
            raise Refused("response_type")
        scopes = self.canonical(given.get("scope", ""))
        if scopes is None:
            raise Refused("scope", given.get("scope", ""))
        self.check(given)
        return AuthRequest(given, scopes, query, request.path_params.get("tenant", ""))

    def back(self, given: Mapping[str, str], answer: Mapping[str, str]) -> RedirectResponse:
        """To the application's registered address, with ``state`` as it came."""
        state = {"state": given["state"]} if "state" in given else {}
        address = given["redirect_uri"]
        query = urlencode({**self.always_answered, **answer, **state})
        return RedirectResponse(f"{address}{'&' if '?' in address else '?'}{query}", 302)

    def code_for(self, asked: AuthRequest, grant: Grant, *, refreshable: bool = True) -> str:
        """A code for what was allowed."""
        given = asked.given
        return self.grants.allow(
            CodeGrant(
                grant,
                asked.redirect_uri,
                given.get("code_challenge", ""),
                given.get("code_challenge_method", "plain"),
                given.get("nonce", ""),
                refreshable,
            )
        )

    def _consent_page(self, request: Request, asked: AuthRequest, problem: str = "") -> Response:
        people = self.people()
        known, hint = {person.email for person in people}, asked.login_hint
        typed = hint if hint not in known else ""
        chosen = hint if hint in known else (people[0].email if people else "")
        return self.pages.render(
            request,
            "consent.html",
            400 if problem else 200,
            provider=self.provider,
            account_kind=self.account_kind,
            action=request.url.path,
            app_name=APP_NAME,
            accounts=people,
            chosen="" if typed else chosen,
            typed=typed,
            identity=[self.texts[name] for name in asked.scopes if name not in self.granular],
            permissions=[(name, self.texts[name]) for name in asked.scopes if name in self.granular],
            query=asked.query,
            problem=problem,
        )

    def refuse_request(self, request: Request, query: str, refused: Refused) -> Response:
        """The error page."""
        words = self._words(refused)
        return self.refusal_page(request, words.error, words.detail.format(refused.sent), words.status)

    def refusal_page(self, request: Request, error: str, detail: str, status: int = 400) -> Response:
        return self.pages.render(
            request, "refused.html", status, provider=self.provider, error=error, detail=detail, code=status
        )

    # --- the token endpoint -------------------------------------------------------------------------------------------

    async def token(self, request: Request) -> Response:
        """Exchanges a code, or refreshes; errors as RFC 6749 §5.2, in the provider's words."""
        form = dict(await form_of(request))
        try:
            self.prove_client(request, form)
            match form.get("grant_type", ""):
                case "authorization_code":
                    return self.tokens(request, form, self._redeemed(form))
                case "refresh_token":
                    return self.refreshed(request, form)
                case kind:
                    raise Refused("grant_type", kind)
        except Refused as refused:
            return self.error(refused)

    def prove_client(self, request: Request, form: Mapping[str, str]) -> None:
        """``client_secret_post`` or ``client_secret_basic`` (RFC 6749 §2.3.1). :raises Refused: ``secret``."""
        for given, own in zip(client_of(request, form), self.client, strict=True):
            if not compare_digest(given.encode(), own.encode()):
                raise Refused("secret")

    def _redeemed(self, form: Mapping[str, str]) -> CodeGrant:
        """:raises Refused: with what is wrong with the code."""
        for name in self.required:
            if not form.get(name):
                raise Refused("missing", name)
        found = self.grants.redeem(form.get("code", ""))
        if found is None:
            raise Refused("code")
        if found.used:
            raise Refused("used")
        if found.expired:
            raise Refused("expired")
        if found.redirect_uri != form.get("redirect_uri"):
            raise Refused("other_redirect", form.get("redirect_uri", ""))
        if not found.proves(form.get("code_verifier", "")):
            raise Refused("verifier")
        return found

    def error(self, refused: Refused) -> Response:
        """The token endpoint's refusal."""
        words = self._words(refused)
        headers = {"Cache-Control": "no-store"} | (
            {"WWW-Authenticate": "Basic"} if words.status == 401 else {}
        )
        body = {"error": words.error, "error_description": words.detail.format(refused.sent)}
        return JSONResponse(body, words.status, headers=headers)

    def _words(self, refused: Refused) -> Words:
        return self.refusals.get(refused.reason) or self.refusals[_INSTEAD[refused.reason]]


class IdTokens:
    """RS256 JWTs made with a key of the store, so that any OpenID client can check them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._made: RSAKey | None = None

    def encode(self, issuer: str, audience: str, claims: Json) -> str:
        """A token that is good for an hour."""
        now = int(self._store.now().timestamp())
        key = self._key()
        claims = {"iss": issuer, "aud": audience, "iat": now, "exp": now + 3600, **claims}
        return jwt.encode({"alg": "RS256", "kid": key.kid, "typ": "JWT"}, claims, key)

    async def keys(self, _request: Request) -> Response:
        """The public key, as a JWK set."""
        return JSONResponse({"keys": [{**self._key().as_dict(private=False), "use": "sig", "alg": "RS256"}]})

    def _key(self) -> RSAKey:
        if self._made is None:
            pem = self._store.secret(
                "id_token_key", lambda: RSAKey.generate_key(2048).as_pem(private=True).decode()
            )
            self._made = RSAKey.import_key(pem)
            self._made.ensure_kid()
        return self._made


def fields(query: str) -> dict[str, str]:
    """The fields of a query, of those that come twice the last."""
    return {name: values[-1] for name, values in parse_qs(query, keep_blank_values=True).items()}


def client_of(request: Request, form: Mapping[str, str]) -> tuple[str, str]:
    """Id and secret, from the header ``Authorization: Basic`` or from the form; empty where they cannot be read."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return form.get("client_id", ""), form.get("client_secret", "")
    try:
        name, _, secret = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return unquote_plus(name), unquote_plus(secret)
