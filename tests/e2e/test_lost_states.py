"""Stored states that are gone while their pages stand: every page loads itself again, and what was typed stays."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Locator, Page, expect
from redis import Redis

from calendar_app.launcher.environment import REFLEX_DATABASE
from calendar_app.ui.pages.admin.state import TABS
from calendar_app.ui.reloading import SAID
from tests.e2e.conftest import Product, Visitors, sign_in, within
from tests.e2e.test_access import violations
from tests.e2e.test_providers import Held, connect, evening, newcomer
from tests.e2e.test_story import PATIENCE_MS

PAGES = (
    "/dashboard",
    "/bookings",
    "/orders",
    "/settings/event-types",
    "/settings/availability",
    "/settings/calendars",
    "/settings/team",
    "/settings/security",
    *(f"/admin?tab={tab}" for tab in TABS),
)
STILL_MS = 400
_WATCH = """() => {
    const main = document.querySelector("#main");
    window.shown = [];
    new MutationObserver(() => window.shown.push(main.innerText))
        .observe(main, {subtree: true, childList: true, characterData: true});
}"""
_VISIBLE_TEXT = """main => {
    let text = main.innerText;
    for (const select of main.querySelectorAll("select"))  // of a list of choices the chosen one
        text = text.replace(select.innerText, select.selectedOptions[0]?.text ?? "");
    return text;
}"""


def lose_states(product: Product) -> None:
    """Delete all that Reflex keeps of pages, as a Redis that was emptied."""
    sock = next(Path(product.data_dir).rglob("*.sock"))
    with Redis(unix_socket_path=str(sock), db=REFLEX_DATABASE) as states:
        assert states.dbsize()
        states.flushdb()


def go_away(page: Page) -> None:
    """Lose the connection, and notice it at once."""
    page.context.set_offline(True)
    page.evaluate(
        "dispatchEvent(new Event('pagehide')), document.dispatchEvent(new Event('visibilitychange'))"
    )
    expect(page.get_by_text("No connection to the server.")).to_be_visible()


def said(page: Page) -> Locator:
    return page.get_by_text(SAID)


def shown(page: Page) -> str:
    """What the page says, without the times that tick."""
    text = page.locator("#main").evaluate(_VISIBLE_TEXT)
    return re.sub(r"\b(just )?now\b|(in )?\d+ (s|min|h|days?)( ago)?", "", text)


def settled(page: Page) -> str:
    """What the page says once it is loaded: no part of it loads, and it stays the same for a moment."""
    before, now = "", ""
    with within(30) as waiting:
        while waiting():
            expect(page.locator("#main")).to_be_visible()
            expect(page.locator("#main .rt-Skeleton")).to_have_count(0)
            expect(page.get_by_role("status").filter(has_text="Loading")).to_have_count(0)
            before, now = now, shown(page)
            if now and now == before:
                return now
            page.wait_for_timeout(STILL_MS)
    raise AssertionError(f"the page does not come to rest:\n{before}\n---\n{now}")


def test_every_page_loads_itself_again(product: Product, visitors: Visitors) -> None:
    """After a minute at the latest each page finds that its state is gone, and shows again what it showed."""
    page = visitors.new()
    page.clock.install()
    sign_in(page, product.email, product.password)
    page.wait_for_url("**/dashboard")
    for path in PAGES:
        page.goto(path)
        before = settled(page)
        lose_states(product)
        page.clock.run_for(61_000)
        expect(said(page).first, path).to_be_visible()
        assert settled(page) == before, path


def test_a_providers_appointments_are_read_again(product: Product, visitors: Visitors) -> None:
    """What customers book at Calendly is shown again, and the reason that is being typed for calling one off stays."""
    held = Held(product, "calendly")
    page = visitors.new()
    page.clock.install()
    newcomer(visitors, "Lostfan", page)
    connect(page, product, "calendly")
    held.add("Rehearsal that stays", evening())
    page.get_by_role("link", name="Appointments").click()
    mine = page.get_by_role("listitem").filter(has_text="Rehearsal that stays")
    expect(mine).to_be_visible(timeout=PATIENCE_MS)
    before = settled(page)
    lose_states(product)
    page.clock.run_for(61_000)
    expect(said(page).first).to_be_visible()
    assert settled(page) == before
    mine.get_by_role("button", name="Cancel appointment").click()
    reason = page.get_by_label("Reason (optional)")
    reason.fill("Nobody types this twice.")
    lose_states(product)
    page.get_by_role("button", name="Cancel appointment", exact=True).click()
    expect(said(page).first).to_be_visible()
    expect(reason).to_have_value("Nobody types this twice.")
    with within(60) as waiting:  # a press while the page still loads itself may be lost; people press again
        while waiting() and page.get_by_role("alertdialog").count():
            page.get_by_role("button", name="Cancel appointment", exact=True).click()
            page.wait_for_timeout(2_000)
    expect(page.get_by_role("alertdialog")).to_have_count(0)
    expect(mine).to_have_count(0)
    assert "Rehearsal that stays" not in held.titles()


def test_what_was_typed_stays(product: Product, visitors: Visitors) -> None:
    """An event type being written, hours that are not saved, and an invitation: all survive, and can be saved then."""
    page = visitors.owner()
    page.goto("/settings/event-types")
    page.get_by_role("button", name="New event type").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Title").fill("Written before the loss")
    dialog.get_by_label("Description").fill("Nobody types this twice.")
    lose_states(product)
    dialog.get_by_role("button", name="Save").click()
    expect(said(page).first).to_be_visible()
    expect(dialog.get_by_label("Title")).to_have_value("Written before the loss")
    expect(dialog.get_by_label("Description")).to_have_value("Nobody types this twice.")
    dialog.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Written before the loss").first).to_be_visible()
    page.goto("/settings/availability")
    start = page.get_by_label("Monday, from").first
    start.fill("06:15")
    expect(page.get_by_text("Not saved yet")).to_be_visible()
    lose_states(product)
    page.get_by_role("button", name="Add hours on Sunday").click()
    expect(said(page).first).to_be_visible()
    expect(start).to_have_value("06:15")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Your hours are saved")).to_be_visible()
    page.reload()
    expect(start).to_have_value("06:15")
    page.goto("/settings/team")
    page.get_by_label("Email").fill("typed@example.org")
    lose_states(product)
    page.get_by_role("button", name="Send invitation").click()
    expect(said(page).first).to_be_visible()
    expect(page.get_by_label("Email")).to_have_value("typed@example.org")


def test_a_button_pressed_while_away_waits_for_the_page(product: Product, visitors: Visitors) -> None:
    """The state goes while the connection is away: no default is shown or saved, and the draft is there to be saved."""
    page = visitors.owner()
    page.goto("/settings/event-types")
    page.get_by_role("button", name="New event type").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Title").fill("Saved after a break")
    go_away(page)
    dialog.get_by_role("button", name="Save").click()
    lose_states(product)
    page.context.set_offline(False)
    expect(said(page).first).to_be_visible()
    expect(dialog.get_by_label("Title")).to_have_value("Saved after a break")
    expect(dialog.get_by_text("There is no such event type.")).to_have_count(0)
    dialog.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved after a break").first).to_be_visible()
    expect(dialog).to_have_count(0)
    page.goto("/bookings")
    expect(page.get_by_text("Times in Europe/Berlin")).to_be_visible()
    go_away(page)
    lose_states(product)
    page.evaluate(_WATCH)
    page.context.set_offline(False)
    expect(said(page).first).to_be_visible()
    expect(page.get_by_text("Times in Europe/Berlin")).to_be_visible()
    assert not [text for text in page.evaluate("window.shown") if "UTC" in text]


def test_a_page_that_comes_into_sight_asks_for_its_state(product: Product, visitors: Visitors) -> None:
    """A tab that lay in the background for more than a day, its state expired, loads itself again when it is seen."""
    page = visitors.new()
    page.clock.install()
    sign_in(page, product.email, product.password)
    page.wait_for_url("**/dashboard")
    page.goto("/settings/team")
    expect(page.get_by_role("list", name="Members")).to_be_visible()
    page.evaluate("Object.defineProperty(document, 'hidden', {get: () => window.seen !== true})")
    lose_states(product)
    page.clock.fast_forward("26:00:00")
    expect(said(page)).to_have_count(0)
    page.evaluate("window.seen = true, document.dispatchEvent(new Event('visibilitychange'))")
    expect(said(page).first).to_be_visible()
    expect(page.get_by_role("list", name="Members")).to_contain_text(product.email)


def test_a_connection_that_is_away_is_spoken_of_in_our_words(product: Product, visitors: Visitors) -> None:
    """Nothing of websockets and addresses; it goes once the connection is back, and the page's state was kept."""
    page = visitors.owner()
    page.goto("/settings/team")
    members = page.get_by_role("list", name="Members")
    expect(members).to_be_visible()
    go_away(page)
    assert "websocket" not in page.locator("body").inner_text().lower()
    expect(members).to_be_visible()
    page.context.set_offline(False)
    expect(page.get_by_text("No connection to the server.")).to_have_count(0)
    expect(members).to_be_visible()


def test_a_page_that_cannot_be_drawn_says_so_in_our_words(visitors: Visitors) -> None:
    """A fault in what runs in the browser: what to do now, nothing of its inside, and loading again helps."""
    page = visitors.owner()
    fault = "Intl.DateTimeFormat.prototype.formatToParts = () => { throw new Error('boom') }"
    page.add_init_script(f"if (!sessionStorage.getItem('mended')) {fault}")
    page.goto("/settings/availability")
    expect(page.get_by_role("heading", name="This page cannot be shown")).to_be_visible()
    words = page.locator("body").inner_text()
    assert "boom" not in words
    assert "Reflex" not in words
    assert violations(page) == []
    button = page.get_by_role("link", name="Load the page again")
    assert button.evaluate("link => getComputedStyle(link).backgroundColor") != "rgba(0, 0, 0, 0)"
    page.evaluate("sessionStorage.setItem('mended', 'yes')")
    button.click()
    expect(page.get_by_role("heading", name="Availability")).to_be_visible()
