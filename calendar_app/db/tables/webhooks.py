"""Which other programs are told what happens here, what they are told, and how far that is."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Column, Index
from sqlalchemy.orm import deferred, undefer_group
from sqlmodel import Field, SQLModel

from calendar_app.db.ids import new_id
from calendar_app.db.tables.columns import BIG_KEY, json, ref, row_id, text, when
from calendar_app.db.types import EncryptedText

_SECRET = Column("secret", EncryptedText, nullable=False)
_PREVIOUS_SECRET = Column("previous_secret", EncryptedText, nullable=True)
WITH_SECRETS = (undefer_group("secrets"),)
"""An option for queries that sign something; all others neither load nor decrypt secrets."""


class WebhookSubscription(SQLModel, table=True):
    """An address of another program, and the ``events`` (:class:`calendar_app.domain.webhook.WebhookEvent`) that are
    sent there.

    ``state`` is a :class:`calendar_app.domain.webhook.SubscriptionState`, ``reason`` says why it is no longer active.
    Until ``previous_until`` messages are signed with ``previous_secret`` too. ``failures`` tries in a row came to
    nothing, the first at ``failing_since``; ``told_at``: when its owners were told. Sending is leased work: see
    :class:`calendar_app.db.tables.outbound.CalendarWrite` for ``next_attempt_at`` and what follows it.
    """

    __tablename__ = "webhook_subscription"
    __mapper_args__: ClassVar[dict[str, Any]] = {
        "properties": {
            "secret": deferred(_SECRET, group="secrets"),
            "previous_secret": deferred(_PREVIOUS_SECRET, group="secrets"),
        }
    }
    __table_args__ = (Index("ix_webhook_subscription_due", "state", "next_attempt_at"),)
    id: str = row_id()
    workspace_id: str = ref("workspace.id")
    url: str = text()
    description: str = Field(default="", max_length=200)
    events: list[str] = json(list)
    secret: str = Field(sa_column=_SECRET)
    previous_secret: str | None = Field(default=None, sa_column=_PREVIOUS_SECRET)
    previous_until: datetime | None = when(nullable=True)
    state: str = Field(default="active", max_length=16)
    reason: str = text()
    failures: int = 0
    failing_since: datetime | None = when(nullable=True)
    told_at: datetime | None = when(nullable=True)
    last_delivered_at: datetime | None = when(nullable=True)
    next_attempt_at: datetime | None = when(nullable=True)
    tried_at: datetime | None = when(nullable=True)
    lease_until: datetime | None = when(nullable=True)
    fence: int = 0
    created_at: datetime = when()


_PAYLOAD = Column("payload", EncryptedText, nullable=False)
WITH_PAYLOAD = (undefer_group("payload"),)
"""As :data:`WITH_SECRETS`, for what is sent."""


class WebhookMessage(SQLModel, table=True):
    """Something that happened, as it is told: ``payload`` is the body that every receiver gets, encrypted because it
    holds customers' data and the links by which they change their bookings. ``id`` is the ``webhook-id``.

    ``subject_id``: what it is about (a booking's id, for one); messages about one subject are sent in their order.
    """

    __tablename__ = "webhook_message"
    __mapper_args__: ClassVar[dict[str, Any]] = {
        "properties": {"payload": deferred(_PAYLOAD, group="payload")}
    }
    __table_args__ = (Index("ix_webhook_message_workspace", "workspace_id", "created_at"),)
    id: str = row_id()
    workspace_id: str = ref("workspace.id", index=False)
    event: str = Field(max_length=64)
    subject_id: str = Field(max_length=32)
    payload: str = Field(sa_column=_PAYLOAD)
    created_at: datetime = when(index=True)


class WebhookDelivery(SQLModel, table=True):
    """One message on its way to one subscription. ``number`` rises in the order in which things happened to a subject.

    ``state`` is a :class:`calendar_app.domain.webhook.DeliveryState`. ``answer_status`` (0: none came), ``answer_body``
    (its beginning), ``answer_ms`` and ``last_error`` are of the last try. It is given up three days after
    ``first_tried_at``.
    """

    __tablename__ = "webhook_delivery"
    __table_args__ = (
        Index("ix_webhook_delivery_due", "subscription_id", "state", "attempts", "number"),
        Index("ix_webhook_delivery_subject", "subscription_id", "subject_id", "state", "number"),
    )
    number: int | None = Field(default=None, sa_column=Column(BIG_KEY, primary_key=True, autoincrement=True))
    id: str = Field(default_factory=new_id, max_length=26, unique=True)
    subscription_id: str = ref("webhook_subscription.id", index=False)
    message_id: str = ref("webhook_message.id")
    event: str = Field(max_length=64)
    subject_id: str = Field(max_length=32)
    state: str = Field(default="waiting", max_length=16)
    attempts: int = 0
    first_tried_at: datetime | None = when(nullable=True)
    tried_at: datetime | None = when(nullable=True)
    next_attempt_at: datetime | None = when(nullable=True)
    delivered_at: datetime | None = when(nullable=True)
    answer_status: int = 0
    answer_body: str = text()
    answer_ms: int = 0
    last_error: str = text()
    created_at: datetime = when(index=True)
