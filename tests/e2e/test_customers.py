"""Customers' pages in a browser: what the script adds, and that nothing is missing without it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from calendar_app.sandbox.google.seed import workday
from tests.e2e.conftest import NARROW, SHOTS, Product, Visitors, new_context, within
from tests.e2e.test_access import overflow, violations
from tests.e2e.test_story import DAYS, TODAY, fill_in, open_day, slots

TYPED = ("Lena Line", "lena@example.org")


def test_a_line_that_breaks_keeps_the_form(product: Product, visitors: Visitors) -> None:
    """Offline, sending says so and loses nothing; a page that was lost to an error comes back with what was typed, the
    same time still kept; then it is booked once."""
    page = visitors.new(phone=True)
    open_day(page, 3)
    slots(page).nth(2).click()
    address = page.url
    page.get_by_label("Name").fill(TYPED[0])
    page.get_by_label("Email").fill(TYPED[1])
    page.context.set_offline(True)
    page.get_by_role("button", name="Confirm booking").click()
    expect(page.get_by_role("alert")).to_contain_text("You are offline")
    expect(page.get_by_label("Name")).to_have_value(TYPED[0])
    with pytest.raises(Exception, match="ERR_INTERNET_DISCONNECTED"):
        page.reload()
    page.context.set_offline(False)
    page.goto(address)
    expect(page.get_by_text("We keep this time for you until")).to_be_visible()
    expect(page.get_by_label("Name")).to_have_value(TYPED[0])
    expect(page.get_by_label("Email")).to_have_value(TYPED[1])
    page.get_by_role("button", name="Confirm booking").click()
    expect(page.get_by_role("heading", name="You are booked")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="You are booked")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", name="You are booked")).to_be_visible()


def test_the_countdown_goes_on_and_ends_in_words(visitors: Visitors) -> None:
    """It counts from what the server says, goes on after a reload, and at its end the time can be kept again."""
    page = visitors.new()
    page.clock.install()
    open_day(page, 9)
    slots(page).first.click()
    expect(page.get_by_role("timer")).to_have_text(re.compile(r"\(9:\d\d\)|\(10:00\)"))
    page.get_by_label("Name").fill("Penelope Patient")
    page.reload()
    expect(page.get_by_role("timer")).to_have_text(re.compile(r"\(9:\d\d\)"))
    page.clock.fast_forward(11 * 60 * 1000)
    expect(page.get_by_text("This time is no longer kept for you")).to_be_visible()
    assert violations(page) == []
    page.get_by_role("button", name="Keep this time again").click()
    expect(page.get_by_text("We keep this time for you until")).to_be_visible()
    expect(page.get_by_label("Name")).to_have_value("Penelope Patient")
    fill_in(page, "Penelope Patient", "penelope@example.org")
    expect(page.get_by_role("heading", name="You are booked")).to_be_visible()


def test_an_open_page_learns_of_a_time_that_was_taken(visitors: Visitors) -> None:
    """Within ten seconds it is gone, and said; who stands on it is led to the next."""
    first, second = visitors.new(), visitors.new()
    open_day(first, 7)
    open_day(second, 7)
    time = slots(first).nth(1).inner_text()
    slots(first).nth(1).focus()
    slots(second).nth(1).click()
    expect(second.get_by_label("Name")).to_be_visible()
    begun = datetime.now(UTC)
    expect(first.get_by_role("status")).to_contain_text(f"{time} was just taken.")
    assert datetime.now(UTC) - begun < timedelta(seconds=11)
    expect(first.locator(".slot:focus")).to_have_count(1)
    expect(first.get_by_role("button", name=time, exact=True)).to_have_count(0)


def test_the_browser_s_zone_is_guessed(visitors: Visitors) -> None:
    """The times stand in it, the address names it, and choosing another one stays chosen."""
    page = visitors.new(zone="Asia/Tokyo")
    page.goto("/book/demo/intro")
    expect(page.get_by_text("Tokyo, Japan (GMT+9)")).to_be_visible()
    expect(page).to_have_url(re.compile("tz=Asia%2FTokyo|tz=Asia/Tokyo"))
    page.get_by_text("Change", exact=True).click()
    page.get_by_label("City or country").fill("london")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name=re.compile("^London")).click()
    expect(page.get_by_text("London, United Kingdom")).to_be_visible()
    page.goto("/book/demo/intro")
    expect(page.get_by_text("Tokyo, Japan")).to_be_visible()


LOOKS = {
    "no script": {"java_script_enabled": False},
    "no script, phone, German": {"java_script_enabled": False, "locale": "de-DE", "viewport": NARROW},
    "320 px, dark, American": {
        "locale": "en-US",
        "viewport": {"width": 320, "height": 640},
        "color_scheme": "dark",
    },
}


@pytest.mark.parametrize("look", LOOKS)
def test_every_step_in(look: str, browser: Browser, product: Product) -> None:
    """From the list to a booking that is moved and cancelled: nothing overflows, and axe finds nothing."""
    context = new_context(browser, product.url, timezone_id="Europe/Berlin", **LOOKS[look])
    german, scripted = "German" in look, "no script" not in look
    page = context.new_page()
    number = list(LOOKS).index(look)

    def fine() -> None:
        if scripted:
            assert (violations(page), overflow(page)) == ([], 0)

    def press(english: str, deutsch: str, role: str = "button") -> None:
        page.get_by_role(role, name=deutsch if german else english).first.click()  # type: ignore[arg-type]

    page.goto("/book/demo")
    fine()
    page.get_by_role("link", name=re.compile("Intro call")).click()
    day = DAYS[13]
    page.goto(f"/book/demo/intro?month={day:%Y-%m}&day={day}")
    fine()
    first = slots(page).nth(2 + 4 * number)
    clock = first.inner_text()
    assert ("AM" in clock or "PM" in clock) == ("American" in look)
    first.click()
    fine()
    press("Confirm booking", "Verbindlich buchen")
    expect(page.get_by_role("alert")).to_be_visible()
    fine()
    page.get_by_label("Name").fill(f"Nobody {number}")
    page.get_by_label("E-Mail" if german else "Email").fill(f"nobody{number}@example.org")
    press("Confirm booking", "Verbindlich buchen")
    expect(
        page.get_by_role("heading", name="Ihr Termin steht" if german else "You are booked")
    ).to_be_visible()
    fine()
    press("Change or cancel it", "Ändern oder absagen", "link")
    fine()
    press("Move to another time", "Auf eine andere Zeit verlegen", "link")
    fine()
    slots(page).last.click()
    press("Confirm new time", "Neue Zeit bestätigen")
    expect(page.get_by_role("status")).to_be_visible()
    press("Cancel booking", "Buchung absagen", "link")
    fine()
    press("Cancel booking", "Buchung absagen")
    expect(page.get_by_text("Abgesagt" if german else "Cancelled", exact=True)).to_be_visible()
    fine()
    context.close()


def test_right_to_left_and_on_paper(browser: Browser, product: Product, visitors: Visitors) -> None:
    """The page turns around, no sentence stands outside of the catalogues, and paper holds the booking only."""
    page = visitors.new()
    page.goto("/book/demo/intro?lang=ar-XB")
    expect(slots(page).first).to_be_visible()
    assert page.locator("html").get_attribute("dir") == "rtl"
    assert (violations(page), overflow(page)) == ([], 0)
    month, day = (page.locator(name).bounding_box() for name in (".month", ".times"))
    assert month is not None
    assert day is not None
    assert month["x"] > day["x"], "the month stands at the right"
    assert _unaccented(page) == []
    page = visitors.new()
    open_day(page, 1)
    slots(page).last.click()
    fill_in(page, "Paula Paper", "paula@example.org")
    expect(page.get_by_role("heading", name="You are booked")).to_be_visible()
    page.emulate_media(media="print")
    expect(page.get_by_role("heading", name="You are booked")).to_be_visible()
    expect(page.get_by_text("Intro call")).to_be_visible()
    expect(page.get_by_role("link", name="Deutsch")).to_be_hidden()
    expect(page.get_by_role("link", name=re.compile("Calendar file"))).to_be_hidden()


@pytest.mark.parametrize("narrow", [False, True], ids=["wide", "phone"])
def test_every_step_from_right_to_left(visitors: Visitors, narrow: bool) -> None:
    """From the month to a booking that is moved and cancelled, mirrored: nothing overflows, axe finds nothing, and
    every word but data comes from a catalogue."""
    page = visitors.new(phone=narrow)
    SHOTS.mkdir(exist_ok=True)
    size = "phone" if narrow else "wide"

    def fine(step: str) -> None:
        assert page.locator("html").get_attribute("dir") == "rtl", step
        page.screenshot(path=SHOTS / f"rtl-{step}-{size}.png", full_page=True)
        assert (violations(page), overflow(page), _unaccented(page)) == ([], 0, []), step

    day = workday(TODAY, 31 if narrow else 32)
    page.goto(f"/book/demo/intro?month={day:%Y-%m}&day={day}&lang=ar-XB")
    expect(slots(page).first).to_be_visible()
    fine("times")
    slots(page).nth(3).click()
    page.locator("#form .main-button").click()
    expect(page.get_by_role("alert")).to_be_visible()
    fine("form")
    page.locator("#name").fill("שלום עולם")
    page.locator("#email").fill("rtl@example.org")
    page.locator("#form .main-button").click()
    page.wait_for_url("**/booked/**")
    fine("booked")
    page.locator("a[href*='/manage/']:not([href$='.ics'])").first.click()
    page.wait_for_url("**/manage/**")
    fine("manage")
    page.locator("a[href*='/move']").first.click()
    expect(slots(page).first).to_be_visible()
    fine("move")
    page.go_back()
    page.locator("a[href*='/cancel']").first.click()
    fine("cancel")
    page.locator("form .main-button").click()
    fine("cancelled")


ORDERS = {"light": {}, "dark": {"dark": True}, "phone": {"phone": True}}


@pytest.mark.parametrize("look", ORDERS)
def test_an_order_s_page_has_no_barriers(visitors: Visitors, look: str) -> None:
    """Axe finds nothing on the draft, on the confirmed order and on the cancelled one; nothing scrolls sideways."""
    owner = visitors.owner()
    kinds = owner.request.get("/api/v1/event-types").json()["items"]
    kind = next(each["id"] for each in kinds if each["slug"] == "intro")
    page, day = visitors.new(**ORDERS[look]), workday(TODAY, 33)
    hour = 9 + 2 * list(ORDERS).index(look)
    starts = [f"{day}T{hour + number:02d}:00:00Z" for number in range(2)]
    body = {
        "name": "Olga Order",
        "email": "olga@example.org",
        "timezone": "Europe/Berlin",
        "lines": [{"event_type_id": kind, "start": start} for start in starts],
    }
    answer = page.request.post("/api/v1/orders", data=body)
    assert answer.status == 201, answer.text()
    SHOTS.mkdir(exist_ok=True)

    def fine(step: str) -> None:
        page.screenshot(path=SHOTS / f"order-{step}-{look}.png", full_page=True)
        assert (violations(page), overflow(page)) == ([], 0), step

    page.goto(f"/manage/order/{answer.json()['token']}")
    expect(page.get_by_role("heading", name="Your order")).to_be_visible()
    fine("draft")
    page.get_by_role("button", name="Book all of them").click()
    expect(page.get_by_role("status")).to_be_visible()
    fine("confirmed")
    page.get_by_text("Cancel the whole order").click()
    fine("sure")
    page.get_by_role("button", name="Cancel all of it").click()
    expect(page.get_by_text("Your order is cancelled.")).to_be_visible()
    fine("cancelled")


def _unaccented(page: Page) -> list[str]:
    """Words of the page, in the pseudo language, that come from no catalogue and from no data."""
    data = "Intro call|Olivia Owner|Demo|A first conversation|English|Deutsch|Berlin|Germany|GMT|Almanac"
    data += r"|Google|Outlook|\S+@\S+"
    text = page.locator("body").inner_text()
    text = re.sub(r"\[[^\]]*\]", " ", text)  # what a catalogue gave
    text = re.sub(rf"{data}|AM|PM|\b\w+day\b|\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun)\b", " ", text)
    text = re.sub(
        r"\b(January|February|March|April|May|June|July|August|September|October|November|December)\b",
        " ",
        text,
    )
    return [word for word in re.findall(r"[A-Za-z]{2,}", text) if word not in ("min", "mins")]


def test_where_a_frame_keeps_no_cookies(browser: Browser, product: Product) -> None:
    """A browser that refuses every cookie: kept, shown after a reload, back to one's own time, booked once."""
    context = new_context(browser, product.url, timezone_id="Europe/Berlin")
    page = context.new_page()
    page.route("**/*", lambda route: route.continue_(headers={**route.request.headers, "cookie": ""}))
    open_day(page, 12)
    time = slots(page).first.inner_text()
    slots(page).first.click()
    page.wait_for_load_state("networkidle")
    page.reload()
    expect(page.get_by_text("We keep this time for you until")).to_be_visible()
    page.get_by_role("link", name="Other times").click()
    page.get_by_role("button", name=time, exact=True).click()
    fill_in(page, "Frida Frame", "frida@example.org")
    expect(page.get_by_role("heading", name="You are booked")).to_be_visible()
    context.close()


