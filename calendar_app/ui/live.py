"""Open pages follow their workspace: a published change bumps a version that every page linked to it sees.

The shared state holds a number and nothing else; pages read again with their own rights. One listener per web process
hears every message; the version in the message lets several processes act on it once.
"""

from __future__ import annotations

import logging

import reflex as rx

from calendar_app.services import live as changes

log = logging.getLogger(__name__)


_followed: set[str] = set()
"""Workspaces that tabs of this process follow: whom to tell when it is unknown what was missed."""


class Live(rx.SharedState):
    """The version of one workspace; 0 before the page is linked."""

    version: int = 0


async def follow(state: rx.State, workspace_id: str) -> None:
    """Link this tab to a workspace whose membership has just been checked. Do slow reads before: it takes a lock."""
    _followed.add(workspace_id)
    live = await (await state.get_state(Live))._link_to(workspace_id)
    if not live.version:
        live.version = 1


async def keep(state: rx.State) -> None:
    """Touch the link, so that a shared state which Redis has forgotten is linked again."""
    await state.get_state(Live)


async def _bump(app: rx.App, workspace: str, version: int) -> None:
    with app.set_contexts():
        async with app.modify_state(rx.BaseStateToken(ident=workspace, cls=Live)) as root:
            live = await root.get_state(Live)
            if live.version != version:
                live.version = version


def register(app: rx.App) -> None:
    """Start the listener with each web process."""

    async def listen(app: rx.App) -> None:
        async for change in changes.listen():
            everywhere = change.workspace == changes.EVERYWHERE
            for workspace in list(_followed) if everywhere else [change.workspace]:
                try:
                    await _bump(app, workspace, change.version)
                except Exception:
                    log.exception("a change could not be pushed to the open pages")

    app.register_lifespan_task(listen)
