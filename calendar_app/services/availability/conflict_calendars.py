"""The calendars that a person's time is checked against, and how far each can be believed at a moment.

One whose first sync has not finished is busy throughout: unknown is never free. Any other counts as it was last read,
and while that is not long ago, that is enough. One is stale when readings that were due have failed, or did not happen,
for ``FRESH_MINUTES``; then bookings wait for approval, unless its owner chose otherwise.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import bindparam, select
from sqlmodel import Session, SQLModel

import calendar_app.db.tables  # noqa: F401  # registers the tables
from calendar_app.domain.connection import ConnectionStatus
from calendar_app.domain.freebusy import Freshness, StalePolicy, freshness, needs_approval
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
    max_age = _longest_age()
    never_read = registry.unread()
    found = []
    for row in session.execute(_CALENDARS, {"people": list(person_ids)}):
        age_counts = row.provider not in never_read
        state = freshness(row.id, row.synced_at, now if age_counts else row.synced_at or now, max_age)
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
                replace(state, stale=bool(trouble)),
            )
        )
    return found


def _longest_age() -> int:
    """Seconds since its last reading from which on a calendar is stale. Where calendars are polled less often than
    ``FRESH_MINUTES`` a reading is due only that much later."""
    settings = get_settings()
    due = settings.poll_minutes if settings.poll_minutes >= settings.fresh_minutes else 0
    return (due + settings.fresh_minutes) * 60


def asks_for_approval(calendars: Iterable[CalendarState]) -> bool:
    """Whether a booking made now waits for a person, because a calendar that asks for it could not be read lately."""
    return needs_approval((calendar.freshness, policy(calendar)) for calendar in calendars)


def policy(calendar: CalendarState) -> StalePolicy:
    """What the owner chose; a calendar that was never read has no last known state to keep to, so it closes unless it
    is to be ignored."""
    chosen = StalePolicy(calendar.policy)
    return StalePolicy.CLOSE if calendar.synced_at is None and chosen is not StalePolicy.IGNORE else chosen
