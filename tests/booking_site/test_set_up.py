"""``/setup`` as a browser without JavaScript meets it, and what leads there."""

from __future__ import annotations

import re
from collections.abc import Callable

import httpx
import pytest
from starlette.responses import PlainTextResponse

from calendar_app.booking_site.set_up import SetUpFirst
from calendar_app.services.accounts.authentication import SESSION_COOKIE
from calendar_app.services.installation import first_owner
from calendar_app.settings import Settings
from tests.support import web
from tests.support.databases import Database
from tests.support.people import PASSWORD, user


def form(code: str, **changes: str) -> dict[str, str]:
    """What the form sends."""
    return {
        "code": code,
        "name": "Ada",
        "email": "ada@example.com",
        "password": PASSWORD,
        "business": "Ada Ltd",
        "slug": "ada",
        "language": "en",
        "timezone": "Europe/Vienna",
        "address": "",
        **changes,
    }


def test_the_form_makes_the_owner_and_is_gone(site: httpx.Client, database: Database) -> None:
    """The answer signs in and leads on; after that the page leads to the sign-in, whatever is sent to it."""
    page = site.get("/setup")
    assert page.status_code == 200
    assert page.headers["cache-control"] == "no-store"
    assert "Nobody is here yet" in page.text
    made = site.post("/setup", data=form(first_owner.make_code()))
    assert (made.status_code, made.headers["location"]) == (303, "/settings/calendars")
    (cookie,) = [line for line in made.headers.get_list("set-cookie") if line.startswith(SESSION_COOKIE)]
    assert {"HttpOnly", "Path=/", "SameSite=lax"} <= set(cookie.split("; "))
    assert site.get("/api/v1/me").json()["workspaces"][0]["slug"] == "ada"
    for answer in (site.get("/setup"), site.post("/setup", data=form("AAAA-AAAA-AAAA"))):
        assert (answer.status_code, answer.headers["location"]) == (303, "/login")


def test_mistakes_are_marked(site: httpx.Client, database: Database) -> None:
    """Beside their fields, with all that was typed but the password."""
    code = first_owner.make_code()
    page = site.post("/setup", data=form(code, email="nobody", password="short", business=""))
    assert page.status_code == 422
    for name in ("email", "password", "business"):
        assert f'id="error-{name}"' in page.text
    assert 'value="nobody"' in page.text
    assert f'value="{code}"' in page.text
    assert 'value="short"' not in page.text
    wrong = site.post("/setup", data=form("AAAA-AAAA-AAAA"))
    assert (wrong.status_code, 'id="error-code"' in wrong.text) == (422, True)


def test_another_sites_page_cannot_send_it(site: httpx.Client, database: Database) -> None:
    """Also with a code."""
    sent = form(first_owner.make_code())
    assert site.post("/setup", data=sent, headers={"sec-fetch-site": "cross-site"}).status_code == 403
    assert first_owner.is_needed()


def test_the_page_speaks_german(site: httpx.Client, database: Database) -> None:
    """By the browser's language, which also becomes the business's unless another one is chosen."""
    page = site.get("/setup", headers={"accept-language": "de-AT"}).text
    assert "Almanac einrichten" in page
    assert re.search(r'<option value="de" selected>', page)


def test_the_environments_address_is_told(
    site: httpx.Client, database: Database, configure: Callable[..., Settings]
) -> None:
    """It cannot be changed here, and is there for the script to compare."""
    configure(BASE_URL="https://set.example.com")
    page = site.get("/setup").text
    assert 'data-fixed="https://set.example.com"' in page
    assert 'name="address"' not in page


def test_who_signs_up_first_needs_the_code(site: httpx.Client, database: Database) -> None:
    """The open form of later is no way around it."""
    sent = {"name": "M", "email": "m@example.com", "password": PASSWORD, "timezone": "UTC"}
    assert site.post("/auth/sign-up", data=sent).headers["location"] == "/setup"
    assert first_owner.is_needed()


@pytest.mark.parametrize(
    ("path", "leads"),
    [
        ("/", True),
        ("/login", True),
        ("/dashboard", True),
        ("/assets/a.js", False),
        ("/book/ada", False),
        ("/health", False),
    ],
)
def test_the_staffs_pages_lead_there(database: Database, path: str, leads: bool) -> None:
    """Until somebody is here; files, customers' pages and what watchers ask for are left alone."""
    with web.served(SetUpFirst(PlainTextResponse("the page"))) as url, httpx.Client(base_url=url) as browser:
        html = {"accept": "text/html,*/*"}
        before = browser.get(path, headers=html)
        assert (before.headers.get("location") == "/setup") is leads
        assert browser.get(path, headers={"accept": "*/*"}).text == "the page"
        user("ada@example.com")
        assert browser.get(path, headers=html).text == "the page"
