"""Calendars of one account, asked about together when one of them is due to be polled.

A server that tells of all its calendars whether they changed is asked once, so that they are due together from then on;
those that did not change count as read, the others are read one by one. So are those that are due where it cannot be
asked that way, and each reading says what is wrong; and those that it is time to list in full.
"""

from __future__ import annotations

import logging
from datetime import datetime

from sqlalchemy import or_
from sqlmodel import Session, col, select, update

from calendar_app.db.due import free
from calendar_app.db.session import after_commit, clock, reading, transaction
from calendar_app.db.tables import Calendar, Connection
from calendar_app.domain.connection import USABLE
from calendar_app.errors import NotFound, ProviderError
from calendar_app.providers.base import CalendarProvider, TellsUnchanged
from calendar_app.services.calendar_sync import planning, requests, suspension
from calendar_app.services.calendar_sync.run import LEASE
from calendar_app.services.common import change_events
from calendar_app.services.connections import budget, tokens
from calendar_app.services.connections.budget import Urgency

log = logging.getLogger(__name__)


def look(connection_id: str, *, now: datetime | None = None) -> int:
    """Ask which of the account's calendars are unchanged, and have the others read; how many were unchanged."""
    now = now or clock()
    with reading() as session:
        connection = session.get(Connection, connection_id)
        if connection is None or connection.status not in USABLE or suspension.is_paused(connection, now):
            return 0
        known = requests.healthy_of(session, now, connection_id)
        due = {one.id for one in requests.due_to_be_polled(session, now, calendars=known)}
        rows = session.exec(select(Calendar).where(col(Calendar.id).in_(known))).all() if due else ()
    asked = {
        row.remote_id: row
        for row in rows
        if row.sync_cursor and row.timezone_source and not planning.is_due_in_full(row, now)
    }
    same: set[str] = set()
    if len(asked) > 1:
        same = _unchanged(connection_id, {one: row.sync_cursor or "" for one, row in asked.items()})
    with transaction() as session:
        confirmed = {one for one in same if _count_as_read(session, asked[one], now)}
        if confirmed:
            suspension.record_success(session, connection_id, now)
            workspace_id, person_id = connection.workspace_id, connection.person_id
            after_commit(session, lambda: change_events.publish(workspace_id, "connections", person_id))
    for row in rows:
        told = confirmed and row.remote_id in asked
        if row.remote_id not in confirmed and (told or row.id in due):
            requests.enqueue(row.id)
    return len(confirmed)


def _unchanged(connection_id: str, cursors: dict[str, str]) -> set[str]:
    def ask(provider: CalendarProvider) -> set[str]:
        assert isinstance(provider, TellsUnchanged)
        return provider.unchanged(cursors)

    try:
        with budget.urgency(Urgency.PLANNED):
            return tokens.call(connection_id, ask)
    except (ProviderError, NotFound) as error:
        log.info("calendars are read one by one", extra={"connection": connection_id, "code": error.code})
        return set()


def _count_as_read(session: Session, seen: Calendar, now: datetime) -> bool:
    """The calendar stands as it was read, unless it is being read anew or that was asked for since."""
    started, asked = col(Calendar.sync_started_at), col(Calendar.sync_requested_at)
    changed = session.execute(
        update(Calendar)
        .where(col(Calendar.id) == seen.id, col(Calendar.sync_fence) == seen.sync_fence)
        .where(
            col(Calendar.sync_cursor) == seen.sync_cursor, free(col(Calendar.sync_lease_until), LEASE, now)
        )
        .where(or_(asked.is_(None), asked <= started))
        .values(synced_at=now, **planning.planned(session, seen, now))
    )
    return bool(changed.rowcount)  # type: ignore[attr-defined]  # of an update
