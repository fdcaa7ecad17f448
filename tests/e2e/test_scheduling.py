"""What happens around a booking: times kept while a form is filled in, moves by link, approval, editors and reasons."""

from __future__ import annotations

import re
import sqlite3
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Product, Visitors, within
from tests.e2e.test_access import overflow, violations
from tests.e2e.test_story import fill_in, open_day, slots

KEPT = re.compile(r"We keep this time for you until \d\d:\d\d")


def offer(product: Product, slug: str, **fields: Any) -> str:
    """An event type of this test, and its path."""
    with httpx.Client(base_url=f"{product.url}/api/v1", timeout=20) as api:
        token = api.post("/auth/token", json={"email": product.email, "password": product.password})
        headers = {"authorization": f"Bearer {token.json()['access_token']}"}
        made = api.post("/event-types", json={"slug": slug, "title": slug.title(), **fields}, headers=headers)
        assert made.status_code == 201, made.text
    return f"/book/demo/{slug}"


def pick(page: Page, path: str, day: int) -> str:
    """Open a booking page and pick the first time of a day."""
    open_day(page, day, path)
    time = slots(page).first.inner_text()
    slots(page).first.click()
    expect(page.get_by_role("heading", name="Who is coming?")).to_be_visible()
    return time


def turn_to_last_day(page: Page) -> None:
    """Show the times of the last day of the next month; those of today may pass before one is picked."""
    expect(slots(page).first).to_be_visible()
    page.get_by_role("link", name="Next month").click()
    page.get_by_role("link", name=re.compile("times available$")).last.click()
    expect(page.locator(".day[aria-current]")).to_have_text(re.compile(r"times available"))


def turn_staff_to_last_day(page: Page) -> None:
    """The same on the staff's page, where a booking is moved in a dialog."""
    expect(slots(page).first).to_be_visible()
    page.get_by_role("button", name="Next month").click()
    day = page.get_by_role("button", name=re.compile("times available$")).last
    with within(20) as waiting:
        while waiting() and day.get_attribute("aria-pressed") != "true":
            day.click()
            page.wait_for_timeout(300)
    expect(day).to_have_attribute("aria-pressed", "true")


def test_a_picked_time_is_kept_for_who_picked_it(visitors: Visitors) -> None:
    """Others do not see it, whatever becomes of the page; choosing another time gives it to everybody again."""
    first, second = visitors.new(), visitors.new(phone=True)
    day = open_day(first, 8)
    time = slots(first).first.inner_text()
    slots(first).first.click()
    expect(first.get_by_text(KEPT)).to_be_visible()
    assert violations(first) == []
    taken = second.get_by_role("button", name=time, exact=True)
    assert open_day(second, 8) == day
    expect(taken).to_have_count(0)
    first.reload()
    expect(first.get_by_text(KEPT)).to_be_visible()
    first.get_by_role("link", name="Other times").click()
    expect(first.get_by_role("button", name=time, exact=True)).to_be_visible()
    slots(first).nth(3).click()
    expect(first.get_by_text(KEPT)).to_be_visible()
    expect(taken).to_be_visible()
    taken.click()
    expect(second.get_by_text(KEPT)).to_be_visible()


@pytest.mark.parametrize("phone", [False, True])
def test_a_customer_moves_a_booking_by_its_link(visitors: Visitors, phone: bool) -> None:
    """The manage page offers times of the same kind, asks once, and shows the new time; the old one is free again."""
    page = visitors.new(phone=phone, dark=phone)
    open_day(page, 10 + phone)
    before = slots(page).first.inner_text()
    slots(page).first.click()
    fill_in(page, "Mona Mover", "mona@example.org")
    page.get_by_role("link", name="Change or cancel it").click()
    expect(page.get_by_text(f"{before} –")).to_be_visible()
    page.get_by_role("link", name="Move to another time").click()
    expect(slots(page).first).to_be_visible()
    assert (violations(page), overflow(page)) == ([], 0)
    turn_to_last_day(page)
    after = slots(page).last.inner_text()
    slots(page).last.click()
    page.get_by_label("Reason").fill("The train is late")
    page.get_by_role("button", name="Confirm new time").click()
    expect(page.get_by_text("Your booking has moved to the new time.")).to_be_visible()
    expect(page.get_by_text(f"{after} –")).to_be_visible()
    expect(page.get_by_role("link", name="Move to another time")).to_be_visible()


