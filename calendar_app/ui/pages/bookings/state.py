"""What the bookings page remembers and does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import reflex as rx

from calendar_app.clock import utc_now
from calendar_app.errors import AlmanacError
from calendar_app.services.availability.slots import SlotsView
from calendar_app.services.bookings import queries as booking_queries
from calendar_app.services.bookings import reschedule as booking_reschedule
from calendar_app.services.bookings import reschedule_times, transitions
from calendar_app.services.bookings.queries import BookingView, HistoryView
from calendar_app.services.common.permissions import Actor
from calendar_app.services.event_types import queries as event_type_queries
from calendar_app.services.external_changes import queries as external_change_queries
from calendar_app.services.external_changes import resolve as external_change_resolve
from calendar_app.services.external_changes.queries import DeviationView
from calendar_app.services.orders import queries as order_queries
from calendar_app.ui import formats, live, notices
from calendar_app.ui.components.picker import Picker
from calendar_app.ui.pages.bookings.rows import BookingDetail, BookingRow, as_detail, as_row
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
SETTLED = {
    "follow": "Done: booking and calendar say the same. The customer is told by e-mail.",
    "restore": "The event is being put back.",
    "keep": "Kept as it is.",
}
LONGEST = timedelta(days=7)
"""No booking lasts longer, so what began before that is over."""


@dataclass
class Option:
    """A choice of a select."""

    id: str
    name: str


class BookingsState(rx.State):
    """The list as filtered, and the booking that is open. ``dialog``: ``cancel``, ``decline`` or empty."""

    loaded: bool = False
    error: str = ""
    view: str = "upcoming"
    query: str = ""
    kind: str = ""
    kinds: list[Option] = []  # noqa: RUF012 - Reflex copies defaults per session
    rows: list[BookingRow] = []  # noqa: RUF012
    open_id: str = ""
    detail: BookingDetail = BookingDetail()
    dialog: str = ""
    has_orders: bool = False
    given_up: int = 0

    @rx.event
    async def load(self, zone: str, hour12: bool) -> None:
        """Show the list, then follow the workspace."""
        actor = await enter(self, zone, hour12)
        found = await asyncio.to_thread(event_type_queries.list_event_types, actor)
        self.kinds = [Option(view.id, view.title) for view in found]
        self.dialog = ""
        self.query = self.router.url.query_parameters.get("search", "")[:100]
        self.has_orders = bool((await asyncio.to_thread(order_queries.list_orders, actor, limit=1)).items)
        async with live.reading(self, actor.workspace_id):
            await self._read(actor)

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
            if self.open_id:
                view, history, differences = await asyncio.to_thread(_opened, actor, self.open_id)
                self.detail = as_detail(view, history, session.zone, session.hour12, now, differences)
            self.error = ""
        except AlmanacError as error:
            self.error, self.open_id = error.detail, ""
        self.loaded = True

    @rx.event
    async def set_view(self, value: str | list[str]) -> None:
        """Choose which bookings are listed."""
        self.view = value if isinstance(value, str) and value in VIEWS else "upcoming"
        self.open_id = ""
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
    async def toggle(self, booking_id: str) -> None:
        """Open or close a booking's details."""
        self.open_id = "" if self.open_id == booking_id else booking_id
        self.dialog = ""
        await self._read(await acting(self))

    @rx.event
    def ask(self, dialog: str, is_open: bool) -> None:
        """Open or close one of the dialogs."""
        self.dialog = dialog if is_open else ""

    async def _do(self, work: Callable[[Actor], object], said: str) -> Any:
        """Do something with the open booking, and say how it went beside the list as it is afterwards."""
        self.dialog = ""
        actor = await acting(self)
        try:
            await asyncio.to_thread(work, actor)
        except AlmanacError as error:
            await self._read(actor)
            return notices.error(error.detail)
        await self._read(actor)
        return notices.success(said)

    @rx.event
    async def retry(self) -> Any:
        """Bring failed writes back into the queue."""
        return await self._do(
            lambda actor: transitions.retry_sync(actor, self.open_id),
            "Trying again. The receipt follows by itself.",
        )

    @rx.event
    async def retry_all(self) -> Any:
        """Bring everything that was given up back into the queue."""
        return await self._do(_retry_all, "Trying again. The receipts follow by themselves.")

    @rx.event
    async def approve(self) -> Any:
        """Confirm a booking that waits for approval."""
        return await self._do(
            lambda actor: transitions.confirm(actor, self.open_id),
            "Confirmed. It is being written into the calendars.",
        )

    @rx.event
    async def no_show(self) -> Any:
        """Mark that the customer did not come."""
        return await self._do(lambda actor: transitions.no_show(actor, self.open_id), "Marked as a no-show.")

    @rx.event
    async def settle(self, deviation_id: str, how: str) -> Any:
        """Settle a difference between the open booking and a calendar."""
        return await self._do(
            lambda actor: external_change_resolve.resolve(actor, deviation_id[:64], how),
            SETTLED.get(how, "Settled."),
        )

    @rx.event
    async def decline(self, form: dict[str, Any]) -> Any:
        """Refuse a booking that waits for approval."""
        reason = str(form.get("reason", ""))[:1_000]
        return await self._do(
            lambda actor: transitions.decline(actor, self.open_id, reason),
            "Declined. The time is free again.",
        )

    @rx.event
    async def cancel(self, form: dict[str, Any]) -> Any:
        """Cancel the open booking."""
        reason = str(form.get("reason", ""))[:1_000]
        return await self._do(
            lambda actor: transitions.cancel(actor, self.open_id, reason),
            "Cancelled. It is being taken out of the calendars.",
        )


