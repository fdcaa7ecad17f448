"""The CalDAV provider against two real servers, Radicale and xandikos, over loopback."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from calendar_app.db.ids import new_id
from calendar_app.domain.event import CalendarEvent, EventDraft, EventStatus, EventTime, Response, write_key
from calendar_app.domain.timespan import Span, instant, subtract
from calendar_app.errors import (
    AuthExpired,
    CalendarNotFound,
    CredentialsRejected,
    EventNotFound,
    InvalidInput,
    PreconditionFailed,
    SyncTokenInvalid,
)
from calendar_app.providers.base import AccessRole, Credentials, EventPage
from calendar_app.providers.caldav.account import Secret
from calendar_app.providers.caldav.discovery import CalDavSignIn
from calendar_app.providers.caldav.listing import Cursor
from calendar_app.providers.caldav.provider import CalDavCalendar
from calendar_app.providers.vetted import network
from calendar_app.services.availability.event_judgement import judge
from calendar_app.settings import Settings
from tests.support import dav_servers
from tests.support.dav_servers import PASSWORD, USERNAME, DavServer

SETTINGS = Settings(ALLOWED_PRIVATE_HOSTS="127.0.0.1")  # type: ignore[call-arg]  # pydantic reads the alias
START = datetime(2026, 12, 1, 9, 0, tzinfo=UTC)
MKCALENDAR = """<?xml version="1.0"?>
<C:mkcalendar xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><D:set><D:prop>
<D:displayname>Work</D:displayname></D:prop></D:set></C:mkcalendar>"""
SERIES = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//test//test//EN
BEGIN:VEVENT
UID:series@example.com
DTSTAMP:20261101T000000Z
DTSTART:20261201T090000Z
DTEND:20261201T100000Z
RRULE:FREQ=DAILY;COUNT=5
SUMMARY:Stand-up
END:VEVENT
{more}END:VCALENDAR
"""
MOVED = """BEGIN:VEVENT
UID:series@example.com
DTSTAMP:20261101T000000Z
RECURRENCE-ID:20261203T090000Z
DTSTART:20261203T150000Z
DTEND:20261203T160000Z
SUMMARY:Stand-up\\, later
END:VEVENT
"""


class Counting(httpx.BaseTransport):
    """The network, with a list of what was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(f"{request.method} {request.url.path}")
        return network(frozenset({"127.0.0.1"})).handle_request(request)


@dataclass
class Account:
    """A server, an account on it, an empty calendar, and another program that uses the same calendar."""

    server: DavServer
    provider: CalDavCalendar
    calendar: str
    other: httpx.Client
    network: Counting

    def store(self, name: str, text: str) -> None:
        """What another program puts into the calendar."""
        url = f"{self.calendar}{quote(name)}"
        answer = self.other.put(
            url, content=text.replace("\n", "\r\n"), headers={"content-type": "text/calendar"}
        )
        assert answer.status_code in (201, 204), answer.text

    def pages(self, cursor: str | None = None) -> tuple[dict[str, CalendarEvent], str]:
        """Every event of a listing by id, and its cursor."""
        pages: list[EventPage] = list(self.provider.event_pages(self.calendar, cursor))
        assert pages[-1].cursor
        assert not any(page.cursor for page in pages[:-1])
        return {event.remote_id: event for page in pages for event in page.events}, pages[-1].cursor


@pytest.fixture(scope="module", params=["radicale", "xandikos"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DavServer]:
    """A running server."""
    start = getattr(dav_servers, request.param)
    with start(Path(tmp_path_factory.mktemp(request.param))) as running:
        yield running


@pytest.fixture
def account(server: DavServer) -> Iterator[Account]:
    """An account with a new calendar."""
    opened = CalDavSignIn(SETTINGS).open(Credentials(server.url, USERNAME, PASSWORD))
    counting = Counting()
    calendar = f"{server.home}{new_id()}/"
    with httpx.Client(auth=(USERNAME, PASSWORD), timeout=30) as other:
        assert other.request("MKCALENDAR", calendar, content=MKCALENDAR).status_code == 201
        provider = CalDavCalendar(
            SETTINGS, Secret.load(opened.secret), transport=counting, sleep=lambda _seconds: None
        )
        yield Account(server, provider, calendar, other, counting)


def draft(key: str = "one", **changes: object) -> EventDraft:
    """What a booking wants to stand in a calendar."""
    made = write_key(key)
    values = EventDraft(
        remote_id=made,
        key=made,
        uid=f"{made}@almanac",
        summary="Intro call, with Ada; and more",
        start=START,
        end=START + timedelta(minutes=30),
        zone="Europe/Berlin",
        description="First line\nsecond line – ünïcode",
        location="Room 1",
        color="teal",
        private={"almanac_booking": "b1"},
    )
    return replace(values, **changes)  # type: ignore[arg-type]  # fields of the draft


@pytest.mark.parametrize("typed", ["{url}", "{url}.well-known/caldav", "{home}"])
def test_discovery_finds_the_account(server: DavServer, typed: str) -> None:
    """From the server's address, its well-known address or a folder the same account is found."""
    address = typed.format(url=server.url, home=server.home)
    opened = CalDavSignIn(SETTINGS).open(Credentials(address, USERNAME, PASSWORD))
    assert opened.account.email == USERNAME
    assert opened.account.account_id.startswith(server.url)
    assert PASSWORD not in repr(Secret.load(opened.secret))


