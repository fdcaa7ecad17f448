"""Orders over HTTP: several appointments that are made together or not at all.

Anybody may order what is public. The answer's ``token`` stands in for an account: as ``?token=``, for reading,
confirming and cancelling that order.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Self

from fastapi import Query, Request, Response
from pydantic import BaseModel, Field

from calendar_app.api.bookings import BookingOut, DetailsIn, ReasonIn
from calendar_app.api.deps import CurrentActor, MayChange, OptionalActor, client_address
from calendar_app.api.fields import Body, Instant, Key, Whole
from calendar_app.api.idempotency import Idempotent, Keep
from calendar_app.api.paging import IdAfter
from calendar_app.api.problem_codes import BOOKING, TRANSITION, fails
from calendar_app.api.routing import Router
from calendar_app.errors import NotFound, NotSignedIn
from calendar_app.services.common.permissions import Actor, Role
from calendar_app.services.orders import commands as order_commands
from calendar_app.services.orders import queries as order_queries
from calendar_app.services.orders.commands import NewLine
from calendar_app.services.orders.queries import OrderStatus, OrderView

router = Router(prefix="/orders", tags=["orders"])

Token = Annotated[str | None, Query(description="The token that came with the order", max_length=4_000)]


class LineIn(DetailsIn):
    """One appointment; ``answers`` by question id; ``duration`` in minutes, the event type's first by default.

    ``meeting_place``, ``phone``, ``guests``, ``booked_by`` and ``notes`` as for a booking.
    """

    event_type_id: Key
    start: Instant
    duration: Whole | None = None
    answers: dict[str, Any] = Field(default={})


class OrderIn(Body):
    """``timezone`` and ``language`` (``de``, ``en-GB``; the workspace's by default) are the customer's."""

    name: str
    email: str
    timezone: str
    language: Key = ""
    lines: Annotated[list[LineIn], Field(min_length=1, max_length=order_commands.LONGEST)]


class LineOut(BaseModel):
    """``details``: what was entered beside the answers: ``meeting_place``, ``phone``, ``guests``, ``booked_by_name``,
    ``booked_by_email`` and ``notes``."""

    event_type_id: str
    event_type_slug: str
    title: str
    start: datetime
    end: datetime
    duration: int
    answers: dict[str, Any]
    details: dict[str, Any]
    booking_id: str | None


class OrderOut(BaseModel):
    """``status``: ``draft``, ``confirmed`` or ``cancelled``; ``bookings`` are what a confirmed order was made into.
    ``token`` is empty for API tokens that may only read."""

    id: str
    workspace_slug: str
    status: OrderStatus
    name: str
    email: str
    timezone: str
    language: str
    lines: list[LineOut]
    bookings: list[BookingOut]
    token: str
    created_at: datetime
    confirmed_at: datetime | None

    @classmethod
    def of(cls, view: OrderView, *, links: bool = True) -> Self:
        """The service's view without what only pages need; ``links``: with what lets its reader change the order."""
        made = [BookingOut.of(one) for one in view.bookings]
        found = cls.model_validate(asdict(view) | {"bookings": made})
        if links:
            return found
        made = [BookingOut.of(one, links=False) for one in view.bookings]
        return found.model_copy(update={"token": "", "bookings": made})


class OrderList(BaseModel):
    items: list[OrderOut]
    next: str | None


@router.post("", status_code=201, response_model=OrderOut, responses=fails(*BOOKING))
def create_order(request: Request, actor: OptionalActor, body: OrderIn, idempotent: Idempotent) -> Response:
    """Draft an order of up to 20 appointments. It holds no time before it is confirmed."""

    def work(keep: Keep[OrderView] | None) -> OrderView:
        return order_commands.create(
            [
                NewLine(line.event_type_id, line.start, line.duration, line.answers, line.details())
                for line in body.lines
            ],
            body.timezone,
            body.name,
            body.email,
            actor=actor,
            client=client_address(request),
            language=body.language,
            keep=keep,
        )

    return idempotent.run_in_transaction(201, work, OrderOut.of)


@router.get("")
def list_orders(
    actor: CurrentActor,
    links: MayChange,
    status: Annotated[list[OrderStatus] | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=order_queries.MOST)] = 50,
    after: IdAfter = None,
) -> OrderList:
    """Orders, newest first: all for managers, their own for staff and customers."""
    found = order_queries.list_orders(actor, status=status or (), limit=limit, after=after)
    return OrderList(items=[OrderOut.of(view, links=links) for view in found.items], next=found.next)


@router.get("/{order_id}", responses=fails("not_signed_in"))
def get_order(order_id: Key, actor: OptionalActor, links: MayChange, token: Token = None) -> OrderOut:
    """One order with its bookings."""
    if token is not None:
        _same(order_id, token)
        return OrderOut.of(order_queries.by_token(token), links=links)
    return OrderOut.of(order_queries.get(_signed_in(actor), order_id), links=links)


@router.post(
    "/{order_id}/confirm", responses=fails(*BOOKING, *TRANSITION, "not_signed_in", "order_cancelled")
)
def confirm_order(request: Request, order_id: Key, actor: OptionalActor, token: Token = None) -> OrderOut:
    """Make all its appointments or, with 409 ``slot_unavailable``, none; ``errors`` then names the line.

    Confirming again changes nothing.
    """
    client = client_address(request)
    if token is not None:
        _same(order_id, token)
        return OrderOut.of(order_commands.confirm_by_token(token, client=client))
    who = _signed_in(actor)
    return OrderOut.of(order_commands.confirm(who, order_id, client="" if who.role >= Role.STAFF else client))


@router.post("/{order_id}/cancel", responses=fails("not_signed_in", *TRANSITION))
def cancel_order(
    order_id: Key, actor: OptionalActor, body: ReasonIn | None = None, token: Token = None
) -> OrderOut:
    """Cancel the order with all its bookings, or nothing of it; doing it again changes nothing."""
    reason = body.reason if body else ""
    if token is not None:
        _same(order_id, token)
        return OrderOut.of(order_commands.cancel_by_token(token, reason))
    return OrderOut.of(order_commands.cancel(_signed_in(actor), order_id, reason))


def _same(order_id: str, token: str) -> None:
    """A token opens its own order only. :raises NotFound: it is another one's, or none at all."""
    if order_queries.by_token(token).id != order_id:
        raise NotFound("There is no such order.")


def _signed_in(actor: Actor | None) -> Actor:
    if actor is None:
        raise NotSignedIn("Sign in, or use the order's token.")
    return actor
