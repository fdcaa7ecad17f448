"""The workspace's settings: what an owner sets there is what customers see."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import expect

from tests.e2e.conftest import SHOTS, Product, Visitors
from tests.support import pictures


def test_an_owner_sets_how_the_pages_look(product: Product, visitors: Visitors, tmp_path: Path) -> None:
    """Colour, logo and sites are set with a sentence where something is wrong; the code to copy has a preview; the
    booking page shows it all, and everything is as before afterwards."""
    page = visitors.owner()
    page.goto("/settings/workspace")
    colour = page.get_by_label("Colour")
    expect(colour).to_be_visible()
    colour.fill("#ffee88")
    colour.blur()
    expect(page.get_by_text("On light pages this colour would hardly show")).to_be_visible()
    colour.fill("#0a7d3c")
    sites = page.get_by_label("Sites that may show your booking pages")
    sites.fill("not a site")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("“not a site” is not a site.")).to_be_visible()
    sites.fill("")
    page.get_by_label("Text below every confirmation").fill("Please ring twice.")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    picture = tmp_path / "logo.png"
    picture.write_bytes(pictures.png(240, 80))
    page.locator("input[type=file]").set_input_files(picture)
    page.get_by_role("button", name="Use this picture").click()
    expect(page.get_by_alt_text(re.compile("Logo of"))).to_be_visible()
    preview = page.frame_locator("iframe")
    expect(preview.locator(".slot, .dim").first).to_be_visible()
    page.get_by_label("How", exact=True).select_option("popup")
    expect(page.get_by_label("Code to copy")).to_contain_text("data-almanac-popup")
    expect(page.get_by_alt_text(re.compile("QR code of http"))).to_be_visible()
    SHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SHOTS / "workspace-settings.png", full_page=True)
    link = page.evaluate("document.querySelector('iframe').src")
    customer = visitors.new()
    customer.goto(link.partition("?")[0])
    expect(customer.locator(".logo img")).to_be_visible()
    assert customer.evaluate("getComputedStyle(document.body).getPropertyValue('--accent-9')") == "#0a7d3c"
    customer.screenshot(path=SHOTS / "workspace-look.png")
    for phone, dark, name in ((True, False, "phone"), (False, True, "dark")):
        other = visitors.owner(phone=phone, dark=dark)
        other.goto("/settings/workspace")
        expect(other.get_by_label("Colour")).to_be_visible()
        other.screenshot(path=SHOTS / f"workspace-settings-{name}.png", full_page=True)
    page.get_by_role("button", name="Remove logo").click()
    expect(page.get_by_text("None yet.")).to_be_visible()
    colour.fill("")
    page.get_by_label("Text below every confirmation").fill("")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Saved.").last).to_be_visible()


def test_a_private_link_is_made_and_ended(visitors: Visitors) -> None:
    """Staff make a link for one booking in a dialog; who has it sees the times; it can be deleted."""
    page = visitors.owner()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto("/settings/event-types")
    page.get_by_role("button", name="Links to Intro call").click()
    page.get_by_label("For whom").fill("Grace")
    page.get_by_role("button", name="Make link").click()
    expect(page.get_by_role("list", name="Links").get_by_text("One booking")).to_be_visible()
    page.screenshot(path=SHOTS / "private-links.png")
    page.get_by_role("button", name="Copy the link Grace").click()
    expect(page.get_by_text("Link copied.")).to_be_visible()
    link = page.evaluate("navigator.clipboard.readText()")
    customer = visitors.new()
    customer.goto(link)
    expect(customer.locator(".slot").first).to_be_visible()
    page.get_by_role("button", name="Delete the link Grace").click()
    expect(page.get_by_text("None yet.")).to_be_visible()
