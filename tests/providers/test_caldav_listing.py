"""Listings of CalDAV servers that contradict themselves: reports that are refused, resources that are denied, calendars
that are other ones."""

from __future__ import annotations

import httpx
import pytest

from calendar_app.domain.event import CalendarEvent, EventStatus
from calendar_app.errors import SyncTokenInvalid
from calendar_app.providers.caldav.provider import CalDavCalendar
from tests.support.scripted_dav import CountingServer, listed, provider


def read(calendar: CalDavCalendar, cursor: str | None) -> tuple[dict[str, CalendarEvent], str, bool]:
    """A reading as the worker does it: a cursor that is refused is followed by a full listing in the same run."""
    try:
        return (*listed(calendar, cursor), cursor is None)
    except SyncTokenInvalid:
        return (*listed(calendar), True)


@pytest.mark.parametrize("code", [400, 403, 404, 405, 409, 412, 415, 418, 500, 501])
def test_a_refused_sync_collection_gives_way_to_entity_tags(code: int) -> None:
    """Whatever it is refused with, the calendar is read, and the cursor remembers how."""
    server = CountingServer(refuses={"sync-collection": code})
    server.put("a.ics")
    calendar = provider(server)
    events, cursor = listed(calendar)
    assert list(events) == ["a.ics"]
    server.put("b.ics")
    server.remove("a.ics")
    server.asked.clear()
    events, cursor = listed(calendar, cursor)
    assert {name: event.status for name, event in events.items()} == {
        "a.ics": EventStatus.CANCELLED,
        "b.ics": EventStatus.CONFIRMED,
    }
    assert "sync-collection" not in server.asked


@pytest.mark.parametrize("code", [405, 415, 418, 500, 501])
def test_a_server_that_stops_to_do_it_is_read_on(code: int) -> None:
    """Refused with a token, the report is followed by one full listing, which compares entity tags from then on."""
    server = CountingServer()
    server.put("a.ics")
    calendar = provider(server)
    _, cursor = listed(calendar)
    server.refuses["sync-collection"] = code
    server.put("b.ics")
    events, cursor, full = read(calendar, cursor)
    assert (set(events), full) == ({"a.ics", "b.ics"}, True)
    assert read(calendar, cursor)[::2] == ({}, False)


@pytest.mark.parametrize("code", [403, 405, 500, 501])
def test_without_multiget_resources_are_fetched(code: int) -> None:
    """A server that refuses multiget gives its events one by one."""
    server = CountingServer(refuses={"calendar-multiget": code, "sync-collection": 405})
    server.put("a.ics")
    server.put("b.ics")
    assert set(listed(provider(server))[0]) == {"a.ics", "b.ics"}


def test_what_was_listed_and_is_then_denied_is_asked_for() -> None:
    """A resource that multiget calls 404 is read by GET; only what that does not find either is gone."""
    server = CountingServer(refuses={"sync-collection": 405}, hides={"a.ics"})
    server.put("a.ics")
    server.put("b.ics")
    calendar = provider(server)
    events, cursor = listed(calendar)
    assert set(events) == {"a.ics", "b.ics"}
    server.put("a.ics", "changed")
    events, cursor = listed(calendar, cursor)
    assert {name: (event.status, event.summary) for name, event in events.items()} == {
        "a.ics": (EventStatus.CONFIRMED, "changed")
    }
    server.remove("a.ics")
    assert listed(calendar, cursor)[0]["a.ics"].status is EventStatus.CANCELLED


def test_what_sync_collection_names_and_multiget_denies_is_asked_for() -> None:
    """The same where the server has sync-collection and gives no events in it."""
    server = CountingServer(hides={"a.ics"})
    server.put("a.ics")

    def without_data(request: httpx.Request) -> httpx.Response:
        text = request.content.decode()
        bare = "sync-collection" not in text or "calendar-data" not in text
        return server(request) if bare else httpx.Response(403)

    assert set(listed(provider(without_data))[0]) == {"a.ics"}


@pytest.mark.parametrize("tokens", [True, False])
@pytest.mark.parametrize("before", [[], ["a.ics"], ["a.ics", "b.ics", "c.ics"]])
@pytest.mark.parametrize(
    "after", [[], ["n.ics"], ["n.ics", "m.ics", "o.ics"], [f"{n}.ics" for n in range(9)]]
)
def test_a_calendar_made_again_is_listed_anew(tokens: bool, before: list[str], after: list[str]) -> None:
    """Under the same address, with tokens or ctags that start over, lower, equal or higher: new events appear, old ones
    go."""
    server = CountingServer(refuses={} if tokens else {"sync-collection": 405})
    for name in (*before, "x.ics"):
        server.put(name)
    server.remove("x.ics")
    calendar = provider(server)
    known, cursor = listed(calendar)
    server.make_again()
    for name in after:
        server.put(name)
    events, _, full = read(calendar, cursor)
    standing = events if full else {**known, **events}
    assert {n for n, event in standing.items() if event.status is EventStatus.CONFIRMED} == set(after)


def test_the_same_calendar_is_not_listed_again() -> None:
    """Changes, deletions and nothing at all are told from another calendar, at one request more than the report."""
    server = CountingServer()
    for name in ("a.ics", "b.ics", "c.ics"):
        server.put(name)
    calendar = provider(server)
    _, cursor = listed(calendar)
    for change in (
        lambda: None,
        lambda: server.put("c.ics", "other"),
        lambda: server.remove("c.ics"),
        lambda: server.put("d.ics"),
        lambda: [server.remove(name) for name in list(server.files)],
        lambda: None,
        lambda: server.put("e.ics"),
    ):
        change()
        server.asked.clear()
        _, cursor = listed(calendar, cursor)
        assert len(server.asked) <= 2
    assert set(server.files) == {"e.ics"}
