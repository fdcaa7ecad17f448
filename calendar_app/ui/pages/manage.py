"""``/manage/{token}``: what a customer can do with a booking, by the signed link from the confirmation."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import reflex as rx

from calendar_app.errors import AlmanacError, NotFound, SlotUnavailable
from calendar_app.services.availability.slots import SlotsView
from calendar_app.services.bookings import queries as booking_queries
from calendar_app.services.bookings import reschedule as booking_reschedule
from calendar_app.services.bookings import reschedule_times, transitions
from calendar_app.services.bookings.queries import BookingView
from calendar_app.services.event_types import queries as event_type_queries
from calendar_app.ui import formats
from calendar_app.ui.components.appointment import Appointment, add_links, appointment, facts
from calendar_app.ui.components.badges import status_badge
from calendar_app.ui.components.browser import zone_select
from calendar_app.ui.components.cancel import reason_dialog
from calendar_app.ui.components.feedback import error_callout, loading, success_callout
from calendar_app.ui.components.forms import field as labelled
from calendar_app.ui.components.picker import LONGEST_SEARCH_DAYS, Picker, month_view, times_view
from calendar_app.ui.layout import public_page
from calendar_app.ui.pages.not_found import nothing_here
from calendar_app.ui.theme import space

HOLDING = ("pending", "confirmed")
REFRESH_SECONDS = 60
TAKEN = "That time was just taken by somebody else. Your booking stands as it was: please pick another time."


class ManageState(Picker, rx.State):
    """The booking behind the link. ``stage``: ``loading``, ``missing``, ``ready``, ``move`` or ``sure``.

    ``limit`` says until when it can be changed here, or why it no longer can.
    """

    stage: str = "loading"
    booking: Appointment = Appointment()
    can_change: bool = False
    limit: str = ""
    asks_again: bool = False
    error: str = ""
    success: str = ""
    asking: bool = False
    chosen: str = ""
    chosen_text: str = ""
    chosen_zone: str = ""
    _kind: tuple[str, str] = ("", "")
    _minutes: int = 0

    @rx.event
    async def load(self, zone: str, hour12: bool) -> None:
        """Show the booking; a link that leads nowhere says nothing about what exists."""
        self.error, self.success, self.asking = "", "", False
        self.zone, self.hour12 = formats.known_zone(zone), hour12
        try:
            view = await asyncio.to_thread(booking_queries.by_token, self.booking_token)
        except NotFound:
            self.stage = "missing"
            return
        self._show(view)

    def _show(self, view: BookingView) -> None:
        now = datetime.now(UTC)
        self.booking = appointment(view, hour12=self.hour12)
        self._kind = view.workspace_slug, view.event_type_slug
        self._minutes = int((view.end - view.start).total_seconds()) // 60
        holds = view.status in HOLDING and now < view.start
        self.can_change = holds and now <= view.change_deadline
        self.limit = _limit(view, self.hour12) if holds else ""
        self.stage = "ready"

    @rx.event
    def ask(self, is_open: bool) -> None:
        """Open or close the question whether to cancel."""
        self.asking = is_open

    @rx.event
    async def cancel(self, form: dict[str, Any]) -> None:
        """Cancel the booking."""
        self.asking = False
        reason = str(form.get("reason", ""))[:1_000]
        try:
            view = await asyncio.to_thread(transitions.cancel_by_token, self.booking_token, reason)
        except AlmanacError as error:
            self.error = error.detail
            return
        self.error, self.success = "", "Your booking is cancelled. The time is free for others again."
        self._show(view)

    async def _ask(self, start: datetime, end: datetime) -> SlotsView | None:
        try:
            return await asyncio.to_thread(
                reschedule_times.slots_by_token, self.booking_token, start, end, zone=self.zone
            )
        except AlmanacError as error:
            self.error = error.detail
            return None

    @rx.event
    async def start_move(self) -> Any:
        """Show the times that the booking could go to."""
        self.error, self.success, self.chosen = "", "", ""
        self._horizon, self.asks_again = LONGEST_SEARCH_DAYS, False
        try:
            kind = await asyncio.to_thread(event_type_queries.public, *self._kind)
            self._horizon, self.asks_again = kind.horizon_days, kind.requires_approval
        except NotFound:
            pass
        if not await self._show_first_day():
            return None
        self.stage = "move"
        return rx.set_focus("step-title")

    @rx.event
    async def refresh(self) -> None:
        """Read the times again while somebody thinks."""
        if self.stage == "move":
            await self._show_again()

    @rx.event
    def pick_slot(self, key: str) -> Any:
        """Ask whether this time is meant."""
        if self.stage != "move" or not self._offered(key):
            return None
        start = datetime.fromisoformat(key)
        self.chosen, self.error = key, ""
        self.chosen_text = self._in_words(start, start + timedelta(minutes=self._minutes))
        self.chosen_zone = formats.zone_name(self.zone, start)
        self.stage = "sure"
        return rx.set_focus("sure-title")

    @rx.event
    async def back(self) -> None:
        """One step back: from the question to the times, from the times to the booking."""
        if self.stage == "sure":
            await self._show_again()
            self.stage = "move"
        elif self.stage == "move":
            self.stage, self.error = "ready", ""

    @rx.event
    async def move(self) -> Any:
        """Move the booking to the chosen time."""
        if self.stage != "sure":
            return None
        try:
            view = await asyncio.to_thread(
                booking_reschedule.reschedule_by_token,
                self.booking_token,
                datetime.fromisoformat(self.chosen),
                zone=self.zone,
            )
        except SlotUnavailable as error:
            await self._show_again()
            self.stage = "move"
            self.error = TAKEN if error.code == SlotUnavailable.code else error.detail
            return None
        except AlmanacError as error:
            self.stage, self.error = "ready", error.detail
            return None
        self.error = ""
        self.success = (
            "Your new time is requested. It is kept for you until the host has answered."
            if view.status == "pending"
            else "Your booking has moved to the new time."
        )
        self._show(view)
        return rx.set_focus("step-title")


def _limit(view: BookingView, hour12: bool) -> str:
    """Until when the customer may change the booking, in their zone."""
    if view.change_deadline == view.start:
        return ""
    zone = formats.known_zone(view.timezone)
    local = formats.day(view.change_deadline.astimezone(ZoneInfo(zone)).date())
    until = f"{local}, {formats.clock(view.change_deadline, zone, hour12=hour12)}"
    if datetime.now(UTC) <= view.change_deadline:
        return f"You can reschedule or cancel until {until}."
    return f"Rescheduling and cancelling were possible until {until}. Please contact the business."


def manage() -> rx.Component:
    return public_page(
        rx.match(
            ManageState.stage,
            ("loading", rx.box(loading(4), width="100%", max_width="34rem")),
            (
                "missing",
                nothing_here(
                    "No booking here",
                    "This link does not lead to a booking. Use the link from your confirmation.",
                ),
            ),
            ("ready", _booking()),
            _moving(),
        ),
        on_ready=ManageState.load,
        on_change=ManageState.refresh,
        seconds=REFRESH_SECONDS,
    )


def _booking() -> rx.Component:
    booking = ManageState.booking
    return rx.card(
        rx.flex(
            success_callout(ManageState.success),
            error_callout(ManageState.error),
            rx.flex(
                rx.heading("Your booking", as_="h1", size="6", id="step-title", tab_index=-1),
                status_badge(booking.status),
                spacing="3",
                align="center",
                wrap="wrap",
            ),
            facts(booking),
            rx.cond(
                booking.status == "pending",
                rx.text(
                    "The host has not answered yet. The time is kept for you until then.",
                    size="2",
                    color_scheme="gray",
                ),
            ),
            rx.cond(
                booking.status == "confirmed",
                rx.fragment(rx.separator(size="4"), add_links(booking)),
            ),
            rx.cond(
                ManageState.can_change | (ManageState.limit != ""),
                rx.fragment(
                    rx.separator(size="4"),
                    rx.cond(
                        ManageState.can_change,
                        rx.flex(
                            rx.button(
                                rx.icon("calendar-clock", size=16, aria_hidden="true"),
                                "Reschedule",
                                on_click=ManageState.start_move,
                            ),
                            reason_dialog(
                                "Cancel booking",
                                title="Cancel this booking?",
                                text="The time becomes free for others. This cannot be undone.",
                                is_open=ManageState.asking,
                                on_open_change=ManageState.ask,
                                on_submit=ManageState.cancel,
                                variant="outline",
                                color_scheme="red",
                            ),
                            spacing="3",
                            wrap="wrap",
                        ),
                    ),
                    rx.cond(
                        ManageState.limit != "", rx.text(ManageState.limit, size="2", color_scheme="gray")
                    ),
                ),
            ),
            direction="column",
            spacing="4",
        ),
        size="4",
        width="100%",
        max_width="34rem",
    )


def _moving() -> rx.Component:
    sure = ManageState.stage == "sure"
    return rx.el.div(
        rx.el.section(
            rx.heading("Choose a new time", as_="h1", size="6", id="step-title", tab_index=-1),
            rx.box(
                rx.text("Now it is", size="2", color_scheme="gray"),
                rx.text(ManageState.booking.title, size="2", weight="medium", class_name="wrap-anywhere"),
                rx.text(ManageState.booking.day, size="2"),
                rx.text(ManageState.booking.time, size="2", class_name="tabular"),
                rx.text(ManageState.booking.zone, size="1", color_scheme="gray"),
            ),
            rx.cond(
                ~sure,
                labelled(
                    "Time zone",
                    zone_select(
                        id="zone", value=ManageState.zone, on_change=ManageState.set_zone, label="Time zone"
                    ),
                    for_="zone",
                ),
            ),
            class_name="booking-about",
            aria_label="The booking",
        ),
        rx.cond(sure, _sure(), _times()),
        class_name="booking",
    )


def _times() -> rx.Component:
    return rx.box(
        rx.cond(ManageState.error != "", rx.box(error_callout(ManageState.error), padding=space(4))),
        rx.el.div(
            month_view(ManageState), times_view(ManageState, ManageState.pick_slot), class_name="booking-pick"
        ),
        rx.flex(
            rx.button(
                "Keep the present time",
                type="button",
                variant="soft",
                color_scheme="gray",
                on_click=ManageState.back,
            ),
            justify="end",
            padding="0 var(--space-5) var(--space-5)",
        ),
    )


def _sure() -> rx.Component:
    return rx.el.section(
        rx.heading(
            "Move it to this time?",
            as_="h2",
            size="5",
            id="sure-title",
            tab_index=-1,
            margin_bottom=space(4),
        ),
        rx.callout.root(
            rx.callout.icon(rx.icon("calendar-check", size=16, aria_hidden="true")),
            rx.box(
                rx.text(ManageState.chosen_text, size="3", weight="medium", class_name="tabular"),
                rx.text(ManageState.chosen_zone, size="2"),
            ),
        ),
        rx.cond(
            ManageState.asks_again | ManageState.stale_approval,
            rx.text(
                "The host has to approve the new time. Until then it is kept for you.",
                size="2",
                color_scheme="gray",
                margin_top=space(3),
            ),
        ),
        rx.flex(
            rx.button(
                "Back",
                type="button",
                variant="soft",
                color_scheme="gray",
                size="3",
                on_click=ManageState.back,
            ),
            rx.button("Confirm new time", type="button", size="3", on_click=ManageState.move),
            spacing="3",
            justify="end",
            margin_top=space(5),
        ),
        class_name="booking-form",
        aria_label="The new time",
    )
