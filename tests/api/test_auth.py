"""Signing in over HTTP: cookies, redirects, tokens, and requests from other people's pages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from http.cookies import SimpleCookie
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from redis import Redis
from sqlmodel import col, select

from calendar_app.db.session import reading
from calendar_app.db.tables import Mail
from calendar_app.services.accounts import authentication, typed_text
from calendar_app.settings import Settings
from tests.sandbox.server import wait_until
from tests.services.accounts.conftest import secret_in
from tests.support.databases import Database
from tests.support.people import PASSWORD, problem, user


def _cookie(response: httpx.Response) -> SimpleCookie:
    return SimpleCookie("; ".join(response.headers.get_list("set-cookie")))


def test_a_person_signs_up_and_out_in_a_browser(api: httpx.Client, database: Database) -> None:
    """The forms set an HttpOnly, SameSite cookie that works at once, and take it away again."""
    user("first@example.com")
    form = {
        "name": "Ada",
        "email": "ada@example.com",
        "password": PASSWORD,
        "workspace_name": "Ada Ltd",
        "timezone": "Europe/Berlin",
    }
    response = api.post("/auth/sign-up", data=form)
    assert (response.status_code, response.headers["location"]) == (303, "/dashboard")
    morsel = _cookie(response)[authentication.SESSION_COOKIE]
    assert morsel["httponly"]
    assert morsel["samesite"] == "lax"
    assert (morsel["path"], morsel["max-age"], morsel["secure"]) == ("/", str(30 * 86_400), "")
    assert PASSWORD not in str(response.headers)
    me = api.get("/api/v1/me").json()
    assert (me["email"], me["workspaces"][0]["slug"], me["workspaces"][0]["role"]) == (
        "ada@example.com",
        "ada-ltd",
        "owner",
    )
    response = api.post("/auth/sign-out")
    assert (response.status_code, response.headers["location"]) == (303, "/login")
    problem(api.get("/api/v1/me"), 401, "not_signed_in")
    problem(api.get("/api/v1/me", headers={"Cookie": morsel.OutputString()}), 401, "not_signed_in")


def test_what_was_typed_is_filled_in_again(api: httpx.Client, database: Database) -> None:
    """A failed sign-in keeps the address, and the server's logs do not."""
    user()
    response = api.post("/auth/sign-in", data={"email": "ada@example.com", "password": "wrong"})
    location = response.headers["location"]
    assert "ada" not in location
    assert typed_text.read(parse_qs(urlsplit(location).query)["typed"][0]) == "ada@example.com"


def test_an_account_is_made_through_its_email(
    api: httpx.Client, database: Database, configure: Callable[..., Settings]
) -> None:
    """Where e-mail can be sent, the form answers alike for every address, and the link makes the account."""
    user()
    configure(SMTP_URL="smtp://127.0.0.1:1")
    form = {"name": "Eve", "workspace_name": "Eve Ltd", "timezone": "Europe/Berlin"}
    for email in ("ada@example.com", "eve@example.com"):
        response = api.post("/auth/sign-up", data=form | {"email": email, "password": PASSWORD})
        assert (response.status_code, response.headers["location"]) == (303, "/signup?sent=1")
        assert "set-cookie" not in response.headers
    for email in ("ada@example.com", "nobody@example.com"):
        response = api.post("/auth/reset", data={"email": email})
        assert (response.status_code, response.headers["location"]) == (303, "/reset?sent=1")

    def queued() -> dict[str, str]:
        with reading() as session:
            rows = session.exec(select(Mail).order_by(col(Mail.created_at), col(Mail.id)))
            return {row.kind: row.body for row in rows}

    wait_until(lambda: len(queued()) == 3)
    found = queued()
    assert set(found) == {"has_account", "prove_sign_up", "reset_password"}
    secret = secret_in(found["prove_sign_up"])
    response = api.post("/auth/confirm", data={"secret": secret, "password": "short"})
    assert response.headers["location"] == f"/confirm/{secret}?error=weak_password"
    response = api.post("/auth/confirm", data={"secret": secret, "password": PASSWORD})
    assert response.headers["location"] == "/dashboard"
    assert api.get("/api/v1/me").json()["email"] == "eve@example.com"
    again = api.post("/auth/confirm", data={"secret": secret, "password": PASSWORD})
    assert again.headers["location"] == f"/confirm/{secret}?error=link_ended"
    secret = secret_in(found["reset_password"])
    response = api.post("/auth/confirm", data={"secret": secret, "password": "another unusual sentence"})
    assert response.headers["location"] == "/login?error=password_set"
    sign_in = {"email": "ada@example.com", "password": "another unusual sentence"}
    assert api.post("/auth/sign-in", data=sign_in).headers["location"] == "/dashboard"


