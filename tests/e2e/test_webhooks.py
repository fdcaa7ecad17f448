"""Webhooks on their page: made with a secret that is shown once, tested, read, sent again, paused and deleted."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from playwright.sync_api import Page, expect

from tests.e2e.conftest import RECEIVERS, SHOTS, Product, Visitors, within
from tests.e2e.test_access import overflow, settled, violations
from tests.support.receivers import Receiver, Reply, receiver

PATH = "/settings/webhooks"


def _add(page: Page, url: str) -> str:
    """Add a webhook; its secret."""
    page.get_by_label("Address").fill(url)
    page.get_by_label("What it is").fill("Our CRM")
    page.get_by_role("button", name="Add webhook").click()
    expect(page.get_by_text("Copy the secret now: it is not shown again.")).to_be_visible()
    secret = page.locator(".fresh-secret").inner_text()
    page.get_by_role("button", name="I have copied it").click()
    return secret


def _book(product: Product, page: Page) -> str:
    """Somebody books over the API; the booking's id."""
    kinds = page.request.get("/api/v1/event-types").json()["items"]
    kind = next(one for one in kinds if one["slug"] == "intro")
    start = datetime.now(UTC) + timedelta(days=2)
    span = {"start": start.isoformat(), "end": (start + timedelta(days=10)).isoformat(), "timezone": "UTC"}
    slots = page.request.get(f"/api/v1/event-types/{kind['id']}/slots", params=span).json()["slots"]
    made = page.request.post(
        "/api/v1/bookings",
        headers={"Origin": product.url},
        data={
            "event_type_id": kind["id"],
            "start": slots[-1]["start"],
            "timezone": "UTC",
            "name": "Grace Hopper",
            "email": "grace@example.org",
        },
    )
    assert made.status == 201, made.text()
    return str(made.json()["id"])


def _wait_for(running: Receiver, number: int) -> None:
    with within(60) as waiting:
        while len(running.got) < number and waiting():
            pass


def test_a_webhook_on_its_page(product: Product, visitors: Visitors) -> None:
    """An address inside is refused where it is typed; a good one gets a secret, a test and each booking, whose body and
    answer are shown and which is sent again; nothing is in anybody's way with axe, dark or on a phone."""
    page = visitors.owner()
    settled(page, PATH, "Webhooks")
    assert violations(page) == []
    page.get_by_label("Address").fill("https://10.0.0.1/hook")
    page.get_by_role("button", name="Add webhook").click()
    expect(page.get_by_text("10.0.0.1 is an address inside a private network")).to_be_visible()
    with receiver(RECEIVERS) as running:
        secret = _add(page, running.url)
        expect(page.get_by_role("heading", name="Deliveries")).to_be_visible()
        running.answer(Reply(200, b'{"thanks": true}'))
        page.get_by_role("button", name="Send a test").click()
        expect(page.get_by_role("dialog").get_by_text('{"thanks": true}')).to_be_visible()
        page.get_by_role("button", name="Close").click()
        booking = _book(product, page)
        _wait_for(running, 2)
        assert running.verified(secret)[1]["data"]["booking"]["id"] == booking
        row = (
            page.get_by_role("list", name="Deliveries")
            .get_by_role("listitem")
            .filter(has_text="booking.created")
        )
        expect(row.get_by_text("Delivered")).to_be_visible()
        row.get_by_role("button", name=re.compile("Open booking.created")).click()
        expect(page.get_by_role("dialog").get_by_text("Grace Hopper")).to_be_visible()
        SHOTS.mkdir(exist_ok=True)
        page.screenshot(path=SHOTS / "webhooks-delivery.png")
        assert violations(page) == []
        page.get_by_role("dialog").get_by_role("button", name="Send again").click()
        expect(page.get_by_text("It is sent again.")).to_be_visible()
        with within(30) as waiting:
            while waiting() and [one.id for one in running.got].count(running.got[1].id) < 2:
                pass
        assert [one.id for one in running.got].count(running.got[1].id) == 2
        page.get_by_label("Send everything again since").fill("2020-01-01T00:00")
        page.get_by_role("button", name="Send again").click()
        expect(page.get_by_text(re.compile("sent again."))).to_be_visible()
        page.screenshot(path=SHOTS / "webhooks.png", full_page=True)
        for phone, dark, name in ((True, False, "phone"), (False, True, "dark")):
            other = visitors.owner(phone=phone, dark=dark)
            settled(other, PATH, "Webhooks")
            expect(other.get_by_role("heading", name="Deliveries")).to_be_visible()
            assert violations(other) == []
            assert overflow(other) <= 0
            other.screenshot(path=SHOTS / f"webhooks-{name}.png", full_page=True)
        page.get_by_role("button", name="Pause").click()
        expect(page.get_by_text("Paused", exact=True)).to_be_visible()
        page.get_by_role("button", name="Delete").click()
        page.get_by_role("alertdialog").get_by_role("button", name="Delete").click()
        expect(page.get_by_text("No webhooks yet")).to_be_visible()
