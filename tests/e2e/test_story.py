"""What a newcomer does on the first day: connect, watch, be booked, find the booking, see it go again."""

from __future__ import annotations

import os
import re
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from calendar_app.sandbox.google.seed import workday
from tests.e2e.conftest import ROOT, Product, Visitors, allow_google, sign_in, sign_up, within

BERLIN = ZoneInfo("Europe/Berlin")
PATIENCE_MS = 60_000
TODAY = datetime.now(BERLIN).date()
DAYS = [workday(TODAY, 15 + number) for number in range(14)]
"""Days that can be booked on whatever day this runs: after all that the stand-ins are planted with, and within the 60
days that are offered. Every test that needs one to itself has one of its own."""
SIGN_IN = re.compile(r"/login\?next=")


def google_events(product: Product, **query: Any) -> list[dict[str, Any]]:
    """What the owner's primary calendar holds at the sandbox's Google."""
    with product.google as google:
        answer = google.get(f"/calendars/{product.email}/events", params={"limit": 500, **query})
        answer.raise_for_status()
        return list(answer.json()["items"])


def put_event(product: Product, title: str, day: date, start: str, end: str) -> dict[str, Any]:
    """Somebody writes an event in Google Calendar: an outside change."""
    times = {
        name: {"dateTime": datetime.fromisoformat(f"{day}T{at}").replace(tzinfo=BERLIN).isoformat()}
        for name, at in (("start", start), ("end", end))
    }
    with product.google as google:
        answer = google.post(f"/calendars/{product.email}/events", json={"summary": title, **times})
        answer.raise_for_status()
        return dict(answer.json())


def slots(page: Page) -> Locator:
    """The times of the chosen day on a customer's page."""
    return page.locator(".slot")


def open_day(page: Page, index: int, path: str = "/book/demo/intro") -> date:
    """Open the booking page at the ``index``-th of :data:`DAYS`, and return that day."""
    day = DAYS[index]
    page.goto(f"{path}?month={day:%Y-%m}&day={day}")
    expect(slots(page).first).to_be_visible()
    return day


def fill_in(page: Page, name: str, email: str) -> None:
    page.get_by_label("Name").fill(name)
    page.get_by_label("Email").fill(email)
    page.get_by_role("button", name=re.compile("Confirm booking|Send request")).click()


def test_the_whole_story(first_day: tuple[Product, Visitors]) -> None:
    """Connect in three clicks, see events change live, be booked, find it in Google, cancel it, find it gone."""
    product, visitors = first_day
    owner = visitors.new()
    sign_in(owner, product.email, product.password)
    owner.wait_for_url("**/dashboard")
    tomorrow = datetime.now(BERLIN).date() + timedelta(days=1)
    put_event(product, "Breakfast with the landlord", tomorrow, "07:00", "07:45")
    allow_google(owner)
    expect(owner.get_by_text("The account is connected.")).to_be_visible()
    expect(
        owner.get_by_role("complementary", name="Coming up").get_by_text("Breakfast with the landlord").first
    ).to_be_visible(timeout=PATIENCE_MS)

    event = put_event(product, "Dress rehearsal", tomorrow, "20:00", "21:00")
    expect(owner.get_by_text("Dress rehearsal").first).to_be_visible(timeout=PATIENCE_MS)
    with product.google as google:
        google.delete(f"/calendars/{product.email}/events/{event['id']}").raise_for_status()
    expect(owner.get_by_text("Dress rehearsal")).to_have_count(0, timeout=PATIENCE_MS)

    customer = visitors.new(zone="America/New_York")
    open_day(customer, 2)
    expect(customer.get_by_text("New York").first).to_be_visible()
    slots(customer).first.click()
    fill_in(customer, "Ada Example", "ada@example.org")
    expect(customer.get_by_role("heading", name="You are booked")).to_be_visible()
    expect(customer.get_by_text("New York, United States")).to_be_visible()

    owner.goto("/bookings")
    row = owner.get_by_role("button", name=re.compile("Ada Example"))
    expect(row).to_contain_text("Verified", timeout=PATIENCE_MS)
    mine = [item for item in google_events(product) if "Ada Example" in str(item)]
    assert len(mine) == 1, "the booking stands in Google exactly once"
    row.click()
    expect(owner.get_by_role("heading", name="In the calendars")).to_be_visible()

    ics = customer.get_by_role("link", name=re.compile("Calendar file")).get_attribute("href")
    answer = httpx.get(f"{product.url}{ics}")
    assert answer.status_code == 200
    assert "BEGIN:VEVENT" in answer.text

    customer.get_by_role("link", name="Change or cancel it").click()
    customer.get_by_role("link", name="Cancel booking").click()
    customer.get_by_label("Reason").fill("Something came up")
    customer.get_by_role("button", name="Cancel booking").click()
    expect(customer.get_by_text("Your booking is cancelled.")).to_be_visible()
    with within(60) as waiting:
        while waiting() and any(
            item["id"] == mine[0]["id"] for item in google_events(product, deleted="false")
        ):
            pass
    assert not [item for item in google_events(product, deleted="false") if item["id"] == mine[0]["id"]]
    owner.get_by_role("radio", name="Cancelled").click()
    removed = re.compile("Ada Example.*Removed", re.S)
    expect(owner.get_by_role("button", name=removed)).to_be_visible(timeout=PATIENCE_MS)


