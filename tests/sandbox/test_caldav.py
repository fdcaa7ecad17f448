"""The sandbox's CalDAV server: a real Radicale with an account in it, and the page's hands on it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from calendar_app.errors import AuthExpired
from calendar_app.sandbox.caldav.server import PASSWORD, USERNAME, prepare
from calendar_app.sandbox.environment import caldav_environment
from calendar_app.sandbox.stand_in import StandIn
from tests.sandbox.radicale import NOW, RadicaleProcess, Running, in_front_of
from tests.sandbox.server import SharedServer


def test_the_page_and_the_product_see_the_same(running: Running) -> None:
    """The account has calendars with events; what the page changes comes with the product's next delta."""
    stand_in: StandIn = running.stand_in
    (account,) = stand_in.accounts()
    assert PASSWORD in account.hint
    assert {calendar.name for calendar in account.calendars} == {"Personal", "Studio"}
    provider = running.provider()
    calendars = {calendar.name: calendar for calendar in provider.list_calendars()}
    assert {name: calendar.timezone for name, calendar in calendars.items()} == {
        "Personal": "Europe/Berlin",
        "Studio": "Europe/Berlin",
    }
    studio = calendars["Studio"].remote_id
    pages = list(provider.event_pages(studio, None))
    assert {event.summary for page in pages for event in page.events} >= {
        "Studio stand-up",
        "Review with Lena",
    }
    assert any(event.recurrence for page in pages for event in page.events)

    start = NOW + timedelta(days=3)
    made = stand_in.add_event("studio", "Fitting", start, start + timedelta(hours=1))
    stand_in.rename_event("studio", made, "Fitting, second")
    stand_in.move_event("studio", made, start + timedelta(hours=2))
    pages = list(provider.event_pages(studio, pages[-1].cursor))
    (event,) = (event for page in pages for event in page.events)
    assert event.summary == "Fitting, second"
    assert event.start is not None
    assert event.start.value == (start + timedelta(hours=2)).replace(tzinfo=None)
    shown = {one.id: one for one in stand_in.accounts()[0].calendars[1].events}
    assert shown[made].end - shown[made].start == timedelta(hours=1)
    stand_in.delete_event("studio", made)
    assert (
        len([event for page in provider.event_pages(studio, pages[-1].cursor) for event in page.events]) == 1
    )

    for role in ("reader", "none", "owner"):
        stand_in.set_role("studio", role)
        held = {one.id: one.role for one in stand_in.accounts()[0].calendars}
        assert held == {"personal": "owner", "studio": role}
    for unknown in (
        lambda: stand_in.add_event("nothing", "x", start, start + timedelta(hours=1)),
        lambda: stand_in.delete_event("studio", "nothing.ics"),
        lambda: stand_in.move_event("studio", "nothing.ics", start),
        lambda: stand_in.remove_access("nobody@example.com"),
    ):
        with pytest.raises(KeyError):
            unknown()
    with pytest.raises(ValueError, match="after the start"):
        stand_in.add_event("studio", "x", start, start)
    with pytest.raises(ValueError, match="not moved"):
        stand_in.move_event("studio", "standup.ics", start)


@pytest.mark.parametrize("provider", ["google", "microsoft", "caldav", "ics", "calendly"])
def test_programs_see_what_is_far_ahead_and_the_page_what_comes_next(running: Running, provider: str) -> None:
    """The JSON interface lists every event up to a year ahead, however many there are; the page the next 25."""
    client, base = running.sandbox.client, f"/sandbox/api/{provider}"
    stand_in: StandIn = running.sandbox.app.state.stand_ins[provider]

    def calendar() -> dict[str, Any]:
        return dict(client.get(f"{base}/accounts").json()["items"][0]["calendars"][0])

    where = f"{base}/calendars/{quote(calendar()['id'], safe='')}/events"
    for day in (*range(1, 30), 300):
        start = NOW + timedelta(days=day)
        times = {"start": start.isoformat(), "end": (start + timedelta(minutes=30)).isoformat()}
        assert client.post(where, json={"title": f"Day {day}", **times}).status_code == 201
    assert {f"Day {day}" for day in (*range(1, 30), 300)} <= {one["title"] for one in calendar()["events"]}
    shown = stand_in.accounts()[0].calendars[0].events
    assert len(shown) == 25
    assert not any(one.title == "Day 300" for one in shown)


