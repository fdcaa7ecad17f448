"""Orders: several appointments that a customer wants together, and gets all or none of.

A draft says what is wanted and holds no time. Confirming it places all its appointments in one transaction
(:mod:`calendar_app.services.placing`); confirming it again, or twice at once, makes nothing more. Each appointment
is a booking like any other from then on, with its own manage link, calendar events and letters. Cancelling the order
cancels what still holds time of it, again all or nothing.

Managers see every order of the workspace; staff those that they took, and those of which they host every line;
customers with an account those made with their address; and whoever has an order's token that one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, and_, false, or_
from sqlmodel import Session, col, select

from calendar_app.db.session import after_commit, clock, reading, transaction
from calendar_app.db.tables import (
    AuditEntry,
    Booking,
    CustomerOrder,
    EventType,
    EventTypeHost,
    OrderLine,
    Workspace,
)
from calendar_app.domain.intake import clean_answers, clean_email, clean_name, clean_text, parse_questions
from calendar_app.domain.timespan import instant
from calendar_app.errors import Conflict, InvalidInput, NotFound, SlotUnavailable
from calendar_app.services import (
    audit,
    booking_views,
    bookings,
    limits,
    live,
    manage_links,
    placing,
    reservations,
    snapshots,
)
from calendar_app.services.availability import check_active, check_moment, check_zone
from calendar_app.services.booking_views import BookingView
from calendar_app.services.event_types import rules_of
from calendar_app.services.placing import Wish
from calendar_app.services.roles import Actor, Role

LONGEST = 20
"""Lines of one order, at most."""
MOST = 200
"""The longest page of a list."""
DRAFTS = "60/minute"
"""How many drafts one address may leave."""
_REASON_LENGTH = 1_000

Find = Callable[[Session], CustomerOrder]


class OrderStatus(StrEnum):
    """``draft`` holds no time; ``confirmed`` has bookings, each with a status of its own; ``cancelled`` is final."""

    DRAFT = "draft"
    CONFIRMED = "confirmed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class NewLine:
    """One appointment that is wanted. ``start`` is aware; ``duration`` in minutes, ``None`` for the first offered."""

    event_type_id: str
    start: datetime
    duration: int | None = None
    answers: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class OrderLineView:
    """A line as it was ordered, and the booking it became, which may have been moved since. Datetimes are UTC."""

    event_type_id: str
    event_type_slug: str
    title: str
    start: datetime
    end: datetime
    duration: int
    answers: dict[str, Any]
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


class _NoDraft(Exception):
    """Somebody else confirmed or cancelled the order before this transaction got hold of it."""


def create(
    lines: Sequence[NewLine],
    zone: str,
    name: str,
    email: str,
    *,
    actor: Actor | None = None,
    client: str = "",
    settle: Callable[[Session, OrderView], None] | None = None,
    now: datetime | None = None,
) -> OrderView:
    """A draft of 1 to :data:`LONGEST` lines, in the order given, all of one workspace. It holds no time.

    ``actor``: somebody of the workspace who orders for the customer, and may use event types that are not public.
    ``settle`` runs last in the transaction, with the answer.

    :raises InvalidInput: the person, the zone, or a line, which ``field`` names (``lines[1].start``).
    :raises NotFound: no such event type. :raises Conflict: one is switched off (``event_type_inactive``).
    """
    now = now or clock()
    if client:
        limits.check("orders", client, DRAFTS)
    if not 1 <= len(lines) <= LONGEST:
        raise InvalidInput(f"An order has 1 to {LONGEST} lines.", field="lines")
    check_zone(zone)
    person = clean_name(name), clean_email(email)
    with transaction() as session:
        rows = [_line(session, number, line, actor, now) for number, line in enumerate(lines)]
        workspaces = {session.get_one(EventType, row.event_type_id).workspace_id for row in rows}
        if len(workspaces) > 1:
            raise InvalidInput("All lines of an order belong to one business.", field="lines")
        order = CustomerOrder(
            workspace_id=workspaces.pop(), name=person[0], email=person[1], timezone=zone, created_at=now
        )
        session.add(order)
        session.flush()
        for row in rows:
            row.order_id = order.id
            session.add(row)
        session.flush()
        _record(session, order, actor, "order.created", lines=len(rows))
        made = _view(session, order, full=actor is not None)
        if settle is not None:
            settle(session, made)
        return made


def _line(session: Session, number: int, line: NewLine, actor: Actor | None, now: datetime) -> OrderLine:
    try:
        start = check_moment(line.start, "start").astimezone(UTC)
        if instant(start) <= instant(now):
            raise InvalidInput(
                "That time has passed. Please choose a later one.", field="start", code="in_the_past"
            )
        kind = snapshots.event_type_for(session, line.event_type_id, actor)
        check_active(kind)
        return OrderLine(
            event_type_id=kind.id,
            position=number,
            start_at=start,
            duration=rules_of(kind, line.duration or 0).length // 60,
            answers=clean_answers(parse_questions(kind.questions), line.answers or {}),
        )
    except InvalidInput as error:
        place = f"lines[{number}].{error.field}" if error.field else f"lines[{number}]"
        raise InvalidInput(f"Line {number + 1}: {error.detail}", field=place, code=error.code) from error


def confirm(actor: Actor, order_id: str, *, client: str = "", now: datetime | None = None) -> OrderView:
    """Make every appointment of a draft, or none; confirming again changes nothing.

    :raises SlotUnavailable: one of them cannot be had; ``field`` (``lines[1]``) and the sentence name it.
    :raises Conflict: the order was cancelled (``order_cancelled``). :raises NotFound: not the actor's to see.
    """
    return _confirm(lambda session: owned(session, actor, order_id), _staff(actor), client, now)


def confirm_by_token(token: str, *, client: str = "", now: datetime | None = None) -> OrderView:
    """As :func:`confirm`, for whoever has the order's token."""
    return _confirm(_by_token(token), None, client, now)


