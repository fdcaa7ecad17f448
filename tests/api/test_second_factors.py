"""Second factors over HTTP: what the security page and the sign-in page call."""

from __future__ import annotations

import base64
import time

import httpx
import pytest
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from calendar_app.services.accounts import authentication, second_factor
from calendar_app.services.accounts.authentication import Identity
from calendar_app.settings import get_settings
from tests.support.authenticator import Authenticator
from tests.support.databases import Database
from tests.support.people import PASSWORD, problem, user

SIGN_IN = {"email": "ada@example.com", "password": PASSWORD, "next": "/bookings"}


def code(key: str, *, steps: int = 0) -> str:
    """What the app shows, or will show ``steps`` later."""
    totp = TOTP(base64.b32decode(key), 6, SHA1(), 30)  # noqa: S303  # what apps use (RFC 6238)
    return totp.generate(int(time.time()) + 30 * steps).decode()


def test_a_code_follows_the_password(api: httpx.Client, database: Database) -> None:
    """The app is set up, a sign-in goes on to its code, and a program's with the password is refused."""
    user()
    api.post("/auth/sign-in", data=SIGN_IN)
    made = api.post("/auth/second-factors/app", json={"password": PASSWORD}).json()
    assert made["picture"].startswith("data:image/svg+xml")
    problem(api.post(f"/auth/second-factors/{made['id']}/confirm", json={"code": "0"}), 422, "wrong_code")
    given = api.post(f"/auth/second-factors/{made['id']}/confirm", json={"code": code(made["key"], steps=-1)})
    assert len(given.json()["recovery_codes"]) == second_factor.CODES
    api.post("/auth/sign-out")
    answer = api.post("/auth/sign-in", data=SIGN_IN)
    assert answer.headers["location"] == "/login/code?next=%2Fbookings"
    assert "almanac_session" not in answer.headers.get("set-cookie", "")
    problem(api.get("/api/v1/me"), 401, "not_signed_in")
    wrong = api.post("/auth/second-factor", data={"code": "000000", "next": "/bookings"})
    assert wrong.headers["location"] == "/login/code?error=wrong_code&next=%2Fbookings"
    right = api.post("/auth/second-factor", data={"code": code(made["key"]), "next": "/bookings"})
    assert right.headers["location"] == "/bookings"
    assert api.get("/api/v1/me").json()["email"] == "ada@example.com"
    token = {"email": "ada@example.com", "password": PASSWORD}
    problem(api.post("/api/v1/auth/token", json=token), 403, "second_factor_required")
    (factor,) = second_factor.list_factors(_identity(api))
    assert (
        api.post(f"/auth/second-factors/{factor.id}/remove", json={"password": PASSWORD}).status_code == 204
    )
    assert api.post("/api/v1/auth/token", json=token).status_code == 200


def test_a_passkey_signs_in(api: httpx.Client, database: Database) -> None:
    """Made on the security page, used on the sign-in page, which is told where to go on: within this site."""
    user()
    api.post("/auth/sign-in", data=SIGN_IN)
    device = Authenticator(get_settings().public_url)
    options = api.post("/auth/passkeys/options", json={"password": PASSWORD}).json()
    made = api.post("/auth/passkeys", json={"credential": device.create(options), "name": "Key"})
    assert len(made.json()["recovery_codes"]) == second_factor.CODES
    api.post("/auth/sign-out")
    options = api.post("/auth/passkey/options").json()
    body = {"credential": device.get(options), "next": "https://evil.example"}
    assert api.post("/auth/passkey", json=body).json() == {"next": "/dashboard"}
    assert api.get("/api/v1/me").json()["email"] == "ada@example.com"
    problem(api.post("/auth/passkey", json=body), 401, "sign_in_ended")


@pytest.mark.parametrize(
    "path",
    [
        "second-factors/app",
        "second-factors/x/confirm",
        "second-factors/x/remove",
        "recovery-codes",
        "passkeys",
    ],
)
def test_only_who_is_signed_in_in_the_browser_changes_factors(
    api: httpx.Client, database: Database, path: str
) -> None:
    """Nobody, another site's page and an API token are refused."""
    ada = user()
    body = {"password": PASSWORD} if "confirm" not in path else {"code": "1"}
    body = {"credential": {}} if path == "passkeys" else body
    problem(api.post(f"/auth/{path}", json=body), 401, "not_signed_in")
    elsewhere = ada.cookie | {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    problem(api.post(f"/auth/{path}", json=body, headers=elsewhere), 403, "cross_site")
    problem(api.post(f"/auth/{path}", json=body, headers=ada.bearer), 403, "forbidden")


def _identity(api: httpx.Client) -> Identity:
    found = authentication.identify(api.cookies["almanac_session"])
    assert found is not None
    return found
