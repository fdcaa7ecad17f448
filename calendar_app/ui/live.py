"""Open pages follow their workspace: what changes appears by itself.

A published change reaches every web process, and each sends it to the pages whose sockets it holds
(:mod:`calendar_app.ui.following`), past Reflex's stored states: those are brought up to date when the page next sends
an event. So a page can meet an answer that was read before what was pushed to it; ``shown`` below ``told`` tells it to
read again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import reflex as rx
from reflex.constants import SocketEvent
from reflex_base.constants.state import FIELD_MARKER

from calendar_app.services.accounts import authentication
from calendar_app.services.common import change_events, viewers
from calendar_app.services.common.viewers import Seen
from calendar_app.ui.following import Delta, Following, Page, View
from calendar_app.ui.sealed import session_digest

PRUNE_EVERY_S = 60


class Live(rx.State):
    """How fresh a page is. ``shown``: the version that what it shows was read at; ``told``: the newest that it heard
    of, which is only ever pushed, so that a page with a new socket starts at 0."""

    told: int = 0
    shown: int = 0


class _Sockets:
    """The websockets of the running application."""

    app: rx.App | None = None

    def is_open(self, sid: str) -> bool:
        return bool(
            self.app
            and self.app.sio
            and self.app.event_namespace
            and self.app.sio.manager.is_connected(sid, self.app.event_namespace.namespace)
        )

    async def send(self, delta: Delta, sids: list[str]) -> None:
        if self.app is None or self.app.event_namespace is None:
            return
        update = rx.state.StateUpdate(delta={name: _marked(values) for name, values in delta.items()})
        await self.app.event_namespace.emit(str(SocketEvent.EVENT), update, to=sids)  # encoded once for all


_sockets = _Sockets()
_following = Following(_sockets, authentication.actors, Live.get_full_name())


@asynccontextmanager
async def reading(state: rx.State, workspace_id: str, view: View | None = None) -> AsyncIterator[None]:
    """Around whatever reads what a page shows, after the person's membership was checked: from here on the tab follows
    the workspace, and nothing else. With a ``view``, changes are sent to it; without, it is told to read again."""
    page = Page(session_digest(state.router.headers.cookie), workspace_id, view)
    version = _following.follow(state.router.session.session_id, page)
    yield
    (await state.get_state(Live)).shown = version


def _marked(values: dict[str, Any]) -> dict[str, Any]:
    return {name + FIELD_MARKER: value for name, value in values.items()}


def register(app: rx.App) -> None:
    """Start with each web process."""

    async def listen(app: rx.App) -> None:
        _sockets.app = app
        async for change in change_events.listen():
            _following.changed(change)

    async def prune() -> None:
        while True:
            await asyncio.sleep(PRUNE_EVERY_S)
            _following.prune()
            for workspace_id in _following.viewed():
                await asyncio.to_thread(viewers.looking_at, Seen.DASHBOARD, workspace_id)

    app.register_lifespan_task(listen)
    app.register_lifespan_task(prune)
