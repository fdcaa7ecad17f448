"""How notifications reach their address, and which addresses Graph delivers to."""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

from calendar_app.sandbox.microsoft.error import GraphError

Json = dict[str, Any]

VALIDATION_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Reply:
    """What a notification address answered."""

    status: int
    kind: str = ""
    text: str = ""


Deliver = Callable[[str, Json | None], Awaitable[Reply]]
"""POSTs JSON, or for a handshake nothing, to an address. :raises httpx.HTTPError: no answer."""


class HttpDelivery:
    """Delivers over HTTP; one client for the life of the process."""

    def __init__(self) -> None:
        self._client: httpx.AsyncClient | None = None

    async def __call__(self, address: str, body: Json | None) -> Reply:
        if self._client is None:
            self._client = httpx.AsyncClient(timeout=VALIDATION_SECONDS, trust_env=False)
        if body is None:
            plain = {"Content-Type": "text/plain; charset=utf-8"}
            response = await self._client.post(address, content=b"", headers=plain)
        else:
            response = await self._client.post(address, json=body)
        return Reply(response.status_code, response.headers.get("content-type", ""), response.text)

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()
            self._client = None


def check_address(address: str) -> None:
    """:raises GraphError: 400 where Graph would not deliver there (plain http to loopback excepted)."""
    parts = urlsplit(address)
    host = parts.hostname or ""
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not host or (parts.scheme != "https" and not (parts.scheme == "http" and loopback)):
        raise invalid(f"The notification URL '{address}' must be an absolute HTTPS address.")


def invalid(message: str) -> GraphError:
    """Graph's refusal of what a subscription says."""
    return GraphError(400, "InvalidRequest", message)
