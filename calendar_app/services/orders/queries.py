"""Orders as pages and the API see them, and who may see which.

Managers see every order of the workspace; staff those that they took, and those of which they host every line;
customers with an account those made with their address; and whoever has an order's token that one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, and_, false, func, or_
from sqlmodel import Session, col, select

from calendar_app.db.session import reading
from calendar_app.db.tables import (
    Booking,
    CustomerOrder,
    EventType,
    EventTypeHost,
    OrderLine,
    Workspace,
)
from calendar_app.errors import InvalidInput, NotFound
from calendar_app.services.bookings import views as booking_views
from calendar_app.services.bookings.views import BookingView
from calendar_app.services.common import signed_links
from calendar_app.services.common.permissions import Actor, Role
from calendar_app.services.event_types.meeting_places import PlaceView, places_of

MOST = 200
"""The longest page of a list."""

Find = Callable[[Session], CustomerOrder]


class OrderStatus(StrEnum):
    """``draft`` holds no time; ``confirmed`` has bookings, each with a status of its own; ``cancelled`` is final."""

    DRAFT = "draft"
    CONFIRMED = "confirmed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class OrderLineView:
    """A line as it was ordered, and the booking it became, which may have been moved since. Datetimes are UTC.
    ``details``: what was entered beside the answers, by the names of a booking's form; ``place``: its kind and name."""

    event_type_id: str
    event_type_slug: str
    title: str
    start: datetime
    end: datetime
    duration: int
    answers: dict[str, Any]
    details: dict[str, Any]
    place: PlaceView
    booking_id: str | None = None


@dataclass(frozen=True, slots=True)
class OrderView:
    """An order. ``bookings`` are by start, and empty for a draft; ``token`` stands in for an account."""

    id: str
    workspace_id: str
    workspace_slug: str
    status: str
    name: str
    email: str
    timezone: str
    language: str
    lines: tuple[OrderLineView, ...]
    bookings: tuple[BookingView, ...]
    token: str
    created_at: datetime
    confirmed_at: datetime | None


@dataclass(frozen=True, slots=True)
class OrderPage:
    """One page of a list; ``next`` is the cursor of the following one, ``None`` on the last."""

    items: tuple[OrderView, ...]
    next: str | None


def get(actor: Actor, order_id: str) -> OrderView:
    """:raises NotFound: no such order, or not the actor's to see."""
    with reading() as session:
        return view(session, owned(session, actor, order_id), full=actor.role >= Role.STAFF)


def by_token(token: str) -> OrderView:
    """The order that a token leads to. :raises NotFound: it leads nowhere."""
    with reading() as session:
        return view(session, by_link(token)(session), full=False)


def list_orders(
    actor: Actor, *, status: Collection[str] = (), limit: int = 50, after: str | None = None
) -> OrderPage:
    """The actor's orders, newest first. ``after`` is the ``next`` of the page before.

    :raises InvalidInput: an unknown status.
    """
    if unknown := set(status) - set(OrderStatus):
        raise InvalidInput(f"{min(unknown)[:32]!r} is not a status of orders.", field="status")
    query = select(CustomerOrder).where(visible_to(actor))
    if status:
        query = query.where(col(CustomerOrder.status).in_(list(status)))
    if after is not None:
        query = query.where(col(CustomerOrder.id) < after)
    limit = max(1, min(limit, MOST))
    with reading() as session:
        rows = session.exec(query.order_by(col(CustomerOrder.id).desc()).limit(limit + 1)).all()
        more = rows[limit - 1].id if len(rows) > limit else None
        return OrderPage(tuple(_views(session, rows[:limit], full=actor.role >= Role.STAFF)), more)


def owned(session: Session, actor: Actor, order_id: str) -> CustomerOrder:
    """The row, if the actor may see it. :raises NotFound: otherwise."""
    query = select(CustomerOrder).where(CustomerOrder.id == order_id).where(visible_to(actor))
    row = session.exec(query).first()
    if row is None:
        raise NotFound("There is no such order.")
    return row


