"""A connection with its calendars: how it is doing, what each calendar is used for, what can be done."""

from __future__ import annotations

from typing import Any

import reflex as rx

from calendar_app.ui.components.badges import color_dot, provider_tile, status_badge
from calendar_app.ui.components.browser import ago
from calendar_app.ui.components.connections import CalendarRow, ConnectionRow
from calendar_app.ui.components.feedback import error_callout, warning_callout
from calendar_app.ui.pages.appointments import PATH as APPOINTMENTS
from calendar_app.ui.pages.calendars.addresses import address_form
from calendar_app.ui.pages.calendars.connect import reconnect_button
from calendar_app.ui.pages.calendars.disconnect import disconnect_dialog
from calendar_app.ui.pages.calendars.state import CalendarsState
from calendar_app.ui.pages.calendars.unread import unread_list
from calendar_app.ui.pages.calendars.zone import zone_line
from calendar_app.ui.theme import space

POLICIES = {
    "approve": "ask me to approve bookings",
    "keep": "keep its last known state",
    "close": "close my times",
    "ignore": "ignore it",
}
"""What a calendar does while it cannot be read."""


def connection_card(row: ConnectionRow) -> rx.Component:
    return rx.el.section(
        rx.flex(
            provider_tile(row.provider),
            rx.box(
                rx.flex(
                    rx.heading(row.account, as_="h2", size="3", class_name="wrap-anywhere"),
                    status_badge(row.status),
                    spacing="2",
                    align="center",
                    wrap="wrap",
                ),
                rx.flex(
                    rx.text(
                        row.title,
                        rx.cond(row.server != "", " at " + row.server, ""),
                        rx.cond(row.whose != "", " of " + row.whose, ""),
                        size="2",
                        color_scheme="gray",
                    ),
                    rx.cond(row.can_sync & ~row.unused, _times(row)),
                    column_gap=space(4),
                    wrap="wrap",
                ),
                rx.cond(row.note != "", rx.text(row.note, size="2", color_scheme="gray")),
                flex="1 1 12rem",
                min_width="0",
            ),
            _buttons(row),
            spacing="4",
            align="center",
            wrap="wrap",
            padding=space(4),
        ),
        rx.cond(
            (row.error != "")
            | (row.progress != "")
            | (row.ending != "")
            | (row.lasts != "")
            | (row.missing.length() > 0),
            rx.flex(
                rx.cond(row.ending != "", rx.text(row.ending, size="2", role="status")),
                rx.cond(row.progress != "", rx.text(row.progress, size="2", role="status")),
                rx.cond(
                    row.status == "needs_reconnect",
                    warning_callout(row.error + " Bookings made meanwhile are written then."),
                    error_callout(row.error),
                ),
                rx.cond(row.lasts != "", warning_callout(row.lasts)),
                rx.foreach(row.missing, lambda text: warning_callout("Not permitted: " + text)),
                direction="column",
                spacing="2",
                padding=space(4),
            ),
        ),
        rx.cond(
            row.calendars.length() > 0,
            rx.el.ul(rx.foreach(row.calendars, _calendar), class_name="plain"),
        ),
        rx.cond(
            row.empty != "",
            rx.text(row.empty, size="2", color_scheme="gray", padding=space(4), class_name="wrap-anywhere"),
        ),
        rx.cond(row.asks_addresses, address_form(row)),
        class_name="list",
        aria_label=row.title + " account " + row.account,
    )


def _times(row: ConnectionRow) -> rx.Component:
    return rx.flex(
        rx.cond(
            row.last_sync != "",
            rx.text(ago(instant=row.last_sync, prefix="Synced"), size="2", color_scheme="gray"),
            rx.text("Not synced yet", size="2", color_scheme="gray"),
        ),
        rx.cond(
            row.next_sync != "",
            rx.text(ago(instant=row.next_sync, prefix="Next reading"), size="2", color_scheme="gray"),
        ),
        column_gap=space(4),
        wrap="wrap",
    )


def _buttons(row: ConnectionRow) -> rx.Component:
    quiet: dict[str, Any] = {"variant": "soft", "size": "2"}
    grey = {**quiet, "color_scheme": "gray"}
    return rx.flex(
        rx.match(
            row.status,
            ("disconnected", reconnect_button(row, size="2")),
            (
                "needs_reconnect",
                rx.fragment(
                    rx.cond(row.whose == "", reconnect_button(row, size="2")), disconnect_dialog(row)
                ),
            ),
            rx.fragment(
                rx.cond(
                    row.appointments != "",
                    rx.button(
                        rx.el.a("Appointments", href=f"{APPOINTMENTS}/" + row.appointments),
                        as_child=True,
                        **quiet,
                    ),
                ),
                rx.cond(
                    row.can_sync,
                    rx.fragment(
                        rx.button(
                            rx.icon("refresh-cw", size=14, aria_hidden="true"),
                            "Sync now",
                            on_click=CalendarsState.sync_now(row.id),
                            **quiet,
                        ),
                        rx.button("Test connection", on_click=CalendarsState.test(row.id), **grey),
                        rx.button("Refresh list", on_click=CalendarsState.list_again(row.id), **grey),
                        rx.cond(row.whose == "", reconnect_button(row, **grey)),
                    ),
                ),
                rx.cond(row.sign_in != "file", disconnect_dialog(row)),
            ),
        ),
        spacing="2",
        wrap="wrap",
    )


