"""Private links to event types over HTTP."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

from fastapi import Response
from pydantic import BaseModel, Field

from calendar_app.api.deps import CurrentActor
from calendar_app.api.fields import Body, Flag, Instant, Key
from calendar_app.api.idempotency import Idempotent
from calendar_app.api.paging import After, Limit, cut
from calendar_app.api.problem_codes import fails
from calendar_app.api.routing import Router
from calendar_app.services.event_types import links as private_links

router = Router(tags=["scheduling"])


class BookingLinkIn(Body):
    """``single_use``: for one booking; ``expires_at``: from then on nothing is booked with it."""

    label: str = Field(default="", max_length=100)
    single_use: Flag = True
    expires_at: Instant | None = None


class BookingLinkOut(BaseModel):
    """``used``: its one booking has been made; ``ended``: nothing can be booked with it any more."""

    id: str
    label: str
    url: str
    single_use: bool
    expires_at: datetime | None
    used: bool
    ended: bool
    created_at: datetime


class LinkList(BaseModel):
    items: list[BookingLinkOut]
    next: str | None = None


@router.get("/event-types/{event_type_id}/links")
def list_links(actor: CurrentActor, event_type_id: Key, limit: Limit = 100, after: After = None) -> LinkList:
    """Private links to an event type, the latest first."""
    found = private_links.list_links(actor, event_type_id)
    items, more = cut(found, limit, after, lambda one: (one.id,), newest_first=True)
    return LinkList(items=[BookingLinkOut(**asdict(each)) for each in items], next=more)


@router.post(
    "/event-types/{event_type_id}/links",
    status_code=201,
    response_model=BookingLinkOut,
    responses=fails("too_many_links"),
)
def create_link(
    actor: CurrentActor, event_type_id: Key, body: BookingLinkIn, idempotent: Idempotent
) -> Response:
    """A private link: it opens the event type also where that is not public."""

    def work() -> BookingLinkOut:
        return BookingLinkOut(**asdict(private_links.create_link(actor, event_type_id, **body.model_dump())))

    return idempotent.run(201, work)


@router.delete("/event-types/{event_type_id}/links/{link_id}", status_code=204)
def delete_link(actor: CurrentActor, event_type_id: Key, link_id: Key) -> None:
    """End a private link."""
    private_links.delete_link(actor, event_type_id, link_id)
