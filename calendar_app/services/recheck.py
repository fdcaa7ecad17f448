"""One more look at the providers, right before a time is given away: has it been taken there since the last sync?

Every account is asked at the same time and all of them together have a few seconds. What cannot be read in that
time says nothing: the mirror's last known state, which the engine goes by anyway, then decides.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import lru_cache

from sqlalchemy import and_, or_
from sqlmodel import Session, col, select

from calendar_app.db.tables import Booking, CalendarWrite
from calendar_app.domain.booking import HOLDING
from calendar_app.domain.timespan import Span, instant, subtract, utc
from calendar_app.errors import AlmanacError, ProviderError
from calendar_app.providers.base import CalendarProvider, Capability
from calendar_app.services import grants
from calendar_app.services.snapshots import CalendarState

log = logging.getLogger(__name__)

DEADLINE = 3.0
"""Seconds that all accounts together have to answer."""
_THREADS = 32

Answer = Mapping[str, list[Span] | ProviderError]


@dataclass(frozen=True, slots=True)
class Seen:
    """What the providers said: ids of hosts and calendars that are busy then, and of calendars that could not be
    read."""

    busy_hosts: frozenset[str] = frozenset()
    busy_calendars: frozenset[str] = frozenset()
    unread: frozenset[str] = frozenset()


def look(
    calendars: Collection[CalendarState],
    span: Span,
    own: Mapping[str, Sequence[Span]],
    *,
    deadline: float = DEADLINE,
) -> Seen:
    """Ask the providers of ``calendars`` who is busy in ``span``. Call it outside of any transaction.

    ``own``: spans by calendar id that are our own events there (see :func:`own_spans`), for which reservations speak.
    """
    accounts: dict[str, list[CalendarState]] = defaultdict(list)
    for calendar in calendars:
        accounts[calendar.connection_id].append(calendar)
    asked = {
        _pool().submit(_ask, account, [calendar.remote_id for calendar in group], span): group
        for account, group in accounts.items()
    }
    done, late = wait(asked, timeout=deadline)
    for future in late:
        future.cancel()
    busy: list[CalendarState] = []
    unread: list[CalendarState] = [calendar for future in late for calendar in asked[future]]
    for future in done:
        answer = _answer(future)
        for calendar in asked[future]:
            spans = answer.get(calendar.remote_id)
            if not isinstance(spans, list):
                unread.append(calendar)
            elif any(span.overlaps(taken) for taken in subtract(spans, own.get(calendar.id, ()))):
                busy.append(calendar)
    return Seen(
        frozenset(calendar.person_id for calendar in busy),
        frozenset(calendar.id for calendar in busy),
        frozenset(calendar.id for calendar in unread),
    )


def own_spans(session: Session, calendar_ids: Collection[str], span: Span) -> dict[str, list[Span]]:
    """Where events of ours stand, or may stand until their removal is carried out, by calendar."""
    query = (
        select(CalendarWrite.calendar_id, Booking.start_at, Booking.end_at)
        .join(Booking, col(Booking.id) == col(CalendarWrite.booking_id))
        .where(col(CalendarWrite.calendar_id).in_(calendar_ids))
        .where(col(Booking.start_at) < utc(span.end), col(Booking.end_at) > utc(span.start))
        .where(
            or_(
                and_(col(CalendarWrite.present).is_(True), col(Booking.status).in_(HOLDING)),
                and_(col(CalendarWrite.present).is_(False), col(CalendarWrite.state) != "removed"),
            )
        )
    )
    found: dict[str, list[Span]] = defaultdict(list)
    for calendar_id, start_at, end_at in session.exec(query):
        found[calendar_id].append(Span(instant(start_at), instant(end_at)))
    return found


@lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_THREADS, thread_name_prefix="recheck")


def _ask(connection_id: str, remote_ids: list[str], span: Span) -> Answer:
    def freebusy(api: CalendarProvider) -> Answer:
        return api.freebusy(remote_ids, span) if Capability.FREEBUSY in api.capabilities else {}

    return grants.call(connection_id, freebusy)


def _answer(future: Future[Answer]) -> Answer:
    error = future.exception()
    if error is None:
        return future.result()
    if not isinstance(error, AlmanacError):
        log.error("asking a provider for free/busy failed", exc_info=error)
    return {}
