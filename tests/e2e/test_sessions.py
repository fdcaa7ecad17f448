"""One tab, several sessions: what a page keeps belongs to the session that it was shown to."""

from __future__ import annotations

from playwright.sync_api import WebSocket, expect

from tests.e2e.conftest import Product, Visitors, sign_in, sign_up


def test_nothing_of_the_person_before_is_shown_in_the_same_tab(product: Product, visitors: Visitors) -> None:
    """Sign out with the button, make an account of one's own in that tab: nothing of the owner comes or is painted."""
    page = visitors.owner()
    page.goto("/bookings")
    page.get_by_role("heading", name="Bookings", level=1).wait_for()
    page.get_by_role("button", name="Account and workspace").first.click()
    expect(page.get_by_text(product.email).first).to_be_visible()
    came: list[str] = []

    def listen(socket: WebSocket) -> None:
        socket.on("framereceived", lambda frame: came.append(str(frame)))

    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/login")
    page.on("websocket", listen)
    sign_up(page, product, "Nora Next", "nora.next@example.org")
    for path, title in (("/bookings", "Bookings"), ("/settings/team", "Team"), ("/dashboard", "Dashboard")):
        page.goto(path)
        expect(page.get_by_role("heading", name=title, level=1)).to_be_visible()
        page.get_by_role("button", name="Account and workspace").first.click()
        expect(page.get_by_text("nora.next@example.org").first).to_be_visible()
        assert product.email not in page.content()
    assert any("nora.next@example.org" in frame for frame in came)
    assert not any(product.email in frame for frame in came)


def test_signing_out_elsewhere_leaves_nothing_on_the_screen(product: Product, visitors: Visitors) -> None:
    """An open page of a session that is ended from another browser goes to the sign-in page by itself."""
    page, elsewhere = visitors.owner(), visitors.owner()
    page.goto("/settings/team")
    members = page.get_by_role("list", name="Members")
    expect(members).to_contain_text(product.email)
    elsewhere.goto("/settings/security")
    elsewhere.get_by_role("button", name="Sign out all others").click()
    elsewhere.get_by_role("alertdialog").get_by_role("button", name="Sign out all others").click()
    expect(page.get_by_label("Password")).to_be_visible()
    expect(members).to_have_count(0)
    sign_in(page, product.email, product.password)
    page.wait_for_url("**/dashboard")
