"""The dialog that says what a disconnection means, and asks what becomes of the bookings."""

from __future__ import annotations

import reflex as rx

from calendar_app.ui.components.connections import ConnectionRow
from calendar_app.ui.pages.calendars.state import CalendarsState
from calendar_app.ui.theme import space


def disconnect_dialog(row: ConnectionRow) -> rx.Component:
    return rx.alert_dialog.root(
        rx.alert_dialog.trigger(rx.button("Disconnect", variant="outline", color_scheme="red", size="2")),
        rx.alert_dialog.content(
            rx.alert_dialog.title("Disconnect ", row.account, "?"),
            rx.alert_dialog.description(
                rx.match(
                    row.sign_in,
                    ("password", "The password is forgotten here; you can withdraw it at the provider, too."),
                    ("address", "The link is forgotten here."),
                    ("file", "The copy is given up here."),
                    "Access is withdrawn at the provider and forgotten here.",
                ),
                " Its events no longer count as busy. Bookings and their history stay.",
                size="2",
            ),
            rx.cond(
                CalendarsState.preview.length() > 0,
                rx.box(
                    rx.text(
                        "Future bookings in these calendars: ",
                        CalendarsState.preview.length(),
                        size="2",
                        weight="medium",
                        margin_top=space(4),
                    ),
                    rx.el.ul(
                        rx.foreach(
                            CalendarsState.preview,
                            lambda line: rx.el.li(
                                rx.text(line.title, size="2", class_name="wrap-anywhere"),
                                rx.text(line.when, size="2", color_scheme="gray"),
                            ),
                        ),
                        class_name="plain stack",
                        tab_index=0,
                        aria_label="Future bookings in these calendars",
                        style={"maxHeight": "var(--rail)", "overflowY": "auto", "margin": "var(--space-2) 0"},
                    ),
                    rx.radio_group.root(
                        rx.flex(
                            _choice("leave", "Leave them in the calendar"),
                            rx.cond(
                                CalendarsState.targets.length() > 0,
                                rx.fragment(
                                    _choice("move", "Move them to another calendar"),
                                    rx.cond(CalendarsState.choice == "move", _target()),
                                ),
                            ),
                            _choice("cancel", "Cancel them"),
                            direction="column",
                            spacing="2",
                        ),
                        value=CalendarsState.choice,
                        on_change=CalendarsState.set_choice,
                        aria_label="What becomes of the bookings",
                        margin_top=space(4),
                    ),
                ),
                rx.text("No future booking stands in these calendars.", size="2", margin_top=space(4)),
            ),
            rx.flex(
                rx.alert_dialog.cancel(rx.button("Keep connected", variant="soft", color_scheme="gray")),
                rx.button(
                    "Disconnect",
                    color_scheme="red",
                    high_contrast=True,
                    loading=CalendarsState.disconnecting,
                    on_click=CalendarsState.disconnect,
                ),
                spacing="3",
                justify="end",
                margin_top=space(5),
            ),
            max_width="30rem",
        ),
        open=CalendarsState.preview_of == row.id,
        on_open_change=lambda is_open: CalendarsState.toggle_preview(row.id, is_open),
    )


def _choice(value: str, label: str) -> rx.Component:
    return rx.text(
        rx.flex(rx.radio_group.item(value=value), label, spacing="2", align="center"), as_="label", size="2"
    )


def _target() -> rx.Component:
    """Where the bookings are moved to, and what that means for new ones."""
    return rx.box(
        rx.el.select(
            rx.foreach(CalendarsState.targets, lambda item: rx.el.option(item.name, value=item.id)),
            value=CalendarsState.target,
            on_change=CalendarsState.set_target,
            class_name="select",
            aria_label="Calendar to move to",
            max_width="100%",
        ),
        rx.text(
            "This also switches “Write bookings here” on for that calendar: new bookings are written there from now "
            "on.",
            size="2",
            color_scheme="gray",
            margin_top=space(2),
        ),
        padding_left=space(5),
    )
