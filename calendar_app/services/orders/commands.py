"""Orders: several appointments that a customer wants together, and gets all or none of.

A draft says what is wanted and holds no time. Confirming it places all its appointments in one transaction
(:mod:`calendar_app.services.bookings.placement`); confirming it again, or twice at once, makes nothing more. Each
appointment is a booking like any other from then on, with its own manage link, calendar events and letters. Cancelling
the order cancels what still holds time of it, again all or nothing. Who sees which order, and what of it, is told in
:mod:`calendar_app.services.orders.queries`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from sqlmodel import Session, select

from calendar_app.db.session import clock, reading, transaction
from calendar_app.db.tables import CustomerOrder, EventType, OrderLine
from calendar_app.domain.booking_form import NOTHING_GIVEN, Details, GivenDetails, check_details, parse_asked
from calendar_app.domain.intake import clean_answers, clean_email, clean_name, clean_text, parse_questions
from calendar_app.domain.timespan import instant
from calendar_app.domain.webhook import WebhookEvent
from calendar_app.errors import Conflict, InvalidInput, SlotUnavailable
from calendar_app.services.availability import snapshot as slot_snapshot
from calendar_app.services.availability.slots import check_active, check_moment, check_zone
from calendar_app.services.bookings import create as booking_create
from calendar_app.services.bookings import placement, reservations, transitions, webhook_events
from calendar_app.services.bookings.placement import Placed, Wish
from calendar_app.services.common import audit_log, change_events, rate_limits
from calendar_app.services.common.languages import clean_language
from calendar_app.services.common.permissions import Actor, Role
from calendar_app.services.event_types.meeting_places import places_of
from calendar_app.services.event_types.validation import rules_of
from calendar_app.services.orders.queries import (
    MOST,
    Find,
    OrderStatus,
    OrderView,
    by_link,
    by_token,
    get,
    lines_of,
    list_orders,
    owned,
    view,
)
from calendar_app.services.webhooks import messages

__all__ = [
    "DRAFTS",
    "LONGEST",
    "MOST",
    "NewLine",
    "OrderView",
    "by_token",
    "cancel",
    "cancel_by_token",
    "confirm",
    "confirm_by_token",
    "create",
    "get",
    "list_orders",
]

LONGEST = 20
"""Lines of one order, at most."""
DRAFTS = "60/minute"
"""How many drafts one address may leave."""
_REASON_LENGTH = 1_000
_TOLD = {
    "order.confirmed": WebhookEvent.ORDER_CONFIRMED,
    "order.cancelled": WebhookEvent.ORDER_CANCELLED,
}
"""What other programs are told of, by what the audit trail calls it."""


@dataclass(frozen=True, slots=True)
class NewLine:
    """One appointment that is wanted. ``start`` is aware; ``duration`` in minutes, ``None`` for the first offered.
    ``given``: what else the form of the event type asks for."""

    event_type_id: str
    start: datetime
    duration: int | None = None
    answers: Mapping[str, object] | None = None
    given: GivenDetails = NOTHING_GIVEN


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
    language: str = "",
    keep: Callable[[Session, OrderView], None] | None = None,
    now: datetime | None = None,
) -> OrderView:
    """A draft of 1 to :data:`LONGEST` lines, in the order given, all of one workspace. It holds no time.

    ``actor``: whoever is signed in; one who works in the workspace orders for the customer, may use event types that
    are not public, and is not counted under ``client``, the visitor's address. ``language``: the customer's, as a tag.
    ``keep`` runs last in the transaction, with the answer.

    :raises InvalidInput: the person, the zone, the language, or a line, which ``field`` names (``lines[1].start``).
    :raises NotFound: no such event type. :raises Conflict: one is switched off (``event_type_inactive``).
    """
    now = now or clock()
    if not 1 <= len(lines) <= LONGEST:
        raise InvalidInput(f"An order has 1 to {LONGEST} lines.", field="lines")
    with reading() as session:
        actor = slot_snapshot.colleague(session, lines[0].event_type_id, actor)
    if client and actor is None:
        rate_limits.check("orders", client, DRAFTS)
    check_zone(zone)
    person, language = (clean_name(name), clean_email(email)), clean_language(language)
    with transaction() as session:
        rows = [_line(session, number, line, person[1], actor, now) for number, line in enumerate(lines)]
        workspaces = {session.get_one(EventType, row.event_type_id).workspace_id for row in rows}
        if len(workspaces) > 1:
            raise InvalidInput("All lines of an order belong to one business.", field="lines")
        order = CustomerOrder(
            workspace_id=workspaces.pop(),
            name=person[0],
            email=person[1],
            timezone=zone,
            language=language,
            taken_by=actor.person_id if actor else None,
            created_at=now,
        )
        session.add(order)
        session.flush()
        for row in rows:
            row.order_id = order.id
            session.add(row)
        session.flush()
        _record(session, order, actor, "order.created", lines=len(rows))
        made = view(session, order, full=actor is not None)
        if keep is not None:
            keep(session, made)
        return made


def _line(
    session: Session, number: int, line: NewLine, email: str, actor: Actor | None, now: datetime
) -> OrderLine:
    with _said_of_line(number):
        start = check_moment(line.start, "start").astimezone(UTC)
        if instant(start) <= instant(now):
            raise InvalidInput(
                "That time has passed. Please choose a later one.", field="start", code="in_the_past"
            )
        kind = slot_snapshot.event_type_for(session, line.event_type_id, actor)
        check_active(kind)
        return OrderLine(
            event_type_id=kind.id,
            position=number,
            start_at=start,
            duration=rules_of(kind, line.duration or 0).length // 60,
            answers=clean_answers(parse_questions(kind.questions), line.answers or {}),
            details=_kept_details(_checked_details(kind, line.given, email)),
        )


@contextmanager
def _said_of_line(number: int) -> Iterator[None]:
    """What is wrong with a line is said of that one."""
    try:
        yield
    except InvalidInput as error:
        place = f"lines[{number}].{error.field}" if error.field else f"lines[{number}]"
        raise InvalidInput(f"Line {number + 1}: {error.detail}", field=place, code=error.code) from error


def _checked_details(kind: EventType, given: GivenDetails, email: str) -> Details:
    return check_details(given, places_of(kind), parse_asked(kind.form_parts), email)


def _kept_details(found: Details) -> dict[str, object]:
    """As a line keeps them: by the names of :class:`GivenDetails`, to be checked again when the order is confirmed."""
    booker = found.booked_by
    return {
        "meeting_place": found.place.id if found.place else "",
        "phone": found.phone,
        "guests": list(found.guests),
        "booked_by_name": booker.name if booker else "",
        "booked_by_email": booker.email if booker else "",
        "notes": found.notes,
    }


def confirm(actor: Actor, order_id: str, *, client: str = "", now: datetime | None = None) -> OrderView:
    """Make every appointment of a draft, or none; confirming again changes nothing.

    :raises SlotUnavailable: one of them cannot be had; ``field`` (``lines[1]``) and the sentence name it.
    :raises Conflict: the order was cancelled (``order_cancelled``). :raises NotFound: not the actor's to see.
    """
    return _confirm(lambda session: owned(session, actor, order_id), _staff(actor), client, "", now)


def confirm_by_token(
    token: str, *, client: str = "", language: str = "", now: datetime | None = None
) -> OrderView:
    """As :func:`confirm`, for whoever has the order's token. ``language``: of the page on which the customer confirms,
    for orders that know none."""
    return _confirm(by_link(token), None, client, language, now)


def cancel(actor: Actor, order_id: str, reason: str = "", *, now: datetime | None = None) -> OrderView:
    """Cancel the order and every booking of it that still holds time; doing it again changes nothing.

    Customers are bound by each event type's notice.

    :raises TransitionRefused: one of the bookings cannot be cancelled any more, so none was.
    :raises NotFound: not the actor's to see.
    """
    return _cancel(lambda session: owned(session, actor, order_id), _staff(actor), reason, now)


def cancel_by_token(token: str, reason: str = "", *, now: datetime | None = None) -> OrderView:
    """As :func:`cancel`, for whoever has the order's token."""
    return _cancel(by_link(token), None, reason, now)