keep(BookingsState, "view", "query", "kind", "open_id", "dialog", then=BookingsState.refresh)


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


def _opened(actor: Actor, booking_id: str) -> tuple[BookingView, list[HistoryView], list[DeviationView]]:
    return (
        booking_queries.get(actor, booking_id),
        booking_queries.history(actor, booking_id),
        external_change_queries.of_booking(actor, booking_id),
    )


class MoveState(Picker, rx.State):
    """The dialog in which staff choose another time for a booking; closed while ``booking_id`` is empty."""

    booking_id: str = ""
    chosen: str = ""
    chosen_text: str = ""
    error: str = ""

    async def _ask(self, start: datetime, end: datetime) -> SlotsView | None:
        actor = await acting(self)
        try:
            return await asyncio.to_thread(
                reschedule_times.slots, actor, self.booking_id, start, end, zone=self.zone
            )
        except AlmanacError as error:
            self.error = error.detail
            return None

    @rx.event
    async def toggle(self, booking_id: str, is_open: bool) -> None:
        """Open the dialog on a booking, or close it."""
        self.booking_id, self.chosen, self.error = booking_id if is_open else "", "", ""
        if is_open:
            session = await self.get_state(SessionState)
            self.zone, self.hour12 = session.zone, session.hour12
            await self._show_first_day()

    @rx.event
    def pick_slot(self, key: str) -> None:
        """Choose one of the free times."""
        if self._offered(key):
            self._choose(datetime.fromisoformat(key))

    @rx.event
    def pick_other(self, form: dict[str, Any]) -> None:
        """Choose any time at all: staff may leave working hours aside."""
        try:
            day, at = date.fromisoformat(str(form.get("day"))), time.fromisoformat(str(form.get("at")))
        except ValueError:
            self.error = "Please give a date and a time."
            return
        self._choose(datetime.combine(day, at, ZoneInfo(self.zone)))

    def _choose(self, start: datetime) -> None:
        start = start.astimezone(UTC)
        local = start.astimezone(ZoneInfo(self.zone))
        self.chosen, self.error = formats.rfc3339(start), ""
        self.chosen_text = (
            f"{formats.day(local.date())}, {formats.clock(start, self.zone, hour12=self.hour12)}, "
            f"{formats.zone_name(self.zone, start)}"
        )

    @rx.event
    def choose_again(self) -> None:
        """Back to the times."""
        self.chosen, self.error = "", ""

    @rx.event
    async def move(self) -> Any:
        """Move the booking to the chosen time."""
        actor = await acting(self)
        try:
            start = datetime.fromisoformat(self.chosen)
            await asyncio.to_thread(booking_reschedule.reschedule, actor, self.booking_id, start)
        except AlmanacError as error:
            await self._show_again()
            self.chosen, self.error = "", error.detail
            return None
        self.booking_id, self.chosen = "", ""
        return [BookingsState.refresh, notices.success("Rescheduled. The customer is told by e-mail.")]

    @rx.event
    async def show_month_again(self) -> None:
        """The month and day that were shown, if a booking is being moved."""
        if self.booking_id:
            await self._show_again()


keep(
    MoveState,
    "booking_id",
    "chosen",
    "chosen_text",
    "zone",
    "hour12",
    "month",
    "day",
    then=MoveState.show_month_again,
)
