"""Mirrored occurrences as agenda entries, without those that a booking of the agenda stands for.

An event that we wrote for a booking is not an entry of its own: the booking is (:mod:`.booking_entries`), at the time
that it has. A copy of such an event that stands elsewhere, and the other dates of a series that was made of it, are
events like any other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import or_, select, tuple_
from sqlmodel import Session, col

from calendar_app.db.tables import Booking, Calendar, CalendarWrite, Connection, Event, Occurrence, Person
from calendar_app.domain.connection import ConnectionStatus
from calendar_app.domain.event import ShowAs
from calendar_app.domain.timespan import Span, instant, utc
from calendar_app.domain.zones import is_zone
from calendar_app.services.bookings.queries import visible_to
from calendar_app.services.common.permissions import Actor, Role


@dataclass(frozen=True, slots=True)
class OccurrenceView:
    """An entry of the agenda: an occurrence of an event, or a booking; ``start`` and ``end`` are aware UTC.

    All-day ones also have ``start_date`` and ``end_date`` (exclusive) in the calendar's zone. ``id`` stays the same
    when the entry is moved. ``color`` is the calendar's, ``#rrggbb``; ``event_color`` the event's own, a name of
    :mod:`calendar_app.domain.colors` or empty. ``owner_name`` is empty for the actor's own. ``people``: the ids of
    those whose time it takes.

    ``booking_id``: it is a booking of ours, or an event that was copied from one. A booking also has ``booking_status``
    and ``customer`` (a name); both are empty for events. ``calendar_id`` and ``connection_id`` are ``None``, and what
    comes from a calendar is empty, as long as no calendar that the actor sees has its event.
    """

    id: str
    event_id: str
    calendar_id: str | None
    calendar_name: str
    connection_id: str | None
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
    booking_status: str = ""
    customer: str = ""
    people: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Home:
    """A calendar that the actor sees, and whose it is."""

    calendar: Calendar
    connection: Connection
    owner: str


Position = tuple[int, int, int]
"""Of an occurrence in the order of the agenda: its start, its event, its place in the series."""


def homes(session: Session, actor: Actor, calendar_id: str | None) -> dict[str, Home]:
    """The actor's calendars by id, managers' being everybody's; only the one asked for, if any."""
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
    return {calendar.id: Home(calendar, *rest) for calendar, *rest in session.execute(statement)}


def mirrored(
    session: Session,
    actor: Actor,
    calendars: Mapping[str, Home],
    span: Span,
    after: Position | None,
    limit: int,
) -> list[tuple[Position, OccurrenceView]]:
    """The first ``limit`` occurrences that overlap ``span`` and come after ``after``, in order."""
    found: list[tuple[Position, OccurrenceView]] = []
    while calendars and len(found) < limit:
        rows = session.execute(_statement(calendars, span, after).limit(limit)).all()
        for occurrence, event in _without_bookings(session, actor, rows):
            position = (occurrence.starts, occurrence.event_id, occurrence.original)
            found.append((position, _view(actor, occurrence, event, calendars[occurrence.calendar_id])))
        if len(rows) < limit:
            break
        last = rows[-1][0]
        after = (last.starts, last.event_id, last.original)
    return found[:limit]


def _statement(calendars: Mapping[str, Home], span: Span, after: Position | None) -> Any:
    key = (col(Occurrence.starts), col(Occurrence.event_id), col(Occurrence.original))
    statement = (
        select(Occurrence, Event)
        .join(Event, col(Event.id) == col(Occurrence.event_id))
        .where(
            col(Occurrence.calendar_id).in_(list(calendars)),
            col(Occurrence.ends) >= span.start,
            or_(col(Occurrence.ends) > span.start, col(Occurrence.starts) == col(Occurrence.ends)),
            col(Occurrence.starts) < span.end,
        )
        .order_by(*key)
    )
    return statement if after is None else statement.where(tuple_(*key) > tuple_(*after))


def _without_bookings(
    session: Session, actor: Actor, rows: Sequence[Any]
) -> Iterator[tuple[Occurrence, Event]]:
    ids = {event.booking_id for _, event in rows if event.booking_id}
    starts: dict[str, int] = {}
    written: set[tuple[str, str, str]] = set()
    if ids:
        known = select(col(Booking.id), col(Booking.start_at)).where(
            col(Booking.id).in_(ids), visible_to(actor)
        )
        starts = {booking_id: instant(start) for booking_id, start in session.execute(known)}
        ours = select(
            col(CalendarWrite.booking_id), col(CalendarWrite.calendar_id), col(CalendarWrite.remote_id)
        )
        found = session.execute(ours.where(col(CalendarWrite.booking_id).in_(list(starts))))
        written = {(booking_id, calendar_id, remote_id) for booking_id, calendar_id, remote_id in found}
    for occurrence, event in rows:
        at = starts.get(event.booking_id) if event.booking_id else None
        is_written = (event.booking_id, event.calendar_id, event.remote_id) in written
        if at is None or (occurrence.starts != at and (event.is_recurring or not is_written)):
            yield occurrence, event


def _view(actor: Actor, occurrence: Occurrence, event: Event, home: Home) -> OccurrenceView:
    calendar, connection, payload = home.calendar, home.connection, event.payload
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
        recurring=event.is_recurring or bool(payload.get("master_id")),
        booking_id=event.booking_id,
        owner_id=connection.person_id,
        owner_name="" if connection.person_id == actor.person_id else home.owner,
        people=(connection.person_id,),
    )
