"""The whole way with servers that are known, on what was recorded of them: connect by e-mail and by address, list, look
before a booking, write."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import httpx
import pytest

from calendar_app.domain.event import EventDraft, write_key
from calendar_app.domain.timespan import Span, instant
from calendar_app.errors import InvalidInput
from calendar_app.providers.base import Credentials, Opened
from calendar_app.providers.caldav import servers
from calendar_app.providers.caldav.account import Secret
from calendar_app.providers.caldav.discovery import CalDavSignIn, Service
from calendar_app.providers.caldav.mapping import plain_etag
from calendar_app.providers.caldav.provider import CalDavCalendar
from calendar_app.providers.caldav.servers import Refusals
from calendar_app.services.availability.event_judgement import judge
from calendar_app.settings import Settings
from tests.support.known_servers import RECORDED, Recorded, Recording
from tests.support.scripted_dav import START, always

SPAN = Span(instant(START), instant(START) + 1800)


@pytest.fixture(params=RECORDED, ids=lambda server: server.name)
def recording(request: pytest.FixtureRequest) -> Recording:
    """The network of one of the servers, with one event in the calendar."""
    made = Recording(request.param)
    made.calendar.put("a.ics", "Dentist")
    return made


def connect(recording: Recording, address: str, username: str = "") -> Opened:
    transport = httpx.MockTransport(recording)
    services = list(recording.server.services)
    sign_in = CalDavSignIn(Settings(), transport=transport, lookup=lambda _domain: services)
    return sign_in.open(Credentials(address, username, "secret"))


def opened(recording: Recording, slept: list[float] | None = None) -> CalDavCalendar:
    secret = Secret.load(connect(recording, recording.server.email).secret)
    pauses = [] if slept is None else slept
    return CalDavCalendar(
        Settings(),
        secret,
        transport=httpx.MockTransport(recording),
        sleep=pauses.append,
        without_freebusy=Refusals(),
    )


def test_it_is_connected_by_email(recording: Recording) -> None:
    """The e-mail address is enough to find the account, and its calendar is listed."""
    server = recording.server
    found = connect(recording, server.email)
    assert found.account.email == server.email
    assert found.account.account_id.endswith(server.principal)
    assert {calendar.name for calendar in opened(recording).list_calendars()} == {"Work"}


def test_it_is_connected_by_address(recording: Recording) -> None:
    """So are the addresses that its help pages and its owners give, and no password goes out before it is asked for."""
    for address in recording.server.addresses:
        found = connect(recording, address, recording.server.email)
        assert found.account.account_id.endswith(recording.server.principal)


def test_its_events_are_listed(recording: Recording) -> None:
    """Everything, and then what changed."""
    calendar, where = opened(recording), recording.server.calendar
    pages = list(calendar.event_pages(where, None))
    assert [event.summary for page in pages for event in page.events] == ["Dentist"]
    recording.calendar.put("b.ics", "Tea")
    pages = list(calendar.event_pages(where, pages[-1].cursor))
    assert [event.summary for page in pages for event in page.events] == ["Tea"]


def test_the_last_look_is_quick(recording: Recording) -> None:
    """Without a pause, and with at most one question that the server refuses, once and not for each booking."""
    slept: list[float] = []
    calendar, where = opened(recording, slept), recording.server.calendar
    refused = "free-busy-query" in recording.server.refuses
    for number in range(3):
        recording.calendar.asked.clear()
        said = calendar.freebusy([where], SPAN)[where]
        assert said == (None if refused else [SPAN])
        asks = recording.server.asks_freebusy and (not refused or number == 0)
        assert recording.calendar.asked == ["free-busy-query"] * asks
        assert judge(calendar.events_in(where, SPAN), "UTC", SPAN).busy == [SPAN]
    assert slept == []


def test_events_are_written(recording: Recording) -> None:
    """Made, changed by the version that we know, refused by one that is old, and deleted."""
    calendar, where = opened(recording), recording.server.calendar
    key = write_key("known")
    draft = EventDraft(key, key, "u@x", "Intro", START, START + timedelta(hours=1), "UTC")
    made = calendar.put_event(where, draft)
    assert calendar.get_event(where, made.remote_id).etag == made.etag
    changed = calendar.put_event(
        where, replace(draft, remote_id=made.remote_id, summary="Other"), etag=made.etag
    )
    assert "SUMMARY:Other" in recording.calendar.files[made.remote_id]
    calendar.delete_event(where, made.remote_id, etag=changed.etag)
    assert set(recording.calendar.files) == {"a.ics"}


def test_each_server_names_its_source() -> None:
    """What is recorded can be looked up."""
    assert all(server.source.startswith("https://") for server in RECORDED)
    assert len({server.name for server in RECORDED}) == len(RECORDED)


def test_china_is_found_by_an_icloud_address() -> None:
    """An account of iCloud in China that is asked for at the usual host has its calendars on the other domain."""
    china = next(server for server in RECORDED if server.name == "iCloud in China")
    recording = Recording(replace(china, host="caldav.icloud.com"))
    recording.calendar.put("a.ics", "Dentist")
    calendar = opened(recording)
    (listed,) = calendar.list_calendars()
    assert listed.remote_id == "https://p205-caldav.icloud.com.cn/1/calendars/work/"
    pages = list(calendar.event_pages(listed.remote_id, None))
    assert [event.summary for page in pages for event in page.events] == ["Dentist"]


@pytest.mark.parametrize(
    "host", ["caldav.icloud.com.cn.evil.example", "caldav.icloud.com.evil", "caldav.icloud.cn"]
)
def test_hosts_that_only_look_like_apples(host: str) -> None:
    """The password goes to Apple's own hosts only."""
    assert not servers.same_server("https://caldav.icloud.com/", f"https://{host}/")


