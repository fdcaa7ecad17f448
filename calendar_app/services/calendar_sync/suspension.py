"""Connections that fail and fail: given rest, said once, taken up again, and in the end cleaned up.

One failure is the calendar's business (:mod:`calendar_app.services.calendar_sync.run`). A connection none of whose
calendars could be read for a day, and not for want of trying, is switched off: status ``error``, one letter to its
owner, and from then on one attempt after a quarter of the time for which it has not worked, at least every hour's and
at most every day's length. The first success clears all of it and brings back the writes that were given up meanwhile.

What stays dead is :mod:`calendar_app.services.connection_lifecycle.expiry`'s.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, update
from sqlmodel import Session, col, select

from calendar_app.db.due import is_due
from calendar_app.db.locks import locked
from calendar_app.db.tables import Calendar, CalendarWrite, Connection
from calendar_app.domain.calendar_write import WriteState
from calendar_app.domain.connection import USABLE, ConnectionStatus
from calendar_app.errors import AlmanacError, ProviderUnavailable, RateLimited, UsageLimited
from calendar_app.services.common import audit_log, change_events
from calendar_app.services.connections import emails as connection_emails
from calendar_app.services.connections.calendars import used

log = logging.getLogger(__name__)

GIVEN_UP = "suspended"
"""``Connection.last_error_code`` of one that was switched off here."""
FAILURES, SILENCE = 6, timedelta(days=1)
"""A connection is switched off after more failed syncs in a row than this, over at least this long."""
SHORTEST, LONGEST = timedelta(hours=1), timedelta(days=1)
_PASSING = (ProviderUnavailable.code, RateLimited.code, UsageLimited.code, "given_up")


def is_paused(row: Connection, now: datetime) -> bool:
    """Whether nothing is to be asked of the connection's provider now."""
    return not is_due(row.retry_at, row.last_error_at, now)


def record_failure(session: Session, connection_id: str, error: AlmanacError, now: datetime) -> None:
    """A sync of the connection failed: count it, and switch the connection off if that has gone on for too long."""
    row = locked(session, Connection, connection_id)
    if row is None or row.status not in USABLE:
        return
    row.failures += 1
    session.add(row)
    since = _unread_since(session, row)
    if row.failures <= FAILURES or now - since < SILENCE:
        return
    row.retry_at = now + min(LONGEST, max(SHORTEST, (now - since) / 4))
    row.last_error_at = now
    first = row.last_error_code != GIVEN_UP
    row.status, row.last_error_code = ConnectionStatus.ERROR, GIVEN_UP
    row.last_error = f"This account could not be read for {_days(now - since)}: {error.detail}"
    if first:
        audit_log.record(
            session,
            row.workspace_id,
            audit_log.Party.SYSTEM,
            "connection.suspended",
            "connection",
            row.id,
            provider=row.provider,
            code=error.code,
        )
        connection_emails.connection_failing(session, row, since, error.detail)
        workspace_id = row.workspace_id
        change_events.announce(session, workspace_id, "connections")


def record_success(session: Session, connection_id: str, now: datetime) -> None:
    """A sync succeeded, at ``now``: nothing is held against the connection any more."""
    row = locked(session, Connection, connection_id)
    if row is None:
        return
    row.last_sync_at, row.failures, row.retry_at = now, 0, None
    if row.last_error_code == GIVEN_UP:
        row.last_error_code, row.last_error = "", ""
        row.status = ConnectionStatus.CONNECTED if row.status == ConnectionStatus.ERROR else row.status
        _take_up_writes(session, row.id)
        audit_log.record(
            session,
            row.workspace_id,
            audit_log.Party.SYSTEM,
            "connection.recovered",
            "connection",
            row.id,
            provider=row.provider,
        )
    session.add(row)


def dismiss_unused(session: Session, row: Connection) -> None:
    """A calendar of the connection is not used any more: where none is, nothing is read, so that no success would ever
    clear what is held against the connection."""
    session.flush()
    session.refresh(row, with_for_update=True)
    if session.exec(select(Calendar.id).where(*_used_calendars(row.id))).first() is not None:
        return
    row.failures, row.retry_at = 0, None
    if row.last_error_code == GIVEN_UP:
        row.last_error_code, row.last_error = "", ""
        row.status = ConnectionStatus.CONNECTED if row.status == ConnectionStatus.ERROR else row.status
    session.add(row)


def end_pause(session: Session, connection_id: str) -> None:
    """A person asks for the connection to be read: it has rested enough."""
    session.execute(update(Connection).where(col(Connection.id) == connection_id).values(retry_at=None))


def _take_up_writes(session: Session, connection_id: str) -> None:
    """Writes that were given up because the provider was away are due again; the sweeper finds them."""
    here = select(Calendar.id).where(Calendar.connection_id == connection_id)
    session.execute(
        update(CalendarWrite)
        .where(
            col(CalendarWrite.calendar_id).in_(here),
            col(CalendarWrite.state) == WriteState.FAILED,
            col(CalendarWrite.last_error_code).in_(_PASSING),
        )
        .values(state=WriteState.QUEUED, attempts=0, next_attempt_at=None)
    )


def _unread_since(session: Session, row: Connection) -> datetime:
    """Since when the connection ought to have been read and was not: weeks in which none of its calendars was used are
    no failure."""
    last = row.last_sync_at or row.created_at
    found = session.exec(select(Calendar.used_since).where(*_used_calendars(row.id)))
    return max(last, min((since or last for since in found), default=last))


def _used_calendars(connection_id: str) -> Sequence[ColumnElement[bool]]:
    return col(Calendar.connection_id) == connection_id, col(Calendar.removed_at).is_(None), used()


def _days(length: timedelta) -> str:
    return "a day" if length.days <= 1 else f"{length.days} days"