def test_notice_limits_are_explained(product: Product, visitors: Visitors) -> None:
    """Inside of the notice the buttons are gone and the page says until when they were there."""
    page = visitors.new()
    pick(page, offer(product, "notice", cancel_notice=60 * 24 * 300), 12)
    fill_in(page, "Nora Notice", "nora.notice@example.org")
    page.get_by_role("link", name="Change or cancel it").click()
    expect(page.get_by_text("Please contact the business.")).to_be_visible()
    expect(page.get_by_role("link", name="Move to another time")).to_have_count(0)
    expect(page.get_by_role("link", name="Cancel booking")).to_have_count(0)


def test_a_request_waits_until_staff_answer(product: Product, visitors: Visitors) -> None:
    """Approval is said before and after; staff see it waiting, move it, confirm it, and the customer sees that."""
    question = {"id": "topic", "label": "What is it about?", "required": True}
    path = offer(product, "approval", requires_approval=True, durations=[30, 60], questions=[question])
    customer, owner = visitors.new(), visitors.owner()
    customer.goto(path)
    expect(customer.get_by_text("Needs the host’s approval")).to_be_visible()
    customer.get_by_role("link", name="1 hr").click()
    turn_to_last_day(customer)
    slots(customer).first.click()
    customer.get_by_label("What is it about?").fill("Engines")
    fill_in(customer, "Anna Asking", "anna@example.org")
    expect(customer.get_by_role("heading", name="Your request is in")).to_be_visible()

    owner.goto("/bookings")
    expect(
        owner.get_by_role("link", name=re.compile(r"Bookings.*waiting for approval")).first
    ).to_be_visible()
    owner.get_by_role("radio", name=re.compile("Waiting")).click()
    owner.get_by_label("Event type").select_option("Approval")
    owner.get_by_role("button", name=re.compile("Anna Asking")).click()
    expect(owner.get_by_text("Engines")).to_be_visible()
    owner.get_by_role("button", name="Reschedule", exact=True).click()
    turn_staff_to_last_day(owner)
    owner.wait_for_timeout(300)
    assert violations(owner) == []
    slots(owner).last.click()
    owner.get_by_role("button", name="Confirm new time").click()
    expect(owner.get_by_text(re.compile("Rescheduled by staff, from"))).to_be_visible()
    owner.get_by_role("button", name="Confirm", exact=True).click()
    expect(owner.get_by_role("heading", name="Nothing matches")).to_be_visible()
    owner.get_by_role("radio", name="Upcoming").click()
    owner.get_by_role("button", name=re.compile("Anna Asking")).click()
    expect(owner.get_by_text("Confirmed by staff")).to_be_visible()
    customer.get_by_role("link", name="Change or cancel it").click()
    expect(customer.get_by_text("Confirmed")).to_be_visible()


def test_staff_decline_with_a_reason(product: Product, visitors: Visitors) -> None:
    """The reason stands in the history, and the time is free again."""
    path = offer(product, "decline", requires_approval=True)
    customer, owner = visitors.new(), visitors.owner()
    time = pick(customer, path, 12)
    fill_in(customer, "Dora Declined", "dora@example.org")
    expect(customer.get_by_role("heading", name="Your request is in")).to_be_visible()
    owner.goto("/bookings")
    owner.get_by_role("button", name=re.compile("Dora Declined")).click()
    owner.get_by_role("button", name="Decline", exact=True).click()
    owner.get_by_label("Reason (optional)").fill("We are closed that day")
    owner.get_by_role("alertdialog").get_by_role("button", name="Decline", exact=True).click()
    owner.get_by_role("radio", name="Cancelled").click()
    row = owner.get_by_role("button", name=re.compile("Dora Declined"))
    expect(row).to_contain_text("Declined")
    expect(row).to_have_attribute("aria-expanded", "false")
    row.click()
    expect(owner.get_by_text("Declined by staff: We are closed that day")).to_be_visible()
    open_day(customer, 12, path)
    expect(customer.get_by_role("button", name=time, exact=True)).to_be_visible()


def test_a_group_shows_the_seats_that_are_left(product: Product, visitors: Visitors) -> None:
    """Each booking takes one; no time is kept for anybody, so there is no countdown."""
    page = visitors.new(phone=True)
    path = offer(product, "class", seats=3, durations=[60], step_minutes=60)
    pick(page, path, 13)
    expect(page.get_by_text(KEPT)).to_have_count(0)
    fill_in(page, "Gus Group", "gus@example.org")
    expect(page.get_by_role("heading", name="You are booked")).to_be_visible()
    open_day(page, 13, path)
    expect(slots(page).first).to_contain_text("2 seats left")
    expect(slots(page).nth(1)).to_contain_text("3 seats left")