def visible_to(actor: Actor) -> ColumnElement[bool]:
    """The condition on orders that an actor may see."""
    here = col(CustomerOrder.workspace_id) == actor.workspace_id
    if actor.role >= Role.MANAGER:
        return here
    if actor.role >= Role.STAFF:
        hosted = select(EventTypeHost.event_type_id).where(EventTypeHost.person_id == actor.person_id)
        others = select(OrderLine.order_id).where(col(OrderLine.event_type_id).not_in(hosted))
        taken = col(CustomerOrder.taken_by) == actor.person_id
        return and_(here, or_(col(CustomerOrder.id).not_in(others), taken))
    mine = func.lower(col(CustomerOrder.email)) == actor.email.lower()
    return and_(here, mine) if actor.email else false()


def by_link(token: str) -> Find:
    """How to find the order of a token, or :class:`NotFound`: it leads nowhere."""
    order_id = signed_links.order_id(token)

    def find(session: Session) -> CustomerOrder:
        row = session.get(CustomerOrder, order_id)
        if row is None:
            raise signed_links.unknown()
        return row

    return find


def lines_of(session: Session, order_ids: Collection[str]) -> dict[str, list[OrderLine]]:
    """The lines of each order, in their order."""
    query = select(OrderLine).where(col(OrderLine.order_id).in_(order_ids)).order_by(col(OrderLine.position))
    found: dict[str, list[OrderLine]] = defaultdict(list)
    for line in session.exec(query):
        found[line.order_id].append(line)
    return found


def view(session: Session, order: CustomerOrder, *, full: bool) -> OrderView:
    """The order as it is shown; ``full`` for the business."""
    return _views(session, [order], full=full)[0]


def _views(session: Session, orders: Sequence[CustomerOrder], *, full: bool) -> list[OrderView]:
    """Orders as given, with a fixed number of queries; ``full`` for the business."""
    lines = lines_of(session, [order.id for order in orders])
    kinds = {line.event_type_id for found in lines.values() for line in found}
    types = {row.id: row for row in session.exec(select(EventType).where(col(EventType.id).in_(kinds)))}
    places = {order.workspace_id for order in orders}
    slugs = dict(
        session.exec(select(Workspace.id, Workspace.slug).where(col(Workspace.id).in_(places))).all()
    )
    made = _bookings(session, orders, full=full)
    return [
        OrderView(
            id=order.id,
            workspace_id=order.workspace_id,
            workspace_slug=slugs[order.workspace_id],
            status=order.status,
            name=order.name,
            email=order.email,
            timezone=order.timezone,
            language=order.language,
            lines=tuple(_line_view(line, types[line.event_type_id]) for line in lines[order.id]),
            bookings=tuple(made[order.id]),
            token=signed_links.order_token(order.id),
            created_at=order.created_at,
            confirmed_at=order.confirmed_at,
        )
        for order in orders
    ]


def _line_view(line: OrderLine, kind: EventType) -> OrderLineView:
    end = line.start_at + timedelta(minutes=line.duration)
    chosen = line.details.get("meeting_place")
    place = next((each for each in places_of(kind) if each.id == chosen), None)
    return OrderLineView(
        kind.id,
        kind.slug,
        kind.title,
        line.start_at,
        end,
        line.duration,
        line.answers,
        line.details,
        PlaceView(place.kind.value, place.label) if place else PlaceView(),
        line.booking_id,
    )


def _bookings(
    session: Session, orders: Sequence[CustomerOrder], *, full: bool
) -> dict[str, list[BookingView]]:
    query = select(Booking).where(col(Booking.order_id).in_([order.id for order in orders]))
    rows = session.exec(query.order_by(col(Booking.start_at), col(Booking.id))).all()
    found: dict[str, list[BookingView]] = defaultdict(list)
    for row, made in zip(rows, booking_views.views(session, rows, full=full), strict=True):
        assert row.order_id is not None
        found[row.order_id].append(made)
    return found
