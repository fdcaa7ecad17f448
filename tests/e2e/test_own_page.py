"""The booking page of one's own that the documentation shows, on another site than the product's."""

from __future__ import annotations

from playwright.sync_api import expect
from starlette.responses import HTMLResponse

from tests.e2e.conftest import ROOT, SHOTS, Product, Visitors
from tests.e2e.test_access import violations
from tests.support.web import served


def test_the_example_books_and_cancels(product: Product, visitors: Visitors) -> None:
    """A customer chooses a time, fills in the form, books once however often they press, and cancels; a time that is
    kept is let go on the way back."""
    text = (ROOT / "docs" / "examples" / "own-booking-page.html").read_text()
    text = text.replace("https://calendar.example.com", product.url).replace('"studio"', '"demo"')
    with served(HTMLResponse(text)) as site:
        page = visitors.new()
        page.goto(site)
        page.get_by_label("What").select_option(label="Intro call")
        times = page.locator("#times button")
        expect(times.first).to_be_visible()
        times.nth(20).click()
        page.get_by_role("button", name="Another time").click()
        expect(times.first).to_be_visible()
        times.nth(20).click()
        page.get_by_label("Name", exact=True).fill("Grace <b>Hopper</b>")
        page.get_by_label("Email", exact=True).fill("grace@example.org")
        assert violations(page) == []
        page.get_by_role("button", name="Book", exact=True).dblclick()
        expect(page.get_by_text("Booked: Intro call")).to_be_visible()
        SHOTS.mkdir(exist_ok=True)
        page.screenshot(path=SHOTS / "own-page.png")
        page.get_by_role("button", name="Cancel booking").click()
        expect(page.get_by_text("Cancelled.")).to_be_visible()
    staff = visitors.owner()
    found = staff.request.get("/api/v1/bookings", params={"q": "Hopper", "status": "cancelled"}).json()[
        "items"
    ]
    assert "Grace <b>Hopper</b>" in [one["name"] for one in found]
