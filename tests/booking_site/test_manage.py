"""What a customer does with a booking or an order by its link, without JavaScript."""

from __future__ import annotations

import socket
from datetime import UTC
from urllib.parse import urlsplit

import httpx
import icalendar
import pytest
from redis import Redis
from sqlalchemy.exc import OperationalError

from calendar_app.domain.booking_form import GivenDetails
from calendar_app.services.bookings import queries as booking_queries
from calendar_app.services.event_types import commands as event_type_commands
from calendar_app.services.event_types import queries as event_type_queries
from calendar_app.services.orders import commands as order_commands
from calendar_app.services.orders import queries as order_queries
from tests.support import web
from tests.support.databases import Database
from tests.support.fake_provider import FakeProvider
from tests.support.pages import Page, pick, press, request_of, visit
from tests.support.scheduling import GUEST, ZONE, Place, assert_consistent, bookable


def _link(place: Place, hour: int = 10) -> str:
    return f"/manage/{place.book(place.at(hour)).manage_token}"


def test_a_booking_is_moved_with_a_reason(site: httpx.Client, place: Place) -> None:
    """Choose a time, say why, confirm; sent again, nothing more happens; staff read the reason."""
    link = _link(place)
    page = visit(site, link)
    assert "10:00 – 10:30" in page.text
    day = place.day.date()
    times = visit(site, f"{page.link('Move to another time')}?month={day:%Y-%m}&day={day}")
    assert "10:00" not in times.links
    sure = visit(site, times.link("11:30"))
    assert "Move it to this time?" in sure.text
    address, data = request_of(sure, sure.button("Confirm new time"), reason="The train is late")
    first, again = site.post(address, data=data), site.post(address, data=data)
    assert first.headers["location"] == again.headers["location"]
    done = visit(site, first.headers["location"])
    assert "has moved to the new time" in done.text
    assert "11:30 – 12:00" in done.text
    (row,) = assert_consistent()
    assert row.start_at == place.at(11, 30).astimezone(UTC)
    history = booking_queries.history(place.owner, row.id)
    assert [entry.detail.get("reason") for entry in history] == [None, "The train is late"]


def test_a_time_that_was_taken_meanwhile(site: httpx.Client, place: Place) -> None:
    """The booking stands as it was, and other times are offered."""
    link = _link(place)
    day = place.day.date()
    times = visit(site, f"{link}/move?month={day:%Y-%m}&day={day}")
    sure = visit(site, times.link("11:30"))
    place.book(place.at(11, 30), guest=("Quick", "quick@example.org"))
    told = press(site, sure, "Confirm new time")
    assert "Your booking stands as it was" in told.text
    assert "11:30" not in told.links
    assert "Your booking stands as it was" in visit(site, times.link("11:30")).text


def test_a_booking_is_cancelled(site: httpx.Client, place: Place) -> None:
    """Asked once, with a reason; again, nothing more happens; then it can be booked anew."""
    link = _link(place)
    asked = visit(site, visit(site, link).link("Cancel booking"))
    assert "Cancel this booking?" in asked.text
    assert assert_consistent()[0].status == "confirmed", "reading cancels nothing"
    done = press(site, asked, "Cancel booking", reason="Ill")
    assert "Your booking is cancelled" in done.text
    assert "Cancelled" in done.text
    press(site, asked, "Cancel booking", reason="Ill")
    assert assert_consistent()[0].cancel_reason == "Ill"
    again = visit(site, done.link("Book another time"))
    assert again.slots
    assert "Your booking is cancelled" not in visit(site, link).text
    assert visit(site, f"{link}/cancel").path == link
    assert visit(site, f"{link}/move").path == link


def test_what_was_typed_survives_an_error(site: httpx.Client, place: Place) -> None:
    """A reason with control characters is refused with words, and stays in its field."""
    link = _link(place)
    asked = visit(site, f"{link}/cancel")
    told = press(site, asked, "Cancel booking", reason="Ill\x07")
    assert told.status == 422
    assert "cannot be used here" in told.text
    assert assert_consistent()[0].status == "confirmed"
    long = press(site, asked, "Cancel booking", reason="x" * 200_000)
    assert long.status == 422


def test_notice_limits_are_explained(site: httpx.Client, fake: FakeProvider) -> None:
    """After the last moment nothing can be changed, and the page says so; so does a page that was opened before."""
    place = bookable(fake)
    link = _link(place)
    asked = visit(site, f"{link}/cancel")
    event_type_commands.update_event_type(place.owner, place.event_type.id, {"cancel_notice": 60 * 24 * 300})
    page = visit(site, link)
    assert "It could be moved or cancelled here until" in page.text
    assert "Cancel booking" not in page.links
    told = press(site, asked, "Cancel booking")
    assert told.status == 409
    assert "cannot be changed here any more" in told.text


