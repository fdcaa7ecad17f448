"""Outgoing webhooks over HTTP: which programs are told of what, and what became of it. For managers and above."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Literal, Self

from fastapi import Query, Response
from pydantic import BaseModel, Field

from calendar_app.api.deps import CurrentActor
from calendar_app.api.fields import Body, Instant, Key
from calendar_app.api.idempotency import Idempotent
from calendar_app.api.paging import After, Limit, cut
from calendar_app.api.problem_codes import fails
from calendar_app.api.routing import Router
from calendar_app.domain.webhook import DeliveryState, SubscriptionState, WebhookEvent
from calendar_app.services.webhooks import deliveries, subscriptions
from calendar_app.services.webhooks.deliveries import DeliveryView
from calendar_app.services.webhooks.subscriptions import SubscriptionView

router = Router(tags=["webhooks"])

Url = Annotated[str, Field(max_length=2_000, examples=["https://hooks.example.com/almanac"])]
Events = Annotated[
    list[WebhookEvent], Field(max_length=50, examples=[["booking.created", "booking.cancelled"]])
]


class WebhookIn(Body):
    """``url``: an address of the public internet, with https. ``events``: what is sent there."""

    url: Url
    events: Events
    description: str = Field(default="", max_length=200)


class WebhookPatch(Body):
    """What is given is changed. ``state``: ``paused`` drops what waits, ``active`` switches it on again."""

    url: Url | None = None
    events: Events | None = None
    description: str | None = Field(default=None, max_length=200)
    state: Literal["active", "paused"] | None = None


class WebhookOut(BaseModel):
    """A subscription. ``state``: ``active``, ``paused``, ``ended`` (the receiver answered 410) or ``disabled`` (it took
    nothing for three days), with the ``reason``. Messages are signed with the secret before, too, until
    ``previous_secret_until``."""

    id: str
    url: str
    description: str
    events: list[WebhookEvent]
    state: SubscriptionState
    reason: str
    waiting: int
    failing_since: datetime | None
    next_attempt_at: datetime | None
    last_delivered_at: datetime | None
    previous_secret_until: datetime | None
    created_at: datetime

    @classmethod
    def of(cls, view: SubscriptionView) -> Self:
        return cls.model_validate(asdict(view))


class WebhookWithSecret(WebhookOut):
    """``secret`` (``whsec_…``) is told in this answer and never again."""

    secret: str


class WebhookList(BaseModel):
    """Subscriptions, oldest first; a workspace has twenty at most."""

    items: list[WebhookOut]
    next: str | None = None


class DeliveryOut(BaseModel):
    """One message to one receiver. ``message_id`` is its ``webhook-id``, ``subject_id`` what it is about (a booking,
    an order or a connection); ``answer_status`` 0: no answer came."""

    id: str
    webhook_id: str
    message_id: str
    event: WebhookEvent
    subject_id: str
    state: DeliveryState
    attempts: int
    created_at: datetime
    tried_at: datetime | None
    next_attempt_at: datetime | None
    delivered_at: datetime | None
    answer_status: int
    answer_ms: int
    last_error: str

    @classmethod
    def of(cls, view: DeliveryView) -> Self:
        return cls.model_validate(asdict(view))


class DeliveryWithBodies(DeliveryOut):
    """``payload`` is the body that is sent, to the letter; ``answer`` the beginning of what was answered last."""

    payload: str
    answer: str


class DeliveryList(BaseModel):
    """Deliveries, latest first."""

    items: list[DeliveryOut]
    next: str | None


class ReplayIn(Body):
    """``since``: everything that happened at or after it is sent again, in its order."""

    since: Instant


class Replayed(BaseModel):
    """How many messages are sent again."""

    messages: int


@router.get("/webhooks")
def list_webhooks(actor: CurrentActor, limit: Limit = 100, after: After = None) -> WebhookList:
    """The workspace's subscriptions."""
    found, more = cut(subscriptions.list_subscriptions(actor), limit, after, lambda one: (one.id,))
    return WebhookList(items=[WebhookOut.of(one) for one in found], next=more)


