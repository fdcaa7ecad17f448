"""Bookings as agenda entries: each once, at the time that it has, whether or not a calendar has its event yet."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import and_, or_, select
from sqlmodel import Session, col

from calendar_app.db.tables import Booking, BookingHost, Event, EventType, Person
from calendar_app.domain.booking import HOLDING, STANDING, Status
from calendar_app.domain.colors import booking_color
from calendar_app.domain.event import EventStatus, ShowAs
from calendar_app.domain.timespan import Span, instant, utc
from calendar_app.services.bookings.queries import visible_to
from calendar_app.services.common.permissions import Actor
from calendar_app.services.event_types.meeting_places import place_in_words, place_of
from calendar_app.services.events.occurrences import Home, OccurrenceView

PREFIX = "booking-"
"""What the ids of bookings' entries begin with."""
Position = tuple[int, str]
"""Of a booking in the order of the agenda: its start and its id."""


def booked(
    session: Session,
    actor: Actor,
    calendars: Mapping[str, Home],
    span: Span,
    after: Position | None,
    limit: int,
    *,
    mirrored_only: bool = False,
) -> list[tuple[Position, OccurrenceView]]:
    """The first ``limit`` of the actor's bookings that overlap ``span``, take place or wait for approval, and come
    after ``after``, in order. ``mirrored_only``: those whose event is in one of ``calendars``."""
    statement = (
        select(Booking, EventType)
        .join(EventType, col(EventType.id) == col(Booking.event_type_id))
        .where(
            visible_to(actor),
            col(Booking.status).in_(sorted(HOLDING | STANDING)),
            col(Booking.start_at) < utc(span.end),
            col(Booking.end_at) > utc(span.start),
        )
        .order_by(col(Booking.start_at), col(Booking.id))
        .limit(limit)
    )
    if after is not None:
        at, last = utc(after[0]), after[1]
        same_start = and_(col(Booking.start_at) == at, col(Booking.id) > last)
        statement = statement.where(or_(col(Booking.start_at) > at, same_start))
    if mirrored_only:
        there = select(col(Event.booking_id)).where(
            col(Event.calendar_id).in_(list(calendars)), col(Event.booking_id).is_not(None)
        )
        statement = statement.where(col(Booking.id).in_(there))
    rows = session.execute(statement).all()
    ids = [booking.id for booking, _ in rows]
    hosts, events = _hosts(session, ids), _events(session, ids, calendars)
    return [
        (
            (instant(booking.start_at), booking.id),
            _view(actor, booking, event_type, hosts[booking.id], events.get(booking.id), calendars),
        )
        for booking, event_type in rows
    ]


def _hosts(session: Session, booking_ids: Sequence[str]) -> Mapping[str, list[Person]]:
    found: dict[str, list[Person]] = defaultdict(list)
    if booking_ids:
        statement = (
            select(col(BookingHost.booking_id), Person)
            .join(Person, col(Person.id) == col(BookingHost.person_id))
            .where(col(BookingHost.booking_id).in_(booking_ids))
            .order_by(col(BookingHost.id))
        )
        for booking_id, person in session.execute(statement):
            found[booking_id].append(person)
    return found


def _events(session: Session, booking_ids: Sequence[str], calendars: Mapping[str, Home]) -> dict[str, Event]:
    """The bookings' events in the calendars, one each; in a calendar of the dashboard, if there is one."""
    if not booking_ids or not calendars:
        return {}
    statement = select(Event).where(
        col(Event.booking_id).in_(booking_ids), col(Event.calendar_id).in_(list(calendars))
    )
    rows = session.execute(statement.order_by(col(Event.id))).scalars()
    found: dict[str, Event] = {}
    for event in sorted(rows, key=lambda one: not calendars[one.calendar_id].calendar.shown_on_dashboard):
        found.setdefault(event.booking_id or "", event)
    return found


def _view(
    actor: Actor,
    booking: Booking,
    event_type: EventType,
    hosts: Sequence[Person],
    event: Event | None,
    calendars: Mapping[str, Home],
) -> OccurrenceView:
    home = calendars[event.calendar_id] if event is not None else None
    payload: Mapping[str, Any] = event.payload if event is not None else {}
    people = tuple(host.id for host in hosts)
    is_own = actor.person_id in people
    pending = booking.status == Status.PENDING
    return OccurrenceView(
        id=f"{PREFIX}{booking.id}",
        event_id=str(event.id) if event is not None else "",
        calendar_id=home.calendar.id if home else None,
        calendar_name=home.calendar.name if home else "",
        connection_id=home.connection.id if home else None,
        provider=home.connection.provider if home else "",
        color=home.calendar.color if home else "",
        event_color=booking_color(chosen=booking.color or event_type.color).value,
        title=f"{event_type.title} with {booking.name}",
        start=booking.start_at,
        end=booking.end_at,
        all_day=False,
        start_date=None,
        end_date=None,
        timezone=home.calendar.timezone if home else booking.timezone,
        location=place_in_words(place_of(booking, told=True), for_host=True),
        html_link=payload.get("html_link", ""),
        busy=booking.status in HOLDING,
        show_as=ShowAs.TENTATIVE.value if pending else ShowAs.BUSY.value,
        status=EventStatus.TENTATIVE.value if pending else EventStatus.CONFIRMED.value,
        response="none",
        recurring=False,
        booking_id=booking.id,
        owner_id=actor.person_id if is_own else next(iter(people), ""),
        owner_name="" if is_own else ", ".join(host.name or host.email for host in hosts),
        booking_status=booking.status,
        customer=booking.name,
        people=people,
    )
