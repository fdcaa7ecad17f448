"""Attacks that need a browser, or what serves one: markup in texts, foreign websockets and forms, fixed sessions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import httpx
from playwright.sync_api import Page, expect

from calendar_app.services.accounts.authentication import SESSION_COOKIE
from tests.e2e.conftest import Product, Visitors

EVIL = "https://evil.example"
MARKUP = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>{{7*7}}'
EVENTS = "/_event/"


@contextmanager
def _signed_in(product: Product) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=product.url, timeout=30) as client:
        form = {"email": product.email, "password": product.password}
        assert client.post("/auth/sign-in", data=form).headers["location"] == "/dashboard"
        yield client


def _unharmed(page: Page) -> None:
    assert page.evaluate("window.hacked") is None
    assert page.locator("img[src='x']").count() == 0


def test_markup_is_shown_and_never_run(product: Product, visitors: Visitors) -> None:
    """A name and an answer full of markup: on the customer's page, the staff's list, its details, and the dashboard."""
    with _signed_in(product) as client:
        kinds = client.get("/api/v1/event-types").json()["items"]
        kind = next(one for one in kinds if one["slug"] == "intro")
        begin = datetime.now(UTC) + timedelta(days=5)
        asked = {"start": begin.isoformat(), "end": (begin + timedelta(days=9)).isoformat()}
        slots = client.get(f"/api/v1/event-types/{kind['id']}/slots", params=asked).json()["slots"]
        wish = {"event_type_id": kind["id"], "start": slots[-1]["start"], "timezone": "Europe/Berlin"}
        person = {"name": MARKUP, "email": "markup@example.org"}
        made = client.post("/api/v1/bookings", json={**wish, **person})
        assert made.status_code == 201, made.text
    manage = visitors.new()
    manage.goto("/manage/" + made.json()["manage_url"].rsplit("/", 1)[-1])
    expect(manage.get_by_role("heading", level=1).first).to_be_visible()
    manage.wait_for_timeout(500)
    _unharmed(manage)
    staff = visitors.owner()
    staff.goto("/bookings")
    shown = staff.get_by_text(MARKUP[:30], exact=False).first
    expect(shown).to_be_visible()
    shown.click()
    staff.wait_for_timeout(500)
    _unharmed(staff)
    staff.goto("/dashboard")
    expect(staff.get_by_role("heading", level=1).first).to_be_visible()
    staff.wait_for_timeout(500)
    _unharmed(staff)


def test_another_sites_page_gets_no_event_channel(product: Product) -> None:
    """The session cookie in a handshake from elsewhere opens nothing; our own page's handshake does."""
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    foreign = (EVIL, "null", f"{product.url}.evil.example", product.url.replace("http:", "https:"))
    with _signed_in(product) as client:
        for transport, origins in (("websocket", foreign), ("polling", (*foreign, product.url))):
            params = {"EIO": "4", "transport": transport}
            for origin in origins:  # polling is switched off for everybody
                headers = (upgrade if transport == "websocket" else {}) | {"Origin": origin}
                answer = client.get(EVENTS, params=params, headers=headers)
                assert answer.status_code in (400, 403), (transport, origin, answer.status_code)
                assert EVIL not in answer.headers.get("access-control-allow-origin", "")
        asked = {"EIO": "4", "transport": "websocket"}
        with client.stream("GET", EVENTS, params=asked, headers=upgrade | {"Origin": product.url}) as answer:
            assert answer.status_code == 101


def test_another_sites_page_changes_nothing(product: Product) -> None:
    """Cookie-authenticated calls and forms that a foreign page sends are refused, and it may read no answer."""
    with _signed_in(product) as client:
        for headers in (
            {"Origin": EVIL},
            {"Origin": EVIL, "Sec-Fetch-Site": "cross-site"},
            {"Origin": "null"},
            {"Sec-Fetch-Site": "same-site"},
        ):
            made = client.post("/api/v1/schedules", json={"name": "evil"}, headers=headers)
            assert (made.status_code, made.json()["code"]) == (403, "cross_site")
            client.post("/auth/sign-out", headers=headers)
            read = client.get("/api/v1/me", headers=headers)
            assert read.status_code == 200
            assert read.headers.get("access-control-allow-origin") in (None, product.url)
            asked = {"Access-Control-Request-Method": "POST"}
            preflight = client.options("/api/v1/schedules", headers=headers | asked)
            assert EVIL not in preflight.headers.get("access-control-allow-origin", "")
            assert preflight.headers.get("access-control-allow-origin") != "*"
            # What visitors may do without credentials is open to other sites' scripts, and to no cookie of theirs.
            preflight = client.options("/api/v1/bookings", headers=headers | asked)
            assert preflight.headers.get("access-control-allow-origin", "*") == "*"
            assert "access-control-allow-credentials" not in preflight.headers


def test_a_session_is_new_at_every_sign_in(product: Product, visitors: Visitors) -> None:
    """A session id that somebody planted beforehand is worth nothing; the cookie is for HTTP alone and this site."""
    page = visitors.new()
    page.context.add_cookies([{"name": SESSION_COOKIE, "value": "planted", "url": product.url}])
    page.goto("/login")
    page.get_by_label("Email").fill(product.email)
    page.get_by_label("Password").fill(product.password)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url("**/dashboard")
    (cookie,) = (one for one in page.context.cookies() if one["name"] == SESSION_COOKIE)
    assert cookie["value"] != "planted"
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Lax")
    planted = httpx.get(f"{product.url}/api/v1/me", headers={"Cookie": f"{SESSION_COOKIE}=planted"})
    assert planted.status_code == 401
    assert SESSION_COOKIE not in page.evaluate("document.cookie")
