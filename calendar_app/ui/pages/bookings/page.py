"""The list: tabs, filters, a line for each booking."""

from __future__ import annotations

import reflex as rx

from calendar_app.ui.components.badges import status_badge
from calendar_app.ui.components.feedback import empty_state, error_callout, loading, warning_callout
from calendar_app.ui.layout import page, times_in
from calendar_app.ui.pages.bookings.by_hand import MoveByHand, move_dialog
from calendar_app.ui.pages.bookings.details import details
from calendar_app.ui.pages.bookings.moving import MoveState
from calendar_app.ui.pages.bookings.new_entry import NewEntry, new_button, new_dialog
from calendar_app.ui.pages.bookings.opened import OpenBooking
from calendar_app.ui.pages.bookings.rows import BookingRow
from calendar_app.ui.pages.bookings.state import BookingsState
from calendar_app.ui.session import SessionState
from calendar_app.ui.theme import space

PATH = "/bookings"


def bookings() -> rx.Component:
    filtered = (BookingsState.query != "") | (BookingsState.kind != "")
    return page(
        "Bookings",
        error_callout(BookingsState.error),
        move_dialog(BookingsState.refresh),
        new_dialog(BookingsState.refresh, events=False),
        _given_up(),
        _filters(),
        rx.cond(
            BookingsState.loaded,
            rx.cond(
                BookingsState.rows.length() > 0,
                rx.el.ul(rx.foreach(BookingsState.rows, _row), class_name="plain list"),
                rx.cond(
                    filtered,
                    empty_state("search-x", "Nothing matches", "Try another name, address or event type."),
                    _nothing(),
                ),
            ),
            loading(),
        ),
        path=PATH,
        on_ready=BookingsState.load,
        on_change=[BookingsState.refresh, OpenBooking.refresh],
        kept=(BookingsState, OpenBooking, MoveState, MoveByHand, NewEntry),
        actions=rx.flex(
            rx.cond(
                BookingsState.has_orders,
                rx.button(
                    rx.el.a("Orders", href="/orders"), as_child=True, variant="soft", color_scheme="gray"
                ),
            ),
            new_button("New booking"),
            spacing="3",
        ),
        lead=times_in(),
    )


def _nothing() -> rx.Component:
    return rx.match(
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
            "waiting",
            empty_state(
                "hourglass",
                "Nobody waits for an answer",
                "Requests for event types that need approval appear here.",
            ),
        ),
        (
            "past",
            empty_state(
                "history", "Nothing has taken place yet", "Past bookings stay here with their receipts."
            ),
        ),
        (
            "given_up",
            empty_state("check-check", "Every calendar is up to date", "No booking is missing in one."),
        ),
        empty_state("circle-x", "Nothing was cancelled", "Cancelled bookings stay here with their reasons."),
    )


def _given_up() -> rx.Component:
    """What no worker will try again by itself is said where the host looks, not to operators alone."""
    return rx.cond(
        BookingsState.given_up > 0,
        rx.box(
            warning_callout(
                rx.cond(
                    BookingsState.given_up == 1,
                    "1 booking is missing or out of date in a calendar, or has no link to join.",
                    f"{BookingsState.given_up} bookings are missing or out of date in a calendar, or have no "
                    "link to join.",
                ),
                rx.button(
                    "Show",
                    size="1",
                    variant="outline",
                    high_contrast=True,
                    on_click=BookingsState.set_view("given_up"),
                ),
                rx.button("Retry all", size="1", on_click=BookingsState.retry_all),
            ),
            margin_bottom=space(4),
        ),
    )


def _filters() -> rx.Component:
    return rx.flex(
        rx.box(
            rx.segmented_control.root(
                rx.segmented_control.item("Upcoming", value="upcoming"),
                rx.segmented_control.item(
                    "Waiting",
                    rx.cond(SessionState.waiting > 0, f" ({SessionState.waiting})", ""),
                    value="waiting",
                ),
                rx.segmented_control.item("Past", value="past"),
                rx.segmented_control.item("Cancelled", value="cancelled"),
                value=BookingsState.view,
                on_change=BookingsState.set_view,
                aria_label="Which bookings",
                size=rx.breakpoints(initial="1", sm="2"),
            ),
            class_name="tabs-scroll",
        ),
        rx.el.select(
            rx.el.option("All event types", value=""),
            rx.foreach(BookingsState.kinds, lambda option: rx.el.option(option.name, value=option.id)),
            value=BookingsState.kind,
            on_change=BookingsState.set_kind,
            class_name="select",
            aria_label="Event type",
        ),
        rx.debounce_input(
            rx.input(
                value=BookingsState.query,
                on_change=BookingsState.search,
                placeholder="Search name or email",
                aria_label="Search bookings",
                type="search",
                width="16rem",
                max_width="100%",
            ),
            debounce_timeout=250,
        ),
        spacing="3",
        align="center",
        wrap="wrap",
        margin_bottom=space(4),
    )


def _row(row: BookingRow) -> rx.Component:
    opened = OpenBooking.id == row.id
    return rx.el.li(
        rx.el.button(
            rx.box(
                rx.text(row.day, size="2", weight="medium"),
                rx.text(row.time, size="2", color_scheme="gray", class_name="tabular"),
                width="12.5rem",
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
                rx.cond(
                    row.differs,
                    rx.badge(
                        rx.icon("calendar-x-2", size=12, aria_hidden="true"),
                        "Calendar differs",
                        color_scheme="amber",
                        variant="soft",
                        high_contrast=True,
                    ),
                ),
                rx.cond(row.sync != "", status_badge(row.sync)),
                spacing="2",
                wrap="wrap",
                justify="end",
            ),
            rx.icon(
                "chevron-down",
                size=16,
                aria_hidden="true",
                style={
                    "position": "absolute",
                    "insetInlineEnd": "var(--space-4)",
                    "insetBlockStart": "var(--space-5)",
                    "transform": rx.cond(opened, "rotate(180deg)", "none"),
                },
            ),
            type="button",
            class_name=rx.cond(row.status == "pending", "row row-waiting", "row"),
            custom_attrs={"aria-expanded": rx.cond(opened, "true", "false")},
            on_click=OpenBooking.toggle(row.id),
            style={"flexWrap": "wrap", "position": "relative", "paddingInlineEnd": "var(--space-8)"},
        ),
        rx.cond(opened, details(BookingsState.refresh)),
    )