def cancel(actor: Actor, order_id: str, reason: str = "", *, now: datetime | None = None) -> OrderView:
    """Cancel the order and every booking of it that still holds time; doing it again changes nothing.

    Customers are bound by each event type's notice.

    :raises TransitionRefused: one of the bookings cannot be cancelled any more, so none was.
    :raises NotFound: not the actor's to see.
    """
    return _cancel(lambda session: owned(session, actor, order_id), _staff(actor), reason, now)


def cancel_by_token(token: str, reason: str = "", *, now: datetime | None = None) -> OrderView:
    """As :func:`cancel`, for whoever has the order's token."""
    return _cancel(_by_token(token), None, reason, now)


def get(actor: Actor, order_id: str) -> OrderView:
    """:raises NotFound: no such order, or not the actor's to see."""
    with reading() as session:
        return _view(session, owned(session, actor, order_id), full=actor.role >= Role.STAFF)


def by_token(token: str) -> OrderView:
    """The order that a token leads to. :raises NotFound: it leads nowhere."""
    with reading() as session:
        return _view(session, _by_token(token)(session), full=False)


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
        taken = select(AuditEntry.subject_id).where(
            AuditEntry.subject_type == "order",
            AuditEntry.action == "order.created",
            AuditEntry.person_id == actor.person_id,
        )
        return and_(here, or_(col(CustomerOrder.id).not_in(others), col(CustomerOrder.id).in_(taken)))
    return and_(here, col(CustomerOrder.email) == actor.email) if actor.email else false()


def _staff(actor: Actor) -> Actor | None:
    return actor if actor.role >= Role.STAFF else None


def _by_token(token: str) -> Find:
    order_id = manage_links.order_id(token)

    def find(session: Session) -> CustomerOrder:
        row = session.get(CustomerOrder, order_id)
        if row is None:
            raise manage_links.unknown()
        return row

    return find


def _confirm(find: Find, actor: Actor | None, client: str, now: datetime | None) -> OrderView:
    now = now or clock()
    with reading() as session:
        order = find(session)
        if order.status != OrderStatus.DRAFT:
            return _settled(session, order, full=actor is not None)
        wishes = [_wish(order, line) for line in _lines(session, [order.id])[order.id]]
    if client:
        bookings.allow(client)

    def begin(session: Session) -> None:
        if _locked(session, order.id).status != OrderStatus.DRAFT:
            raise _NoDraft

    def finish(session: Session, rows: list[Booking]) -> OrderView:
        row = session.get_one(CustomerOrder, order.id)
        row.status, row.confirmed_at = OrderStatus.CONFIRMED.value, now
        session.add(row)
        for line, booking in zip(_lines(session, [order.id])[order.id], rows, strict=True):
            line.booking_id = booking.id
            session.add(line)
        session.flush()
        _record(session, row, actor, "order.confirmed", bookings=[booking.id for booking in rows])
        return _view(session, row, full=actor is not None)

    try:
        made = placing.place(wishes, actor, now, begin=begin, finish=finish)
    except (_NoDraft, placing.Refused, SlotUnavailable) as error:
        # Who confirms the same order at this moment takes these times too: they are lost to nobody else then.
        with reading() as session:
            row = find(session)
            if row.status != OrderStatus.DRAFT:
                return _settled(session, row, full=actor is not None)
        if isinstance(error, placing.Refused):
            raise _named(error, wishes) from error
        raise
    if client:
        bookings.booked(client, len(wishes))
    return made