def test_a_denied_consent_is_said_in_words(visitors: Visitors) -> None:
    """Pressing "Deny" at Google leads back with one clear sentence, and nothing is connected by it."""
    page = visitors.owner()
    page.goto("/settings/calendars")
    page.get_by_role("button", name="Connect Google").first.click()
    page.get_by_role("button", name="Deny").click()
    page.wait_for_url("**/settings/calendars?error=*")
    expect(page.get_by_role("alert")).to_contain_text("Access was not granted")


def test_a_wrong_password_is_said_in_words(product: Product, visitors: Visitors) -> None:
    """The form comes back with a sentence that does not tell which of the two was wrong."""
    page = visitors.new()
    sign_in(page, product.email, "not the password")
    expect(page.get_by_role("alert")).to_contain_text("email address or the password is wrong")
    expect(page.get_by_label("Email")).to_be_visible()


def test_a_foreign_state_connects_nothing(visitors: Visitors) -> None:
    """A callback with a made-up state leads to a sentence, not to a stack."""
    page = visitors.owner()
    page.goto("/api/v1/connections/google/callback?state=made-up&code=anything")
    page.wait_for_url("**/settings/calendars?error=state_invalid")
    expect(page.get_by_role("alert")).to_contain_text("expired or was started in another browser")


def test_a_slot_that_was_just_taken_keeps_what_was_typed(
    product: Product, visitors: Visitors, connected: Page
) -> None:
    """Two visitors choose the same time: the second is told so, gets fresh times, and does not type again."""
    first, second = visitors.new(), visitors.new()
    assert open_day(first, 4) == open_day(second, 4)
    slots(second).last.click()
    second.get_by_label("Name").fill("Linus Example")
    second.get_by_label("Email").fill("linus@example.org")
    second.get_by_role("link", name="Other times").click()
    expect(slots(second).first).to_be_visible()
    time = slots(first).first.inner_text()
    slots(first).first.click()
    fill_in(first, "Grace Example", "grace@example.org")
    expect(first.get_by_role("heading", name="You are booked")).to_be_visible()
    expect(second.get_by_role("status")).to_contain_text(f"{time} was just taken.")
    expect(second.get_by_role("button", name=time, exact=True)).to_have_count(0)
    slots(second).first.click()
    expect(second.get_by_label("Name")).to_have_value("Linus Example")
    expect(second.get_by_label("Email")).to_have_value("linus@example.org")


def test_an_event_in_google_closes_its_time(product: Product, visitors: Visitors, connected: Page) -> None:
    """A time that the owner fills in Google Calendar is not offered any more."""
    page = visitors.new()
    day = open_day(page, 6)
    taken = slots(page).first.inner_text()
    start = datetime.fromisoformat(f"{day}T{taken}")
    put_event(product, "Dentist, far away", day, taken, f"{start + timedelta(minutes=10):%H:%M}")
    with within(60) as waiting:
        while waiting() and page.get_by_role("button", name=taken, exact=True).count():
            assert open_day(page, 6) == day
    expect(page.get_by_role("button", name=taken, exact=True)).to_have_count(0)


def test_a_link_that_leads_nowhere_says_so(visitors: Visitors) -> None:
    """Unknown pages, businesses and manage links get a page, not an error."""
    page = visitors.new()
    page.goto("/book/nobody/nothing")
    expect(page.get_by_role("heading", name="Page not found")).to_be_visible()
    page.goto("/book/nobody")
    expect(page.get_by_role("heading", name="Page not found")).to_be_visible()
    page.goto("/manage/made-up")
    expect(page.get_by_role("heading", name="Page not found")).to_be_visible()
    answer = page.goto("/no/such/page")
    assert answer is not None
    assert answer.status == 404
    expect(page.get_by_role("heading", name="Page not found")).to_be_visible()


