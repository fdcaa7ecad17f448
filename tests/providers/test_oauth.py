"""The authorization code flow: what leaves for the provider, and what its refusals become."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from calendar_app.errors import GrantRevoked, InvalidRequest, ProviderError, ProviderUnavailable, RateLimited
from calendar_app.providers.google.oauth import google_oauth
from calendar_app.providers.oauth import AuthorizationCode
from calendar_app.settings import Settings

SETTINGS = Settings(GOOGLE_CLIENT_ID="client", GOOGLE_CLIENT_SECRET="hush-hush")
REDIRECT = "https://almanac.example/api/v1/connections/google/callback"


def google(answer: httpx.Response | Callable[[httpx.Request], httpx.Response]) -> AuthorizationCode:
    """Google's OAuth client in front of one canned answer."""
    handle = answer if callable(answer) else lambda _request: answer
    return google_oauth(SETTINGS, transport=httpx.MockTransport(handle))


def test_the_consent_address_carries_pkce_and_state() -> None:
    """S256 challenge, state, exact redirect address, offline access; never the verifier or the secret."""
    url = google(httpx.Response(500)).authorization_url(
        state="st", code_verifier="v" * 64, redirect_uri=REDIRECT, login_hint="ada@example.com"
    )
    query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    digest = hashlib.sha256(b"v" * 64).digest()
    assert query["code_challenge"] == base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    assert query["code_challenge_method"] == "S256"
    assert (query["state"], query["redirect_uri"], query["access_type"]) == ("st", REDIRECT, "offline")
    assert query["login_hint"] == "ada@example.com"
    assert "v" * 64 not in url
    assert "hush" not in url


def test_the_code_is_exchanged_with_verifier_and_secret() -> None:
    """The token request is RFC 6749 §4.1.3 with RFC 7636's verifier, and the grant says what was granted."""
    sent: dict[str, list[str]] = {}

    def handle(request: httpx.Request) -> httpx.Response:
        sent.update(parse_qs(request.content.decode()))
        assert "authorization" not in request.headers
        return httpx.Response(
            200,
            json={
                "access_token": "at",
                "refresh_token": "rt",
                "expires_in": 3599,
                "token_type": "Bearer",
                "scope": "openid https://www.googleapis.com/auth/userinfo.email",
            },
        )

    grant = google(handle).exchange(code="c0de", code_verifier="v" * 64, redirect_uri=REDIRECT)
    assert {name: values[0] for name, values in sent.items()} == {
        "grant_type": "authorization_code",
        "code": "c0de",
        "code_verifier": "v" * 64,
        "redirect_uri": REDIRECT,
        "client_id": "client",
        "client_secret": "hush-hush",
    }
    assert (grant.access_token, grant.refresh_token, grant.scopes) == ("at", "rt", ("openid", "email"))


