"""``/bookings``: who is coming, and the receipt of each booking in each calendar."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import reflex as rx

from calendar_app.errors import AlmanacError
from calendar_app.services import booking_views
from calendar_app.services import bookings as service
from calendar_app.services.booking_views import BookingView
from calendar_app.services.roles import Actor
from calendar_app.ui import formats, live, notices
from calendar_app.ui.components import plain
from calendar_app.ui.components.badges import provider_icon, status_badge
from calendar_app.ui.components.browser import ago
from calendar_app.ui.components.feedback import empty_state, error_callout, loading
from calendar_app.ui.layout import page
from calendar_app.ui.session import SessionState, acting, enter
from calendar_app.ui.theme import space

PATH = "/bookings"
VIEWS = ("upcoming", "past", "cancelled")
LONGEST = timedelta(days=7)
"""No booking lasts longer, so what began before that is over."""
HOLDING = ("pending", "confirmed")


@dataclass
class Receipt:
    """How far one calendar has come with the booking; ``verified_at`` is RFC 3339 or empty."""

    calendar: str
    provider: str
    state: str
    attempts: str
    error: str
    verified_at: str
    html_link: str


@dataclass
class BookingRow:
    """A booking in the list."""

    id: str
    title: str
    who: str
    day: str
    time: str
    status: str
    sync: str


@dataclass
class Fact:
    """A line of the details."""

    label: str
    value: str


@dataclass
class BookingDetail:
    """The booking that is open."""

    id: str = ""
    can_cancel: bool = False
    can_approve: bool = False
    can_retry: bool = False
    manage_url: str = ""
    facts: list[Fact] = field(default_factory=list)
    receipts: list[Receipt] = field(default_factory=list)


def worst(states: list[str]) -> str:
    """The state that stands for all calendars of a booking: the one that needs most attention."""
    return next(
        (state for state in ("failed", "queued", "written", "verified", "removed") if state in states), ""
    )


def as_row(view: BookingView, zone: str, hour12: bool, now: datetime) -> BookingRow:
    day = view.start.astimezone(ZoneInfo(zone)).date()
    today = now.astimezone(ZoneInfo(zone)).date()
    return BookingRow(
        id=view.id,
        title=view.title,
        who=view.name,
        day=formats.relative_day(day, today),
        time=formats.span(view.start, view.end, zone, hour12=hour12),
        status=view.status,
        sync=worst([receipt.state for receipt in view.sync]),
    )


def as_detail(view: BookingView, zone: str, hour12: bool) -> BookingDetail:
    their_zone = formats.known_zone(view.timezone)
    theirs = formats.span(view.start, view.end, their_zone, hour12=hour12)
    facts = [
        Fact("Customer", view.name),
        Fact("E-mail", view.email),
        Fact("Customer’s time", f"{theirs}, {formats.zone_name(their_zone, view.start)}"),
        Fact("Host", ", ".join(host.name for host in view.hosts)),
    ]
    facts += [Fact("Location", view.location)] if view.location else []
    facts += [Fact(question, answer) for question, answer in view.answers_in_words]
    facts += [Fact("Reason", view.cancel_reason)] if view.cancel_reason else []
    receipts = [
        Receipt(
            calendar=receipt.calendar,
            provider=receipt.provider,
            state=receipt.state,
            attempts=formats.count(receipt.attempts, "attempt"),
            error=receipt.last_error or "",
            verified_at=formats.rfc3339(receipt.verified_at),
            html_link=receipt.html_link or "",
        )
        for receipt in view.sync
    ]
    return BookingDetail(
        id=view.id,
        can_cancel=view.status in HOLDING,
        can_approve=view.status == "pending",
        can_retry=any(receipt.state == "failed" for receipt in receipts),
        manage_url=view.manage_url,
        facts=facts,
        receipts=receipts,
    )


class BookingsState(rx.State):
    """The list as filtered, and the booking that is open."""

    loaded: bool = False
    error: str = ""
    view: str = "upcoming"
    query: str = ""
    rows: list[BookingRow] = []  # noqa: RUF012 - Reflex copies defaults per session
    open_id: str = ""
    detail: BookingDetail = BookingDetail()
    asking: bool = False

    @rx.event
    async def load(self, zone: str, hour12: bool) -> None:
        """Show the list, then follow the workspace."""
        actor = await enter(self, zone, hour12)
        await self._read(actor)
        await live.follow(self, actor.workspace_id)

    @rx.event
    async def refresh(self) -> None:
        """Read again after a change."""
        await self._read(await acting(self))
        await live.keep(self)

    async def _read(self, actor: Actor) -> None:
        session = await self.get_state(SessionState)
        now = datetime.now(UTC)
        try:
            found = await asyncio.to_thread(_listed, actor, self.view, self.query, now)
            self.rows = [as_row(view, session.zone, session.hour12, now) for view in found]
            if self.open_id:
                view = await asyncio.to_thread(booking_views.get, actor, self.open_id)
                self.detail = as_detail(view, session.zone, session.hour12)
            self.error = ""
        except AlmanacError as error:
            self.error, self.open_id = error.detail, ""
        self.loaded = True

    @rx.event
    async def set_view(self, value: str | list[str]) -> None:
        """Choose which bookings are listed."""
        self.view = str(value) if value in VIEWS else "upcoming"
        self.open_id = ""
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
        await self._read(await acting(self))

    @rx.event
    async def retry(self) -> Any:
        """Bring failed writes back into the queue."""
        actor = await acting(self)
        await asyncio.to_thread(service.retry_sync, actor, self.open_id)
        await self._read(actor)
        return notices.info("Trying again. The receipt follows by itself.")

    @rx.event
    async def approve(self) -> Any:
        """Confirm a booking that waits for approval."""
        actor = await acting(self)
        await asyncio.to_thread(service.confirm, actor, self.open_id)
        await self._read(actor)
        return notices.success("Confirmed. It is being written into the calendars.")

    @rx.event
    async def decline(self) -> Any:
        """Refuse a booking that waits for approval."""
        actor = await acting(self)
        await asyncio.to_thread(service.decline, actor, self.open_id)
        await self._read(actor)
        return notices.success("Declined. The time is free again.")

    @rx.event
    def ask(self, is_open: bool) -> None:
        """Open or close the question whether to cancel."""
        self.asking = is_open

    @rx.event
    async def cancel(self, form: dict[str, Any]) -> Any:
        """Cancel the open booking."""
        self.asking = False
        actor = await acting(self)
        reason = str(form.get("reason", ""))[:1_000]
        await asyncio.to_thread(service.cancel, actor, self.open_id, reason)
        await self._read(actor)
        return notices.success("Cancelled. It is being taken out of the calendars.")


def _listed(actor: Actor, which: str, search: str, now: datetime) -> list[BookingView]:
    """The bookings of one tab; what goes on right now is still upcoming."""
    listed = partial(booking_views.list_bookings, actor, search=search, limit=booking_views.MOST)
    if which == "cancelled":
        return list(listed(status=("cancelled", "declined"), newest_first=True).items)
    if which == "past":
        found = listed(status=("pending", "confirmed", "completed", "no_show"), end=now, newest_first=True)
        return [view for view in found.items if view.end <= now]
    found = listed(status=HOLDING, start=now - LONGEST)
    return [view for view in found.items if view.end > now]


def _receipt(receipt: Receipt) -> rx.Component:
    return rx.el.li(
        rx.flex(
            provider_icon(receipt.provider),
            rx.text(receipt.calendar, size="2", class_name="clip"),
            status_badge(receipt.state),
            rx.cond(
                receipt.verified_at != "",
                rx.text(ago(instant=receipt.verified_at), size="1", color_scheme="gray"),
            ),
            rx.cond(
                receipt.html_link != "",
                rx.text(
                    plain.link(
                        "Open",
                        href=receipt.html_link,
                        target="_blank",
                        rel="noopener noreferrer",
                        class_name="text-link",
                    ),
                    size="1",
                ),
            ),
            spacing="2",
            align="center",
            wrap="wrap",
        ),
        rx.cond(
            receipt.error != "",
            rx.text(
                receipt.error,
                " (",
                receipt.attempts,
                ")",
                size="1",
                color_scheme="red",
                class_name="wrap-anywhere",
            ),
        ),
    )


def _cancel_dialog() -> rx.Component:
    return rx.alert_dialog.root(
        rx.alert_dialog.trigger(rx.button("Cancel booking", variant="outline", color_scheme="red", size="2")),
        rx.alert_dialog.content(
            rx.alert_dialog.title("Cancel this booking?"),
            rx.alert_dialog.description(
                "The event is taken out of the calendars and the time becomes free. This cannot be undone.",
                size="2",
            ),
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
                on_submit=BookingsState.cancel,
                margin_top=space(4),
            ),
            max_width="28rem",
        ),
        open=BookingsState.asking,
        on_open_change=BookingsState.ask,
    )


def _details() -> rx.Component:
    detail = BookingsState.detail
    return rx.flex(
        rx.data_list.root(
            rx.foreach(
                detail.facts,
                lambda fact: rx.data_list.item(
                    rx.data_list.label(fact.label),
                    rx.data_list.value(rx.el.span(fact.value, class_name="wrap-anywhere")),
                ),
            ),
            size="2",
        ),
        rx.box(
            rx.heading("In the calendars", as_="h2", size="2", margin_bottom=space(2)),
            rx.cond(
                detail.receipts.length() > 0,
                rx.el.ul(
                    rx.foreach(detail.receipts, _receipt),
                    class_name="plain",
                    style={"display": "grid", "gap": space(2)},
                ),
                rx.text(
                    "No calendar receives bookings. Choose one under Calendars, “Write bookings here”.",
                    size="2",
                    color_scheme="gray",
                ),
            ),
        ),
        rx.flex(
            rx.cond(
                detail.can_approve,
                rx.fragment(
                    rx.button("Confirm", size="2", on_click=BookingsState.approve),
                    rx.button("Decline", size="2", variant="soft", on_click=BookingsState.decline),
                ),
            ),
            rx.cond(detail.can_retry, rx.button("Retry", size="2", on_click=BookingsState.retry)),
            rx.button(
                rx.icon("copy", size=14, aria_hidden="true"),
                "Copy manage link",
                variant="soft",
                color_scheme="gray",
                size="2",
                on_click=[rx.set_clipboard(detail.manage_url), notices.success("Link copied.")],
            ),
            rx.cond(detail.can_cancel, _cancel_dialog()),
            spacing="3",
            wrap="wrap",
        ),
        direction="column",
        spacing="4",
        padding=space(4),
    )


def _row(row: BookingRow) -> rx.Component:
    opened = BookingsState.open_id == row.id
    return rx.el.li(
        rx.el.button(
            rx.box(
                rx.text(row.day, size="2", weight="medium"),
                rx.text(row.time, size="2", color_scheme="gray", class_name="tabular"),
                width="11rem",
                flex_shrink="0",
            ),
            rx.box(
                rx.text(row.who, size="2", weight="medium", class_name="clip"),
                rx.text(row.title, size="2", color_scheme="gray", class_name="clip"),
                flex_grow="1",
                min_width="0",
            ),
            rx.flex(
                status_badge(row.status),
                rx.cond(row.sync != "", status_badge(row.sync)),
                spacing="2",
                wrap="wrap",
                justify="end",
            ),
            rx.icon("chevron-down", size=16, aria_hidden="true"),
            type="button",
            class_name="row",
            custom_attrs={"aria-expanded": rx.cond(opened, "true", "false")},
            on_click=BookingsState.toggle(row.id),
            style={"flexWrap": "wrap"},
        ),
        rx.cond(opened, _details()),
    )


def _filters() -> rx.Component:
    return rx.flex(
        rx.segmented_control.root(
            *(rx.segmented_control.item(name.title(), value=name) for name in VIEWS),
            value=BookingsState.view,
            on_change=BookingsState.set_view,
            aria_label="Which bookings",
        ),
        rx.debounce_input(
            rx.input(
                value=BookingsState.query,
                on_change=BookingsState.search,
                placeholder="Search name, e-mail or title",
                aria_label="Search bookings",
                type="search",
                width="18rem",
                max_width="100%",
            ),
            debounce_timeout=250,
        ),
        spacing="3",
        wrap="wrap",
        margin_bottom=space(4),
    )


def bookings() -> rx.Component:
    nothing = rx.match(
        BookingsState.view,
        (
            "upcoming",
            empty_state(
                "calendar-check",
                "No bookings are coming up",
                "Give customers the link of an event type; what they book appears here and in your calendar.",
                rx.button(
                    rx.el.a("Event types", href="/settings/event-types"), as_child=True, variant="soft"
                ),
            ),
        ),
        (
            "past",
            empty_state(
                "history", "Nothing has taken place yet", "Past bookings stay here with their receipts."
            ),
        ),
        empty_state("circle-x", "Nothing was cancelled", "Cancelled bookings stay here with their reasons."),
    )
    return page(
        "Bookings",
        error_callout(BookingsState.error),
        _filters(),
        rx.cond(
            BookingsState.loaded,
            rx.cond(
                BookingsState.rows.length() > 0,
                rx.el.ul(rx.foreach(BookingsState.rows, _row), class_name="plain list"),
                rx.cond(
                    BookingsState.query != "",
                    empty_state("search-x", "Nothing matches", "Try another name, e-mail address or title."),
                    nothing,
                ),
            ),
            loading(),
        ),
        path=PATH,
        on_ready=BookingsState.load,
        on_change=BookingsState.refresh,
        lead=rx.text("Times in ", SessionState.zone, color_scheme="gray", size="2", margin_top=space(2)),
    )
