"""Taking Google's notifications apart (https://developers.google.com/workspace/calendar/api/guides/push)."""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence

from calendar_app.providers.base import PushNotice, PushRequest


def read_push(request: PushRequest) -> Sequence[PushNotice]:
    """All facts stand in ``X-Goog-*`` headers; the token is the one that ``watch`` was given.
    A message without a usable number cannot be told from a replay and counts as an old one."""
    channel_id = request.headers.get("x-goog-channel-id", "")
    token = request.headers.get("x-goog-channel-token", "")
    number = request.headers.get("x-goog-message-number", "")
    return [
        PushNotice(
            channel_id,
            authentic=lambda secret: hmac.compare_digest(token.encode(), secret.encode()),
            number=int(number) if re.fullmatch("[1-9][0-9]{0,18}", number) else -1,
        )
    ]
