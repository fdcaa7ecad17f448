"""Sending what waits: leased work, one subscription at a time.

Whoever has a subscription's lease sends its messages one after the other, so a receiver is never asked twice at once,
and one that ends the subscription (410) gets nothing more. A message waits for the earlier ones about its subject, and
for nothing else. Each failure puts off its message, and the whole subscription: a receiver that is down is asked once
per step of the backoff, not once per message. A receiver gets a message at least once; a crash after it was taken and
before that is recorded sends it again, under the same ``webhook-id``.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, exists, update
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from calendar_app.clock import jitter
from calendar_app.db.due import due, free, is_due, is_free
from calendar_app.db.session import clock, reading, transaction
from calendar_app.db.tables import WebhookDelivery, WebhookMessage, WebhookSubscription
from calendar_app.db.tables.webhooks import WITH_PAYLOAD, WITH_SECRETS
from calendar_app.domain.webhook import (
    RETRIED_FOR,
    TOLD_AFTER,
    DeliveryState,
    SubscriptionState,
    retry_delay,
    signatures,
)
from calendar_app.errors import AlmanacError, InvalidInput, ProviderUnavailable
from calendar_app.providers import webhooks as receivers
from calendar_app.providers.webhooks import Answer
from calendar_app.services.common import audit_log, change_events
from calendar_app.services.webhooks import emails, messages
from calendar_app.settings import get_settings

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=60)
"""How long a claim lasts; each try prolongs it, and may take ten seconds."""
BUDGET_S = 20.0
"""How long one job sends before others get their turn."""
_MOST_RETRY_AFTER = 3600.0


@dataclass(frozen=True, slots=True)
class _Claim:
    """The right to send for one subscription."""

    subscription_id: str
    workspace_id: str
    fence: int


@dataclass(frozen=True, slots=True)
class Try:
    """One message, as it goes out."""

    number: int
    message_id: str
    url: str
    secrets: tuple[str, ...]
    payload: str


def send_due(subscription_id: str, *, now: datetime | None = None) -> int:
    """Send what waits for a subscription, for a while; how many tries that were."""
    claim = _claim(subscription_id, now or clock())
    if claim is None:
        return 0
    ends, tries, goes_on = time.monotonic() + BUDGET_S, 0, True
    while goes_on and time.monotonic() < ends and (one := _next(claim, now or clock())):
        answer = attempt(one, now or clock())
        goes_on = _record(claim, one.number, answer, now or clock())
        tries += 1
    _release(claim)
    if _has_due(subscription_id, now or clock()):  # also what was recorded while nobody could claim it
        messages.enqueue(subscription_id)
    return tries


def sweep(now: datetime | None = None) -> int:
    """Queue every subscription for which something is due and nobody sends; how many. May run at any time."""
    now = now or clock()
    query = select(WebhookSubscription.id).where(
        WebhookSubscription.state == SubscriptionState.ACTIVE,
        due(col(WebhookSubscription.next_attempt_at), col(WebhookSubscription.tried_at), now),
        free(col(WebhookSubscription.lease_until), LEASE, now),
        exists().where(col(WebhookDelivery.subscription_id) == col(WebhookSubscription.id), _waiting(now)),
    )
    with reading() as session:
        ids = session.exec(query).all()
    for subscription_id in ids:
        messages.enqueue(subscription_id)
    return len(ids)


def attempt(one: Try, now: datetime) -> Answer | AlmanacError:
    """Sign and send one message; no transaction is open here."""
    body = one.payload.encode()
    headers = {
        "content-type": "application/json",
        "accept-encoding": "identity",
        "webhook-id": one.message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": signatures(one.secrets, one.message_id, now, body),
    }
    try:
        return receivers.post(one.url, headers, body, get_settings())
    except (InvalidInput, ProviderUnavailable) as error:
        return error


def write_answer(row: WebhookDelivery, answer: Answer | AlmanacError, now: datetime) -> None:
    """Keep on a delivery what came of a try."""
    row.attempts += 1
    row.tried_at, row.first_tried_at = now, row.first_tried_at or now
    if isinstance(answer, Answer):
        row.answer_status, row.answer_body, row.answer_ms = answer.status, answer.body, answer.milliseconds
    else:
        row.answer_status, row.answer_body, row.answer_ms = 0, "", 0
    row.last_error = _reason(answer)
    if isinstance(answer, Answer) and answer.taken:
        row.state, row.delivered_at, row.next_attempt_at = DeliveryState.DELIVERED, now, None


def load(session: Session, number: int, now: datetime) -> Try:
    """A delivery with everything that sending it needs."""
    row = session.get_one(WebhookDelivery, number)
    message = session.get_one(WebhookMessage, row.message_id, options=WITH_PAYLOAD)
    subscription = session.get_one(WebhookSubscription, row.subscription_id, options=WITH_SECRETS)
    secrets = [subscription.secret]
    if subscription.previous_secret and subscription.previous_until and subscription.previous_until > now:
        secrets.append(subscription.previous_secret)
    return Try(number, message.id, subscription.url, tuple(secrets), message.payload)


def drop_waiting(session: Session, subscription_id: str) -> None:
    """The subscription stopped: what waits for it is not sent, unless somebody asks for it later."""
    waiting = update(WebhookDelivery).where(
        col(WebhookDelivery.subscription_id) == subscription_id,
        col(WebhookDelivery.state) == DeliveryState.WAITING,
    )
    session.execute(waiting.values(state=DeliveryState.DROPPED, next_attempt_at=None))


def locked(session: Session, subscription_id: str) -> WebhookSubscription | None:
    """The subscription's row, locked; bookings that add messages for it meanwhile do not wait."""
    query = select(WebhookSubscription).where(WebhookSubscription.id == subscription_id)
    query = query.with_for_update(key_share=True).execution_options(populate_existing=True)
    return session.exec(query).first()


