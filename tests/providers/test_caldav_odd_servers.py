"""CalDAV servers that do things their own way, scripted: no sync-collection, weak tags, truncation, nonsense, traps."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import unquote

import httpx
import pytest

from calendar_app.domain.event import EventDraft, EventStatus, time_lost, write_key
from calendar_app.domain.timespan import Span, instant
from calendar_app.errors import (
    AuthExpired,
    CalendarNotFound,
    CredentialsRejected,
    EventNotFound,
    InvalidInput,
    InvalidRequest,
    PermissionDenied,
    PreconditionFailed,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    SyncTokenInvalid,
)
from calendar_app.providers.base import AccessRole, Credentials
from calendar_app.providers.caldav import servers
from calendar_app.providers.caldav.account import DIGEST, Secret
from calendar_app.providers.caldav.discovery import CalDavSignIn, Service
from calendar_app.providers.caldav.provider import CalDavCalendar
from calendar_app.services.availability.event_judgement import judge
from calendar_app.settings import Settings
from tests.support.scripted_dav import (
    CALENDAR,
    EVENT,
    HOST,
    NS,
    START,
    Handler,
    always,
    found,
    listed,
    multi,
    provider,
    status,
)


@dataclass
class OldServer:
    """A server without sync-collection, free-busy-query or entity tags on PUT; ``weak`` marks its tags as weak."""

    files: dict[str, str] = field(default_factory=dict)
    ctag: int = 1
    weak: bool = False
    leaves_out: frozenset[str] = frozenset()
    asked: list[str] = field(default_factory=list)
    escape: Callable[[str], str] = str

    def put(self, name: str, text: str) -> None:
        """Another program writes."""
        self.files[name] = text
        self.ctag += 1

    def remove(self, name: str) -> None:
        """Another program deletes."""
        del self.files[name]
        self.ctag += 1

    def tag(self, name: str) -> str:
        return f'{"W/" if self.weak else ""}"{abs(hash(self.files[name]))}"'

    def href(self, name: str) -> str:
        return f"/cal/work/{self.escape(name)}"

    def __call__(self, request: httpx.Request) -> httpx.Response:
        body = request.content.decode()
        name = unquote(request.url.path.removeprefix("/cal/work/"))
        kind = re.search(r"<(?:C|D):(calendar-multiget|calendar-query|free-busy-query|sync-collection)", body)
        self.asked.append(kind[1] if kind else request.method)
        if request.method == "PROPFIND" and "getctag" in body:
            return multi(found("/cal/work/", CS_getctag=str(self.ctag)))
        if request.method == "PROPFIND" and request.headers["depth"] == "1":
            folder = found("/cal/work/", resourcetype="<D:collection/>")
            return multi(folder, *(found(self.href(one), getetag=self.tag(one)) for one in self.files))
        if request.method == "PROPFIND":
            known = name in self.files
            return multi(found("/cal/work/", getetag=self.tag(name)) if known else found("/cal/work/"))
        if kind and kind[1] == "calendar-multiget":
            names = [
                unquote(href).removeprefix("/cal/work/")
                for href in re.findall(r"<D:href>(.*?)</D:href>", body)
            ]
            return multi(*(self._got(one) for one in names if one not in self.leaves_out))
        if kind and kind[1] == "calendar-query":
            return multi(*(self._got(one) for one in self.files))
        if kind:
            return httpx.Response(400)
        return self._file(request, name)

    def _got(self, name: str) -> str:
        if name not in self.files:
            return status(self.href(name), 404)
        text = self.files[name]
        return found(self.href(name), getetag=self.tag(name), C_calendar_data=f"<![CDATA[{text}]]>")

    def _file(self, request: httpx.Request, name: str) -> httpx.Response:
        if request.method == "PUT":
            wanted = request.headers.get("if-match")
            if "if-none-match" in request.headers and name in self.files:
                return httpx.Response(412)
            if wanted and (name not in self.files or self.weak or wanted != self.tag(name)):
                return httpx.Response(412)
            self.put(name, request.content.decode())
            return httpx.Response(201)
        if name not in self.files:
            return httpx.Response(404)
        if request.method == "DELETE":
            if "if-match" in request.headers and self.weak:
                return httpx.Response(412)
            self.remove(name)
            return httpx.Response(204)
        return httpx.Response(200, text=self.files[name], headers={"etag": self.tag(name)})


def draft(**changes: str) -> EventDraft:
    """What a booking wants to stand there."""
    key = write_key("one")
    return EventDraft(
        key, key, "u@x", changes.get("summary", "Intro"), START, START + timedelta(hours=1), "UTC"
    )


def sign_in(handler: Handler, services: Sequence[Service] = ()) -> CalDavSignIn:
    """The sign-in, whose network and DNS are scripted."""
    return CalDavSignIn(
        Settings(), transport=httpx.MockTransport(handler), lookup=lambda _domain: list(services)
    )


def test_without_sync_collection_tags_are_compared() -> None:
    """New, changed and deleted resources are told by ctag and entity tags; nothing new is one request."""
    server = OldServer()
    for number in range(230):
        server.put(f"{number}.ics", EVENT.format(uid=number))
    calendar = provider(server)
    events, cursor = listed(calendar)
    assert len(events) == 230
    assert server.asked == ["PROPFIND"] * 3 + ["calendar-multiget"] * 3

    server.asked.clear()
    assert listed(calendar, cursor) == ({}, cursor)
    assert server.asked == ["PROPFIND", "PROPFIND"]  # its ctag is a count, which another calendar could have

    server.put("7.ics", EVENT.format(uid="seven"))
    server.put("new.ics", EVENT.format(uid="new"))
    server.remove("9.ics")
    events, cursor = listed(calendar, cursor)
    assert {(event.remote_id, event.status, event.summary) for event in events.values()} == {
        ("7.ics", EventStatus.CONFIRMED, "seven"),
        ("new.ics", EventStatus.CONFIRMED, "new"),
        ("9.ics", EventStatus.CANCELLED, ""),
    }
    assert listed(calendar, cursor)[0] == {}


def test_what_multiget_leaves_out_is_fetched() -> None:
    """Resources that an answer lacks are read one by one, not lost; a cursor of thousands stays small."""
    server = OldServer(leaves_out=frozenset({"3.ics"}))
    for number in range(2_000):
        server.files[f"{number}.ics"] = EVENT.format(uid=number)
    events, cursor = listed(provider(server))
    assert "3.ics" in events
    assert len(events) == 2_000
    assert len(cursor) < 60_000


@pytest.mark.parametrize(
    "escape", [str, lambda name: name.replace("@", "%40"), lambda name: name.upper()[:0] + name]
)
def test_hrefs_are_compared_unescaped(escape: Callable[[str], str]) -> None:
    """A server may escape more than it has to; the names stay the same."""
    server = OldServer(escape=escape)
    server.put("a@b.ics", EVENT.format(uid="a"))
    events, cursor = listed(provider(server))
    assert list(events) == ["a@b.ics"]
    server.remove("a@b.ics")
    assert listed(provider(server), cursor)[0]["a@b.ics"].status is EventStatus.CANCELLED


@pytest.mark.parametrize("weak", [False, True])
def test_writing_without_tags_on_put(weak: bool) -> None:
    """Servers that answer a PUT without an entity tag, and those whose tags are weak, are written to all the same."""
    server = OldServer(weak=weak)
    calendar = provider(server)
    written = calendar.put_event(CALENDAR, draft())
    assert written.etag.startswith('"')
    assert calendar.put_event(CALENDAR, draft()) == written
    changed = calendar.put_event(CALENDAR, draft(summary="Changed"), etag=written.etag)
    assert changed.etag != written.etag
    assert "SUMMARY:Changed" in server.files[written.remote_id]
    with pytest.raises(PreconditionFailed):
        calendar.put_event(CALENDAR, draft(), etag=written.etag)
    calendar.delete_event(CALENDAR, written.remote_id, etag=changed.etag)
    assert server.files == {}


def test_free_busy_without_the_report() -> None:
    """Where free-busy-query is refused, that is said, and the events of that time are there to be judged."""
    server = OldServer()
    server.put("a.ics", EVENT.format(uid="a"))
    first = instant(START)
    span = Span(first - 3600, first + 900)
    calendar = provider(server)
    assert calendar.freebusy([CALENDAR], span) == {CALENDAR: None}
    assert judge(calendar.events_in(CALENDAR, span), "UTC", span).busy == [Span(first, first + 1800)]
    assert server.asked == ["free-busy-query", "calendar-query"]


def _reports(answers: Mapping[str, httpx.Response]) -> Handler:
    """A server with sync-collection; ``answers`` by the token that is sent."""

    def handle(request: httpx.Request) -> httpx.Response:
        if request.method == "PROPFIND":
            report = "<D:supported-report><D:report><D:sync-collection/></D:report></D:supported-report>"
            return multi(found("/cal/work/", **{"supported-report-set": report}))
        sent = re.search(r"<D:sync-token>(.*?)</D:sync-token>", request.content.decode())
        return answers[sent[1] if sent else ""]

    return handle


def _full(name: str) -> str:
    return found(f"/cal/work/{name}", getetag='"1"', C_calendar_data=f"<![CDATA[{EVENT.format(uid=name)}]]>")


def test_a_truncated_listing_is_continued() -> None:
    """507 for the collection itself means that there is more (RFC 6578 §3.6); what a later part takes back is gone."""
    answers = {
        "": multi(_full("a.ics"), _full("b.ics"), status("/cal/work/", 507), token="t1"),
        "t1": multi(_full("c.ics"), status("/cal/work/a.ics", 404), status("/cal/work/", 507), token="t2"),
        "t2": multi(_full("d.ics"), token="t3"),
        "t3": multi(token="t3"),
    }
    calendar = provider(_reports(answers))
    events, cursor = listed(calendar)
    assert {e.remote_id for e in events.values() if e.status is EventStatus.CONFIRMED} == {
        "b.ics",
        "c.ics",
        "d.ics",
    }
    assert events["a.ics"].status is EventStatus.CANCELLED
    assert listed(calendar, cursor) == ({}, cursor)


def test_truncation_without_progress_ends() -> None:
    """A server that truncates again and again at the same token is not asked for ever."""
    handler = _reports(
        {"": multi(status("/cal/work/", 507), token="t"), "t": multi(status("/cal/work/", 507), token="t")}
    )
    with pytest.raises(ProviderUnavailable) as caught:
        listed(provider(handler))
    assert caught.value.reason == "no_progress"


@pytest.mark.parametrize("code", [403, 409])
def test_a_refused_token_is_told(code: int) -> None:
    """The precondition valid-sync-token asks for a full listing (RFC 6578 §3.8)."""
    first = _reports({"": multi(token="t1")})
    _, cursor = listed(provider(first))
    error = httpx.Response(code, text=f"<D:error {NS}><D:valid-sync-token/></D:error>")
    with pytest.raises(SyncTokenInvalid):
        listed(provider(_reports({"t1": error})), cursor)


def test_events_that_a_report_does_not_carry_are_fetched() -> None:
    """Where sync-collection gives entity tags only, multiget brings the events; a refusal of data is remembered."""
    seen: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        body = request.content.decode()
        seen.append("data" if "calendar-data" in body else request.method)
        if "multiget" in body:
            return multi(_full("a.ics"))
        if "sync-collection" in body and "calendar-data" in body:
            return httpx.Response(403)
        if request.method == "REPORT":
            return multi(found("/cal/work/a.ics", getetag='"1"'), token="t1")
        return _reports({})(request)

    calendar = provider(handle)
    events, cursor = listed(calendar)
    assert list(events) == ["a.ics"]
    seen.clear()
    listed(calendar, cursor)
    assert seen == ["REPORT", "data"]


def test_a_listing_that_is_not_understood_is_not_empty() -> None:
    """A server that names its resources in another place is not taken for an empty calendar, with tags or tokens."""
    elsewhere = found("/other/a.ics", getetag='"1"')
    with pytest.raises(ProviderUnavailable) as caught:
        listed(provider(_reports({"": multi(elsewhere, token="t")})))
    assert caught.value.reason == "other_place"
    with pytest.raises(ProviderUnavailable):
        listed(
            provider(
                lambda request: multi(elsewhere) if request.method == "PROPFIND" else httpx.Response(400)
            )
        )


def test_a_calendar_that_moved_on_its_host_is_followed() -> None:
    """A redirect of the collection gives the same names as before."""

    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.path.startswith("/cal/"):
            return httpx.Response(308, headers={"location": request.url.path.replace("/cal/", "/new/")})
        return _reports({"": multi(_full("a.ics").replace("/cal/", "/new/"), token="t")})(request)

    assert list(listed(provider(handle))[0]) == ["a.ics"]


def test_a_report_that_takes_too_long_is_asked_without_events() -> None:
    """A time-out of the whole listing is not repeated; entity tags and portions are asked for instead."""
    seen: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        body = request.content.decode()
        seen.append(request.method)
        if "sync-collection" in body and "calendar-data" in body:
            raise httpx.ReadTimeout("slow")
        if "multiget" in body:
            return multi(_full("a.ics"))
        if request.method == "REPORT":
            return multi(found("/cal/work/a.ics", getetag='"1"'), token="t1")
        return _reports({})(request)

    assert list(listed(provider(handle))[0]) == ["a.ics"]
    assert seen == ["PROPFIND", "REPORT", "REPORT", "REPORT"]


@pytest.mark.parametrize(
    "answer",
    [
        "BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n",
        "<html>free</html>",
        "BEGIN:VCALENDAR\r\nBEGIN:VFREEBUSY\r\nFREEBUSY:20261201T090000Z/P99999999999D\r\n"
        "END:VFREEBUSY\r\nEND:VCALENDAR\r\n",
    ],
)
def test_no_busy_times_are_not_free_time(answer: str) -> None:
    """An answer to free-busy-query that says nothing is not believed: the events are asked for."""
    server = OldServer()
    server.put("a.ics", EVENT.format(uid="a"))

    def handle(request: httpx.Request) -> httpx.Response:
        if b"free-busy-query" in request.content:
            return httpx.Response(200, text=answer, headers={"content-type": "text/calendar"})
        return server(request)

    span = Span(instant(START), instant(START) + 7200)
    calendar = provider(handle)
    assert calendar.freebusy([CALENDAR], span) == {CALENDAR: None}
    assert [event.summary for event in calendar.events_in(CALENDAR, span)] == ["a"]


def test_one_bad_resource_costs_itself() -> None:
    """A resource that is no calendar becomes an event whose time is not known, and says so; the others stand."""
    bad = found("/cal/work/bad.ics", getetag='"1"', C_calendar_data="nonsense")
    events, _ = listed(provider(_reports({"": multi(bad, _full("a.ics"), token="t")})))
    assert [name for name, event in events.items() if not time_lost(event)] == ["a.ics"]
    assert time_lost(events["bad.ics"])
    assert events["bad.ics"].unread


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (httpx.Response(401), AuthExpired),
        (httpx.Response(403), PermissionDenied),
        (httpx.Response(404), CalendarNotFound),
        (httpx.Response(410), CalendarNotFound),
        (httpx.Response(400), InvalidRequest),
        (httpx.Response(423), ProviderUnavailable),
        (httpx.Response(429), RateLimited),
        (httpx.Response(500), ProviderUnavailable),
        (httpx.Response(503), ProviderUnavailable),
        (httpx.Response(507), InvalidRequest),
        (httpx.Response(200, html="<html>Sign in</html>"), ProviderUnavailable),
        (httpx.Response(207, html="<html>Sign in</html>"), ProviderUnavailable),
        (httpx.Response(207, text="<D:multistatus xmlns:D='DAV:'><D:response>"), ProviderUnavailable),
        (httpx.Response(207, content=b""), ProviderUnavailable),
        (httpx.Response(302, headers={"location": "https://evil.example/"}), ProviderError),
        (httpx.Response(302, headers={"location": "http://dav.example.com/"}), InvalidRequest),
    ],
)
def test_every_refusal_is_one_of_ours(answer: httpx.Response, kind: type[ProviderError]) -> None:
    """Whatever a server answers ends as the right ProviderError, with a sentence that holds no password."""
    with pytest.raises(kind) as caught:
        listed(provider(always(answer)))
    assert caught.value.detail.endswith((".", "now", "shared"))
    assert "secret" not in caught.value.detail


def test_busy_servers_are_asked_again() -> None:
    """503 with Retry-After is waited for; after that the listing goes on."""
    server = OldServer()
    server.put("a.ics", EVENT.format(uid="a"))
    answers = iter([httpx.Response(503, headers={"retry-after": "3"}), httpx.Response(429)])
    slept: list[float] = []
    events, _ = listed(provider(lambda request: next(answers, None) or server(request), slept))
    assert list(events) == ["a.ics"]
    assert slept[0] == 3
    assert len(slept) == 2


BOMB = '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">{}]><D:multistatus xmlns:D="DAV:">&z;</D:multistatus>'
LAUGHS = "".join(
    f'<!ENTITY {name} "{f"&{before};" * 10}">'
    for before, name in zip("abcdefghijklmnopqrstuvwxy", "bcdefghijklmnopqrstuvwxyz", strict=True)
)


@pytest.mark.parametrize(
    "body",
    [
        BOMB.format(LAUGHS),
        '<!DOCTYPE x [<!ENTITY z SYSTEM "file:///etc/passwd">]><D:multistatus xmlns:D="DAV:">&z;</D:multistatus>',
        '<!DOCTYPE x SYSTEM "http://169.254.169.254/"><D:multistatus xmlns:D="DAV:"/>',
        '<!DOCTYPE x [<!ENTITY % p SYSTEM "http://127.0.0.1/"> %p;]><D:multistatus xmlns:D="DAV:"/>',
    ],
)
def test_entities_are_refused(body: str) -> None:
    """Document types, whatever they would expand to or fetch, are refused at once."""
    with pytest.raises(ProviderUnavailable) as caught:
        listed(provider(always(httpx.Response(207, text=body))))
    assert caught.value.reason == "bad_body"


def test_deep_nesting_is_survived() -> None:
    """A hundred thousand nested elements are read or refused, without a crash."""
    deep = "<a>" * 100_000 + "</a>" * 100_000
    with pytest.raises(ProviderUnavailable):
        listed(
            provider(_reports({"": httpx.Response(207, text=f"<D:multistatus {NS}>{deep}</D:multistatus>")}))
        )


def test_a_uid_that_exists_elsewhere_is_found() -> None:
    """iCloud and others refuse a UID that another resource has: that one is brought to the draft then."""
    server = OldServer()
    server.put("other.ics", EVENT.format(uid="u@x"))

    def handle(request: httpx.Request) -> httpx.Response:
        if request.method == "PUT" and "if-none-match" in request.headers:
            return httpx.Response(403, text=f"<D:error {NS}><C:no-uid-conflict/></D:error>")
        return server(request)

    written = provider(handle).put_event(CALENDAR, draft())
    assert written.remote_id == "other.ics"
    assert "SUMMARY:Intro" in server.files["other.ics"]


def test_a_calendar_without_space_says_so() -> None:
    """507 to a write is the end of it, with its reason."""
    with pytest.raises(InvalidRequest, match="no space"):
        provider(always(httpx.Response(507))).put_event(CALENDAR, draft())


def test_other_hosts_get_nothing() -> None:
    """A calendar on another host than the account's is not called, except on iCloud's own partitions."""
    seen: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.host)
        return httpx.Response(404)

    with pytest.raises(InvalidRequest, match=r"evil\.example"):
        provider(handle).get_event("https://evil.example/cal/", "a.ics")
    assert seen == []
    secret = Secret("https://caldav.icloud.com/1/principal/", "ada@icloud.com", "secret")
    icloud = CalDavCalendar(Settings(), secret, transport=httpx.MockTransport(handle))
    with pytest.raises(EventNotFound):
        icloud.get_event("https://p42-caldav.icloud.com:443/1/calendars/home/", "a.ics")
    for other in (
        "https://p42-caldav.icloud.com.evil.example/",
        "https://evil-caldav.icloud.com/",
        "https://p42-caldav.icloud.com:8443/",
    ):
        with pytest.raises(InvalidRequest):
            icloud.get_event(other, "a.ics")
    assert seen == ["p42-caldav.icloud.com"]


def test_icloud_as_it_is() -> None:
    """iCloud: partitions, no free-busy-query, no If-Match with a star, times with an end, and its own words."""
    assert (
        servers.by_domain("me.com")
        is servers.by_domain("ICLOUD.com")
        is servers.by_host("p1-caldav.icloud.com")
    )
    assert "app-specific" in servers.password_hint("caldav.icloud.com")
    assert not servers.offers_freebusy("https://p42-caldav.icloud.com/1/calendars/home/")
    assert servers.offers_freebusy(CALENDAR)
    sent: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(201, headers={"etag": '"1"'})

    secret = Secret("https://caldav.icloud.com/1/principal/", "ada@icloud.com", "secret")
    icloud = CalDavCalendar(Settings(), secret, transport=httpx.MockTransport(handle))
    icloud.put_event("https://p42-caldav.icloud.com/1/calendars/home/", draft())
    icloud.delete_event("https://p42-caldav.icloud.com/1/calendars/home/", "a.ics")
    assert "DTEND" in sent[0].content.decode()
    assert not any(request.headers.get("if-match") == "*" for request in sent)


def _door(request: httpx.Request, challenge: str, path: str = "/dav/") -> httpx.Response:
    """A server at ``path`` that wants to be signed in to."""
    if request.url.path != path and not request.url.path.startswith("/principal"):
        return httpx.Response(404)
    if "authorization" not in request.headers:
        return httpx.Response(401, headers={"www-authenticate": challenge})
    if "calendar-home-set" in request.content.decode():
        return multi(
            found(
                "/principal/",
                displayname="Ada",
                **{
                    "C_calendar-home-set": "<D:href>/cal/</D:href>",
                    "C_calendar-user-address-set": "<D:href>mailto:ada@work.example</D:href>",
                },
            )
        )
    return multi(found(path, **{"current-user-principal": "<D:href>/principal/</D:href>"}))


@pytest.mark.parametrize(
    ("challenge", "scheme"),
    [
        ('Basic realm="x"', "Basic"),
        ('Digest realm="x", nonce="n", qop="auth", algorithm=MD5', "Digest"),
        ('Digest realm="x", nonce="n", qop="auth", Basic realm="x"', "Basic"),
    ],
)
def test_the_challenge_chooses_the_scheme(challenge: str, scheme: str) -> None:
    """Nothing is sent before the server has said how it wants the password; then that is how it is sent."""
    schemes: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        schemes.append(request.headers.get("authorization", "none").split()[0])
        return _door(request, challenge)

    opened = sign_in(handle).open(Credentials(f"{HOST}/dav/", "ada", "secret"))
    assert opened.account.email == "ada@work.example"
    assert opened.account.name == "Ada"
    assert schemes[0] == "none"
    assert set(schemes) - {"none"} == {scheme}
    assert (Secret.load(opened.secret).scheme == DIGEST) == (scheme == "Digest")


@pytest.mark.parametrize(
    ("services", "first"),
    [
        ((), "https://example.org/.well-known/caldav"),
        ((Service("dav.example.org", 8443),), "https://dav.example.org:8443/.well-known/caldav"),
        ((Service("example.org", 443, "/dav/"),), "https://example.org/dav/"),
        ((Service("caldav.fastmail.com"),), "https://caldav.fastmail.com/.well-known/caldav"),
    ],
)
def test_an_email_address_finds_its_server(services: Sequence[Service], first: str) -> None:
    """RFC 6764: SRV and TXT records, else the well-known address of the domain."""
    asked: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(404)

    with pytest.raises(InvalidInput, match="no CalDAV server"):
        sign_in(handle, services).open(Credentials("ada@example.org", "", "secret"))
    assert asked[0] == first


def test_known_domains_need_no_dns() -> None:
    """Apple's addresses lead to Apple's server, whatever the DNS would say, and the error knows the way out."""
    asked: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(401, headers={"www-authenticate": 'Basic realm="x"'})

    with pytest.raises(CredentialsRejected, match=r"account\.apple\.com"):
        sign_in(handle, [Service("evil.example")]).open(Credentials("ada@me.com", "", "secret"))
    assert set(asked) == {"https://caldav.icloud.com/"}


def test_a_foreign_srv_record_is_asked_about() -> None:
    """The DNS alone does not send a password to another domain's host (RFC 6764 §8): the person is told of it."""
    with pytest.raises(InvalidInput, match=r"https://dav\.evil\.example as the address") as caught:
        sign_in(always(httpx.Response(401)), [Service("dav.evil.example")]).open(
            Credentials("ada@example.org", "", "secret")
        )
    assert caught.value.code == "redirect_refused"


