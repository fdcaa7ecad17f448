"""Customers sign in by a link that is sent to them, and see their own bookings everywhere, and nobody else's."""

from __future__ import annotations

import re
import threading
import time
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from sqlmodel import select

from calendar_app.db.session import reading
from calendar_app.db.tables import CustomerSession, Mail
from calendar_app.errors import NotFound
from calendar_app.services.bookings import customers
from tests.support.fake_provider import FakeProvider
from tests.support.pages import Page, press, visit
from tests.support.people import problem
from tests.support.scheduling import Place, bookable

GRACE = "grace@example.org"


def _links() -> list[str]:
    """The addresses in the letters that were queued for customers, oldest first."""
    with reading() as session:
        query = select(Mail).where(Mail.kind == "customer_sign_in").order_by(Mail.id)
        bodies = [mail.body for mail in session.exec(query)]
    return [match[1] for body in bodies if (match := re.search(r"https?://[^/\s]+(/my/enter/\S+)", body))]


def _asked(browser: httpx.Client, email: str) -> Page:
    return press(browser, visit(browser, "/my"), "Send me a link", email=email)


def _sent(count: int) -> str:
    """The latest of so many links; they are sent after the answer."""
    deadline = time.monotonic() + 10
    while len(_links()) < count and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(_links()) == count
    return _links()[-1]


def _signed_in(browser: httpx.Client, email: str = GRACE) -> Page:
    count = len(_links())
    _asked(browser, email)
    return press(browser, visit(browser, _sent(count + 1)), "Show my bookings")


def test_a_customer_signs_in_by_link(site: httpx.Client, other: httpx.Client, fake: FakeProvider) -> None:
    """All bookings of the address at two businesses, whatever its capitals; none of anybody else's."""
    first, second = bookable(fake), bookable(fake)
    first.book(first.at(10), guest=("Grace", "Grace@example.org"))
    second.book(second.at(11), guest=("Grace", GRACE))
    second.book(second.at(12), guest=("Mallory", "mallory@example.org"))
    page = _signed_in(site, "GRACE@example.org")
    assert page.path == "/my"
    assert first.workspace.name in page.text
    assert second.workspace.name in page.text
    assert "10:00 – 10:30" in page.text
    assert "11:00 – 11:30" in page.text
    assert "12:00" not in page.text
    assert "Your booking" in visit(site, page.link("11:00")).text
    assert "Send me a link" in [button.label for button in visit(other, "/my").buttons]
    out = press(site, page, "Sign out")
    assert "Send me a link" in [button.label for button in out.buttons]


def test_a_link_works_once_and_not_by_being_opened(
    site: httpx.Client, other: httpx.Client, place: Place
) -> None:
    """Mail programs open links; the first who presses the button is in, and nobody after."""
    place.book(place.at(10))
    _asked(site, GRACE)
    link = _sent(1)
    for browser in (site, other):
        assert visit(browser, link).status == 200
    assert "Intro call" in press(site, visit(site, link), "Show my bookings").text
    late = press(other, visit(other, link), "Show my bookings")
    assert late.status == 410
    assert "no longer works" in late.text
    assert "Send me a link" in [button.label for button in visit(other, "/my").buttons]


def test_nothing_tells_whether_an_address_has_bookings(site: httpx.Client, place: Place) -> None:
    """The answers are the same, and who has none is sent nothing."""
    place.book(place.at(10))
    pages = [_asked(site, email) for email in ("nobody@example.org", GRACE)]
    assert pages[0].html == pages[1].html
    assert _sent(1)
    wrong = _asked(site, "grace")
    assert wrong.status == 422
    assert "e-mail address like" in wrong.text
    assert wrong.form("form-0").fields["email"] == "grace"


