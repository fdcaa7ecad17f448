"""The open websockets of a web process, by the session that their browser came with: they close when that ends."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection
from datetime import datetime

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from calendar_app.clock import utc_now
from calendar_app.services.accounts import authentication
from calendar_app.ui.sealed import REFLEX, bound_headers, bound_query, digest_in, sealed

_GONE: Message = {"type": "websocket.disconnect", "code": 1006}
_POLICY_VIOLATION = 1008
"""RFC 6455 §7.4.1. A page whose connection is closed like this connects again by itself, with the cookie it has now."""

Living = Callable[[Collection[str]], dict[str, datetime]]
"""Which of these sessions, given by their digests, are alive, and when they expire; called in a thread."""


class Line:
    """One websocket, which this side can end: nothing is read from it or written to it any more."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send
        self._accepted = False
        self._over = asyncio.Event()

    def end(self) -> None:
        """Close the websocket."""
        self._over.set()

    async def receive(self) -> Message:
        """The next message, or that the other side is gone."""
        if not self._accepted:
            return await self._receive()
        heard = asyncio.ensure_future(self._receive())
        over = asyncio.ensure_future(self._over.wait())
        try:
            await asyncio.wait((heard, over), return_when=asyncio.FIRST_COMPLETED)
            if not self._over.is_set():
                return heard.result()
        finally:
            over.cancel()
            heard.cancel()
        with contextlib.suppress(Exception):  # the other side may have closed it at the same time
            await self._send({"type": "websocket.close", "code": _POLICY_VIOLATION})
        return _GONE

    async def send(self, message: Message) -> None:
        """Hand on a message, unless the websocket has ended."""
        if self._accepted and self._over.is_set():
            return
        self._accepted = self._accepted or message["type"] == "websocket.accept"
        await self._send(message)


class OpenSockets:
    """Used in the event loop only. ``ended`` holds the digests of sessions whose stored state is to be deleted."""

    def __init__(self) -> None:
        self._lines: dict[str, set[Line]] = {}
        self.ended: asyncio.Queue[str] = asyncio.Queue()

    def sessions(self) -> set[str]:
        """The digests of the sessions that have a page open here."""
        return set(self._lines)

    def add(self, digest: str, line: Line) -> None:
        self._lines.setdefault(digest, set()).add(line)

    def remove(self, digest: str, line: Line) -> None:
        self._lines.get(digest, set()).discard(line)
        if not self._lines.get(digest):
            self._lines.pop(digest, None)

    def end(self, digests: Collection[str]) -> None:
        """Close the websockets of sessions that have ended."""
        for digest in digests:
            for line in self._lines.get(digest, ()):
                line.end()
            self.ended.put_nowait(digest)


OPEN = OpenSockets()
"""Those of this process."""


class SealedSockets:
    """ASGI middleware before Reflex: see :mod:`calendar_app.ui.sealed`. Other requests pass as they are."""

    def __init__(
        self, app: ASGIApp, sockets: OpenSockets = OPEN, living: Living = authentication.living
    ) -> None:
        self.app, self._sockets, self._living = app, sockets, living

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._connect({**scope, "headers": sealed(scope["headers"])}, receive, send)
        elif scope["type"] == "http" and scope["path"].startswith(REFLEX):
            headers = sealed(scope["headers"])
            digest, _ = await self._alive(digest_in(headers))
            scope = {**scope, "headers": bound_headers(headers, digest)}
            await self.app(
                {**scope, "query_string": bound_query(scope.get("query_string", b""), digest)}, receive, send
            )
        else:
            await self.app(scope, receive, send)

    async def _connect(self, scope: Scope, receive: Receive, send: Send) -> None:
        digest = digest_in(scope["headers"])
        line = Line(receive, send)
        # Known before its session is looked up: whatever ends from now on closes it.
        self._sockets.add(digest, line)
        timer = None
        try:
            alive, left_s = await self._alive(digest)
            if alive:
                timer = asyncio.get_running_loop().call_later(left_s, self._sockets.end, [digest])
            else:
                self._sockets.remove(digest, line)
            query = bound_query(scope.get("query_string", b""), alive)
            await self.app({**scope, "query_string": query}, line.receive, line.send)
        finally:
            if timer is not None:
                timer.cancel()
            self._sockets.remove(digest, line)

    async def _alive(self, digest: str) -> tuple[str, float]:
        """``digest``, empty if its session has ended, and the seconds that it has left."""
        found = await asyncio.to_thread(self._living, [digest]) if digest else {}
        if digest not in found:
            return "", 0.0
        return digest, (found[digest] - utc_now()).total_seconds()
