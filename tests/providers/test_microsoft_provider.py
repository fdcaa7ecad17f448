"""What our Microsoft provider asks of Graph and makes of its answers, each exchange held against Graph's documents.

Here stands what a stand-in does not do by itself: answers that contradict each other, strange links, races, refusals.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from calendar_app.domain.event import EventDraft, EventStatus
from calendar_app.domain.timespan import Span, instant
from calendar_app.errors import (
    AuthExpired,
    CalendarNotFound,
    ChannelExists,
    EventNotFound,
    GrantRevoked,
    InvalidInput,
    InvalidRequest,
    PermissionDenied,
    PreconditionFailed,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    SyncTokenInvalid,
)
from calendar_app.providers.base import AccessRole, PushChannel, PushEcho, PushRequest, PushSignal
from calendar_app.providers.http import ProviderHttp
from calendar_app.providers.microsoft import graph as graph_calls
from calendar_app.providers.microsoft.errors import to_error
from calendar_app.providers.microsoft.listing import AHEAD, SLACK
from calendar_app.providers.microsoft.oauth import issuer_of, microsoft_oauth
from calendar_app.providers.microsoft.provider import MicrosoftCalendar
from calendar_app.providers.microsoft.push import client_state, read_push
from calendar_app.providers.oauth import AuthorizationCode
from calendar_app.settings import Settings, SettingsError, load_settings
from tests.openapi_contract import ContractTransport, graph_contract, requires_graph_contract

pytestmark = requires_graph_contract

API = "https://graph.microsoft.com/v1.0"
NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
CALENDAR = "AAMkADA="
KEY = "0123456789abcdefghijklmnopqrstuv0123456789abcdefghij"
DRAFT = EventDraft(
    remote_id=KEY,
    key=KEY,
    uid="b1@almanac",
    summary="Intro call with Ada",
    start=datetime(2026, 11, 25, 13, 0, tzinfo=UTC),
    end=datetime(2026, 11, 25, 13, 30, tzinfo=UTC),
    zone="Europe/Berlin",
    description="What is it about? Curtains.",
    location="Phone",
    private={"almanac_booking": "b1"},
)
Json = dict[str, Any]
Answer = Json | httpx.Response


@dataclass
class Graph:
    """Graph's side of a conversation: answers in the order of asking, and what was asked."""

    answers: Iterator[Answer]
    asked: list[httpx.Request] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = next(self.answers)
        return answer if isinstance(answer, httpx.Response) else httpx.Response(200, json=answer)

    @property
    def lines(self) -> list[str]:
        """Method and path of each request, without the API's address and the calendar's."""
        paths = (
            request.url.path.removeprefix("/v1.0").removeprefix(f"/me/calendars/{CALENDAR}")
            for request in self.asked
        )
        return [f"{request.method} {path}" for request, path in zip(self.asked, paths, strict=True)]

    def body(self, number: int) -> Json:
        found: Json = json.loads(self.asked[number].content)
        return found


@contextmanager
def talking(*answers: Answer) -> Iterator[tuple[MicrosoftCalendar, Graph]]:
    """Our provider in front of these answers, all of which it has to ask for."""
    graph = Graph(iter(answers))
    transport = ContractTransport(httpx.MockTransport(graph), graph_contract())
    with httpx.Client(transport=transport) as client:
        http = ProviderHttp(API, "token", to_error, client=client, sleep=lambda _seconds: None, attempts=1)
        yield MicrosoftCalendar(http, API, now=lambda: NOW), graph
    assert next(graph.answers, None) is None, "not everything was asked for"
    assert transport.checked == len(graph.asked)


def event(
    remote_id: str, start: str = "2026-11-25T13:00:00", end: str = "2026-11-25T13:30:00", **more: Any
) -> Json:
    return {
        "@odata.etag": f'W/"{remote_id}"',
        "id": remote_id,
        "type": "singleInstance",
        "subject": "Visit",
        "start": moment(start),
        "end": moment(end),
        "isAllDay": False,
        "showAs": "busy",
        "createdDateTime": "2026-11-21T08:00:00Z",
        **more,
    }


def moment(text: str) -> Json:
    return {"dateTime": f"{text}.0000000", "timeZone": "UTC"}


def bare(remote_id: str, master: str, day: int) -> Json:
    """An occurrence as a delta answer has it."""
    return {
        "id": remote_id,
        "type": "occurrence",
        "seriesMasterId": master,
        "start": moment(f"2026-11-{day}T09:00:00"),
        "end": moment(f"2026-11-{day}T10:00:00"),
    }


def refusal(status: int, code: str, message: str = "No.", **headers: str) -> httpx.Response:
    return httpx.Response(status, json={"error": {"code": code, "message": message}}, headers=headers)


def delta(*items: Json, token: str = "t1", more: bool = False, host: str = API) -> Json:
    name, parameter = ("@odata.nextLink", "$skiptoken") if more else ("@odata.deltaLink", "$deltatoken")
    return {
        "value": list(items),
        name: f"{host}/me/calendars/{CALENDAR}/calendarView/delta?{parameter}={token}",
    }


