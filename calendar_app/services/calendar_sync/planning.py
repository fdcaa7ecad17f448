"""Puts into a calendar's row when it is read next, on what is known of it (:mod:`calendar_app.domain.reading_plan`)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, case, or_
from sqlmodel import Session, col

from calendar_app.db.due import SLACK, due
from calendar_app.db.tables import Calendar
from calendar_app.domain import reading_plan
from calendar_app.domain.reading_plan import Knowledge, Pace
from calendar_app.services.calendar_sync import push_trust
from calendar_app.settings import get_settings


def pace() -> Pace:
    """What the settings say of how often calendars are read."""
    settings = get_settings()
    return Pace(timedelta(minutes=settings.poll_minutes), timedelta(hours=settings.push_check_hours))


@dataclass(frozen=True, slots=True)
class Found:
    """What a reading found: whether the calendar had changed, whether it was a listing of everything and of how many
    events, and what its publisher wishes, if it said."""

    news: bool
    full: bool
    events: int
    wish: timedelta | None


def plan(
    session: Session, row: Calendar, found: Found, now: datetime, *, unasked_since: datetime | None
) -> None:
    """Plan the calendar's next reading after one at ``now``; the row still says when the one before was.

    ``unasked_since``: when that one was begun, if nobody asked for this one: a change that it finds should have been
    told in between.
    """
    if found.news or row.synced_at is None:
        row.changed_at = now
    if found.news and not found.full and row.relies_on_push and unasked_since is not None:
        push_trust.suspect_if_silent(session, row.id, unasked_since, now)
    if found.full or row.full_due_at is None:
        row.full_due_at = reading_plan.next_full_listing(row.id, found.events, now)
    if found.wish is not None:
        row.wish_seconds = int(found.wish.total_seconds())
    row.sqlmodel_update(planned(session, row, now))


def planned(session: Session, row: Calendar, now: datetime) -> dict[str, Any]:
    """Values of the row's columns for the next reading of a calendar that was read, or confirmed unchanged, now."""
    push_until = push_trust.vouched_until(session, row.id, now)
    known = Knowledge(
        row.id,
        min(row.changed_at or now, now),
        push_until,
        row.viewed_at,
        timedelta(seconds=row.wish_seconds),
        row.full_due_at,
    )
    return {
        "reading_due_at": reading_plan.next_reading(known, now, pace()),
        "relies_on_push": push_until is not None,
        "changed_at": known.changed_at,
    }


def is_due_in_full(row: Calendar, now: datetime) -> bool:
    """Whether it is time to list everything; by a clock that was set back since, too."""
    at = row.full_due_at
    return at is not None and (at <= now or at > now + 2 * reading_plan.WEEK)


def due_by_plan(now: datetime) -> ColumnElement[bool]:
    """Of rows of calendars joined with their connections: a reading is due by the clock. So is one of a calendar that
    was left to its channel, as soon as that no longer vouches for it; and one that no plan was made for, by a release
    that asked all calendars alike."""
    shortest = pace().shortest
    read_long_ago = col(Calendar.synced_at) <= now - shortest
    planned_for = col(Calendar.reading_due_at)
    return or_(
        col(Calendar.synced_at).is_(None),
        col(Calendar.synced_at) > now + SLACK,
        and_(planned_for.is_(None), read_long_ago),
        and_(planned_for.is_not(None), due(planned_for, col(Calendar.synced_at), now)),
        and_(col(Calendar.relies_on_push), read_long_ago, ~push_trust.vouched_for(now)),
    )


def due_by(moment: datetime) -> Any:
    """A value for ``reading_due_at``: ``moment``, unless a reading was due before that or none has been planned."""
    planned_for = col(Calendar.reading_due_at)
    return case((planned_for > moment, moment), else_=planned_for)
