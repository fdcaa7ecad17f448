"""The first day again with every other kind of calendar, and with all of them at once."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Product, Visitors, sign_up, within
from tests.e2e.test_story import PATIENCE_MS, fill_in, open_day, slots

BERLIN = ZoneInfo("Europe/Berlin")
WRITING = ("google", "microsoft", "caldav")
ALL = (*WRITING, "calendly")
BUTTONS = {
    "google": "Connect Google",
    "microsoft": "Connect Microsoft",
    "calendly": "Connect Calendly",
    "caldav": "Connect CalDAV",
}


class Held:
    """What one provider's stand-in holds, and changes to it behind the product's back."""

    def __init__(self, product: Product, provider: str) -> None:
        self._base = f"{product.url}/sandbox/api/{provider}"
        self._email = product.email

    def _ask(self, method: str, path: str, **options: Any) -> Any:
        answer = httpx.request(method, self._base + path, timeout=20, **options).raise_for_status()
        return answer.json() if answer.content else None

    def account(self) -> dict[str, Any]:
        accounts = self._ask("GET", "/accounts")["items"]
        return next(dict(one) for one in accounts if one["email"] == self._email)

    def calendar(self) -> str:
        """The account's first calendar, which receives bookings unless somebody chooses otherwise."""
        return quote(str(self.account()["calendars"][0]["id"]), safe="")

    def titles(self) -> list[str]:
        return [event["title"] for one in self.account()["calendars"] for event in one["events"]]

    def add(self, title: str, start: datetime, minutes: int = 60) -> str:
        end = start + timedelta(minutes=minutes)
        body = {"title": title, "start": start.isoformat(), "end": end.isoformat()}
        return str(self._ask("POST", f"/calendars/{self.calendar()}/events", json=body)["id"])

    def delete(self, event_id: str) -> None:
        self._ask("DELETE", f"/calendars/{self.calendar()}/events/{quote(event_id, safe='')}")


def newcomer(visitors: Visitors, name: str, page: Page | None = None) -> tuple[Page, str]:
    """Somebody with a fresh workspace, at its dashboard; the page, and where they are booked."""
    page = page or visitors.new()
    sign_up(page, visitors.product, name, f"{name.lower()}@example.com", f"{name} Studio")
    return page, f"/book/{name.lower()}-studio/intro"


def connect(page: Page, product: Product, provider: str) -> None:
    """From the calendars page through whatever the provider asks, until its first reading is done."""
    page.goto("/settings/calendars")
    page.get_by_role("button", name=BUTTONS[provider]).click()
    if provider == "caldav":
        address, password = sign_in_of(Held(product, "caldav").account()["hint"])
        page.get_by_label("Email or server address").fill(address)
        page.get_by_label("User name").fill(product.email)
        page.get_by_label("App password").fill(password)
        page.get_by_role("button", name="Connect", exact=True).click()
    else:
        page.get_by_role("button", name="Allow").click()
        page.wait_for_url("**/settings/calendars?connected=*")
    card = page.get_by_role("region", name=re.compile(f" account {product.email}$")).filter(
        has=page.locator(f'img[src$="{provider}.svg"]')
    )
    expect(card.get_by_text("Synced", exact=False).first).to_be_visible(timeout=PATIENCE_MS)


def sign_in_of(hint: str) -> tuple[str, str]:
    """The address and the password out of what the sandbox says about its CalDAV server."""
    address, password = re.search(r"https?://\S+", hint), re.search(r"password (\S+)", hint)
    assert address is not None
    assert password is not None
    return address[0].rstrip(".,;"), password[1].rstrip(".,;")


def evening() -> datetime:
    """Tomorrow at eight, when nobody is booked."""
    return datetime.now(BERLIN).replace(hour=20, minute=0, second=0, microsecond=0) + timedelta(days=1)


@pytest.mark.parametrize("provider", ["microsoft", "caldav"])
def test_the_story_with(provider: str, product: Product, visitors: Visitors) -> None:
    """Connect, see an outside change arrive, be booked, find the booking at the provider, cancel it, find it gone."""
    held, name = Held(product, provider), f"{provider.capitalize()}fan"
    owner, booking_page = newcomer(visitors, name)
    connect(owner, product, provider)
    owner.goto("/dashboard")
    event = held.add(f"Rehearsal {provider}", evening())
    if provider == "caldav":  # a server that cannot tell us is asked
        owner.get_by_role("button", name="Sync now").first.click()
    expect(owner.get_by_text(f"Rehearsal {provider}").first).to_be_visible(timeout=PATIENCE_MS)
    held.delete(event)

    customer = visitors.new(zone="Europe/London")
    open_day(customer, 2, booking_page)
    slots(customer).first.click()
    fill_in(customer, f"Ada {name}", "ada@example.org")
    expect(customer.get_by_role("heading", name="You are booked")).to_be_visible()
    owner.goto("/bookings")
    row = owner.get_by_role("button", name=re.compile(f"Ada {name}"))
    expect(row).to_contain_text("Verified", timeout=PATIENCE_MS)
    assert [title for title in held.titles() if f"Ada {name}" in title] == [f"Intro call with Ada {name}"]

    customer.get_by_role("link", name="Change or cancel it").click()
    customer.get_by_role("link", name="Cancel booking").click()
    customer.get_by_label("Reason").fill("Something came up")
    customer.get_by_role("button", name="Cancel booking").click()
    expect(customer.get_by_text("Your booking is cancelled.")).to_be_visible()
    with within(60) as waiting:
        while waiting() and any(f"Ada {name}" in title for title in held.titles()):
            pass
    assert not [title for title in held.titles() if f"Ada {name}" in title]