def cursor_of(provider: MicrosoftCalendar) -> str:
    pages = list(provider.event_pages(CALENDAR, None))
    assert pages[-1].cursor
    return pages[-1].cursor


def query(request: httpx.Request) -> Mapping[str, str]:
    return {name: values[0] for name, values in parse_qs(request.url.query.decode()).items()}


# --- listings ---------------------------------------------------------------------------------------------------------


def test_a_first_listing_asks_for_a_window_and_follows_every_page() -> None:
    """The window reaches from ``since`` far enough ahead; times are wanted in UTC, bodies as text, pages large."""
    with talking(delta(event("a"), more=True), delta(event("b"), token="x%2By")) as (provider, graph):
        pages = list(provider.event_pages(CALENDAR, None, since=NOW - timedelta(days=35)))
    assert [[one.remote_id for one in page.events] for page in pages] == [["a"], ["b"]]
    assert pages[0].cursor is None
    assert (pages[1].cursor or "").endswith("$deltatoken=x%2By")
    first, second = graph.asked
    assert query(first) == {"startDateTime": "2026-10-17T08:00:00Z", "endDateTime": "2028-01-25T08:00:00Z"}
    assert query(second) == {"$skiptoken": "t1"}
    for request in graph.asked:
        for preference in ('outlook.timezone="UTC"', 'body-content-type="text"', "odata.maxpagesize=500"):
            assert preference in request.headers["prefer"]


def test_a_token_goes_back_as_it_came() -> None:
    """A delta link is opaque: not even its escapes are written anew."""
    with talking(delta(token="a%2Fb%3D%20c"), delta(token="t2")) as (provider, graph):
        list(provider.event_pages(CALENDAR, cursor_of(provider)))
    assert graph.asked[1].url.raw_path.endswith(b"?$deltatoken=a%2Fb%3D%20c")


def test_occurrences_take_their_title_from_a_master_wherever_it_is() -> None:
    """The master is in the answer, behind its occurrences too; one that is not is fetched once; one that has gone
    leaves time that is taken."""
    master = event("M", type="seriesMaster", subject="Weekly")
    early = event("E", type="seriesMaster", subject="Began long ago")
    items = [
        bare("M.1", "M", 24),
        master,
        bare("E.1", "E", 25),
        bare("E.2", "E", 26),
        bare("G.1", "G", 27),
    ]
    answers = (delta(*items), early, refusal(404, "ErrorItemNotFound"))
    with talking(*answers) as (provider, graph):
        (page,) = list(provider.event_pages(CALENDAR, None))
    found = {one.remote_id: one for one in page.events}
    assert {name: one.summary for name, one in found.items()} == {
        "M.1": "Weekly",
        "E.1": "Began long ago",
        "E.2": "Began long ago",
        "G.1": "",
    }
    assert all(one.blocks_time and one.master_id and not one.recurrence for one in found.values())
    assert graph.lines[1:] == ["GET /events/E", "GET /events/G"]


def test_a_series_that_changed_is_listed_anew() -> None:
    """Whatever a round says of a series, its occurrences come from ``instances``, behind an end of those that were."""
    instances = {"value": [event("M.1", type="occurrence", seriesMasterId="M", subject="Weekly")]}
    with talking(delta(), delta(bare("M.9", "M", 30), event("s")), instances) as (provider, graph):
        pages = list(provider.event_pages(CALENDAR, cursor_of(provider)))
    said = [(one.remote_id, one.status, one.master_id) for page in pages for one in page.events]
    assert said == [
        ("s", EventStatus.CONFIRMED, None),
        ("M", EventStatus.CANCELLED, None),
        ("M.1", EventStatus.CONFIRMED, "M"),
    ]
    assert graph.lines[2] == "GET /events/M/instances"
    assert query(graph.asked[2])["startDateTime"] == "2026-10-17T08:00:00Z"
    assert [bool(page.cursor) for page in pages] == [False, False, True]


def test_a_series_that_vanished_meanwhile_ends() -> None:
    """A master that cannot be found any more leaves only its end."""
    with talking(delta(), delta(event("M", type="seriesMaster")), refusal(404, "ErrorItemNotFound")) as (
        provider,
        _graph,
    ):
        pages = list(provider.event_pages(CALENDAR, cursor_of(provider)))
    assert [one.remote_id for page in pages for one in page.events] == ["M"]


def test_removed_events_are_cancelled_ones() -> None:
    """``@removed`` has an id and nothing else."""
    gone = {"id": "a", "@removed": {"reason": "deleted"}}
    with talking(delta(event("a")), delta(gone)) as (provider, _graph):
        (page, last) = list(provider.event_pages(CALENDAR, cursor_of(provider)))
    assert [(one.remote_id, one.status) for one in page.events] == [("a", EventStatus.CANCELLED)]
    assert last.events == ()


