"""Many open dashboards without as many browsers: each speaks over its websocket what the compiled page speaks.

An engine.io text frame per packet: hydrate in the CONNECT packet, then the events that the page sends when it stands,
and one whenever it was told of more than it shows (``Lifecycle`` in ``browser.js``). What arrives is searched for
titles, not rendered.
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
import uuid
from collections.abc import Coroutine, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any

import aiohttp
from reflex.constants import Reflex

from calendar_app.services.accounts.authentication import SESSION_COOKIE
from calendar_app.ui.live import Live
from calendar_app.ui.pages.dashboard.state import PATH, DashboardState

TITLE = re.compile(r"Change \d{4}")
LIVE = re.compile(re.escape(json.dumps(Live.get_full_name())) + r": ?(\{[^}]*\})")
LOADED = re.compile(r'"loaded_rx_state_": ?true')
NAMESPACE = "/_event,"


class Dashboard:
    """One open dashboard of the person whose session ``cookie`` is; ``seen`` says when which title first arrived."""

    def __init__(self, url: str, cookie: str) -> None:
        self._url, self._cookie, self._token = url, cookie, str(uuid.uuid4())
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._told = self._shown = self._asked = 0
        self.seen: dict[str, float] = {}
        self.packets = 0
        self.loaded = asyncio.Event()

    async def run(self, session: aiohttp.ClientSession) -> None:
        """Open the page and stay until cancelled."""
        address = f"{self._url}/_event/?EIO=4&transport=websocket&token={self._token}"
        headers = {"Cookie": f"{SESSION_COOKIE}={self._cookie}", "Origin": self._url}
        async with session.ws_connect(
            address, headers=headers, protocols=[Reflex.VERSION], max_msg_size=0
        ) as socket:
            self._socket = socket
            async for message in socket:
                if message.type is not aiohttp.WSMsgType.TEXT:
                    break
                await self._received(message.data)

    async def _received(self, packet: str) -> None:
        assert self._socket is not None
        if packet == "2":
            await self._socket.send_str("3")
        elif packet.startswith("0"):
            hydrate = self._event("reflex___state____state.hydrate_and_load")
            await self._socket.send_str(f"40{NAMESPACE}{json.dumps({'event': hydrate})}")
        elif packet.startswith(f"40{NAMESPACE}"):
            monday = datetime.now(UTC).date() - timedelta(days=datetime.now(UTC).weekday())
            await self._send("load", zone="Europe/Berlin", hour12=False)
            await self._send(
                "show_range", start=f"{monday}T00:00:00Z", end=f"{monday + timedelta(days=7)}T00:00:00Z"
            )
        elif packet.startswith(f"42{NAMESPACE}"):
            await self._updated(packet)

    async def _updated(self, packet: str) -> None:
        now = time.time() * 1000
        self.packets += 1
        for title in TITLE.findall(packet):
            self.seen.setdefault(title, now)
        if LOADED.search(packet):
            self.loaded.set()
        for found in LIVE.findall(packet):
            live = json.loads(found)
            self._told = live.get("told_rx_state_", self._told)
            self._shown = live.get("shown_rx_state_", self._shown)
        if self._shown and self._told > self._shown >= self._asked:
            self._asked = self._told
            await self.refresh()

    async def refresh(self) -> None:
        """Ask as the page does each minute."""
        await self._send("refresh")

    async def _send(self, handler: str, **payload: Any) -> None:
        assert self._socket is not None
        event = self._event(f"{DashboardState.get_full_name()}.{handler}", payload)
        await self._socket.send_str(f"42{NAMESPACE}{json.dumps(['event', event])}")

    def _event(self, name: str, payload: dict[str, Any] | None = None) -> dict[str, Any]:
        return {"name": name, "payload": payload or {}, "router_data": {"pathname": PATH, "asPath": PATH}}


class Dashboards:
    """Dashboards that are open while the block runs, in a thread with an event loop of its own."""

    def __init__(self, url: str, cookies: Sequence[str]) -> None:
        self._url, self._cookies = url, cookies
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._stop = asyncio.Event()
        self.all: list[Dashboard] = []

    def __enter__(self) -> Dashboards:
        self._thread.start()
        loaded: Future[None] = Future()
        self._running = self._submit(self._run(loaded))
        loaded.result(300)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._running.result(60)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def refresh(self) -> bool:
        """Have all of them read for themselves, at once; whether each was answered."""
        before = [dashboard.packets for dashboard in self.all]

        async def ask() -> None:
            await asyncio.gather(*(dashboard.refresh() for dashboard in self.all))

        self._submit(ask()).result(60)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if all(d.packets > had for d, had in zip(self.all, before, strict=True)):
                return True
            time.sleep(0.01)
        return False

    def _submit(self, work: Coroutine[Any, Any, None]) -> Future[None]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def _run(self, loaded: Future[None]) -> None:
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as session:
            tasks = []
            try:
                for cookie in self._cookies:
                    dashboard = Dashboard(self._url, cookie)
                    self.all.append(dashboard)
                    tasks.append(asyncio.create_task(dashboard.run(session)))
                    await asyncio.wait_for(dashboard.loaded.wait(), 60)
                loaded.set_result(None)
                await self._stop.wait()
            except (TimeoutError, aiohttp.ClientError) as error:
                loaded.set_exception(error)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
