"""What other programs can be told of, and how they know that we said it (Standard Webhooks).

A message carries three headers: ``webhook-id``, the same for each try, by which a receiver that was told twice knows
it; ``webhook-timestamp``, the Unix second of the try; and ``webhook-signature``, HMAC-SHA256 over both and the body
(https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum

SECRET_PREFIX = "whsec_"  # noqa: S105  # of every secret, itself none
SECRET_BYTES = 32
"""Of a secret's key; the specification wants 24 to 64."""
PAYLOAD_VERSION = "1"
"""Rises when a receiver could no longer read payloads as they are documented; new fields do not raise it."""
RETRIED_FOR = timedelta(days=3)
"""How long a message is tried, and how long a receiver may take none before nothing is sent to it any more."""
TOLD_AFTER = timedelta(days=1)
"""How long a receiver takes no message before its owners are told."""
_FIRST_DELAY, _LONGEST_DELAY = 5.0, 3600.0


class WebhookEvent(StrEnum):
    """What happened. ``CREATED`` covers bookings that wait for approval, as their status says; ``CONFIRMED`` is the
    approval of such a one. ``TEST`` is sent when somebody asks for it, and never subscribed to."""

    BOOKING_CREATED = "booking.created"
    BOOKING_CONFIRMED = "booking.confirmed"
    BOOKING_DECLINED = "booking.declined"
    BOOKING_RESCHEDULED = "booking.rescheduled"
    BOOKING_CANCELLED = "booking.cancelled"
    BOOKING_NO_SHOW = "booking.no_show"
    BOOKING_COMPLETED = "booking.completed"
    ORDER_CONFIRMED = "order.confirmed"
    ORDER_CANCELLED = "order.cancelled"
    CALENDAR_WRITE_VERIFIED = "calendar_write.verified"
    CALENDAR_WRITE_FAILED = "calendar_write.failed"
    CONNECTION_NEEDS_RECONNECT = "connection.needs_reconnect"
    CONNECTION_RESTORED = "connection.restored"
    TEST = "webhook.test"


SUBSCRIBABLE = tuple(one for one in WebhookEvent if one is not WebhookEvent.TEST)


class SubscriptionState(StrEnum):
    """``ACTIVE``: told of everything. ``PAUSED``: by a person. ``ENDED``: the receiver answered 410. ``DISABLED``: the
    receiver took nothing for three days; what happens meanwhile is kept, to be sent when somebody asks for it."""

    ACTIVE = "active"
    PAUSED = "paused"
    ENDED = "ended"
    DISABLED = "disabled"


class DeliveryState(StrEnum):
    """``WAITING``: to be sent, or sent again. ``DELIVERED``: the receiver took it. ``FAILED``: given up after three
    days. ``DROPPED``: not sent, because the subscription stopped."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    FAILED = "failed"
    DROPPED = "dropped"


def signatures(secrets: Iterable[str], message_id: str, at: datetime, body: bytes) -> str:
    """The value of ``webhook-signature``: one signature for each secret, so that a receiver that knows any of them can
    check it. :raises ValueError: a secret is none."""
    signed = f"{message_id}.{int(at.timestamp())}.".encode() + body
    return " ".join(f"v1,{_signature(_key(secret), signed)}" for secret in secrets)


def retry_delay(failures: int, chance: float) -> float:
    """Seconds until the next try after ``failures`` tries in a row: doubling from five seconds to an hour. ``chance``
    (about 1) spreads what began together."""
    return min(_LONGEST_DELAY, _FIRST_DELAY * 2.0 ** min(failures - 1, 30)) * chance


def _signature(key: bytes, signed: bytes) -> str:
    return base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def _key(secret: str) -> bytes:
    try:
        return base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError("This is no webhook secret.") from error
