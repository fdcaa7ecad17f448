"""The pages of those who run the place: operations and security, and that axe finds nothing on them."""

from __future__ import annotations

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Product, Visitors, sign_in
from tests.e2e.test_access import overflow, violations

TABS = {
    "Connections": "",
    "Jobs & workers": "Bookings into calendars",
    "Failed items": "Nothing has failed",
    "Channels": "",
    "Drift": "Check now",
    "Health": "What is late is looked for.",
    "Audit trail": "",
}


@pytest.mark.parametrize(("phone", "dark"), [(False, False), (True, True)])
def test_operations_show_what_runs(visitors: Visitors, phone: bool, dark: bool) -> None:
    """Every tab opens, says something, fits the screen, and is accessible."""
    page = visitors.owner(phone=phone, dark=dark)
    page.goto("/admin")
    for name, said in TABS.items():
        page.get_by_role("tab", name=name).click()
        expect(page.get_by_role("tabpanel").filter(has_not_text="Loading")).to_be_visible()
        if said:
            expect(page.get_by_text(said).first).to_be_visible()
        assert violations(page) == []
        assert overflow(page) <= 0


@pytest.mark.parametrize(("phone", "dark"), [(False, False), (True, True)])
def test_the_installation_says_how_it_is(visitors: Visitors, phone: bool, dark: bool) -> None:
    """Operators see every finding, and what the environment has already said of providers and mail."""
    page = visitors.owner(phone=phone, dark=dark)
    page.goto("/admin")
    page.get_by_role("link", name="Installation").click()
    expect(page.get_by_text("takes the client id and secret.").first).to_be_visible()
    expect(page.get_by_text("Set by the environment").first).to_be_visible()
    expect(page.get_by_text("SMTP_URL in the environment of this installation wins").first).to_be_visible()
    assert violations(page) == []
    assert overflow(page) <= 0


def test_an_api_token_is_made_shown_once_and_revoked(product: Product, visitors: Visitors) -> None:
    """The secret works, is gone after a reload, and stops working when it is revoked."""
    page = visitors.owner()
    page.goto("/settings/security")
    page.get_by_label("Name", exact=True).fill("Walk")
    page.get_by_role("button", name="Make a token").click()
    secret = page.locator("#fresh-token").inner_text()
    assert violations(page) == []
    headers = {"Authorization": f"Bearer {secret}"}
    assert httpx.get(f"{product.url}/api/v1/me", headers=headers).status_code == 200
    assert httpx.post(f"{product.url}/api/v1/sync", json={}, headers=headers).status_code == 403
    page.reload()
    expect(page.get_by_text("Walk", exact=True)).to_be_visible()
    assert secret not in page.content()
    page.get_by_role("button", name="Revoke Walk").click()
    page.get_by_role("alertdialog").get_by_role("button", name="Revoke").click()
    expect(page.get_by_text("The token is revoked.")).to_be_visible()
    assert httpx.get(f"{product.url}/api/v1/me", headers=headers).status_code == 401


def test_signing_out_elsewhere(product: Product, visitors: Visitors) -> None:
    """A browser that was signed out has to sign in again with its next step."""
    here, there = visitors.owner(), visitors.owner()
    here.goto("/settings/security")
    here.get_by_role("button", name="Sign out all others").click()
    dialog = here.get_by_role("alertdialog")
    dialog.get_by_role("button", name="Sign out all others").click()
    expect(dialog).to_be_hidden()
    expect(here.get_by_text("This browser")).to_be_visible()
    _expect_signed_out(there)
    sign_in(there, product.email, product.password)
    there.wait_for_url("**/dashboard")


def _expect_signed_out(page: Page) -> None:
    page.goto("/bookings")
    page.wait_for_url("**/login?**")
