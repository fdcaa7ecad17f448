"""OAuth at the stand-in for Google: the happy path, and everything that must be refused."""

from __future__ import annotations

import base64
from urllib.parse import urlencode

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from calendar_app.sandbox.environment import CLIENT_ID, CLIENT_SECRET
from calendar_app.sandbox.google.oauth import ISSUER
from tests.sandbox.server import CALENDAR_SCOPE, OWNER, REDIRECT_URI, Sandbox, pkce, running_sandbox

EMAIL_SCOPE = "https://www.googleapis.com/auth/userinfo.email"


def test_consent_page_names_the_app_the_account_and_the_buttons(sandbox: Sandbox) -> None:
    """A person sees who asks for what, can untick the calendar, and says Allow or Deny."""
    page = sandbox.consent_page().text
    assert "Almanac wants to access your Google Account" in page
    assert f'value="{OWNER}" checked' in page
    assert f'type="checkbox" name="scope" value="{CALENDAR_SCOPE}" checked' in page
    assert ">Allow</button>" in page
    assert ">Deny</button>" in page
    assert "Sandbox</strong>: no real provider is contacted" in page


def test_code_flow_with_pkce_ends_with_a_working_token(sandbox: Sandbox) -> None:
    """Consent, exchange, userinfo: the whole path, with the state as sent."""
    verifier, challenge = pkce()
    answer = sandbox.decide(code_challenge=challenge, code_challenge_method="S256")
    assert answer["state"] == "s t&te"
    assert answer["iss"] == ISSUER
    assert answer["scope"].split()[-1] == CALENDAR_SCOPE
    response = sandbox.token(grant_type="authorization_code", code=answer["code"], code_verifier=verifier)
    tokens = response.json()
    assert response.headers["cache-control"] == "no-store"
    assert tokens["token_type"] == "Bearer"
    assert 3500 < tokens["expires_in"] <= 3600
    assert tokens["refresh_token"].startswith("1//")
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    person = sandbox.client.get("/sandbox/google/userinfo", headers=bearer).json()
    assert (person["email"], person["email_verified"], person["name"]) == (OWNER, True, "Olivia Owner")
    assert person["sub"].isdigit()
    assert sandbox.api(tokens["access_token"]).get("users/me/calendarList").status_code == 200


def test_grants_of_an_application_in_testing_end_after_a_week(sandbox: Sandbox) -> None:
    """Every answer says what is left of the grant; after seven days its refresh token is over."""
    sandbox.rule("testing")
    first = sandbox.tokens()
    assert first["refresh_token_expires_in"] == 7 * 86_400
    sandbox.clock.advance(days=6)
    renewal = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
    assert sandbox.token(**renewal).json()["refresh_token_expires_in"] == 86_400
    sandbox.clock.advance(days=1)
    assert sandbox.token(**renewal).json()["error"] == "invalid_grant"


def test_deny_redirects_with_access_denied(sandbox: Sandbox) -> None:
    """Deny carries an error and no code."""
    answer = sandbox.decide("deny")
    assert answer["error"] == "access_denied"
    assert answer["state"] == "s t&te"
    assert "code" not in answer


def test_unticked_calendar_scope_is_not_granted(sandbox: Sandbox) -> None:
    """Granular consent: the token works for identity, the calendar answers 403 in Google's words."""
    verifier, challenge = pkce()
    answer = sandbox.decide(untick=CALENDAR_SCOPE, code_challenge=challenge, code_challenge_method="S256")
    tokens = sandbox.token(
        grant_type="authorization_code", code=answer["code"], code_verifier=verifier
    ).json()
    assert CALENDAR_SCOPE not in tokens["scope"].split()
    assert EMAIL_SCOPE in tokens["scope"].split()
    refused = sandbox.api(tokens["access_token"]).get("users/me/calendarList")
    assert refused.status_code == 403
    assert refused.json()["error"]["errors"][0]["reason"] == "insufficientPermissions"
    assert refused.json()["error"]["details"][0]["reason"] == "ACCESS_TOKEN_SCOPE_INSUFFICIENT"
    assert "insufficient_scope" in refused.headers["www-authenticate"]


