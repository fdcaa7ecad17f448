"""Google's ``htmlLink``: ``?eid=`` holds the event's id and its calendar, in URL-safe base64 without padding."""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode


def selected_event(eid: str) -> str:
    """The event id in an ``eid``; empty for anything else."""
    try:
        return urlsafe_b64decode(eid + "=" * (-len(eid) % 4)).decode().partition(" ")[0]
    except (ValueError, binascii.Error):
        return ""
