"""Where to meet, with whom besides, and for whom: in the editor, on the form and in the staff's list."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.e2e.conftest import Product, Visitors, within
from tests.e2e.test_access import overflow, violations
from tests.e2e.test_scheduling import pick

ROOM = "https://meet.jit.si/"


def _place(page: Page, number: int, kind: str, **values: str) -> None:
    page.get_by_role("button", name="Add a meeting place").click()
    page.locator(f"#p-place-{number}-kind").select_option(kind)
    for name, value in values.items():
        page.locator(f"#p-place-{number}-{name}").fill(value)


def test_a_place_is_set_chosen_and_told(product: Product, visitors: Visitors) -> None:
    """Staff offer three places; a customer on a phone chooses one, brings a guest and books for somebody else."""
    staff = visitors.owner()
    staff.goto("/settings/event-types")
    staff.get_by_role("button", name="New event type").click()
    staff.get_by_label("Title").fill("Meeting places")
    _place(staff, 1, "jitsi")
    _place(staff, 2, "address", value="Main Street 1", label="Our office")
    _place(staff, 3, "host_calls")
    staff.get_by_text("Questions to the customer").click()
    for part in ("booked_by", "phone"):
        staff.locator(f"#{part}").select_option("optional")
    assert violations(staff) == []
    staff.get_by_role("button", name="Save").click()
    expect(staff.get_by_text("Meeting places")).to_be_visible()

    page = visitors.new(phone=True)
    pick(page, "/book/demo/meeting-places", 9)
    expect(page.get_by_text("Our office").first).to_be_visible()
    assert "Main Street" not in page.content()
    page.locator("#name").fill("Grace Hopper")
    page.locator("#email").fill("grace@example.org")
    page.get_by_label("Where to meet").select_option("Jitsi Meet")
    expect(page.get_by_label("Country of the phone number")).to_have_value("DE")
    page.locator("#phone").fill("call me")
    page.get_by_label("Guests").fill("guest@example.org")
    page.get_by_text("Are you booking for somebody else?").click()
    page.get_by_label("Your name").fill("Ada Lovelace")
    page.get_by_label("Your email").fill("ada@example.org")
    page.get_by_role("button", name="Confirm booking").last.click()
    expect(page.get_by_text("Please enter a phone number with its country")).to_be_visible()
    assert violations(page) == []
    assert overflow(page) <= 0
    expect(page.get_by_label("Guests")).to_have_value("guest@example.org")
    page.locator("#phone").fill("030 1234567")
    page.get_by_role("button", name="Confirm booking").last.click()
    expect(page.get_by_role("heading", name="You are booked")).to_be_visible()
    expect(page.locator(f"a[href^='{ROOM}']")).to_be_visible()
    expect(page.get_by_text("+49 30 1234567").first).to_be_visible()
    assert violations(page) == []

    staff.goto("/bookings")
    staff.get_by_text("Meeting places with Grace Hopper").or_(staff.get_by_text("Grace Hopper")).first.click()
    expect(staff.get_by_text("Ada Lovelace <ada@example.org>")).to_be_visible()
    expect(staff.get_by_text("guest@example.org")).to_be_visible()
    expect(staff.get_by_text(ROOM).first).to_be_visible()


def open_booking(page: Page, name: str, shows: str) -> None:
    """Open a booking in the list, again where the list was drawn anew under the first press."""
    with within(30) as waiting:
        while waiting() and not page.get_by_text(shows).first.is_visible():
            page.get_by_text(name).first.click()
            page.wait_for_timeout(1_500)
    expect(page.get_by_text(shows).first).to_be_visible()


def test_a_meeting_is_made_by_the_hosts_calendar(
    product: Product, visitors: Visitors, connected: Page
) -> None:
    """The editor offers what a calendar makes; a customer books, and learns the link as soon as it is there."""
    staff = connected
    staff.goto("/settings/event-types")
    staff.get_by_role("button", name="New event type").click()
    staff.get_by_label("Title").fill("By video")
    staff.get_by_role("button", name="Add a meeting place").click()
    expect(staff.locator("#p-place-1-kind option[value=microsoft_teams]")).to_be_disabled()
    expect(staff.get_by_text("Microsoft Teams needs a Microsoft 365 calendar")).to_be_visible()
    expect(staff.get_by_text("Google Meet needs a Google calendar")).to_have_count(0)
    staff.locator("#p-place-1-kind").select_option("google_meet")
    assert violations(staff) == []
    staff.get_by_role("button", name="Save").click()
    expect(staff.get_by_text("By video").first).to_be_visible()

    page = visitors.new(phone=True, dark=True)
    with product.google as sandbox:
        sandbox.put("google/rules/meet_never", json={"on": True}).raise_for_status()
    try:
        pick(page, "/book/demo/by-video", 9)
        expect(page.get_by_text("Google Meet").first).to_be_visible()
        page.locator("#name").fill("Video Visitor")
        page.locator("#email").fill("grace.meet@example.org")
        page.get_by_role("button", name="Confirm booking").last.click()
        expect(page.get_by_role("heading", name="You are booked")).to_be_visible()
        expect(page.get_by_text("The link follows by e-mail.")).to_be_visible()
        assert violations(page) == []
        assert overflow(page) <= 0
        staff.goto("/bookings")
        open_booking(staff, "Video Visitor", "the link is on its way")
    finally:
        with product.google as sandbox:
            sandbox.put("google/rules/meet_never", json={"on": False}).raise_for_status()
    link = page.locator("a[href*='/sandbox?meet=']")
    with within(60) as waiting:
        while waiting() and not link.is_visible():
            page.reload()
    expect(link).to_be_visible()
    with product.google as sandbox, within(60) as waiting:
        address = str(link.get_attribute("href"))
        found: list[str] = []
        while waiting() and not found:
            items = sandbox.get("mail", params={"to": "grace.meet@example.org"}).json()["items"]
            found = [item["text"] for item in items if address in item["text"]]
    assert found, "no e-mail has the link"
    staff.goto("/bookings")
    open_booking(staff, "Video Visitor", "sandbox?meet=")
    assert violations(staff) == []
