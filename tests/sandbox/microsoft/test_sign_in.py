"""Entra's sign-in: consent, codes, rotating refresh tokens, errors in Entra's words."""

from __future__ import annotations

import base64
import json
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from calendar_app.sandbox.environment import MICROSOFT_CLIENT_ID, MICROSOFT_CLIENT_SECRET
from tests.sandbox.microsoft.client import (
    ENTRA,
    OWNER,
    REDIRECT_URI,
    SCOPES,
    WITH_ID_TOKEN,
    Microsoft,
    ok,
    redirected,
    refused,
)
from tests.sandbox.server import pkce


def entra_refused(response: httpx.Response, status: int, error: str, code: int) -> None:
    """A token answer that is a refusal in Entra's shape."""
    assert response.status_code == status, response.text
    body = response.json()
    assert body["error"] == error
    assert body["error_description"].startswith(f"AADSTS{code}: ")
    assert body["error_codes"] == [code]
    assert {"timestamp", "trace_id", "correlation_id", "error_uri"} <= body.keys()


def test_the_consent_page_names_account_and_permissions(microsoft: Microsoft) -> None:
    """The page offers the known account, says what is asked for, and has the two buttons."""
    page = microsoft.consent_page().text
    assert "Stand-in for Microsoft sign-in" in page
    assert f'value="{OWNER}" checked' in page
    assert "Have full access to your calendars" in page
    assert ">Allow</button>" in page
    assert ">Deny</button>" in page


def test_allow_gives_a_code_and_the_state_back(microsoft: Microsoft) -> None:
    """Allow leads to the callback with the code and the state as it came."""
    answer = microsoft.decide()
    assert answer["state"] == "s t&te"
    assert answer["code"]


def test_deny_tells_the_application(microsoft: Microsoft) -> None:
    """Deny leads to the callback with access_denied."""
    answer = microsoft.decide("deny")
    assert answer["error"] == "access_denied"
    assert answer["error_description"].startswith("AADSTS65004")
    assert "code" not in answer


def test_a_hint_chooses_the_account_and_makes_a_new_one(microsoft: Microsoft) -> None:
    """login_hint fills in the account; an unknown address becomes a mailbox of its own on Allow."""
    assert 'value="new@example.net"' in microsoft.consent_page(login_hint="new@example.net").text
    token = microsoft.tokens(email="new@example.net")["access_token"]
    me = ok(microsoft.graph(token).get("me"))
    assert (me["mail"], me["displayName"]) == ("new@example.net", "New")
    assert len(ok(microsoft.graph(token).get("me/calendars"))["value"]) == 1


def test_who_allowed_before_is_not_asked_again(microsoft: Microsoft) -> None:
    """With consent and a hint the redirect comes at once; prompt=consent shows the page all the same."""
    microsoft.tokens()
    assert redirected(microsoft.consent_page(login_hint=OWNER))["code"]
    assert redirected(microsoft.consent_page(login_hint=OWNER, prompt="none"))["code"]
    assert microsoft.consent_page(login_hint=OWNER, prompt="consent").status_code == 200
    assert microsoft.consent_page().status_code == 200


def test_silence_without_consent_is_refused(microsoft: Microsoft) -> None:
    """prompt=none cannot show a page."""
    assert redirected(microsoft.consent_page(prompt="none"))["error"] == "interaction_required"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"client_id": "other"}, "AADSTS700016"),
        ({"redirect_uri": REDIRECT_URI + "/"}, "AADSTS50011"),
        ({"redirect_uri": None}, "AADSTS50011"),
    ],
)
def test_a_request_that_cannot_be_trusted_ends_on_a_page(
    microsoft: Microsoft, changes: dict[str, Any], code: str
) -> None:
    """Unknown clients and addresses that are not registered exactly are never redirected."""
    page = microsoft.consent_page(**changes)
    assert page.status_code == 400
    assert code in page.text


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"scope": "Calendars.Everything"}, "invalid_scope"),
        ({"scope": None}, "invalid_scope"),
        ({"prompt": "maybe"}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"response_mode": "fragment"}, "invalid_request"),
    ],
)
def test_other_mistakes_are_told_to_the_application(
    microsoft: Microsoft, changes: dict[str, Any], error: str
) -> None:
    """A registered address hears what was wrong, PKCE with S256 included, with its state."""
    answer = redirected(microsoft.consent_page(**changes))
    assert (answer["error"], answer["state"]) == (error, "s t&te")


def test_the_tokens(microsoft: Microsoft) -> None:
    """The answer has both tokens, the granted permissions by their full names, and a life."""
    tokens = microsoft.tokens()
    assert tokens["token_type"] == "Bearer"
    assert tokens["expires_in"] == 3599
    assert "https://graph.microsoft.com/Calendars.ReadWrite" in tokens["scope"].split()
    assert "offline_access" not in tokens["scope"]
    assert tokens["refresh_token"]


