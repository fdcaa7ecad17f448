"""The agenda: what is on people's calendars and what is booked, that an actor may see, in order, page by page.

Staff see the calendars that they have connected and the bookings that they host; managers and above see everybody's in
the workspace. Of calendars only those that their owners show on the dashboard; of bookings all that take place or wait
for approval, each once, whether or not a calendar has its event yet.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from calendar_app.clock import utc_now
from calendar_app.db.session import reading
from calendar_app.domain.timespan import Span, instant
from calendar_app.errors import InvalidInput, NotFound
from calendar_app.services.common import viewers
from calendar_app.services.common.permissions import Actor, Role
from calendar_app.services.common.viewers import Seen
from calendar_app.services.events import booking_entries, occurrences
from calendar_app.services.events.occurrences import OccurrenceView

USUAL, LONGEST = timedelta(days=30), timedelta(days=400)
YEARS = range(1971, 9001)
MOST = 500
_EARLIEST, _LATEST = (instant(datetime(year, 1, 1, tzinfo=UTC)) for year in (YEARS[0] - 2, YEARS[-1] + 2))
_NUMBER = r"-?[0-9]{1,18}"
_AFTER = re.compile(rf"({_NUMBER})\.(?:({_NUMBER})\.({_NUMBER})|([0-9a-z]{{26}}))", re.ASCII)


@dataclass(frozen=True, slots=True)
class Page:
    """Some entries in order; ``next`` is the ``after`` of the following page, ``None`` on the last."""

    items: list[OccurrenceView]
    next: str | None


def upcoming(
    actor: Actor, *, limit: int = 10, days: int = 7, now: datetime | None = None
) -> list[OccurrenceView]:
    """What goes on now and comes next, within ``days``."""
    now = now or utc_now()
    return between(actor, now, now + timedelta(days=days), limit=limit).items


def between(
    actor: Actor,
    start: datetime,
    end: datetime | None = None,
    *,
    calendar_id: str | None = None,
    hidden: bool = False,
    limit: int = MOST,
    after: str | None = None,
) -> Page:
    """Entries that overlap ``[start, end)``, by start; without ``end``, those of the next 30 days. With ``calendar_id``
    those of that calendar alone. ``hidden``: also of calendars that are not shown on the dashboard.

    :raises NotFound: no such calendar.
    :raises InvalidInput: the period is empty or over 400 days, ``limit`` is not 1 to 500, or ``after`` is not ours.
    """
    actor.require(Role.STAFF)
    if not all(moment is None or moment.year in YEARS for moment in (start, end)):
        raise InvalidInput(f"The year must be {YEARS[0]} to {YEARS[-1]}.", field="start")
    end = end or start + USUAL
    if not start < end <= start + LONGEST:
        raise InvalidInput("The period must be longer than nothing and no longer than 400 days.", field="end")
    if not 1 <= limit <= MOST:
        raise InvalidInput(f"The limit must be between 1 and {MOST}.", field="limit")
    after_event, after_booking = _positions(after)
    span = Span(instant(start), instant(end))
    with reading() as session:
        known = occurrences.homes(session, actor, calendar_id)
        if calendar_id and not known:
            raise NotFound("There is no such calendar.", field="calendar_id")
        shown = {key: home for key, home in known.items() if hidden or home.calendar.shown_on_dashboard}
        events = occurrences.mirrored(session, actor, shown, span, after_event, limit + 1)
        bookings = booking_entries.booked(
            session,
            actor,
            shown if calendar_id else known,
            span,
            after_booking,
            limit + 1,
            mirrored_only=calendar_id is not None,
        )
    viewers.looking_at(Seen.DASHBOARD, actor.workspace_id)
    # Of what starts together, bookings come first.
    found = list(heapq.merge(bookings, events, key=lambda one: one[0][0]))
    return Page(
        [view for _, view in found[:limit]], _after(found[limit - 1][0]) if len(found) > limit else None
    )


def _after(position: Sequence[int | str]) -> str:
    return ".".join(map(str, position))


def _positions(after: str | None) -> tuple[occurrences.Position | None, booking_entries.Position | None]:
    """Where events and bookings go on. An event is behind every booking that starts when it does."""
    if after is None:
        return None, None
    match = _AFTER.fullmatch(after)
    if match is None or not _EARLIEST <= int(match[1]) <= _LATEST:
        raise InvalidInput("This is not a position in the list.", field="after")
    start, event_id, original, booking_id = match.groups()
    if booking_id:
        return (int(start), -1, 0), (int(start), booking_id)
    return (int(start), int(event_id), int(original)), (int(start) + 1, "")