def test_nothing_ticked_is_a_refusal(sandbox: Sandbox) -> None:
    """With no scope left there is nothing to grant."""
    assert sandbox.decide(untick=CALENDAR_SCOPE, scope=CALENDAR_SCOPE)["error"] == "access_denied"


@pytest.mark.parametrize(
    ("change", "status", "error"),
    [
        ({"client_id": "somebody-else"}, 401, "invalid_client"),
        ({"client_id": None}, 401, "invalid_client"),
        ({"redirect_uri": REDIRECT_URI + "/"}, 400, "redirect_uri_mismatch"),
        ({"redirect_uri": REDIRECT_URI + "?x=1"}, 400, "redirect_uri_mismatch"),
        ({"redirect_uri": "https://evil.example/cb"}, 400, "redirect_uri_mismatch"),
        ({"redirect_uri": None}, 400, "redirect_uri_mismatch"),
        ({"response_type": "token"}, 400, "unsupported_response_type"),
        ({"response_type": None}, 400, "unsupported_response_type"),
        ({"scope": None}, 400, "invalid_scope"),
        ({"scope": "https://www.googleapis.com/auth/no.such"}, 400, "invalid_scope"),
        ({"code_challenge": "short", "code_challenge_method": "S256"}, 400, "invalid_request"),
        ({"code_challenge": "x" * 43, "code_challenge_method": "S512"}, 400, "invalid_request"),
        ({"access_type": "forever"}, 400, "invalid_request"),
        ({"prompt": "none consent"}, 400, "invalid_request"),
    ],
)
def test_untrusted_requests_end_on_an_error_page(
    sandbox: Sandbox, change: dict[str, str | None], status: int, error: str
) -> None:
    """Nothing is redirected for a request that cannot be trusted, neither on the page nor on its form."""
    page = sandbox.consent_page(**change)
    assert page.status_code == status
    assert f"Error {status}: {error}" in page.text
    query = urlencode(sandbox.authorization_query(**change))
    form = {"request": query, "account": OWNER, "decision": "allow", "scope": CALENDAR_SCOPE}
    assert sandbox.client.post("/sandbox/google/o/oauth2/v2/auth", data=form).status_code == status


def test_markup_in_a_refused_request_is_inert(sandbox: Sandbox) -> None:
    """The error page shows what was sent without becoming part of it."""
    page = sandbox.consent_page(redirect_uri="https://evil/<script>alert(1)</script>")
    assert "<script>alert" not in page.text
    assert "script-src 'self'" in page.headers["content-security-policy"]


def test_cross_site_consent_is_refused(sandbox: Sandbox) -> None:
    """Another site's form cannot press Allow."""
    form = {"request": "", "decision": "allow"}
    headers = {"Sec-Fetch-Site": "cross-site"}
    answer = sandbox.client.post("/sandbox/google/o/oauth2/v2/auth", data=form, headers=headers)
    assert answer.status_code == 403


def test_any_address_may_be_typed_and_becomes_an_account(sandbox: Sandbox) -> None:
    """A new address gets an account with an empty primary calendar; nonsense is asked for again."""
    token = sandbox.sign_in("New.Person@Example.com")
    items = sandbox.api(token).get("users/me/calendarList").json()["items"]
    assert [(item["id"], item["primary"]) for item in items] == [("new.person@example.com", True)]
    form = {"request": urlencode(sandbox.authorization_query()), "decision": "allow"}
    page = sandbox.client.post("/sandbox/google/o/oauth2/v2/auth", data=form | {"email": "nobody"})
    assert page.status_code == 400
    assert "Enter an e-mail address to continue." in page.text


def test_login_hint_chooses_the_account(sandbox: Sandbox) -> None:
    """A known hint is pre-selected, an unknown one is typed in."""
    sandbox.sign_in("second@example.com")
    assert 'value="second@example.com" checked' in sandbox.consent_page(login_hint="second@example.com").text
    page = sandbox.consent_page(login_hint="third@example.com").text
    assert 'name="email" value="third@example.com"' in page
    assert " checked>\n        <span>" not in page


def test_code_works_once(sandbox: Sandbox) -> None:
    """A replayed code is invalid_grant."""
    code = sandbox.decide()["code"]
    assert sandbox.token(grant_type="authorization_code", code=code).status_code == 200
    again = sandbox.token(grant_type="authorization_code", code=code)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")


