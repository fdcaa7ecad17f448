"""The dialog in which staff choose another time for a booking."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import reflex as rx

from calendar_app.errors import AlmanacError
from calendar_app.services.availability.slots import SlotsView
from calendar_app.services.bookings import reschedule as booking_reschedule
from calendar_app.services.bookings import reschedule_times
from calendar_app.ui import formats, notices
from calendar_app.ui.components.picker import Picker
from calendar_app.ui.pages.bookings.opened import OpenBooking
from calendar_app.ui.reloading import keep
from calendar_app.ui.session import SessionState, acting


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
        return [OpenBooking.refresh, notices.success("Rescheduled. The customer is told by email.")]

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