@pytest.mark.parametrize("path", ["", "/cancel", "/move", "/move/times", "/move/zones", "/booking.ics"])
@pytest.mark.parametrize("token", ["made-up", "x" * 3_000, "%00", "order"])
def test_links_that_lead_nowhere(site: httpx.Client, place: Place, token: str, path: str) -> None:
    """One page for all of them, which tells nothing."""
    answer = site.get(f"/manage/{token}{path}")
    assert answer.status_code == 404
    assert "Page not found" in answer.text
    assert site.post(f"/manage/{token}{path}").status_code in (404, 405)


def test_a_link_s_page_tells_nobody_its_address(site: httpx.Client, place: Place) -> None:
    """No referrer, no cache, no index, no frame; the file is the customer's."""
    link = _link(place)
    headers = site.get(link).headers
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
    assert headers["x-frame-options"] == "DENY"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    answer = site.get(f"{link}/booking.ics")
    (event,) = icalendar.Calendar.from_ical(answer.text).walk("VEVENT")
    assert event.decoded("dtstart") == place.at(10).astimezone(UTC)
    assert GUEST[1] not in str(event["summary"])


def test_an_order(site: httpx.Client, place: Place) -> None:
    """A draft is confirmed as a whole, its bookings are linked, and all of it is cancelled."""
    lines = [order_commands.NewLine(place.event_type.id, place.at(hour)) for hour in (10, 11)]
    token = order_commands.create(lines, ZONE, *GUEST).token
    page = visit(site, f"/manage/order/{token}")
    assert "Nothing of it is booked yet" in page.text
    done = press(site, page, "Book all of them")
    assert "All appointments of your order are booked" in done.text
    press(site, page, "Book all of them")
    assert len(assert_consistent()) == 2
    links = [href for href in done.links.values() if href.startswith("/manage/") and "order" not in href]
    assert len(links) == 2
    assert "Your booking" in visit(site, links[0]).text
    gone = press(site, done, "Cancel all of it", reason="Moved away")
    assert "Your order is cancelled" in gone.text
    assert {row.status for row in assert_consistent()} == {"cancelled"}
    assert visit(site, "/manage/order/made-up").status == 404


def test_an_order_says_where(site: httpx.Client, fake: FakeProvider) -> None:
    """The page of a draft names each place; who confirms on it is written to in its language."""
    places = [{"id": "a", "kind": "host_calls", "value": "", "label": ""}]
    place = bookable(fake, meeting_places=places, form_parts={})
    line = order_commands.NewLine(
        place.event_type.id, place.at(10), given=GivenDetails(phone="+49 30 1234567")
    )
    token = order_commands.create([line], ZONE, *GUEST).token
    page = visit(site, f"/manage/order/{token}?lang=de")
    assert "Telefon: Wir rufen Sie an" in page.text
    press(site, page, "Alle buchen")
    (booking,) = order_queries.by_token(token).bookings
    assert (booking.language, booking.phone, booking.place.kind) == ("de", "+49301234567", "host_calls")


def test_an_order_whose_time_was_taken(site: httpx.Client, place: Place) -> None:
    """Nothing of it is booked, and the page says so."""
    lines = [order_commands.NewLine(place.event_type.id, place.at(hour)) for hour in (10, 11)]
    page = visit(site, f"/manage/order/{order_commands.create(lines, ZONE, *GUEST).token}")
    place.book(place.at(11), guest=("Quick", "quick@example.org"))
    told = press(site, page, "Book all of them")
    assert told.status == 409
    assert "just taken" in told.text
    assert len(assert_consistent()) == 1


def test_pages_of_errors(site: httpx.Client, place: Place) -> None:
    """Unknown addresses, methods that are none of a page's, HEAD as GET."""
    for path in (
        "/book",
        "/book/nobody",
        "/book/nobody/nothing",
        "/book/%00/%ff",
        "/book/a/b/c/d",
        "/manage",
    ):
        answer = site.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=utf-8"), path
        assert "Page not found" in Page(answer).text
    for path in ('/book/"><script>alert(1)</script>', '/manage/x?a="><script>alert(1)</script>', "/my/<b>/y"):
        assert "<script>alert" not in site.get(path).text
    assert site.delete(f"/book/{place.workspace.slug}").status_code == 405
    head = site.head(f"/book/{place.workspace.slug}/{place.event_type.slug}")
    assert (head.status_code, head.content) == (200, b"")
    event_type_commands.update_event_type(place.owner, place.event_type.id, {"is_active": False})
    assert (
        "Not bookable right now" in visit(site, f"/book/{place.workspace.slug}/{place.event_type.slug}").text
    )
    assert "Nothing to book right now" in visit(site, f"/book/{place.workspace.slug}").text


