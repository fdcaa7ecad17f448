"""The Calendly provider: what it sends, what it makes of answers, and which webhooks it believes."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calendar_app.domain.event import Attendee, EventStatus, EventTime, Response
from calendar_app.domain.timespan import Span, instant
from calendar_app.errors import (
    AuthExpired,
    CalendarNotFound,
    EventNotFound,
    GrantRevoked,
    InvalidInput,
    InvalidRequest,
    PermissionDenied,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    SyncTokenInvalid,
)
from calendar_app.providers import registry
from calendar_app.providers.base import Appointments, PushChannel, PushRequest, SignIn
from calendar_app.providers.calendly.errors import to_error
from calendar_app.providers.calendly.mapping import Position, calendar_from, event_from, uuid_of
from calendar_app.providers.calendly.oauth import calendly_oauth
from calendar_app.providers.calendly.provider import INVITEE_CALLS, CalendlyCalendar
from calendar_app.providers.calendly.push import LARGEST_PUSH, read_push
from calendar_app.providers.http import ProviderHttp
from calendar_app.providers.oauth import AuthorizationCode
from calendar_app.settings import Settings
from tests.openapi_contract import ContractTransport, calendly_contract, requires_calendly_contract

API = "https://api.calendly.com"
USER = f"{API}/users/U1"
REDIRECT = "https://almanac.example/api/v1/connections/calendly/callback"
SETTINGS = Settings(CALENDLY_CLIENT_ID="client", CALENDLY_CLIENT_SECRET="hush-hush")
NOW = datetime(2026, 11, 18, 9, tzinfo=UTC)
STAMP = "2026-11-01T08:00:00.000000Z"
Handler = Callable[[httpx.Request], httpx.Response]

pytestmark = requires_calendly_contract


def scheduled(uuid: str, day: int = 1, **changes: Any) -> dict[str, Any]:
    """A scheduled event that begins ``day`` days after NOW."""
    start = NOW + timedelta(days=day)
    return {
        "uri": f"{API}/scheduled_events/{uuid}",
        "name": "Intro call",
        "status": "active",
        "start_time": f"{start:%Y-%m-%dT%H:%M:%S.000000Z}",
        "end_time": f"{start + timedelta(minutes=30):%Y-%m-%dT%H:%M:%S.000000Z}",
        "event_type": f"{API}/event_types/T1",
        "location": None,
        "invitees_counter": {"total": 1, "active": 1, "limit": 1},
        "created_at": STAMP,
        "updated_at": STAMP,
        "event_memberships": [{"user": USER, "user_email": "owner@example.com"}],
        "event_guests": [],
        "calendar_event": None,
    } | changes


def invitee(event: str, name: str = "Ada", **changes: Any) -> dict[str, Any]:
    uri = f"{API}/scheduled_events/{event}/invitees/I-{event}"
    return {
        "uri": uri,
        "email": f"{name.lower()}@example.org",
        "first_name": None,
        "last_name": None,
        "name": name,
        "status": "active",
        "questions_and_answers": [],
        "timezone": "Europe/Berlin",
        "event": f"{API}/scheduled_events/{event}",
        "created_at": STAMP,
        "updated_at": STAMP,
        "tracking": dict.fromkeys(
            ("utm_campaign", "utm_source", "utm_medium", "utm_content", "utm_term", "salesforce_uuid")
        ),
        "text_reminder_number": None,
        "rescheduled": False,
        "old_invitee": None,
        "new_invitee": None,
        "cancel_url": f"https://calendly.com/cancellations/{event}",
        "reschedule_url": f"https://calendly.com/reschedulings/{event}",
        "routing_form_submission": None,
        "payment": None,
        "no_show": None,
        "reconfirmation": None,
    } | changes


def page(items: list[dict[str, Any]], token: str | None = None) -> httpx.Response:
    after = f"{API}/scheduled_events?page_token={token}" if token else None
    pagination = {"count": len(items), "next_page": after, "next_page_token": token}
    pagination |= {"previous_page": None, "previous_page_token": None}
    return httpx.Response(200, json={"collection": items, "pagination": pagination})


def refusal(status: int, title: str = "Permission Denied", message: str = "no") -> httpx.Response:
    return httpx.Response(status, json={"title": title, "message": message})


def me() -> httpx.Response:
    user = {
        "uri": USER,
        "name": "Olivia Owner",
        "slug": "olivia",
        "email": "owner@example.com",
        "scheduling_url": "https://calendly.com/olivia",
        "timezone": "Europe/Berlin",
        "avatar_url": None,
        "created_at": STAMP,
        "updated_at": STAMP,
        "current_organization": f"{API}/organizations/O1",
    }
    return httpx.Response(200, json={"resource": user})


class Server:
    """Calendly as ``events`` and ``people`` by event say; ``refused`` answers of paths come first."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.people: dict[str, list[dict[str, Any]]] = {}
        self.refused: dict[str, httpx.Response] = {}
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        path = request.url.path
        for part, answer in self.refused.items():
            if part in path:
                return answer
        if path.endswith("/invitees"):
            uuid = path.split("/")[2]
            return page(self.people.get(uuid, [invitee(uuid)]))
        if path == "/users/me":
            return me()
        assert path == "/scheduled_events"
        size = int(request.url.params["count"])
        first = int(request.url.params.get("page_token", "0"))
        rest = self.events[first : first + size]
        return page(rest, str(first + size) if first + size < len(self.events) else None)

    def count(self, part: str) -> int:
        return sum(part in request.url.path for request in self.requests)

    def listing(self, cursor: str | None = None) -> tuple[dict[str, Any], str]:
        """Events by id, and the new cursor."""
        pages = list(calendly(self).event_pages(USER, cursor, since=NOW - timedelta(days=35)))
        assert all(one.cursor is None for one in pages[:-1])
        return {event.remote_id: event for one in pages for event in one.events}, pages[-1].cursor or ""


