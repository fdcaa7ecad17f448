"""What the bookings page remembers and does."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import reflex as rx

from calendar_app.clock import utc_now
from calendar_app.errors import AlmanacError
from calendar_app.services.bookings import queries as booking_queries
from calendar_app.services.bookings import transitions
from calendar_app.services.bookings.views import BookingView
from calendar_app.services.common.permissions import Actor
from calendar_app.services.event_types import queries as event_type_queries
from calendar_app.services.external_changes import queries as external_change_queries
from calendar_app.services.orders import queries as order_queries
from calendar_app.ui import live, notices
from calendar_app.ui.pages.bookings.opened import OpenBooking
from calendar_app.ui.pages.bookings.rows import BookingRow, as_row
from calendar_app.ui.reloading import keep
from calendar_app.ui.session import SessionState, acting, enter, note_pending

VIEWS = {
    "upcoming": ("pending", "confirmed"),
    "waiting": ("pending",),
    "past": ("pending", "confirmed", "completed", "no_show"),
    "cancelled": ("cancelled", "declined"),
    "given_up": (),
}
"""Which states each tab is about; ``given_up``, which has none, is about what a calendar does not take."""
LONGEST = timedelta(days=7)
"""No booking lasts longer, so what began before that is over."""


@dataclass
class Option:
    """A choice of a select."""

    id: str
    name: str


class BookingsState(rx.State):
    """The list as filtered."""

    loaded: bool = False
    error: str = ""
    view: str = "upcoming"
    query: str = ""
    kind: str = ""
    kinds: list[Option] = []  # noqa: RUF012 - Reflex copies defaults per session
    rows: list[BookingRow] = []  # noqa: RUF012
    has_orders: bool = False
    given_up: int = 0

    @rx.event
    async def load(self, zone: str, hour12: bool) -> None:
        """Show the list, then follow the workspace."""
        actor = await enter(self, zone, hour12)
        found = await asyncio.to_thread(event_type_queries.list_event_types, actor)
        self.kinds = [Option(view.id, view.title) for view in found]
        self.query = self.router.url.query_parameters.get("search", "")[:100]
        await self._open_from_address(actor)
        self.has_orders = bool((await asyncio.to_thread(order_queries.list_orders, actor, limit=1)).items)
        async with live.reading(self, actor.workspace_id):
            await self._read(actor)

    async def _open_from_address(self, actor: Actor) -> None:
        """``?booking=`` opens that booking, on the tab that lists it: links of e-mails and calendar events do."""
        wanted = self.router.url.query_parameters.get("booking", "")[:64]
        if not wanted:
            return
        try:
            found = await asyncio.to_thread(booking_queries.get, actor, wanted)
        except AlmanacError as error:
            self.error = error.detail
            return
        await (await self.get_state(OpenBooking)).open(actor, wanted)
        if found.status in VIEWS["cancelled"]:
            self.view = "cancelled"
        else:
            self.view = "upcoming" if found.status in VIEWS["upcoming"] and found.end > utc_now() else "past"

    @rx.event
    async def refresh(self) -> None:
        """Read again after a change."""
        actor = await acting(self)
        async with live.reading(self, actor.workspace_id):
            await self._read(actor)

    async def _read(self, actor: Actor) -> None:
        session = await self.get_state(SessionState)
        now = utc_now()
        try:
            found = await asyncio.to_thread(_listed, actor, self.view, self.query, self.kind or None, now)
            await note_pending(session, actor)
            self.given_up = await asyncio.to_thread(booking_queries.count_given_up, actor, now=now)
            odd = await asyncio.to_thread(
                external_change_queries.bookings_with_one, actor, [view.id for view in found]
            )
            self.rows = [
                as_row(view, session.zone, session.hour12, now, differs=view.id in odd) for view in found
            ]
            self.error = ""
        except AlmanacError as error:
            self.error = error.detail
        self.loaded = True

    @rx.event
    async def set_view(self, value: str | list[str]) -> None:
        """Choose which bookings are listed."""
        self.view = value if isinstance(value, str) and value in VIEWS else "upcoming"
        (await self.get_state(OpenBooking)).id = ""
        await self._read(await acting(self))

    @rx.event
    async def set_kind(self, value: str) -> None:
        """List only the bookings of one event type."""
        self.kind = value if any(option.id == value for option in self.kinds) else ""
        await self._read(await acting(self))

    @rx.event
    async def search(self, value: str) -> None:
        """List only what matches."""
        self.query = value[:100]
        await self._read(await acting(self))

    @rx.event
    async def retry_all(self) -> Any:
        """Bring everything that was given up back into the queue."""
        actor = await acting(self)
        try:
            await asyncio.to_thread(_retry_all, actor)
        except AlmanacError as error:
            return notices.error(error.detail)
        await self._read(actor)
        return notices.success("Trying again. The receipts follow by themselves.")


keep(BookingsState, "view", "query", "kind", then=BookingsState.refresh)


def _retry_all(actor: Actor) -> None:
    for view in booking_queries.list_bookings(actor, given_up=True, limit=booking_queries.MOST).items:
        transitions.retry_sync(actor, view.id)


def _listed(actor: Actor, which: str, search: str, kind: str | None, now: datetime) -> list[BookingView]:
    """The bookings of one tab; what goes on right now is still upcoming."""
    listed = partial(
        booking_queries.list_bookings,
        actor,
        status=VIEWS[which],
        search=search,
        event_type_id=kind,
        limit=booking_queries.MOST,
    )
    if which == "given_up":
        return list(listed(given_up=True).items)
    if which == "cancelled":
        return list(listed(newest_first=True).items)
    if which == "past":
        return [view for view in listed(end=now, newest_first=True).items if view.end <= now]
    return [view for view in listed(start=now - LONGEST).items if view.end > now]
