"""Calendars that somebody looks at: those that no push channel vouches for are read at once, and often while it lasts.

A calendar that was read within ``POLL_MINUTES`` is left alone, so that many visitors cost no more than one.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlmodel import col

from calendar_app.db.session import clock, transaction
from calendar_app.db.tables import Calendar, Connection, EventTypeHost
from calendar_app.domain.connection import USABLE
from calendar_app.domain.reading_plan import next_while_viewed
from calendar_app.providers import registry
from calendar_app.services.calendar_sync import planning, push_trust, requests
from calendar_app.services.common.viewers import Seen
from calendar_app.services.connections.calendars import used


def read(what: Seen, id_: str, *, now: datetime | None = None) -> int:
    """Have those of the calendars behind ``id_`` read that are due while somebody looks; how many."""
    now = now or clock()
    pace = planning.pace()
    query = (
        select(Calendar)
        .join(Connection, col(Connection.id) == col(Calendar.connection_id))
        .where(*_looked_at(what, id_, now))
        .where(used(), col(Calendar.removed_at).is_(None), col(Calendar.synced_at).is_not(None))
        .where(col(Connection.status).in_(USABLE), col(Connection.provider).not_in(registry.unread()))
        .order_by(col(Calendar.id))
        .with_for_update(of=Calendar)
    )
    due = []
    with transaction() as session:
        for row in session.scalars(query):
            assert row.synced_at is not None
            row.viewed_at = now
            moment = next_while_viewed(row.synced_at, timedelta(seconds=row.wish_seconds), pace)
            if what is Seen.CALENDAR:
                moment = now
            if row.reading_due_at is None or moment < row.reading_due_at:
                row.reading_due_at = max(moment, row.synced_at + timedelta(milliseconds=1))
            if moment <= now:
                due.append(row.id)
            session.add(row)
    return requests.poll(now, calendars=due) if due else 0


def _looked_at(what: Seen, id_: str, now: datetime) -> tuple[Any, ...]:
    if what is Seen.CALENDAR:
        return (col(Calendar.id) == id_,)
    nobody_vouches = ~push_trust.vouched_for(now)
    if what is Seen.DASHBOARD:
        return col(Calendar.workspace_id) == id_, col(Calendar.shown_on_dashboard), nobody_vouches
    hosts = select(col(EventTypeHost.person_id)).where(col(EventTypeHost.event_type_id) == id_)
    return col(Connection.person_id).in_(hosts), col(Calendar.checks_conflicts), nobody_vouches