def test_the_id_token_can_be_checked(microsoft: Microsoft) -> None:
    """Its signature fits the published key; it says who, for whom, and repeats the nonce."""
    token = microsoft.tokens(nonce="n-1", scope=WITH_ID_TOKEN)["id_token"]
    keys = ok(microsoft.sandbox.client.get("/sandbox/microsoft/common/discovery/v2.0/keys"))
    claims = jwt.decode(token, KeySet.import_key_set(keys)).claims  # type: ignore[arg-type]
    configured = ok(
        microsoft.sandbox.client.get("/sandbox/microsoft/common/v2.0/.well-known/openid-configuration")
    )
    assert claims["iss"] == configured["issuer"]
    assert (claims["aud"], claims["nonce"], claims["email"]) == (MICROSOFT_CLIENT_ID, "n-1", OWNER)
    assert configured["token_endpoint"] == microsoft.sandbox.environment["MICROSOFT_TOKEN_URL"]


def test_without_the_scopes_there_is_less(microsoft: Microsoft) -> None:
    """No offline_access, no refresh token; no openid, no ID token."""
    tokens = microsoft.tokens(scope="Calendars.Read")
    assert tokens.keys().isdisjoint({"refresh_token", "id_token"})


def test_client_info_names_the_account_for_microsofts_own_library(microsoft: Microsoft) -> None:
    """client_info=1 is answered with the ids that msal keeps an account by."""
    verifier, challenge = pkce()
    code = microsoft.decide(code_challenge=challenge)["code"]
    fields = {"code": code, "redirect_uri": REDIRECT_URI, "code_verifier": verifier, "client_info": "1"}
    tokens = ok(microsoft.token(grant_type="authorization_code", **fields))
    info = json.loads(base64.urlsafe_b64decode(tokens["client_info"] + "=="))
    assert info.keys() == {"uid", "utid"}


def test_a_code_works_once(microsoft: Microsoft) -> None:
    """The second use is refused."""
    verifier, challenge = pkce()
    code = microsoft.decide(code_challenge=challenge)["code"]
    fields = {"code": code, "redirect_uri": REDIRECT_URI, "code_verifier": verifier}
    ok(microsoft.token(grant_type="authorization_code", **fields))
    entra_refused(microsoft.token(grant_type="authorization_code", **fields), 400, "invalid_grant", 54005)


@pytest.mark.parametrize(
    ("fields", "status", "error", "code"),
    [
        ({"code_verifier": "x" * 43}, 400, "invalid_grant", 501481),
        ({"code_verifier": ""}, 400, "invalid_request", 900144),
        ({"redirect_uri": "https://other.example"}, 400, "invalid_grant", 500112),
        ({"code": "1.unknown"}, 400, "invalid_grant", 9002313),
        ({"client_secret": "guessed"}, 401, "invalid_client", 7000215),
        ({"client_secret": ""}, 401, "invalid_client", 7000218),
        ({"client_id": "other"}, 400, "unauthorized_client", 700016),
        ({"grant_type": "password"}, 400, "unsupported_grant_type", 70003),
        ({"grant_type": ""}, 400, "invalid_request", 900144),
    ],
)
def test_a_wrong_exchange_is_refused(
    microsoft: Microsoft, fields: dict[str, str], status: int, error: str, code: int
) -> None:
    """Each mistake has Entra's own number."""
    verifier, challenge = pkce()
    right = {
        "grant_type": "authorization_code",
        "code": microsoft.decide(code_challenge=challenge)["code"],
        "redirect_uri": REDIRECT_URI,
        "code_verifier": verifier,
    }
    entra_refused(microsoft.token(**(right | fields)), status, error, code)


def test_a_code_expires(microsoft: Microsoft) -> None:
    """After ten minutes it is too late."""
    verifier, challenge = pkce()
    code = microsoft.decide(code_challenge=challenge)["code"]
    microsoft.sandbox.clock.advance(minutes=10)
    fields = {"code": code, "redirect_uri": REDIRECT_URI, "code_verifier": verifier}
    entra_refused(microsoft.token(grant_type="authorization_code", **fields), 400, "invalid_grant", 70008)


def test_basic_authentication_of_the_client_works_too(microsoft: Microsoft) -> None:
    """RFC 6749 §2.3.1: credentials in the header."""
    refresh = microsoft.tokens()["refresh_token"]
    answer = microsoft.sandbox.client.post(
        f"{ENTRA}/token",
        data={"grant_type": "refresh_token", "refresh_token": refresh},
        auth=(MICROSOFT_CLIENT_ID, MICROSOFT_CLIENT_SECRET),
    )
    assert ok(answer)["access_token"]