def test_signing_in_retires_the_browsers_old_session(api: httpx.Client, database: Database) -> None:
    """A session is never reused across a sign-in."""
    user()
    form = {"email": "ada@example.com", "password": PASSWORD}
    first = _cookie(api.post("/auth/sign-in", data=form))[authentication.SESSION_COOKIE].value
    second = _cookie(api.post("/auth/sign-in", data=form))[authentication.SESSION_COOKIE].value
    assert authentication.identify(first) is None
    assert authentication.identify(second) is not None


def test_the_cookie_is_secure_where_the_site_is(
    api: httpx.Client, database: Database, configure: Callable[..., Settings]
) -> None:
    """Behind https the browser sends the session nowhere else."""
    user()
    configure(BASE_URL="https://almanac.example")
    response = api.post("/auth/sign-in", data={"email": "ada@example.com", "password": PASSWORD})
    assert _cookie(response)[authentication.SESSION_COOKIE]["secure"]


@pytest.mark.parametrize(
    ("path", "form", "location"),
    [
        (
            "sign-in",
            {"email": "ada@example.com", "password": "wrong password"},
            "/login?error=invalid_credentials",
        ),
        ("sign-in", {}, "/login?error=invalid_credentials"),
        ("sign-in", {"next": "/bookings"}, "/login?error=invalid_credentials&next=%2Fbookings"),
        (
            "sign-up",
            {"name": "A", "email": "ada@example.com", "password": PASSWORD},
            "/signup?error=email_taken",
        ),
        (
            "sign-up",
            {"name": "A", "email": "eve@example.com", "password": "short"},
            "/signup?error=weak_password",
        ),
        ("sign-up", {}, "/signup?error=invalid_email"),
    ],
)
def test_errors_come_back_to_the_form(
    api: httpx.Client, database: Database, path: str, form: dict[str, str], location: str
) -> None:
    """A code that the page has words for, and no session."""
    user()
    response = api.post(f"/auth/{path}", data=form)
    assert (response.status_code, response.headers["location"].partition("&typed=")[0]) == (303, location)
    assert "set-cookie" not in response.headers


@pytest.mark.parametrize(
    ("target", "location"),
    [
        ("/bookings?tab=2", "/bookings?tab=2"),
        ("//evil.example", "/dashboard"),
        ("https:evil.example", "/dashboard"),
        ("/\\evil.example", "/dashboard"),
        ("/\t/evil.example", "/dashboard"),
    ],
)
def test_next_stays_on_this_site(api: httpx.Client, database: Database, target: str, location: str) -> None:
    """Signing in never sends a browser elsewhere."""
    user()
    form = {"email": "ada@example.com", "password": PASSWORD, "next": target}
    assert api.post("/auth/sign-in", data=form).headers["location"] == location


def test_a_token_is_had_for_credentials(api: httpx.Client, database: Database) -> None:
    """`POST /auth/token` answers as OAuth clients expect; the token works."""
    user()
    body = api.post("/api/v1/auth/token", json={"email": "ada@example.com", "password": PASSWORD}).json()
    assert body["token_type"] == "Bearer"
    assert body["expires_in"] == 3600
    headers = {"Authorization": f"Bearer {body['access_token']}"}
    assert api.get("/api/v1/me", headers=headers).json()["email"] == "ada@example.com"


def test_tokens_for_the_password_are_replaced(api: httpx.Client, database: Database) -> None:
    """They are listed and do not pile up: the newest ten work, however many were asked for, and the named ones stay."""
    ada = user()
    named = api.post("/api/v1/tokens", headers=ada.bearer, json={"name": "Script", "days": None}).json()
    credentials = {"email": "ada@example.com", "password": PASSWORD}
    made = [authentication.issue_api_token(**credentials)[0] for _ in range(15)]
    works = [authentication.identify_bearer(token) is not None for token in made]
    assert works == [False] * 5 + [True] * 10
    headers = {"Authorization": f"Bearer {made[-1]}"}
    listed = api.get("/api/v1/tokens", headers=headers).json()["items"]
    assert Counter(one["named"] for one in listed) == {False: 10, True: 1}
    assert authentication.identify_bearer(named["access_token"]) is not None
    assert api.post("/api/v1/tokens", headers=headers, json={"name": "Another"}).status_code == 201