@router.post(
    "/webhooks",
    status_code=201,
    response_model=WebhookWithSecret,
    responses=fails("address_refused", "too_many_webhooks"),
)
def create_webhook(actor: CurrentActor, body: WebhookIn, idempotent: Idempotent) -> Response:
    """Have a program told what happens. The answer has the secret that signs the messages."""

    def work() -> WebhookWithSecret:
        made = subscriptions.create(actor, body.url, body.events, body.description)
        return WebhookWithSecret.of(made)

    return idempotent.run(201, work)


@router.get("/webhooks/{webhook_id}")
def get_webhook(actor: CurrentActor, webhook_id: Key) -> WebhookOut:
    """One subscription."""
    return WebhookOut.of(subscriptions.get(actor, webhook_id))


@router.patch("/webhooks/{webhook_id}", responses=fails("address_refused"))
def change_webhook(actor: CurrentActor, webhook_id: Key, body: WebhookPatch) -> WebhookOut:
    """Change a subscription, pause it, or switch it on again."""
    return WebhookOut.of(
        subscriptions.change(
            actor,
            webhook_id,
            url=body.url,
            events=body.events,
            description=body.description,
            state=body.state,
        )
    )


@router.delete("/webhooks/{webhook_id}", status_code=204)
def delete_webhook(actor: CurrentActor, webhook_id: Key) -> None:
    """End a subscription, and forget what was sent there."""
    subscriptions.delete(actor, webhook_id)


@router.post("/webhooks/{webhook_id}/secret")
def rotate_webhook_secret(actor: CurrentActor, webhook_id: Key) -> WebhookWithSecret:
    """Make a new secret. For a day messages carry a signature with the one before, too."""
    return WebhookWithSecret.of(subscriptions.rotate_secret(actor, webhook_id))


@router.post("/webhooks/{webhook_id}/test")
def test_webhook(actor: CurrentActor, webhook_id: Key) -> DeliveryWithBodies:
    """Send a `webhook.test` now, once, and answer with what the receiver says."""
    return DeliveryWithBodies.of(deliveries.send_test(actor, webhook_id))


@router.get("/webhooks/{webhook_id}/deliveries")
def list_webhook_deliveries(
    actor: CurrentActor,
    webhook_id: Key,
    state: DeliveryState | None = None,
    event: WebhookEvent | None = None,
    subject_id: Annotated[Key, Query(description="What it is about: a booking, an order, a connection")] = "",
    limit: Limit = 50,
    after: After = None,
) -> DeliveryList:
    """What was sent there, or waits to be."""
    found = deliveries.list_deliveries(
        actor,
        webhook_id,
        state=state or "",
        event=event or "",
        subject_id=subject_id,
        limit=limit,
        after=after,
    )
    return DeliveryList(items=[DeliveryOut.of(one) for one in found.items], next=found.next)


@router.get("/webhooks/{webhook_id}/deliveries/{delivery_id}")
def get_webhook_delivery(actor: CurrentActor, webhook_id: Key, delivery_id: Key) -> DeliveryWithBodies:
    """One delivery with what was sent and answered."""
    return DeliveryWithBodies.of(deliveries.get(actor, webhook_id, delivery_id))


@router.post("/webhooks/{webhook_id}/deliveries/{delivery_id}/replay", responses=fails("webhook_not_active"))
def replay_webhook_delivery(actor: CurrentActor, webhook_id: Key, delivery_id: Key) -> DeliveryOut:
    """Send one message again; the receiver knows it by its `webhook-id`."""
    return DeliveryOut.of(deliveries.replay(actor, webhook_id, delivery_id))


@router.post("/webhooks/{webhook_id}/replay", responses=fails("webhook_not_active"))
def replay_webhook(actor: CurrentActor, webhook_id: Key, body: ReplayIn) -> Replayed:
    """Send everything again that happened since an instant, also while the webhook was switched off."""
    return Replayed(messages=deliveries.replay_since(actor, webhook_id, body.since))
