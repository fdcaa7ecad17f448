"""What a business's own booking pages need, without credentials: what can be booked, when, holds, bookings, and the
customer's own changes by their key.

Nobody is signed in here, whatever a request carries. Scripts of the sites that a workspace names may call all of it
(:mod:`calendar_app.api.cors`). Limits count visitors who send the `X-Visitor` that they were given by that, and all
others by their address, more strictly.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Self

import orjson
from fastapi import Depends, Header, Query, Request, Response
from pydantic import BaseModel

from calendar_app.api.bookings import BookingIn, BookingOut, HoldIn, HoldOut, ReasonIn, RescheduleIn
from calendar_app.api.cors import check_site, check_site_of_workspace
from calendar_app.api.deps import client_address
from calendar_app.api.fields import Instant, Key
from calendar_app.api.idempotency import IdempotentVisitor, Keep
from calendar_app.api.paging import After, Limit, cut
from calendar_app.api.problem_codes import BOOKING, TRANSITION, fails
from calendar_app.api.routing import Router
from calendar_app.api.slots import Duration, SlotsOut, Start, slots_out
from calendar_app.errors import NotFound
from calendar_app.services.availability import slots as available_slots
from calendar_app.services.bookings import holds, reschedule_times, transitions
from calendar_app.services.bookings import queries as booking_queries
from calendar_app.services.bookings import reschedule as booking_reschedule
from calendar_app.services.bookings.views import BookingView
from calendar_app.services.common import rate_limits, visitors
from calendar_app.services.event_types import links as private_links
from calendar_app.services.event_types import queries as event_type_queries
from calendar_app.services.event_types.queries import PublicEventType

router = Router(tags=["public"])

VISITOR = "X-Visitor"
READS, READS_OF_ADDRESS = "300/minute", "3000/minute"
"""Those of one visitor, or of one address without; and of all known visitors behind one address."""

Link = Annotated[Key, Query(description="The `link` of a private link's address, which opens one event type")]
Token = Annotated[str, Query(description="The customer's key: `token` of their booking", max_length=4_000)]


class PublicPlaceOut(BaseModel):
    """Where it can take place; the address, link or number is told with the booking. ``id`` is what a booking sends."""

    id: str
    kind: str
    label: str


class PublicEventTypeOut(BaseModel):
    """Everything that a form needs: ``durations`` in minutes; ``questions`` and ``form_parts`` (``guests``,
    ``booked_by``, ``phone``, ``notes``, each ``optional`` or ``required``) say what is asked, ``meeting_places`` what
    is chosen. ``timezone`` is the business's; ``cancel_notice`` in minutes."""

    id: str
    slug: str
    workspace_slug: str
    workspace_name: str
    title: str
    description: str
    meeting_places: list[PublicPlaceOut]
    form_parts: dict[str, str]
    color: str
    durations: list[int]
    questions: list[dict[str, Any]]
    hosts: list[str]
    timezone: str
    seats: int
    horizon_days: int
    cancel_notice: int
    requires_approval: bool
    is_active: bool
    url: str

    @classmethod
    def of(cls, view: PublicEventType) -> Self:
        return cls.model_validate(asdict(view))


class PublicEventTypeList(BaseModel):
    """By title."""

    items: list[PublicEventTypeOut]
    next: str | None = None


class PublicHoldIn(HoldIn):
    """``link``: of a private link, where that opens the event type."""

    link: Key = ""


class PublicBookingIn(BookingIn):
    """``hold_id``: of the hold that keeps the time; booking twice with one gives the same booking. ``link`` as for
    holds."""

    link: Key = ""


class PublicBookingOut(BookingOut):
    """``token`` is the customer's key: whoever has it reads, moves and cancels this booking."""

    token: str

    @classmethod
    def of(cls, view: BookingView, *, links: bool = True) -> Self:
        return cls.model_validate(asdict(view) | {"updated_at": view.changed_at, "token": view.manage_token})


class Visitor(BaseModel):
    """Who calls, for limits: their address, and what they are known by, empty for strangers."""

    client: str
    known: str


def _visitor(
    request: Request,
    x_visitor: Annotated[str, Header(description="What an earlier answer gave", max_length=200)] = "",
) -> Visitor:
    return Visitor(client=client_address(request), known=visitors.known(x_visitor))


Visiting = Annotated[Visitor, Depends(_visitor)]


def _count(visitor: Visitor) -> None:
    """:raises TooManyRequests: this visitor, or this address, reads too often."""
    rate_limits.check("public-reads", visitor.known or visitor.client, READS)
    if visitor.known:
        rate_limits.check("public-reads-of-address", visitor.client, READS_OF_ADDRESS)


def _introduce(response: Response, visitor: Visitor) -> None:
    """Give somebody who is not known what to be known by."""
    if not visitor.known and (made := visitors.issue(visitor.client)):
        response.headers[VISITOR] = made


@router.get("/public/workspaces/{workspace_slug}/event-types", responses=fails("site_not_allowed"))
def list_public_event_types(
    request: Request,
    response: Response,
    visitor: Visiting,
    workspace_slug: Key,
    limit: Limit = 100,
    after: After = None,
) -> PublicEventTypeList:
    """What can be booked at a business. The answer's `X-Visitor` is sent along with later requests."""
    _count(visitor)
    check_site_of_workspace(request, workspace_slug)
    found = event_type_queries.public_list(workspace_slug)
    items, more = cut(found, limit, after, lambda one: (one.title, one.id))
    _introduce(response, visitor)
    return PublicEventTypeList(items=[PublicEventTypeOut.of(one) for one in items], next=more)


