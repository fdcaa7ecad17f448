"""Customers on bad lines, and without Redis: each ends with one booking, and knows it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from redis import Redis

from calendar_app.settings import Settings
from tests.support import web
from tests.support.cut_line import CUTS, cut_line
from tests.support.databases import Database
from tests.support.fake_provider import FakeProvider
from tests.support.long_form import LONG
from tests.support.pages import Page, pick, press, request_of, visit
from tests.support.scheduling import Place, assert_consistent, bookable

CUSTOMERS = 50 if LONG else 8
KINDS = {
    "single": {},
    "round robin": {"hosting": "round_robin", "hosts": 3},
    "seats": {"seats": 4},
}


@pytest.fixture(scope="module")
def site_url() -> Iterator[str]:
    from calendar_app.api.app import create_api
    from calendar_app.booking_site.app import ErrorPages, mount_site

    api = create_api()
    mount_site(api)
    with web.served(ErrorPages(api)) as url:
        yield url


class Customer:
    """Somebody with patience: what fails is done again, as often as it takes, with what stands on the screen."""

    def __init__(self, url: str, rng: random.Random, number: int) -> None:
        self.url, self.rng, self.number = url, rng, number
        self.typed = {"name": f"Customer {number}", "email": f"customer{number}@example.org"}
        self.tries = 0

    def book(self, path: str) -> Page:
        """From the booking page to what stands on the screen at the end."""
        with httpx.Client(
            base_url=self.url, timeout=30, headers={"accept-language": "en-GB", "connection": "close"}
        ) as browser:
            for _ in range(20):
                page = self._again(lambda: visit(browser, path))
                slot = self.rng.choice(page.slots)
                chosen = page
                form = self._again(lambda: pick(browser, chosen, slot.value))  # noqa: B023 - called at once
                if "/hold/" not in form.path:
                    continue  # somebody else took it
                address, data = request_of(form, form.button("Confirm booking"), **self.typed)
                shown = self._again(lambda: Page(browser.post(address, data=data, follow_redirects=True)))  # noqa: B023
                if "You are booked" in shown.text:
                    return shown
        raise AssertionError("twenty times were taken by others")

    def _again(self, step: Callable[[], Page]) -> Page:
        for _ in range(60):
            self.tries += 1
            try:
                page = step()
            except httpx.TransportError:
                continue
            if page.status < 500:
                return page
        raise AssertionError("the line never held")


def _path(place: Place, later: int = 0) -> str:
    day = place.day.date() + timedelta(days=later)
    query = f"month={day:%Y-%m}&day={day}&tz=Europe/Berlin"
    return f"/book/{place.workspace.slug}/{place.event_type.slug}?{query}"


@pytest.mark.parametrize("kind", KINDS)
def test_lines_are_cut_at_every_step(
    site_url: str,
    database: Database,
    configure: Callable[..., Settings],
    kind: str,
    record_property: Callable[[str, object], None],
) -> None:
    """Half of all requests are cut, on the way there or back: one booking for each customer, and each is shown it."""
    configure(BOOKINGS_PER_MINUTE="100000")
    rng = random.Random(f"lines {kind}")
    cuts: Counter[str] = Counter()

    def plan() -> str:
        cut = rng.choice(CUTS) if rng.random() < 0.5 else "whole"
        cuts[cut] += 1
        return cut

    options = dict(KINDS[kind])
    with FakeProvider().installed() as fake, cut_line(site_url, plan) as url:
        place = bookable(fake, step_minutes=15, durations=[15], **options)  # type: ignore[arg-type]
        customers = [Customer(url, random.Random(f"{kind} {number}"), number) for number in range(CUSTOMERS)]
        with ThreadPoolExecutor(4) as pool:
            pages = list(
                pool.map(lambda customer: customer.book(_path(place, customer.number % 2)), customers)
            )
    assert all(page.path.split("/")[4] == "booked" for page in pages)
    made = Counter(row.email for row in assert_consistent())
    assert made == {customer.typed["email"]: 1 for customer in customers}
    assert all(cuts[cut] for cut in CUTS)
    lost = sum(cuts[cut] for cut in CUTS)
    record_property("count", f"{CUSTOMERS} customers, {lost} of {sum(cuts.values())} requests cut")


def test_redis_is_flushed_while_customers_fill_in_forms(
    site_url: str,
    database: Database,
    redis_server: Redis,
    record_property: Callable[[str, object], None],
) -> None:
    """Every one of 50 can confirm: what they have lies in the page and in the database."""
    with FakeProvider().installed() as fake:
        place = bookable(fake, step_minutes=15, durations=[15], hosting="round_robin", hosts=2)
        browsers = [
            httpx.Client(base_url=site_url, timeout=30, headers={"accept-language": "en-GB"})
            for _ in range(50)
        ]
        forms = []
        for number, browser in enumerate(browsers):
            slots = visit(browser, _path(place)).slots
            forms.append(pick(browser, visit(browser, _path(place)), slots[number % len(slots)].value))
        assert all("We keep this time for you" in form.text for form in forms)
        redis_server.flushall()
        for number, (browser, form) in enumerate(zip(browsers, forms, strict=True)):
            typed = {"name": f"Customer {number}", "email": f"customer{number}@example.org"}
            assert "You are booked" in press(browser, form, "Confirm booking", **typed).text
            browser.close()
    assert len(assert_consistent()) == 50
    record_property("count", "50 forms, 50 bookings")


def test_redis_goes_away_while_a_form_is_filled_in(
    site_url: str, database: Database, redis_server: Redis, configure: Callable[..., Settings], tmp_path: Path
) -> None:
    """Nor does it matter that it is gone altogether."""
    with FakeProvider().installed() as fake, httpx.Client(base_url=site_url, timeout=30) as browser:
        place = bookable(fake)
        form = pick(browser, visit(browser, _path(place)))
        configure(REDIS_URL=f"unix://{tmp_path}/gone.sock")
        done = press(browser, form, "Confirm booking", name="Grace", email="grace@example.org")
        assert "You are booked" in done.text