def _reason(answer: Answer | AlmanacError) -> str:
    if isinstance(answer, AlmanacError):
        return answer.detail
    if answer.taken:
        return ""
    if answer.location and 300 <= answer.status < 400:
        return (
            f"It answered {answer.status} and sent us on to {answer.location}, where we do not follow: "
            "enter the address at which it is now."
        )
    return f"It answered {answer.status}."


def _waiting(now: datetime) -> ColumnElement[bool]:
    return (col(WebhookDelivery.state) == DeliveryState.WAITING) & due(
        col(WebhookDelivery.next_attempt_at), col(WebhookDelivery.tried_at), now
    )


def _claim(subscription_id: str, now: datetime) -> _Claim | None:
    with transaction() as session:
        row = locked(session, subscription_id)
        if row is None or row.state != SubscriptionState.ACTIVE:
            return None
        if not is_free(row.lease_until, LEASE, now) or not is_due(row.next_attempt_at, row.tried_at, now):
            return None
        row.fence += 1
        row.lease_until = now + LEASE
        session.add(row)
        return _Claim(row.id, row.workspace_id, row.fence)


def _next(claim: _Claim, now: datetime) -> Try | None:
    """The first message that may go out, while the subscription is active and the claim is ours: one that was never
    tried before one that was not taken, which may be at fault itself."""
    earlier = aliased(WebhookDelivery)
    blocked = exists().where(
        col(earlier.subscription_id) == claim.subscription_id,
        col(earlier.subject_id) == col(WebhookDelivery.subject_id),
        col(earlier.state) == DeliveryState.WAITING,
        col(earlier.number) < col(WebhookDelivery.number),
    )
    query = (
        select(WebhookDelivery.number)
        .join(WebhookSubscription, col(WebhookSubscription.id) == col(WebhookDelivery.subscription_id))
        .where(WebhookDelivery.subscription_id == claim.subscription_id, _waiting(now), ~blocked)
        .where(WebhookSubscription.state == SubscriptionState.ACTIVE)
        .where(WebhookSubscription.fence == claim.fence)
        .order_by(col(WebhookDelivery.attempts), col(WebhookDelivery.number))
        .limit(1)
    )
    with reading() as session:
        number = session.exec(query).first()
        return None if number is None else load(session, number, now)