@pytest.mark.parametrize(
    ("address", "title"),
    [
        ("ada@gmail.com", "Google"),
        ("ada@googlemail.com", "Google"),
        ("https://apidata.googleusercontent.com/caldav/v2/ada@gmail.com/user", "Google"),
        ("https://www.google.com/calendar/dav/ada@gmail.com/events/", "Google"),
        ("calendar.google.com", "Google"),
        ("ada@outlook.com", "Microsoft"),
        ("https://outlook.office365.com/", "Microsoft"),
    ],
)
def test_accounts_of_a_consent_page_are_sent_there(address: str, title: str) -> None:
    """Google's address typed as CalDAV ends in a sentence that says what to choose; nothing is sent."""

    def nothing(request: httpx.Request) -> httpx.Response:
        raise AssertionError(request.url)

    sign_in = CalDavSignIn(Settings(), transport=httpx.MockTransport(nothing), lookup=lambda _domain: [])
    with pytest.raises(InvalidInput, match=f"choose {title}") as caught:
        sign_in.open(Credentials(address, "ada", "secret"))
    assert (caught.value.field, caught.value.code) == ("address", f"connect_{title.lower()}")


@pytest.mark.parametrize("path", ["dns", "redirect"])
def test_domains_that_lead_to_google_say_so(path: str) -> None:
    """A business's own domain whose calendars are at Google, by its DNS or by its well-known address."""

    def redirect(request: httpx.Request) -> httpx.Response:
        if request.url.host == "example.org":
            where = "https://apidata.googleusercontent.com/caldav/v2/"
            return httpx.Response(301, headers={"location": where})
        return httpx.Response(401, headers={"www-authenticate": "Bearer"})

    services = [Service("apidata.googleusercontent.com")] if path == "dns" else []
    sign_in = CalDavSignIn(
        Settings(), transport=httpx.MockTransport(redirect), lookup=lambda _domain: services
    )
    with pytest.raises(InvalidInput, match="choose Google"):
        sign_in.open(Credentials("ada@example.org", "", "secret"))


def test_every_address_of_the_account_is_kept() -> None:
    """All that the server tells, escapes undone, and what the person typed; the first is what the account is called."""
    recording = Recording(replace(RECORDED[0], email="ada%2Bwork@fastmail.com"))
    recording.more_addresses = ["mailto:ada@home.example", "urn:uuid:17", "/principals/ada/"]
    secret = connect(recording, "caldav.fastmail.com", "ada@fastmail.com")
    assert secret.account.email == "ada+work@fastmail.com"
    assert Secret.load(secret.secret).owners == (
        "ada+work@fastmail.com",
        "ada@home.example",
        "ada@fastmail.com",
        "urn:uuid:17",
        "/principals/ada/",
    )


def test_no_challenge_means_basic_over_tls_only() -> None:
    """A server that says 401 and not how gets no password in the clear."""
    bare = httpx.Response(401)
    settings = Settings(ALLOWED_PRIVATE_HOSTS="dav.example.org:80")
    sign_in = CalDavSignIn(settings, transport=httpx.MockTransport(always(bare)))
    with pytest.raises(InvalidInput):
        sign_in.open(Credentials("http://dav.example.org/", "ada", "secret"))


@pytest.mark.parametrize(
    ("tag", "plain"),
    [
        ('"abc"', '"abc"'),
        ('W/"abc"', '"abc"'),
        ('"abc-gzip"', '"abc"'),
        ('W/"abc-gzip"', '"abc"'),
        ('"abc--gzip"', '"abc"'),
        ('"abc;gzip"', '"abc"'),
        ('"abc-br"', '"abc"'),
        ('"gzip-abc"', '"gzip-abc"'),
        ('"abcgzip"', '"abcgzip"'),
        ("", ""),
    ],
)
def test_entity_tags_without_what_a_compression_adds(tag: str, plain: str) -> None:
    """Suffixes of Apache, Jetty and proxies are taken off, and nothing else."""
    assert plain_etag(tag) == plain


def test_a_refusal_is_remembered_for_a_day() -> None:
    """By server, and not for ever."""
    now = [0.0]
    seen = Refusals(now=lambda: now[0])
    assert not seen.known("https://dav.example.org/cal/")
    seen.note("https://dav.example.org/cal/")
    assert seen.known("https://dav.example.org:443/other/")
    assert not seen.known("https://dav.example.com/cal/")
    now[0] = 90_000.0
    assert not seen.known("https://dav.example.org/cal/")


def test_the_records_are_complete() -> None:
    """Every server with a place in the product's own list is among the recorded ones, or follows the standards."""
    standard = {"mailbox.org", "Posteo"}
    named = {server.title for server in servers.KNOWN} - standard
    assert named <= {_title(server) for server in RECORDED}


def _title(server: Recorded) -> str:
    return server.name.split()[0]
