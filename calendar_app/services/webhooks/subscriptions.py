"""Who is told what: made, changed and ended by the managers of a workspace."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func
from sqlmodel import Session, col, select

from calendar_app.db.session import clock, reading, transaction
from calendar_app.db.tables import WebhookDelivery, WebhookSubscription
from calendar_app.domain.intake import clean_text
from calendar_app.domain.webhook import (
    SECRET_BYTES,
    SECRET_PREFIX,
    SUBSCRIBABLE,
    DeliveryState,
    SubscriptionState,
)
from calendar_app.errors import Conflict, InvalidInput, NotFound
from calendar_app.providers.guard import check_typed_address
from calendar_app.services.common import audit_log, change_events
from calendar_app.services.common.permissions import Actor, Role
from calendar_app.services.webhooks import sending
from calendar_app.settings import get_settings

MOST = 20
"""Subscriptions of one workspace."""
OVERLAP = timedelta(days=1)
"""How long messages are signed with the secret before, too, once a new one was made."""
_CHOSEN = (SubscriptionState.ACTIVE, SubscriptionState.PAUSED)


@dataclass(frozen=True, slots=True)
class SubscriptionView:
    """``secret`` is told once, when it is made; ``reason`` says why nothing is sent any more. ``waiting`` messages have
    not been taken yet, the next try is at ``next_attempt_at`` at the earliest (``None``: at once)."""

    id: str
    url: str
    description: str
    events: tuple[str, ...]
    state: str
    reason: str
    waiting: int
    failing_since: datetime | None
    next_attempt_at: datetime | None
    last_delivered_at: datetime | None
    previous_secret_until: datetime | None
    created_at: datetime
    secret: str = ""


def list_subscriptions(actor: Actor) -> list[SubscriptionView]:
    """The workspace's, oldest first; at most :data:`MOST`. :raises Forbidden: managers and above only."""
    actor.require(Role.MANAGER)
    query = select(WebhookSubscription).where(WebhookSubscription.workspace_id == actor.workspace_id)
    with reading() as session:
        return _views(session, session.exec(query.order_by(col(WebhookSubscription.id))).all())


def get(actor: Actor, subscription_id: str) -> SubscriptionView:
    """:raises NotFound: none of this workspace."""
    with reading() as session:
        return _views(session, [owned(session, actor, subscription_id)])[0]


def create(actor: Actor, url: str, events: Collection[str], description: str = "") -> SubscriptionView:
    """A new subscription, with its secret.

    :raises InvalidInput: ``url`` may not be called, or an event is unknown. :raises Conflict: there are too many.
    """
    actor.require(Role.MANAGER)
    secret = _new_secret()
    row = WebhookSubscription(
        workspace_id=actor.workspace_id,
        url=_clean_url(url),
        description=clean_text(description, "description", 200),
        events=_clean_events(events),
        secret=secret,
    )
    with transaction() as session:
        here = select(func.count()).select_from(WebhookSubscription)
        if session.exec(here.where(WebhookSubscription.workspace_id == actor.workspace_id)).one() >= MOST:
            raise Conflict(f"A workspace has {MOST} webhooks at most.", code="too_many_webhooks")
        session.add(row)
        _note(session, actor, "created", row, events=list(row.events))
        session.flush()
        return _views(session, [row], secret)[0]


def change(
    actor: Actor,
    subscription_id: str,
    *,
    url: str | None = None,
    events: Collection[str] | None = None,
    description: str | None = None,
    state: str | None = None,
) -> SubscriptionView:
    """Change what is given. ``state``: ``paused``, by which what waits is dropped, or ``active``.

    :raises NotFound: none of this workspace. :raises InvalidInput: as :func:`create`, or another state.
    """
    actor.require(Role.MANAGER)
    address = None if url is None else _clean_url(url)  # before the transaction: a name may be looked up
    with transaction() as session:
        row = owned(session, actor, subscription_id, lock=True)
        changed = [
            name
            for name, value in (
                ("url", url),
                ("events", events),
                ("description", description),
                ("state", state),
            )
            if value is not None
        ]
        row.url = row.url if address is None else address
        row.events = row.events if events is None else _clean_events(events)
        if description is not None:
            row.description = clean_text(description, "description", 200)
        if state is not None:
            _set_state(session, row, state)
        session.add(row)
        _note(session, actor, "changed", row, fields=changed)
        session.flush()
        return _views(session, [row])[0]


