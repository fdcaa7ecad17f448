"""In which zone a calendar's dates and floating times are read, where that comes from, and what a change does."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import Calendar, Person
from calendar_app.domain.event import CalendarEvent, EventTime
from calendar_app.domain.timespan import Span, instant
from calendar_app.errors import InvalidInput
from calendar_app.providers.base import AccessRole, RemoteCalendar
from calendar_app.services.calendar_sync import calendar_use, ics_import
from calendar_app.services.calendar_sync import requests as sync_requests
from calendar_app.services.connections import calendar_time_zones, calendars
from calendar_app.services.events import queries as event_queries
from tests.services.calendar_sync.test_ics_import import ics
from tests.services.calendar_sync.test_run import MAIN
from tests.support import factories
from tests.support.databases import Database
from tests.support.factories import Team
from tests.support.fake_provider import FakeProvider
from tests.support.mirrored import busy_spans
from tests.support.people import user

DAY = datetime.now(UTC).date() + timedelta(days=30)
AUCKLAND, BERLIN = "Pacific/Auckland", "Europe/Berlin"


def day_off() -> str:
    return f"BEGIN:VEVENT\nUID:off\nDTSTART;VALUE=DATE:{DAY:%Y%m%d}\nSUMMARY:Day off\nEND:VEVENT"


def floating(*, days: int = 2, more: str = "") -> str:
    day = DAY + timedelta(days=days)
    lines = f"DTSTART:{day:%Y%m%d}T100000\nDTEND:{day:%Y%m%d}T110000\nSUMMARY:Dentist{more}"
    return f"BEGIN:VEVENT\nUID:float{days}\n{lines}\nEND:VEVENT"


def exact() -> str:
    return f"BEGIN:VEVENT\nUID:exact\nDTSTART:{DAY:%Y%m%d}T150000Z\nDURATION:PT1H\nEND:VEVENT"


FILE = ics(day_off(), floating(), floating(days=3, more="\nRRULE:FREQ=DAILY;COUNT=2"), exact(), head="X-A:b")


def span(day: date, zone: str, start: int = 10, end: int = 11) -> Span:
    """Hours of a day on the zone's clock."""
    midnight = datetime.combine(day, time(), ZoneInfo(zone))
    return Span(instant(midnight + timedelta(hours=start)), instant(midnight + timedelta(hours=end)))


def expected(zone: str) -> list[Span]:
    """What :data:`FILE` blocks for somebody in ``zone``."""
    days = (span(DAY + timedelta(days=number), zone) for number in (2, 3, 4))
    return sorted([span(DAY, zone, 0, 24), *days, span(DAY, "UTC", 15, 16)])


def busy(calendar_id: str) -> list[Span]:
    first = instant(datetime.combine(DAY, time(), UTC))
    with reading() as session:
        return busy_spans(session, calendar_id, Span(first - 2 * 86_400, first + 7 * 86_400))


@pytest.fixture
def ada(database: Database) -> Team:
    """Somebody in Auckland."""
    return factories.team(timezone=AUCKLAND)


def test_a_file_that_names_no_zone_is_read_in_its_owners(ada: Team) -> None:
    """A day off is the owner's whole day, and ten o'clock is ten on the owner's clock, in every repetition."""
    view = ics_import.import_file(ada.actor, FILE).calendar
    assert (view.timezone, view.timezone_source, view.provider_timezone) == (AUCKLAND, "owner", "")
    assert busy(view.id) == expected(AUCKLAND)


def test_a_file_that_names_its_zone_is_read_in_that(ada: Team) -> None:
    """The calendar's own zone comes before its owner's."""
    view = ics_import.import_file(ada.actor, ics(day_off(), head="X-WR-TIMEZONE:America/Lima")).calendar
    assert (view.timezone, view.timezone_source) == ("America/Lima", "provider")
    assert busy(view.id) == [span(DAY, "America/Lima", 0, 24)]


def test_a_person_sets_the_zone_and_takes_it_back(ada: Team) -> None:
    """Setting a zone places the stored events anew; importing again keeps it; taking it back restores the first."""
    view = ics_import.import_file(ada.actor, FILE).calendar
    there = calendar_use.update_calendar(ada.actor, view.id, timezone="America/Lima")
    assert (there.timezone, there.timezone_source) == ("America/Lima", "set")
    assert busy(view.id) == expected("America/Lima")
    again = ics_import.import_file(ada.actor, FILE, calendar_id=view.id).calendar
    assert (again.timezone, again.timezone_source) == ("America/Lima", "set")
    assert busy(view.id) == expected("America/Lima")
    back = calendar_use.update_calendar(ada.actor, view.id, timezone="")
    assert (back.timezone, back.timezone_source) == (AUCKLAND, "owner")
    assert busy(view.id) == expected(AUCKLAND)