@pytest.fixture
def server() -> Server:
    return Server()


def calendly(answer: Handler, *, checked: bool = True) -> CalendlyCalendar:
    inner: httpx.BaseTransport = httpx.MockTransport(answer)
    transport = ContractTransport(inner, calendly_contract(), base=f"{API}/") if checked else inner
    client = httpx.Client(transport=transport)
    http = ProviderHttp(API, "at", to_error, client=client, sleep=lambda _seconds: None)
    return CalendlyCalendar(http, now=lambda: NOW)


# --- events -----------------------------------------------------------------------------------------------------------


def test_an_event_says_who_comes_where_and_when() -> None:
    """Invitees and guests become attendees, whoever cancelled declines, and the link to join is the place."""
    item = scheduled(
        "E1",
        location={"type": "zoom", "join_url": "https://zoom.example/j/1"},
        event_guests=[{"email": "guest@example.org"}, {"email": "ADA@example.org"}],
    )
    people = [invitee("E1"), invitee("E1", "Bob", status="canceled")]
    event = event_from(item, people)
    assert (event.remote_id, event.summary, event.location) == (
        "E1",
        "Intro call",
        "https://zoom.example/j/1",
    )
    assert event.start == EventTime(datetime(2026, 11, 19, 9), "UTC")  # noqa: DTZ001  # wall-clock
    assert event.organizer_email == "owner@example.com"
    assert event.attendees == (
        Attendee("ada@example.org", "Ada", Response.ACCEPTED),
        Attendee("bob@example.org", "Bob", Response.DECLINED),
        Attendee("guest@example.org", optional=True),
    )
    assert event.blocks_time
    assert not event_from(scheduled("E1", status="canceled")).blocks_time


@pytest.mark.parametrize(
    ("location", "place"),
    [
        (None, ""),
        ({"type": "physical", "location": "Room 2"}, "Room 2"),
        ({"type": "outbound_call", "location": "+49 30 1"}, "+49 30 1"),
        ({"type": "google_conference", "status": "processing", "join_url": None}, ""),
    ],
)
def test_every_kind_of_place(location: dict[str, Any] | None, place: str) -> None:
    """An address, a telephone number, or nothing yet."""
    assert event_from(scheduled("E1", location=location)).location == place


def test_a_calendar_is_read_only_and_in_a_zone_that_exists() -> None:
    """Nobody is offered to write there; a zone that nobody knows is none."""
    calendar = calendar_from(me().json()["resource"])
    assert (calendar.remote_id, calendar.timezone, calendar.access_role.can_write) == (
        USER,
        "Europe/Berlin",
        False,
    )
    assert calendar_from({"uri": USER, "timezone": "Mars/Phobos"}).timezone == ""