def delete(actor: Actor, subscription_id: str) -> None:
    """End a subscription, and forget what was sent there. :raises NotFound: none of this workspace."""
    with transaction() as session:
        row = owned(session, actor, subscription_id, lock=True)
        _note(session, actor, "deleted", row)
        session.delete(row)


def rotate_secret(actor: Actor, subscription_id: str) -> SubscriptionView:
    """A new secret; for a day, messages carry a signature with the one before, too.

    :raises NotFound: none of this workspace.
    """
    secret = _new_secret()
    with transaction() as session:
        row = owned(session, actor, subscription_id, lock=True)
        session.refresh(row, ["secret"])
        row.previous_secret, row.previous_until = row.secret, clock(session) + OVERLAP
        row.secret = secret
        session.add(row)
        _note(session, actor, "secret_rotated", row)
        session.flush()
        return _views(session, [row], secret)[0]


def owned(session: Session, actor: Actor, subscription_id: str, *, lock: bool = False) -> WebhookSubscription:
    """The row, if it is of the actor's workspace. :raises NotFound: it is not. :raises Forbidden: managers only."""
    actor.require(Role.MANAGER)
    row = (
        sending.locked(session, subscription_id)
        if lock
        else session.get(WebhookSubscription, subscription_id)
    )
    if row is None or row.workspace_id != actor.workspace_id:
        raise NotFound("There is no such webhook.")
    return row


def _set_state(session: Session, row: WebhookSubscription, state: str) -> None:
    if state not in _CHOSEN:
        raise InvalidInput("A webhook can be active or paused.", field="state")
    if state == row.state:
        return
    row.state, row.reason = state, ""
    row.failures, row.failing_since, row.told_at = 0, None, None
    row.next_attempt_at = row.tried_at = None
    if state == SubscriptionState.PAUSED:
        session.flush()
        sending.drop_waiting(session, row.id)


def _clean_url(url: str) -> str:
    address = clean_text(url, "url", 2_000)
    try:
        check_typed_address(get_settings(), address)
    except InvalidInput as error:
        raise InvalidInput(error.detail, field="url", code=error.code) from None
    return address


def _clean_events(events: Collection[str]) -> list[str]:
    if not events:
        raise InvalidInput("Choose at least one event.", field="events")
    if unknown := set(events) - set(SUBSCRIBABLE):
        raise InvalidInput(f"{min(unknown)[:64]!r} is not an event that can be told.", field="events")
    return [one.value for one in SUBSCRIBABLE if one in events]


def _new_secret() -> str:
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def _note(
    session: Session, actor: Actor, action: str, row: WebhookSubscription, **detail: str | int | list[str]
) -> None:
    audit_log.record(session, row.workspace_id, actor, f"webhook.{action}", "webhook", row.id, **detail)
    change_events.announce(session, row.workspace_id, "webhooks")


def _views(session: Session, rows: Sequence[WebhookSubscription], secret: str = "") -> list[SubscriptionView]:
    query = (
        select(WebhookDelivery.subscription_id, func.count())
        .where(col(WebhookDelivery.subscription_id).in_([row.id for row in rows]))
        .where(WebhookDelivery.state == DeliveryState.WAITING)
        .group_by(col(WebhookDelivery.subscription_id))
    )
    waiting = dict(session.exec(query).all())
    return [
        SubscriptionView(
            id=row.id,
            url=row.url,
            description=row.description,
            events=tuple(row.events),
            state=row.state,
            reason=row.reason,
            waiting=waiting.get(row.id, 0),
            failing_since=row.failing_since,
            next_attempt_at=row.next_attempt_at,
            last_delivered_at=row.last_delivered_at,
            previous_secret_until=row.previous_until,
            created_at=row.created_at,
            secret=secret,
        )
        for row in rows
    ]
