"""Calendly's webhooks: which of them are believed.

Source: https://developer.calendly.com/api-docs/overview/webhooks/webhook-signatures
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Sequence

from calendar_app.clock import utc_now
from calendar_app.errors import InvalidInput
from calendar_app.providers.base import PushNotice, PushRequest
from calendar_app.settings import current_settings

REPLAY_WINDOW = 180
"""Seconds by which a webhook's time may differ from ours."""
LARGEST_PUSH = 256 * 1024
_SIGNATURE = re.compile("t=([0-9]{1,12}),v1=([0-9a-f]{64})")


def _present() -> float:
    return utc_now().timestamp()


def read_push(request: PushRequest, *, clock: Callable[[], float] = _present) -> Sequence[PushNotice]:
    """A webhook that names its channel in the address and proves itself by ``Calendly-Webhook-Signature``.

    ``t=<epoch seconds>,v1=<hex HMAC-SHA256 of "t.body">``, keyed with the channel's secret, or with the application's
    own signing key where an operator set it (``CALENDLY_WEBHOOK_KEY``). The page above says that an OAuth app has one
    key for all its webhooks, and not whether a subscription's own key still counts then: either is believed. A message
    that is older or newer than :data:`REPLAY_WINDOW` proves nothing, and the same message counts once.

    :raises InvalidInput: no channel, no signature, or too large to be a notification.
    """
    channel_id = request.query.get("channel", "")
    header = request.headers.get("calendly-webhook-signature", "")
    signed = _SIGNATURE.fullmatch(header)
    if not channel_id or signed is None or len(request.body) > LARGEST_PUSH:
        raise InvalidInput("This is no notification of Calendly's.")
    moment, given = signed.groups()
    fresh = abs(clock() - int(moment)) <= REPLAY_WINDOW

    def authentic(secret: str) -> bool:
        app_key = current_settings().calendly_webhook_key.get_secret_value()
        message = f"{moment}.".encode() + request.body
        return fresh and any(
            hmac.compare_digest(hmac.new(key.encode(), message, hashlib.sha256).hexdigest(), given)
            for key in (secret, app_key)
            if key
        )

    return [PushNotice(channel_id, authentic, once=f"{moment}.{given}")]