def test_the_email_moves_and_cancels(product: Product, visitors: Visitors) -> None:
    """A booking made in German on a phone: its email, in German, has buttons that move and cancel it, and its HTML
    shows in the sandbox's mailbox without a barrier."""
    page, address = visitors.new(phone=True), "tour@example.org"
    day = workday(TODAY, 34)
    page.goto(f"/book/demo/intro?month={day:%Y-%m}&day={day}&lang=de")
    slots(page).nth(1).click()
    page.get_by_label("Name").fill("Thea Tour")
    page.get_by_label("E-Mail").fill(address)
    page.get_by_role("button", name="Verbindlich buchen").click()
    expect(page.get_by_role("heading", name="Ihr Termin steht")).to_be_visible()
    letter = _letter_to(product, address, "Bestätigt")
    assert "Guten Tag Thea Tour," in letter["text"]
    page.goto(f"/sandbox/mail/{letter['id']}")
    page.get_by_role("link", name="As mail programs show it").click()
    expect(page.get_by_role("heading", name="Ihre Buchung bei Demo ist bestätigt.")).to_be_visible()
    SHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SHOTS / "email-in-sandbox.png", full_page=True)
    page.goto(page.get_by_role("link", name="Verlegen").get_attribute("href") or "")
    expect(page.get_by_role("heading", name="Neue Zeit wählen")).to_be_visible()
    slots(page).last.click()
    page.get_by_role("button", name="Neue Zeit bestätigen").click()
    expect(page.get_by_role("status")).to_be_visible()
    moved = _letter_to(product, address, "Neue Zeit")
    page.goto(re.search(r"^Absagen: (\S+)", moved["text"], re.M)[1])  # type: ignore[index]
    page.get_by_role("button", name="Buchung absagen").click()
    expect(page.get_by_text("Abgesagt", exact=True)).to_be_visible()
    assert "wie gewünscht abgesagt" in _letter_to(product, address, "Abgesagt")["text"]


def _letter_to(product: Product, address: str, subject: str) -> dict[str, Any]:
    with product.google as sandbox, within(60) as waiting:
        while waiting():
            for item in sandbox.get("mail", params={"to": address}).json()["items"]:
                if item["subject"].startswith(subject):
                    return dict(item)
    pytest.fail(f"no email {subject!r} came for {address}")
