"""CalDAV servers that are scripted: a handler answers every request of the provider."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import unquote

import httpx

from calendar_app.domain.event import CalendarEvent
from calendar_app.providers.caldav.account import Secret
from calendar_app.providers.caldav.provider import CalDavCalendar
from calendar_app.providers.caldav.servers import Refusals
from calendar_app.settings import Settings

HOST = "https://dav.example.com"
CALENDAR = f"{HOST}/cal/work/"
START = datetime(2026, 12, 1, 9, 0, tzinfo=UTC)
EVENT = (
    "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VEVENT\r\nUID:{uid}\r\nDTSTAMP:20261101T000000Z\r\n"
    "DTSTART:20261201T090000Z\r\nDTEND:20261201T093000Z\r\nSUMMARY:{uid}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
)
NS = 'xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav" xmlns:CS="http://calendarserver.org/ns/"'
BUSY = (
    "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VFREEBUSY\r\n"
    "FREEBUSY:20261201T090000Z/20261201T093000Z\r\nEND:VFREEBUSY\r\nEND:VCALENDAR\r\n"
)
"""What free/busy says of :data:`EVENT`."""
Handler = Callable[[httpx.Request], httpx.Response]


def multi(*responses: str, token: str = "") -> httpx.Response:
    """A multi-status answer."""
    tail = f"<D:sync-token>{token}</D:sync-token>" if token else ""
    return httpx.Response(207, text=f"<D:multistatus {NS}>{''.join(responses)}{tail}</D:multistatus>")


def found(href: str, **props: str) -> str:
    """A response with properties that were found; ``getetag`` is WebDAV's, ``C_`` and ``CS_`` are namespaces."""
    names = {name: name.replace("_", ":", 1) if name[0] == "C" else f"D:{name}" for name in props}
    inside = "".join(f"<{names[name]}>{value}</{names[name]}>" for name, value in props.items())
    return (
        f"<D:response><D:href>{href}</D:href><D:propstat><D:prop>{inside.replace('_', '-')}</D:prop>"
        "<D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>"
    )


def status(href: str, code: int) -> str:
    """A response that is only a status."""
    return f"<D:response><D:href>{href}</D:href><D:status>HTTP/1.1 {code} X</D:status></D:response>"


def provider(handler: Handler, slept: list[float] | None = None, **secret: str) -> CalDavCalendar:
    """The provider, whose network is ``handler``."""
    pauses = [] if slept is None else slept
    kept = Secret(f"{HOST}/principal/", "ada", "secret", **secret)
    return CalDavCalendar(
        Settings(),
        kept,
        transport=httpx.MockTransport(handler),
        sleep=pauses.append,
        without_freebusy=Refusals(),
    )


def listed(calendar: CalDavCalendar, cursor: str | None = None) -> tuple[dict[str, CalendarEvent], str]:
    """The events of a listing, and its cursor."""
    pages = list(calendar.event_pages(CALENDAR, cursor))
    assert pages[-1].cursor
    return {event.remote_id: event for page in pages for event in page.events}, pages[-1].cursor


def always(answer: httpx.Response) -> Handler:
    """A server with one answer."""
    return lambda _request: httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)


@dataclass
class CountingServer:
    """A server whose tokens count changes, from 1 in every new calendar, and which takes any number for a token, as
    sabre/dav and DAViCal do. ``refuses``: the status of each report by its name. ``suffix``: what a compression adds to
    the entity tag of an answer."""

    base: str = "/cal/work/"
    suffix: str = ""
    refuses: dict[str, int] = field(default_factory=dict)
    hides: set[str] = field(default_factory=set)
    files: dict[str, str] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def put(self, name: str, title: str = "") -> None:
        self.files[name] = EVENT.format(uid=title or name)
        self.log.append(name)

    def remove(self, name: str) -> None:
        del self.files[name]
        self.log.append(name)

    def make_again(self) -> None:
        """The calendar is removed, and one is made under its address."""
        self.files, self.log = {}, []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        body = request.content.decode()
        report = re.search(
            r"<(?:C|D):(calendar-multiget|calendar-query|free-busy-query|sync-collection)", body
        )
        kind = report[1] if report else request.method
        self.asked.append(kind)
        if kind in self.refuses:
            return httpx.Response(self.refuses[kind])
        name = unquote(unquote(request.url.path).removeprefix(unquote(self.base)))
        if kind in ("GET", "PUT", "DELETE"):
            return self._file(request, name)
        if kind == "sync-collection":
            return self._changes(body)
        if kind == "calendar-query":
            return multi(*(self._one(one, data=True) for one in self.files))
        if kind == "free-busy-query":
            return httpx.Response(200, text=BUSY, headers={"content-type": "text/calendar"})
        if kind == "calendar-multiget":
            names = [
                unquote(one).removeprefix(unquote(self.base)) for one in re.findall(r"<D:href>(.*?)</", body)
            ]
            return multi(*(self._one(one, data=True) for one in names))
        if name:
            return multi(self._one(name)) if name in self.files else httpx.Response(404)
        return self._folder(request)

    def _folder(self, request: httpx.Request) -> httpx.Response:
        reports = "<D:supported-report><D:report><D:sync-collection/></D:report></D:supported-report>"
        folder = found(
            self.base,
            resourcetype="<D:collection/><C:calendar/>",
            CS_getctag=f"http://sabre.io/ns/sync/{len(self.log) + 1}",
            **{"supported-report-set": reports},
        )
        members = [self._one(one) for one in self.files] if request.headers["depth"] == "1" else []
        return multi(folder, *members)

    def _file(self, request: httpx.Request, name: str) -> httpx.Response:
        """Conditions are held against the tag without its suffix, as Apache does (bug 45023)."""
        known, wanted = name in self.files, request.headers.get("if-match")
        if request.method == "PUT" and "if-none-match" in request.headers and known:
            return httpx.Response(412)
        if wanted and (not known or wanted != self._tag(name)):
            return httpx.Response(412)
        if request.method == "PUT":
            self.files[name] = request.content.decode()
            self.log.append(name)
            return httpx.Response(204 if known else 201, headers={"etag": self._tag(name)})
        if not known:
            return httpx.Response(404)
        if request.method == "DELETE":
            self.remove(name)
            return httpx.Response(204)
        tag = f'{self._tag(name)[:-1]}{self.suffix}"'
        return httpx.Response(200, text=self.files[name], headers={"etag": tag})

    def _changes(self, body: str) -> httpx.Response:
        sent = re.search(r"sync-token>\D*(\d+)</", body)
        names = dict.fromkeys(self.log[int(sent[1]) - 1 :] if sent else self.files)
        data = "calendar-data" in body
        token = f"http://sabre.io/ns/sync/{len(self.log) + 1}"
        return multi(*(self._one(name, data=data) for name in names), token=token)

    def _tag(self, name: str) -> str:
        return f'"{abs(hash(self.files.get(name)))}"'

    def _one(self, name: str, *, data: bool = False) -> str:
        if name not in self.files or (data and name in self.hides):
            return status(f"{self.base}{name}", 404)
        held = {"C_calendar_data": f"<![CDATA[{self.files[name]}]]>"} if data else {}
        return found(f"{self.base}{name}", getetag=self._tag(name), **held)
