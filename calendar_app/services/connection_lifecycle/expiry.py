"""Connections that end by themselves: owners are told a day before a grant of limited time ends, and a month after a
connection died; two weeks later that one is disconnected.

Their history stays, and so do the bookings and the events in their calendars.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from sqlalchemy import and_, or_
from sqlmodel import Session, col, select

from calendar_app.clock import utc_now
from calendar_app.db.locks import locked_one
from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import Connection, Disconnection, Mail
from calendar_app.domain.connection import USABLE, ConnectionStatus
from calendar_app.errors import AlmanacError
from calendar_app.services.calendar_sync.suspension import GIVEN_UP
from calendar_app.services.common import audit_log
from calendar_app.services.connection_lifecycle import disconnect_job
from calendar_app.services.connection_lifecycle.disconnect_job import RUNNING
from calendar_app.services.connections import emails as connection_emails
from calendar_app.services.connections import tokens as connection_tokens

log = logging.getLogger(__name__)

DEAD_AFTER, NOTICE = timedelta(days=30), timedelta(days=14)
"""A connection that has not worked for this long is announced to be disconnected after this long."""


ENDS_SOON = timedelta(days=1)
"""How long before the end of a grant its owner is told."""
_MOVED = timedelta(minutes=1)


def tell_ending(now: datetime | None = None) -> int:
    """Tell the owners of connections whose grant ends within a day, once for each grant; how many were told.

    Each is refreshed first: an end that moves on with every refresh, as that of a token which lasts for some time
    after its last use, is none. One that cannot be refreshed now is looked at again in the next run.
    """
    now = now or utc_now()
    with reading() as session:
        due = session.exec(
            select(Connection.id, Connection.grant_ends_at).where(
                col(Connection.status).in_(USABLE),
                col(Connection.grant_ends_at) > now,
                col(Connection.grant_ends_at) <= now + ENDS_SOON,
            )
        ).all()
    return sum(_tell_ending(connection_id, ends, now) for connection_id, ends in due if ends is not None)


def _tell_ending(connection_id: str, ends: datetime, now: datetime) -> bool:
    with reading() as session:
        if _told_of(session, session.get_one(Connection, connection_id), ends):
            return False
    try:
        connection_tokens.refresh(connection_id)
    except AlmanacError as error:
        log.warning(
            "a grant that ends was not refreshed", extra={"connection": connection_id, "code": error.code}
        )
        return False
    with transaction() as session:
        row = locked_one(session, Connection, connection_id)
        still = row.grant_ends_at
        if still is None or still > ends + _MOVED or _told_of(session, row, still):
            return False
        return connection_emails.grant_ends_soon(session, row, still)


def _told_of(session: Session, row: Connection, ends: datetime) -> bool:
    """Whether an email about this end was queued. A provider may tell the same end as some seconds more or less."""
    about = col(Mail.dedupe).startswith(connection_emails.ending_occasion(row))
    return (
        session.exec(select(Mail.id).where(about, col(Mail.created_at) > ends - 2 * ENDS_SOON)).first()
        is not None
    )


def clean_up(now: datetime | None = None) -> int:
    """Announce the end of connections that have been dead for a month, and end those announced two weeks ago; how many
    were ended. A part of the nightly clean-up."""
    now = now or utc_now()
    before = now - DEAD_AFTER
    silent = or_(
        col(Connection.last_sync_at) < before,
        and_(col(Connection.last_sync_at).is_(None), col(Connection.created_at) < before),
    )
    given_up = and_(
        col(Connection.status) == ConnectionStatus.ERROR, col(Connection.last_error_code) == GIVEN_UP, silent
    )
    needy = and_(
        col(Connection.status) == ConnectionStatus.NEEDS_RECONNECT, col(Connection.last_error_at) < before
    )
    with reading() as session:
        ids = session.exec(select(Connection.id).where(or_(given_up, needy))).all()
    ended = 0
    for connection_id in ids:
        try:
            ended += _announce_or_end(connection_id, now)
        except AlmanacError as error:
            log.warning(
                "a dead connection was not ended", extra={"connection": connection_id, "code": error.code}
            )
    return ended


def _announce_or_end(connection_id: str, now: datetime) -> bool:
    with transaction() as session:
        row = locked_one(session, Connection, connection_id)
        occasion = connection_emails.abandoned_occasion(row)
        told = session.exec(select(Mail.created_at).where(col(Mail.dedupe).startswith(occasion))).first()
        if told is None:
            connection_emails.connection_abandoned(session, row, now + NOTICE)
            return False
        if told > now - NOTICE:
            return False
        audit_log.record(
            session,
            row.workspace_id,
            audit_log.Party.SYSTEM,
            "connection.abandoned",
            "connection",
            row.id,
            provider=row.provider,
        )
        work = Disconnection(
            workspace_id=row.workspace_id,
            connection_id=row.id,
            person_id=row.person_id,
            bookings="leave",
            state=RUNNING,
        )
        session.add(work)
        session.flush()
        work_id = work.id
    return disconnect_job.carry_on(work_id, now=now) == disconnect_job.DONE