def test_only_the_last_part_of_a_uri_is_ever_used() -> None:
    """A URI in an answer cannot send us to another host."""
    assert uuid_of("https://evil.example/x/E1/") == "E1"


# --- listings ---------------------------------------------------------------------------------------------------------


def test_a_listing_that_changed_nothing_is_one_request(server: Server) -> None:
    """After a first listing with invitees, a quiet calendar costs one call and tells nothing."""
    server.events = [scheduled(f"E{number}", number) for number in range(1, 6)]
    events, cursor = server.listing()
    assert len(events) == 5
    assert all(event.attendees for event in events.values())
    server.requests.clear()
    assert server.listing(cursor)[0] == {}
    assert len(server.requests) == 1
    (request,) = server.requests
    assert request.url.params["user"] == USER
    assert request.url.params["min_start_time"] == "2026-10-13T09:00:00.000000Z"


def test_changes_are_told_and_nothing_else(server: Server) -> None:
    """A new event, a changed one and a cancelled one; what stayed is not asked about again."""
    server.events = [scheduled("stays", 1), scheduled("changes", 2), scheduled("ends", 3)]
    _, cursor = server.listing()
    server.requests.clear()
    server.events = [
        scheduled("stays", 1),
        scheduled("changes", 2, location={"type": "physical", "location": "Room 2"}),
        scheduled("ends", 3, status="canceled"),
        scheduled("new", 4),
    ]
    events, cursor = server.listing(cursor)
    assert {remote_id: event.status for remote_id, event in events.items()} == {
        "changes": EventStatus.CONFIRMED,
        "ends": EventStatus.CANCELLED,
        "new": EventStatus.CONFIRMED,
    }
    assert server.count("/invitees") == 2
    assert server.listing(cursor)[0] == {}


def test_a_first_listing_leaves_cancelled_events_out(server: Server) -> None:
    """They never were, as far as a new mirror is concerned; coming back to life they are news."""
    server.events = [scheduled("E1", status="canceled")]
    events, cursor = server.listing()
    assert events == {}
    server.events = [scheduled("E1")]
    assert set(server.listing(cursor)[0]) == {"E1"}


def test_an_event_that_is_merely_missing_is_not_told_as_cancelled(server: Server) -> None:
    """Pages may shift while they are read: unknown is busy, and a full listing decides."""
    server.events = [scheduled("E1"), scheduled("E2", 2)]
    _, cursor = server.listing()
    server.events = [scheduled("E2", 2)]
    events, cursor = server.listing(cursor)
    assert events == {}
    server.events = [scheduled("E1"), scheduled("E2", 2)]
    assert set(server.listing(cursor)[0]) == {"E1"}


def test_many_events_come_page_by_page_and_their_guests_little_by_little(server: Server) -> None:
    """Three pages; each listing asks for as many guests as a free account may bear, until all are there."""
    server.events = [scheduled(f"E{number:03}", 1 + number / 24) for number in range(230)]
    events, cursor = server.listing()
    assert len(events) == 230
    assert server.count("/invitees") == INVITEE_CALLS
    assert sum(bool(event.attendees) for event in events.values()) == INVITEE_CALLS
    complete = INVITEE_CALLS
    while complete < 230:
        more, cursor = server.listing(cursor)
        assert 0 < len(more) <= INVITEE_CALLS
        assert all(event.attendees for event in more.values())
        complete += len(more)
    assert complete == 230
    assert server.listing(cursor)[0] == {}


def test_events_that_are_over_cost_no_call(server: Server) -> None:
    """Who came a month ago is not worth a request."""
    server.events = [scheduled("past", -3)]
    events, _ = server.listing()
    assert set(events) == {"past"}
    assert server.count("/invitees") == 0


@pytest.mark.parametrize("answer", [refusal(429, "Too Many Requests"), refusal(500, "Internal Server Error")])
def test_guests_that_cannot_be_had_now_do_not_cost_the_listing(
    server: Server, answer: httpx.Response
) -> None:
    """The times are there at once; the names come when Calendly lets us ask."""
    server.events = [scheduled("E1"), scheduled("E2", 2)]
    server.refused["/invitees"] = answer
    events, cursor = server.listing()
    assert [event.attendees for event in events.values()] == [(), ()]
    assert server.listing(cursor)[0] == {}
    del server.refused["/invitees"]
    assert all(event.attendees for event in server.listing(cursor)[0].values())


