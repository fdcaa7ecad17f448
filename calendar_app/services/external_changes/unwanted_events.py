"""Events of ours that no booking wants where they stand: left behind, restored by hand, or copied.

A part of the drift report (:mod:`calendar_app.services.external_changes.drift_report`), which looks for them in the
mirror and asks the provider before it says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import and_, or_
from sqlmodel import Session, col, select

from calendar_app.db.session import transaction
from calendar_app.db.tables import Calendar, CalendarWrite, Connection, Deviation, Event, Occurrence
from calendar_app.domain.external_change import ChangeKind, ChangeResolution
from calendar_app.domain.recurrence import wallclock
from calendar_app.domain.timespan import instant
from calendar_app.errors import EventNotFound, NotFound, ProviderError
from calendar_app.services.common import change_events
from calendar_app.services.connections import tokens as connection_tokens
from calendar_app.services.external_changes import orphaned_events

_MOST = 100


def find(session: Session, calendar_ids: Sequence[str], now: datetime) -> list[Event]:
    """Mirrored events of ours that are not over and that no booking wants there; the first hundred."""
    written = select(CalendarWrite.id).where(
        col(CalendarWrite.calendar_id) == col(Event.calendar_id),
        or_(
            and_(col(CalendarWrite.remote_id) == col(Event.remote_id), col(CalendarWrite.present).is_(True)),
            and_(
                col(CalendarWrite.booking_id) == col(Event.booking_id),
                col(CalendarWrite.applied_version) < col(CalendarWrite.desired_version),
            ),
        ),
    )
    ahead = select(Occurrence.id).where(
        col(Occurrence.event_id) == col(Event.id), col(Occurrence.ends) > instant(now)
    )
    settled = select(Deviation.id).where(
        col(Deviation.calendar_id) == col(Event.calendar_id),
        col(Deviation.remote_id) == col(Event.remote_id),
        or_(col(Deviation.resolved_at).is_(None), col(Deviation.resolution) == ChangeResolution.DISMISSED),
    )
    query = (
        select(Event)
        .where(col(Event.calendar_id).in_(calendar_ids), col(Event.booking_id).is_not(None))
        .where(col(Event.master_id).is_(None), ahead.exists(), ~written.exists(), ~settled.exists())
        .order_by(col(Event.id))
        .limit(_MOST)
    )
    return list(session.exec(query))


def note(
    connection: Connection, calendars: Mapping[str, Calendar], strays: Sequence[Event], now: datetime
) -> None:
    """Open a deviation for each that really stands there. Call it outside of any transaction."""
    for event in strays:
        calendar = calendars[event.calendar_id]
        try:
            seen = connection_tokens.call(
                connection.id,
                lambda api, place=calendar.remote_id, key=event.remote_id: api.get_event(place, key),  # type: ignore[misc]
            )
        except EventNotFound:
            continue  # the mirror is behind: the next sync removes it
        except (ProviderError, NotFound):
            return
        if not orphaned_events.may_be_ours(seen):
            continue
        start = wallclock.event_instant(seen.start, calendar.timezone)
        end = wallclock.event_instant(seen.end, calendar.timezone)
        with transaction() as session:
            session.add(
                Deviation(
                    workspace_id=connection.workspace_id,
                    booking_id=event.booking_id,
                    calendar_id=calendar.id,
                    remote_id=event.remote_id,
                    kind=ChangeKind.STRAY,
                    detail={
                        "summary": seen.summary[:200],
                        "start": start.isoformat() if start else "",
                        "end": end.isoformat() if end else "",
                    },
                    found_at=now,
                )
            )
            change_events.announce(session, connection.workspace_id, "bookings")
