"""The set-up page in Chromium: what only the browser knows is filled in, and axe finds nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect, sync_playwright

from calendar_app.services.installation import first_owner
from tests.support.databases import Database
from tests.support.people import PASSWORD

pytestmark = [pytest.mark.e2e, pytest.mark.serial, pytest.mark.timeout(300)]
CHROMIUM = next((p for p in ("/usr/bin/chromium", "/usr/bin/chromium-browser") if Path(p).exists()), None)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=CHROMIUM,
            env={name: value for name, value in os.environ.items() if name != "LD_PRELOAD"},
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield launched
        launched.close()


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_an_installation_is_set_up(
    browser: Browser, site: httpx.Client, database: Database, width: int, dark: bool
) -> None:
    """The code comes along behind #, zone and address are the browser's, and a websocket that fails is told."""
    code, here = first_owner.make_code(), str(site.base_url).rstrip("/")
    context = browser.new_context(
        base_url=here,
        viewport={"width": width, "height": 800},
        color_scheme="dark" if dark else "light",
        locale="de-AT",
        timezone_id="Europe/Vienna",
    )
    try:
        page = context.new_page()
        page.goto("/setup")
        page.goto(f"/setup#{code}")
        expect(page.locator("#code")).to_have_value(code)
        assert code not in page.url
        expect(page.locator("#timezone")).to_have_value("Europe/Vienna")
        expect(page.locator("#language")).to_have_value("de")
        expect(page.locator("#address")).to_have_value(here)
        expect(page.locator("[data-same]")).to_be_visible()
        expect(page.locator("[data-dead]")).to_be_visible()  # this server has no websockets
        page.fill("#address", "https://elsewhere.example.com")
        expect(page.locator("[data-other]")).to_contain_text(here)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert Axe().run(page).response["violations"] == []
        for field, value in {"name": "Ada", "business": "Ada", "email": "nobody"}.items():
            page.fill(f"#{field}", value)
        page.get_by_role("button", name="Einrichten und anmelden").click()
        expect(page.get_by_role("alert")).to_be_focused()
        assert Axe().run(page).response["violations"] == []
        page.fill("#email", "ada@example.com")
        page.fill("#password", PASSWORD)
        page.get_by_role("button", name="Einrichten und anmelden").click()
        page.wait_for_url("**/settings/calendars")
        assert not first_owner.is_needed()
    finally:
        context.close()