def _staff(actor: Actor) -> Actor | None:
    return actor if actor.role >= Role.STAFF else None


def _confirm(find: Find, actor: Actor | None, client: str, language: str, now: datetime | None) -> OrderView:
    def write(session: Session, book: Callable[[], list[Placed]]) -> OrderView:
        row = _locked(session, order.id)
        if row.status != OrderStatus.DRAFT:
            raise _NoDraft
        placed = book()
        row.status, row.confirmed_at = OrderStatus.CONFIRMED.value, now
        session.add(row)
        for line, one in zip(lines_of(session, [order.id])[order.id], placed, strict=True):
            line.booking_id = one.booking.id
            session.add(line)
        session.flush()
        _record(session, row, actor, "order.confirmed", bookings=[one.booking.id for one in placed])
        return view(session, row, full=actor is not None)

    wishes: list[Wish] = []
    try:
        with reading() as session:
            now = now or clock(session)
            order = find(session)
            if order.status != OrderStatus.DRAFT:
                return _settled(session, order, full=actor is not None)
            if client:
                booking_create.allow(client, order.email)
            language = order.language or clean_language(language)
            wishes = [
                _wish(session, order, line, language) for line in lines_of(session, [order.id])[order.id]
            ]
            if client:
                for wish in wishes:
                    booking_create.allow_letters(wish)
            tries = placement.prepare(session, wishes, now)
        made = placement.place(tries, actor, now, write)
    except (_NoDraft, placement.Refused, SlotUnavailable) as error:
        # Who confirms the same order at this moment takes these times too: they are lost to nobody else then.
        with reading() as session:
            row = find(session)
            if row.status != OrderStatus.DRAFT:
                return _settled(session, row, full=actor is not None)
        if isinstance(error, placement.Refused):
            raise _named(error, wishes) from error
        raise
    if client:
        booking_create.booked(client, order.email, len(wishes))
        for wish in wishes:
            booking_create.count_letters(wish)
    return made


