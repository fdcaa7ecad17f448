"""The dashboard as a host works with it: bookings at once, moved by hand, made for a customer."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.conftest import Product, Visitors
from tests.e2e.test_access import overflow, violations
from tests.e2e.test_providers import newcomer

CUSTOMER = "Ada Customer"


def book(host: Page, customer: str) -> None:
    """With "New", on the day and at the time that the form proposes, but for a working day at ten."""
    host.get_by_role("button", name=re.compile("^New")).click()
    form = host.get_by_role("dialog", name="New")
    day = host.evaluate(
        """() => { const at = new Date(); do at.setDate(at.getDate() + 1); while ([0, 6].includes(at.getDay()));
                   return at.toLocaleDateString("sv") }"""
    )
    form.get_by_label("Date").fill(day)
    form.get_by_label("From").fill("10:00")
    form.get_by_label("Customer’s name").fill(customer)
    form.get_by_label("Customer’s email").fill("ada@example.org")
    form.get_by_role("button", name="Book", exact=True).click()
    expect(form).to_have_count(0)


def shown_in_grid(host: Page) -> Locator:
    """The booking in the week that it is in, this one or the next."""
    expect(host.get_by_role("complementary", name="Coming up").get_by_text(CUSTOMER)).to_be_visible()
    expect(host.locator(".al-time-grid")).to_be_visible()
    host.wait_for_timeout(1_500)
    if not host.locator(".al-booking").count():
        host.get_by_role("button", name="Next", exact=False).first.click()
    return host.locator(".al-booking").filter(has_text=CUSTOMER)


@pytest.fixture
def host(product: Product, visitors: Visitors) -> Page:
    """Somebody with no calendar at all, at their dashboard, with a booking."""
    page, _ = newcomer(visitors, "Nocalendar")
    expect(page.get_by_text("No calendar receives your bookings", exact=False)).to_be_visible()
    book(page, CUSTOMER)
    return page


def test_a_host_without_a_calendar_works_with_bookings(host: Page, visitors: Visitors) -> None:
    """A booking is on the dashboard at once, with its customer; it is moved by the arrow keys and the move taken back;
    a second booking on the same time is refused in words; axe finds nothing in any of it."""
    upcoming = host.get_by_role("region", name="Next up")
    expect(upcoming.get_by_text(CUSTOMER)).to_be_visible()
    expect(upcoming.get_by_role("link", name="ada@example.org")).to_be_visible()
    expect(host.get_by_role("complementary", name="Coming up").get_by_text(CUSTOMER)).to_be_visible()
    entry = shown_in_grid(host)
    expect(entry).to_contain_text("10:00")
    expect(host.get_by_text("Booked.")).to_have_count(0)
    assert violations(host) == []

    entry.focus()
    host.keyboard.press("ArrowDown")
    expect(host.locator(".al-says")).to_contain_text("10:15")
    host.keyboard.press("Enter")
    question = host.get_by_role("dialog", name="Move this booking?")
    expect(question.get_by_label("From")).to_have_value("10:15")
    assert violations(host) == []
    question.get_by_role("button", name="Move", exact=True).click()
    expect(entry).to_contain_text("10:15")
    host.get_by_role("button", name="Undo").click()
    expect(entry).to_contain_text("10:00")

    entry.click()
    details = host.get_by_role("dialog", name=re.compile(CUSTOMER))
    expect(details.get_by_text("No calendar receives this booking", exact=False)).to_be_visible()
    assert violations(host) == []
    host.keyboard.press("Escape")
    expect(details).to_have_count(0)

    host.goto("/bookings")
    host.get_by_role("button", name="New booking").click()
    form = host.get_by_role("dialog", name="New")
    expect(form.get_by_label("Date")).not_to_have_value("")
    assert violations(host) == []


def test_dragging_says_what_is_in_the_way(product: Product, visitors: Visitors) -> None:
    """With a mouse a booking is dragged, which asks first; on a phone the day comes first, and nothing is too wide."""
    page, _ = newcomer(visitors, "Dragging")
    book(page, CUSTOMER)
    entry = shown_in_grid(page)
    entry.scroll_into_view_if_needed()
    box = entry.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + 6
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x, y + 20, steps=4)
    page.mouse.move(x, y + 120, steps=8)
    expect(page.locator(".al-says")).not_to_be_empty()
    page.mouse.up()
    question = page.get_by_role("dialog", name="Move this booking?")
    expect(question.get_by_label("From")).not_to_have_value("10:00")
    question.get_by_role("button", name="Leave it").click()
    expect(entry).to_contain_text("10:00")
    page.set_viewport_size({"width": 390, "height": 844})
    page.reload()
    grid = page.locator(".al-time-grid")
    expect(grid).to_be_visible()
    top = grid.bounding_box()
    assert top is not None
    assert top["y"] < 844
    assert overflow(page) <= 0