def test_calendars_are_listed(account: Account) -> None:
    """Calendars come with name, rights, and one of them as the primary; address books are none."""
    listed = account.provider.list_calendars()
    found = {calendar.remote_id: calendar for calendar in listed}
    assert found[account.calendar].access_role is AccessRole.OWNER
    assert [calendar.is_primary for calendar in listed].count(True) == 1
    assert not any("contacts" in calendar.remote_id for calendar in listed)


def test_a_wrong_password_is_said_so(tmp_path: Path) -> None:
    """A password that is wrong, or no longer right, has an error of its own, with the way out."""
    with dav_servers.radicale(tmp_path) as server:
        with pytest.raises(CredentialsRejected, match="app password"):
            CalDavSignIn(SETTINGS).open(Credentials(server.url, USERNAME, "wrong"))
        secret = Secret(f"{server.url}ada%40example.com/", USERNAME, "old")
        with pytest.raises(AuthExpired):
            CalDavCalendar(SETTINGS, secret).list_calendars()


def test_a_server_that_is_not_listed_is_refused(server: DavServer) -> None:
    """Without the allow-list a server on this machine may not be called."""
    with pytest.raises(InvalidInput) as caught:
        CalDavSignIn(Settings()).open(Credentials(server.url, USERNAME, PASSWORD))
    assert caught.value.code == "address_refused"


def test_an_event_lives_and_ends(account: Account) -> None:
    """Create, list, change, list the change, delete, list the end: nothing is doubled and nothing is left."""
    written = account.provider.put_event(account.calendar, draft())
    assert written.etag
    events, cursor = account.pages()
    (event,) = events.values()
    assert (event.remote_id, event.etag) == (written.remote_id, written.etag)
    assert event.start == EventTime(START.replace(tzinfo=None), "UTC")
    assert event.summary == "Intro call, with Ada; and more"
    assert event.description == "First line\nsecond line – ünïcode"
    assert dict(event.private) == {"almanac_booking": "b1"}
    assert account.provider.get_event(account.calendar, written.remote_id) == event

    moved = draft(
        remote_id=written.remote_id, start=START + timedelta(hours=1), end=START + timedelta(hours=2)
    )
    again = account.provider.put_event(account.calendar, moved, etag=written.etag)
    assert again.remote_id == written.remote_id
    assert again.etag != written.etag
    changed, cursor = account.pages(cursor)
    assert [one.start for one in changed.values()] == [EventTime(datetime(2026, 12, 1, 10), "UTC")]  # noqa: DTZ001

    account.provider.delete_event(account.calendar, written.remote_id)
    account.provider.delete_event(account.calendar, written.remote_id)
    ended, cursor = account.pages(cursor)
    assert [(one.remote_id, one.status) for one in ended.values()] == [
        (written.remote_id, EventStatus.CANCELLED)
    ]
    assert account.pages(cursor)[0] == {}
    assert account.pages()[0] == {}
    with pytest.raises(EventNotFound):
        account.provider.get_event(account.calendar, written.remote_id)


