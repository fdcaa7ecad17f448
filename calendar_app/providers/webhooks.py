"""Telling other programs: one POST to an address that somebody typed, by the rules of
:mod:`calendar_app.providers.guard`.

Redirects are not followed: a receiver that moved says so with its new address, which its owner enters. Of an answer
only the beginning is read, for people to look at.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import httpx

from calendar_app.providers.guard import guarded_client
from calendar_app.providers.http import retry_after
from calendar_app.settings import Settings

TIMEOUT_S = 10.0
"""For a whole call: the look-up of the name, the connection and the answer."""
MAX_ANSWER = 4_096
"""Bytes of an answer that are kept."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a receiver said. ``body`` is its beginning; ``retry_after`` in seconds, where it asked for that."""

    status: int
    body: str
    milliseconds: int
    location: str
    retry_after: float | None

    @property
    def taken(self) -> bool:
        """Whether the receiver has the message: any 2xx, as Standard Webhooks has it."""
        return 200 <= self.status < 300

    @property
    def gone(self) -> bool:
        """Whether it wants no more: 410, as Standard Webhooks has it."""
        return self.status == 410


def post(
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    settings: Settings,
    *,
    timeout: float = TIMEOUT_S,
    transport: httpx.BaseTransport | None = None,
) -> Answer:
    """Send ``body``; every status is an answer. ``timeout`` in seconds; ``transport`` is a seam for tests.

    :raises InvalidInput: the address may not be called. :raises ProviderUnavailable: no answer, or none in time.
    """
    client = guarded_client(
        settings, timeout=timeout, max_bytes=MAX_ANSWER, transport=transport, redirects=0, cut=True
    )
    began = time.perf_counter()
    response = client.request("POST", url, headers=headers, content=body)
    return Answer(
        status=response.status_code,
        body=response.content.decode("utf-8", "replace").replace("\x00", "\ufffd"),
        milliseconds=round((time.perf_counter() - began) * 1000),
        location=response.headers.get("location", "")[:500],
        retry_after=retry_after(response),
    )
