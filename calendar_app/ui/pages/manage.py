"""``/manage/{token}``: what a customer can do with a booking, by the signed link from the confirmation."""

from __future__ import annotations

import asyncio
from typing import Any

import reflex as rx

from calendar_app.errors import AlmanacError, NotFound
from calendar_app.services import bookings
from calendar_app.ui.components.appointment import Appointment, add_links, appointment, facts
from calendar_app.ui.components.badges import status_badge
from calendar_app.ui.components.feedback import error_callout, loading, success_callout
from calendar_app.ui.layout import public_page
from calendar_app.ui.pages.not_found import nothing_here
from calendar_app.ui.theme import space

HOLDING = ("pending", "confirmed")


class ManageState(rx.State):
    """The booking behind the link. ``stage``: ``loading``, ``missing`` or ``ready``."""

    stage: str = "loading"
    booking: Appointment = Appointment()
    can_cancel: bool = False
    error: str = ""
    success: str = ""
    hour12: bool = False
    asking: bool = False

    @rx.event
    async def load(self, zone: str, hour12: bool) -> None:
        """Show the booking; a link that leads nowhere says nothing about what exists."""
        self.error, self.success, self.hour12 = "", "", hour12
        try:
            view = await asyncio.to_thread(bookings.by_token, self.booking_token)
        except NotFound:
            self.stage = "missing"
            return
        self._show(view)

    def _show(self, view: Any) -> None:
        self.booking = appointment(view, hour12=self.hour12)
        self.can_cancel = view.status in HOLDING
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
            view = await asyncio.to_thread(bookings.cancel_by_token, self.booking_token, reason)
        except AlmanacError as error:
            self.error = error.detail
            return
        self.error, self.success = "", "Your booking is cancelled. The time is free for others again."
        self._show(view)


def _cancel_dialog() -> rx.Component:
    return rx.alert_dialog.root(
        rx.alert_dialog.trigger(rx.button("Cancel booking", variant="outline", color_scheme="red")),
        rx.alert_dialog.content(
            rx.alert_dialog.title("Cancel this booking?"),
            rx.alert_dialog.description("The time becomes free for others. This cannot be undone.", size="2"),
            rx.form(
                rx.el.label(
                    "Reason (optional)",
                    html_for="reason",
                    class_name="rt-Text rt-r-size-2 rt-r-weight-medium",
                ),
                rx.text_area(id="reason", name="reason", rows="3", max_length=1_000, margin_top=space(1)),
                rx.flex(
                    rx.alert_dialog.cancel(
                        rx.button("Keep it", type="button", variant="soft", color_scheme="gray")
                    ),
                    rx.button("Yes, cancel it", type="submit", color_scheme="red", high_contrast=True),
                    spacing="3",
                    justify="end",
                    margin_top=space(4),
                ),
                on_submit=ManageState.cancel,
                margin_top=space(4),
            ),
            max_width="28rem",
        ),
        open=ManageState.asking,
        on_open_change=ManageState.ask,
    )


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
            rx.card(
                rx.flex(
                    success_callout(ManageState.success),
                    error_callout(ManageState.error),
                    rx.flex(
                        rx.heading("Your booking", as_="h1", size="6"),
                        status_badge(ManageState.booking.status),
                        spacing="3",
                        align="center",
                        wrap="wrap",
                    ),
                    facts(ManageState.booking),
                    rx.cond(
                        ManageState.can_cancel,
                        rx.fragment(
                            rx.separator(size="4"),
                            rx.flex(
                                add_links(ManageState.booking),
                                _cancel_dialog(),
                                justify="between",
                                spacing="3",
                                wrap="wrap",
                            ),
                        ),
                    ),
                    direction="column",
                    spacing="4",
                ),
                size="4",
                width="100%",
                max_width="34rem",
            ),
        ),
        on_ready=ManageState.load,
    )
