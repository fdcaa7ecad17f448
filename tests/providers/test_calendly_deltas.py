"""Whatever happens at Calendly between two readings, whoever applies what the provider tells has its present state."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as property_settings
from hypothesis import strategies as st

from calendar_app.domain.event import CalendarEvent, EventStatus
from calendar_app.domain.timespan import Span
from calendar_app.domain.timespan import instant as at
from calendar_app.providers.calendly.errors import to_error
from calendar_app.providers.calendly.provider import CalendlyCalendar
from calendar_app.providers.http import ProviderHttp, tls
from calendar_app.sandbox.calendly.error import CalendlyError
from tests.providers.suite.harness import listed
from tests.sandbox.calendly_server import RunningCalendly, running_calendly
from tests.sandbox.server import SharedServer

HALF_HOUR = timedelta(minutes=30)

ACTS = st.one_of(
    st.tuples(st.just("book"), st.integers(1, 400), st.integers()),
    st.tuples(st.just("cancel"), st.integers(0, 30), st.integers()),
    st.tuples(st.just("move"), st.integers(0, 30), st.integers(1, 400)),
    st.tuples(st.just("read"), st.just(0), st.just(0)),
    st.tuples(st.just("forget"), st.just(0), st.just(0)),
)


@pytest.fixture(scope="module")
def server() -> Iterator[SharedServer]:
    with SharedServer() as shared:
        yield shared


class Mirror:
    """Somebody who reads the calendar now and then, and keeps what was told."""

    def __init__(self, provider: CalendlyCalendar, calendar_id: str, running: RunningCalendly) -> None:
        self.provider, self.calendar_id = provider, calendar_id
        self.since = running.clock.now - timedelta(days=35)
        self.cursor: str | None = None
        self.known: dict[str, CalendarEvent] = {}

    def read(self) -> None:
        bounds = {} if self.cursor else {"since": self.since}
        found = listed(self.provider, self.calendar_id, self.cursor, **bounds)
        self.known, self.cursor = found.on(self.known), found.cursor


class Customers:
    """Who books, cancels and reschedules at the stand-in, and what should stand there."""

    def __init__(self, running: RunningCalendly) -> None:
        self.running, self.account = running, running.calendar_id()
        self.events: list[str] = []

    def act(self, name: str, number: int, other: int) -> None:
        stand_in, now = self.running.stand_in, self.running.clock.now
        if name == "book":
            start = now + timedelta(days=number)
            end = start + HALF_HOUR
            self.events.append(
                self.running.do(lambda: stand_in.add_event(self.account, "Booked", start, end))
            )
        elif self.events:
            event = self.events[number % len(self.events)]
            try:
                if name == "cancel":
                    self.running.do(lambda: stand_in.bookings.cancel(event, by="Olivia Owner"))
                else:
                    start = now + timedelta(days=other)
                    self.events.append(self.running.do(lambda: stand_in.bookings.reschedule(event, start)))
            except CalendlyError as error:
                assert "already canceled" in str(error)  # noqa: PT017  # the only refusal there can be

    def standing(self) -> dict[str, Span]:
        found = self.running.do(lambda: self.running.stand_in.bookings.listed([self.account], None, None))
        events = [one for one in found if one["status"] == "active"]
        return {one["uri"].rpartition("/")[2]: _span(one["start_time"], one["end_time"]) for one in events}


def _span(start: str, end: str) -> Span:
    return Span(at(datetime.fromisoformat(start)), at(datetime.fromisoformat(end)))


@property_settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=st.lists(ACTS, max_size=14))
def test_deltas_add_up_to_the_present_state(server: SharedServer, acts: list[tuple[str, int, int]]) -> None:
    """Bookings, cancellations and reschedulings in any order, read at any moments, with lost cursors in between."""
    with running_calendly(server) as running, httpx.Client(verify=tls()) as client:
        tokens = running.tokens()
        http = ProviderHttp(
            running.base, tokens["access_token"], to_error, client=client, sleep=lambda _s: None
        )
        mirror = Mirror(CalendlyCalendar(http, now=running.clock), tokens["owner"], running)
        customers = Customers(running)
        for name, number, other in [*acts, ("read", 0, 0)]:
            if name == "forget":
                mirror.cursor, mirror.known = None, {}
            elif name == "read":
                mirror.read()
                assert all(event.status is EventStatus.CONFIRMED for event in mirror.known.values())
                told = {remote_id: _times(event) for remote_id, event in mirror.known.items()}
                assert told == customers.standing()
            else:
                customers.act(name, number, other)


def _times(event: CalendarEvent) -> Span:
    assert event.start is not None
    assert event.end is not None
    assert isinstance(event.start.value, datetime)
    assert isinstance(event.end.value, datetime)
    return Span(at(event.start.value.replace(tzinfo=UTC)), at(event.end.value.replace(tzinfo=UTC)))
