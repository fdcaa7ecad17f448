"""What the page of webhooks says of subscriptions and deliveries."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from calendar_app.services.webhooks.deliveries import DeliveryView
from calendar_app.services.webhooks.subscriptions import SubscriptionView
from calendar_app.ui.pages.webhooks.state import bodies, delivery_row, webhook_row

NOW = datetime(2026, 11, 18, 9, 0, tzinfo=UTC)
SUBSCRIPTION = SubscriptionView(
    id="w1",
    url="https://hooks.example/",
    description="CRM",
    events=("booking.created", "booking.cancelled"),
    state="active",
    reason="",
    waiting=0,
    failing_since=None,
    next_attempt_at=None,
    last_delivered_at=NOW,
    previous_secret_until=None,
    created_at=NOW,
    secret="whsec_never_shown",
)
DELIVERY = DeliveryView(
    id="d1",
    webhook_id="w1",
    message_id="m1",
    event="booking.created",
    subject_id="b1",
    state="delivered",
    attempts=1,
    created_at=NOW,
    tried_at=NOW,
    next_attempt_at=None,
    delivered_at=NOW,
    answer_status=200,
    answer_ms=12,
    last_error="",
    payload='{"data":{"name":"Zoë"}}',
    answer="ok",
)


def test_a_subscription_says_what_is_wrong() -> None:
    """Trouble is told while it lasts and when it has stopped the webhook; the secret is in no row."""
    assert webhook_row(SUBSCRIPTION).trouble == ""
    failing = replace(SUBSCRIPTION, failing_since=NOW, waiting=2)
    assert webhook_row(failing).trouble == "The last messages were not taken. We go on trying."
    assert webhook_row(failing).waiting == "2 messages wait"
    stopped = replace(failing, state="disabled", reason="It answered 500.")
    assert webhook_row(stopped).trouble == "It answered 500."
    assert "whsec" not in str(webhook_row(SUBSCRIPTION))


def test_a_delivery_says_what_was_answered() -> None:
    """The status and how long it took, the reason of a failure, and nothing of one that is sent again."""
    assert delivery_row(DELIVERY).answer == "Answered 200 in 12 ms"
    failed = replace(
        DELIVERY,
        state="waiting",
        attempts=3,
        answer_status=500,
        last_error="It answered 500.",
        next_attempt_at=NOW,
    )
    row = delivery_row(failed)
    assert (row.answer, row.tries, row.next_try) == ("It answered 500.", "3 tries", "2026-11-18T09:00:00Z")
    assert delivery_row(replace(failed, attempts=0)).answer == ""


def test_bodies_are_laid_out_for_reading() -> None:
    """JSON by lines with its letters as they are; the answer to the letter."""
    shown = bodies(DELIVERY)
    assert shown.payload == '{\n  "data": {\n    "name": "Zoë"\n  }\n}'
    assert (shown.answer, shown.result) == ("ok", "Answered 200 in 12 ms")
