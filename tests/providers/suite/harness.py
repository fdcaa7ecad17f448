"""What the contract suite needs from the counterpart of a provider, whichever it is.

A harness holds one fresh account with one calendar at a counterpart (a stand-in of ours or a real server on loopback),
and plays everybody who is not our provider: the account's owner, who adds, moves and deletes events behind our back,
and the other side, which ends tokens and refuses cursors. Adding a provider to the suite is a subclass and a line in
:mod:`tests.providers.suite.harnesses`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from ssl import SSLContext

import httpx

from calendar_app.domain.event import CalendarEvent, EventStatus
from calendar_app.domain.meeting_place import PlaceKind
from calendar_app.domain.timespan import Span, instant
from calendar_app.providers.base import CalendarProvider
from calendar_app.providers.http import tls
from calendar_app.services.calendar_mirror.expansion import expand_series, expand_single

Answer = Callable[[httpx.Request], httpx.Response]


@dataclass(frozen=True, slots=True)
class Series:
    """A weekly event of ``count`` meetings, the second of which was moved from ``was`` to ``now``; aware, UTC."""

    first: datetime
    was: datetime
    now: datetime
    length: timedelta = timedelta(minutes=30)
    count: int = 4


class Switch(httpx.BaseTransport):
    """Counts the requests that a provider sends; while ``fault`` is set, it answers in the counterpart's place."""

    def __init__(self, inner: httpx.BaseTransport) -> None:
        self.inner = inner
        self.requests = 0
        self.fault: Answer | None = None

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        if self.fault is not None:
            request.read()
            return self.fault(request)
        return self.inner.handle_request(request)

    def close(self) -> None:
        self.inner.close()


@lru_cache(maxsize=1)
def plain_transport() -> SSLContext:
    """The TLS settings of test clients, made once."""
    return tls()


@dataclass(frozen=True, slots=True)
class Meetings:
    """The kind of online meeting that a calendar makes, and the counterpart's rules under which it comes ``later``,
    ``never``, is said to have failed, or under which events that ask for one are refused."""

    kind: PlaceKind
    later: str
    never: str
    fails: str
    refused: str


class Harness(ABC):
    """One account with one calendar. ``now`` is the counterpart's present; every time is aware, in UTC.

    ``oauth`` tells whether the account is opened by OAuth; then ``revoke`` ends the refresh token too. ``retry_after``
    is what :meth:`rate_limited` tells the provider to wait, ``None`` where the counterpart cannot say. ``meetings``:
    which online meetings the calendar makes, ``None`` for none.
    """

    key: str
    calendar_id: str
    now: datetime
    oauth = True
    retry_after: float | None = 60.0
    meetings: Meetings | None = None

    def __init__(self, transport: httpx.BaseTransport | None = None) -> None:
        self.switch = Switch(transport or httpx.HTTPTransport(verify=plain_transport()))

    @abstractmethod
    def provider(self) -> CalendarProvider:
        """The provider on the account's present token or secret; its requests pass :attr:`switch`, and it never
        sleeps."""

    @abstractmethod
    def add(self, title: str, start: datetime, end: datetime) -> str:
        """The owner adds an event; its id as the provider lists it."""

    @abstractmethod
    def move(self, remote_id: str, start: datetime) -> str:
        """The owner moves an event, keeping its length; its id from then on."""

    @abstractmethod
    def delete(self, remote_id: str) -> None:
        """The owner deletes an event."""

    @abstractmethod
    def expire(self) -> None:
        """The access token ends, the grant stays; where there is only one secret, it is changed."""

    @abstractmethod
    def revoke(self) -> None:
        """The owner withdraws the whole grant."""

    @abstractmethod
    def renew(self) -> None:
        """Get a new access token as our code would, or open the account again with what was typed in."""

    def rule(self, name: str, *, on: bool) -> None:
        """Switch a rule of the counterpart, one of :attr:`meetings`."""
        raise NotImplementedError

    def series(self, series: Series) -> bool:
        """The owner makes a weekly event and moves its second meeting; false where no event can recur."""
        return False

    def refuse_cursors(self) -> bool:
        """Make every cursor given out so far too old; false where none ever is."""
        return False

    def touch(self, remote_id: str) -> None:
        """The owner edits an event (its title), so that an etag that we hold is stale."""
        raise NotImplementedError

    @property
    def hook(self) -> str:
        """An address for pushes; one that answers, where the provider checks that before it grants a channel."""
        return "http://127.0.0.1:9/api/v1/hooks/suite"

    def rate_limited(self, request: httpx.Request) -> httpx.Response:
        """How the provider says "slow down, for :attr:`retry_after` seconds"."""
        return httpx.Response(429, headers={"retry-after": "60"}, json={}, request=request)

    @contextmanager
    def failing(self, answer: Answer) -> Iterator[None]:
        """While inside, every request of the provider is answered by ``answer``."""
        self.switch.fault = answer
        try:
            yield
        finally:
            self.switch.fault = None

    def at(self, day: int, hour: int) -> datetime:
        """A time ``day`` days after the counterpart's present."""
        start = self.now.astimezone(UTC).replace(hour=hour, minute=0, second=0, microsecond=0)
        return start + timedelta(days=day)


@dataclass(frozen=True, slots=True)
class Listed:
    """A listing: events by id, the cursor, and whether it holds everything."""

    events: dict[str, CalendarEvent]
    cursor: str | None
    whole: bool

    def on(self, before: Mapping[str, CalendarEvent]) -> dict[str, CalendarEvent]:
        """What stands in the calendar for somebody who knew ``before`` and reads this."""
        after = self.events if self.whole else {**before, **self.events}
        return {
            remote_id: event
            for remote_id, event in after.items()
            if event.status is not EventStatus.CANCELLED
        }


def listed(
    provider: CalendarProvider, calendar_id: str, cursor: str | None = None, **bounds: datetime
) -> Listed:
    """Read a listing to its end. No page but the last may carry the cursor."""
    pages = list(provider.event_pages(calendar_id, cursor, **bounds))
    assert all(page.cursor is None for page in pages[:-1]), "a cursor before the last page"
    found = {event.remote_id: event for page in pages for event in page.events}
    whole = cursor is None or any(page.snapshot for page in pages)
    return Listed(found, pages[-1].cursor if pages else None, whole)


def busy(events: dict[str, CalendarEvent], span: Span, title: str, zone: str = "UTC") -> list[Span]:
    """When the events called ``title`` block time in ``span``, expanded as the mirror expands them."""
    found: list[Span] = []
    exceptions = [event for event in events.values() if event.master_id]
    for event in events.values():
        if event.master_id in events and events[event.master_id].recurrence:
            continue
        changes = [one for one in exceptions if one.master_id == event.remote_id]
        made = expand_series(event, changes, zone, span) if event.recurrence else None
        for one in (made if made is not None else expand_single(event, zone, span)).occurrences:
            if one.event.summary == title and one.event.blocks_time:
                found.append(Span(one.start, one.end))
    return sorted(one for one in found if one.overlaps(span))


def spans(*starts: datetime, length: timedelta = timedelta(minutes=30)) -> list[Span]:
    """Spans of ``length`` that start then."""
    return sorted(Span(instant(start), instant(start + length)) for start in starts)
