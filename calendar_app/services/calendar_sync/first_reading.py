"""The time that can be booked first: what is read ahead while a large calendar is listed for the first time.

Such a calendar is busy throughout until all of it has been read, which may take minutes. So once its listing turns out
to be long, the events of the coming weeks are asked for and stored: they count at once, and what lies behind them stays
busy. The listing that follows replaces them. What was read ahead cannot be brought up to date, so it counts for
``FRESH_MINUTES`` only.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlmodel import Session, col

from calendar_app.db.tables import Calendar, Event
from calendar_app.domain.event import CalendarEvent
from calendar_app.domain.timespan import Span, instant
from calendar_app.errors import AuthExpired, ProviderError
from calendar_app.providers.base import CalendarProvider, Capability
from calendar_app.services.calendar_mirror import mirror

log = logging.getLogger(__name__)

AHEAD = timedelta(days=60)
MANY = 800
"""A listing of so many events that goes on is not waited for."""


def is_first(session: Session, row: Calendar) -> bool:
    """Whether the calendar has never been read, and holds nothing but what was read ahead. One that was restored holds
    events that only a full listing may take away; dates of one whose zone nobody knows yet cannot be placed."""
    if row.synced_at is not None or not row.timezone_source:
        return False
    held = select(col(Event.id)).where(col(Event.calendar_id) == row.id).limit(1)
    return row.ahead_until is not None or session.execute(held).first() is None


class Watch:
    """Tells once, of a first listing, that it is long."""

    def __init__(self, *, wanted: bool) -> None:
        self._wanted = wanted

    def is_long(self, provider: CalendarProvider, events: int) -> bool:
        """Whether to read ahead now, after so many events of a listing that goes on. A file comes whole, so that
        nothing would be gained."""
        if not self._wanted or Capability.DELTA not in provider.capabilities or events < MANY:
            return False
        self._wanted = False
        return True


@dataclass(frozen=True, slots=True)
class Ahead:
    """Events that were read ahead at ``at``: everything that lies between then and ``until``."""

    events: Sequence[CalendarEvent]
    at: datetime
    until: datetime


def read_ahead(provider: CalendarProvider, remote_id: str, now: datetime) -> Ahead | None:
    """The events of the coming weeks; ``None`` where the provider does not tell, for the listing will."""
    until = now + AHEAD
    try:
        return Ahead(provider.events_in(remote_id, Span(instant(now), instant(until))), now, until)
    except AuthExpired:
        raise
    except ProviderError as error:
        log.info("nothing was read ahead", extra={"code": error.code})
        return None


def store(session: Session, row: Calendar, ahead: Ahead) -> None:
    """Let what was read ahead count; the caller holds the calendar's row locked."""
    mirror.apply(session, row.id, ahead.events, full=False, now=ahead.at)
    row.ahead_at, row.ahead_until = ahead.at, ahead.until
    session.add(row)