def test_code_expires(sandbox: Sandbox) -> None:
    """Ten minutes after consent the code is worthless."""
    code = sandbox.decide()["code"]
    sandbox.clock.advance(minutes=10)
    assert sandbox.token(grant_type="authorization_code", code=code).json()["error"] == "invalid_grant"


@pytest.mark.parametrize("verifier", ["", "wrong" * 10])
def test_code_needs_the_verifier_of_its_challenge(sandbox: Sandbox, verifier: str) -> None:
    """PKCE: without the right verifier the code cannot be redeemed, and is spent."""
    right, challenge = pkce()
    code = sandbox.decide(code_challenge=challenge, code_challenge_method="S256")["code"]
    for attempt in (verifier, right):
        answer = sandbox.token(grant_type="authorization_code", code=code, code_verifier=attempt)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


def test_code_is_bound_to_its_redirect_uri() -> None:
    """Even another registered address does not fit."""
    other = "http://localhost:3000/other"
    with running_sandbox(redirect_uris=[other]) as sandbox:
        code = sandbox.decide()["code"]
        answer = sandbox.token(grant_type="authorization_code", code=code, redirect_uri=other)
        assert (answer.status_code, answer.json()["error"]) == (400, "redirect_uri_mismatch")


@pytest.mark.parametrize(
    "credentials", [{"client_secret": "wrong"}, {"client_id": "wrong"}, {"client_secret": ""}]
)
def test_wrong_client_credentials_are_401(sandbox: Sandbox, credentials: dict[str, str]) -> None:
    """invalid_client, and the code stays good for its owner."""
    code = sandbox.decide()["code"]
    answer = sandbox.token(grant_type="authorization_code", code=code, **credentials)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert sandbox.token(grant_type="authorization_code", code=code).status_code == 200


def test_client_may_prove_itself_with_basic(sandbox: Sandbox) -> None:
    """client_secret_basic works, with a wrong secret it does not."""
    form = {
        "grant_type": "authorization_code",
        "code": sandbox.decide()["code"],
        "redirect_uri": REDIRECT_URI,
    }
    wrong = sandbox.client.post("/sandbox/google/token", data=form, auth=(CLIENT_ID, "wrong"))
    assert wrong.status_code == 401
    broken = {"Authorization": "Basic " + base64.b64encode(b"\xff").decode()}
    assert sandbox.client.post("/sandbox/google/token", data=form, headers=broken).status_code == 401
    assert (
        sandbox.client.post("/sandbox/google/token", data=form, auth=(CLIENT_ID, CLIENT_SECRET)).status_code
        == 200
    )


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({}, "unsupported_grant_type"),
        ({"grant_type": "authorization_code"}, "invalid_request"),
        ({"grant_type": "authorization_code", "code": "x", "redirect_uri": ""}, "invalid_request"),
        ({"grant_type": "authorization_code", "code": "x"}, "invalid_grant"),
        ({"grant_type": "refresh_token"}, "invalid_request"),
        ({"grant_type": "refresh_token", "refresh_token": "x"}, "invalid_grant"),
    ],
)
def test_token_endpoint_names_what_is_wrong(sandbox: Sandbox, form: dict[str, str], error: str) -> None:
    """Errors have the OAuth shape."""
    answer = sandbox.token(**form)
    assert answer.status_code == 400
    assert answer.json()["error"] == error
    assert answer.json()["error_description"]


def test_refresh_gives_a_new_access_token(sandbox: Sandbox) -> None:
    """An expired access token is really refused; refreshing gives another, and keeps the refresh token."""
    tokens = sandbox.tokens()
    sandbox.clock.advance(seconds=3601)
    expired = sandbox.api(tokens["access_token"]).get("users/me/calendarList")
    assert expired.status_code == 401
    assert expired.json()["error"]["errors"][0]["reason"] == "authError"
    assert 'error="invalid_token"' in expired.headers["www-authenticate"]
    for _ in range(2):
        fresh = sandbox.token(grant_type="refresh_token", refresh_token=tokens["refresh_token"]).json()
        assert "refresh_token" not in fresh
        assert sandbox.api(fresh["access_token"]).get("users/me/calendarList").status_code == 200


