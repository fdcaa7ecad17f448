"""Mirrored events, recurrence expanded, and bookings over HTTP."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Annotated

from fastapi import Query
from pydantic import BaseModel, ConfigDict

from calendar_app.api.deps import CurrentActor
from calendar_app.api.fields import Instant, Key
from calendar_app.api.paging import After
from calendar_app.api.routing import Router
from calendar_app.clock import utc_now
from calendar_app.domain.event import EventStatus, ShowAs
from calendar_app.services.events import queries as event_queries

router = Router(prefix="/events", tags=["events"])


class EventOut(BaseModel):
    """One occurrence of an event, or a booking. All-day ones also have dates, ``end_date`` exclusive, in the calendar's
    zone.

    ``event_id`` is shared by the occurrences of a series. A booking has ``booking_id``, ``booking_status`` and
    ``customer``, a name; it is listed once, from the moment it is made: ``calendar_id`` and ``connection_id`` are null,
    and ``event_id`` is empty, as long as no calendar has its event.
    """

    model_config = ConfigDict(from_attributes=True)

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
    show_as: ShowAs
    status: EventStatus
    response: str
    recurring: bool
    booking_id: str | None
    owner_id: str
    owner_name: str
    booking_status: str = ""
    customer: str = ""


class EventList(BaseModel):
    """A page of occurrences, by start; ``next`` is the following page's ``after``."""

    items: list[EventOut]
    next: str | None = None


@router.get("/upcoming")
def list_upcoming_events(
    actor: CurrentActor,
    limit: Annotated[int, Query(ge=1, le=event_queries.MOST)] = 10,
    days: Annotated[int, Query(ge=1, le=366)] = 7,
    after: After = None,
) -> EventList:
    """What goes on now and comes next."""
    now = utc_now()
    page = event_queries.between(actor, now, now + timedelta(days=days), limit=limit, after=after)
    return EventList(items=[EventOut.model_validate(one) for one in page.items], next=page.next)


@router.get("")
def list_events(
    actor: CurrentActor,
    start: Annotated[Instant | None, Query(description="Default: now")] = None,
    end: Annotated[Instant | None, Query(description="Default: 30 days after `start`")] = None,
    calendar_id: Key | None = None,
    limit: Annotated[int, Query(ge=1, le=event_queries.MOST)] = event_queries.MOST,
    after: Annotated[str | None, Query(description="`next` of the previous page")] = None,
) -> EventList:
    """Events that overlap ``[start, end)``, of calendars that are shown on the dashboard and
    bookings, whether or not a calendar has them yet. With ``calendar_id`` those of one calendar alone."""
    page = event_queries.between(
        actor,
        start or utc_now(),
        end,
        calendar_id=calendar_id,
        limit=limit,
        after=after,
    )
    return EventList(items=[EventOut.model_validate(one) for one in page.items], next=page.next)
