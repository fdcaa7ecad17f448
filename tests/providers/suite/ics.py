"""Calendar links in the contract suite: a published file that its owner edits, behind a key in its address."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx

from calendar_app.providers.base import CalendarProvider, Credentials
from calendar_app.providers.http import tls
from calendar_app.providers.ics.provider import CALENDAR, IcsCalendar, IcsOpener, http
from calendar_app.settings import Settings
from tests.providers.suite.caldav import calendar_text, component
from tests.providers.suite.harness import Harness, Series


@dataclass
class Publisher:
    """An ASGI application that serves ``files`` by path, with entity tags and conditional answers."""

    files: dict[str, str] = field(default_factory=dict)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            for phase in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{phase}.complete"})
            return
        text = self.files.get(scope["path"])
        status, headers, body = 403, [], b""
        if text is not None:
            body = text.encode()
            etag = f'"{sha256(body).hexdigest()[:16]}"'.encode()
            status = 304 if (b"if-none-match", etag) in scope["headers"] else 200
            headers = [(b"content-type", b"text/calendar; charset=utf-8"), (b"etag", etag)]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if status == 304 else body})


class IcsHarness(Harness):
    """The file as its owner keeps it: components by UID."""

    key, oauth, calendar_id = "ics", False, CALENDAR

    def __init__(self, url: str, publisher: Publisher) -> None:
        super().__init__(httpx.HTTPTransport(verify=tls()))
        self.url, self.publisher = url, publisher
        self.now = datetime.now(UTC).replace(microsecond=0)
        self.parts: dict[str, tuple[str, datetime, datetime]] = {}
        self.more: list[str] = []
        self.settings = Settings(ALLOWED_PRIVATE_HOSTS=urlsplit(url).netloc)
        self.path = self.typed = f"/{uuid4().hex}.ics"
        self._publish()
        self.secret = ""
        self.renew()

    def provider(self) -> CalendarProvider:
        return IcsCalendar(http(self.settings, transport=self.switch), self.secret)

    def add(self, title: str, start: datetime, end: datetime) -> str:
        uid = uuid4().hex
        self.parts[uid] = (title, start, end)
        self._publish()
        return uid

    def move(self, remote_id: str, start: datetime) -> str:
        title, begin, end = self.parts[remote_id]
        self.parts[remote_id] = (title, start, start + (end - begin))
        self._publish()
        return remote_id

    def delete(self, remote_id: str) -> None:
        del self.parts[remote_id]
        self._publish()

    def series(self, series: Series) -> bool:
        rule = f"RRULE:FREQ=WEEKLY;COUNT={series.count}"
        moved = f"RECURRENCE-ID:{series.was:%Y%m%dT%H%M%SZ}"
        self.more = [
            component("weekly", "Weekly", series.first, series.first + series.length, rule),
            component("weekly", "Weekly", series.now, series.now + series.length, moved),
        ]
        self._publish()
        return True

    def expire(self) -> None:
        self.revoke()
        self.path = self.typed = f"/{uuid4().hex}.ics"
        self._publish()

    def revoke(self) -> None:
        del self.publisher.files[self.path]

    def renew(self) -> None:
        opener = IcsOpener(http(self.settings, transport=self.switch))
        self.secret = opener.open(Credentials(f"{self.url}{self.typed}")).secret

    def rate_limited(self, request: httpx.Request) -> httpx.Response:
        return httpx.Response(429, headers={"retry-after": "60"}, request=request)

    def _publish(self) -> None:
        parts = [component(uid, *part) for uid, part in self.parts.items()]
        self.publisher.files[self.path] = calendar_text(*parts, *self.more)


@contextmanager
def ics(url: str, publisher: Publisher) -> Iterator[IcsHarness]:
    yield IcsHarness(url, publisher)