def test_wrong_credentials_are_401(api: httpx.Client, database: Database) -> None:
    """With `WWW-Authenticate`, as for every 401."""
    response = api.post("/api/v1/auth/token", json={"email": "ada@example.com", "password": PASSWORD})
    problem(response, 401, "invalid_credentials")
    assert response.headers["www-authenticate"].startswith("Bearer")


def test_token_requests_are_rate_limited(api: httpx.Client, database: Database, redis_server: Redis) -> None:
    """Guessing ends with 429 and `Retry-After`."""
    wrong = {"email": "ada@example.com", "password": "wrong password"}
    for _ in range(10):
        problem(api.post("/api/v1/auth/token", json=wrong), 401, "invalid_credentials")
    response = api.post("/api/v1/auth/token", json=wrong)
    problem(response, 429, "rate_limited")
    assert int(response.headers["retry-after"]) > 0


@pytest.mark.parametrize("authorization", ["Bearer nonsense", "Bearer", "Basic YWRhOnB3", "nonsense"])
def test_bad_authorization_is_not_rescued_by_a_cookie(
    api: httpx.Client, database: Database, authorization: str
) -> None:
    """A request is judged by the credentials that it put forward."""
    problem(
        api.get("/api/v1/me", headers={"Authorization": authorization} | user().cookie), 401, "invalid_token"
    )


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({}, True),
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "none"}, True),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Origin": "https://evil.example"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": "HOST"}, True),
        ({"Origin": "http://localhost:3000", "Sec-Fetch-Site": "cross-site"}, True),
        ({"Origin": "http://localhost:3000.evil.example"}, False),
        (
            {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site", "Content-Type": "text/plain"},
            False,
        ),
    ],
)
def test_writes_from_other_sites_pages_are_refused(
    api: httpx.Client, database: Database, headers: dict[str, str], allowed: bool
) -> None:
    """With the cookie a browser must say that our own page sent it; a bearer token needs no such proof."""
    person = user()
    host = str(api.base_url).rstrip("/")
    headers = {name: host if value == "HOST" else value for name, value in headers.items()}
    response = api.post("/api/v1/connections/google/start", headers=person.cookie | headers)
    if allowed:
        problem(response, 503, "provider_not_configured")
    else:
        problem(response, 403, "cross_site")
    problem(
        api.post("/api/v1/connections/google/start", headers=person.bearer | headers),
        503,
        "provider_not_configured",
    )
    assert api.get("/api/v1/me", headers=person.cookie | headers).status_code == 200


def test_forms_from_other_sites_pages_are_refused(api: httpx.Client, database: Database) -> None:
    """Nobody is signed in or out by another site's page."""
    person = user()
    evil = {"Origin": "https://evil.example"}
    response = api.post(
        "/auth/sign-in", data={"email": "ada@example.com", "password": PASSWORD}, headers=evil
    )
    assert response.headers["location"] == "/login?error=cross_site"
    assert "set-cookie" not in response.headers
    api.post("/auth/sign-out", headers=evil | person.cookie)
    assert api.get("/api/v1/me", headers=person.cookie).status_code == 200


def test_the_workspace_is_chosen(api: httpx.Client, database: Database) -> None:
    """By slug or id, in the query or a header; another person's is not found."""
    ada, eve = user(), user("eve@example.com")
    mine, theirs = ada.identity.workspaces[0], eve.identity.workspaces[0]
    for choice in (mine.slug, mine.id):
        assert (
            api.get("/api/v1/calendars", params={"workspace": choice}, headers=ada.bearer).status_code == 200
        )
        assert api.get("/api/v1/calendars", headers=ada.bearer | {"X-Workspace": choice}).status_code == 200
    problem(
        api.get("/api/v1/calendars", params={"workspace": theirs.slug}, headers=ada.bearer), 404, "not_found"
    )