@pytest.mark.parametrize("code", [301, 302, 307, 308])
def test_a_redirect_to_another_host_gets_no_password(code: int) -> None:
    """A well-known address that leads to another host ends in a sentence that names it; no password went there."""
    seen: list[tuple[str, bool]] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append((request.url.host, "authorization" in request.headers))
        if request.url.host == "dav.example.com":
            return httpx.Response(code, headers={"location": "https://evil.example/dav/"})
        return httpx.Response(401, headers={"www-authenticate": 'Basic realm="x"'})

    with pytest.raises(InvalidInput, match=r"evil\.example") as caught:
        sign_in(handle).open(Credentials(HOST, "ada", "secret"))
    assert caught.value.code == "redirect_refused"
    assert not any(sent for _, sent in seen)


def test_a_redirect_on_the_same_host_is_followed() -> None:
    """The usual case: the well-known address leads to the path where the server is."""

    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/.well-known/caldav":
            return httpx.Response(301, headers={"location": "/dav/"})
        return _door(request, 'Basic realm="x"')

    assert sign_in(handle).open(Credentials("dav.example.com", "ada", "secret")).account.account_id == (
        f"{HOST}/principal/"
    )


@pytest.mark.parametrize(
    ("address", "answer", "words"),
    [
        (HOST, httpx.Response(200, html="<html>Hello</html>"), "web page"),
        (HOST, httpx.Response(207, html="<html>Hello</html>"), "no CalDAV server"),
        (HOST, httpx.Response(405), "status 405"),
        (HOST, httpx.Response(401, headers={"www-authenticate": "Bearer"}), "does not know"),
        ("http://dav.example.com", httpx.Response(404), "https"),
        ("https://127.0.0.1/", httpx.Response(404), "private network"),
        ("https://ada:pw@dav.example.com/", httpx.Response(404), "out of the address"),
        ("", httpx.Response(404), "web address"),
        ("   ", httpx.Response(404), "web address"),
        ("file:///etc/passwd", httpx.Response(404), "web address"),
    ],
)
def test_what_is_no_server_is_said_so(address: str, answer: httpx.Response, words: str) -> None:
    """Each kind of wrong address has one clear sentence."""
    with pytest.raises(InvalidInput, match=words) as caught:
        sign_in(always(answer)).open(Credentials(address, "ada", "secret"))
    assert "secret" not in caught.value.detail