@router.get("/public/event-types/{event_type_id}", responses=fails("site_not_allowed", "link_ended"))
def get_public_event_type(
    request: Request, response: Response, visitor: Visiting, event_type_id: Key, link: Link = ""
) -> PublicEventTypeOut:
    """One event type that is public, or that a private link opens, with everything that its form needs."""
    _count(visitor)
    check_site(request, event_type_id)
    found = private_links.public_or_linked_by_id(event_type_id, link)
    _introduce(response, visitor)
    return PublicEventTypeOut.of(found)


@router.get(
    "/public/event-types/{event_type_id}/slots",
    response_model=SlotsOut,
    responses=fails("unknown_timezone", "event_type_inactive", "site_not_allowed", "link_ended"),
)
def list_public_slots(
    request: Request,
    visitor: Visiting,
    event_type_id: Key,
    start: Start,
    end: Annotated[Instant, Query(description="At most 366 days after the start")],
    timezone: Annotated[str, Query(description="IANA zone of the answer's times")] = "UTC",
    duration: Duration = None,
    link: Link = "",
) -> Response:
    """Every time that starts in ``[start, end)`` and can be booked now, with the seats that are left."""
    _count(visitor)
    check_site(request, event_type_id)
    view = available_slots.slots(event_type_id, start, end, zone=timezone, duration=duration, link=link)
    return Response(orjson.dumps(slots_out(view)), media_type="application/json")


@router.post(
    "/public/holds",
    status_code=201,
    response_model=HoldOut,
    responses=fails(*BOOKING, "not_found", "site_not_allowed"),
)
def create_public_hold(
    request: Request, visitor: Visiting, body: PublicHoldIn, idempotent: IdempotentVisitor
) -> Response:
    """Keep a time for ten minutes while the form is filled in."""
    check_site(request, body.event_type_id)

    def work() -> HoldOut:
        made = holds.create(
            body.event_type_id,
            body.start,
            body.timezone,
            duration=body.duration,
            replaces=body.replaces,
            link=body.link,
            client=visitor.client,
            visitor=visitor.known,
        )
        return HoldOut(**asdict(made))

    return idempotent.run(201, work)


@router.delete("/public/holds/{hold_id}", status_code=204)
def release_public_hold(visitor: Visiting, hold_id: Key) -> None:
    """Let a time go that was kept."""
    _count(visitor)
    holds.release(hold_id)


@router.post(
    "/public/bookings",
    status_code=201,
    response_model=PublicBookingOut,
    responses=fails(*BOOKING, "not_found", "site_not_allowed"),
)
def create_public_booking(
    request: Request, visitor: Visiting, body: PublicBookingIn, idempotent: IdempotentVisitor
) -> Response:
    """Book a time, best one that is held. 409 ``slot_unavailable`` if it was taken meanwhile or is not offered."""
    check_site(request, body.event_type_id)

    def work(keep: Keep[BookingView] | None) -> BookingView:
        return body.book(keep, client=visitor.client, visitor=visitor.known, link=body.link)

    return idempotent.run_in_transaction(201, work, PublicBookingOut.of)


@router.get("/public/bookings/{booking_id}", responses=fails("site_not_allowed"))
def get_public_booking(
    request: Request, visitor: Visiting, booking_id: Key, token: Token
) -> PublicBookingOut:
    """The customer's booking."""
    _count(visitor)
    return PublicBookingOut.of(_opened(request, booking_id, token))


@router.get(
    "/public/bookings/{booking_id}/times",
    response_model=SlotsOut,
    responses=fails("unknown_timezone", "site_not_allowed"),
)
def list_public_times(
    request: Request,
    visitor: Visiting,
    booking_id: Key,
    token: Token,
    start: Start,
    end: Annotated[Instant, Query(description="At most 366 days after the start")],
    timezone: Annotated[str, Query(description="IANA zone of the answer's times")] = "UTC",
) -> Response:
    """Where the customer can move their booking."""
    _count(visitor)
    _opened(request, booking_id, token)
    view = reschedule_times.slots_by_token(token, start, end, zone=timezone)
    return Response(orjson.dumps(slots_out(view)), media_type="application/json")


@router.post("/public/bookings/{booking_id}/cancel", responses=fails(*TRANSITION, "site_not_allowed"))
def cancel_public_booking(
    request: Request, visitor: Visiting, booking_id: Key, token: Token, body: ReasonIn | None = None
) -> PublicBookingOut:
    """Cancel; doing it again changes nothing. The event type's notice binds."""
    _count(visitor)
    _opened(request, booking_id, token)
    return PublicBookingOut.of(transitions.cancel_by_token(token, body.reason if body else ""))


@router.post(
    "/public/bookings/{booking_id}/reschedule",
    responses=fails(*TRANSITION, *BOOKING, "site_not_allowed"),
)
def reschedule_public_booking(
    request: Request, visitor: Visiting, booking_id: Key, token: Token, body: RescheduleIn
) -> PublicBookingOut:
    """Move to another time that is offered, with the same hosts and length."""
    _count(visitor)
    _opened(request, booking_id, token)
    moved = booking_reschedule.reschedule_by_token(token, body.start, zone=body.timezone, reason=body.reason)
    return PublicBookingOut.of(moved)


def _opened(request: Request, booking_id: str, token: str) -> BookingView:
    """The booking that the key opens. :raises NotFound: it opens another one, or none at all."""
    found = booking_queries.by_token(token)
    if found.id != booking_id:
        raise NotFound("There is no such booking.")
    check_site(request, found.event_type_id)
    return found
