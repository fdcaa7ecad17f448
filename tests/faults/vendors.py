"""The providers of the sandbox as the fault tests need them: an account to connect, and what it really holds.

What an account holds is asked for past the fault switches, so that a test can look while they are on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import httpx
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from calendar_app.domain.event import BOOKING_MARK, CalendarEvent, EventStatus
from calendar_app.domain.recurrence.wallclock import instant_of
from calendar_app.domain.timespan import utc
from calendar_app.providers.base import CalendarProvider, Credentials
from calendar_app.providers.caldav.account import Secret
from calendar_app.providers.caldav.discovery import CalDavSignIn
from calendar_app.providers.caldav.provider import CalDavCalendar
from calendar_app.providers.calendly.errors import to_error as calendly_error
from calendar_app.providers.calendly.provider import CalendlyCalendar
from calendar_app.providers.google.oauth import SCOPES
from calendar_app.providers.http import ProviderHttp, Query, tls
from calendar_app.providers.ics.provider import CALENDAR as LINK
from calendar_app.providers.ics.provider import IcsCalendar, IcsOpener
from calendar_app.providers.ics.provider import http as link_client
from calendar_app.providers.microsoft.errors import to_error as microsoft_error
from calendar_app.providers.microsoft.graph import calendar_path
from calendar_app.providers.microsoft.mapping import KEY_PROPERTY
from calendar_app.providers.microsoft.provider import MicrosoftCalendar
from calendar_app.sandbox.caldav.server import PASSWORD, USERNAME
from calendar_app.services.calendar_mirror import expansion
from calendar_app.settings import Settings, get_settings
from tests.sandbox.calendly_server import Receiver, RunningCalendly
from tests.sandbox.microsoft.client import Microsoft
from tests.sandbox.server import OWNER, Sandbox

PATIENCE_S = 30.0
"""What we ask past the switches may take its time."""
PAST = {"x-past-switches": "1"}


def past_switches(app: Starlette) -> ASGIApp:
    """The sandbox, in which a request that says so meets no fault."""

    async def asgi(scope: Scope, receive: Receive, send: Send) -> None:
        named = scope["type"] == "http" and (b"x-past-switches", b"1") in scope["headers"]
        if named:
            await app.router({**scope, "app": app}, receive, send)
        else:
            await app(scope, receive, send)

    return asgi


@dataclass(frozen=True, slots=True)
class Held:
    """A standing event at a provider; ``booking`` is the one of ours that it stands for, if any."""

    id: str
    title: str
    start: datetime
    end: datetime
    booking: str = ""


class Vendor(Protocol):
    """One account: ``calendar`` is its calendar's id as we know it, ``shown`` as the control interface does."""

    key: str
    calendar: str
    shown: str

    def columns(self) -> Mapping[str, Any]:
        """Those of its connection's row that give access."""

    def held(self) -> list[Held]:
        """Every standing event of the calendar."""

    def crowd(self) -> int:
        """See to it that a listing has several pages; how many events were added for that."""


class Google:
    """A whole calendar, read from the stand-in's own list."""

    key, calendar, shown = "google", OWNER, OWNER

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def columns(self) -> Mapping[str, Any]:
        tokens = self._sandbox.tokens()
        kept = {name: tokens[name] for name in ("access_token", "refresh_token")}
        return kept | {"scopes": [need.scope for need in SCOPES]}

    def held(self) -> list[Held]:
        path = f"/sandbox/api/calendars/{OWNER}/events"
        answer = self._sandbox.client.get(path, params={"limit": "100000"}, timeout=PATIENCE_S)
        return [self._held(item) for item in answer.json()["items"]]

    def crowd(self, count: int = 2_600) -> int:
        """Google gives us at most 2,500 at once."""
        path = f"/sandbox/api/calendars/{OWNER}/generate"
        body = {"count": count, "days": 300}
        assert self._sandbox.client.post(path, json=body, timeout=PATIENCE_S).status_code == 200
        return count

    def _held(self, item: dict[str, Any]) -> Held:
        private = item.get("extendedProperties", {}).get("private", {})
        start, end = (_google_moment(item[side]) for side in ("start", "end"))
        return Held(item["id"], item.get("summary", ""), start, end, str(private.get(BOOKING_MARK, "")))


