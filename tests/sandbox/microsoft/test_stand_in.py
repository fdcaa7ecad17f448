"""What the sandbox's page and control interface see and do: outside changes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx
import pytest
from starlette.datastructures import Headers

from calendar_app.sandbox.microsoft.stand_in import MicrosoftStandIn
from calendar_app.sandbox.pages import Pages
from calendar_app.sandbox.stand_in import Counts, Expires, HeldCalendar, HeldEvent, KeepsSeries, Recognises
from tests.sandbox.microsoft.client import OWNER, Microsoft, ok, refused, running_microsoft
from tests.sandbox.server import WEDNESDAY, SharedServer
from tests.support.clock import Clock

BERLIN = ZoneInfo("Europe/Berlin")
FRIDAY = datetime(2026, 11, 20, 9, 0, tzinfo=BERLIN)


def calendar_of(microsoft: Microsoft, name: str = "Project") -> HeldCalendar:
    account = next(one for one in microsoft.stand_in.accounts() if one.email == OWNER)
    return next(one for one in account.calendars if one.name == name)


def titled(calendar: HeldCalendar, title: str) -> HeldEvent:
    return next(event for event in calendar.events if event.title == title)


def test_it_offers_what_the_page_may_ask_for(microsoft: Microsoft) -> None:
    """Series, a sequence, accounts by token, and things that expire."""
    for protocol in (KeepsSeries, Counts, Recognises, Expires):
        assert isinstance(microsoft.stand_in, protocol)


def test_what_it_holds(microsoft: Microsoft, graph: httpx.Client) -> None:
    """The seeded account is connected once it allowed something; free and tentative time is remarked on."""
    account = microsoft.stand_in.accounts()[0]
    assert (account.email, account.connected, account.channels) == (OWNER, True, 0)
    calendar = calendar_of(microsoft, "Calendar")
    assert (calendar.timezone, calendar.writable, calendar.color) == ("Europe/Berlin", True, "#0f6cbd")
    assert not calendar_of(microsoft, "Company holidays").writable
    assert titled(calendar, "Focus time, can be moved").notes == ("shown as free",)
    assert titled(calendar, "Budget review").notes == ("Priya Nair",)
    day_off = titled(calendar, "Out of office")
    assert day_off.all_day
    assert day_off.end - day_off.start == timedelta(days=1)
    assert day_off.start.hour == 0


def test_changes_through_it_are_seen_by_clients(microsoft: Microsoft, graph: httpx.Client) -> None:
    """Added, moved with its length kept, renamed, deleted."""
    calendar = calendar_of(microsoft)
    stand_in = microsoft.stand_in
    event = stand_in.add_event(calendar.id, "Walk-in", FRIDAY, FRIDAY + timedelta(minutes=30))
    assert ok(graph.get(f"me/events/{event}"))["start"]["dateTime"] == "2026-11-20T08:00:00.0000000"
    stand_in.move_event(calendar.id, event, FRIDAY + timedelta(days=150))
    moved = ok(graph.get(f"me/events/{event}"))
    assert moved["start"]["dateTime"] == "2027-04-19T07:00:00.0000000"
    assert moved["end"]["dateTime"] == "2027-04-19T07:30:00.0000000"
    stand_in.rename_event(calendar.id, event, "Walk-out")
    assert ok(graph.get(f"me/events/{event}"))["subject"] == "Walk-out"
    stand_in.delete_event(calendar.id, event)
    refused(graph.get(f"me/events/{event}"), 404, "ErrorItemNotFound")


def test_a_meeting_can_be_called_off(microsoft: Microsoft, graph: httpx.Client) -> None:
    """It stays with isCancelled, takes no time, and belongs to its organizer; an occurrence alone cannot."""
    calendar = calendar_of(microsoft, "Calendar")
    event = titled(calendar, "Budget review")
    microsoft.stand_in.call_off(calendar.id, event.id)
    found = ok(graph.get(f"me/events/{event.id}"))
    assert (found["isCancelled"], found["isOrganizer"], found["showAs"]) == (True, False, "free")
    assert found["organizer"]["emailAddress"]["address"] == "priya.nair@example.org"
    assert found["subject"] == "Canceled: Budget review"
    with pytest.raises(ValueError, match="whole series"):
        microsoft.stand_in.call_off(calendar.id, titled(calendar, "Project stand-up").id)


def test_whole_days_and_series(microsoft: Microsoft) -> None:
    """All-day events move by days, over a change of the clocks too; a weekly one is shown day by day."""
    calendar, stand_in = calendar_of(microsoft), microsoft.stand_in
    midnight = FRIDAY.replace(hour=0)
    days = stand_in.add_special(
        calendar.id, "Fair", midnight, midnight + timedelta(days=2), all_day=True, weekly=False
    )
    stand_in.move_event(calendar.id, days, midnight + timedelta(days=3))
    fair = titled(calendar_of(microsoft), "Fair")
    assert (fair.all_day, f"{fair.start:%m-%d}", f"{fair.end:%m-%d}") == (True, "11-23", "11-25")
    stand_in.move_event(calendar.id, days, datetime(2027, 3, 27, tzinfo=BERLIN))
    moved = stand_in.events.get(OWNER, days)
    assert (moved.body["start"]["dateTime"], moved.body["end"]["dateTime"]) == (
        "2027-03-27T00:00:00",
        "2027-03-29T00:00:00",
    )
    series = stand_in.add_special(
        calendar.id, "Choir", FRIDAY, FRIDAY + timedelta(hours=1), all_day=False, weekly=True
    )
    evenings = [event for event in calendar_of(microsoft).events if event.title == "Choir"]
    assert len(evenings) == 9
    assert {event.series for event in evenings} == {series}
    stand_in.delete_event(calendar.id, evenings[0].id)
    stand_in.move_event(calendar.id, evenings[1].id, evenings[1].start + timedelta(hours=2))
    left = [event for event in calendar_of(microsoft).events if event.title == "Choir"]
    assert len(left) == 8
    stand_in.delete_event(calendar.id, series)
    assert not [event for event in calendar_of(microsoft).events if event.title == "Choir"]


def test_mistakes_of_the_caller(microsoft: Microsoft) -> None:
    """KeyError for what is not there, ValueError for what cannot be."""
    stand_in, calendar = microsoft.stand_in, calendar_of(microsoft)
    with pytest.raises(KeyError):
        stand_in.add_event("nonsense", "x", FRIDAY, FRIDAY)
    with pytest.raises(KeyError):
        stand_in.delete_event(calendar.id, "nonsense")
    with pytest.raises(KeyError):
        stand_in.rename_event(calendar.id, calendar.id, "x")
    with pytest.raises(ValueError, match="failed validation"):
        stand_in.add_event(calendar.id, "x", FRIDAY, FRIDAY - timedelta(hours=1))


def test_it_knows_accounts_by_their_tokens(microsoft: Microsoft) -> None:
    """For fault switches; expired tokens and strangers are nobody."""
    token = microsoft.tokens(scope="User.Read")["access_token"]
    headers = Headers({"authorization": f"Bearer {token}"})
    assert microsoft.stand_in.account_of(headers) == OWNER
    microsoft.stand_in.expire_access_tokens(OWNER)
    assert microsoft.stand_in.account_of(headers) == ""
    assert microsoft.stand_in.account_of(Headers({})) == ""
    refused(microsoft.graph(token).get("me"), 401, "InvalidAuthenticationToken")


def test_the_page_shows_it(microsoft: Microsoft) -> None:
    """Its calendars stand beside the other providers'."""
    page = microsoft.sandbox.client.get("/sandbox", params={"provider": "microsoft"})
    assert page.status_code == 200
    assert "Microsoft 365" in page.text
    assert "Budget review" in page.text


