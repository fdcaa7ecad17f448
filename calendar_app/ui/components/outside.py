"""The workspace's rule for what people do to bookings' events in their own calendar programs."""

from __future__ import annotations

import asyncio
from typing import Any

import reflex as rx

from calendar_app.errors import AlmanacError
from calendar_app.services.common.permissions import Role
from calendar_app.services.external_changes import resolve as external_change_resolve
from calendar_app.ui import notices
from calendar_app.ui.components.forms import field
from calendar_app.ui.session import acting
from calendar_app.ui.theme import space

MOVES = {
    "flag": "Show the difference, and let me decide",
    "reschedule": "Move the booking too, and tell the customer",
    "restore": "Put the event back",
}
DELETES = {
    "flag": "Show the difference, and let me decide",
    "cancel": "Cancel the booking, and tell the customer",
    "restore": "Put the event back",
}


class OutsideState(rx.State):
    """The rule as it stands; ``can_change``: the person may change it."""

    loaded: bool = False
    moves: str = "flag"
    deletes: str = "flag"
    can_change: bool = False

    @rx.event
    async def load(self) -> None:
        """Read the rule."""
        actor = await acting(self)
        if actor.role < Role.STAFF:
            return
        found = await asyncio.to_thread(external_change_resolve.policy, actor)
        self.moves, self.deletes = found.moves, found.deletes
        self.can_change, self.loaded = actor.role >= Role.ADMIN, True

    @rx.event
    async def set_moves(self, value: str) -> Any:
        """Choose what follows from a moved event."""
        return await self._change(moves=value)

    @rx.event
    async def set_deletes(self, value: str) -> Any:
        """Choose what follows from a deleted event."""
        return await self._change(deletes=value)

    async def _change(self, **wanted: str) -> Any:
        actor = await acting(self)
        try:
            found = await asyncio.to_thread(lambda: external_change_resolve.set_policy(actor, **wanted))
        except AlmanacError as error:
            return notices.error(error.detail)
        self.moves, self.deletes = found.moves, found.deletes
        return notices.success("Saved.")


def outside_rule() -> rx.Component:
    """Two selects; it reads the rule by itself when it appears."""
    return rx.card(
        rx.heading("When somebody changes a booking in their calendar", as_="h2", size="3"),
        rx.text(
            "Bookings stand as events in your calendars, where they can be moved and deleted like any other. "
            "Many deletions at once are never followed, only shown.",
            size="2",
            color_scheme="gray",
            margin_top=space(1),
            margin_bottom=space(3),
        ),
        rx.flex(
            _select(
                "outside-moves", "The event was moved", MOVES, OutsideState.moves, OutsideState.set_moves
            ),
            _select(
                "outside-deletes",
                "The event was deleted",
                DELETES,
                OutsideState.deletes,
                OutsideState.set_deletes,
            ),
            spacing="4",
            direction=rx.breakpoints(initial="column", sm="row"),
        ),
        on_mount=OutsideState.load,
        size="2",
        width="100%",
    )


def _select(key: str, label: str, options: dict[str, str], value: Any, on_change: Any) -> rx.Component:
    return field(
        label,
        rx.el.select(
            *(rx.el.option(text, value=name) for name, text in options.items()),
            id=key,
            value=value,
            on_change=on_change,
            disabled=~(OutsideState.loaded & OutsideState.can_change),
            class_name="select",
        ),
        for_=key,
    )