class _Read:
    """A calendar read by our own client, past the switches."""

    calendar: str

    def held(self) -> list[Held]:
        since = utc(expansion.window_at(datetime.now(UTC)).start)
        pages = self._reader().event_pages(self.calendar, None, since=since)
        found = [event for page in pages for event in page.events]
        return [_held(event) for event in found if event.status is not EventStatus.CANCELLED]

    def _reader(self) -> CalendarProvider:
        raise NotImplementedError


class MicrosoftAccount(_Read):
    key = "microsoft"

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox, self._client = sandbox, _client(sandbox)
        self._microsoft = Microsoft(sandbox, None)
        self._token = self._microsoft.tokens()["access_token"]
        self.calendar = next(one.remote_id for one in self._reader().list_calendars() if one.is_primary)
        self.shown = self.calendar

    def columns(self) -> Mapping[str, Any]:
        tokens = self._microsoft.tokens()
        return {name: tokens[name] for name in ("access_token", "refresh_token")}

    def held(self) -> list[Held]:
        """Graph's views tell no marks, so they are read with the events themselves."""
        http = ProviderHttp(self._microsoft.api_url, self._token, microsoft_error, client=self._client)
        mark = f"{KEY_PROPERTY.rpartition(' ')[0]} {BOOKING_MARK}"
        query: Query = {"$top": 1_000, "$expand": f"singleValueExtendedProperties($filter=id eq '{mark}')"}
        items = http.json("GET", f"{calendar_path(self.calendar)}/events", query=query)["value"]
        ours = {
            item["id"]: item["singleValueExtendedProperties"][0]["value"]
            for item in items
            if item.get("singleValueExtendedProperties")
        }
        return [replace(held, booking=ours.get(held.id, "")) for held in super().held()]

    def crowd(self, count: int = 520) -> int:
        """Graph gives us at most 500 at once."""
        first = datetime.now(UTC).replace(hour=1, minute=0, second=0, microsecond=0) + timedelta(days=1)
        bodies = []
        for number in range(count):
            start = first + timedelta(hours=6 * number)
            sides = {"start": start, "end": start + timedelta(minutes=15)}
            named = {
                side: {"dateTime": f"{moment:%Y-%m-%dT%H:%M:%S}", "timeZone": "UTC"}
                for side, moment in sides.items()
            }
            bodies.append({"subject": f"Crowd {number}", **named})
        return self._microsoft.stand_in.add_many(self.calendar, bodies)

    def _reader(self) -> CalendarProvider:
        url = self._microsoft.api_url
        return MicrosoftCalendar(ProviderHttp(url, self._token, microsoft_error, client=self._client), url)


class CalDavAccount(_Read):
    key, shown = "caldav", "studio"

    def __init__(self, sandbox: Sandbox, url: str) -> None:
        self._sandbox = sandbox
        self.secret = self._opened(f"{sandbox.url}/sandbox/caldav/")
        behind = CalDavCalendar(_patient(), Secret.load(self.secret))
        self.calendar = next(
            one.remote_id for one in behind.list_calendars() if one.remote_id.endswith("/studio/")
        )
        self._behind = CalDavCalendar(_patient(), Secret.load(self._opened(url)))
        self._there = self.calendar.replace(f"{sandbox.url}/sandbox/caldav/", url)  # at Radicale itself

    def columns(self) -> Mapping[str, Any]:
        return {"access_token": self.secret, "refresh_token": None, "access_expires_at": None}

    def held(self) -> list[Held]:
        pages = self._behind.event_pages(self._there, None)
        return [_held(event) for page in pages for event in page.events]

    def crowd(self) -> int:
        """Nothing to add: one answer holds everything, and a fault cuts it short."""
        body = {"provider": self.key, "kind": "truncated", "page": 1, "times": None}
        assert self._sandbox.client.post("/sandbox/api/faults", json=body).status_code == 201
        return 0

    def _opened(self, url: str) -> str:
        return CalDavSignIn(_patient()).open(Credentials(url, USERNAME, PASSWORD)).secret