def test_creating_twice_is_creating_once(account: Account) -> None:
    """A repeated create, whose first answer was lost, finds its event and writes nothing."""
    first = account.provider.put_event(account.calendar, draft())
    account.network.asked.clear()
    assert account.provider.put_event(account.calendar, draft()) == first
    assert [line.split()[0] for line in account.network.asked] == ["PUT", "GET"]
    assert len(account.pages()[0]) == 1


def test_a_deleted_event_is_not_revived_by_its_name(account: Account) -> None:
    """An update of an event that its owner deleted says that it is gone; with our key it is made again."""
    written = account.provider.put_event(account.calendar, draft())
    account.provider.delete_event(account.calendar, written.remote_id)
    with pytest.raises(EventNotFound):
        account.provider.put_event(account.calendar, draft(remote_id=written.remote_id), etag=written.etag)
    assert account.provider.put_event(account.calendar, draft()).remote_id == written.remote_id
    account.provider.delete_event(account.calendar, draft().key)
    assert account.pages()[0] == {}


def test_a_stale_version_is_not_overwritten(account: Account) -> None:
    """What the owner changed meanwhile stands, and writing or deleting the old version says so."""
    written = account.provider.put_event(account.calendar, draft())
    url = f"{account.calendar}{written.remote_id}"
    text = account.other.get(url).text
    account.store(written.remote_id, text.replace("\r\n", "\n").replace("LOCATION:Room 1", "LOCATION:Room 2"))
    later = draft(remote_id=written.remote_id, summary="Changed")
    with pytest.raises(PreconditionFailed):
        account.provider.put_event(account.calendar, later, etag=written.etag)
    with pytest.raises(PreconditionFailed):
        account.provider.delete_event(account.calendar, written.remote_id, etag=written.etag)
    assert "Room 2" in account.other.get(url).text


def test_what_we_do_not_know_stays(account: Account) -> None:
    """An update keeps the owner's alarm, category, foreign properties and other guests."""
    written = account.provider.put_event(account.calendar, draft())
    url = f"{account.calendar}{written.remote_id}"
    text = account.other.get(url).text.replace("\r\n", "\n")
    extra = (
        "CATEGORIES:MINE\nX-OTHER-PROGRAM;X-P=1:keep me\n"
        "ORGANIZER:mailto:ada@example.com\nATTENDEE;PARTSTAT=DECLINED:mailto:guest@example.com\n"
        "BEGIN:VALARM\nACTION:DISPLAY\nDESCRIPTION:Soon\nTRIGGER:-PT5M\nEND:VALARM\nEND:VEVENT"
    )
    account.store(written.remote_id, text.replace("END:VEVENT", extra))
    account.provider.put_event(
        account.calendar, draft(remote_id=written.remote_id, summary="New", end=START + timedelta(hours=1))
    )
    kept = account.other.get(url).text
    for part in ("CATEGORIES:MINE", "keep me", "guest@example.com", "TRIGGER:-PT5M", "SUMMARY:New"):
        assert part in kept
    event = account.provider.get_event(account.calendar, written.remote_id)
    assert event.end == EventTime(datetime(2026, 12, 1, 10), "UTC")  # noqa: DTZ001
    assert [guest.response for guest in event.attendees] == [Response.DECLINED]