def test_an_event_that_cannot_be_read_is_left_out(server: Server) -> None:
    """One broken resource does not stop the others."""
    broken = scheduled("bad")
    broken["start_time"] = "soon"
    answers = iter(
        [page([broken, scheduled("good", status="active")]), page([invitee("x")]), page([invitee("x")])]
    )
    pages = list(calendly(lambda _request: next(answers), checked=False).event_pages(USER, None))
    assert [event.remote_id for one in pages for event in one.events] == ["good"]


def test_a_list_without_end_is_an_error() -> None:
    """A page that names itself as the next one is not followed for ever."""
    with pytest.raises(ProviderUnavailable):
        list(calendly(lambda _request: page([], "again")).event_pages(USER, None))


@pytest.mark.parametrize("cursor", ["", "{}", "[1]", '[2,"",{}]', '[1,"",[]]', "null", "[1,2"])
def test_a_cursor_that_is_not_ours_is_refused(cursor: str) -> None:
    """Whatever it is, everything is listed again."""
    with pytest.raises(SyncTokenInvalid):
        list(calendly(lambda _request: page([])).event_pages(USER, cursor))


@given(since=st.text(max_size=30), marks=st.dictionaries(st.text(max_size=40), st.text(max_size=20)))
def test_a_cursor_reads_back(since: str, marks: dict[str, str]) -> None:
    """What is written is what is read."""
    assert Position.read(Position(since, marks).written()) == Position(since, marks)


def test_a_calendar_that_is_gone_or_anothers() -> None:
    """404 and 403 are told apart, and neither looks like an empty calendar."""
    with pytest.raises(CalendarNotFound):
        list(calendly(lambda _request: refusal(404, "Resource Not Found")).event_pages(USER, None))
    foreign = calendly(lambda _request: refusal(403, message="This user is not in your organization"))
    with pytest.raises(PermissionDenied):
        list(foreign.event_pages(USER, None))


# --- free/busy --------------------------------------------------------------------------------------------------------


def busy_time(start: datetime, kind: str = "calendly") -> dict[str, str]:
    end = start + timedelta(minutes=30)
    return {
        "type": kind,
        "start_time": f"{start:%Y-%m-%dT%H:%M:%S.000000Z}",
        "end_time": f"{end:%Y-%m-%dT%H:%M:%S.000000Z}",
    }


def test_busy_times_are_asked_for_a_week_at_a_time() -> None:
    """Sixteen days are three questions without gap or overlap; other calendars' times are left to those calendars."""
    asked: list[tuple[str, str]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        start, end = request.url.params["start_time"], request.url.params["end_time"]
        asked.append((start, end))
        moment = datetime.fromisoformat(start)
        return httpx.Response(200, json={"collection": [busy_time(moment), busy_time(moment, "external")]})

    later = NOW + timedelta(hours=1)
    span = Span(instant(later), instant(later + timedelta(days=16)))
    found = calendly(answer).freebusy([USER], span)[USER]
    assert [start for start, _ in asked][1:] == [end for _, end in asked][:-1]
    assert len(asked) == 3
    assert isinstance(found, list)
    assert [span.start for span in found] == [instant(later + timedelta(days=days)) for days in (0, 7, 14)]


def test_busy_times_begin_no_earlier_than_now() -> None:
    """Calendly refuses a start in the past, as of its own clock: what has begun is asked for from now on, what is over
    not at all; and where it refuses all the same, the events tell."""
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.params["start_time"])
        if datetime.fromisoformat(asked[-1]) <= NOW:
            return refusal(400, "Invalid Argument")
        return httpx.Response(200, json={"collection": []})

    now = instant(NOW)
    assert calendly(answer).freebusy([USER], Span(now - 3600, now + 3600)) == {USER: []}
    assert calendly(answer).freebusy([USER], Span(now - 3600, now - 1800)) == {USER: []}
    (start,) = asked
    assert NOW < datetime.fromisoformat(start) <= NOW + timedelta(minutes=2)
    refusing = calendly(lambda _request: refusal(400, "Invalid Argument"))
    assert refusing.freebusy([USER], Span(now, now + 3600)) == {USER: None}


