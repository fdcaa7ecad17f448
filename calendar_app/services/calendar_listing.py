"""The calendars of an account, listed again in the background: whether those that receive bookings are there, and may
be written.

Only accounts with such calendars are asked: one to three requests every six hours, and after a calendar was lost within
a minute, then later and later, at most every half hour. A listing adds and removes no calendar here; people do that.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import or_
from sqlmodel import Session, col, select

from calendar_app import queues
from calendar_app.db.session import clock, reading, transaction
from calendar_app.db.tables import Calendar, Connection
from calendar_app.errors import CalendarNotFound, NotFound, PermissionDenied, ProviderError
from calendar_app.providers import registry
from calendar_app.providers.base import AccessRole, Capability, RemoteCalendar
from calendar_app.services import calendar_rights, calendar_writes, grants, sync
from calendar_app.services.sync_run import USABLE

log = logging.getLogger(__name__)

REST = timedelta(hours=6)
"""How often the calendars of an account with nothing lost are listed, give or take a tenth."""
_FIRST, _LONGEST = timedelta(minutes=1), timedelta(minutes=30)
_SWEEP_LIMIT = 100


def look(connection_id: str, *, now: datetime | None = None) -> list[str]:
    """List the account's calendars and do what follows; ids of those that bookings cannot be written to.

    An account that cannot be asked is asked again later: its state is told elsewhere.
    """
    now = now or clock()
    try:
        listing = grants.call(connection_id, lambda api: api.list_calendars())
    except (ProviderError, NotFound) as error:
        log.info("calendars were not listed", extra={"connection": connection_id, "code": error.code})
        with transaction() as session:
            _postpone(session, connection_id, now, again=True)
        return []
    with transaction() as session:
        missing, unread = judge(session, connection_id, listing, now)
    for calendar_id in unread:
        sync.request(calendar_id)
    return missing


def judge(
    session: Session, connection_id: str, listing: Sequence[RemoteCalendar], now: datetime
) -> tuple[list[str], list[str]]:
    """Hold a listing against what we know: ids of calendars that receive bookings and cannot be written, and of those
    whose reading was refused and that are listed.

    Writes that were refused are taken up where the right is there again, and so are removals that may have found the
    calendar gone instead of the event.
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
            row.access_role = remote.access_role.value
            session.add(row)
            if _is_back(row, written=written):
                unread.append(row.id)
        if written and (error := _refusal(row, found)) is not None:
            calendar_rights.lost(session, row, error, now)
            missing.append(row.id)
        elif row.write_lost_at is not None:
            if row.write_error_code == CalendarNotFound.code:
                calendar_writes.remove_again(session, row.id, now)
            if not calendar_writes.take_up_refused(session, row.id):
                calendar_rights.regained(session, row)  # else the write that succeeds says so
    _postpone(session, connection_id, now, again=bool(missing or unread))
    return missing, unread


def sweep(now: datetime | None = None) -> int:
    """Enqueue accounts whose calendars are due to be listed, what is due for longest first; how many."""
    now = now or clock()
    writers = [kind.key for kind in registry.kinds() if Capability.WRITE in kind.capabilities]
    written = select(Calendar.id).where(
        col(Calendar.connection_id) == col(Connection.id),
        or_(col(Calendar.receives_bookings).is_(True), col(Calendar.write_lost_at).is_not(None)),
    )
    due = (
        select(Connection.id)
        .where(col(Connection.status).in_(USABLE), col(Connection.provider).in_(writers))
        .where(or_(col(Connection.retry_at).is_(None), col(Connection.retry_at) <= now))
        .where(or_(col(Connection.listing_due_at).is_(None), col(Connection.listing_due_at) <= now))
        .where(written.exists())
        .order_by(col(Connection.listing_due_at).is_not(None), col(Connection.listing_due_at))
        .limit(_SWEEP_LIMIT)
    )
    with reading() as session:
        ids = session.exec(due).all()
    for connection_id in ids:
        queues.enqueue(queues.DEFAULT, "list_calendars", connection_id, job_id=f"calendars-{connection_id}")
    return len(ids)


def _is_back(row: Calendar, *, written: bool) -> bool:
    """Whether a calendar that is listed has to be read, as it was gone or refused; from the start if it was gone."""
    if row.removed_at is not None and not written:
        return False
    if row.removed_at is None and row.last_error_code not in calendar_rights.LOST:
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
    row = session.exec(select(Connection).where(Connection.id == connection_id).with_for_update()).first()
    if row is None:
        return
    row.listing_tries = row.listing_tries + 1 if again else 0
    wait = min(_LONGEST, _FIRST * 2 ** min(row.listing_tries - 1, 10)) if again else REST
    row.listing_due_at = now + wait * random.uniform(0.9, 1.1)
    session.add(row)