def test_many_events_at_once(microsoft: Microsoft) -> None:
    """One change, for benchmarks."""
    calendar, stand_in = calendar_of(microsoft), microsoft.stand_in
    zone = "UTC"
    start = datetime(2027, 1, 1, tzinfo=UTC)
    bodies = [
        {
            side: {"dateTime": (start + timedelta(hours=number + more)).isoformat()[:19], "timeZone": zone}
            for side, more in (("start", 0), ("end", 1))
        }
        for number in range(500)
    ]
    assert stand_in.add_many(calendar.id, bodies) == 500
    assert calendar_of(microsoft).total == calendar.total + 500


def test_it_remembers(server: SharedServer, tmp_path: Path) -> None:
    """The store is a file of its own beside the sandbox's; tokens and events outlive a restart."""
    with running_microsoft(server, store_path=tmp_path / "sandbox.db") as microsoft:
        token = microsoft.tokens(scope="Calendars.ReadWrite")["access_token"]
        calendar = calendar_of(microsoft)
        event = microsoft.stand_in.add_event(calendar.id, "Kept", FRIDAY, FRIDAY + timedelta(hours=1))
    assert (tmp_path / "sandbox-microsoft.db").is_file()
    with running_microsoft(server, store_path=tmp_path / "sandbox.db") as microsoft:
        assert ok(microsoft.graph(token).get(f"me/events/{event}"))["subject"] == "Kept"
        assert calendar_of(microsoft).total == calendar.total + 1


def test_it_can_stand_alone(tmp_path: Path) -> None:
    """Made, seeded and closed without the rest of the sandbox."""
    made = MicrosoftStandIn(":memory:", Clock(WEDNESDAY), Pages(), [], public_url="http://x.example")
    assert [calendar.name for calendar in made.accounts()[0].calendars] == [
        "Calendar",
        "Project",
        "Company holidays",
    ]
    assert made.sequence() > 0
    made.store.close()