def test_one_calendar_that_cannot_be_asked_does_not_spoil_the_others() -> None:
    """A refusal is that calendar's answer; an expired token is everybody's."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.params["user"] == USER:
            return httpx.Response(200, json={"collection": []})
        return refusal(403, message="This user is not in your organization")

    span = Span(instant(NOW), instant(NOW) + 3600)
    found = calendly(answer).freebusy([USER, f"{API}/users/U2"], span)
    assert found[USER] == []
    assert isinstance(found[f"{API}/users/U2"], CalendarNotFound)
    with pytest.raises(AuthExpired):
        calendly(lambda _request: refusal(401, "Unauthenticated")).freebusy([USER], span)


# --- webhooks ---------------------------------------------------------------------------------------------------------


def test_a_subscription_carries_our_key_and_names_its_channel() -> None:
    """Scope user, both events, the channel in the address, the channel's secret as signing key."""
    sent: dict[str, Any] = {}

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return me()
        sent.update(json.loads(request.content))
        return httpx.Response(201, json={"resource": subscription(sent["url"])})

    ends = NOW + timedelta(days=7)
    channel = calendly(answer).watch(
        USER, channel_id="c1", token="secret", address="https://almanac.example/hook", expires_at=ends
    )
    assert channel == PushChannel("c1", "W1", ends)
    assert sent == {
        "url": "https://almanac.example/hook?channel=c1",
        "events": ["invitee.created", "invitee.canceled"],
        "organization": f"{API}/organizations/O1",
        "user": USER,
        "scope": "user",
        "signing_key": "secret",
    }


def subscription(url: str, uuid: str = "W1") -> dict[str, Any]:
    return {
        "uri": f"{API}/webhook_subscriptions/{uuid}",
        "callback_url": url,
        "created_at": STAMP,
        "updated_at": STAMP,
        "retry_started_at": None,
        "state": "active",
        "events": ["invitee.created", "invitee.canceled"],
        "scope": "user",
        "organization": f"{API}/organizations/O1",
        "user": USER,
        "creator": USER,
    }


def test_a_subscription_whose_answer_was_lost_is_found_again() -> None:
    """The repetition of a request that took effect meets 409, and takes what is there."""
    mine = "https://almanac.example/hook?channel=c1"

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/users/me":
            return me()
        if request.method == "POST":
            return refusal(409, "Already Exists", "Hook with this url already exists")
        return page([subscription("https://other.example/", "W0"), subscription(mine, "W7")])

    found = calendly(answer).watch(
        USER, channel_id="c1", token="s", address="https://almanac.example/hook", expires_at=NOW
    )
    assert found.resource_id == "W7"


def test_a_plan_without_webhooks_is_refused_for_good() -> None:
    """The plan is named, with Calendly's own sentence, and nobody tries every minute."""

    def answer(request: httpx.Request) -> httpx.Response:
        message = "Please upgrade your Calendly account to Professional"
        return me() if request.method == "GET" else refusal(403, message=message)

    with pytest.raises(PermissionDenied, match="upgrade your Calendly account") as caught:
        calendly(answer).watch(USER, channel_id="c", token="t", address="https://a.example", expires_at=NOW)
    assert not caught.value.retryable
    assert caught.value.detail.startswith("This Calendly plan has no webhooks")


BODY = b'{"event":"invitee.created"}'
MOMENT = 1_795_000_000


