"""Somebody moves and deletes bookings' events in Google Calendar, and staff decide what becomes of it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Product, within

PATIENCE_MS = 60_000


def book(product: Product, name: str, skip: int) -> dict[str, Any]:
    """A booking in about three weeks, made over the API by a visitor."""
    with httpx.Client(base_url=f"{product.url}/api/v1", timeout=30) as api:
        answer = api.post("/auth/token", json={"email": product.email, "password": product.password})
        owner = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        kinds = api.get("/event-types", headers=owner).json()["items"]
        kind = next(item["id"] for item in kinds if item["slug"] == "intro")
        start = datetime.now(UTC) + timedelta(days=20)
        window = {
            "start": start.isoformat(),
            "end": (start + timedelta(days=7)).isoformat(),
            "timezone": "UTC",
        }
        slots = api.get(f"/event-types/{kind}/slots", params=window).json()["slots"]
        chosen = {"event_type_id": kind, "start": slots[skip]["start"], "timezone": "Europe/Berlin"}
        made = api.post(
            "/bookings", json=chosen | {"name": name, "email": "guest@example.org", "answers": {}}
        )
        assert made.status_code == 201, made.text
        return dict(made.json())


def event_of(product: Product, name: str) -> dict[str, Any] | None:
    """The booking's event at the sandbox's Google."""
    with product.google as google:
        items = google.get(f"/calendars/{product.email}/events", params={"limit": 1000}).json()["items"]
    return next((item for item in items if name in item.get("summary", "")), None)


def test_staff_settle_what_was_changed_in_google(product: Product, connected: Page) -> None:
    """Moved: the booking follows by one click. Deleted: the event is put back by another."""
    page, name = connected, "Olga Outside"
    book(product, name, skip=4)
    page.goto("/bookings")
    row = page.get_by_role("button", name=re.compile(name))
    expect(row).to_contain_text("Verified", timeout=PATIENCE_MS)
    event = event_of(product, name)
    assert event is not None
    path = f"/calendars/{product.email}/events/{event['id']}"
    moved = {
        side: {"dateTime": (datetime.fromisoformat(event[side]["dateTime"]) + timedelta(hours=1)).isoformat()}
        for side in ("start", "end")
    }
    with product.google as google:
        google.patch(path, json=moved).raise_for_status()
    expect(row).to_contain_text("Calendar differs", timeout=PATIENCE_MS)
    row.click()
    expect(page.get_by_text("The event was moved in")).to_be_visible()
    page.get_by_role("button", name="Follow the calendar").click()
    expect(page.get_by_text("The event was moved in")).to_have_count(0)
    expect(page.get_by_text(re.compile(r"Rescheduled \(changed in Google Calendar\)"))).to_be_visible()
    with product.google as google:
        google.delete(path).raise_for_status()
    expect(row).to_contain_text("Calendar differs", timeout=PATIENCE_MS)
    expect(page.get_by_role("button", name="Cancel the booking")).to_be_visible()
    page.get_by_role("button", name="Put it back").click()
    expect(page.get_by_text("The event was deleted in")).to_have_count(0)
    expect(row).to_contain_text("Verified", timeout=PATIENCE_MS)
    again = event_of(product, name)
    assert again is not None
    times = [datetime.fromisoformat(one["start"]["dateTime"]) for one in (again, moved)]
    assert times[0] == times[1]


def test_orphaned_events_are_taken_in_or_removed(product: Product, connected: Page) -> None:
    """Events of bookings that no backup knew: one becomes a booking again, the other goes from the calendar."""
    page = connected
    book(product, "Paula Pattern", skip=12)
    page.goto("/bookings")
    expect(page.get_by_role("button", name=re.compile("Paula Pattern"))).to_contain_text(
        "Verified", timeout=PATIENCE_MS
    )
    pattern = event_of(product, "Paula Pattern")
    assert pattern is not None
    for name, day in (("Orla Orphan", 1), ("Rita Remove", 2)):
        with product.google as google:
            path = f"/calendars/{product.email}/events"
            google.post(path, json=_of_unknown_booking(pattern, name, day)).raise_for_status()
    page.goto("/admin?tab=drift")
    taken = page.get_by_role("button", name=re.compile("^Take it into the bookings: .*Orla Orphan"))
    with within(90) as waiting:
        while waiting() and not (taken.count() and page.get_by_text("Rita Remove").count()):
            page.get_by_role("button", name="Check now").click()
            page.wait_for_timeout(3_000)
    taken.click()
    expect(page.get_by_text("The booking stands again; nobody was sent an email.")).to_be_visible()
    page.get_by_role("button", name=re.compile("^Remove it: .*Rita Remove")).click()
    page.get_by_role("alertdialog").get_by_role("button", name="Remove the event").click()
    expect(page.get_by_text("The event was removed.")).to_be_visible()
    assert event_of(product, "Rita Remove") is None
    page.goto("/bookings")
    expect(page.get_by_role("button", name=re.compile("Orla Orphan"))).to_be_visible()


def _of_unknown_booking(pattern: dict[str, Any], name: str, days: int) -> dict[str, Any]:
    """An event as the product wrote ``pattern``, of another customer on a later day, whose booking is in no table."""
    marks = dict(pattern["extendedProperties"]["private"])
    known = marks["almanac_booking"]
    marks["almanac_booking"] = known[:-2] + f"z{days}"
    text = pattern["description"].replace(known, marks["almanac_booking"])
    times = {
        side: pattern[side]
        | {"dateTime": (datetime.fromisoformat(pattern[side]["dateTime"]) + timedelta(days=days)).isoformat()}
        for side in ("start", "end")
    }
    return times | {
        "summary": pattern["summary"].replace("Paula Pattern", name),
        "description": text.replace("Paula Pattern", name),
        "extendedProperties": {"private": marks},
    }


def test_a_calendars_zone_is_chosen(connected: Page) -> None:
    """The line says which zone it is and whence, the dialog changes it, and it stays; then the calendar's own again."""
    page = connected
    page.goto("/settings/calendars")
    change = page.get_by_role("button", name="Change the time zone of Team")
    line = page.get_by_role("listitem").filter(has=change)
    expect(line).to_contain_text("read in Europe/Berlin (named by Google)")
    change.click()
    page.get_by_label("Time zone of Team", exact=True).select_option("Pacific/Auckland")
    expect(page.get_by_role("dialog")).to_contain_text("Now: Pacific/Auckland (set here).")
    page.reload()
    expect(line).to_contain_text("read in Pacific/Auckland (set here)")
    change.click()
    page.get_by_role("button", name="Use the calendar’s own zone").click()
    page.get_by_role("button", name="Done").click()
    expect(line).to_contain_text("read in Europe/Berlin (named by Google)")


def test_the_owner_chooses_what_follows(connected: Page) -> None:
    """The rule is a choice on the calendars page, and stays chosen."""
    page = connected
    page.goto("/settings/calendars")
    choice = page.get_by_label("The event was moved")
    expect(choice).to_be_enabled()
    choice.select_option("reschedule")
    expect(page.get_by_text("Saved.").first).to_be_visible()
    page.reload()
    expect(choice).to_have_value("reschedule")
    choice.select_option("flag")
    expect(choice).to_have_value("flag")
    expect(page.get_by_text("Saved.").first).to_be_visible()