@pytest.mark.parametrize(
    "answer",
    [
        refusal(410, "SyncStateNotFound"),
        refusal(410, "resyncRequired"),
        refusal(404, "syncStateNotFound"),
        refusal(400, "SyncStateInvalid"),
        refusal(400, "ErrorInvalidUrlQuery"),
    ],
    ids=lambda answer: f"{answer.status_code} {answer.json()['error']['code']}",
)
def test_a_cursor_that_graph_refuses(answer: httpx.Response) -> None:
    """Whatever word Graph has for it: list everything."""
    with talking(delta(), answer) as (provider, _graph), pytest.raises(SyncTokenInvalid):
        list(provider.event_pages(CALENDAR, cursor_of(provider)))


def test_a_window_that_time_has_passed_is_listed_anew() -> None:
    """A cursor is good as long as its window reaches far enough ahead; nothing is asked of Graph about an older one."""
    with talking(delta()) as (provider, graph):
        cursor = cursor_of(provider)
    later = NOW + SLACK
    for now, good in ((later, True), (later + timedelta(seconds=1), False)):
        graph = Graph(iter([delta()]))
        with httpx.Client(transport=httpx.MockTransport(graph)) as client:
            provider = MicrosoftCalendar(
                ProviderHttp(API, "t", to_error, client=client), API, now=lambda now=now: now
            )  # type: ignore[misc]
            if good:
                list(provider.event_pages(CALENDAR, cursor))
            else:
                with pytest.raises(SyncTokenInvalid):
                    list(provider.event_pages(CALENDAR, cursor))
        assert bool(graph.asked) == good
    assert timedelta(days=365) < AHEAD


@pytest.mark.parametrize(
    "host",
    [
        "https://graph.microsoft.com.evil.example/v1.0",
        "https://graph.microsoft.com@evil.example/v1.0",
        "http://graph.microsoft.com/v1.0",
        "https://evil.example/v1.0",
        "https://graph.microsoft.com/v1.0x",
    ],
)
def test_no_link_leads_our_token_elsewhere(host: str) -> None:
    """A next link, and a delta link that was stored, are followed at Graph only."""
    with (
        talking(delta(event("a"), more=True, host=host)) as (provider, _graph),
        pytest.raises(ProviderUnavailable),
    ):
        list(provider.event_pages(CALENDAR, None))
    with talking(delta(host=host)) as (provider, graph):
        cursor = cursor_of(provider)
        with pytest.raises(SyncTokenInvalid):
            list(provider.event_pages(CALENDAR, cursor))
    assert len(graph.asked) == 1


def test_one_unreadable_event_spoils_no_listing() -> None:
    """An event of which one time is clear is busy until or from then; one without any stands there, and says so."""
    broken = event("b", start="soon"), event("c", end="later"), event("d", start="?", end="?")
    with talking(delta(event("a"), *broken)) as (provider, _graph):
        (page,) = list(provider.event_pages(CALENDAR, None))
    days = [tuple(time and time.value.isoformat() for time in (one.start, one.end)) for one in page.events]
    assert days == [
        ("2026-11-25T13:00:00", "2026-11-25T13:30:00"),
        ("2026-11-25T00:00:00", "2026-11-25T13:30:00"),
        ("2026-11-25T13:00:00", "2026-11-26T00:00:00"),
        (None, None),
    ]
    assert [len(one.unread) for one in page.events] == [0, 1, 1, 1]


def test_a_calendar_that_is_gone() -> None:
    """404 on a listing, a creation or a busy question is about the calendar."""
    gone = refusal(404, "ErrorItemNotFound")
    with talking(gone, gone) as (provider, _graph), pytest.raises(CalendarNotFound):
        list(provider.event_pages(CALENDAR, None))
    with talking(gone) as (provider, _graph), pytest.raises(CalendarNotFound):
        provider.put_event(CALENDAR, DRAFT)
    with talking(gone) as (provider, _graph):
        answer = provider.freebusy([CALENDAR], Span(instant(NOW), instant(NOW) + 3600))
    assert isinstance(answer[CALENDAR], CalendarNotFound)


# --- writing ----------------------------------------------------------------------------------------------------------


def stored(remote_id: str = "new", **more: Any) -> Json:
    """What Graph answers for an event that says what :data:`DRAFT` says."""
    said: Json = {
        "subject": DRAFT.summary,
        "body": {"contentType": "text", "content": f"{DRAFT.description}\r\n"},
        "location": {"displayName": "Phone"},
        "webLink": "https://outlook.example/new",
    }
    return event(remote_id, **(said | more))


def test_a_new_event_carries_our_key_three_times_over() -> None:
    """``transactionId`` against repeats, a property to find it by, a mark to know it by; and nobody is invited."""
    with talking(httpx.Response(201, json=stored())) as (provider, graph):
        written = provider.put_event(CALENDAR, DRAFT)
    assert (written.remote_id, written.etag, written.html_link) == (
        "new",
        'W/"new"',
        "https://outlook.example/new",
    )
    body = graph.body(0)
    assert body["transactionId"] == KEY
    assert sorted(item["value"] for item in body["singleValueExtendedProperties"]) == [KEY, "b1"]
    assert body["start"] == {"dateTime": "2026-11-25T14:00:00", "timeZone": "W. Europe Standard Time"}
    assert "attendees" not in body


