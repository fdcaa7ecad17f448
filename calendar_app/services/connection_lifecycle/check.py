"""A connection asked on demand: its token refreshed and its calendars listed again, or tested with one live call."""

from __future__ import annotations

import time
from dataclasses import dataclass

from calendar_app.db.session import clock, reading, transaction
from calendar_app.errors import ProviderError
from calendar_app.providers import registry
from calendar_app.providers.base import CalendarProvider, RemoteCalendar
from calendar_app.services.calendar_sync import calendar_listing
from calendar_app.services.common import change_events
from calendar_app.services.common.permissions import Actor
from calendar_app.services.connection_lifecycle.oauth import request_sync
from calendar_app.services.connections import calendars
from calendar_app.services.connections import queries as connection_queries
from calendar_app.services.connections import tokens as connection_tokens
from calendar_app.services.connections.queries import ConnectionView, owned


@dataclass(frozen=True, slots=True)
class TestResult:
    """A live call: whether it worked, how long it took, and one sentence."""

    ok: bool
    latency_ms: int
    message: str


def refresh(actor: Actor, connection_id: str) -> ConnectionView:
    """Get a new token and list the calendars again: new ones are read, renamed ones renamed, vanished ones marked.

    :raises NotFound: no such connection. :raises ProviderError: the provider's answer.
    """
    with reading() as session:
        key = owned(session, actor, connection_id).provider
    if key in registry.unread():
        return connection_queries.get_connection(actor, connection_id)
    connection_tokens.refresh(connection_id)
    listing: list[RemoteCalendar] = connection_tokens.call(
        connection_id, lambda provider: provider.list_calendars()
    )
    now = clock()
    with transaction() as session:
        calendars.lock_calendars(session, connection_id)
        row = owned(session, actor, connection_id, lock=True)
        row.retry_at = None  # the provider answers
        session.add(row)
        standing = calendars.store_listing(session, row, listing)
        calendar_listing.record_listing(session, row.id, listing, now)
        change_events.announce(session, actor.workspace_id, "connections")
        unread = [calendar.id for calendar in standing if calendar.synced_at is None]
    request_sync(unread)
    return connection_queries.get_connection(actor, connection_id)


def test(actor: Actor, connection_id: str) -> TestResult:
    """Ask the provider something, now. A failure is a result, not an error. :raises NotFound: no such connection."""
    with reading() as session:
        key = owned(session, actor, connection_id).provider
    if key in registry.unread():
        return TestResult(True, 0, registry.kind(key).note)

    def count(provider: CalendarProvider) -> int:
        return len(provider.list_calendars())

    started = time.perf_counter()
    try:
        found = connection_tokens.call(connection_id, count)
    except ProviderError as error:
        return TestResult(False, _milliseconds(started), error.detail)
    return TestResult(
        True,
        _milliseconds(started),
        f"The connection works; {found} calendar{'' if found == 1 else 's'} found.",
    )


def _milliseconds(started: float) -> int:
    return round((time.perf_counter() - started) * 1000)
