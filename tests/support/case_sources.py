"""The places that a calendar file comes from, as real servers on loopback: a link over HTTP, and two CalDAV servers.

Each gives what the product's own provider lists there. A CalDAV server that does not take a file whole gets its events
one by one; what it does not take at all is put into its folder, as another version of the server may have left it.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Protocol

import httpx

from calendar_app.domain.event import CalendarEvent
from calendar_app.domain.unread import Unread
from calendar_app.providers.base import Credentials, EventPage
from calendar_app.providers.caldav.account import Secret
from calendar_app.providers.caldav.discovery import CalDavSignIn
from calendar_app.providers.caldav.provider import CalDavCalendar
from calendar_app.providers.ics.mapping import Link
from calendar_app.providers.ics.provider import CALENDAR, IcsCalendar
from calendar_app.providers.ics.provider import http as link_client
from calendar_app.settings import Settings
from tests.support import dav_servers
from tests.support.dav_servers import PASSWORD, USERNAME, DavServer

SETTINGS = Settings(ALLOWED_PRIVATE_HOSTS="127.0.0.1")  # type: ignore[call-arg]  # pydantic reads the alias


@dataclass(frozen=True, slots=True)
class Listed:
    """What one listing said."""

    events: Sequence[CalendarEvent]
    unread: Sequence[Unread]
    cursor: str
    full: bool
    zone: str | None

    @classmethod
    def of(cls, pages: Sequence[EventPage], cursor: str | None) -> Listed:
        zones = [page.timezone for page in pages if page.timezone is not None]
        return cls(
            [event for page in pages for event in page.events],
            [one for page in pages for one in page.unread],
            pages[-1].cursor or "",
            cursor is None or any(page.snapshot for page in pages),
            zones[-1] if zones else None,
        )


class Source(Protocol):
    """A place that holds calendars by name."""

    def put(self, name: str, content: bytes) -> None:
        """Let the calendar hold this file, in the place of what it held."""

    def read(self, name: str, cursor: str | None = None) -> Listed:
        """What the provider lists, all of it or since ``cursor``."""


@dataclass
class LinkSource:
    """Files at addresses of a plain web server."""

    url: str
    files: dict[str, bytes] = field(default_factory=dict)

    def put(self, name: str, content: bytes) -> None:
        self.files[f"/{name}.ics"] = content

    def read(self, name: str, cursor: str | None = None) -> Listed:
        link = IcsCalendar(link_client(SETTINGS), Link(f"{self.url}/{name}.ics").secret)
        return Listed.of(list(link.event_pages(CALENDAR, cursor)), cursor)


@contextmanager
def link(_folder: Path) -> Iterator[LinkSource]:
    """A web server for :class:`LinkSource`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = source.files.get(self.path)
            self.send_response(404 if content is None else 200)
            self.send_header("content-type", "text/calendar")
            self.send_header("content-length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *_parts: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        source = LinkSource(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield source
        finally:
            server.shutdown()
            thread.join()


@dataclass
class DavSource:
    """Collections of one account at a CalDAV server whose files lie in ``folder``."""

    server: DavServer
    folder: Path
    client: httpx.Client
    made: set[str] = field(default_factory=set)

    def put(self, name: str, content: bytes) -> None:
        url = f"{self.server.home}{name}/"
        if name not in self.made:
            self.client.request("MKCALENDAR", url).raise_for_status()
            self.made.add(name)
        if not self._takes(f"{url}whole.ics", content) and not self._takes_parts(url, content):
            (self.folder / name / "whole.ics").write_bytes(content)

    def _takes(self, url: str, content: bytes) -> bool:
        answer = self.client.put(url, content=content, headers={"content-type": "text/calendar"})
        assert answer.status_code in (201, 204, 400, 403, 409, 412), answer.text
        return answer.is_success

    def _takes_parts(self, url: str, content: bytes) -> bool:
        """Each event in a resource of its own, if the server takes all of them."""
        events = re.findall(rb"BEGIN:VEVENT.*?END:VEVENT\r?\n", content, re.DOTALL)
        names = [f"{url}{number}.ics" for number in range(len(events))]
        for name, event in zip(names, events, strict=True):
            rest = re.sub(rb"BEGIN:VEVENT.*END:VEVENT\r?\n", lambda _: event, content, flags=re.DOTALL)  # noqa: B023
            if not self._takes(name, rest):
                for one in names:
                    self.client.delete(one)
                return False
        return bool(events)

    def read(self, name: str, cursor: str | None = None) -> Listed:
        opened = CalDavSignIn(SETTINGS).open(Credentials(self.server.url, USERNAME, PASSWORD))
        account = CalDavCalendar(SETTINGS, Secret.load(opened.secret))
        (found,) = (one for one in account.list_calendars() if one.remote_id.endswith(f"/{name}/"))
        return Listed.of(list(account.event_pages(found.remote_id, cursor)), cursor)


@contextmanager
def radicale(folder: Path) -> Iterator[DavSource]:
    with dav_servers.radicale(folder) as server, httpx.Client(auth=(USERNAME, PASSWORD)) as client:
        yield DavSource(server, folder / "collections/collection-root" / USERNAME, client)


@contextmanager
def xandikos(folder: Path) -> Iterator[DavSource]:
    with dav_servers.xandikos(folder) as server, httpx.Client(auth=(USERNAME, PASSWORD)) as client:
        yield DavSource(server, folder / "root/ada/calendars", client)