def test_the_owners_move_takes_calendars_along_that_follow_them(ada: Team) -> None:
    """What follows the owner is placed anew when the owner's zone changes; what names or was given a zone stays."""
    follows = ics_import.import_file(ada.actor, FILE).calendar
    named = ics_import.import_file(ada.actor, ics(floating(), head="X-WR-TIMEZONE:Europe/Paris")).calendar
    given = ics_import.import_file(ada.actor, FILE).calendar
    calendar_use.update_calendar(ada.actor, given.id, timezone="Asia/Tokyo")
    with transaction() as session:
        session.get_one(Person, ada.person.id).timezone = BERLIN
        assert calendar_time_zones.follow_owner(session, ada.person.id, datetime.now(UTC)) == 1
    assert busy(follows.id) == expected(BERLIN)
    assert calendars.get_calendar(ada.actor, follows.id).timezone == BERLIN
    assert calendars.get_calendar(ada.actor, named.id).timezone == "Europe/Paris"
    assert busy(given.id) == expected("Asia/Tokyo")


def test_the_owners_zone_may_be_chosen_over_the_providers(ada: Team) -> None:
    """A feed with a wrong zone can be read in its owner's, and stays so when it is read again."""
    content = ics(floating(), head="X-WR-TIMEZONE:America/Lima")
    view = ics_import.import_file(ada.actor, content).calendar
    calendar_use.update_calendar(ada.actor, view.id, timezone_source="owner")
    again = ics_import.import_file(ada.actor, content, calendar_id=view.id).calendar
    assert (again.timezone, again.timezone_source, again.provider_timezone) == (
        AUCKLAND,
        "owner",
        "America/Lima",
    )
    back = calendar_use.update_calendar(ada.actor, view.id, timezone_source="provider")
    assert (back.timezone, back.timezone_source) == ("America/Lima", "provider")
    assert busy(view.id) == [span(DAY + timedelta(days=2), "America/Lima")]


@pytest.mark.parametrize(
    "wanted",
    [
        {"timezone": "Europe/Nowhere"},
        {"timezone": "../UTC"},
        {"timezone_source": "provider"},
        {"timezone_source": "moon"},
        {"timezone": BERLIN, "timezone_source": "owner"},
    ],
)
def test_a_zone_that_cannot_be_is_refused_and_nothing_changes(ada: Team, wanted: dict[str, str]) -> None:
    """Unknown zones, and sources that have none to give, are clear errors."""
    view = ics_import.import_file(ada.actor, FILE).calendar
    with pytest.raises(InvalidInput) as refused:
        calendar_use.update_calendar(ada.actor, view.id, **wanted)
    assert refused.value.field in ("timezone", "timezone_source")
    assert calendars.get_calendar(ada.actor, view.id).timezone == AUCKLAND
    assert busy(view.id) == expected(AUCKLAND)


@pytest.fixture
def fake(database: Database) -> Any:
    """A provider with a calendar that names no zone."""
    provider = FakeProvider()
    account = provider.account("ada@example.com")
    account.calendars[MAIN].listed = RemoteCalendar(MAIN, "Main", "", AccessRole.OWNER, is_primary=True)
    provider.change(MAIN, all_day(EventTime(DAY)))
    with provider.installed():
        yield provider


def all_day(start: EventTime) -> CalendarEvent:
    return CalendarEvent("off", start=start, end=EventTime(start.value + timedelta(days=1)))


def connected(fake: FakeProvider, **columns: Any) -> Team:
    grant = fake.grant(next(iter(fake.accounts.values())))
    made = factories.team(
        timezone=AUCKLAND, access_token=grant.access_token, refresh_token=grant.refresh_token
    )
    with transaction() as session:
        row = session.get_one(Calendar, made.calendar.id)
        row.sqlmodel_update({"remote_id": MAIN, **columns})
        session.add(row)
    return made


def test_a_calendar_of_before_decides_at_its_next_reading(fake: FakeProvider) -> None:
    """Nobody knows whether "UTC" was named: everything is listed once, and the listing's word or its silence counts."""
    fake.calendar(MAIN).zone = ""
    team = connected(fake, timezone="UTC", timezone_source="", provider_timezone="", sync_cursor="0:1")
    assert sync_requests.sync_calendar(team.calendar.id).full
    view = calendars.get_calendar(team.actor, team.calendar.id)
    assert (view.timezone, view.timezone_source) == (AUCKLAND, "owner")
    assert busy(team.calendar.id) == [span(DAY, AUCKLAND, 0, 24)]
    assert not sync_requests.sync_calendar(team.calendar.id).full