def test_an_earlier_event_is_brought_to_the_draft() -> None:
    """The answer to a repeated creation may be the event as it was made: what differs is patched, at its version."""
    earlier = httpx.Response(201, json=stored(subject="Intro"))
    with talking(earlier, stored()) as (provider, graph):
        provider.put_event(CALENDAR, DRAFT)
    assert graph.lines == ["POST /events", "PATCH /events/new"]
    assert graph.body(1) == {"subject": DRAFT.summary}
    assert graph.asked[1].headers["if-match"] == 'W/"new"'


@pytest.mark.parametrize("status", [400, 409])
def test_a_used_transaction_id_leads_to_its_event(status: int) -> None:
    """Where Graph refuses the repetition, the event is found by our key; nothing is made or changed."""
    used = refusal(status, "ErrorDuplicateTransactionId")
    with talking(used, {"value": [stored("made")]}) as (provider, graph):
        assert provider.put_event(CALENDAR, DRAFT).remote_id == "made"
    assert graph.lines == ["POST /events", "GET /events"]
    asked = query(graph.asked[1])
    assert f"ep/value eq '{KEY}'" in asked["$filter"]
    assert "almanac_booking" in asked["$expand"]


def test_an_event_that_its_owner_deleted_is_made_again() -> None:
    """A used ``transactionId`` without an event, or an old event that cannot be found any more, means the next one."""
    used = refusal(409, "ErrorDuplicateTransactionId")
    old = httpx.Response(201, json=stored("dead", createdDateTime="2026-11-01T08:00:00Z"))
    with talking(used, {"value": []}, old, {"value": []}, httpx.Response(201, json=stored())) as (
        provider,
        graph,
    ):
        assert provider.put_event(CALENDAR, DRAFT).remote_id == "new"
    sent = [graph.body(number)["transactionId"] for number in (0, 2, 4)]
    assert sent == [KEY, f"{KEY}-1", f"{KEY}-2"]


def test_making_it_again_has_an_end() -> None:
    """Somebody who deletes an event ten times does not want it: that is said, not tried for ever."""
    used, nothing = refusal(409, "ErrorDuplicateTransactionId"), {"value": []}
    with (
        talking(*[used, nothing] * 10) as (provider, _graph),
        pytest.raises(InvalidRequest, match="deleted too often"),
    ):
        provider.put_event(CALENDAR, DRAFT)


def test_a_known_event_is_changed_at_its_version_only() -> None:
    """A stale etag is refused before and by the PATCH; an equal event is left alone."""
    known = replace(DRAFT, remote_id="new")
    with talking(stored()) as (provider, graph):
        provider.put_event(CALENDAR, known, etag='W/"new"')
    assert graph.lines == ["GET /events/new"]
    with talking(stored()) as (provider, _graph), pytest.raises(PreconditionFailed):
        provider.put_event(CALENDAR, known, etag='W/"older"')
    race = refusal(412, "ErrorIrresolvableConflict")
    with talking(stored(subject="x"), race) as (provider, _graph), pytest.raises(PreconditionFailed):
        provider.put_event(CALENDAR, known, etag='W/"new"')
    with talking(refusal(404, "ErrorItemNotFound")) as (provider, _graph), pytest.raises(EventNotFound):
        provider.put_event(CALENDAR, known, etag='W/"new"')


def test_deleting_by_id_and_by_key() -> None:
    """404 is success; a key deletes whatever was made with it, however often; a known id is one request."""
    done = httpx.Response(204)
    with talking(done) as (provider, graph):
        provider.delete_event(CALENDAR, "new", etag='W/"1"')
    assert graph.asked[0].headers["if-match"] == 'W/"1"'
    with talking(refusal(404, "ErrorItemNotFound")) as (provider, _graph):
        provider.delete_event(CALENDAR, "new")
    with talking({"value": [stored("a"), stored("b")]}, done, refusal(404, "ErrorItemNotFound")) as (
        provider,
        graph,
    ):
        provider.delete_event(CALENDAR, KEY)
    assert graph.lines[1:] == ["DELETE /events/a", "DELETE /events/b"]
    with (
        talking(refusal(412, "ErrorIrresolvableConflict")) as (provider, _graph),
        pytest.raises(PreconditionFailed),
    ):
        provider.delete_event(CALENDAR, "new", etag='W/"1"')


def test_an_event_is_read_with_our_marks() -> None:
    """By its id or our key, with the properties that Graph does not send unasked."""
    marks = [
        {"id": item["id"], "value": item["value"]}
        for item in (
            {"id": "String {6B8FD1A2-6C1E-4D0B-9F0E-5A3C7E1F2D94} Name almanac_booking", "value": "b1"},
        )
    ]
    with talking(stored(singleValueExtendedProperties=marks)) as (provider, graph):
        assert provider.get_event(CALENDAR, "new").private == {"almanac_booking": "b1"}
    assert "$expand" in query(graph.asked[0])
    with talking({"value": [stored()]}) as (provider, _graph):
        assert provider.get_event(CALENDAR, KEY).remote_id == "new"
    with talking({"value": []}) as (provider, _graph), pytest.raises(EventNotFound):
        provider.get_event(CALENDAR, KEY)