def test_a_principal_elsewhere_is_refused() -> None:
    """A server that names a principal on another host does not get the password sent there."""
    seen: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.host)
        if "authorization" not in request.headers:
            return httpx.Response(401, headers={"www-authenticate": 'Basic realm="x"'})
        return multi(found("/", **{"current-user-principal": "<D:href>https://evil.example/p/</D:href>"}))

    with pytest.raises(InvalidInput, match=r"evil\.example"):
        sign_in(handle).open(Credentials(HOST, "ada", "secret"))
    assert "evil.example" not in seen


def test_rights_and_kinds_of_calendars() -> None:
    """Rights become roles, task lists and inboxes are left out, the invitations' calendar is the primary one."""
    calendar = "<D:collection/><C:calendar/>"

    def rights(*names: str) -> str:
        return "".join(f"<D:privilege><{name}/></D:privilege>" for name in names)

    def one(name: str, *privileges: str, owner: str = "/principal/", kinds: str = "VEVENT") -> str:
        return found(
            f"/cal/{name}/",
            displayname=name,
            resourcetype=calendar,
            owner=f"<D:href>{owner}</D:href>",
            **{
                "current-user-privilege-set": rights(*privileges),
                "C_supported-calendar-component-set": "".join(
                    f'<C:comp name="{kind}"/>' for kind in kinds.split()
                ),
            },
        )

    home = multi(
        found("/cal/", resourcetype="<D:collection/>"),
        one("own", "D:read", "D:write"),
        one("main", "D:all"),
        one("shared", "D:write-content", owner="/other/"),
        one("read", "D:read", owner="/other/"),
        one("busy", "C:read-free-busy", owner="/other/"),
        one("tasks", "D:all", kinds="VTODO"),
        found("/cal/inbox/", resourcetype="<D:collection/><C:schedule-inbox/>"),
    )

    def handle(request: httpx.Request) -> httpx.Response:
        body = request.content.decode()
        if "calendar-home-set" in body:
            return multi(
                found(
                    "/principal/",
                    **{
                        "C_calendar-home-set": "<D:href>/cal/</D:href>",
                        "C_schedule-inbox-URL": "<D:href>/cal/inbox/</D:href>",
                    },
                )
            )
        if "schedule-default" in body:
            return multi(
                found("/cal/inbox/", **{"C_schedule-default-calendar-URL": "<D:href>/cal/main/</D:href>"})
            )
        return home

    calendars = {one.name: one for one in provider(handle).list_calendars()}
    assert {name: one.access_role for name, one in calendars.items()} == {
        "own": AccessRole.OWNER,
        "main": AccessRole.OWNER,
        "shared": AccessRole.WRITER,
        "read": AccessRole.READER,
        "busy": AccessRole.FREEBUSY,
    }
    assert [name for name, one in calendars.items() if one.is_primary] == ["main"]
