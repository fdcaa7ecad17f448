"""What a calendar link is, and what a file behind it says, in the product's own terms."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from calendar_app.domain.event import CalendarEvent
from calendar_app.domain.ics import CalendarFile, NotACalendar, read_calendar
from calendar_app.domain.ics.density import Density
from calendar_app.domain.ics.reader import LONGEST_REFRESH
from calendar_app.domain.timespan import Span
from calendar_app.errors import InvalidInput

MAX_URL = 2_000
MAX_BYTES = 16 * 2**20


@dataclass(frozen=True, slots=True)
class Link:
    """A calendar's address, and what its subscriber calls it, if anything. Secret: many addresses hold a key."""

    url: str
    name: str = ""

    @classmethod
    def typed(cls, address: str, name: str = "") -> Link:
        """What a person typed or pasted; ``webcal:`` is https by another name.

        :raises InvalidInput: it is no address of the web.
        """
        text = address.strip()
        scheme, colon, rest = text.partition(":")
        if scheme.lower() in ("webcal", "webcals"):
            text = f"https{colon}{rest}"
        elif "://" not in text and "." in text.partition("/")[0]:
            text = f"https://{text}"
        if not text or len(text) > MAX_URL or not _is_address(text):
            raise InvalidInput(
                "Type the calendar’s web address, like https://example.com/calendar.ics.",
                field="address",
                code="address_refused",
            )
        return cls(text, " ".join(name.split())[:200])

    @classmethod
    def kept(cls, secret: str) -> Link:
        """The link that :attr:`secret` was made of."""
        try:
            found = json.loads(secret)
            return cls(str(found["url"]), str(found["name"]))
        except (ValueError, KeyError, TypeError):
            return cls("")

    @property
    def secret(self) -> str:
        return json.dumps({"url": self.url, "name": self.name})

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @property
    def account_id(self) -> str:
        """The same for the same address, and tells nobody what it is."""
        return hashlib.sha256(self.url.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Validators:
    """How we know that a file has not changed (RFC 9110 §8.8), and a digest of it for servers that cannot say.

    ``url`` is a digest of the address they belong to.
    """

    etag: str
    modified: str
    digest: str
    url: str

    @classmethod
    def of(cls, headers: Mapping[str, str], content: bytes, link: Link) -> Validators:
        return cls(
            headers.get("etag", "")[:1_000],
            headers.get("last-modified", "")[:100],
            digest_of(content),
            link.account_id[:16],
        )

    @classmethod
    def read(cls, cursor: str | None, link: Link) -> Validators | None:
        """The validators in a cursor; ``None`` for one that is not ours or belongs to another address."""
        try:
            found: Any = json.loads(cursor or "null")
            made = cls(*(str(found[name]) for name in ("etag", "modified", "digest", "url")))
        except (ValueError, KeyError, TypeError):
            return None
        return made if made.url == link.account_id[:16] else None

    @property
    def cursor(self) -> str:
        return json.dumps(
            {"etag": self.etag, "modified": self.modified, "digest": self.digest, "url": self.url}
        )

    @property
    def conditions(self) -> dict[str, str]:
        """Request headers that ask for the file only if it has changed."""
        named = {"if-none-match": self.etag, "if-modified-since": self.modified}
        return {name: value for name, value in named.items() if value}


def max_age(headers: Mapping[str, str]) -> timedelta:
    """For how long the answer says it stays fresh (Cache-Control, RFC 9111 §5.2.2); zero where it is not to be kept, or
    does not say."""
    directives = [part.strip().lower() for part in headers.get("cache-control", "").split(",")]
    ages = [part[8:].strip('"') for part in directives if part.startswith("max-age=")]
    if not ages or not ages[0].isdecimal() or {"no-cache", "no-store"} & set(directives):
        return timedelta()
    return min(timedelta(seconds=int(ages[0][:9])), LONGEST_REFRESH)


def digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return bool(parts.scheme and parts.hostname and parts.port != 0)
    except ValueError:
        return False


def read_file(content: bytes, window: Span) -> CalendarFile:
    """The file's events, as many of them as can be used; marks that only our own events may carry are dropped.

    Events that together repeat too often for us count as busy without a break. Those that cannot be read are without a
    time.

    :raises CalendarFileError: it is no calendar.
    """
    if content.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<":
        raise NotACalendar("There is a web page at this address, not a calendar.")
    density = Density(window)
    file = read_calendar(content, max_bytes=MAX_BYTES)
    events = (_bounded(event, density) for event in file.events)
    return replace(file, events=(*events, *file.unreadable))


def _bounded(event: CalendarEvent, density: Density) -> CalendarEvent:
    event = density.bounded(event)
    return replace(event, private={}) if event.private else event
