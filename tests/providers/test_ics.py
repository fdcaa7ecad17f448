"""Following a calendar link: addresses, conditional requests, what servers answer instead of a calendar, and syncs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import httpx
import pytest
from sqlmodel import select

from calendar_app.db.session import reading
from calendar_app.db.tables import Calendar, Connection, Event
from calendar_app.errors import (
    AuthExpired,
    CalendarNotFound,
    Conflict,
    CredentialsRejected,
    InvalidInput,
    InvalidRequest,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
)
from calendar_app.providers import registry
from calendar_app.providers.base import Capability, Credentials
from calendar_app.providers.guard import GuardedClient
from calendar_app.providers.ics.mapping import Link
from calendar_app.providers.ics.provider import CALENDAR, IcsCalendar, IcsOpener, http
from calendar_app.services.calendar_sync import ics_import
from calendar_app.services.calendar_sync import requests as sync_requests
from calendar_app.services.connection_lifecycle import check as connection_check
from calendar_app.services.connection_lifecycle import credentials as connection_credentials
from calendar_app.services.connection_lifecycle import disconnect as connection_disconnect
from calendar_app.settings import Settings
from tests.providers.suite.ics import Publisher
from tests.services.calendar_sync.test_ics_import import ics, vevent
from tests.support import factories
from tests.support.databases import Database
from tests.support.web import served

URL = "https://calendars.example.com/team.ics?key=secret"
Answer = Callable[[httpx.Request], httpx.Response]


class Site:
    """A web server in memory: answers by URL, and what was asked of it."""

    def __init__(self) -> None:
        self.answer: Answer = lambda _request: httpx.Response(200, content=ics(vevent("a"), vevent("b")))
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        return self.answer(request)

    def calendar(self, url: str = URL, name: str = "") -> IcsCalendar:
        return IcsCalendar(self.client(), Link(url, name).secret)

    def client(self) -> GuardedClient:
        return http(Settings(), transport=httpx.MockTransport(self))


@pytest.fixture
def site() -> Site:
    return Site()


def listing(calendar: IcsCalendar, cursor: str | None = None) -> tuple[set[str], str | None, bool]:
    """Ids, cursor and whether it was everything."""
    pages = list(calendar.event_pages(CALENDAR, cursor))
    ids = {event.remote_id for page in pages for event in page.events}
    return ids, pages[-1].cursor, any(page.snapshot for page in pages)


def test_an_unchanged_calendar_costs_one_request_without_a_body(site: Site) -> None:
    """Entity tag and date come back as conditions; 304 means that nothing changed."""
    headers = {"etag": '"v1"', "last-modified": "Sat, 21 Nov 2026 05:00:00 GMT"}
    site.answer = lambda _request: httpx.Response(200, content=ics(vevent("a")), headers=headers)
    ids, cursor, whole = listing(site.calendar())
    assert (ids, whole) == ({"a"}, True)
    site.answer = lambda _request: httpx.Response(304)
    assert listing(site.calendar(), cursor) == (set(), cursor, False)
    asked = site.asked[-1].headers
    assert (asked["if-none-match"], asked["if-modified-since"]) == tuple(headers.values())
    assert len(site.asked) == 2


@pytest.mark.parametrize(
    ("head", "cache", "minutes"),
    [
        ("REFRESH-INTERVAL;VALUE=DURATION:PT2H", "", 120),
        ("X-PUBLISHED-TTL:PT30M", "", 30),
        ("REFRESH-INTERVAL;VALUE=DURATION:P1W\nX-PUBLISHED-TTL:PT1H", "", 7 * 1440),
        ("REFRESH-INTERVAL:soon\nX-PUBLISHED-TTL:PT1H", "", 60),
        ("X-PUBLISHED-TTL:-PT1H", "", 0),
        ("X-PUBLISHED-TTL:P9W", "", 30 * 1440),
        ("X-PUBLISHED-TTL:P99999999999W", "", 0),
        ("X-WR-CALNAME:Plain", "public, max-age=900", 15),
        ("X-WR-CALNAME:Plain", "Max-Age=900, no-cache", 0),
        ("X-WR-CALNAME:Plain", "max-age=soon", 0),
        ("X-PUBLISHED-TTL:PT30M", "max-age=3600", 60),
        ("X-WR-CALNAME:Plain", "", 0),
    ],
)
def test_a_publisher_says_how_often_to_ask(site: Site, head: str, cache: str, minutes: int) -> None:
    """In the file or in the answer, whichever is longer; what is no length of time says nothing. An answer without a
    file says nothing new."""
    headers = {"cache-control": cache, "etag": '"1"'} if cache else {"etag": '"1"'}
    site.answer = lambda _request: httpx.Response(200, content=ics(vevent("a"), head=head), headers=headers)
    pages = list(site.calendar().event_pages(CALENDAR, None))
    assert pages[-1].wish == timedelta(minutes=minutes)
    site.answer = lambda _request: httpx.Response(304)
    assert [page.wish for page in site.calendar().event_pages(CALENDAR, pages[-1].cursor)] == [None]


def test_a_server_that_knows_no_conditions_is_compared_by_content(site: Site) -> None:
    """The same bytes are no change; other bytes are everything there is, so that what is gone is gone."""
    _, cursor, _ = listing(site.calendar())
    assert listing(site.calendar(), cursor) == (set(), cursor, False)
    site.answer = lambda _request: httpx.Response(200, content=ics(vevent("b")))
    ids, later, whole = listing(site.calendar(), cursor)
    assert (ids, whole) == ({"b"}, True)
    assert later != cursor


@pytest.mark.parametrize("cursor", ["", "no json", "[]", '{"etag": 1}', "null", "💥"])
def test_a_cursor_of_another_address_asks_for_everything(site: Site, cursor: str) -> None:
    """Conditions of another address, or none that can be read, are not sent."""
    _, other, _ = listing(site.calendar("https://other.example.com/x.ics"))
    for foreign in (cursor, other):
        ids, _, whole = listing(site.calendar(), foreign)
        assert (ids, whole) == ({"a", "b"}, True)
        assert "if-none-match" not in site.asked[-1].headers


def test_pasted_addresses_are_understood(site: Site) -> None:
    """webcal is https by another name, and https may be left out; the address is not told to anybody."""
    for typed in ("webcal://c.example.com/a.ics", " c.example.com/a.ics ", "WEBCALS://c.example.com/a.ics"):
        opened = IcsOpener(site.client()).open(Credentials(typed, "My team"))
        assert str(site.asked[-1].url) == "https://c.example.com/a.ics"
        assert opened.account.email == "My team (c.example.com)"
        assert "a.ics" not in opened.account.account_id + opened.account.email
    named = IcsOpener(site.client()).open(Credentials("c.example.com/a.ics"))
    assert named.account.name == "Football"
    assert named.account.account_id == opened.account.account_id
    for typed in ("", "ada@example.com", "x" * 3000, "https://", "http://a:b:c/", "javascript:alert(1)"):
        with pytest.raises(InvalidInput):
            IcsOpener(site.client()).open(Credentials(typed))


def test_a_login_page_is_no_calendar(site: Site) -> None:
    """HTML is named as such, with the host that sent it when that is another one."""

    def moved(request: httpx.Request) -> httpx.Response:
        if request.url.host == "login.example.net":
            return httpx.Response(200, text="<!DOCTYPE html><title>Sign in</title>")
        return httpx.Response(302, headers={"location": "https://login.example.net/in"})

    site.answer = lambda _request: httpx.Response(200, text="<html>Hello</html>")
    with pytest.raises(InvalidInput, match="a web page at this address, not a calendar"):
        IcsOpener(site.client()).open(Credentials(URL))
    with pytest.raises(ProviderUnavailable, match="web page"):
        listing(site.calendar())
    site.answer = moved
    with pytest.raises(InvalidInput, match="sent us on to login"):
        IcsOpener(site.client()).open(Credentials(URL))


@pytest.mark.parametrize(
    ("status", "kind", "opening"),
    [
        (401, AuthExpired, CredentialsRejected),
        (403, AuthExpired, CredentialsRejected),
        (404, CalendarNotFound, InvalidInput),
        (410, CalendarNotFound, InvalidInput),
        (400, InvalidRequest, InvalidInput),
        (429, RateLimited, RateLimited),
        (503, ProviderUnavailable, ProviderUnavailable),
    ],
)
def test_refusals_are_told_apart(
    site: Site, status: int, kind: type[ProviderError], opening: type[Exception]
) -> None:
    """Each says in one sentence what happened, never with the secret address in it; waits are as the server asks."""
    site.answer = lambda _request: httpx.Response(status, headers={"retry-after": "90"}, text="secret")
    with pytest.raises(kind) as caught:
        listing(site.calendar())
    assert "secret" not in caught.value.detail
    assert getattr(caught.value, "retry_after", 90.0) == 90.0
    with pytest.raises(opening):
        IcsOpener(site.client()).open(Credentials(URL))


def test_redirects_into_the_private_network_are_refused(site: Site) -> None:
    """A public address that sends us on to this machine is not followed, whenever it begins to do that."""
    for target in ("http://127.0.0.1/", "https://169.254.169.254/latest", "file:///etc/passwd"):
        site.answer = lambda _request, to=target: httpx.Response(302, headers={"location": to})
        before = len(site.asked)
        with pytest.raises(InvalidRequest):
            listing(site.calendar())
        assert len(site.asked) == before + 1
        with pytest.raises(InvalidInput):
            IcsOpener(site.client()).open(Credentials(URL))


def test_a_cut_file_changes_nothing(site: Site) -> None:
    """A file that ends in the middle is an error, and not a calendar with fewer events; so is one too large."""
    site.answer = lambda _request: httpx.Response(200, content=ics(vevent("a"), vevent("b"))[:-40])
    with pytest.raises(ProviderUnavailable, match="ends in the middle"):
        listing(site.calendar())
    site.answer = lambda _request: httpx.Response(200, content=b"BEGIN:VCALENDAR\r\n" + b"x" * (17 * 2**20))
    with pytest.raises(ProviderUnavailable, match="larger than 16 MiB"):
        listing(site.calendar())


def test_marks_of_ours_are_not_believed(site: Site) -> None:
    """A stranger's event keeps its rule, however often it repeats, and loses what only our own events may carry."""
    event = vevent("a", "RRULE:FREQ=SECONDLY", "X-ALMANAC-ALMANAC_BOOKING:b1")
    site.answer = lambda _request: httpx.Response(200, content=ics(event))
    (found,) = site.calendar().file().events
    assert (found.recurrence, dict(found.private)) == (("RRULE:FREQ=SECONDLY",), {})


