"""How the stand-ins bring notices of changes to the addresses that were given to them."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

RETRY_AFTER_S = (0.2, 1.0, 3.0)
_TIMEOUT_S = 10.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reply:
    """What an address answered."""

    status: int
    kind: str = ""
    text: str = ""


Deliver = Callable[[str, Mapping[str, str], bytes], Awaitable[Reply]]
"""POSTs headers and a body to an address. :raises httpx.HTTPError: no answer."""
Push = Callable[[Callable[[], Awaitable[int]]], Awaitable[int]]
"""Sends a notice, or spoils it: takes what sends it, gives the receiver's status."""


class Delivery:
    """Sends in the background; what failed is sent again after each of the pauses ``retry_after`` (seconds).

    ``deliver`` stands for HTTP in tests; ``push`` stands between a notice and its address (fault switches).
    """

    def __init__(
        self,
        push: Push | None = None,
        deliver: Deliver | None = None,
        retry_after: tuple[float, ...] = RETRY_AFTER_S,
    ) -> None:
        self._push, self._deliver, self._retry_after = push, deliver or self._by_http, retry_after
        self._client: httpx.AsyncClient | None = None
        self._running: set[asyncio.Task[None]] = set()

    async def ask(self, address: str, headers: Mapping[str, str]) -> Reply:
        """POST nothing, past the fault switches. :raises httpx.HTTPError: no answer."""
        return await self._deliver(address, headers, b"")

    async def send(self, address: str, headers: Mapping[str, str], content: bytes = b"") -> int:
        """The receiver's status. :raises httpx.HTTPError: no answer."""

        async def sent() -> int:
            return (await self._deliver(address, headers, content)).status

        return await (self._push(sent) if self._push else sent())

    async def try_until(self, done: Callable[[], Awaitable[bool]]) -> bool:
        """Call ``done`` until it is true, as often as there are pauses and once more; whether it became true."""
        for pause in (*self._retry_after, None):
            try:
                if await done():
                    return True
            except httpx.HTTPError as error:
                _log.info("A notice was not taken: %s", type(error).__name__)
            if pause is not None:
                await asyncio.sleep(pause)
        return False

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Do ``work`` beside requests."""
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def close(self) -> None:
        """End what is still being delivered."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _by_http(self, address: str, headers: Mapping[str, str], content: bytes) -> Reply:
        if self._client is None:
            self._client = httpx.AsyncClient(timeout=_TIMEOUT_S, trust_env=False)
        response = await self._client.post(address, headers=headers, content=content)
        return Reply(response.status_code, response.headers.get("content-type", ""), response.text)


def may_receive(address: str) -> bool:
    """Whether a provider delivers there: to ``https`` only; plain ``http`` to loopback is allowed here, too."""
    parts = urlsplit(address)
    host = parts.hostname or ""
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and loopback))