def test_a_listing_that_says_nothing_of_zones_leaves_the_accounts_word(fake: FakeProvider) -> None:
    """Where only the list of calendars names zones, a calendar of before keeps the one that it has."""
    team = connected(fake, timezone="UTC", timezone_source="", provider_timezone="", sync_cursor="0:1")
    assert sync_requests.sync_calendar(team.calendar.id).full
    view = calendars.get_calendar(team.actor, team.calendar.id)
    assert (view.timezone, view.timezone_source, view.provider_timezone) == ("UTC", "provider", "UTC")
    assert not sync_requests.sync_calendar(team.calendar.id).full


def test_a_zone_that_the_provider_changes_places_old_events_anew(fake: FakeProvider) -> None:
    """Events that a listing of changes does not hold are read in the new zone, too."""
    fake.calendar(MAIN).zone = "America/Lima"
    team = connected(fake)
    sync_requests.sync_calendar(team.calendar.id)
    assert busy(team.calendar.id) == [span(DAY, "America/Lima", 0, 24)]
    fake.calendar(MAIN).zone = BERLIN
    assert not sync_requests.sync_calendar(team.calendar.id).full
    assert busy(team.calendar.id) == [span(DAY, BERLIN, 0, 24)]
    calendar_use.update_calendar(team.actor, team.calendar.id, timezone="Asia/Tokyo")
    sync_requests.sync_calendar(team.calendar.id)
    assert busy(team.calendar.id) == [span(DAY, "Asia/Tokyo", 0, 24)]
    assert fake.count("event_pages") == 3


def test_a_reading_notices_that_the_owner_has_moved(fake: FakeProvider) -> None:
    """Whoever changed the owner's zone: at the next reading the calendar follows."""
    fake.calendar(MAIN).zone = ""
    team = connected(fake)
    sync_requests.sync_calendar(team.calendar.id)
    with transaction() as session:
        session.get_one(Person, team.person.id).timezone = BERLIN
    sync_requests.sync_calendar(team.calendar.id)
    assert busy(team.calendar.id) == [span(DAY, BERLIN, 0, 24)]


def test_days_are_shown_as_written_in_every_zone(ada: Team) -> None:
    """``GET /events`` tells the all-day event's date, whichever zone it is read in."""
    view = ics_import.import_file(ada.actor, ics(day_off(), head="X-A:b")).calendar
    for zone in (AUCKLAND, "America/Lima", "Pacific/Kiritimati"):
        calendar_use.update_calendar(ada.actor, view.id, timezone=zone)
        start = datetime.combine(DAY - timedelta(days=2), time(), UTC)
        (shown,) = event_queries.between(ada.actor, start, start + timedelta(days=5)).items
        assert (shown.start_date, shown.end_date, shown.timezone) == (DAY, DAY + timedelta(days=1), zone)


def test_the_zone_over_http(api: httpx.Client, database: Database) -> None:
    """A calendar tells its zone and whose that is; PATCH sets it, ``null`` goes back; what cannot be is a 422."""
    who = user(timezone=AUCKLAND)
    files = {"file": ("off.ics", FILE, "text/calendar")}
    made = api.post("/api/v1/calendars/import", headers=who.bearer, files=files).json()["calendar"]
    assert (made["timezone"], made["timezone_source"]) == (AUCKLAND, "owner")
    path = f"/api/v1/calendars/{made['id']}"
    set_here = api.patch(path, headers=who.bearer, json={"timezone": BERLIN})
    assert set_here.status_code == 200, set_here.text
    shown = api.get(path, headers=who.bearer).json()
    assert (shown["timezone"], shown["timezone_source"]) == (BERLIN, "set")
    assert busy(made["id"]) == expected(BERLIN)
    assert api.patch(path, headers=who.bearer, json={"checks_conflicts": True}).json()["timezone"] == BERLIN
    for body in ({"timezone": "Mars/Base"}, {"timezone": ""}, {"timezone_source": "moon"}):
        refused = api.patch(path, headers=who.bearer, json=body)
        assert refused.status_code == 422
        assert refused.json()["errors"][0]["field"] == next(iter(body))
    back = api.patch(path, headers=who.bearer, json={"timezone": None}).json()
    assert (back["timezone"], back["timezone_source"]) == (AUCKLAND, "owner")
    assert busy(made["id"]) == expected(AUCKLAND)
    assert api.get(path, headers=user("bob@example.com").bearer).status_code == 404