def _wish(order: CustomerOrder, line: OrderLine) -> Wish:
    return Wish(
        line.event_type_id,
        instant(line.start_at),
        line.duration,
        order.timezone,
        order.name,
        order.email,
        line.answers,
        order_id=order.id,
    )


def _named(refused: placing.Refused, wishes: Sequence[Wish]) -> SlotUnavailable:
    number = f"Line {refused.position + 1}: " if len(wishes) > 1 else ""
    rest = " Nothing of the order was booked." if len(wishes) > 1 else ""
    return SlotUnavailable(f"{number}{refused.reason.detail}{rest}", field=f"lines[{refused.position}]")


def _settled(session: Session, order: CustomerOrder, *, full: bool) -> OrderView:
    """The order that is a draft no longer. :raises Conflict: because it was cancelled."""
    if order.status == OrderStatus.CANCELLED:
        raise Conflict("This order was cancelled. Please make a new one.", code="order_cancelled")
    return _view(session, order, full=full)


def _cancel(find: Find, actor: Actor | None, reason: str, now: datetime | None) -> OrderView:
    now = now or clock()
    reason = clean_text(reason, "reason", _REASON_LENGTH, lines=True)

    def work() -> OrderView:
        with transaction() as session:
            row = _locked(session, find(session).id)
            if row.status != OrderStatus.CANCELLED:
                bookings.cancel_order(session, row.id, actor, reason, now)
                row.status = OrderStatus.CANCELLED.value
                session.add(row)
                _record(session, row, actor, "order.cancelled", reason=reason)
            return _view(session, row, full=actor is not None)

    return reservations.retrying(work)


def _locked(session: Session, order_id: str) -> CustomerOrder:
    query = select(CustomerOrder).where(CustomerOrder.id == order_id).with_for_update()
    return session.exec(query.execution_options(populate_existing=True)).one()


def _record(
    session: Session, order: CustomerOrder, actor: Actor | None, action: str, **detail: str | int | list[str]
) -> None:
    by = "staff" if actor else "customer"
    audit.record(session, order.workspace_id, actor, action, "order", order.id, by=by, **detail)
    after_commit(session, lambda: live.publish(order.workspace_id, "bookings"))


def _lines(session: Session, order_ids: Collection[str]) -> dict[str, list[OrderLine]]:
    query = select(OrderLine).where(col(OrderLine.order_id).in_(order_ids)).order_by(col(OrderLine.position))
    found: dict[str, list[OrderLine]] = defaultdict(list)
    for line in session.exec(query):
        found[line.order_id].append(line)
    return found


def _view(session: Session, order: CustomerOrder, *, full: bool) -> OrderView:
    return _views(session, [order], full=full)[0]


def _views(session: Session, orders: Sequence[CustomerOrder], *, full: bool) -> list[OrderView]:
    """Orders as given, with a fixed number of queries; ``full`` for the business."""
    lines = _lines(session, [order.id for order in orders])
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
            lines=tuple(_line_view(line, types[line.event_type_id]) for line in lines[order.id]),
            bookings=tuple(made[order.id]),
            token=manage_links.order_token(order.id),
            created_at=order.created_at,
            confirmed_at=order.confirmed_at,
        )
        for order in orders
    ]


def _line_view(line: OrderLine, kind: EventType) -> OrderLineView:
    end = line.start_at + timedelta(minutes=line.duration)
    return OrderLineView(
        kind.id, kind.slug, kind.title, line.start_at, end, line.duration, line.answers, line.booking_id
    )


def _bookings(
    session: Session, orders: Sequence[CustomerOrder], *, full: bool
) -> dict[str, list[BookingView]]:
    query = select(Booking).where(col(Booking.order_id).in_([order.id for order in orders]))
    rows = session.exec(query.order_by(col(Booking.start_at), col(Booking.id))).all()
    found: dict[str, list[BookingView]] = defaultdict(list)
    for row, view in zip(rows, booking_views.views(session, rows, full=full), strict=True):
        assert row.order_id is not None
        found[row.order_id].append(view)
    return found
