"""The booking that is open on a page, and what is done with it there: on the list of bookings and on the dashboard."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import reflex as rx

from calendar_app.clock import utc_now
from calendar_app.errors import AlmanacError
from calendar_app.services.bookings import queries as booking_queries
from calendar_app.services.bookings import transitions
from calendar_app.services.common.permissions import Actor
from calendar_app.services.external_changes import queries as external_change_queries
from calendar_app.services.external_changes import resolve as external_change_resolve
from calendar_app.ui import notices
from calendar_app.ui.pages.bookings.rows import BookingDetail, as_detail
from calendar_app.ui.reloading import keep
from calendar_app.ui.session import SessionState, acting

SETTLED = {
    "follow": "Done: booking and calendar say the same. The customer is told by email.",
    "restore": "The event is being put back.",
    "keep": "Kept as it is.",
}


class OpenBooking(rx.State):
    """The booking that is open; none while ``id`` is empty. ``dialog``: ``cancel``, ``decline`` or empty."""

    id: str = ""
    detail: BookingDetail = BookingDetail()
    dialog: str = ""

    @rx.event
    async def show(self, booking_id: str) -> Any:
        """Open a booking's details; an empty id closes them."""
        return await self.open(await acting(self), booking_id)

    @rx.event
    async def toggle(self, booking_id: str) -> Any:
        """Open or close a booking's details."""
        return await self.open(await acting(self), "" if self.id == booking_id else booking_id)

    @rx.event
    def close(self, is_open: bool) -> None:
        """Close the details, if ``is_open`` is false."""
        if not is_open:
            self.id, self.dialog = "", ""

    @rx.event
    async def refresh(self) -> Any:
        """Read again after a change."""
        return await self._read(await acting(self)) if self.id else None

    async def open(self, actor: Actor, booking_id: str) -> Any:
        """For handlers of other states; what it returns is theirs to return."""
        self.id, self.dialog = booking_id[:64], ""
        return await self._read(actor)

    async def _read(self, actor: Actor) -> Any:
        if not self.id:
            return None
        session = await self.get_state(SessionState)
        try:
            self.detail = await asyncio.to_thread(read_detail, actor, self.id, session.zone, session.hour12)
        except AlmanacError as error:
            self.id = ""
            return notices.error(error.detail)
        return None

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
            lambda actor: transitions.retry_sync(actor, self.id),
            "Trying again. The receipt follows by itself.",
        )

    @rx.event
    async def approve(self) -> Any:
        """Confirm a booking that waits for approval."""
        return await self._do(
            lambda actor: transitions.confirm(actor, self.id),
            "Confirmed. The customer is told by email.",
        )

    @rx.event
    async def no_show(self) -> Any:
        """Mark that the customer did not come."""
        return await self._do(lambda actor: transitions.no_show(actor, self.id), "Marked as a no-show.")

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
            lambda actor: transitions.decline(actor, self.id, reason),
            "Declined. The time is free again.",
        )

    @rx.event
    async def cancel(self, form: dict[str, Any]) -> Any:
        """Cancel the open booking."""
        reason = str(form.get("reason", ""))[:1_000]
        return await self._do(
            lambda actor: transitions.cancel(actor, self.id, reason),
            "Cancelled. The customer is told by email.",
        )


keep(OpenBooking, "id", "dialog", then=OpenBooking.refresh)


def read_detail(actor: Actor, booking_id: str, zone: str, hour12: bool) -> BookingDetail:
    """:raises NotFound: no such booking, or not the actor's to see."""
    return as_detail(
        booking_queries.get(actor, booking_id),
        booking_queries.history(actor, booking_id),
        zone,
        hour12,
        utc_now(),
        external_change_queries.of_booking(actor, booking_id),
    )
