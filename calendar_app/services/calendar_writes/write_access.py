"""Calendars that receive bookings and cannot be written: noted, told once, and cleared when they can be written again.

A refused write notes it (:mod:`calendar_app.services.calendar_writes`), and so does a listing of the account's
calendars that lacks it or calls it read-only (:mod:`calendar_app.services.calendar_sync.calendar_listing`), which is
also what finds out that the right is back.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import or_, update
from sqlmodel import Session, col

from calendar_app.db.tables import Calendar, Connection
from calendar_app.errors import CalendarNotFound, PermissionDenied, ProviderError
from calendar_app.services.common import change_events
from calendar_app.services.connections import emails as connection_emails

LOST = (PermissionDenied.code, CalendarNotFound.code)
"""Codes of errors that mean that a calendar cannot be written any more, until somebody at the provider changes that."""
SOON = timedelta(minutes=1)
"""How soon an account's calendars are listed again after one of them was lost."""


def record_loss(session: Session, calendar: Calendar, error: ProviderError, now: datetime) -> None:
    """Bookings cannot be written into the calendar: note why, and tell its owner, once until it is written again."""
    calendar.write_error_code, calendar.write_error = error.code, error.detail
    session.add(calendar)
    if calendar.write_lost_at is None:
        calendar.write_lost_at = now
        connection = session.get_one(Connection, calendar.connection_id)
        connection_emails.calendar_not_writable(session, connection, calendar, now)
        list_soon(session, calendar.connection_id, now)
    change_events.announce(session, calendar.workspace_id, "connections")


def record_return(session: Session, calendar: Calendar) -> None:
    """Bookings can be written into the calendar."""
    calendar.write_error_code, calendar.write_error, calendar.write_lost_at = "", "", None
    session.add(calendar)
    change_events.announce(session, calendar.workspace_id, "connections")


def list_soon(session: Session, connection_id: str, now: datetime) -> None:
    """Have the account's calendars listed within :data:`SOON`, unless that is going on already."""
    session.execute(
        update(Connection)
        .where(col(Connection.id) == connection_id, col(Connection.listing_tries) == 0)
        .where(or_(col(Connection.listing_due_at).is_(None), col(Connection.listing_due_at) > now + SOON))
        .values(listing_due_at=now + SOON, listing_tried_at=now)
    )