# --- calendars, free/busy, push ---------------------------------------------------------------------------------------


OWN, OTHER = {"address": "Ada@Example.com", "name": "Ada"}, {"address": "bo@example.com", "name": "Bo"}
CALENDARS = {
    "value": [
        {"id": "1", "name": "Calendar", "isDefaultCalendar": True, "canEdit": True, "owner": OWN},
        {"id": "2", "name": "Holidays", "canEdit": False, "owner": {**OWN, "address": "ada@example.com"}},
        {"id": "3", "name": "Bo", "canEdit": True, "owner": OTHER},
    ]
}


def test_calendars_of_the_mailbox_in_its_zone() -> None:
    """Calendars that others share are left out; rights and zone are the mailbox's."""
    with talking(CALENDARS, {"timeZone": "W. Europe Standard Time"}) as (provider, _graph):
        found = provider.list_calendars()
    assert [(one.name, one.access_role, one.timezone, one.is_primary) for one in found] == [
        ("Calendar", AccessRole.OWNER, "Europe/Berlin", True),
        ("Holidays", AccessRole.READER, "Europe/Berlin", False),
    ]


@pytest.mark.parametrize(
    ("recent", "zone"),
    [
        (
            [
                {"id": "a", "isOrganizer": False, "originalStartTimeZone": "Tokyo Standard Time"},
                {"id": "b", "isOrganizer": True, "originalStartTimeZone": "UTC"},
                {"id": "c", "isOrganizer": True, "originalStartTimeZone": "GMT Standard Time"},
            ],
            "Europe/London",
        ),
        ([], ""),
    ],
)
def test_without_that_permission_the_zone_is_that_of_own_events(recent: list[Json], zone: str) -> None:
    """Nobody has to open their mailbox's settings: the zone of the last event they made themselves will do."""
    denied = refusal(403, "ErrorAccessDenied")
    with talking(CALENDARS, denied, {"value": recent}) as (provider, _graph):
        assert {one.timezone for one in provider.list_calendars()} == {zone}


def test_an_account_without_a_mailbox_is_told_so() -> None:
    """Entra knows accounts that Exchange does not."""
    none = refusal(404, "MailboxNotEnabledForRESTAPI")
    with talking(none) as (provider, _graph), pytest.raises(PermissionDenied, match="no mailbox"):
        provider.list_calendars()


def test_busy_is_what_blocks_time_in_that_calendar() -> None:
    """Free, declined and cancelled events do not; days are the mailbox's, whatever zone they came with; one calendar's
    trouble is its own, an expired token everybody's."""
    span = Span(instant(NOW), instant(NOW + timedelta(days=7)))
    days = {"isAllDay": True, "originalStartTimeZone": "UTC"}
    zone = {"timeZone": "W. Europe Standard Time"}
    items = [
        event("a", "2026-11-25T13:00:00", "2026-11-25T14:00:00"),
        event("b", "2026-11-25T13:30:00", "2026-11-25T15:00:00", showAs="tentative"),
        event("c", "2026-11-25T16:00:00", "2026-11-25T17:00:00", showAs="free"),
        event("d", "2026-11-25T16:00:00", "2026-11-25T17:00:00", isCancelled=True),
        event("e", "2026-11-25T16:00:00", "2026-11-25T17:00:00", responseStatus={"response": "declined"}),
        event("f", "2026-11-26T00:00:00", "2026-11-27T00:00:00", **days),
    ]
    with talking({"value": items}, zone, refusal(403, "ErrorAccessDenied")) as (provider, _graph):
        answer = provider.freebusy([CALENDAR, "other"], span)
    start = instant(datetime(2026, 11, 25, 13, tzinfo=UTC))
    day = instant(datetime(2026, 11, 25, 23, tzinfo=UTC))
    assert answer[CALENDAR] == [Span(start, start + 7200), Span(day, day + 86_400)]
    assert isinstance(answer["other"], PermissionDenied)
    with (
        talking(refusal(401, "InvalidAuthenticationToken")) as (provider, _graph),
        pytest.raises(AuthExpired),
    ):
        provider.freebusy([CALENDAR, "other"], span)