def test_headers_of_booking_pages(site: httpx.Client, place: Place) -> None:
    """A booking page may be framed, and nothing but this site's own files is allowed on it; files are kept for ever."""
    answer = site.get(f"/book/{place.workspace.slug}/{place.event_type.slug}")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors *" in policy
    assert "x-frame-options" not in answer.headers
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert " style=" not in answer.text
    assert "<script>" not in answer.text
    for name in ("site.css", "site.js"):
        (address,) = {part.split('"')[0] for part in answer.text.split('"') if part.endswith(name)}
        file = site.get(address)
        assert file.status_code == 200
        assert "immutable" in file.headers["cache-control"]
        old = site.get(address.replace(address.split("/")[2], "0" * 12))
        assert (old.status_code, old.headers["location"]) == (302, address)
    assert site.get("/site/x/../../etc/passwd").status_code == 404
    assert site.get("/site/x/nothing.css").status_code == 404


def test_times_are_asked_for_again_cheaply(site: httpx.Client, other: httpx.Client, place: Place) -> None:
    """304 while nothing has changed; then the fresh part of the page."""
    day = place.day.date()
    path = f"/book/{place.workspace.slug}/{place.event_type.slug}"
    query = f"month={day:%Y-%m}&day={day}&tz=Europe/Berlin"
    page = visit(site, f"{path}?{query}")
    etag = page.html.split('data-etag="')[1].split('"')[0]
    same = site.get(f"{path}/times?{query}", headers={"if-none-match": f'"{etag}"'})
    assert (same.status_code, same.content) == (304, b"")
    place.book(place.at(10))
    from calendar_app.booking_site import choose

    choose.forget()
    fresh = site.get(f"{path}/times?{query}", headers={"if-none-match": f'"{etag}"'})
    assert fresh.status_code == 200
    assert "<html" not in fresh.text
    assert ">10:00<" not in fresh.text
    assert ">10:30<" in fresh.text


def test_a_cold_page_is_small(site: httpx.Client, place: Place) -> None:
    """Page, style, script, icon and the times in another zone: at most 60 KB over the wire, in at most 8 requests."""
    from benchmarks.booking_pages import BYTES, REQUESTS, wire

    site.headers["accept-encoding"] = "gzip"
    found = wire(site, f"/book/{place.workspace.slug}/{place.event_type.slug}")
    assert int(str(found["bytes"])) <= BYTES, found
    assert int(str(found["requests"])) <= REQUESTS, found


def test_who_looks_and_leaves_leaves_nothing(site: httpx.Client, place: Place, redis_server: Redis) -> None:
    """Reading pages puts nothing into Redis; choosing a time puts counters there that expire."""
    path = f"/book/{place.workspace.slug}/{place.event_type.slug}"
    for address in (path, f"{path}/times", f"{path}/zones?q=berlin", f"/book/{place.workspace.slug}", "/my"):
        assert site.get(address).status_code == 200
    assert list(redis_server.scan_iter()) == []
    pick(site, visit(site, path))
    kept = [key for key in redis_server.scan_iter() if b"rq:" not in key]
    assert kept
    assert all(0 < redis_server.ttl(key) <= 86_400 for key in kept)


def test_a_database_that_is_away(site: httpx.Client, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """503 as a page that says when to try again; a form can be sent again then."""
    form = pick(site, visit(site, f"/book/{place.workspace.slug}/{place.event_type.slug}"))

    def away(*_arguments: object) -> None:
        raise OperationalError("SELECT", {}, Exception("gone"))

    with monkeypatch.context() as patch:
        patch.setattr(event_type_queries, "public", away)
        answer = site.get(form.url)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "3")
        assert "Not available at the moment" in Page(answer).text
        assert press(site, form, "Confirm booking", name="G", email="g@example.org").status == 503
    assert "You are booked" in press(site, form, "Confirm booking", name="G", email="g@example.org").text


def test_a_form_that_does_not_arrive(database: Database) -> None:
    """408 as a page, after which the connection is closed."""
    from calendar_app.api.app import create_api
    from calendar_app.booking_site.app import ErrorPages, mount_site

    api = create_api(stall_s=0.3)
    mount_site(api)
    with web.served(ErrorPages(api)) as url:
        address = urlsplit(url)
        with socket.create_connection((address.hostname, address.port), timeout=20) as line:
            line.sendall(b"POST /my/link HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n")
            line.sendall(b"Content-Type: application/x-www-form-urlencoded\r\n\r\nemail=")
            answer = b"".join(iter(lambda: line.recv(65_536), b""))
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"text/html" in answer
    assert b"That took too long" in answer