def test_an_imported_file_has_nobody_to_ask() -> None:
    """The registry's entry for files answers every call with one final sentence."""
    stored = registry.calendar_provider("file", "")
    assert stored.capabilities == Capability(0)
    with pytest.raises(InvalidRequest, match="import it again"):
        stored.list_calendars()


@contextmanager
def published(configure: Callable[..., Settings]) -> Iterator[tuple[str, Publisher]]:
    publisher = Publisher()
    with served(publisher) as url:
        configure(ALLOWED_PRIVATE_HOSTS=httpx.URL(url).netloc.decode())
        yield url, publisher


def test_a_followed_calendar_is_mirrored_until_it_is_removed(
    database: Database, configure: Callable[..., Settings]
) -> None:
    """Connected by its link it blocks time; what vanishes from the file vanishes here; 304 changes nothing; its
    address stands nowhere in clear."""
    with published(configure) as (url, publisher):
        configure(DATABASE_URL=database.url)
        publisher.files["/key-123.ics"] = ics(vevent("a"), vevent("b")).decode()
        team = factories.team()
        made = connection_credentials.connect(
            team.actor, "ics", address=f"{url}/key-123.ics", username="Team"
        )
        (calendar,) = made.calendars
        assert (calendar.name, calendar.access_role) == ("Team", "reader")
        assert calendar.checks_conflicts
        assert sync_requests.sync_calendar(calendar.id).changed == 2
        unchanged = sync_requests.sync_calendar(calendar.id)
        assert (unchanged.full, unchanged.changed, unchanged.removed) == (False, 0, 0)
        publisher.files["/key-123.ics"] = ics(vevent("b")).decode()
        changed = sync_requests.sync_calendar(calendar.id)
        assert (changed.full, changed.removed) == (True, 1)
        with reading() as session:
            assert [row.remote_id for row in session.exec(select(Event)).all()] == ["b"]
            row = (
                session.connection().exec_driver_sql("SELECT * FROM connection WHERE provider = 'ics'").one()
            )
            assert "key-123" not in str(row)
        assert connection_check.test(team.actor, made.connection.id).ok
        ics_import.delete_calendar(team.actor, calendar.id)
        with reading() as session:
            assert session.get(Connection, made.connection.id) is None
            assert session.get(Calendar, calendar.id) is None


