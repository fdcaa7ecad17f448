"""What was sent to a subscription and what came of it, for the managers of a workspace; sending again, and a test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, update
from sqlmodel import Session, col, select

from calendar_app.db.session import after_commit, clock, reading, transaction
from calendar_app.db.tables import WebhookDelivery, WebhookMessage, WebhookSubscription
from calendar_app.db.tables.webhooks import WITH_PAYLOAD
from calendar_app.domain.webhook import DeliveryState, SubscriptionState, WebhookEvent
from calendar_app.errors import Conflict, InvalidInput, NotFound
from calendar_app.services.common import audit_log, change_events, rate_limits
from calendar_app.services.common.permissions import Actor
from calendar_app.services.webhooks import messages, sending
from calendar_app.services.webhooks.subscriptions import owned

MOST = 200
"""The longest page of a list."""
TESTS = "10/minute"
"""How often somebody may have a test sent."""
_AGAIN = {
    "state": DeliveryState.WAITING.value,
    "attempts": 0,
    "first_tried_at": None,
    "tried_at": None,
    "next_attempt_at": None,
    "delivered_at": None,
}


@dataclass(frozen=True, slots=True)
class DeliveryView:
    """One message to one receiver. ``message_id`` is its ``webhook-id``; ``answer_status`` 0: no answer came.

    ``payload`` is what is sent and ``answer`` the beginning of what was answered; both are empty in lists.
    """

    id: str
    webhook_id: str
    message_id: str
    event: str
    subject_id: str
    state: str
    attempts: int
    created_at: datetime
    tried_at: datetime | None
    next_attempt_at: datetime | None
    delivered_at: datetime | None
    answer_status: int
    answer_ms: int
    last_error: str
    payload: str = ""
    answer: str = ""


@dataclass(frozen=True, slots=True)
class DeliveryPage:
    """Deliveries, latest first; ``next`` is the cursor of the page after, ``None`` at the end."""

    items: tuple[DeliveryView, ...]
    next: str | None


def list_deliveries(
    actor: Actor,
    subscription_id: str,
    *,
    state: str = "",
    event: str = "",
    subject_id: str = "",
    limit: int = 50,
    after: str | None = None,
) -> DeliveryPage:
    """What was sent there, or waits to be. ``subject_id``: of a booking, for one.

    :raises NotFound: no such subscription here. :raises InvalidInput: an unknown state or event, or no cursor.
    """
    if state and state not in list(DeliveryState):
        raise InvalidInput(f"{state[:32]!r} is not a state of deliveries.", field="state")
    if event and event not in list(WebhookEvent):
        raise InvalidInput(f"{event[:64]!r} is not an event.", field="event")
    query = select(WebhookDelivery).where(WebhookDelivery.subscription_id == subscription_id)
    for column, wanted in (
        (WebhookDelivery.state, state),
        (WebhookDelivery.event, event),
        (WebhookDelivery.subject_id, subject_id),
    ):
        query = query.where(col(column) == wanted) if wanted else query
    if after is not None:
        query = query.where(_before(after))
    limit = max(1, min(limit, MOST))
    with reading() as session:
        owned(session, actor, subscription_id)
        rows = session.exec(query.order_by(col(WebhookDelivery.number).desc()).limit(limit + 1)).all()
    more = str(rows[limit - 1].number) if len(rows) > limit else None
    return DeliveryPage(tuple(_view(row) for row in rows[:limit]), more)


def get(actor: Actor, subscription_id: str, delivery_id: str) -> DeliveryView:
    """One delivery with what was sent and answered. :raises NotFound: no such subscription or delivery here."""
    with reading() as session:
        owned(session, actor, subscription_id)
        return _with_bodies(session, _owned(session, subscription_id, delivery_id))


def replay(actor: Actor, subscription_id: str, delivery_id: str) -> DeliveryView:
    """Send a message again, in its place among those about its subject, whatever became of it before.

    :raises NotFound: as :func:`get`. :raises Conflict: ``webhook_not_active``.
    """
    with transaction() as session:
        subscription = _active(session, actor, subscription_id)
        row = _owned(session, subscription_id, delivery_id)
        _send_again(session, actor, subscription, [col(WebhookDelivery.number) == row.number])
        session.refresh(row)
        return _view(row)


def replay_since(actor: Actor, subscription_id: str, since: datetime) -> int:
    """Send everything again that happened at or after ``since`` (aware), in its order; how many messages.

    :raises NotFound: no such subscription here. :raises Conflict: ``webhook_not_active``.
    """
    with transaction() as session:
        subscription = _active(session, actor, subscription_id)
        which = (
            col(WebhookDelivery.created_at) >= since,
            col(WebhookDelivery.event) != WebhookEvent.TEST,
        )
        return _send_again(session, actor, subscription, which)


def send_test(actor: Actor, subscription_id: str) -> DeliveryView:
    """Send a message that says nothing, now and once, and give what the receiver answers; the subscription's state does
    not matter and does not change.

    :raises NotFound: no such subscription here. :raises TooManyRequests: too often.
    """
    with reading() as session:
        owned(session, actor, subscription_id)
    rate_limits.check("webhook_tests", actor.workspace_id, TESTS)
    now = clock()
    with transaction() as session:
        row = owned(session, actor, subscription_id)
        data = {"webhook_id": row.id}
        message = messages.new_message(row.workspace_id, WebhookEvent.TEST, row.id, data, now)
        session.add(message)
        session.flush()
        delivery = messages.delivery_of(message, row.id, DeliveryState.DROPPED)
        session.add(delivery)
        audit_log.record(session, row.workspace_id, actor, "webhook.tested", "webhook", row.id)
        session.flush()
        assert delivery.number is not None
        one = sending.load(session, delivery.number, now)
    answer = sending.attempt(one, now)
    with transaction() as session:
        tested = session.get(WebhookDelivery, one.number, with_for_update=True)
        if tested is None:
            raise NotFound("There is no such webhook.")
        tested.state = DeliveryState.FAILED
        sending.write_answer(tested, answer, now)
        session.add(tested)
        change_events.announce(session, actor.workspace_id, "webhooks")
        session.flush()
        return _with_bodies(session, tested)


def _active(session: Session, actor: Actor, subscription_id: str) -> WebhookSubscription:
    row = owned(session, actor, subscription_id, lock=True)
    if row.state != SubscriptionState.ACTIVE:
        raise Conflict("Switch this webhook on first: nothing is sent there.", code="webhook_not_active")
    return row


def _send_again(
    session: Session,
    actor: Actor,
    subscription: WebhookSubscription,
    which: Sequence[ColumnElement[bool]],
) -> int:
    of_it = col(WebhookDelivery.subscription_id) == subscription.id
    result = session.execute(update(WebhookDelivery).where(of_it, *which).values(**_AGAIN))
    number = int(getattr(result, "rowcount", 0))
    subscription.next_attempt_at = subscription.tried_at = None
    session.add(subscription)
    audit_log.record(
        session,
        subscription.workspace_id,
        actor,
        "webhook.replayed",
        "webhook",
        subscription.id,
        messages=number,
    )
    change_events.announce(session, subscription.workspace_id, "webhooks")
    after_commit(session, lambda: messages.enqueue(subscription.id))
    return number


def _owned(session: Session, subscription_id: str, delivery_id: str) -> WebhookDelivery:
    query = select(WebhookDelivery).where(
        WebhookDelivery.id == delivery_id, WebhookDelivery.subscription_id == subscription_id
    )
    row = session.exec(query).first()
    if row is None:
        raise NotFound("There is no such delivery.")
    return row


def _before(cursor: str) -> ColumnElement[bool]:
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 18):
        raise InvalidInput("This cursor is not one of ours.", field="after")
    return col(WebhookDelivery.number) < int(cursor)


def _with_bodies(session: Session, row: WebhookDelivery) -> DeliveryView:
    message = session.get_one(WebhookMessage, row.message_id, options=WITH_PAYLOAD)
    return _view(row, message.payload, row.answer_body)


def _view(row: WebhookDelivery, payload: str = "", answer: str = "") -> DeliveryView:
    return DeliveryView(
        id=row.id,
        webhook_id=row.subscription_id,
        message_id=row.message_id,
        event=row.event,
        subject_id=row.subject_id,
        state=row.state,
        attempts=row.attempts,
        created_at=row.created_at,
        tried_at=row.tried_at,
        next_attempt_at=row.next_attempt_at,
        delivered_at=row.delivered_at,
        answer_status=row.answer_status,
        answer_ms=row.answer_ms,
        last_error=row.last_error,
        payload=payload,
        answer=answer,
    )