@pytest.mark.parametrize("rotated", [True, False])
def test_refresh_reports_only_a_new_refresh_token(rotated: bool) -> None:
    """A rotated refresh token is handed on; a provider that keeps the old one gives ``None``."""
    body = {"access_token": "at2", "expires_in": 10, "token_type": "Bearer"}
    if rotated:
        body["refresh_token"] = "rt2"
    grant = google(httpx.Response(200, json=body)).refresh("rt1")
    assert grant.access_token == "at2"
    assert grant.refresh_token == ("rt2" if rotated else None)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (
            httpx.Response(400, json={"error": "invalid_grant", "error_description": "Bad Request"}),
            GrantRevoked,
        ),
        (httpx.Response(401, json={"error": "invalid_client"}), InvalidRequest),
        (httpx.Response(400, json={"error": "redirect_uri_mismatch"}), InvalidRequest),
        (httpx.Response(503, json={"error": "server_error"}), ProviderUnavailable),
        (httpx.Response(500, text="oops"), ProviderUnavailable),
        (httpx.Response(429, text="slow down", headers={"retry-after": "9"}), RateLimited),
        (httpx.Response(200, text="<html>"), ProviderUnavailable),
        (httpx.Response(200, json={"token_type": "Bearer"}), ProviderUnavailable),
        (httpx.ReadTimeout("slow"), ProviderUnavailable),
    ],
)
def test_refusals_become_our_errors_without_secrets(
    answer: httpx.Response | Exception, kind: type[ProviderError]
) -> None:
    """Each refusal is one sentence of ours, of the right kind, with no token, code or secret in it."""

    def handle(_request: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer

    with pytest.raises(kind) as caught:
        google(handle).refresh("top-secret-token")
    assert "top-secret" not in caught.value.detail
    assert "hush" not in caught.value.detail


@pytest.mark.parametrize("word", ["invalid_grant", "invalid_client", "internal_failure", "rateLimitExceeded"])
@pytest.mark.parametrize(
    ("status", "error"), [(429, RateLimited), (500, ProviderUnavailable), (503, ProviderUnavailable)]
)
def test_the_status_of_the_token_endpoint_comes_before_its_words(
    status: int, error: type[ProviderError], word: str
) -> None:
    """No 429 and no 5xx ends a grant or blames the configuration, whatever the body says."""
    client = google(httpx.Response(status, json={"error": word}, headers={"retry-after": "7"}))
    with pytest.raises(error) as refused:
        client.refresh("rt")
    assert (refused.value.retryable, getattr(refused.value, "retry_after", None)) == (True, 7)
    with pytest.raises(error):
        client.exchange(code="c", code_verifier="v" * 64, redirect_uri=REDIRECT)


def test_a_failure_inside_the_token_endpoint_passes() -> None:
    """Google has been seen to say ``internal_failure`` with 400."""
    with pytest.raises(ProviderUnavailable):
        google(httpx.Response(400, json={"error": "internal_failure"})).refresh("rt")


@pytest.mark.parametrize(
    ("said", "days"), [(604_799, 7), ("604799", 7), (None, None), ("soon", None), (10**30, None)]
)
def test_a_grant_says_when_it_ends(said: object, days: int | None) -> None:
    """``refresh_token_expires_in`` is read where it is sent and makes sense."""
    body = {"access_token": "at", "refresh_token": "rt", "expires_in": 3599, "refresh_token_expires_in": said}
    grant = google(httpx.Response(200, json=body)).refresh("old")
    left = None if grant.ends_at is None else round((grant.ends_at - datetime.now(UTC)) / timedelta(days=1))
    assert left == days


def test_revoking_a_dead_token_is_success() -> None:
    """Google answers 400 for a token it no longer knows; the goal is reached."""
    google(httpx.Response(400, json={"error": "invalid_token"})).revoke("old")
    google(httpx.Response(200, json={})).revoke("live")
    with pytest.raises(ProviderUnavailable):
        google(httpx.Response(503)).revoke("live")


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(400, json={"error": "invalid_request"}),
        httpx.Response(400, json={"error": "unsupported_token_type"}),
        httpx.Response(400, json=[]),
        httpx.Response(400, text="<html>"),
        httpx.Response(403, json={"error": "unauthorized_client"}),
    ],
)
def test_a_refusal_to_revoke_is_not_taken_for_success(answer: httpx.Response) -> None:
    """Only a token that is over is what was wanted; after any other refusal the grant may be alive."""
    with pytest.raises(InvalidRequest):
        google(answer).revoke("live")


def test_the_account_is_known_by_sub() -> None:
    """userinfo's ``sub`` is the account id; an answer without it is not trusted."""
    account = google(httpx.Response(200, json={"sub": "42", "email": "ada@example.com"})).account("at")
    assert (account.account_id, account.email) == ("42", "ada@example.com")
    with pytest.raises(ProviderUnavailable):
        google(httpx.Response(200, json={"email": "ada@example.com"})).account("at")