def _calendar(row: CalendarRow) -> rx.Component:
    def toggle(label: str, value: rx.Var[bool], on_change: Any, disabled: Any = False) -> rx.Component:
        return rx.text(
            rx.flex(
                rx.switch(
                    checked=value, on_change=on_change, disabled=disabled, aria_label=label + ": " + row.name
                ),
                rx.el.span(label, aria_hidden="true"),
                spacing="2",
                align="center",
            ),
            size="2",
            as_="label",
        )

    return rx.el.li(
        color_dot(row.color),
        rx.box(
            rx.text(row.name, size="2", weight="medium", class_name="clip"),
            rx.text(row.detail, size="1", color_scheme="gray"),
            zone_line(row),
            unread_list(row),
            rx.cond(row.unused != "", rx.text(row.unused, size="1", color_scheme="gray")),
            rx.cond(row.progress != "", rx.text(row.progress, size="1", color_scheme="gray", role="status")),
            rx.cond(
                row.error != "",
                rx.text(row.error, size="1", color_scheme="red", role="alert", class_name="wrap-anywhere"),
            ),
            rx.cond(row.in_doubt, _doubt(row)),
            flex="1 1 10rem",
            min_width="0",
        ),
        toggle(
            "Check for conflicts",
            row.checks_conflicts,
            lambda value: CalendarsState.set_conflicts(row.id, value),
        ),
        toggle(
            "Show on the dashboard",
            row.shown_on_dashboard,
            lambda value: CalendarsState.set_shown(row.id, value),
        ),
        rx.cond(
            row.is_file,
            _remove(row),
            toggle(
                "Write bookings here",
                row.receives_bookings,
                lambda value: CalendarsState.set_bookings(row.id, value),
                ~row.can_write & ~row.receives_bookings,
            ),
        ),
        rx.cond(row.checks_conflicts & row.can_go_stale, _policy(row)),
        class_name="row",
        style={"flexWrap": "wrap"},
    )


def _remove(row: CalendarRow) -> rx.Component:
    return rx.alert_dialog.root(
        rx.alert_dialog.trigger(
            rx.button(
                "Remove", variant="outline", color_scheme="red", size="1", aria_label="Remove " + row.name
            )
        ),
        rx.alert_dialog.content(
            rx.alert_dialog.title("Remove this calendar?"),
            rx.alert_dialog.description(
                "“"
                + row.name
                + "” and its events are removed here, and no longer count as busy. The file itself "
                "stays where you have it.",
                size="2",
                class_name="wrap-anywhere",
            ),
            rx.flex(
                rx.alert_dialog.cancel(rx.button("Keep", variant="soft", color_scheme="gray")),
                rx.alert_dialog.action(
                    rx.button(
                        "Remove",
                        color_scheme="red",
                        high_contrast=True,
                        on_click=CalendarsState.remove(row.id),
                    )
                ),
                spacing="3",
                justify="end",
                margin_top=space(4),
            ),
            max_width="28rem",
        ),
    )


def _doubt(row: CalendarRow) -> rx.Component:
    """Most of the calendar is gone at its provider; whether that is meant, only a person knows."""
    return rx.button(
        "They were deleted: remove them here too",
        on_click=CalendarsState.accept_removal(row.id),
        size="1",
        variant="soft",
        color_scheme="red",
        margin_top=space(2),
    )


def _policy(row: CalendarRow) -> rx.Component:
    """What to do while the calendar cannot be read; it only matters where its events count."""
    return rx.flex(
        rx.el.label(
            "If it cannot be read:",
            html_for="policy-" + row.id,
            class_name="rt-Text rt-r-size-2",
            style={"color": rx.color("gray", 11)},
        ),
        rx.el.select(
            *(rx.el.option(words, value=key) for key, words in POLICIES.items()),
            id="policy-" + row.id,
            value=row.stale_policy,
            on_change=lambda value: CalendarsState.set_policy(row.id, value),
            class_name="select",
            aria_label="If " + row.name + " cannot be read",
        ),
        spacing="2",
        align="center",
        wrap="wrap",
        width="100%",
        padding_left=space(5),
    )
