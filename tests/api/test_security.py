"""An account's own affairs over HTTP: tokens with scopes, signed-in browsers, the password."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx
import pytest
from sqlmodel import select

from calendar_app.db.session import reading
from calendar_app.db.tables import ApiToken
from calendar_app.services.accounts import account_security, authentication
from tests.support.databases import Database
from tests.support.people import PASSWORD, User, problem, user

TOKENS = "/api/v1/tokens"
SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin"}


def made(api: httpx.Client, who: User, **body: object) -> dict[str, str]:
    """The headers of a fresh token."""
    response = api.post(TOKENS, json={"name": "script"} | body, headers=who.bearer)
    assert response.status_code == 201, response.text
    return {"Authorization": f"Bearer {response.json()['access_token']}"}


def test_a_token_is_shown_once_and_listed_without_its_secret(api: httpx.Client, database: Database) -> None:
    """The answer to its making is the only place where the secret is; the database has its hash."""
    ada = user()
    response = api.post(TOKENS, json={"name": "Export", "scopes": ["read"], "days": 30}, headers=ada.bearer)
    secret = response.json()["access_token"]
    listed = api.get(TOKENS, headers=ada.bearer)
    assert secret not in listed.text
    token = next(one for one in listed.json()["items"] if one["name"] == "Export")
    assert (token["scopes"], token["last_used_at"], token["current"]) == (["read"], None, False)
    assert datetime.fromisoformat(token["expires_at"]) - datetime.now(UTC) > timedelta(days=29)
    with reading() as session:
        assert all(row.token_hash != secret for row in session.exec(select(ApiToken)))
    api.get("/api/v1/me", headers={"Authorization": f"Bearer {secret}"})
    used = next(one for one in api.get(TOKENS, headers=ada.bearer).json()["items"] if one["name"] == "Export")
    assert used["last_used_at"] is not None


def test_scopes_hold(api: httpx.Client, database: Database) -> None:
    """`read` looks and nothing else, `write` also changes, `*` also manages the account."""
    ada = user()
    reads, writes, full = (made(api, ada, scopes=[scope]) for scope in ("read", "write", "*"))
    for headers in (reads, writes, full):
        assert api.get("/api/v1/calendars", headers=headers).status_code == 200
    problem(api.post("/api/v1/sync", json={}, headers=reads), 403, "insufficient_scope")
    assert api.post("/api/v1/sync", json={}, headers=writes).status_code < 300
    for headers in (reads, writes):
        problem(api.get(TOKENS, headers=headers), 403, "insufficient_scope")
        problem(api.post(TOKENS, json={"name": "x"}, headers=headers), 403, "insufficient_scope")
    assert api.get(TOKENS, headers=full).status_code == 200


def test_a_revoked_token_is_dead_at_once(api: httpx.Client, database: Database) -> None:
    """Revoking takes effect with the next request, and only on one's own tokens."""
    ada, eve = user(), user("eve@example.com")
    headers = made(api, ada)
    (token,) = [one for one in api.get(TOKENS, headers=ada.bearer).json()["items"] if one["name"] == "script"]
    problem(api.delete(f"{TOKENS}/{token['id']}", headers=eve.bearer), 404, "not_found")
    assert api.delete(f"{TOKENS}/{token['id']}", headers=ada.bearer).status_code == 204
    problem(api.get("/api/v1/me", headers=headers), 401, "invalid_token")


@pytest.mark.parametrize(
    "body", [{"scopes": ["admin"]}, {"scopes": []}, {"days": 0}, {"days": 5000}, {"name": ""}, {"extra": 1}]
)
def test_tokens_that_there_cannot_be(api: httpx.Client, database: Database, body: dict[str, object]) -> None:
    """Unknown scopes, endless lists and lives beyond a year are bad input."""
    problem(api.post(TOKENS, json={"name": "x"} | body, headers=user().bearer), 422, "invalid_input")


