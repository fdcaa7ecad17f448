"""The calendars that a person's time is checked against, and how far each can be believed at a moment.

One whose first sync has not finished is busy throughout: unknown is never free. Any other counts as it was last read,
and while no reading was due since, that is enough. One is stale when a reading that was due has failed, or did not
happen, for ``FRESH_MINUTES``; then bookings wait for approval, unless its owner chose otherwise.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import bindparam, select
from sqlmodel import Session, SQLModel

import calendar_app.db.tables  # noqa: F401  # registers the tables
from calendar_app.db.due import SLACK
from calendar_app.domain.connection import ConnectionStatus
from calendar_app.domain.freebusy import Freshness, StalePolicy, freshness, needs_approval
from calendar_app.domain.reading_plan import stale_from
from calendar_app.domain.timespan import instant
from calendar_app.providers import registry
from calendar_app.settings import get_settings

# Core tables, and a statement that is put together once: this is what a visitor waits for.
_C, _K = SQLModel.metadata.tables["calendar"].c, SQLModel.metadata.tables["connection"].c
_CALENDARS = (
    select(
        _C.id,
        _C.name,
        _C.remote_id,
        _C.connection_id,
        _K.provider,
        _K.person_id,
        _C.workspace_id,
        _C.synced_at,
        _C.reading_due_at,
        _C.ahead_at,
        _C.ahead_until,
        _C.stale_policy,
        _C.last_error_code,
        _K.status,
    )
    .join(_K.id.table, _K.id == _C.connection_id)
    .where(_K.person_id.in_(bindparam("people", expanding=True)), _K.status != ConnectionStatus.DISCONNECTED)
    .where(_C.checks_conflicts, _C.removed_at.is_(None))
    .order_by(_C.id)
)


@dataclass(frozen=True, slots=True)
class CalendarState:
    """A conflict-checked calendar of a host.

    ``trouble``: ``never_synced``, ``error`` (stale, and the last reading failed), ``old`` (stale, and nobody has read
    it), or empty when fresh.
    """

    id: str
    name: str
    remote_id: str
    connection_id: str
    provider: str
    person_id: str
    workspace_id: str
    synced_at: datetime | None
    policy: str
    trouble: str
    freshness: Freshness


def calendars_of(session: Session, person_ids: Collection[str], now: datetime) -> list[CalendarState]:
    """The conflict-checked calendars of these people, whichever workspace they were connected in."""
    never_read = registry.unread()
    found = []
    for row in session.execute(_CALENDARS, {"people": list(person_ids)}):
        until = None
        if row.synced_at is not None and row.provider not in never_read:
            until = _stale_from(row.synced_at, row.reading_due_at)
        state = freshness(row.id, row.synced_at, now, until)
        failing = bool(row.last_error_code) or row.status != ConnectionStatus.CONNECTED
        unread = row.synced_at is None
        late = ("error" if failing else "old") if state.stale else ""
        trouble = "never_synced" if unread else late
        found.append(
            CalendarState(
                row.id,
                row.name,
                row.remote_id,
                row.connection_id,
                row.provider,
                row.person_id,
                row.workspace_id,
                row.synced_at,
                row.stale_policy,
                trouble,
                replace(state, stale=bool(trouble), ahead_until=_ahead(row.ahead_at, row.ahead_until, now)),
            )
        )
    return found


def _ahead(read_at: datetime | None, until: datetime | None, now: datetime) -> int | None:
    """Until when the calendar is known from what was read ahead, which nothing brings up to date."""
    fresh = timedelta(minutes=get_settings().fresh_minutes)
    if read_at is None or until is None or not now - fresh <= read_at <= now + SLACK:
        return None
    return instant(until)


def _stale_from(synced_at: datetime, due_at: datetime | None) -> datetime:
    """What was read since its plan was made was so by a release that plans nothing and asks every ``POLL_MINUTES``."""
    settings = get_settings()
    shortest, fresh = timedelta(minutes=settings.poll_minutes), timedelta(minutes=settings.fresh_minutes)
    due = due_at if due_at is not None and due_at > synced_at else synced_at + shortest
    return stale_from(synced_at, due, shortest=shortest, fresh=fresh)


def was_read_lately(calendar: CalendarState, now: datetime) -> bool:
    """Whether the calendar was read within ``POLL_MINUTES``, so that nobody who looks has it read again."""
    shortest = timedelta(minutes=get_settings().poll_minutes)
    return calendar.synced_at is not None and now - calendar.synced_at <= shortest


def asks_for_approval(calendars: Iterable[CalendarState]) -> bool:
    """Whether a booking made now waits for a person, because a calendar that asks for it could not be read lately."""
    return needs_approval((calendar.freshness, policy(calendar)) for calendar in calendars)


def policy(calendar: CalendarState) -> StalePolicy:
    """What the owner chose; a calendar that was never read has no last known state to keep to, so it closes unless it
    is to be ignored."""
    chosen = StalePolicy(calendar.policy)
    return StalePolicy.CLOSE if calendar.synced_at is None and chosen is not StalePolicy.IGNORE else chosen
