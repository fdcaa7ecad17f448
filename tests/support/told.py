"""A business that tells a receiver what happens."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import col, select

from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import WebhookDelivery, WebhookSubscription
from calendar_app.domain.webhook import WebhookEvent
from calendar_app.services.common.permissions import Actor
from calendar_app.services.webhooks import messages, sending
from calendar_app.services.webhooks.subscriptions import SubscriptionView
from tests.support.receivers import Receiver


@dataclass(frozen=True, slots=True)
class Told:
    """A workspace's subscription to everything, and its receiver."""

    owner: Actor
    receiver: Receiver
    subscription: SubscriptionView

    def record(self, *subjects: str, event: WebhookEvent = WebhookEvent.BOOKING_CREATED) -> None:
        """Something happens to each subject, numbered from the first."""
        for number, subject in enumerate(subjects):
            with transaction() as session:
                data = {"subject": subject, "number": number}
                messages.record(session, self.owner.workspace_id, event, subject, lambda told=data: told)

    def send(self, now: datetime) -> int:
        return sending.send_due(self.subscription.id, now=now)

    def row(self) -> WebhookSubscription:
        with reading() as session:
            return session.get_one(WebhookSubscription, self.subscription.id)

    def deliveries(self) -> list[WebhookDelivery]:
        query = select(WebhookDelivery).where(WebhookDelivery.subscription_id == self.subscription.id)
        with reading() as session:
            return list(session.exec(query.order_by(col(WebhookDelivery.number))))

    def states(self) -> list[str]:
        return [row.state for row in self.deliveries()]

    def told(self) -> list[tuple[str, int]]:
        """What the receiver took, as (subject, number)."""
        data = [one.payload["data"] for one in self.receiver.taken]
        return [(one["subject"], one["number"]) for one in data]