def test_a_series_and_its_moved_occurrence(account: Account) -> None:
    """A moved occurrence has an id of its own and vanishes with what it belonged to, all told by one listing."""
    account.store("series.ics", SERIES.format(more=""))
    events, cursor = account.pages()
    assert list(events) == ["series.ics"]
    assert events["series.ics"].recurrence == ("RRULE:FREQ=DAILY;COUNT=5",)

    account.store("series.ics", SERIES.format(more=MOVED))
    events, cursor = account.pages(cursor)
    moved = events["series.ics#20261203T090000"]
    assert moved.master_id == "series.ics"
    assert moved.summary == "Stand-up, later"
    assert account.provider.get_event(account.calendar, moved.remote_id) == moved

    account.store("series.ics", SERIES.format(more=""))
    events, cursor = account.pages(cursor)
    assert events[moved.remote_id].status is EventStatus.CANCELLED
    assert events[moved.remote_id].master_id is None
    assert events["series.ics"].status is EventStatus.CONFIRMED

    account.store("series.ics", SERIES.format(more=MOVED))
    _, cursor = account.pages(cursor)
    assert account.other.delete(f"{account.calendar}series.ics").is_success
    events, cursor = account.pages(cursor)
    assert {remote_id: event.status for remote_id, event in events.items()} == {
        "series.ics": EventStatus.CANCELLED,
        moved.remote_id: EventStatus.CANCELLED,
    }


def test_nothing_new_is_one_request(account: Account) -> None:
    """Reading a calendar in which nothing happened costs one request."""
    account.store("series.ics", SERIES.format(more=MOVED))
    _, cursor = account.pages()
    account.network.asked.clear()
    assert account.pages(cursor)[0] == {}
    assert [line.split()[0] for line in account.network.asked] == ["REPORT"]


def test_a_refused_cursor_asks_for_everything(account: Account) -> None:
    """A token of another time, and a cursor that is none, end as SyncTokenInvalid."""
    for cursor in (Cursor(token="http://radicale.org/ns/sync/nonsense").dump(), "nonsense", "1:AAAA"):
        with pytest.raises(SyncTokenInvalid):
            account.pages(cursor)


def test_a_calendar_that_is_gone(account: Account) -> None:
    """A deleted calendar is told from an empty one, with a cursor and without."""
    _, cursor = account.pages()
    assert account.other.delete(account.calendar).is_success
    with pytest.raises((CalendarNotFound, SyncTokenInvalid)):
        account.pages(cursor)
    with pytest.raises(CalendarNotFound):
        account.pages()
    with pytest.raises(CalendarNotFound):
        account.provider.put_event(account.calendar, draft())


def test_a_calendar_made_again_is_listed_anew(account: Account) -> None:
    """Removed and made again under its address, with as many events as before: the new ones come, the old ones go."""
    account.store("old.ics", SERIES.format(more=""))
    _, cursor = account.pages()
    assert account.other.delete(account.calendar).is_success
    assert account.other.request("MKCALENDAR", account.calendar, content=MKCALENDAR).status_code == 201
    account.store("new.ics", SERIES.format(more="").replace("series@", "new@"))
    try:
        standing, _ = account.pages(cursor)
        assert standing["old.ics"].status is EventStatus.CANCELLED
    except SyncTokenInvalid:
        standing, _ = account.pages()
        assert set(standing) == {"new.ics"}
    assert standing["new.ics"].status is EventStatus.CONFIRMED


def test_odd_names_are_found_again(account: Account) -> None:
    """Names that need escaping are listed, read and deleted under the same id."""
    name = "Büro & co @ 50% #1.ics"
    account.store(name, SERIES.format(more=MOVED))
    events, cursor = account.pages()
    assert set(events) == {name, f"{name}#20261203T090000"}
    for remote_id, event in events.items():
        assert account.provider.get_event(account.calendar, remote_id) == event
    account.provider.delete_event(account.calendar, name)
    events, _ = account.pages(cursor)
    assert {event.status for event in events.values()} == {EventStatus.CANCELLED}