def test_a_subscription_asks_for_no_more_life_than_there_is() -> None:
    """Secret, lifecycle address and life go out as documented; the id and end that Graph grants come back."""
    granted = {
        "id": "sub",
        "expirationDateTime": "2026-11-24T06:30:00Z",
        "changeType": "updated",
        "resource": "x",
    }
    with talking(httpx.Response(201, json=granted)) as (provider, graph):
        channel = provider.watch(
            CALENDAR,
            channel_id="c" * 26,
            token="s" * 43,
            address="https://almanac.example/api/v1/hooks/microsoft",
            expires_at=NOW + timedelta(days=7),
        )
    body = graph.body(0)
    assert body["expirationDateTime"] == "2026-11-24T06:30:00Z"
    assert body["resource"] == f"/me/calendars/{CALENDAR}/events"
    assert body["notificationUrl"] == body["lifecycleNotificationUrl"]
    assert len(body["clientState"]) <= 128
    assert (channel.resource_id, channel.expires_at) == ("sub", datetime(2026, 11, 24, 6, 30, tzinfo=UTC))
    with talking(refusal(404, "ResourceNotFound")) as (provider, graph):
        provider.stop_channel(channel)
    assert graph.lines == ["DELETE /subscriptions/sub"]


def test_links_behind_a_proxy_lead_to_the_proxy() -> None:
    """Graph names itself in its links; there they are asked of the configured address. No other host is."""
    graph = graph_calls.Graph(
        ProviderHttp("https://proxy.example/graph", "t", to_error), "https://proxy.example/graph"
    )
    assert graph.local("https://graph.microsoft.com/v1.0/me/x?$skip=1") == "/me/x?$skip=1"
    assert graph.local("https://proxy.example/graph/me/x") == "/me/x"
    for link in ("https://graph.microsoft.com.evil.example/v1.0/me", "https://evil.example/v1.0/me"):
        with pytest.raises(ProviderUnavailable):
            graph.local(link)
    direct = graph_calls.Graph(ProviderHttp(API, "t", to_error), API)
    with pytest.raises(ProviderUnavailable):
        direct.local("https://graph.microsoft.us/v1.0/me")


@pytest.mark.parametrize("status", [400, 404, 501])
def test_a_calendar_without_a_delta_is_polled(status: int) -> None:
    """Whatever the refusal is: a calendar that is there is listed by its window, and said to be whole."""
    no = refusal(status, "NotImplemented")
    there = httpx.Response(200, json={"id": CALENDAR, "isDefaultCalendar": False})
    listed = httpx.Response(200, json={"value": [event("a")]})
    with talking(no, there, listed) as (provider, graph):
        pages = list(provider.event_pages(CALENDAR, None))
    assert [one.remote_id for page in pages for one in page.events] == ["a"]
    cursor = pages[-1].cursor or ""
    with talking(httpx.Response(200, json={"value": []})) as (provider, graph):
        again = list(provider.event_pages(CALENDAR, cursor))
    assert [line.partition("?")[0] for line in graph.lines] == ["GET /calendarView"]
    assert all(page.snapshot for page in again)
    assert again[-1].cursor == cursor


EXISTS = f"Subscription Id {'0' * 8}-1111-2222-3333-{'4' * 12} already exists for the requested combination"
CONFLICT = "Operation: Create; Exception: [Status Code: Conflict; Reason: A subscripton already exists.]"


def watched(provider: MicrosoftCalendar) -> PushChannel:
    return provider.watch(
        CALENDAR,
        channel_id="c" * 26,
        token="s" * 43,
        address="https://almanac.example/api/v1/hooks/microsoft",
        expires_at=NOW + timedelta(days=7),
    )


@pytest.mark.parametrize(
    ("answer", "listed"),
    [
        (refusal(409, "Conflict", EXISTS), False),
        (refusal(409, "Conflict", "There is one."), True),
        (refusal(400, "ExtensionError", CONFLICT), True),
    ],
    ids=["named", "unnamed", "by another service"],
)
def test_a_second_subscription_says_which_one_stands(answer: httpx.Response, listed: bool) -> None:
    """Graph names it in the refusal, or else the list shows it; one of other changes, or elsewhere, is not it."""
    own = "00000000-1111-2222-3333-444444444444"
    resource = f"me/calendars/{CALENDAR}/events"
    changes = "created,updated,deleted"
    page = {
        "value": [
            {"id": "1", "resource": resource, "changeType": "created"},
            {"id": "2", "resource": "me/events", "changeType": changes},
            {"id": own, "resource": resource, "changeType": "updated,deleted,created"},
        ]
    }
    answers = [answer, httpx.Response(200, json=page)] if listed else [answer]
    with talking(*answers) as (provider, graph), pytest.raises(ChannelExists) as caught:
        watched(provider)
    assert caught.value.resource_id == own
    assert graph.lines[1:] == (["GET /subscriptions"] if listed else [])


def test_a_refused_subscription_is_what_it_is() -> None:
    """A handshake that failed, and a conflict of which the list knows nothing, stay refusals."""
    with (
        talking(refusal(400, "ValidationError", "timed out")) as (provider, _),
        pytest.raises(InvalidRequest),
    ):
        watched(provider)
    empty = httpx.Response(200, json={"value": []})
    with (
        talking(refusal(409, "Conflict"), empty) as (provider, _),
        pytest.raises(PreconditionFailed),
    ):
        watched(provider)