def test_refresh_token_only_comes_offline_and_at_first_or_when_asked(sandbox: Sandbox) -> None:
    """As at Google: online never, offline the first time, later only with prompt=consent."""
    assert "refresh_token" not in sandbox.tokens(access_type="online", prompt=None)
    assert "refresh_token" in sandbox.tokens(prompt=None)
    assert "refresh_token" not in sandbox.tokens(prompt=None)
    assert "refresh_token" in sandbox.tokens(prompt="consent")


def test_known_consent_needs_no_page_unless_asked(sandbox: Sandbox) -> None:
    """With a hint and no prompt a returning person is sent straight back; prompt=none never shows a page."""
    none = sandbox.consent_page(prompt="none", login_hint=OWNER)
    assert "error=interaction_required" in none.headers["location"]
    sandbox.sign_in()
    for prompt in (None, "none"):
        assert "code=" in sandbox.consent_page(prompt=prompt, login_hint=OWNER).headers["location"]
    assert sandbox.consent_page(login_hint=OWNER).status_code == 200


def test_granted_scopes_can_be_included(sandbox: Sandbox) -> None:
    """Incremental authorization: the new token has the old scopes too."""
    sandbox.sign_in()
    tokens = sandbox.tokens(scope="email", include_granted_scopes="true")
    assert CALENDAR_SCOPE in tokens["scope"].split()
    assert CALENDAR_SCOPE not in sandbox.tokens(scope="email")["scope"].split()


@pytest.mark.parametrize("which", ["access_token", "refresh_token"])
def test_revoking_either_token_ends_the_grant(sandbox: Sandbox, which: str) -> None:
    """After it neither token works, and revoking again is an error."""
    tokens = sandbox.tokens()
    revoke = "/sandbox/google/revoke"
    assert sandbox.client.post(revoke, data={"token": tokens[which]}).status_code == 200
    assert sandbox.api(tokens["access_token"]).get("users/me/calendarList").status_code == 401
    answer = sandbox.token(grant_type="refresh_token", refresh_token=tokens["refresh_token"])
    assert answer.json() == {
        "error": "invalid_grant",
        "error_description": "Token has been expired or revoked.",
    }
    again = sandbox.client.post(revoke, params={"token": tokens[which]})
    assert (again.status_code, again.json()["error"]) == (400, "invalid_token")


def test_userinfo_tells_what_the_scopes_allow(sandbox: Sandbox) -> None:
    """No e-mail without its scope, nothing at all without an identity scope or a token."""

    def ask(token: str) -> tuple[int, set[str]]:
        answer = sandbox.client.get("/sandbox/google/userinfo", headers={"Authorization": f"Bearer {token}"})
        return answer.status_code, set(answer.json())

    assert ask(sandbox.sign_in(scope="profile")) == (200, {"sub", "name", "given_name", "family_name"})
    assert ask(sandbox.sign_in(scope=CALENDAR_SCOPE))[0] == 401
    assert ask("nonsense")[0] == 401


def test_id_token_can_be_checked_with_the_published_key(sandbox: Sandbox) -> None:
    """With scope openid comes an RS256 JWT for this client, with the nonce of the request."""
    tokens = sandbox.tokens(scope="openid email", nonce="n-1")
    keys = KeySet.import_key_set(sandbox.client.get("/sandbox/google/oauth2/v3/certs").json())
    claims = jwt.decode(tokens["id_token"], keys, algorithms=["RS256"]).claims
    assert (claims["iss"], claims["aud"], claims["nonce"], claims["email"]) == (
        ISSUER,
        CLIENT_ID,
        "n-1",
        OWNER,
    )
    assert "id_token" not in sandbox.tokens(scope="email")


def test_api_without_a_token_asks_for_one(sandbox: Sandbox) -> None:
    """401 with a challenge, in Google's shape."""
    answer = sandbox.client.get("/sandbox/google/calendar/v3/users/me/calendarList")
    assert answer.status_code == 401
    assert answer.json()["error"]["errors"][0]["reason"] == "required"
    assert answer.headers["www-authenticate"].startswith("Bearer ")
