"""``/orders``: what customers ordered together, line by line, and what became of each line."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import reflex as rx

from calendar_app.errors import AlmanacError
from calendar_app.services.common.permissions import Actor
from calendar_app.services.orders import commands as order_commands
from calendar_app.services.orders import queries as order_queries
from calendar_app.services.orders.queries import OrderPage, OrderView
from calendar_app.ui import formats, live, notices
from calendar_app.ui.components.badges import status_badge
from calendar_app.ui.components.cancel import reason_dialog
from calendar_app.ui.components.feedback import empty_state, error_callout, loading
from calendar_app.ui.layout import page, times_in
from calendar_app.ui.pages.bookings.rows import worst
from calendar_app.ui.reloading import keep
from calendar_app.ui.session import SessionState, acting, enter
from calendar_app.ui.theme import space

PATH = "/orders"
VIEWS = ("draft", "confirmed", "cancelled")
PAGE = 25


@dataclass
class LineRow:
    """An appointment of an order, at the time it has now. ``status`` and ``sync`` are empty before it is booked."""

    title: str
    when: str
    status: str = ""
    sync: str = ""


@dataclass
class OrderRow:
    """An order; ``find`` is the address of its bookings, empty while there are none."""

    id: str
    who: str
    email: str
    summary: str
    status: str
    find: str
    lines: list[LineRow] = field(default_factory=list)


def order_row(view: OrderView, zone: str, hour12: bool) -> OrderRow:
    """An order as the page shows it, in the viewer's zone."""
    booked = {booking.id: booking for booking in view.bookings}
    lines = []
    for line in view.lines:
        booking = booked.get(line.booking_id or "")
        start, end = (booking.start, booking.end) if booking else (line.start, line.end)
        when = f"{formats.day(_local(start, zone).date())}, {formats.span(start, end, zone, hour12=hour12)}"
        sync = worst([receipt.state for receipt in booking.sync]) if booking else ""
        lines.append(LineRow(line.title, when, booking.status if booking else "", sync))
    made = _local(view.created_at, zone)
    return OrderRow(
        id=view.id,
        who=view.name,
        email=view.email,
        summary=f"{formats.count(len(lines), 'appointment')}, ordered {made.day} {made:%b %Y}",
        status=view.status,
        find=f"/bookings?search={quote(view.email)}" if booked else "",
        lines=lines,
    )


def _local(at: datetime, zone: str) -> datetime:
    return at.astimezone(ZoneInfo(zone))


class OrdersState(rx.State):
    """The orders of one status or of all, as many as were asked for, and the one that is about to be cancelled."""

    loaded: bool = False
    error: str = ""
    view: str = ""
    rows: list[OrderRow] = []  # noqa: RUF012 - Reflex copies defaults per session
    more: bool = False
    asking: str = ""
    listed: int = PAGE

    @rx.event
    async def load(self, zone: str, hour12: bool) -> None:
        """Show the newest, then follow the workspace."""
        actor = await enter(self, zone, hour12)
        self.listed, self.asking = PAGE, ""
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
        try:
            found: OrderPage = await asyncio.to_thread(
                order_queries.list_orders, actor, status=[self.view] if self.view else (), limit=self.listed
            )
            self.rows = [order_row(view, session.zone, session.hour12) for view in found.items]
            self.more, self.error = found.next is not None and self.listed < order_queries.MOST, ""
        except AlmanacError as error:
            self.error = error.detail
        self.loaded = True

    @rx.event
    async def set_view(self, value: str | list[str]) -> None:
        """Choose which orders are listed."""
        self.view = value if isinstance(value, str) and value in VIEWS else ""
        self.listed = PAGE
        await self._read(await acting(self))

    @rx.event
    async def show_more(self) -> None:
        """List older ones, too."""
        self.listed = min(self.listed + PAGE, order_queries.MOST)
        await self._read(await acting(self))

    @rx.event
    def ask(self, order_id: str, is_open: bool) -> None:
        """Open or close the question before an order is cancelled."""
        self.asking = order_id[:64] if is_open else ""

    @rx.event
    async def confirm(self, order_id: str) -> Any:
        """Make every appointment of the order, or none."""
        return await self._do(
            lambda actor: order_commands.confirm(actor, order_id[:64]),
            "Confirmed. Every appointment is booked.",
        )

    @rx.event
    async def cancel(self, form: dict[str, Any]) -> Any:
        """Cancel the order with everything that is still to come of it."""
        order_id, self.asking = self.asking, ""
        reason = str(form.get("reason", ""))[:1_000]
        return await self._do(
            lambda actor: order_commands.cancel(actor, order_id, reason),
            "The order is cancelled with its appointments.",
        )

    async def _do(self, work: Callable[[Actor], object], said: str) -> Any:
        actor = await acting(self)
        try:
            await asyncio.to_thread(work, actor)
        except AlmanacError as error:
            await self._read(actor)
            return notices.error(error.detail)
        await self._read(actor)
        return notices.success(said)