def test_a_subscription_is_renewed_in_place() -> None:
    """PATCH with a new end, no more than Graph grants; one that has ended is said to be gone."""
    channel = PushChannel("c", "sub", NOW)
    answer = httpx.Response(200, json={"id": "sub", "expirationDateTime": "2026-11-24T06:30:00Z"})
    with talking(answer) as (provider, graph):
        renewed = provider.renew_channel(channel, NOW + timedelta(days=7))
    assert graph.lines == ["PATCH /subscriptions/sub"]
    assert graph.body(0) == {"expirationDateTime": "2026-11-24T06:30:00Z"}
    assert renewed == PushChannel("c", "sub", datetime(2026, 11, 24, 6, 30, tzinfo=UTC))
    with talking(refusal(404, "ResourceNotFound")) as (provider, _), pytest.raises(EventNotFound):
        provider.renew_channel(channel, NOW + timedelta(days=7))


def push(body: object, **fields: str) -> PushRequest:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return PushRequest({}, fields, raw)


def test_the_check_of_our_address_is_echoed() -> None:
    """``validationToken`` goes back as it came, decoded once."""
    assert read_push(push(b"", validationToken="Validation: Testing <b>&")) == PushEcho(
        "Validation: Testing <b>&"
    )


def test_notices_are_known_by_our_own_secret() -> None:
    """Each channel is told once per signal, and believed only with the secret that it was opened with."""
    changed = {"subscriptionId": "s", "changeType": "updated", "clientState": client_state("one", "a-b_c")}
    batch = [
        changed,
        changed,
        {**changed, "clientState": client_state("two", "x")},
        {
            "subscriptionId": "s",
            "lifecycleEvent": "reauthorizationRequired",
            "clientState": changed["clientState"],
        },
        {"subscriptionId": "s", "lifecycleEvent": "subscriptionRemoved", "clientState": "three.y"},
        {"subscriptionId": "s", "lifecycleEvent": "missed", "clientState": "three.y"},
    ]
    notices = read_push(push({"value": batch}))
    assert not isinstance(notices, PushEcho)
    assert [(one.channel_id, one.signal) for one in notices] == [
        ("one", PushSignal.CHANGED),
        ("two", PushSignal.CHANGED),
        ("one", PushSignal.EXPIRING),
        ("three", PushSignal.ENDED),
        ("three", PushSignal.MISSED),
    ]
    assert notices[0].authentic("a-b_c")
    assert not notices[0].authentic("a-b_d")
    assert not notices[0].authentic("")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        [],
        {"value": {}},
        {"value": [1]},
        {"value": [{}]},
        {"value": [{"clientState": 5}]},
        {"value": [{"clientState": "no-secret"}]},
        {"value": [{"clientState": None}]},
    ],
)
def test_what_is_no_notification_is_refused(body: object) -> None:
    """Whatever strangers post, it is one error of ours."""
    with pytest.raises(InvalidInput):
        read_push(push(body))


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (refusal(401, "InvalidAuthenticationToken"), AuthExpired),
        (refusal(403, "ErrorAccessDenied"), PermissionDenied),
        (refusal(404, "ErrorItemNotFound"), EventNotFound),
        (refusal(400, "ErrorInvalidIdMalformed"), EventNotFound),
        (refusal(412, "ErrorIrresolvableConflict"), PreconditionFailed),
        (refusal(409, "ErrorIrresolvableConflict"), PreconditionFailed),
        (refusal(409, "nameAlreadyExists"), PreconditionFailed),
        (refusal(410, "SyncStateNotFound"), PreconditionFailed),
        (refusal(429, "ApplicationThrottled", **{"retry-after": "17"}), RateLimited),
        (refusal(503, "serviceNotAvailable", **{"retry-after": "17"}), ProviderUnavailable),
        (refusal(504, "UnknownError"), ProviderUnavailable),
        (refusal(400, "ErrorPropertyValidationFailure"), InvalidRequest),
        (refusal(302, ""), InvalidRequest),
        (httpx.Response(502, text="<html>Bad gateway</html>"), ProviderUnavailable),
        (httpx.Response(400, json={"error": "odd"}), InvalidRequest),
        (httpx.Response(400, json=[]), InvalidRequest),
    ],
)
def test_refusals_become_our_errors(answer: httpx.Response, kind: type[ProviderError]) -> None:
    """The table of errors, with the wait that Graph asks for, and a sentence each."""
    answer.request = httpx.Request("PATCH", "https://graph.example/v1.0/me/events/1")
    error = to_error(answer)
    assert type(error) is kind
    assert error.detail
    if "retry-after" in answer.headers:
        assert getattr(error, "retry_after", None) == 17


# --- sign-in ----------------------------------------------------------------------------------------------------------


SETTINGS = Settings(MICROSOFT_CLIENT_ID="client", MICROSOFT_CLIENT_SECRET="hush-hush")
REDIRECT = "https://almanac.example/api/v1/connections/microsoft/callback"
GRANTED: Json = {
    "access_token": "at",
    "refresh_token": "rt",
    "expires_in": 4000,
    "token_type": "Bearer",
    "scope": "https://graph.microsoft.com/user.read https://graph.microsoft.com/Calendars.ReadWrite profile openid",
}


