"""Pages whose stored state is gone load themselves again, and what people chose and typed stays.

A stored state can go while its page stands: it expires after a day, Redis is emptied, or another server takes over.
Whatever the page sends then would meet a state of defaults, as if the person had chosen nothing. So each load has a
number, which goes with the state; an event of a page that was loaded is not carried out on a state without one. The
page hears of it, loads itself again, and hands in what it held of the variables that are kept (:func:`keep`): the
person could have set them all by hand, so they are as little trusted as any other event. What was typed into fields
and is in no state yet is put back by the browser, see ``browser.js``. All of that only for the session it belongs to.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any, get_type_hints

import reflex as rx
from pydantic import TypeAdapter, ValidationError
from reflex.app import App
from reflex.event import EventSpec
from reflex.middleware import Middleware
from reflex.state import BaseState, StateUpdate
from reflex_base.constants.state import FIELD_MARKER
from reflex_base.event import Event

from calendar_app.ui import notices
from calendar_app.ui.sealed import owner, session_digest


class NotLoaded(Exception):
    """The event met a state without a load: it waited in the browser for the connection, and the state went meanwhile.

    The page was told of that state when it connected, and is loading itself again.
    """


@dataclass(frozen=True, slots=True)
class Kept:
    """See :func:`keep`."""

    state: type[rx.State]
    names: tuple[str, ...]
    then: Any
    first: bool


SAID = "This page was loaded again. What you chose and typed is still here."

_loaded: set[str] = set()
"""The ids of the websockets, among those of this process, whose page was loaded over them."""
_kept: dict[str, Kept] = {}


class Loaded(rx.State):
    """``number`` of the page's load, empty in a state that was lost; ``restored`` is the number of the load after which
    what was kept was put back; ``owner`` stands for the session."""

    number: str = ""
    owner: str = ""
    restored: str = ""
    _again: bool = False

    @rx.event
    async def restore(self, owner: str, kept: dict[str, dict[str, Any]]) -> list[EventSpec]:
        """Put back what the page held before its state was lost, if it was the same session's."""
        self.restored = self.number
        if not self.number or owner != self.owner:
            return []
        known = [one for name, one in _kept.items() if name in kept]
        changed = [await self._put_back(one, kept[one.state.get_full_name()]) for one in known if one.first]
        if any(changed) and not self._again:
            self._again, self.number = True, ""  # what the page shows depends on it: load it once more
            return []
        self._again = False
        for one in known:
            if not one.first:
                await self._put_back(one, kept[one.state.get_full_name()])
        return [*(one.then for one in known if one.then is not None), notices.info(SAID)]

    async def _put_back(self, one: Kept, values: dict[str, Any]) -> bool:
        """Whether anything is different from before."""
        state = await self.get_state(one.state)
        different = False
        for name in one.names:
            try:
                value = _shape(one.state, name).validate_python(values[name])
            except (KeyError, ValidationError):
                continue  # from a page of another release
            different = different or getattr(state, name) != value
            setattr(state, name, value)
        return different

    @rx.event
    def beat(self) -> None:
        """Sent by pages that read nothing again by themselves: they learn whether their state is still there."""


@cache
def _shape(state: type[rx.State], name: str) -> TypeAdapter[Any]:
    return TypeAdapter(get_type_hints(state)[name])


def keep(state: type[rx.State], *names: str, then: Any = None, first: bool = False) -> None:
    """These variables of ``state`` are what the person has chosen or is at work on; ``then`` reads what follows from
    them. ``first``: every page shows something else with them."""
    _kept[state.get_full_name()] = Kept(state, names, then, first)


def kept(states: Iterable[type[rx.State]]) -> dict[str, dict[str, Any]]:
    """What a page holds of the variables that are kept, as its component hands it in."""
    return {
        state.get_full_name(): {name: getattr(state, name) for name in _kept[state.get_full_name()].names}
        for state in states
    }


async def note_load(state: rx.State) -> None:
    """The page is loaded; to be called by what loads it."""
    loaded = await state.get_state(Loaded)
    loaded.number = uuid.uuid4().hex
    loaded.owner = owner(session_digest(state.router.headers.cookie))
    _loaded.add(state.router.session.session_id)


async def check_loaded(state: rx.State) -> None:
    """:raises NotLoaded: nothing that the person chose is in this state."""
    if not (await state.get_state(Loaded)).number:
        raise NotLoaded


def forget(sid: str) -> None:
    """The websocket is closed."""
    _loaded.discard(sid)


class NotOnLostState(Middleware):
    """Keeps events of loaded pages from states of defaults."""

    async def preprocess(self, app: App, state: BaseState, event: Event) -> StateUpdate | None:
        """Instead of the event, the page is told that its state was lost."""
        sid = state.router.session.session_id
        if sid not in _loaded or (await state.get_state(Loaded)).number:
            return None
        _loaded.discard(sid)
        return StateUpdate(delta={Loaded.get_full_name(): {f"number{FIELD_MARKER}": ""}})