def test_free_busy(account: Account) -> None:
    """Busy times are those of the series with its moved occurrence, within the span asked for."""
    account.store("series.ics", SERIES.format(more=MOVED))
    account.store(
        "free.ics",
        "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:x\nBEGIN:VEVENT\nUID:free\nDTSTAMP:20261101T000000Z\n"
        "DTSTART:20261203T110000Z\nDTEND:20261203T120000Z\nTRANSP:TRANSPARENT\nEND:VEVENT\nEND:VCALENDAR\n",
    )
    day = instant(datetime(2026, 12, 3, tzinfo=UTC))
    span = Span(day, day + 2 * 86_400)
    expected = [Span(day + 15 * 3600, day + 16 * 3600), Span(day + 33 * 3600, day + 34 * 3600)]
    assert account.provider.freebusy([account.calendar], span) == {account.calendar: expected}
    missing = account.provider.freebusy([f"{account.server.home}missing/"], span)
    assert isinstance(next(iter(missing.values())), CalendarNotFound)


@pytest.mark.parametrize(
    ("lines", "override"),
    [
        ("ATTENDEE;PARTSTAT=DECLINED:mailto:ada%40example.com\n", ""),
        ("X-MICROSOFT-CDO-BUSYSTATUS:FREE\n", ""),
        ("TRANSP:TRANSPARENT\n", ""),
        ("STATUS:CANCELLED\n", ""),
        ("RRULE:FREQ=DAILY;COUNT=5\n", "STATUS:CANCELLED\n"),
        ("RRULE:FREQ=DAILY;COUNT=5\n", "TRANSP:TRANSPARENT\n"),
        ("RRULE:FREQ=DAILY;COUNT=5\n", "ATTENDEE;PARTSTAT=DECLINED:mailto:ada@example.com\n"),
    ],
)
def test_what_free_busy_should_not_count(account: Account, lines: str, override: str) -> None:
    """Whatever the server's free/busy makes of it: the events of the time block nothing, and explain what it says."""
    event = (
        "BEGIN:VEVENT\nUID:one\nDTSTAMP:20261101T000000Z\n{times}DTSTART:20261203T090000Z\n"
        "DTEND:20261203T100000Z\n{more}END:VEVENT\n"
    )
    text = event.format(times="", more=lines)
    if override:
        text = text.replace("20261203", "20261202")
        text += event.format(times="RECURRENCE-ID:20261203T090000Z\n", more=override)
    account.store("one.ics", f"BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:x\n{text}END:VCALENDAR\n")
    nine = instant(datetime(2026, 12, 3, 9, tzinfo=UTC))
    span = Span(nine, nine + 3600)
    judged = judge(account.provider.events_in(account.calendar, span), "UTC", span)
    assert not any(span.overlaps(one) for one in judged.busy)
    said = account.provider.freebusy([account.calendar], span)[account.calendar]
    assert isinstance(said, list)
    assert subtract(said, judged.known) == []


def test_many_events_are_a_handful_of_requests(account: Account) -> None:
    """A first listing of many events takes a bounded number of requests, and nothing is missing."""
    whole = account.server.name == "radicale"  # which takes a calendar as one text
    count = 300 if whole else 110
    head, foot = "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:x\n", "END:VCALENDAR\n"
    events = [
        f"BEGIN:VEVENT\nUID:{number}\nDTSTAMP:20261101T000000Z\n"
        f"DTSTART:{START + timedelta(hours=number):%Y%m%dT%H%M%SZ}\nDURATION:PT30M\nSUMMARY:{number}\nEND:VEVENT\n"
        for number in range(count)
    ]
    if whole:
        account.store("", head + "".join(events) + foot)
    else:
        for number, event in enumerate(events):
            account.store(f"{number}.ics", head + event + foot)
    account.network.asked.clear()
    listed, _ = account.pages()
    assert len(listed) == count
    assert len(account.network.asked) <= 5
