"""What a team writes with RQ alone, to measure against: jobs that do nothing, post an event, or tell
another program something.

Nothing remembers what was meant to be written: a job that is lost, or done twice, is an event missing or there twice.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx
from standardwebhooks import Webhook

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # an example that everybody knows

_client = httpx.Client()


def nothing() -> None:
    """A job whose cost is the queue's and the worker's alone."""


def post_event(url: str, token: str, body: dict[str, Any]) -> None:
    """Insert an event and read it back, by Google's API at ``url`` (a calendar's collection of events)."""
    with httpx.Client(headers={"Authorization": f"Bearer {token}"}) as client:
        made = client.post(url, json=body).raise_for_status().json()
        client.get(f"{url}/{made['id']}").raise_for_status()


def post_webhook(url: str, message_id: str, payload: str) -> None:
    """Sign a message and send it, once."""
    at = datetime.now(UTC)
    headers = {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(SECRET).sign(message_id, at, payload),
    }
    _client.post(url, content=payload, headers=headers).raise_for_status()
