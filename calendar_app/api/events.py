"""Mirrored events over HTTP, recurrence expanded."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict

from calendar_app.api.deps import CurrentActor
from calendar_app.api.fields import Instant, Key
from calendar_app.clock import utc_now
from calendar_app.services.events import queries as event_queries

router = APIRouter(prefix="/events", tags=["events"])


class EventOut(BaseModel):
    """One occurrence. All-day ones also have dates, ``end_date`` exclusive, in the calendar's zone.

    ``event_id`` is shared by the occurrences of a series; ``booking_id`` is set where the event is a booking of ours.
    """

    model_config = ConfigDict(from_attributes=True)

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


class EventList(BaseModel):
    """A page of occurrences, by start; ``next`` is the following page's ``after``."""

    items: list[EventOut]
    next: str | None = None


@router.get("/upcoming")
def upcoming_events(
    actor: CurrentActor,
    limit: Annotated[int, Query(ge=1, le=event_queries.MOST)] = 10,
    days: Annotated[int, Query(ge=1, le=366)] = 7,
) -> EventList:
    """What goes on now and comes next."""
    return EventList(
        items=[EventOut.model_validate(one) for one in event_queries.upcoming(actor, limit=limit, days=days)]
    )


@router.get("")
def list_events(
    actor: CurrentActor,
    start: Annotated[Instant | None, Query(description="Default: now")] = None,
    end: Annotated[Instant | None, Query(description="Default: 30 days after `start`")] = None,
    calendar_id: Key | None = None,
    limit: Annotated[int, Query(ge=1, le=event_queries.MOST)] = event_queries.MOST,
    after: Annotated[str | None, Query(description="`next` of the previous page")] = None,
) -> EventList:
    """Occurrences that overlap ``[start, end)``, of calendars that are shown on the dashboard."""
    page = event_queries.between(
        actor,
        start or utc_now(),
        end,
        calendar_id=calendar_id,
        limit=limit,
        after=after,
    )
    return EventList(items=[EventOut.model_validate(one) for one in page.items], next=page.next)
