"""The stored states of pages: whose they are is in their token; they end with the session they belong to."""

from __future__ import annotations

import asyncio
import logging
import uuid
from typing import Any

import reflex as rx
from reflex.app import EventNamespace
from reflex.istate.manager import StateManager
from reflex.istate.manager.redis import StateManagerRedis

from calendar_app.services.accounts import authentication
from calendar_app.services.accounts import sessions as browser_sessions
from calendar_app.ui import reloading
from calendar_app.ui.sealed import another, owner
from calendar_app.ui.sockets import OPEN

log = logging.getLogger(__name__)

CHECK_EVERY_S = 30
"""How long a page can stay open after its session when nobody could tell this process that it ended."""


class Pages(EventNamespace):
    """Reflex's end of the websockets. A second tab with the same token gets one of its own, of the same session."""

    async def link_token_to_sid(self, sid: str, token: str, *, update_state: bool = True) -> None:
        """Link the websocket to its stored state; the tab learns of another token."""
        if await self._token_manager.is_token_connected(token):
            token = another(token.partition("-")[0], uuid.uuid4().hex)
            await self.emit("new_token", token, to=sid)
        await super().link_token_to_sid(sid, token, update_state=update_state)

    def on_disconnect(self, sid: str) -> asyncio.Task[None] | None:
        """The websocket is closed."""
        reloading.forget(sid)
        return super().on_disconnect(sid)


async def forget(manager: StateManager, digest: str) -> None:
    """Delete what the tabs of a session kept, after whatever is at work with it."""
    for token in await _tokens(manager, owner(digest)):
        async with manager.modify_state(rx.BaseStateToken(ident=token, cls=rx.State)) as state:
            if isinstance(manager, StateManagerRedis):
                await manager.redis.delete(*(f"{token}_{name}" for name in _names(rx.State)))
            else:
                state.reset()


async def _tokens(manager: Any, mine: str) -> set[str]:
    """The tokens that begin with ``mine``."""
    if isinstance(manager, StateManagerRedis):
        found = [key.decode() async for key in manager.redis.scan_iter(match=f"{mine}-*", count=1_000)]
        return {key.partition("_")[0] for key in found}
    return {token for token in manager.states if token.startswith(f"{mine}-")}


def _names(state: type[rx.State]) -> list[str]:
    return [state.get_full_name(), *(name for one in state.get_substates() for name in _names(one))]


async def _check() -> None:
    """Close pages whose session ended without our being told."""
    sessions = OPEN.sessions() - {""}
    if not sessions:
        return
    try:
        OPEN.end(sessions - set(await asyncio.to_thread(authentication.living, sessions)))
    except Exception:
        log.exception("open pages were not checked for sessions that ended")


def register(app: rx.App) -> None:
    """Start with each web process; call it once the application is made."""
    assert app.sio is not None
    assert app.event_namespace is not None
    app._event_namespace = Pages(app.event_namespace.namespace, app)
    app.sio.register_namespace(app._event_namespace)
    app.add_middleware(reloading.NotOnLostState())

    async def listen() -> None:
        loop = asyncio.get_running_loop()
        browser_sessions.here.append(lambda ended: loop.call_soon_threadsafe(OPEN.end, ended))
        async for ended in browser_sessions.listen():
            if ended is None:
                await _check()
            else:
                OPEN.end(ended)

    async def check() -> None:
        while True:
            await asyncio.sleep(CHECK_EVERY_S)
            await _check()

    async def clear(app: rx.App) -> None:
        while True:
            digest = await OPEN.ended.get()
            try:
                await forget(app.state_manager, digest)
            except Exception:
                log.exception("stored state of a session that ended is left to expire")

    app.register_lifespan_task(listen)
    app.register_lifespan_task(check)
    app.register_lifespan_task(clear)