def test_links_are_limited(site: httpx.Client, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """For an address as for a visitor, whether or not there is anything to be sent."""
    monkeypatch.setattr(customers, "LINKS_TO_ADDRESS", "2/hour")
    monkeypatch.setattr(customers, "LINKS_OF_CLIENT", "3/hour")
    statuses = [_asked(site, "nobody@example.org").status for _ in range(3)]
    assert statuses == [200, 200, 429]
    told = _asked(site, "another@example.org")
    assert told.status == 429
    assert "too many tries" in told.text


def test_links_and_sessions_end(place: Place) -> None:
    """A link after a quarter of an hour, a session after two weeks; of two who use a link at once one is in."""
    place.book(place.at(10))
    now = datetime.now(UTC)
    secrets: list[str] = []

    def write(link: str) -> tuple[str, str]:
        secrets.append(link.rpartition("/")[2])
        return "s", link

    customers.send_link(GRACE, write, now=now)
    with pytest.raises(NotFound):
        customers.enter(secrets[0], now=now + customers.LINK_LIFE)
    found: list[object] = []

    def enter() -> None:
        try:
            found.append(customers.enter(secrets[0], now=now))
        except NotFound as error:
            found.append(error)

    threads = [threading.Thread(target=enter) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (token,) = [each for each in found if isinstance(each, str)]
    assert customers.identify(token, now=now) == customers.Customer(
        customers.identify(token, now=now).session_id,
        GRACE,  # type: ignore[union-attr]
    )
    assert customers.identify(token, now=now + customers.SESSION_LIFE) is None
    customers.send_link(GRACE, write, now=now + customers.SESSION_LIFE + timedelta(days=1))
    with reading() as session:
        assert len(session.exec(select(CustomerSession)).all()) == 1, "what has ended is deleted"


def test_a_customer_has_the_role_of_one_in_the_api(site: httpx.Client, fake: FakeProvider) -> None:
    """Their own bookings, files and changes; nothing of the business, of others, or of an account."""
    place, elsewhere = bookable(fake), bookable(fake)
    mine = place.book(place.at(10))
    theirs = place.book(place.at(11), guest=("Mallory", "mallory@example.org"))
    _signed_in(site)
    me = site.get("/api/v1/me").json()
    assert (me["email"], [place_["role"] for place_ in me["workspaces"]]) == (GRACE, ["customer"])
    listed = site.get("/api/v1/bookings").json()["items"]
    assert [item["id"] for item in listed] == [mine.id]
    assert listed[0]["sync"] == []
    assert site.get(f"/api/v1/bookings/{mine.id}.ics").status_code == 200
    problem(site.get(f"/api/v1/bookings/{theirs.id}"), 404, "not_found")
    problem(site.get(f"/api/v1/bookings/{theirs.id}.ics"), 404, "not_found")
    problem(site.get("/api/v1/bookings", params={"workspace": elsewhere.workspace.slug}), 404, "not_found")
    for path in ("connections", "calendars", "schedules", "event-types", f"bookings/{mine.id}/history"):
        assert site.get(f"/api/v1/{path}").status_code == 403, path
    assert site.post("/api/v1/feeds", json={}).status_code in (403, 404, 405, 422)
    foreign = site.post(
        f"/api/v1/bookings/{mine.id}/cancel", json={}, headers={"sec-fetch-site": "cross-site"}
    )
    problem(foreign, 403, "cross_site")
    done = site.post(f"/api/v1/bookings/{mine.id}/cancel", json={"reason": "Ill"})
    assert (done.status_code, done.json()["status"]) == (200, "cancelled")
    assert [entry["who"] for entry in _history(place, mine.id)] == ["customer", "customer"]


def _history(place: Place, booking_id: str) -> list[dict[str, str]]:
    from calendar_app.services.bookings import queries

    return [{"who": entry.who} for entry in queries.history(place.owner, booking_id)]


def test_other_sites_cannot_sign_anybody_in(site: httpx.Client, place: Place) -> None:
    """A page elsewhere can neither use a link in somebody's browser nor sign them out."""
    place.book(place.at(10))
    _asked(site, GRACE)
    link = _sent(1)
    for path in (link, "/my/sign-out", "/my/link"):
        answer = site.post(path, headers={"sec-fetch-site": "cross-site"})
        assert answer.status_code == 403, path
        assert answer.headers["content-type"].startswith("text/html")
    assert customers.enter(link.rpartition("/")[2])


def test_german_letters(site: httpx.Client, place: Place) -> None:
    """The letter is in the language of the page on which it was asked for."""
    place.book(place.at(10))
    press(site, visit(site, "/my?lang=de"), "Link zusenden", email=GRACE)
    _sent(1)
    with reading() as session:
        mail = session.exec(select(Mail).where(Mail.kind == "customer_sign_in")).one()
    assert mail.subject == "Ihre Buchungen"
    assert "gilt einmal und 15 Minuten lang" in mail.body
