"""CalDAV in the contract suite, against real servers: Radicale, and xandikos behind a proxy that knows passwords.

The proxy is played by the harness: xandikos itself lets everybody in.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import httpx

from calendar_app.providers.base import CalendarProvider, Credentials
from calendar_app.providers.caldav.account import Secret
from calendar_app.providers.caldav.discovery import CalDavSignIn
from calendar_app.providers.caldav.provider import CalDavCalendar
from calendar_app.providers.http import tls
from calendar_app.settings import Settings
from tests.providers.suite.harness import Harness, Series
from tests.support.dav_servers import PASSWORD, USERNAME, DavServer

_MAKE = """<?xml version="1.0"?><C:mkcalendar xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><D:set><D:prop>
<D:displayname>Suite</D:displayname></D:prop></D:set></C:mkcalendar>"""


class CalDavHarness(Harness):
    """A calendar of its own on a server; the password is Radicale's, or the one that the proxy asks for."""

    key, oauth = "caldav", False

    def __init__(self, server: DavServer, users: Path, owner: httpx.Client) -> None:
        super().__init__(_Proxy(self, httpx.HTTPTransport(verify=tls())))
        self.server, self.users, self.owner = server, users, owner
        self.now = datetime.now(UTC).replace(microsecond=0)
        self.password = self.typed = PASSWORD
        self.settings = Settings(ALLOWED_PRIVATE_HOSTS=urlsplit(server.url).netloc)
        self.calendar_id = f"{server.home}{uuid4().hex}/"
        owner.request("MKCALENDAR", self.calendar_id, content=_MAKE).raise_for_status()
        self.secret = Secret("", "", "")
        self.renew()

    def provider(self) -> CalendarProvider:
        return CalDavCalendar(self.settings, self.secret, transport=self.switch, sleep=lambda _seconds: None)

    def add(self, title: str, start: datetime, end: datetime) -> str:
        name = f"{uuid4().hex}.ics"
        self._put(name, _event(name, title, start, end))
        return name

    def move(self, remote_id: str, start: datetime) -> str:
        text = self.owner.get(f"{self.calendar_id}{remote_id}").raise_for_status().text
        fields = dict(line.split(":", 1) for line in text.splitlines() if line.startswith(("DT", "SUMMARY")))
        begin, end = (
            datetime.strptime(fields[name], _STAMP).replace(tzinfo=UTC) for name in ("DTSTART", "DTEND")
        )
        self._put(remote_id, _event(remote_id, fields["SUMMARY"], start, start + (end - begin)))
        return remote_id

    def touch(self, remote_id: str) -> None:
        text = self.owner.get(f"{self.calendar_id}{remote_id}").raise_for_status().text
        self._put(remote_id, text.replace("SUMMARY:", "SUMMARY:Renamed "))

    def delete(self, remote_id: str) -> None:
        self.owner.delete(f"{self.calendar_id}{remote_id}").raise_for_status()

    def series(self, series: Series) -> bool:
        rule = f"RRULE:FREQ=WEEKLY;COUNT={series.count}"
        moved = f"RECURRENCE-ID:{series.was:{_STAMP}}"
        parts = [
            component("weekly", "Weekly", series.first, series.first + series.length, rule),
            component("weekly", "Weekly", series.now, series.now + series.length, moved),
        ]
        self._put("weekly.ics", calendar_text(*parts))
        return True

    def expire(self) -> None:
        self.typed = "another password"
        self._change_password(self.typed)

    def revoke(self) -> None:
        self._change_password(uuid4().hex)

    def renew(self) -> None:
        opened = CalDavSignIn(self.settings, transport=self.switch).open(
            Credentials(self.server.url, USERNAME, self.typed)
        )
        self.secret = Secret.load(opened.secret)

    def rate_limited(self, request: httpx.Request) -> httpx.Response:
        return httpx.Response(429, headers={"retry-after": "60"}, request=request)

    def _change_password(self, password: str) -> None:
        self.password = password
        if self.server.checks_password:
            self.users.write_text(f"{USERNAME}:{password}\n")
            self.owner.auth = httpx.BasicAuth(USERNAME, password)

    def _put(self, name: str, text: str) -> None:
        headers = {"content-type": "text/calendar; charset=utf-8"}
        self.owner.put(f"{self.calendar_id}{name}", content=text, headers=headers).raise_for_status()


class _Proxy(httpx.BaseTransport):
    """Asks for the account's password where the server behind it does not."""

    def __init__(self, harness: CalDavHarness, inner: httpx.BaseTransport) -> None:
        self.harness, self.inner = harness, inner

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if not self.harness.server.checks_password:
            wanted = next(
                httpx.BasicAuth(USERNAME, self.harness.password).auth_flow(httpx.Request("GET", request.url))
            ).headers["authorization"]
            if request.headers.get("authorization") != wanted:
                request.read()
                return httpx.Response(401, headers={"www-authenticate": 'Basic realm="dav"'}, request=request)
        return self.inner.handle_request(request)

    def close(self) -> None:
        self.inner.close()


_STAMP = "%Y%m%dT%H%M%SZ"


def component(uid: str, title: str, start: datetime, end: datetime, *more: str) -> str:
    """A VEVENT; ``more`` are further content lines."""
    lines = [
        "BEGIN:VEVENT",
        f"UID:{uid}",
        f"DTSTAMP:{start:{_STAMP}}",
        f"DTSTART:{start.astimezone(UTC):{_STAMP}}",
        f"DTEND:{end.astimezone(UTC):{_STAMP}}",
        f"SUMMARY:{title}",
        *more,
        "END:VEVENT",
    ]
    return "\r\n".join(lines)


def calendar_text(*components: str) -> str:
    """An iCalendar file."""
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Suite//Owner//EN", *components, "END:VCALENDAR", ""]
    return "\r\n".join(lines)


def _event(name: str, title: str, start: datetime, end: datetime) -> str:
    return calendar_text(component(name, title, start, end))


@contextmanager
def caldav(server: DavServer, users: Path) -> Iterator[CalDavHarness]:
    """``users``: Radicale's file of passwords, put back at the end."""
    with httpx.Client(auth=(USERNAME, PASSWORD), verify=tls()) as owner:
        try:
            yield CalDavHarness(server, users, owner)
        finally:
            if server.checks_password:
                users.write_text(f"{USERNAME}:{PASSWORD}\n")