def oauth(
    answer: Callable[[httpx.Request], httpx.Response] | Json | None = None, settings: Settings = SETTINGS
) -> AuthorizationCode:
    """Our OAuth client in front of one answer."""
    handle = answer if callable(answer) else lambda _request: httpx.Response(200, json=answer)
    return microsoft_oauth(settings, transport=httpx.MockTransport(handle))


def test_the_consent_address_is_the_tenants_and_asks_for_little() -> None:
    """Tenant ``common`` unless set, PKCE with S256, a refresh token, and no more permissions than are used."""
    client = oauth()
    url = httpx.URL(
        client.authorization_url(
            state="st", code_verifier="v" * 64, redirect_uri=REDIRECT, login_hint="a@x.example"
        )
    )
    assert str(url.copy_with(query=None)) == "https://login.microsoftonline.com/common/oauth2/v2.0/authorize"
    asked = dict(url.params)
    assert asked["scope"].split() == [
        "offline_access",
        "User.Read",
        "Calendars.ReadWrite",
        "Calendars.Read",
        "MailboxSettings.Read",
    ]
    assert (asked["code_challenge_method"], asked["response_mode"], asked["state"]) == ("S256", "query", "st")
    assert asked["login_hint"] == "a@x.example"
    assert "hush" not in str(url)
    tenant = Settings(MICROSOFT_CLIENT_ID="c", MICROSOFT_TENANT="contoso.onmicrosoft.com")
    assert "/contoso.onmicrosoft.com/oauth2/" in tenant.microsoft_token
    assert "/common/" in Settings(MICROSOFT_TENANT="").microsoft_token
    with pytest.raises(SettingsError, match="MICROSOFT_TENANT"):
        load_settings(MICROSOFT_TENANT="evil.example/..")


def test_scopes_go_by_the_names_we_asked_with() -> None:
    """Full addresses and other case are undone; a refresh token proves ``offline_access``, its absence disproves it."""
    grant = oauth(GRANTED).exchange(code="c", code_verifier="v" * 64, redirect_uri=REDIRECT)
    assert grant.scopes == ("offline_access", "User.Read", "Calendars.ReadWrite", "profile", "openid")
    without = {name: value for name, value in GRANTED.items() if name != "refresh_token"}
    grant = oauth(without).exchange(code="c", code_verifier="v" * 64, redirect_uri=REDIRECT)
    assert "offline_access" not in grant.scopes


@pytest.mark.parametrize("reason", ["invalid_grant", "interaction_required", "consent_required"])
def test_what_only_the_person_can_mend_means_reconnecting(reason: str) -> None:
    """An ended grant, a second factor that is wanted now, a permission that was taken back."""

    def refuse(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(400, json={"error": reason, "error_description": "AADSTS50076: token-secret"})

    with pytest.raises(GrantRevoked) as caught:
        oauth(refuse).refresh("rt")
    assert "secret" not in caught.value.detail


def test_an_expired_client_secret_is_the_operators_matter() -> None:
    """AADSTS7000222 comes as ``invalid_client``."""

    def refuse(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(401, json={"error": "invalid_client", "error_codes": [7000222]})

    with pytest.raises(InvalidRequest, match="operator"):
        oauth(refuse).refresh("rt")


def test_refresh_tokens_rotate() -> None:
    """The new refresh token is handed on, to be kept instead of the old one."""
    assert oauth({**GRANTED, "refresh_token": "rt2"}).refresh("rt").refresh_token == "rt2"


def test_access_cannot_be_given_back_and_that_is_said() -> None:
    """Microsoft has no revocation endpoint: people are told where they end access themselves."""
    with pytest.raises(InvalidRequest, match=r"myapps\.microsoft\.com"):
        oauth().revoke("rt")


def test_the_account_is_known_by_its_id() -> None:
    """``mail`` is what people know; where it is empty, the sign-in name is."""
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(
            200, json={"id": "42", "mail": None, "userPrincipalName": "ada@contoso.example"}
        )

    account = oauth(answer).account("at")
    assert (account.account_id, account.email) == ("42", "ada@contoso.example")
    assert asked[0].url.path == "/v1.0/me"
    with pytest.raises(ProviderUnavailable):
        oauth({"mail": "ada@contoso.example"}).account("at")


@pytest.mark.parametrize(
    ("tenant", "issuer"),
    [
        ("common", ""),
        ("organizations", ""),
        ("contoso.onmicrosoft.com", ""),
        ("consumers", "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0"),
        (
            "72F988BF-86F1-41AF-91AB-2D7CD011DB47",
            "https://login.microsoftonline.com/72f988bf-86f1-41af-91ab-2d7cd011db47/v2.0",
        ),
    ],
)
def test_the_issuer_is_known_for_one_tenant_only(tenant: str, issuer: str) -> None:
    """With ``common`` nobody knows before whose tenant will answer."""
    assert issuer_of(tenant) == issuer
    assert oauth(settings=Settings(MICROSOFT_TENANT=tenant)).issuer == issuer
