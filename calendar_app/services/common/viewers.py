"""Tells workers that somebody looks at calendars, so that those that nobody vouches for are read at once.

A page only queues a job, at most one a minute for each thing that is looked at, across all web processes; what has to
be read is decided by :mod:`calendar_app.services.calendar_sync.viewed_calendars`. Without Redis calendars are read by
their plan.
"""

from __future__ import annotations

import time
from enum import StrEnum

from calendar_app import queues

EVERY_S = 60
_MOST = 10_000


class Seen(StrEnum):
    """What is looked at: the page of an event type, a workspace's dashboard, or one calendar of which a provider said
    what its mirror does not know."""

    EVENT_TYPE = "event_type"
    DASHBOARD = "dashboard"
    CALENDAR = "calendar"


_told: dict[tuple[Seen, str], float] = {}


def looking_at(what: Seen, id_: str) -> None:
    """Somebody looks at it now; quick, and never an error."""
    key, now = (what, id_), time.monotonic()
    if now < _told.get(key, 0.0):
        return
    if len(_told) >= _MOST:
        _told.clear()
    _told[key] = now + EVERY_S
    if queues.first_time(f"viewed:{what}:{id_}", EVERY_S):
        queues.enqueue(queues.SYNC, "read_for_viewers", str(what), id_, job_id=f"viewed-{what}-{id_}")


def forget() -> None:
    """Drop what this process told: the settings have changed."""
    _told.clear()
