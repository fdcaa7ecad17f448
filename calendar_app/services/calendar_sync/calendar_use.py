"""What a calendar is used for, as its owner chose, and what follows from it.

A calendar that checks for conflicts, receives bookings or is shown on the dashboard is used. When the last of the three
ends, its mirrored events are removed, its push channel is stopped and nothing is asked about it any more; when one is
chosen again it counts as never read, and so as busy throughout, until it has been read in full (docs/decisions/0017).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any

from sqlmodel import Session

from calendar_app.clock import utc_now
from calendar_app.db import mirror as rows
from calendar_app.db.session import after_commit, clock, transaction
from calendar_app.db.tables import Calendar, Connection
from calendar_app.domain.freebusy import StalePolicy
from calendar_app.errors import InvalidInput
from calendar_app.providers import registry
from calendar_app.providers.base import AccessRole
from calendar_app.services.calendar_sync import push_channels, suspension
from calendar_app.services.calendar_sync import requests as sync_requests
from calendar_app.services.common import audit_log, change_events
from calendar_app.services.common.permissions import Actor
from calendar_app.services.connections import calendar_time_zones, calendars
from calendar_app.services.connections.calendars import CalendarView

SETTABLE = (
    "checks_conflicts",
    "receives_bookings",
    "shown_on_dashboard",
    "stale_policy",
    "timezone",
    "timezone_source",
)
"""What people set of a calendar; all else of it its provider and its readings say."""


def update_calendar(
    actor: Actor,
    calendar_id: str,
    *,
    checks_conflicts: bool | None = None,
    receives_bookings: bool | None = None,
    shown_on_dashboard: bool | None = None,
    stale_policy: str | None = None,
    timezone: str | None = None,
    timezone_source: str | None = None,
    check: Callable[[Mapping[str, Any]], None] | None = None,
    now: datetime | None = None,
) -> CalendarView:
    """Say what a calendar is used for, what it does to slots while it cannot be read
    (:class:`calendar_app.domain.freebusy.StalePolicy`), and in which zone its dates and floating times are read
    (:func:`calendar_app.services.connections.calendar_time_zones.choose`).

    ``check`` is asked about what stands of :data:`SETTABLE`.

    :raises NotFound: not there, or not the actor's. :raises InvalidInput: bookings into a read-only calendar, an
        unknown policy or zone.
    """
    now = now or utc_now()
    with transaction() as session:
        calendar, connection = calendars.owned_calendar(session, actor, calendar_id)
        session.refresh(calendar, with_for_update=True)  # a reading may be about to commit
        if check is not None:
            check({name: getattr(calendar, name) for name in SETTABLE})
        if receives_bookings and not AccessRole(calendar.access_role).can_write:
            raise InvalidInput(
                f"“{calendar.name}” is read-only: bookings cannot be written there.",
                field="receives_bookings",
                code="calendar_read_only",
            )
        if stale_policy is not None and stale_policy not in set(StalePolicy):
            raise InvalidInput(f"stale_policy is one of {', '.join(StalePolicy)}.", field="stale_policy")
        wanted = {
            "checks_conflicts": checks_conflicts,
            "receives_bookings": receives_bookings,
            "shown_on_dashboard": shown_on_dashboard,
            "stale_policy": stale_policy,
        }
        was_used = calendars.is_used(calendar)
        changes: dict[str, bool | str] = {}
        for name, value in wanted.items():
            if value is not None and value != getattr(calendar, name):
                setattr(calendar, name, value)
                changes[name] = value
        if calendar_time_zones.choose(session, calendar, now, zone=timezone, source=timezone_source):
            changes |= {"timezone": calendar.timezone, "timezone_source": calendar.timezone_source}
        follow_use(session, calendar, connection, was_used=was_used)
        if changes:
            session.add(calendar)
            audit_log.record(
                session, actor.workspace_id, actor, "calendar.updated", "calendar", calendar.id, **changes
            )
            for topic in ["events"] * ("shown_on_dashboard" in changes) + ["connections"]:
                change_events.announce(session, actor.workspace_id, topic)
        return calendars.view(calendar, connection, now)


def follow_use(session: Session, calendar: Calendar, connection: Connection, *, was_used: bool) -> None:
    """Begin to read the calendar, or end reading it, if its use has changed; the caller holds its row locked.

    An imported calendar keeps its events: nobody could read them again.
    """
    is_used = calendars.is_used(calendar)
    if is_used == was_used or connection.provider in registry.unread():
        return
    _forget(session, calendar)
    if is_used:
        calendar.sync_requested_at = calendar.used_since = clock()
        after_commit(session, partial(sync_requests.enqueue, calendar.id))
    else:
        suspension.dismiss_unused(session, connection)
        after_commit(session, partial(push_channels.enqueue, calendar.id))
    session.add(calendar)


def _forget(session: Session, calendar: Calendar) -> None:
    """Make the calendar one that was never read. A reading under way stores nothing, as the fence has moved on; what
    a process of a release that reads every calendar may have stored goes too, so it is done at both ends of use."""
    rows.delete_all(session, calendar.id)
    calendar.sync_fence += 1
    calendar.sync_cursor = calendar.sync_lease_until = None
    calendar.sync_requested_at = calendar.sync_started_at = calendar.sync_retry_at = None
    calendar.synced_at = calendar.full_synced_at = None
    calendar.ahead_at = calendar.ahead_until = None
    calendar.reading_due_at = calendar.full_due_at = calendar.changed_at = None
    calendar.relies_on_push = False
    calendar.sync_progress = calendar.failures = calendar.unread_count = 0
    calendar.last_error_code = calendar.last_error = ""
    calendar.removals_accepted = False
    calendar.unread, calendar.listing_unread = [], []
