"""The websocket of a page, spoken as a browser's tab speaks it: Socket.IO 5 over Engine.IO 4, without a browser.

https://socket.io/docs/v4/socket-io-protocol/ and https://socket.io/docs/v4/engine-io-protocol/ name the packets.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

HYDRATE = "reflex___state____state.hydrate_and_load"
WITHIN_S = 60.0
"""How long an answer may take; it comes at once where nobody else needs the machine."""


class Tab:
    """An open websocket; ``heard`` is all that came over it."""

    def __init__(self, wire: aiohttp.ClientWebSocketResponse) -> None:
        self._wire = wire
        self.heard = ""

    async def send(self, name: str, path: str, **payload: Any) -> None:
        """An event, as a page at ``path`` sends it."""
        await self._wire.send_str(f"42/_event,{json.dumps(['event', event(name, path, **payload)])}")

    async def until(self, text: str) -> None:
        """Listen until ``text`` has come. :raises AssertionError: it does not come, or the websocket closes."""
        async with asyncio.timeout(WITHIN_S):
            while text not in self.heard:
                assert await self._listen(), f"the websocket closed before {text!r} came"

    async def until_closed(self) -> None:
        """Listen until the other side closes the websocket."""
        async with asyncio.timeout(WITHIN_S):
            while await self._listen():
                pass

    async def _listen(self) -> bool:
        message = await self._wire.receive()
        if message.type is not aiohttp.WSMsgType.TEXT:
            return False
        if message.data == "2":
            await self._wire.send_str("3")
        self.heard += message.data
        return True


def event(name: str, path: str, **payload: Any) -> dict[str, Any]:
    return {"name": name, "payload": payload, "router_data": {"pathname": path, "asPath": path}}


@asynccontextmanager
async def tab(url: str, token: str, cookie: str = "", path: str = "/") -> AsyncIterator[Tab]:
    """The websocket of a tab that keeps ``token``, once it has what is stored for it."""
    async with (
        aiohttp.ClientSession(headers={"Cookie": cookie} if cookie else {}) as client,
        client.ws_connect(f"{url}/_event/?EIO=4&transport=websocket&token={token}", max_msg_size=0) as wire,
    ):
        opened = Tab(wire)
        await opened.until("0{")
        await wire.send_str(f"40/_event,{json.dumps({'event': event(HYDRATE, path)})}")
        await opened.until('"is_hydrated')
        yield opened