def signed(key: str, moment: int = MOMENT, body: bytes = BODY) -> str:
    digest = hmac.new(key.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={moment},v1={digest}"


def push(header: str, *, body: bytes = BODY, channel: str = "c1") -> PushRequest:
    return PushRequest({"calendly-webhook-signature": header}, {"channel": channel}, body)


@pytest.mark.parametrize("late", [0, 179, 180, -180])
def test_a_fresh_signature_of_the_channel_s_key_is_believed(settings: Settings, late: int) -> None:
    """Within three minutes, either way."""
    (notice,) = read_push(push(signed("secret")), clock=lambda: MOMENT + late)
    assert notice.channel_id == "c1"
    assert notice.authentic("secret")
    assert not notice.authentic("another")
    assert not notice.authentic("")


@pytest.mark.parametrize("late", [181, 3600, -181])
def test_an_old_signature_proves_nothing(settings: Settings, late: int) -> None:
    """A message that somebody kept, or one from the future."""
    (notice,) = read_push(push(signed("secret")), clock=lambda: MOMENT + late)
    assert not notice.authentic("secret")


def test_a_signature_of_another_body_or_time_proves_nothing(settings: Settings) -> None:
    """Neither may be changed after signing."""
    other = read_push(push(signed("secret"), body=BODY + b" "), clock=lambda: MOMENT)
    later = read_push(push(signed("secret").replace(str(MOMENT), str(MOMENT + 1))), clock=lambda: MOMENT)
    assert not other[0].authentic("secret")
    assert not later[0].authentic("secret")


def test_the_application_s_own_key_is_believed_where_it_is_set(configure: Callable[..., Settings]) -> None:
    """Calendly signs the webhooks of OAuth applications with a key that it made."""
    configure(CALENDLY_WEBHOOK_KEY="app-key")
    (notice,) = read_push(push(signed("app-key")), clock=lambda: MOMENT)
    assert notice.authentic("secret")
    (notice,) = read_push(push(signed("wrong")), clock=lambda: MOMENT)
    assert not notice.authentic("secret")


def test_messages_are_told_apart_by_time_and_signature(settings: Settings) -> None:
    """The same one twice is the same; another body in the same second is not."""
    once = [
        read_push(push(signed("secret", body=body), body=body), clock=lambda: MOMENT)[0].once
        for body in (BODY, BODY, b"{}")
    ]
    assert once[0] == once[1] != once[2]


@pytest.mark.parametrize(
    "request_",
    [
        push(""),
        push("t=1"),
        push("v1=" + "a" * 64),
        push(f"t={'9' * 400},v1={'a' * 64}"),
        push(f"t=-5,v1={'a' * 64}"),
        push(f"t=١٢,v1={'a' * 64}"),
        push(signed("secret"), channel=""),
        push(signed("secret"), body=b"x" * (LARGEST_PUSH + 1)),
    ],
)
def test_what_is_no_notification_is_refused(settings: Settings, request_: PushRequest) -> None:
    """No signature, no channel, no usable time, or too much of it."""
    with pytest.raises(InvalidInput):
        read_push(request_, clock=lambda: MOMENT)


# --- appointments -----------------------------------------------------------------------------------------------------


def test_cancelling_says_why_and_twice_is_success() -> None:
    """The reason goes along; an event that is cancelled already is in the state we wanted."""
    sent: list[dict[str, Any]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(json.loads(request.content))
        if len(sent) == 2:
            return refusal(403, message="Event is already canceled")
        done = {"canceled_by": "Olivia", "reason": "Ill", "canceler_type": "host"}
        return httpx.Response(201, json={"resource": done})

    provider = calendly(answer)
    assert isinstance(provider, Appointments)
    provider.cancel_appointment(USER, "E1", "Ill")
    provider.cancel_appointment(USER, "E1", "Ill")
    assert sent == [{"reason": "Ill"}] * 2
    past = calendly(lambda _request: refusal(403, message="Event in the past"))
    with pytest.raises(PermissionDenied, match="Event in the past"):
        past.cancel_appointment(USER, "E1", "")


def test_an_id_cannot_leave_its_place_in_the_path() -> None:
    """Whatever an id holds, it stays one part of the address."""
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.raw_path.decode())
        return refusal(404, "Resource Not Found")

    with pytest.raises(EventNotFound):
        calendly(answer).get_event(USER, "../users/me?x=#")
    assert seen == ["/scheduled_events/..%2Fusers%2Fme%3Fx%3D%23"]


# --- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind", "retryable"),
    [
        (400, InvalidRequest, False),
        (401, AuthExpired, False),
        (403, PermissionDenied, False),
        (404, EventNotFound, False),
        (409, InvalidRequest, False),
        (424, ProviderUnavailable, True),
        (429, RateLimited, True),
        (500, ProviderUnavailable, True),
        (503, ProviderUnavailable, True),
    ],
)
@pytest.mark.parametrize("body", ['{"title":"T","message":"M"}', "<html>", "[]", '{"details":[1]}', ""])
def test_each_status_has_its_error(
    status: int, kind: type[ProviderError], retryable: bool, body: str
) -> None:
    """Whatever the body is, the status decides and the sentence is clean."""
    error = to_error(httpx.Response(status, text=body))
    assert type(error) is kind
    assert error.retryable is retryable or kind is AuthExpired
    assert error.detail
    assert "<" not in error.detail


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"x-ratelimit-reset": "42"}, 42.0),
        ({"retry-after": "7", "x-ratelimit-reset": "42"}, 7.0),
        ({"x-ratelimit-reset": "soon"}, None),
        ({}, None),
    ],
)
def test_a_rate_limit_says_when_it_ends(headers: dict[str, str], seconds: float | None) -> None:
    """``X-RateLimit-Reset`` counts seconds; ``Retry-After`` wins where there is one."""
    error = to_error(httpx.Response(429, headers=headers))
    assert isinstance(error, RateLimited)
    assert error.retry_after == seconds