def test_a_signed_out_visitor_is_sent_to_sign_in_and_back(product: Product, visitors: Visitors) -> None:
    """A page of the workspace asks for a sign-in and then opens; signing out closes it again."""
    page = visitors.new()
    page.goto("/settings/availability")
    page.wait_for_url(SIGN_IN)
    page.get_by_label("Email").fill(product.email)
    page.get_by_label("Password").fill(product.password)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url("**/settings/availability")
    expect(page.get_by_role("heading", name="Availability")).to_be_visible()
    page.get_by_role("button", name="Account and workspace").click()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/login")
    page.goto("/dashboard")
    page.wait_for_url(SIGN_IN)


def test_newcomers_make_their_own_workspace(product: Product, visitors: Visitors) -> None:
    """Signing up leads to a dashboard of one's own, which holds nothing of anybody else's."""
    page = visitors.new()
    sign_up(page, product, "Nora Newcomer", "nora@example.com", "Nora’s Studio")
    expect(page.get_by_role("heading", name="Connect your first calendar")).to_be_visible()
    page.goto("/bookings")
    expect(page.get_by_role("heading", name="No bookings are coming up")).to_be_visible()


def test_disconnecting_and_connecting_again(product: Product, visitors: Visitors) -> None:
    """A person disconnects their account after being asked, sees that it is gone, and brings it back as one."""
    page = visitors.new()
    sign_up(page, product, "Dora Disconnect", "dora@example.com")
    page.get_by_role("button", name="Connect Google").first.click()
    page.get_by_label("Another e-mail address").fill("dora.other@example.com")
    page.get_by_role("button", name="Allow").click()
    page.wait_for_url("**/dashboard?connected=*")
    page.goto("/settings/calendars")
    account = page.get_by_role("region", name="Google account dora.other@example.com")
    account.get_by_role("button", name="Test connection").click()
    expect(page.get_by_text("The connection works")).to_be_visible()
    account.get_by_role("button", name="Disconnect").click()
    page.get_by_role("alertdialog").get_by_role("button", name="Disconnect").click()
    expect(page.get_by_role("heading", name="No calendar is connected")).to_be_visible()
    page.get_by_role("button", name="Connect Google").click()
    page.get_by_label("Another e-mail address").fill("dora.other@example.com")
    page.get_by_role("button", name="Allow").click()
    page.wait_for_url("**/settings/calendars?connected=*")
    expect(page.get_by_role("region", name=re.compile("^Google account"))).to_have_count(1)
    expect(account.get_by_role("switch", name=re.compile("^Check for conflicts")).first).to_be_visible()
    switches = [
        account.get_by_role("switch", name=re.compile(f"^{label}")).first
        for label in ("Check for conflicts", "Write bookings here", "Show on the dashboard")
    ]
    for switch in switches:
        switch.click()
        expect(switch).not_to_be_checked()
    expect(account.get_by_text("Not used: its events are not read.")).to_have_count(1)
    switches[-1].click()
    expect(account.get_by_text("Not used: its events are not read.")).to_have_count(0)


def test_working_hours_decide_what_is_offered(product: Product, visitors: Visitors, connected: Page) -> None:
    """Closing a weekday in the editor takes its times off the booking page."""
    page = connected
    page.goto("/settings/availability")
    friday = page.get_by_role("switch", name="Open on Friday")
    friday.click()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Your hours are saved.")).to_be_visible()
    visitor = visitors.new()
    visitor.goto("/book/demo/intro")
    expect(slots(visitor).first).to_be_visible()
    expect(visitor.get_by_role("link", name=re.compile("^Friday"))).to_have_count(0)
    expect(visitor.get_by_role("link", name=re.compile("^Thursday")).first).to_be_visible()
    friday.click()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("button", name="Save", exact=True)).to_be_disabled()


@pytest.mark.skipif(
    not os.environ.get("UPDATE_SCREENSHOT"), reason="UPDATE_SCREENSHOT=1 takes docs/screenshot.png"
)
def test_takes_the_picture_of_the_readme(connected: Page) -> None:
    """The dashboard as the README shows it."""
    expect(
        connected.get_by_role("complementary", name="Coming up").get_by_role("listitem").first
    ).to_be_visible()
    connected.get_by_role("button", name=re.compile("^Next")).click()
    connected.wait_for_timeout(1_500)
    picture = Path(ROOT / "docs" / "screenshot.png")
    connected.screenshot(path=picture)
    assert picture.stat().st_size > 20_000
