"""Booking inside of another site's page, in Chromium that keeps no third-party cookies."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from sqlmodel import select
from starlette.responses import HTMLResponse
from starlette.types import Receive, Scope, Send

from calendar_app.db.session import reading
from calendar_app.db.tables import Booking
from calendar_app.services.workspaces import settings as workspace_settings
from calendar_app.settings import Settings
from tests.booking_site.test_prefill import ANSWERS, FIELDS, ask_everything
from tests.support import web
from tests.support.scheduling import Place

pytestmark = [pytest.mark.e2e, pytest.mark.serial, pytest.mark.timeout(300)]
CHROMIUM = next((p for p in ("/usr/bin/chromium", "/usr/bin/chromium-browser") if Path(p).exists()), None)
SHOTS = Path(__file__).resolve().parents[2] / "test-results"


class _Shop:
    """A foreign site with one page, under a strict policy of its own."""

    def __init__(self) -> None:
        self.body = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        head = '<!doctype html><html lang="en"><title>Shop</title><meta name=viewport content="width=device-width">'
        await HTMLResponse(f"{head}<body>{self.body}")(scope, receive, send)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=CHROMIUM,
            env={name: value for name, value in os.environ.items() if name != "LD_PRELOAD"},
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--disable-background-networking",
                "--test-third-party-cookie-phaseout",
            ],
        )
        yield launched
        launched.close()


@pytest.fixture
def shop(browser: Browser, _site_url: str, settings: Settings, place: Place) -> Iterator[Callable[..., Page]]:
    """A function that opens the shop's page with this body (``HOST`` and ``PAGE`` stand for ours); the shop is another
    site than ours: ``localhost`` and not ``127.0.0.1``."""
    app, contexts = _Shop(), []

    with web.served(app) as url:

        def opened(body: str, *, query: str = "", **options: object) -> Page:
            page_name = f"{place.workspace.slug}/{place.event_type.slug}"
            app.body = body.replace("HOST", _site_url).replace("PAGE", page_name)
            context = browser.new_context(locale="en-GB", timezone_id="Europe/Berlin", **options)  # type: ignore[arg-type]
            contexts.append(context)
            page = context.new_page()
            page.goto(url.replace("127.0.0.1", "localhost") + query)
            return page

        yield opened
        for context in contexts:
            context.close()


INLINE = """<h1>Shop</h1>
<div data-almanac="PAGE" data-name="Grace Hopper" data-utm-source=shop><a href="HOST/book/PAGE">Book</a></div>
<script>addEventListener('almanac:slot', e => (window.slot = e.detail)); window.booked = [];
addEventListener('almanac:booked', e => booked.push(e.detail));</script><script src="HOST/embed.js" async></script>"""


def test_a_customer_books_inside_of_another_site(shop: Callable[..., Page]) -> None:
    """From the month to the confirmation in the frame; the page around it grows with it, is told of time and booking
    once, and the link to change it opens a new tab."""
    page = shop(INLINE, query="/?utm_campaign=spring")
    frame = page.frame_locator("iframe")
    expect(frame.locator(".slot").first).to_be_visible()
    SHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SHOTS / "embed-inline.png", full_page=True)
    frame.locator(".slot").first.click()
    expect(frame.get_by_label("Name")).to_have_value("Grace Hopper")
    frame.get_by_label("Email").fill("grace@example.org")
    page.screenshot(path=SHOTS / "embed-form.png", full_page=True)
    frame.get_by_role("button", name="Confirm booking").click()
    expect(frame.get_by_role("heading", name="You are booked")).to_be_visible()
    page.wait_for_function("window.booked.length == 1")
    page.screenshot(path=SHOTS / "embed-booked.png", full_page=True)
    booked = page.evaluate("window.booked[0]")
    with reading() as session:
        row = session.exec(select(Booking)).one()
    assert booked["id"] == row.id
    assert (booked["start"], booked["status"]) == (row.start_at.isoformat(), "confirmed")
    assert page.evaluate("Date.parse(window.slot.start)") == row.start_at.timestamp() * 1000
    assert row.campaign == {"utm_source": "shop", "utm_campaign": "spring"}
    inside = page.frames[1]
    box = page.locator("iframe").bounding_box()
    assert box is not None
    tall = inside.evaluate("document.body.getBoundingClientRect().height")
    assert box["height"] == pytest.approx(max(320, tall), abs=2)
    assert page.context.cookies() == []
    inside.evaluate("location.reload()")
    expect(frame.get_by_role("heading", name="You are booked")).to_be_visible()
    assert page.evaluate("window.booked.length") == 1
    with page.context.expect_page() as opened:
        frame.get_by_role("link", name="Change or cancel it").click()
    expect(opened.value.get_by_role("heading", name="Your booking")).to_be_visible()


@pytest.mark.parametrize("way", ["attribute", "call"])
def test_every_field_is_filled_in(shop: Callable[..., Page], place: Place, way: str) -> None:
    """By attribute and by call, under the names of the documentation."""
    ask_everything(place)
    answers = {name.removeprefix("answer-"): value for name, value in ANSWERS.items()}
    options = FIELDS | {"timezone": "Europe/Berlin", "language": "de", "utm_source": "shop"}
    if way == "attribute":
        named = " ".join(f'data-{name.replace("_", "-")}="{value}"' for name, value in options.items())
        body = f"""<div data-almanac="PAGE" {named} data-answers='{json.dumps(answers)}'></div>"""
    else:
        given = options | {"guests": FIELDS["guests"].split(", "), "answers": answers}
        given["bookedByName"] = given.pop("booked_by_name")
        call = f"Almanac.inline('#here', 'PAGE', {json.dumps(given)})"
        body = f"<div id=here></div><script>document.addEventListener('almanac:ready', () => {call})</script>"
    page = shop(body + '<script src="HOST/embed.js" async></script>')
    frame = page.frame_locator("iframe")
    frame.locator(".slot").first.click()
    expect(frame.get_by_role("button", name="Verbindlich buchen")).to_be_visible()
    for name, value in (FIELDS | ANSWERS).items():
        field = frame.locator(f'[name="{name}"]')
        if name == "answer-agree":
            expect(field).to_be_checked()
        else:
            expect(field).to_have_value(value)
    assert "utm_source=shop" in page.frames[1].url


def test_popup_and_button(shop: Callable[..., Page]) -> None:
    """A link opens a dialog that Escape closes, also from inside of the frame, and that takes the focus; the floating
    button does the same; without the script the link leads to the page."""
    page = shop(
        '<a href="HOST/book/PAGE" data-almanac-popup="PAGE">Book now</a>'
        '<div data-almanac-button="PAGE" data-text="Meet us"></div>'
        '<script src="HOST/embed.js"></script>',
        viewport={"width": 390, "height": 844},
    )
    page.get_by_role("link", name="Book now").click()
    frame = page.frame_locator("dialog iframe")
    expect(frame.locator(".slot").first).to_be_visible()
    SHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SHOTS / "embed-popup.png")
    frame.locator(".slot").first.press("Escape")
    expect(page.locator("dialog")).to_have_count(0)
    page.get_by_role("button", name="Meet us").click()
    expect(page.frame_locator("dialog iframe").locator(".slot").first).to_be_visible()
    page.get_by_role("button", name="Close").click()
    expect(page.locator("dialog")).to_have_count(0)


def test_a_site_that_is_not_named_shows_nothing(shop: Callable[..., Page], place: Place) -> None:
    """The browser itself refuses the frame."""
    workspace_settings.update(place.owner, {"allowed_origins": ["other.example"]})
    page = shop(INLINE)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.reload()
    page.wait_for_timeout(1_000)
    assert page.frame_locator("iframe").locator(".slot").count() == 0
    assert any("frame-ancestors" in text for text in said)


def test_a_frame_works_without_javascript(shop: Callable[..., Page]) -> None:
    """A plain frame, in a browser that runs no script: every step is a link or a form."""
    page = shop(
        '<iframe src="HOST/book/PAGE?embed=1" width=900 height=900></iframe>', java_script_enabled=False
    )
    frame = page.frame_locator("iframe")
    frame.locator(".slot").first.click()
    frame.get_by_label("Name").fill("Grace")
    frame.get_by_label("Email").fill("grace@example.org")
    frame.get_by_role("button", name="Confirm booking").click()
    expect(frame.get_by_role("heading", name="You are booked")).to_be_visible()
    with reading() as session:
        assert session.exec(select(Booking)).one().name == "Grace"
