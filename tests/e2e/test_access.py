"""Everybody can use it: axe finds nothing, light or dark, wide or narrow, and the keyboard gets everywhere."""

from __future__ import annotations

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Product, Visitors
from tests.e2e.test_story import open_day, slots

PUBLIC = {
    "/": "Bookings that land",
    "/login?error=invalid_credentials": "Sign in",
    "/signup": "Create your account",
    "/login/code": "One more step",
    "/reset": "Choose a new password",
    "/confirm/made-up": "This link has ended",
    "/no/such/page": "Page not found",
    "/book/demo": "Demo",
    "/book/demo/intro": "Intro call",
    "/manage/made-up": "Page not found",
    "/my": "Your bookings",
}
PRIVATE = {
    "/dashboard": "Dashboard",
    "/bookings": "Bookings",
    "/orders": "Orders",
    "/settings/event-types": "Event types",
    "/settings/availability": "Availability",
    "/settings/profile": "Profile",
    "/settings/calendars": "Calendars",
    "/settings/workspace": "Workspace",
}
LOOKS = [
    pytest.param({"dark": False, "phone": False}, id="light"),
    pytest.param({"dark": True, "phone": False}, id="dark"),
    pytest.param({"dark": False, "phone": True}, id="phone"),
]


def settled(page: Page, path: str, heading: str) -> None:
    """Open a page and wait until it shows more than its frame."""
    page.goto(path)
    expect(page.get_by_role("heading", level=1, name=heading)).to_be_visible()
    expect(page.get_by_text("Loading", exact=True)).to_have_count(0)
    page.wait_for_timeout(500)


def violations(page: Page) -> list[str]:
    """What axe has to say, one line each."""
    found = Axe().run(page).response["violations"]
    return [f"{rule['id']}: {node['html'][:200]}" for rule in found for node in rule["nodes"]]


def overflow(page: Page) -> int:
    """By how many pixels the page is wider than the window."""
    return int(page.evaluate("document.documentElement.scrollWidth - window.innerWidth"))


@pytest.mark.parametrize("look", LOOKS)
def test_public_pages_have_no_barriers(visitors: Visitors, look: dict[str, bool]) -> None:
    """Axe finds nothing on what visitors see, and nothing scrolls sideways."""
    page = visitors.new(**look)
    for path, heading in PUBLIC.items():
        settled(page, path, heading)
        assert (path, violations(page)) == (path, [])
        assert overflow(page) <= 0, path


@pytest.mark.parametrize("look", LOOKS)
def test_pages_of_the_workspace_have_no_barriers(
    visitors: Visitors, connected: Page, look: dict[str, bool]
) -> None:
    """Axe finds nothing on what staff see, and nothing scrolls sideways."""
    page = visitors.owner(**look)
    for path, heading in PRIVATE.items():
        settled(page, path, heading)
        assert (path, violations(page)) == (path, [])
        assert overflow(page) <= 0, path


def test_dialogs_have_no_barriers_and_give_the_focus_back(visitors: Visitors, connected: Page) -> None:
    """Opening and leaving each dialog by keyboard ends where it began."""
    page = connected
    for path, heading, button in (
        ("/settings/event-types", "Event types", "New event type"),
        ("/settings/calendars", "Calendars", "Disconnect"),
    ):
        settled(page, path, heading)
        opener = page.get_by_role("button", name=button).first
        opener.focus()
        page.keyboard.press("Enter")
        dialog = page.get_by_role("dialog").or_(page.get_by_role("alertdialog"))
        expect(dialog).to_be_visible()
        page.wait_for_timeout(500)
        assert violations(page) == []
        page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)
        expect(opener).to_be_focused()


def test_a_visitor_books_with_the_keyboard_alone(visitors: Visitors) -> None:
    """Arrow keys walk through days and times; Enter chooses; Tab reaches every field."""
    page = visitors.new()
    open_day(page, 5)
    days = page.get_by_role("link", name=re.compile("times available$"))
    days.first.focus()
    page.keyboard.press("ArrowRight")
    expect(days.nth(1)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".day[aria-current]")).to_have_count(1)
    expect(slots(page).first).to_be_visible()
    slots(page).first.focus()
    page.keyboard.press("ArrowDown")
    expect(slots(page).nth(1)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Who is coming?")).to_be_visible()
    page.get_by_role("link", name="Other times").focus()
    page.keyboard.press("Tab")
    expect(page.get_by_label("Name")).to_be_focused()
    page.keyboard.type("Kim Keyboard")
    page.keyboard.press("Tab")
    page.keyboard.type("kim@example.org")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="You are booked")).to_be_visible()


def test_every_page_names_itself(product: Product, visitors: Visitors, connected: Page) -> None:
    """Titles differ from page to page, and each page says its language."""
    titles = []
    for path, heading in PRIVATE.items():
        settled(connected, path, heading)
        titles.append(connected.title())
    visitor = visitors.new()
    visitor.goto("/book/demo/intro")
    expect(visitor).to_have_title("Intro call · Demo")
    assert len(set(titles)) == len(PRIVATE)
    assert visitor.locator("html").get_attribute("lang") == "en"


def test_the_public_page_loads_little(visitors: Visitors) -> None:
    """Visitors do not pay for the staff's pages: four files of this site, and no websocket."""
    page = visitors.new()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("websocket", lambda socket: asked.append(socket.url))
    settled(page, "/book/demo/intro", "Intro call")
    page.wait_for_timeout(1_000)
    assert len(asked) <= 5, asked
    assert not [url for url in asked if "/assets/" in url or url.startswith("ws")]
