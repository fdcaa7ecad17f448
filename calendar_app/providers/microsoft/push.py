"""What Graph sends to our webhook (https://learn.microsoft.com/graph/change-notifications-delivery-webhooks).

``clientState`` comes back with every notification; ours is the channel's id and its secret, ``id.secret``, so that one
address serves all subscriptions. Lifecycle notifications (https://learn.microsoft.com/graph/change-notifications-lifecycle-events)
come to the same address.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Sequence
from typing import Any

from calendar_app.errors import InvalidInput
from calendar_app.providers.base import PushEcho, PushNotice, PushRequest, PushSignal

_MOST = 1000
"""Notifications of one request that are looked at; Graph batches far fewer."""
_LIFECYCLE = {
    "reauthorizationRequired": PushSignal.EXPIRING,
    "subscriptionRemoved": PushSignal.ENDED,
    "missed": PushSignal.MISSED,
}


def client_state(channel_id: str, secret: str) -> str:
    """What :func:`read_push` takes apart; Graph bears 128 characters."""
    return f"{channel_id}.{secret}"


def read_push(request: PushRequest) -> PushEcho | Sequence[PushNotice]:
    """The check of a new subscription's address, or one notice per channel and signal.

    :raises InvalidInput: it is neither.
    """
    if "validationToken" in request.query:
        return PushEcho(request.query["validationToken"])
    try:
        items = json.loads(request.body)["value"]
        if not isinstance(items, list):
            raise TypeError
    except (ValueError, KeyError, TypeError):
        raise InvalidInput("This is no notification of Microsoft's.") from None
    found: dict[tuple[str, PushSignal], PushNotice] = {}
    for item in items[:_MOST]:
        notice = _notice(item)
        found.setdefault((str(item["clientState"]), notice.signal), notice)
    return list(found.values())


def _notice(item: Any) -> PushNotice:
    state = item.get("clientState") if isinstance(item, dict) else None
    if not isinstance(state, str) or "." not in state:
        raise InvalidInput("This notification does not say which subscription it belongs to.")
    channel_id, _, sent = state.partition(".")
    signal = _LIFECYCLE.get(str(item.get("lifecycleEvent")), PushSignal.CHANGED)
    return PushNotice(
        channel_id,
        authentic=lambda secret: hmac.compare_digest(sent.encode("utf-8", "replace"), secret.encode()),
        signal=signal,
    )