def _wish(session: Session, order: CustomerOrder, line: OrderLine, language: str) -> Wish:
    """What a line asks for; what was entered is held against what its event type asks for by now.

    Lines of the release before know only the answers, and take place where the event type's first place is.
    """
    details = None
    if line.details:
        kind = session.get_one(EventType, line.event_type_id)
        with _said_of_line(line.position):
            details = _checked_details(kind, GivenDetails(**line.details), order.email)
    return Wish(
        line.event_type_id,
        instant(line.start_at),
        line.duration,
        order.timezone,
        order.name,
        order.email,
        line.answers,
        order_id=order.id,
        details=details,
        language=language,
    )


def _named(refused: placement.Refused, wishes: Sequence[Wish]) -> SlotUnavailable:
    number = f"Line {refused.position + 1}: " if len(wishes) > 1 else ""
    rest = " Nothing of the order was booked." if len(wishes) > 1 else ""
    return SlotUnavailable(f"{number}{refused.reason.detail}{rest}", field=f"lines[{refused.position}]")


def _settled(session: Session, order: CustomerOrder, *, full: bool) -> OrderView:
    """The order that is a draft no longer. :raises Conflict: because it was cancelled."""
    if order.status == OrderStatus.CANCELLED:
        raise Conflict("This order was cancelled. Please make a new one.", code="order_cancelled")
    return view(session, order, full=full)


def _cancel(find: Find, actor: Actor | None, reason: str, now: datetime | None) -> OrderView:
    now = now or clock()
    reason = clean_text(reason, "reason", _REASON_LENGTH, lines=True)

    def work() -> OrderView:
        with transaction() as session:
            row = _locked(session, find(session).id)
            if row.status != OrderStatus.CANCELLED:
                transitions.cancel_order(session, row.id, actor, reason, now)
                row.status = OrderStatus.CANCELLED.value
                session.add(row)
                _record(session, row, actor, "order.cancelled", reason=reason)
            return view(session, row, full=actor is not None)

    return reservations.retrying(work)


def _locked(session: Session, order_id: str) -> CustomerOrder:
    query = select(CustomerOrder).where(CustomerOrder.id == order_id).with_for_update()
    return session.exec(query.execution_options(populate_existing=True)).one()


def _record(
    session: Session, order: CustomerOrder, actor: Actor | None, action: str, **detail: str | int | list[str]
) -> None:
    by = "staff" if actor else "customer"
    audit_log.record(
        session,
        order.workspace_id,
        actor or audit_log.Party.CUSTOMER,
        action,
        "order",
        order.id,
        by=by,
        **detail,
    )
    if event := _TOLD.get(action):
        messages.record(
            session, order.workspace_id, event, order.id, lambda: {"order": _as_told(session, order)}
        )
    change_events.announce(session, order.workspace_id, "bookings")


def _as_told(session: Session, order: CustomerOrder) -> dict[str, Any]:
    """An order as the API answers it to the business."""
    session.flush()
    shown = view(session, order, full=True)
    told = asdict(shown) | {"bookings": [webhook_events.as_told(one) for one in shown.bookings]}
    del told["workspace_id"]
    return told