def test_refresh_tokens_rotate(microsoft: Microsoft) -> None:
    """Each refresh gives a new one that works; the old one lives on, as with Entra, until consent is withdrawn."""
    first = microsoft.tokens()
    second = ok(microsoft.token(grant_type="refresh_token", refresh_token=first["refresh_token"]))
    assert second["refresh_token"] != first["refresh_token"]
    for tokens in (first, second):
        again = ok(microsoft.token(grant_type="refresh_token", refresh_token=tokens["refresh_token"]))
        ok(microsoft.graph(again["access_token"]).get("me"))
    microsoft.stand_in.remove_access(OWNER)
    refused_now = microsoft.token(grant_type="refresh_token", refresh_token=first["refresh_token"])
    entra_refused(refused_now, 400, "invalid_grant", 50173)


def test_a_refresh_can_ask_for_the_allowed_scopes_only(microsoft: Microsoft) -> None:
    """The same scopes again are fine, others need consent, unknown ones do not exist."""
    refresh = microsoft.tokens(scope="offline_access Calendars.Read")["refresh_token"]
    unknown = microsoft.token(grant_type="refresh_token", refresh_token=refresh, scope="Calendars.Everything")
    entra_refused(unknown, 400, "invalid_scope", 70011)
    again = ok(microsoft.token(grant_type="refresh_token", refresh_token=refresh, scope="Calendars.Read"))
    more = microsoft.token(grant_type="refresh_token", refresh_token=again["refresh_token"], scope=SCOPES)
    entra_refused(more, 400, "invalid_grant", 65001)


def test_refresh_tokens_die_unused(microsoft: Microsoft) -> None:
    """After 90 days without use."""
    refresh = microsoft.tokens()["refresh_token"]
    microsoft.sandbox.clock.advance(days=90)
    answer = microsoft.token(grant_type="refresh_token", refresh_token=refresh)
    entra_refused(answer, 400, "invalid_grant", 700082)


def test_access_tokens_expire(microsoft: Microsoft) -> None:
    """After an hour Graph answers 401 with a challenge; a refreshed token works."""
    tokens = microsoft.tokens()
    microsoft.sandbox.clock.advance(hours=1)
    answer = microsoft.graph(tokens["access_token"]).get("me")
    assert "expired" in refused(answer, 401, "InvalidAuthenticationToken")
    assert answer.headers["www-authenticate"].startswith("Bearer ")
    fresh = ok(microsoft.token(grant_type="refresh_token", refresh_token=tokens["refresh_token"]))
    ok(microsoft.graph(fresh["access_token"]).get("me"))


def test_calls_without_a_good_token_are_refused(microsoft: Microsoft) -> None:
    """None, a wrong one, another scheme."""
    client = microsoft.sandbox.client
    for headers in ({}, {"Authorization": "Bearer nonsense"}, {"Authorization": "Basic Zm9vOmJhcg=="}):
        refused(client.get(f"{microsoft.api_url}/me", headers=headers), 401, "InvalidAuthenticationToken")


@pytest.mark.parametrize(
    ("scope", "allowed", "denied"),
    [
        ("User.Read", ["me"], ["me/calendars", "me/events", "subscriptions", "me/mailboxSettings"]),
        ("Calendars.ReadBasic", ["me/calendars"], ["me", "me/events"]),
        ("https://graph.microsoft.com/Calendars.Read", ["me/calendars", "me/events"], ["me"]),
        ("mailboxsettings.read", ["me/mailboxSettings"], ["me/calendars"]),
    ],
)
def test_scopes_open_what_they_name(
    microsoft: Microsoft, scope: str, allowed: list[str], denied: list[str]
) -> None:
    """Every call looks at the token's own permissions."""
    graph = microsoft.graph(microsoft.tokens(scope=scope)["access_token"])
    for path in allowed:
        ok(graph.get(path))
    for path in denied:
        refused(graph.get(path), 403, "ErrorAccessDenied")


def test_reading_is_not_writing(microsoft: Microsoft) -> None:
    """Calendars.Read makes no events."""
    graph = microsoft.graph(microsoft.tokens(scope="Calendars.Read")["access_token"])
    refused(graph.post("me/events", json={}), 403, "ErrorAccessDenied")


def test_withdrawn_access_ends_every_token(microsoft: Microsoft) -> None:
    """After "Remove access" both tokens are dead and consent is asked for anew."""
    tokens = microsoft.tokens()
    microsoft.stand_in.grants.withdraw(OWNER)
    refused(microsoft.graph(tokens["access_token"]).get("me"), 401, "InvalidAuthenticationToken")
    answer = microsoft.token(grant_type="refresh_token", refresh_token=tokens["refresh_token"])
    entra_refused(answer, 400, "invalid_grant", 50173)
    assert microsoft.consent_page(login_hint=OWNER).status_code == 200
