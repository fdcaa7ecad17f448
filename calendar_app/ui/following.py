"""The pages whose websockets this process holds: which workspace each shows, and what is sent when that changes.

What equal pages show is read once for all of them, encoded once, and written to their sockets; whether each of them
may still see it is asked of the database every time. Pages without a :class:`View` are told that there is something
newer, and read for themselves.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any, Protocol

from calendar_app.services.common.change_events import EVERYWHERE, Change
from calendar_app.services.common.permissions import Actor, Role

log = logging.getLogger(__name__)

TOGETHER_S = 0.01
"""How long a change waits for those of the same commit, which follow at once."""

Delta = dict[str, dict[str, Any]]
"""Values by variable by state, in the names of the wire."""


class View(Protocol):
    """What a page shows of its workspace, whoever looks. Equal ones must read the same; so they are hashable."""

    def concerns(self, viewer: Actor, change: Change) -> bool:
        """Whether ``viewer`` may see something else after this change."""

    def delta(self, viewer: Actor) -> Delta:
        """What ``viewer`` sees now; called in a thread."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page that follows a workspace; ``session`` is the digest of its browser's session."""

    session: str
    workspace: str
    view: View | None = None


class Sockets(Protocol):
    """The open websockets, by the id of their session."""

    def is_open(self, sid: str) -> bool: ...

    async def send(self, delta: Delta, sids: list[str]) -> None: ...


class Following:
    """Versions are this process's own count of changes: a page's socket never outlives the process that counts."""

    def __init__(
        self,
        sockets: Sockets,
        actors: Callable[[str, Collection[str]], dict[str, Actor]],
        live: str,
    ) -> None:
        """``actors(workspace, sessions)`` tells who may act there; ``live`` names the state of ``told``, ``shown``."""
        self._sockets, self._actors, self._live = sockets, actors, live
        self._pages: dict[str, dict[str, Page]] = {}
        self._homes: dict[str, str] = {}
        self._version = 1
        self._waiting: dict[str, set[Change]] = {}
        self._delivering: dict[str, asyncio.Task[None]] = {}

    def follow(self, sid: str, page: Page) -> int:
        """The socket now shows ``page`` and nothing else. Whatever is read next has at least the version returned."""
        self._forget([sid])
        self._homes[sid] = page.workspace
        self._pages.setdefault(page.workspace, {})[sid] = page
        return self._version

    def changed(self, change: Change) -> None:
        """Send what changed. Changes that come while one is being sent are sent together, once."""
        for place in list(self._pages) if change.workspace == EVERYWHERE else [change.workspace]:
            if place not in self._pages:
                continue
            self._version += 1
            self._waiting.setdefault(place, set()).add(change)
            if place not in self._delivering:
                self._delivering[place] = asyncio.create_task(self._deliver(place))

    def prune(self) -> int:
        """Forget pages whose sockets are closed; how many are left."""
        self._forget([sid for sid in self._homes if not self._sockets.is_open(sid)])
        return len(self._homes)

    def viewed(self) -> list[str]:
        """Workspaces of which an open page shows more than that something changed."""
        return [place for place, pages in self._pages.items() if any(page.view for page in pages.values())]

    async def settled(self) -> None:
        """Wait until everything that is known has been sent."""
        while self._delivering:
            await asyncio.gather(*self._delivering.values())

    def _forget(self, sids: Iterable[str]) -> None:
        for sid in sids:
            home = self._homes.pop(sid, None)
            if home is None:
                continue
            del self._pages[home][sid]
            if not self._pages[home]:
                del self._pages[home]

    async def _deliver(self, workspace: str) -> None:
        try:
            while workspace in self._waiting:
                await asyncio.sleep(TOGETHER_S)
                try:
                    await self._send(workspace, self._waiting.pop(workspace))
                except Exception:
                    log.exception("a change could not be sent to the open pages")
        finally:
            del self._delivering[workspace]

    async def _send(self, workspace: str, changes: set[Change]) -> None:
        version = self._version
        followers = self._pages.get(workspace, {})
        self._forget([sid for sid in followers if not self._sockets.is_open(sid)])
        pages = dict(self._pages.get(workspace, {}))
        if not pages:
            return
        try:
            alone = await self._send_views(workspace, pages, changes, version)
        except Exception:
            log.exception("a change could not be read for the open pages; each reads for itself")
            alone = list(pages)
        if alone:
            await self._sockets.send(self._told(version), alone)

    async def _send_views(
        self, workspace: str, pages: dict[str, Page], changes: set[Change], version: int
    ) -> list[str]:
        """Send to pages with a view. Returns the others, and those whose session ended: reading, they will learn it."""
        sessions = {page.session for page in pages.values() if page.view is not None}
        actors = await asyncio.to_thread(self._actors, workspace, sessions) if sessions else {}
        shared: dict[tuple[View, Actor], list[str]] = {}
        alone = []
        for sid, page in pages.items():
            actor = actors.get(page.session)
            if page.view is None or actor is None:
                alone.append(sid)
            elif _concerns(page.view, actor, changes):
                shared.setdefault((page.view, impersonal(actor)), []).append(sid)
        for (view, viewer), sids in shared.items():
            delta = await asyncio.to_thread(view.delta, viewer)
            # Whoever shows something else by now has read it since.
            same = [sid for sid in sids if self._pages.get(workspace, {}).get(sid) == pages[sid]]
            if same:
                await self._sockets.send(delta | self._told(version, shown=version), same)
        return alone

    def _told(self, version: int, **more: int) -> Delta:
        return {self._live: {"told": version, **more}}


def _concerns(view: View, viewer: Actor, changes: Iterable[Change]) -> bool:
    return any(change.workspace == EVERYWHERE or view.concerns(viewer, change) for change in changes)


def impersonal(actor: Actor) -> Actor:
    """Managers and above see everybody's, and all of them the same; whoever sees only their own stays who they are."""
    if actor.role < Role.MANAGER:
        return actor
    return replace(actor, person_id="", role=Role.MANAGER, email="", name="", timezone="UTC")
