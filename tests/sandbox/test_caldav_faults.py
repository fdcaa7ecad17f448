"""Fault switches in front of CalDAV and calendar links: what a client sees, and what Radicale has done by then."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from calendar_app.errors import AuthExpired, ProviderUnavailable, SyncTokenInvalid
from calendar_app.providers.base import EventPage
from calendar_app.sandbox.caldav.seed import calendars
from calendar_app.sandbox.caldav.server import PASSWORD, USERNAME
from tests.sandbox.radicale import NOW, Running

FAULTS = "/sandbox/api/faults"
STUDIO = f"/sandbox/caldav/{quote(USERNAME)}/studio/"
SYNC = '<D:sync-collection xmlns:D="DAV:"><D:sync-token>{}</D:sync-token><D:sync-level>1</D:sync-level><D:prop><D:getetag/></D:prop></D:sync-collection>'  # noqa: E501


def on(running: Running, kind: str, operation: str = "", provider: str = "caldav", **fields: Any) -> str:
    body = {"provider": provider, "kind": kind, "operation": operation} | fields
    answer = running.sandbox.client.post(FAULTS, json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def hits(running: Running, fault: str) -> int:
    items = running.sandbox.client.get(FAULTS).json()["items"]
    return next(int(item["hits"]) for item in items if item["id"] == fault)


def dav(running: Running, method: str, path: str = STUDIO, **options: Any) -> httpx.Response:
    return running.sandbox.client.request(method, path, auth=(USERNAME, PASSWORD), **options)


def resource() -> bytes:
    """An event as a client would put it."""
    found = calendars(NOW)[1].events["review.ics"].encode()
    return found.replace(b"review@sandbox.example", b"new@sandbox.example")


def names(pages: list[EventPage]) -> list[str]:
    return sorted(event.summary for page in pages for event in page.events)


@pytest.mark.parametrize(
    ("operation", "method", "options"),
    [
        ("propfind", "PROPFIND", {"headers": {"depth": "0"}}),
        ("list", "REPORT", {"content": SYNC.format("")}),
        ("multiget", "REPORT", {"content": '<C:calendar-multiget xmlns:C="urn:ietf:params:xml:ns:caldav"/>'}),
        ("query", "REPORT", {"content": '<calendar-query xmlns="urn:ietf:params:xml:ns:caldav"/>'}),
        ("freebusy", "REPORT", {"content": '<C:free-busy-query xmlns:C="urn:ietf:params:xml:ns:caldav">'}),
        ("get", "GET", {}),
        ("create", "PUT", {"headers": {"if-none-match": "*"}}),
        ("update", "PUT", {"headers": {"if-match": '"x"'}}),
        ("delete", "DELETE", {}),
        ("options", "OPTIONS", {}),
    ],
)
def test_requests_have_names(running: Running, operation: str, method: str, options: dict[str, Any]) -> None:
    """A fault of one operation meets that one; a REPORT is called what stands in its body."""
    for other in ("list", "query", "update", "propfind"):
        if other != operation:
            on(running, "bad_gateway", other, times=None)
    on(running, "unavailable", operation, retry_after="7")
    answer = dav(running, method, **options)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "7")


@pytest.mark.parametrize(
    ("kind", "status", "says"),
    [
        ("unauthorized", 401, ""),
        ("revoked", 401, ""),
        ("forbidden", 403, "need-privileges"),
        ("not_found", 404, ""),
        ("conflict", 409, ""),
        ("precondition", 412, ""),
        ("throttled", 429, ""),
        ("error", 500, ""),
        ("bad_gateway", 502, ""),
        ("unavailable", 503, ""),
        ("full", 507, "quota-not-exceeded"),
    ],
)
def test_errors_are_webdavs(running: Running, kind: str, status: int, says: str) -> None:
    """RFC 4918 §16: a DAV:error; a refusal of the password comes with its challenge. The next call meets nothing."""
    on(running, kind, "create")
    put = {"content": resource(), "headers": {"content-type": "text/calendar", "if-none-match": "*"}}
    answer = dav(running, "PUT", f"{STUDIO}new.ics", **put)
    assert answer.status_code == status
    assert "error" in answer.text
    assert says in answer.text
    assert ("Basic" in answer.headers.get("www-authenticate", "")) is (status == 401)
    assert dav(running, "PUT", f"{STUDIO}new.ics", **put).status_code == 201


@pytest.mark.parametrize("kind", ["hang", "unavailable", "cut"])
def test_an_answer_is_lost_after_the_write(running: Running, kind: str) -> None:
    """The resource stands although nobody was told."""
    on(running, kind, "create", after=True, seconds=5)
    put = {"content": resource(), "headers": {"content-type": "text/calendar", "if-none-match": "*"}}
    try:
        assert dav(running, "PUT", f"{STUDIO}new.ics", timeout=0.5, **put).status_code == 503
    except (httpx.ReadTimeout, httpx.RemoteProtocolError):
        assert kind != "unavailable"
    assert dav(running, "GET", f"{STUDIO}new.ics").status_code == 200


@pytest.mark.parametrize("kind", ["cut", "malformed", "drip"])
def test_listings_that_cannot_be_read(running: Running, kind: str) -> None:
    """Nothing is taken from half an answer; a slow one is given up, or complete."""
    provider = running.provider()
    studio = provider.list_calendars()[1].remote_id
    whole = names(list(provider.event_pages(studio, None)))
    on(running, kind, "list", times=None, seconds=0.4)
    if kind == "drip":
        assert names(list(provider.event_pages(studio, None))) == whole
        return
    provider._dav._sleep = lambda _seconds: None
    with pytest.raises(ProviderUnavailable):
        list(provider.event_pages(studio, None))


def test_a_sync_token_that_is_too_old(running: Running) -> None:
    """RFC 6578 §3.2: 403 with valid-sync-token, for listings that present one only."""
    provider = running.provider()
    studio = provider.list_calendars()[1].remote_id
    fault = on(running, "gone", "list", times=None)
    pages = list(provider.event_pages(studio, None))
    assert hits(running, fault) == 0
    with pytest.raises(SyncTokenInvalid):
        list(provider.event_pages(studio, pages[-1].cursor))
    running.sandbox.client.delete(FAULTS)
    on(running, "gone", "get")
    assert dav(running, "GET", f"{STUDIO}review.ics").status_code == 410


def test_a_listing_in_parts_is_whole(running: Running) -> None:
    """RFC 6578 §3.6: half with 507 for the calendar itself, and a token that leads to the rest, again in halves."""
    provider = running.provider()
    studio = provider.list_calendars()[1].remote_id
    whole = list(provider.event_pages(studio, None))
    fault = on(running, "truncated", times=None)
    answer = dav(running, "REPORT", content=SYNC.format(""))
    assert answer.status_code == 207
    assert "507" in answer.text
    assert "number-of-matches-within-limits" in answer.text
    parts = list(provider.event_pages(studio, None))
    assert names(parts) == names(whole)
    assert hits(running, fault) > 2
    running.stand_in.add_event("studio", "Meanwhile", NOW, NOW + timedelta(hours=1))
    assert names(list(provider.event_pages(studio, parts[-1].cursor))) == ["Meanwhile"]


def test_what_changes_between_two_parts_is_not_lost(running: Running) -> None:
    """It comes with the next listing, as the token that the parts end in is from before."""
    fault = on(running, "truncated")
    first = dav(running, "REPORT", content=SYNC.format("")).text
    running.stand_in.add_event("studio", "Meanwhile", NOW, NOW + timedelta(hours=1))
    rest = dav(running, "REPORT", content=SYNC.format(token_of(first))).text
    assert hits(running, fault) == 1
    assert first.count(".ics") + rest.count(".ics") == 3
    assert dav(running, "REPORT", content=SYNC.format(token_of(rest))).text.count(".ics") == 1


def token_of(text: str) -> str:
    return text.partition("sync-token>")[2].partition("<")[0]


def test_parts_are_pages(running: Running) -> None:
    """The second part of a listing fails, however often it is asked for."""
    provider = running.provider()
    provider._dav._sleep = lambda _seconds: None
    studio = provider.list_calendars()[1].remote_id
    on(running, "truncated", page=1)
    second = on(running, "error", "list", page=2, times=None)
    with pytest.raises(ProviderUnavailable):
        list(provider.event_pages(studio, None))
    assert hits(running, second) > 1


def test_weak_entity_tags_never_match(running: Running) -> None:
    """RFC 9110 §8.8.3.2: weak in headers and listings; a conditional write is refused, whichever form it uses."""
    strong = dav(running, "GET", f"{STUDIO}review.ics").headers["etag"]
    on(running, "weak_etag", times=None)
    answer = dav(running, "GET", f"{STUDIO}review.ics")
    assert answer.headers["etag"] == f"W/{strong}"
    listed = dav(running, "REPORT", content=SYNC.format("")).text
    assert listed.count('getetag>W/"') == 3
    for tag in (strong, f"W/{strong}"):
        put = {"content": answer.content, "headers": {"content-type": "text/calendar", "if-match": tag}}
        assert dav(running, "PUT", f"{STUDIO}review.ics", **put).status_code == 412
        assert dav(running, "DELETE", f"{STUDIO}review.ics", headers={"if-match": tag}).status_code == 412
    assert running.sandbox.client.get(FAULTS).json()["items"][0]["hits"] == 6


def test_one_account_is_met_by_its_user_name(running: Running) -> None:
    """Basic authentication says whose call it is."""
    on(running, "error", account="other@example.com", times=None)
    assert dav(running, "OPTIONS").status_code == 200
    on(running, "error", account=USERNAME, times=None)
    assert dav(running, "OPTIONS").status_code == 500
    assert running.sandbox.client.request("PROPFIND", "/sandbox/caldav/").status_code == 401


def test_a_password_that_was_changed(running: Running) -> None:
    """Every call is refused until it is switched off."""
    provider = running.provider()
    on(running, "revoked", times=None)
    for _ in range(2):
        with pytest.raises(AuthExpired):
            provider.list_calendars()
    running.sandbox.client.delete(FAULTS)
    assert len(provider.list_calendars()) == 2


@pytest.mark.parametrize("kind", ["truncated", "push_lost", "boredom"])
def test_only_what_a_provider_can_do_is_offered(running: Running, kind: str) -> None:
    """Nobody can switch on what would never be met."""
    offered = running.sandbox.client.get(FAULTS).json()["kinds"]
    assert (kind in offered["caldav"]) is (kind == "truncated")
    assert kind not in offered["ics"]
    answer = running.sandbox.client.post(FAULTS, json={"provider": "ics", "kind": kind})
    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("unauthorized", 401),
        ("forbidden", 403),
        ("not_found", 404),
        ("gone", 410),
        ("throttled", 429),
        ("error", 500),
    ],
)
def test_links_have_switches_too(running: Running, kind: str, status: int) -> None:
    """Errors in plain text, once."""
    on(running, kind, "list", provider="ics", retry_after="date:9")
    answer = running.sandbox.client.get(running.feed.path)
    assert answer.status_code == status
    assert "retry-after" in answer.headers
    assert running.sandbox.client.get(running.feed.path).status_code == 200


def test_links_that_cannot_be_read(running: Running) -> None:
    """Half a file is no calendar with half of its events; weak tags do for reading."""
    link = running.link()
    on(running, "malformed", provider="ics")
    with pytest.raises(ProviderUnavailable):
        list(link.event_pages("calendar", None))
    on(running, "cut", provider="ics")
    with pytest.raises(ProviderUnavailable):
        list(link.event_pages("calendar", None))
    on(running, "weak_etag", provider="ics", times=None)
    pages = list(link.event_pages("calendar", None))
    assert "W/" in str(pages[-1].cursor)
    again = list(link.event_pages("calendar", pages[-1].cursor))
    assert [page.events for page in again] == [()]