def test_a_followed_calendar_comes_back_under_a_new_link(
    database: Database, configure: Callable[..., Settings]
) -> None:
    """A publisher who changes the link does not cost the subscription: same connection, same calendar, same events.
    A link that is followed already, beside it, is refused, and one that once was is taken over."""
    with published(configure) as (url, publisher):
        configure(DATABASE_URL=database.url)
        for name in ("old", "new", "other"):
            publisher.files[f"/{name}.ics"] = ics(vevent("a"), vevent("b")).decode()
        team = factories.team()
        made = connection_credentials.connect(team.actor, "ics", address=f"{url}/old.ics")
        (calendar,) = made.calendars
        sync_requests.sync_calendar(calendar.id)
        with reading() as session:
            before = sorted(row.id for row in session.exec(select(Event)).all() if row.id is not None)
        del publisher.files["/old.ics"]
        assert sync_requests.sync_calendar(calendar.id).error

        again = connection_credentials.connect(
            team.actor, "ics", address=f"{url}/new.ics", connection_id=made.connection.id
        )
        assert (again.connection.id, again.calendars[0].id) == (made.connection.id, calendar.id)
        assert sync_requests.sync_calendar(calendar.id).removed == 0
        with reading() as session:
            assert sorted(row.id for row in session.exec(select(Event)).all() if row.id is not None) == before

        other = connection_credentials.connect(team.actor, "ics", address=f"{url}/other.ics")
        with pytest.raises(Conflict) as caught:
            connection_credentials.connect(
                team.actor, "ics", address=f"{url}/other.ics", connection_id=made.connection.id
            )
        assert caught.value.code == "already_connected"
        connection_disconnect.disconnect(team.actor, other.connection.id)
        taken = connection_credentials.connect(
            team.actor, "ics", address=f"{url}/other.ics", connection_id=made.connection.id
        )
        assert taken.connection.id == made.connection.id