def test_the_story_with_calendly(product: Product, visitors: Visitors) -> None:
    """Connect, see what customers can book there and what they booked; call one off, and find it gone at Calendly."""
    held = Held(product, "calendly")
    owner, _ = newcomer(visitors, "Calendlyfan")
    connect(owner, product, "calendly")
    owner.get_by_role("link", name="Appointments").click()
    offered = owner.get_by_role("region", name="What customers can book")
    expect(offered.get_by_text("Intro call")).to_be_visible()
    held.add("Rehearsal calendly", evening())
    booked = owner.get_by_role("region", name="Coming up").get_by_role("listitem")
    mine = booked.filter(has_text="Rehearsal calendly")
    expect(mine).to_be_visible(timeout=PATIENCE_MS)
    mine.get_by_role("button", name="Cancel appointment").click()
    owner.get_by_label("Reason (optional)").fill("Something came up")
    owner.get_by_role("button", name="Cancel appointment", exact=True).click()
    expect(mine).to_have_count(0)
    assert "Rehearsal calendly" not in held.titles()


def test_an_owner_gives_their_addresses_at_a_caldav_server(product: Product, visitors: Visitors) -> None:
    """The card asks for them, refuses what is no address and loses nothing of it, and keeps them in either spelling."""
    page, _ = newcomer(visitors, "Addressfan")
    connect(page, product, "caldav")
    typed = page.get_by_label("Your addresses at this server")
    save = page.get_by_role("button", name=re.compile("^Save the addresses of"))
    typed.fill("Choir@Example.org, nonsense")
    save.click()
    expect(page.get_by_text(re.compile("nonsense.* e-mail address")).first).to_be_visible()
    expect(typed).to_have_value("Choir@Example.org, nonsense")
    typed.fill("Choir@Example.org; choir@example.com")
    save.click()
    expect(page.get_by_text("Saved. The calendars are read anew.")).to_be_visible()
    expect(typed).to_have_value("choir@example.org, choir@example.com")
    page.reload()
    expect(typed).to_have_value("choir@example.org, choir@example.com")
    expect(page.get_by_text("The server tells no address of yours.")).to_have_count(0)
    typed.fill("")
    save.click()
    expect(page.get_by_text("Saved. The calendars are read anew.").first).to_be_visible()
    page.reload()
    expect(typed).to_have_value("")


def test_four_accounts_block_and_receive(product: Product, visitors: Visitors) -> None:
    """With Google, Microsoft, CalDAV and Calendly in one workspace an event in any of them closes its time, and a
    booking lands once in each calendar that takes bookings."""
    owner, booking_page = newcomer(visitors, "Quadra")
    for provider in ALL:
        connect(owner, product, provider)
    for name in ("Calendar", "Personal", product.email):
        switch = owner.get_by_role("switch", name=f"Write bookings here: {name}", exact=True)
        if switch.get_attribute("aria-checked") == "false":
            switch.click()
        expect(switch).to_be_checked()
    expect(owner.get_by_role("switch", name="Write bookings here: Calendly", exact=True)).to_be_disabled()

    visitor = visitors.new()
    day = open_day(visitor, 3, booking_page)
    times = [slots(visitor).nth(index).inner_text() for index in (0, 4, 8, 12)]
    for provider, at in zip(ALL, times, strict=True):
        start = datetime.fromisoformat(f"{day}T{at}").replace(tzinfo=BERLIN)
        Held(product, provider).add(f"Busy at {provider}", start, 15)
    owner.goto("/settings/calendars")
    with within(90) as waiting:
        while waiting() and any(visitor.get_by_role("button", name=at, exact=True).count() for at in times):
            for button in owner.get_by_role("button", name="Sync now").all():
                button.click()
            visitor = visitors.new()
            assert open_day(visitor, 3, booking_page) == day
    for at in times:
        expect(visitor.get_by_role("button", name=at, exact=True)).to_have_count(0)

    slots(visitor).last.click()
    fill_in(visitor, "Ada Everywhere", "ada@example.org")
    expect(visitor.get_by_role("heading", name="You are booked")).to_be_visible()
    owner.goto("/bookings")
    row = owner.get_by_role("button", name=re.compile("Ada Everywhere"))
    expect(row).to_contain_text("Verified", timeout=PATIENCE_MS)
    with within(60) as waiting:
        while waiting() and not all(
            any("Ada Everywhere" in title for title in Held(product, one).titles()) for one in WRITING
        ):
            pass
    for provider in WRITING:
        found = [title for title in Held(product, provider).titles() if "Ada Everywhere" in title]
        assert found == ["Intro call with Ada Everywhere"], provider
    assert not any("Ada Everywhere" in title for title in Held(product, "calendly").titles())