def test_the_editor_keeps_what_it_was_told(visitors: Visitors) -> None:
    """Units, several durations, reminders and questions come back as they were typed; errors are said at the top."""
    page = visitors.owner()
    page.goto("/settings/event-types")
    page.get_by_role("button", name="New event type").click()
    dialog = page.get_by_role("dialog")
    page.get_by_label("Title").fill("Deep dive")
    page.get_by_label("Duration").fill("45, 90")
    for part in dialog.locator("summary").all():
        part.click()
    page.get_by_label("Notice before booking", exact=True).fill("2")
    page.get_by_label("Notice before booking: unit").select_option("hours")
    page.get_by_label("1 day before").check()
    for number, label in enumerate(("Topic?", "Size?")):
        page.get_by_role("button", name="Add a question").click()
        question = page.get_by_label("Question", exact=True).nth(number)
        expect(question).to_be_focused()
        question.fill(label)
    page.get_by_label("Answer", exact=True).nth(1).select_option("Choice")
    page.get_by_label("Choices, one a line").nth(1).fill("Small\nLarge")
    page.get_by_role("button", name="Move up").nth(1).click()
    page.get_by_label("Per week").fill("")
    page.get_by_role("button", name="Save").click()
    expect(dialog.get_by_role("alert")).to_contain_text("“Per week” must be a whole number")
    assert violations(page) == []
    page.get_by_label("Per week").fill("5")
    page.get_by_role("button", name="Save").click()
    expect(dialog).to_have_count(0)
    page.get_by_role("button", name="Edit Deep dive").click()
    expect(page.get_by_label("Duration")).to_have_value("45, 90")
    for part in dialog.locator("summary").all():
        part.click()
    expect(page.get_by_label("Notice before booking", exact=True)).to_have_value("2")
    expect(page.get_by_label("Notice before booking: unit")).to_have_value("hours")
    expect(page.get_by_label("1 day before")).to_be_checked()
    expect(page.get_by_label("Question", exact=True).first).to_have_value("Size?")
    expect(page.get_by_label("Choices, one a line").first).to_have_value("Small\nLarge")


def test_staff_see_why_a_time_is_not_offered(visitors: Visitors) -> None:
    """Every rule is named, with a reason where it stands against the time."""
    page = visitors.owner()
    page.goto("/settings/event-types")
    page.get_by_role("button", name="Check a time of Intro call").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Time", exact=True).fill("03:07")
    dialog.get_by_role("button", name="Check", exact=True).click()
    expect(dialog.get_by_text("is not offered.")).to_be_visible()
    expect(dialog.get_by_text("do not fit into working hours")).to_be_visible()
    expect(dialog.get_by_text("Bookings per day: fine")).to_be_visible()
    assert violations(page) == []


def test_each_calendar_says_what_it_does_while_it_cannot_be_read(connected: Page) -> None:
    """The choice stays."""
    connected.goto("/settings/calendars")
    choice = connected.get_by_label(re.compile("^If .* cannot be read$")).first
    expect(choice).to_have_value("approve")
    choice.select_option("keep its last known state")
    expect(choice).to_have_value("keep")
    connected.reload()
    expect(choice).to_have_value("keep")
    choice.select_option("ask me to approve bookings")
    expect(choice).to_have_value("approve")


def test_a_stale_calendar_is_told_before_anybody_confirms(
    product: Product, connected: Page, visitors: Visitors
) -> None:
    """With calendars that could not be read for an hour, the form says that this is a request; and so it is. Who opened
    the form before is told when they confirm, and confirms again."""
    expect(connected.get_by_text("synced", exact=False).first).to_be_visible()
    page, path = visitors.new(phone=True), offer(product, "stale")
    pick(page, path, 6)
    told = page.get_by_text("could not be read lately. So this is a request")
    expect(told).to_have_count(0)
    database = sqlite3.connect(product.data_dir / "almanac.db", timeout=20)
    try:
        now = datetime.now(UTC)
        old, later = ((now + timedelta(hours=h)).strftime("%Y-%m-%d %H:%M:%S.%f") for h in (-1, 1))
        before = database.execute("SELECT id, synced_at FROM calendar WHERE synced_at IS NOT NULL").fetchall()
        with database:
            database.execute(
                "UPDATE calendar SET synced_at = ?, reading_due_at = NULL, failures = 1, sync_retry_at = ?",
                (old, later),
            )
        fill_in(page, "Grace Hopper", "grace@example.org")
        expect(told).to_be_visible()
        assert violations(page) == []
        page.get_by_role("button", name="Send request").click()
        expect(page.get_by_role("heading", name="Your request is in")).to_be_visible()
    finally:
        with database:
            database.executemany(
                "UPDATE calendar SET synced_at = ?, failures = 0, sync_retry_at = NULL WHERE id = ?",
                [(synced, number) for number, synced in before],
            )
        database.close()
