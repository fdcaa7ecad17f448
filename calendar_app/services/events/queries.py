"""What is on people's calendars: the mirrored occurrences that an actor may see, in order, page by page.

Staff see the calendars that they have connected; managers and above see everybody's in the workspace; both only those
that their owners show on the dashboard.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import or_, select, tuple_
from sqlmodel import Session, col

from calendar_app.clock import utc_now
from calendar_app.db.session import reading
from calendar_app.db.tables import Calendar, Connection, Event, Occurrence, Person
from calendar_app.domain.connection import ConnectionStatus
from calendar_app.domain.event import ShowAs
from calendar_app.domain.timespan import instant, utc
from calendar_app.domain.zones import is_zone
from calendar_app.errors import InvalidInput, NotFound
from calendar_app.services.common.permissions import Actor, Role

USUAL, LONGEST = timedelta(days=30), timedelta(days=400)
YEARS = range(1971, 9001)
MOST = 500


@dataclass(frozen=True, slots=True)
class OccurrenceView:
    """One occurrence of an event; ``start`` and ``end`` are aware UTC.

    All-day ones also have ``start_date`` and ``end_date`` (exclusive) in the calendar's zone. ``id`` stays the same
    when the occurrence is moved. ``color`` is the calendar's, ``#rrggbb``; ``event_color`` the event's own, a name of
    :mod:`calendar_app.domain.colors` or empty. ``owner_name`` is empty for the actor's own calendars. ``booking_id``:
    we wrote the event.
    """

    id: str
    event_id: str
    calendar_id: str
    calendar_name: str
    connection_id: str
    provider: str
    color: str
    event_color: str
    title: str
    start: datetime
    end: datetime
    all_day: bool
    start_date: date | None
    end_date: date | None
    timezone: str
    location: str
    html_link: str
    busy: bool
    show_as: str
    status: str
    response: str
    recurring: bool
    booking_id: str | None
    owner_id: str
    owner_name: str


@dataclass(frozen=True, slots=True)
class Page:
    """Some occurrences in order; ``next`` is the ``after`` of the following page, ``None`` on the last."""

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
    """Occurrences that overlap ``[start, end)``, by start; without ``end``, those of the next 30 days. ``hidden``: also
    of calendars that are not shown on the dashboard.

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
    with reading() as session:
        calendars = _calendars(session, actor, calendar_id)
        if calendar_id and not calendars:
            raise NotFound("There is no such calendar.")
        if not hidden:
            calendars = {key: home for key, home in calendars.items() if home[0].shown_on_dashboard}
        if not calendars:
            return Page([], None)
        key = (col(Occurrence.starts), col(Occurrence.event_id), col(Occurrence.original))
        statement = (
            select(Occurrence, col(Event.payload), col(Event.is_recurring), col(Event.booking_id))
            .join(Event, col(Event.id) == col(Occurrence.event_id))
            .where(
                col(Occurrence.calendar_id).in_(list(calendars)),
                col(Occurrence.ends) >= instant(start),
                or_(col(Occurrence.ends) > instant(start), col(Occurrence.starts) == col(Occurrence.ends)),
                col(Occurrence.starts) < instant(end),
            )
            .order_by(*key)
            .limit(limit + 1)
        )
        if after is not None:
            statement = statement.where(tuple_(*key) > tuple_(*_position(after)))
        found = session.execute(statement).all()
    items = [
        _view(actor, occurrence, payload, recurring, booking, calendars[occurrence.calendar_id])
        for occurrence, payload, recurring, booking in found[:limit]
    ]
    return Page(items, _after(found[limit - 1][0]) if len(found) > limit else None)


def _calendars(session: Session, actor: Actor, calendar_id: str | None) -> dict[str, Sequence[Any]]:
    """The actor's calendars by id: calendar, connection, and its owner's name."""
    statement = (
        select(Calendar, Connection, col(Person.name))
        .join(Connection, col(Connection.id) == col(Calendar.connection_id))
        .join(Person, col(Person.id) == col(Connection.person_id))
        .where(
            col(Calendar.workspace_id) == actor.workspace_id,
            col(Calendar.removed_at).is_(None),
            col(Connection.status) != ConnectionStatus.DISCONNECTED,
        )
    )
    if actor.role < Role.MANAGER:
        statement = statement.where(col(Connection.person_id) == actor.person_id)
    if calendar_id:
        statement = statement.where(col(Calendar.id) == calendar_id)
    return {row[0].id: tuple(row) for row in session.execute(statement)}


def _view(
    actor: Actor,
    occurrence: Occurrence,
    payload: dict[str, Any],
    recurring: bool,
    booking_id: str | None,
    home: Sequence[Any],
) -> OccurrenceView:
    calendar, connection, owner = home
    zone = ZoneInfo(calendar.timezone if is_zone(calendar.timezone) else "UTC")
    start, end = utc(occurrence.starts), utc(occurrence.ends)
    return OccurrenceView(
        id=f"{occurrence.event_id}-{occurrence.original}",
        event_id=str(occurrence.event_id),
        calendar_id=calendar.id,
        calendar_name=calendar.name,
        connection_id=connection.id,
        provider=connection.provider,
        color=calendar.color,
        event_color=payload.get("color", ""),
        title=payload.get("summary", ""),
        start=start,
        end=end,
        all_day=occurrence.all_day,
        start_date=start.astimezone(zone).date() if occurrence.all_day else None,
        end_date=end.astimezone(zone).date() if occurrence.all_day else None,
        timezone=calendar.timezone,
        location=payload.get("location", ""),
        html_link=payload.get("html_link", ""),
        busy=occurrence.busy,
        show_as=payload.get("show_as", ShowAs.BUSY.value),
        status=payload.get("status", "confirmed"),
        response=payload.get("response", "none"),
        recurring=recurring or bool(payload.get("master_id")),
        booking_id=booking_id,
        owner_id=connection.person_id,
        owner_name="" if connection.person_id == actor.person_id else owner,
    )


def _after(occurrence: Occurrence) -> str:
    return f"{occurrence.starts}.{occurrence.event_id}.{occurrence.original}"


def _position(after: str) -> tuple[int, int, int]:
    try:
        starts, event_id, original = (int(part) for part in after.split("."))
    except ValueError:
        raise InvalidInput("This is not a position in the list.", field="after") from None
    if max(abs(starts), abs(event_id), abs(original)) >= 1 << 62:
        raise InvalidInput("This is not a position in the list.", field="after")
    return starts, event_id, original
