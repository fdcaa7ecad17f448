"""What other programs are told: written in the transaction in which it happens, sent by workers afterwards.

Nothing is written where nobody subscribes, and what is told is only put together then. A booking that rolls back has
told nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any

from pydantic_core import to_json
from sqlmodel import Session, col, select

from calendar_app import queues
from calendar_app.db.ids import new_id
from calendar_app.db.session import after_commit, clock
from calendar_app.db.tables import WebhookDelivery, WebhookMessage, WebhookSubscription
from calendar_app.domain.webhook import PAYLOAD_VERSION, DeliveryState, SubscriptionState, WebhookEvent

JOB_SECONDS = 120
"""How long a job that sends may take; RQ ends it then."""
_LISTENING = (SubscriptionState.ACTIVE, SubscriptionState.DISABLED)

Data = Callable[[], Mapping[str, Any]]


def record(session: Session, workspace_id: str, event: WebhookEvent, subject_id: str, data: Data) -> None:
    """Tell every subscription that wants ``event``, once the caller's transaction has been committed.

    ``subject_id``: what it is about; the caller holds its row, so that messages about it are numbered in the order in
    which it changed. ``data`` gives what is told of it: the API's own view, and what else belongs to the event.
    """
    query = (
        select(WebhookSubscription.id, WebhookSubscription.events, WebhookSubscription.state)
        .where(WebhookSubscription.workspace_id == workspace_id)
        .where(col(WebhookSubscription.state).in_(_LISTENING))
        .order_by(col(WebhookSubscription.id))
    )
    wanting = [(key, state) for key, events, state in session.exec(query) if event in events]
    if not wanting:
        return
    message = new_message(workspace_id, event, subject_id, data(), clock(session))
    session.add(message)
    session.flush()
    for subscription_id, state in wanting:
        is_active = state == SubscriptionState.ACTIVE
        session.add(
            delivery_of(
                message, subscription_id, DeliveryState.WAITING if is_active else DeliveryState.DROPPED
            )
        )
        if is_active:
            after_commit(session, partial(enqueue, subscription_id))
    session.flush()


def new_message(
    workspace_id: str, event: WebhookEvent, subject_id: str, data: Mapping[str, Any], at: datetime
) -> WebhookMessage:
    """The message as receivers get it: ``{id, type, version, timestamp, workspace_id, data}``; times are RFC 3339."""
    message_id = new_id()
    payload = {
        "id": message_id,
        "type": event.value,
        "version": PAYLOAD_VERSION,
        "timestamp": at,
        "workspace_id": workspace_id,
        "data": data,
    }
    return WebhookMessage(
        id=message_id,
        workspace_id=workspace_id,
        event=event.value,
        subject_id=subject_id,
        payload=to_json(payload).decode(),
        created_at=at,
    )


def delivery_of(message: WebhookMessage, subscription_id: str, state: DeliveryState) -> WebhookDelivery:
    """``message`` on its way to one subscription."""
    return WebhookDelivery(
        subscription_id=subscription_id,
        message_id=message.id,
        event=message.event,
        subject_id=message.subject_id,
        state=state.value,
        created_at=message.created_at,
    )


def enqueue(subscription_id: str) -> None:
    """Have a worker send what waits for a subscription."""
    queues.enqueue(
        queues.WEBHOOKS,
        "send_webhooks",
        subscription_id,
        job_id=f"webhooks-{subscription_id}",
        timeout=JOB_SECONDS,
    )