keep(OrdersState, "view", "listed", "asking", then=OrdersState.refresh)


def _line(line: LineRow) -> rx.Component:
    return rx.el.li(
        rx.flex(
            rx.box(
                rx.text(line.title, size="2", class_name="wrap-anywhere"),
                rx.text(line.when, size="2", color_scheme="gray", class_name="tabular"),
                flex="1 1 12rem",
                min_width="0",
            ),
            rx.cond(line.status != "", status_badge(line.status)),
            rx.cond(line.sync != "", status_badge(line.sync)),
            spacing="2",
            align="center",
            wrap="wrap",
        )
    )


def _order(row: OrderRow) -> rx.Component:
    return rx.el.li(
        rx.flex(
            rx.box(
                rx.heading(row.who, as_="h2", size="3", class_name="wrap-anywhere"),
                rx.text(row.email, size="2", color_scheme="gray", class_name="wrap-anywhere"),
                rx.text(row.summary, size="2", color_scheme="gray"),
                flex="1 1 12rem",
                min_width="0",
            ),
            status_badge(row.status),
            _actions(row),
            spacing="3",
            align="center",
            wrap="wrap",
        ),
        rx.el.ol(
            rx.foreach(row.lines, _line), class_name="plain stack", style={"marginTop": "var(--space-3)"}
        ),
        style={"padding": "var(--space-4)"},
    )


def _actions(row: OrderRow) -> rx.Component:
    return rx.flex(
        rx.cond(
            row.find != "",
            rx.button(
                rx.el.a("Bookings", href=row.find),
                as_child=True,
                size="2",
                variant="soft",
                color_scheme="gray",
            ),
        ),
        rx.cond(row.status == "draft", rx.button("Confirm", size="2", on_click=OrdersState.confirm(row.id))),
        rx.cond(
            row.status != "cancelled",
            reason_dialog(
                "Cancel order",
                title="Cancel the order of " + row.who + "?",
                text="Every appointment of it that is still to come is cancelled, or none. The customer is told.",
                is_open=OrdersState.asking == row.id,
                on_open_change=lambda is_open: OrdersState.ask(row.id, is_open),
                on_submit=OrdersState.cancel,
                size="2",
                variant="outline",
                color_scheme="red",
            ),
        ),
        spacing="2",
        wrap="wrap",
    )


def orders() -> rx.Component:
    return page(
        "Orders",
        error_callout(OrdersState.error),
        rx.box(
            rx.segmented_control.root(
                rx.segmented_control.item("All", value="all"),
                *(rx.segmented_control.item(name.title(), value=name) for name in VIEWS),
                value=rx.cond(OrdersState.view == "", "all", OrdersState.view),
                on_change=OrdersState.set_view,
                aria_label="Which orders",
                size=rx.breakpoints(initial="1", sm="2"),
            ),
            max_width="100%",
            overflow_x="auto",
            margin_bottom=space(4),
        ),
        rx.cond(
            OrdersState.loaded,
            rx.cond(
                OrdersState.rows.length() > 0,
                rx.el.ul(rx.foreach(OrdersState.rows, _order), class_name="plain list"),
                empty_state(
                    "shopping-bag",
                    "No orders here",
                    "Appointments that are ordered together, through the HTTP API, appear here line by line.",
                ),
            ),
            loading(),
        ),
        rx.cond(
            OrdersState.more,
            rx.button("Show more", variant="soft", on_click=OrdersState.show_more, margin_top=space(4)),
        ),
        path="/bookings",
        on_ready=OrdersState.load,
        on_change=OrdersState.refresh,
        kept=(OrdersState,),
        lead=times_in("Appointments that customers made together. "),
        actions=rx.button(
            rx.el.a("Back to bookings", href="/bookings"), as_child=True, variant="soft", color_scheme="gray"
        ),
    )