class CalendlyAccount(_Read):
    key = "calendly"

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox, self._client = sandbox, _client(sandbox)
        stand_in = sandbox.app.state.stand_ins["calendly"]
        unused: Any = None
        self._calendly = RunningCalendly(
            sandbox.url, sandbox.clock, stand_in, Receiver(), sandbox.client, sandbox.closing, unused
        )
        self._token = self._calendly.tokens()["access_token"]
        self.calendar = self._reader().list_calendars()[0].remote_id
        self.shown = self.calendar.rpartition("/")[2]

    def columns(self) -> Mapping[str, Any]:
        tokens = self._calendly.tokens()
        return {name: tokens[name] for name in ("access_token", "refresh_token")}

    def crowd(self, count: int = 110) -> int:
        """Calendly gives us at most 100 at once."""
        first = datetime.now(UTC).replace(hour=1, minute=0, second=0, microsecond=0) + timedelta(days=1)
        for number in range(count):
            start = first + timedelta(hours=6 * number)
            self._calendly.stand_in.add_event(self.shown, "Crowd", start, start + timedelta(minutes=15))
        return count

    def _reader(self) -> CalendarProvider:
        url = self._sandbox.environment["CALENDLY_API_URL"]
        return CalendlyCalendar(ProviderHttp(url, self._token, calendly_error, client=self._client))


class Link(_Read):
    """A calendar link over the CalDAV account's calendar; ``secret`` is its address."""

    key, calendar, shown = "ics", LINK, "studio"

    def __init__(self, sandbox: Sandbox, _url: str) -> None:
        address = f"{sandbox.url}{sandbox.app.state.stand_ins['ics'].path}"
        opened = IcsOpener(link_client(_patient())).open(Credentials(address, "", ""))
        self.secret = opened.secret
        self._past = sandbox.closing.enter_context(_Past())

    def columns(self) -> Mapping[str, Any]:
        return {"access_token": self.secret, "refresh_token": None, "access_expires_at": None}

    def crowd(self) -> int:
        """A file has no pages."""
        return 0

    def _reader(self) -> CalendarProvider:
        return IcsCalendar(link_client(_patient(), transport=self._past), self.secret)


class _Past(httpx.HTTPTransport):
    """Requests that meet no fault."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.headers.update(PAST)
        return super().handle_request(request)


def _patient() -> Settings:
    return get_settings().model_copy(update={"http_timeout": PATIENCE_S})


def _client(sandbox: Sandbox) -> httpx.Client:
    return sandbox.closing.enter_context(
        httpx.Client(headers=PAST, verify=tls(), trust_env=False, timeout=PATIENCE_S)
    )


def _google_moment(side: Mapping[str, str]) -> datetime:
    return datetime.fromisoformat(side.get("dateTime") or f"{side['date']}T00:00:00+00:00")


def _held(event: CalendarEvent) -> Held:
    assert event.start is not None
    assert event.end is not None
    start, end = (utc(instant_of(side, "UTC")) for side in (event.start, event.end))
    return Held(event.remote_id, event.summary, start, end, event.private.get(BOOKING_MARK, ""))


VENDORS: dict[str, Callable[[Sandbox, str], Vendor]] = {
    "google": lambda sandbox, _url: Google(sandbox),
    "microsoft": lambda sandbox, _url: MicrosoftAccount(sandbox),
    "caldav": CalDavAccount,
    "calendly": lambda sandbox, _url: CalendlyAccount(sandbox),
    "ics": Link,
}