def test_an_expired_token_is_neither_good_nor_listed(database: Database) -> None:
    """A token ends when it said it would."""
    identity = user().identity
    then = datetime.now(UTC) - timedelta(days=2)
    old = account_security.create_token(identity, "old", ["read"], 1, now=then)
    assert authentication.identify_bearer(old.secret) is None
    assert old.token.id not in {one.id for one in account_security.list_tokens(identity)}


def test_browsers_are_listed_and_signed_out(api: httpx.Client, database: Database) -> None:
    """One can be ended by itself, or all the others at once; the caller's stays."""
    ada = user()
    others = [
        authentication.sign_in("ada@example.com", PASSWORD, user_agent=f"Phone {n}").token for n in range(3)
    ]
    listed = api.get("/api/v1/sessions", headers=ada.cookie).json()["items"]
    assert [one["current"] for one in listed].count(True) == 1
    phone = next(one for one in listed if one["user_agent"] == "Phone 0")
    headers = ada.cookie | SAME_ORIGIN
    assert api.delete(f"/api/v1/sessions/{phone['id']}", headers=headers).status_code == 204
    assert authentication.identify(others[0]) is None
    assert api.delete("/api/v1/sessions", headers=headers).json() == {"sessions_ended": 2}
    assert [authentication.identify(token) for token in others] == [None] * 3
    assert api.get("/api/v1/me", headers=ada.cookie).status_code == 200


def test_a_new_password_ends_other_sessions(api: httpx.Client, database: Database) -> None:
    """Who knew the old password is out; the browser that changed it stays signed in."""
    ada = user()
    other = authentication.sign_in("ada@example.com", PASSWORD).token
    headers = ada.cookie | SAME_ORIGIN
    body = {"present": PASSWORD, "new": "another fine password"}
    assert api.put("/api/v1/me/password", json=body, headers=headers).json() == {"sessions_ended": 1}
    assert authentication.identify(other) is None
    assert authentication.sign_in("ada@example.com", "another fine password").token
    problem(api.put("/api/v1/me/password", json=body, headers=headers), 422, "wrong_password")


def test_guessing_the_present_password_is_limited(api: httpx.Client, database: Database) -> None:
    """Somebody at an unlocked computer cannot try passwords for ever."""
    headers = user().cookie | SAME_ORIGIN
    body = {"present": "wrong", "new": "another fine password"}
    answers = [api.put("/api/v1/me/password", json=body, headers=headers).status_code for _ in range(12)]
    assert answers == [422] * 10 + [429] * 2


def test_what_concerns_the_account_is_in_the_trail(api: httpx.Client, database: Database) -> None:
    """Making and revoking tokens and changing the password can be looked up, without their secrets."""
    ada = user()
    made(api, ada, name="Export")
    api.put(
        "/api/v1/me/password", json={"present": PASSWORD, "new": "another fine password"}, headers=ada.bearer
    )
    trail = api.get("/api/v1/audit", headers=ada.bearer)
    actions = [entry["action"] for entry in trail.json()["items"]]
    tokens = ["token.created", "token.created"]
    assert actions == ["password.changed", *tokens, "person.signed_in", "workspace.created"]
    assert "another fine password" not in trail.text


def test_a_new_password_can_end_every_token(api: httpx.Client, database: Database) -> None:
    """Tokens that may only read outlive a new password unless one asks for their end; the caller's own stays."""
    ada = user()
    asked = made(api, ada, name="Reports", scopes=["read"])
    for present, new, more, works in (
        (PASSWORD, "another fine password", {}, 200),
        ("another fine password", "the third password", {"end_tokens": True}, 401),
    ):
        wish = {"present": present, "new": new, **more}
        assert api.put("/api/v1/me/password", json=wish, headers=ada.bearer).status_code == 200
        assert api.get("/api/v1/bookings", headers=asked).status_code == works
    assert api.get("/api/v1/me", headers=ada.bearer).status_code == 200
