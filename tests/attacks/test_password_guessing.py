"""Guessing passwords, and keeping people out by it."""

from __future__ import annotations

import httpx
import pytest

from calendar_app.services.accounts import authentication
from calendar_app.services.accounts.trusted_devices import COOKIE
from tests.support.databases import Database
from tests.support.people import user

PASSWORD = "correct horse battery"


def _sign_in(api: httpx.Client, email: str, password: str, device: str = "") -> httpx.Response:
    cookie = {"Cookie": f"{COOKIE}={device}"} if device else {}
    api.cookies.clear()
    return api.post("/auth/sign-in", data={"email": email, "password": password}, headers=cookie)


def test_strangers_who_guess_do_not_lock_the_owner_out(
    api: httpx.Client, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A browser that has signed in before still can, whatever others tried; a strange one cannot, nor with a cookie of
    another account; and the known one has no more tries than anybody."""
    monkeypatch.setattr(authentication, "PER_EMAIL", "3/hour")
    monkeypatch.setattr(authentication, "PER_DEVICE", "2/hour")
    user("first@example.org")
    devices = {}
    for name in ("owner", "mallory"):
        form = {"name": name, "email": f"{name}@example.org", "password": PASSWORD, "timezone": "UTC"}
        made = api.post("/auth/sign-up", data=form)
        devices[name] = made.cookies[COOKIE]
    for _ in range(3):
        assert "invalid_credentials" in _sign_in(api, "owner@example.org", "wrong").headers["location"]
    for device in ("", devices["mallory"], devices["owner"][:-1] + "!"):
        answer = _sign_in(api, "owner@example.org", PASSWORD, device)
        assert "rate_limited" in answer.headers["location"]
    known = _sign_in(api, "owner@example.org", PASSWORD, devices["owner"])
    assert known.headers["location"] == "/dashboard"
    for _ in range(2):
        _sign_in(api, "owner@example.org", "wrong", devices["owner"])
    answer = _sign_in(api, "owner@example.org", PASSWORD, devices["owner"])
    assert "rate_limited" in answer.headers["location"]


def test_the_cookie_of_a_known_browser_is_kept_from_scripts(api: httpx.Client, database: Database) -> None:
    """It is HttpOnly, goes to the sign-in only, and does not tell whose it is."""
    user("first@example.org")
    form = {"name": "O", "email": "owner@example.org", "password": PASSWORD, "timezone": "UTC"}
    made = api.post("/auth/sign-up", data=form)
    (cookie,) = [line for line in made.headers.get_list("set-cookie") if line.startswith(COOKIE)]
    assert {"HttpOnly", "Path=/auth", "SameSite=lax"} <= set(cookie.split("; "))
    assert "owner" not in cookie
