"""The calendars of an account, listed again in the background: whether those that receive bookings are there and may be
written, and what else has changed since the account was connected.

Accounts with such calendars are asked every six hours, others once a day, one to three requests each, at times that
follow from the account's id, so that they are spread over the day however many were connected at once; after a calendar
was lost within a minute, then later and later, at most every half hour. Names, colours and roles follow the provider,
and a calendar that is new there is added, as connecting would. Nothing is removed here: whether a calendar that is not
listed is gone its reading tells, or a person.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import or_
from sqlmodel import Session, col, select

from calendar_app import queues
from calendar_app.clock import jitter
from calendar_app.db.due import due
from calendar_app.db.locks import locked
from calendar_app.db.session import clock, reading, transaction
from calendar_app.db.tables import Calendar, Connection
from calendar_app.domain.connection import USABLE
from calendar_app.domain.reading_plan import own_moment
from calendar_app.errors import CalendarNotFound, NotFound, PermissionDenied, ProviderError
from calendar_app.providers import registry
from calendar_app.providers.base import AccessRole, Capability, RemoteCalendar
from calendar_app.services.calendar_sync import requests as sync_requests
from calendar_app.services.calendar_writes import planning as write_planning
from calendar_app.services.calendar_writes import write_access
from calendar_app.services.common import change_events
from calendar_app.services.connections import budget, calendars
from calendar_app.services.connections import tokens as connection_tokens
from calendar_app.services.connections.budget import Urgency

log = logging.getLogger(__name__)

REST, DAY = timedelta(hours=6), timedelta(days=1)
"""How often the calendars of an account with nothing lost are listed: one that receives bookings among them, or not."""
_FIRST, _LONGEST = timedelta(minutes=1), timedelta(minutes=30)
_SWEEP_LIMIT = 100


def list_again(connection_id: str, *, now: datetime | None = None) -> list[str]:
    """List the account's calendars and do what follows; ids of those that bookings cannot be written to.

    An account that cannot be asked is asked again later: its state is told elsewhere.
    """
    now = now or clock()
    try:
        with budget.urgency(Urgency.PLANNED):
            listing = connection_tokens.call(connection_id, lambda api: api.list_calendars())
    except (ProviderError, NotFound) as error:
        log.info("calendars were not listed", extra={"connection": connection_id, "code": error.code})
        with transaction() as session:
            _postpone(session, connection_id, now, again=True)
        return []
    with transaction() as session:
        missing, unread = record_listing(session, connection_id, listing, now)
    for calendar_id in unread:
        sync_requests.request(calendar_id)
    return missing


def record_listing(
    session: Session, connection_id: str, listing: Sequence[RemoteCalendar], now: datetime
) -> tuple[list[str], list[str]]:
    """Hold a listing against what we know: ids of calendars that receive bookings and cannot be written, and of those
    whose reading was refused and that are listed.

    Writes that were refused are taken up where the right is there again, and so are removals that may have found the
    calendar gone instead of the event. New calendars are read too.
    """
    found = {remote.remote_id: remote for remote in listing}
    rows = session.exec(
        select(Calendar)
        .where(Calendar.connection_id == connection_id)
        .order_by(col(Calendar.id))
        .with_for_update()
    ).all()
    missing: list[str] = []
    unread: list[str] = []
    for row in rows:
        remote = found.get(row.remote_id)
        written = row.receives_bookings or row.write_lost_at is not None
        if remote is not None:
            calendars.follow(session, row, remote, now)
            if _is_back(row):
                unread.append(row.id)
        if written and (error := _refusal(row, found)) is not None:
            write_access.record_loss(session, row, error, now)
            missing.append(row.id)
        elif row.write_lost_at is not None:
            if row.write_error_code == CalendarNotFound.code:
                write_planning.remove_again(session, row.id, now)
            if not write_planning.take_up_refused(session, row.id):
                write_access.record_return(session, row)  # else the write that succeeds says so
    _postpone(session, connection_id, now, again=bool(missing or unread))
    return missing, unread + _add_new(session, connection_id, {row.remote_id for row in rows}, listing, now)


def _add_new(
    session: Session, connection_id: str, known: set[str], listing: Sequence[RemoteCalendar], now: datetime
) -> list[str]:
    """Add the calendars that the account has got since its last listing; their ids."""
    new = [remote for remote in listing if remote.remote_id not in known]
    if not new:
        return []
    connection = session.get_one(Connection, connection_id)
    added = [calendars.add(session, connection, remote, now) for remote in new]
    session.flush()
    change_events.announce(session, connection.workspace_id, "connections")
    return [row.id for row in added]


def sweep(now: datetime | None = None) -> int:
    """Enqueue accounts whose calendars are due to be listed, what is due for longest first; how many."""
    now = now or clock()
    listing = [
        kind.key for kind in registry.kinds() if Capability.WRITE in kind.capabilities
    ]  # others have one each
    query = (
        select(Connection.id)
        .where(col(Connection.status).in_(USABLE), col(Connection.provider).in_(listing))
        .where(due(col(Connection.retry_at), col(Connection.last_error_at), now))
        .where(due(col(Connection.listing_due_at), col(Connection.listing_tried_at), now))
        .order_by(col(Connection.listing_due_at).is_not(None), col(Connection.listing_due_at))
        .limit(_SWEEP_LIMIT)
    )
    with reading() as session:
        ids = session.exec(query).all()
    for connection_id in ids:
        queues.enqueue(queues.DEFAULT, "list_calendars", connection_id, job_id=f"calendars-{connection_id}")
    return len(ids)


def _is_back(row: Calendar) -> bool:
    """Whether a calendar that is listed has to be read, as it was gone or refused; from the start if it was gone."""
    if row.removed_at is None and row.last_error_code not in write_access.LOST:
        return False
    if row.removed_at is not None or row.last_error_code == CalendarNotFound.code:
        row.removed_at, row.sync_cursor = None, None
    return True


def _refusal(row: Calendar, found: Mapping[str, RemoteCalendar]) -> ProviderError | None:
    remote = found.get(row.remote_id)
    if remote is None:
        return CalendarNotFound()
    if not AccessRole(remote.access_role).can_write:
        return PermissionDenied("This calendar may only be read now: bookings cannot be written there.")
    return None


def _postpone(session: Session, connection_id: str, now: datetime, *, again: bool) -> None:
    """When the account's calendars are listed next: ``again``, because something is not as it should be."""
    row = locked(session, Connection, connection_id)
    if row is None:
        return
    row.listing_tries = row.listing_tries + 1 if again else 0
    row.listing_tried_at = now
    if again:
        wait = min(_LONGEST, _FIRST * 2 ** min(row.listing_tries - 1, 10))
        row.listing_due_at = now + wait * jitter(0.9, 1.1)
    else:
        row.listing_due_at = own_moment(row.id, now, REST if _is_written(session, row.id) else DAY)
    session.add(row)


def _is_written(session: Session, connection_id: str) -> bool:
    written = or_(col(Calendar.receives_bookings).is_(True), col(Calendar.write_lost_at).is_not(None))
    return (
        session.exec(select(Calendar.id).where(Calendar.connection_id == connection_id, written)).first()
        is not None
    )
