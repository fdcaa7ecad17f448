"""What a team writes with RQ alone, to measure against: a job that does nothing, and one that posts an event.

Nothing remembers what was meant to be written: a job that is lost, or done twice, is an event missing or there twice.
"""

from __future__ import annotations

from typing import Any

import httpx


def nothing() -> None:
    """A job whose cost is the queue's and the worker's alone."""


def post_event(url: str, token: str, body: dict[str, Any]) -> None:
    """Insert an event and read it back, by Google's API at ``url`` (a calendar's collection of events)."""
    with httpx.Client(headers={"Authorization": f"Bearer {token}"}) as client:
        made = client.post(url, json=body).raise_for_status().json()
        client.get(f"{url}/{made['id']}").raise_for_status()