def _has_due(subscription_id: str, now: datetime) -> bool:
    query = (
        select(WebhookDelivery.number)
        .join(WebhookSubscription, col(WebhookSubscription.id) == col(WebhookDelivery.subscription_id))
        .where(WebhookDelivery.subscription_id == subscription_id, _waiting(now))
        .where(WebhookSubscription.state == SubscriptionState.ACTIVE)
        .where(due(col(WebhookSubscription.next_attempt_at), col(WebhookSubscription.tried_at), now))
        .limit(1)
    )
    with reading() as session:
        return session.exec(query).first() is not None


def _release(claim: _Claim) -> None:
    mine = update(WebhookSubscription).where(
        col(WebhookSubscription.id) == claim.subscription_id, col(WebhookSubscription.fence) == claim.fence
    )
    with transaction() as session:
        session.execute(mine.values(lease_until=None))
        change_events.announce(session, claim.workspace_id, "webhooks")


def _record(claim: _Claim, number: int, answer: Answer | AlmanacError, now: datetime) -> bool:
    """Keep what came of a try; whether to go on. That a message was taken is recorded whoever has the claim by then,
    anything else only by its holder."""
    taken = isinstance(answer, Answer) and answer.taken
    with transaction() as session:
        subscription = locked(session, claim.subscription_id)
        row = session.get(WebhookDelivery, number, with_for_update=True)
        if subscription is None or row is None:
            return subscription is not None
        mine = subscription.fence == claim.fence
        if not taken and not (mine and row.state == DeliveryState.WAITING):
            return mine
        write_answer(row, answer, now)
        session.add(row)
        if not mine:
            return False
        if taken:
            _receiver_works(subscription, now)
        else:
            _receiver_fails(session, subscription, row, answer, now)
        session.add(subscription)
        return taken


def _receiver_works(row: WebhookSubscription, now: datetime) -> None:
    row.failures, row.failing_since, row.told_at = 0, None, None
    row.next_attempt_at = row.tried_at = None
    row.last_delivered_at, row.lease_until = now, now + LEASE


def _receiver_fails(
    session: Session,
    subscription: WebhookSubscription,
    row: WebhookDelivery,
    answer: Answer | AlmanacError,
    now: datetime,
) -> None:
    """Put the message and the subscription off, or stop it: at once if the receiver says so, else after three days."""
    if isinstance(answer, Answer) and answer.gone:
        row.state = DeliveryState.FAILED
        _stop(session, subscription, SubscriptionState.ENDED, "The receiver answered that it is gone (410).")
        emails.receiver_is_gone(session, subscription, now)
        return
    wished = answer.retry_after if isinstance(answer, Answer) else None
    asked = min(wished or 0.0, _MOST_RETRY_AFTER)
    chance = jitter(0.75, 1.25)
    row.next_attempt_at = _later(now, row.attempts, chance, asked)
    if row.first_tried_at is not None and now - row.first_tried_at >= RETRIED_FOR:
        row.state, row.next_attempt_at = DeliveryState.FAILED, None
    subscription.failures += 1
    since = subscription.failing_since = subscription.failing_since or now
    subscription.tried_at = now
    subscription.next_attempt_at = _later(now, subscription.failures, chance, asked)
    if now - since >= RETRIED_FOR:
        _stop(session, subscription, SubscriptionState.DISABLED, row.last_error)
        emails.receiver_is_disabled(session, subscription, since, row.last_error)
    elif now - since >= TOLD_AFTER and subscription.told_at is None:
        subscription.told_at = now
        emails.receiver_is_failing(session, subscription, since, row.last_error)


def _later(now: datetime, failures: int, chance: float, asked: float) -> datetime:
    """``asked``: seconds that the receiver wants, or 0."""
    return now + timedelta(seconds=max(retry_delay(failures, chance), asked + (chance if asked else 0.0)))


def _stop(session: Session, row: WebhookSubscription, state: SubscriptionState, reason: str) -> None:
    row.state, row.reason = state, reason
    session.flush()
    drop_waiting(session, row.id)
    audit_log.record(
        session,
        row.workspace_id,
        audit_log.Party.SYSTEM,
        f"webhook.{state}",
        "webhook",
        row.id,
        reason=reason,
    )
    log.warning("a webhook was stopped", extra={"webhook": row.id, "state": state.value})