# --- OAuth ------------------------------------------------------------------------------------------------------------


def oauth(answer: Handler) -> AuthorizationCode:
    return calendly_oauth(SETTINGS, transport=httpx.MockTransport(answer))


def tokens(**changes: Any) -> httpx.Response:
    body = {
        "access_token": "at",
        "refresh_token": "rt2",
        "token_type": "Bearer",
        "expires_in": 7200,
    } | changes
    return httpx.Response(200, json=body)


def test_the_consent_address_asks_for_scopes_with_pkce() -> None:
    """New applications get nothing without scopes; the verifier and the secret stay here."""
    url = oauth(lambda _request: tokens()).authorization_url(
        state="st", code_verifier="v" * 64, redirect_uri=REDIRECT, login_hint="ada@example.com"
    )
    query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    assert url.startswith("https://auth.calendly.com/oauth/authorize?")
    assert query["code_challenge_method"] == "S256"
    assert "scheduled_events:read" in query["scope"].split()
    assert "login_hint" not in query
    assert "hush" not in url
    assert "v" * 64 not in url


@pytest.mark.parametrize(
    ("granted", "included"),
    [
        ("users:read scheduled_events:write", "scheduled_events:read"),
        ("default", "availability:read"),
    ],
)
def test_a_scope_that_includes_another_counts_for_both(granted: str, included: str) -> None:
    """``write`` includes ``read``; an application from before scopes may do everything."""
    grant = oauth(lambda _request: tokens(scope=granted)).exchange(
        code="c", code_verifier="v" * 64, redirect_uri=REDIRECT
    )
    assert included in grant.scopes


def test_every_refresh_brings_a_new_refresh_token() -> None:
    """It is handed on to be saved; a used one is a dead grant."""
    sent: list[dict[str, list[str]]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(parse_qs(request.content.decode()))
        return tokens() if len(sent) == 1 else httpx.Response(400, json={"error": "invalid_grant"})

    client = oauth(answer)
    assert client.refresh("rt1").refresh_token == "rt2"
    assert sent[0]["client_secret"] == ["hush-hush"]
    with pytest.raises(GrantRevoked):
        client.refresh("rt1")


def test_revoking_names_the_client() -> None:
    """Calendly wants the application's credentials with the token."""
    sent: dict[str, list[str]] = {}

    def answer(request: httpx.Request) -> httpx.Response:
        sent.update(parse_qs(request.content.decode()))
        return httpx.Response(200, json={})

    oauth(answer).revoke("rt")
    assert sent == {"token": ["rt"], "client_id": ["client"], "client_secret": ["hush-hush"]}


def test_the_account_is_the_user() -> None:
    """Its URI never changes, unlike the address."""
    account = oauth(lambda _request: me()).account("at")
    assert (account.account_id, account.email, account.name) == (USER, "owner@example.com", "Olivia Owner")
    with pytest.raises(ProviderUnavailable):
        oauth(lambda _request: httpx.Response(200, json={"resource": {}})).account("at")


def test_the_registry_tells_what_people_should_know(configure: Callable[..., Settings]) -> None:
    """Unconfigured it names what to set; its note says that nothing is written there."""
    configure()
    kind = registry.kind("calendly")
    assert (kind.title, kind.sign_in, kind.configured) == ("Calendly", SignIn.OAUTH, False)
    assert kind.missing == ("CALENDLY_CLIENT_ID", "CALENDLY_CLIENT_SECRET")
    assert "written elsewhere" in kind.note
    configure(CALENDLY_CLIENT_ID="c", CALENDLY_CLIENT_SECRET="s")
    assert registry.kind("calendly").configured