def test_access_is_taken_away_with_the_password(running: Running) -> None:
    """Another password ends what was connected with the old one; the page tells the new one."""
    provider = running.provider()
    running.stand_in.remove_access(USERNAME)
    with pytest.raises(AuthExpired):
        provider.list_calendars()
    (account,) = running.stand_in.accounts()
    assert account.connected
    assert PASSWORD not in account.hint


def test_the_page_survives_the_end_of_radicale(tmp_path: Path, server: SharedServer) -> None:
    """It says that nobody answers; the application hears a bad gateway, and the link's readers too."""
    with RadicaleProcess(tmp_path) as radicale, in_front_of(radicale, server) as running:
        radicale.stop()
        (account,) = running.stand_in.accounts()
        assert "does not answer" in account.hint
        assert not running.feed.accounts()[0].calendars
        client, path = running.sandbox.client, running.feed.path
        assert client.request("PROPFIND", "/sandbox/caldav/").status_code == 502
        assert client.get(path).status_code == 502
        assert "does not answer" in client.get("/sandbox?provider=caldav").text


def test_the_account_is_found_from_its_server_alone(running: Running) -> None:
    """RFC 6764: the well-known address leads to the account, whose addresses lie behind the fault switches."""
    assert running.sandbox.client.get("/.well-known/caldav").headers["location"] == "/sandbox/caldav/"
    for calendar in running.provider("").list_calendars():
        assert calendar.remote_id.startswith(f"{running.sandbox.url}/sandbox/caldav/owner")
    (account,) = running.stand_in.accounts()
    assert f"{running.sandbox.url}/sandbox/caldav/" in account.hint
    wrong = running.sandbox.client.request("PROPFIND", "/sandbox/caldav/", auth=(USERNAME, "wrong"))
    assert wrong.status_code == 401
    assert "Basic" in wrong.headers["www-authenticate"]


def test_a_calendar_link_is_one_of_its_calendars(running: Running) -> None:
    """Read without a password, 304 while it is the same, and gone when it is published elsewhere."""
    link = running.link()
    (calendar,) = link.list_calendars()
    assert calendar.name == "Studio"
    pages = list(link.event_pages(calendar.remote_id, None))
    assert {"Studio stand-up", "Review with Lena"} <= {
        event.summary for page in pages for event in page.events
    }
    cursor = pages[-1].cursor
    answer = running.sandbox.client.get(running.feed.path)
    known = running.sandbox.client.get(running.feed.path, headers={"if-none-match": answer.headers["etag"]})
    assert (known.status_code, known.content) == (304, b"")
    assert [page.events for page in link.event_pages(calendar.remote_id, cursor)] == [()]
    running.feed.add_event("studio", "Open day", NOW, NOW + timedelta(hours=1))
    found = [event.summary for page in link.event_pages(calendar.remote_id, cursor) for event in page.events]
    assert "Open day" in found
    running.feed.remove_access("studio@example.com")
    assert running.sandbox.client.get(answer.url.path).status_code == 404
    assert running.sandbox.client.get(running.feed.path).status_code == 200


def test_a_second_start_changes_nothing(tmp_path: Path) -> None:
    """Calendars and password are the account's own once they are made; only the port follows the environment."""
    prepare(tmp_path, 1234, NOW)
    users = tmp_path / "radicale" / "users"
    users.write_text("owner@example.com:other\n")
    before = sorted(path.name for path in (tmp_path / "radicale").rglob("*.ics"))
    config = prepare(tmp_path, 4321, NOW + timedelta(days=90))
    assert "127.0.0.1:4321" in config.read_text()
    assert users.read_text() == "owner@example.com:other\n"
    assert sorted(path.name for path in (tmp_path / "radicale").rglob("*.ics")) == before


def test_the_allow_list_keeps_what_the_operator_listed() -> None:
    """The sandbox's server is added to the hosts that are allowed, which stay."""
    made = caldav_environment(5232, 4100, "radicale.internal,")
    assert made["ALLOWED_PRIVATE_HOSTS"].split(",") == [
        "radicale.internal",
        "127.0.0.1:4100",
        "localhost:4100",
        "127.0.0.1:5232",
        "localhost:5232",
    ]
    assert httpx.URL(made["SANDBOX_CALDAV_URL"]).port == 5232
