"""What of a calendar could not be read: how much, and on request what and why."""

from __future__ import annotations

import reflex as rx

from calendar_app.ui.components.connections import CalendarRow, UnreadLine
from calendar_app.ui.theme import space


def unread_list(row: CalendarRow) -> rx.Component:
    """A line that opens to the list; nothing where everything could be read."""
    return rx.cond(
        row.unread_title != "",
        rx.el.details(
            rx.el.summary(
                rx.icon("triangle-alert", size=14, aria_hidden="true", color=rx.color("amber", 11)),
                rx.text(row.unread_title, size="1", as_="span"),
                class_name="notes-title",
            ),
            rx.el.ul(
                rx.foreach(row.unread, _line),
                rx.cond(
                    row.unread_more != "",
                    rx.el.li(rx.text(row.unread_more, size="1", color_scheme="gray")),
                ),
                class_name="plain",
                aria_label="What could not be read in " + row.name,
            ),
            style={"marginTop": space(1)},
        ),
    )


def _line(line: UnreadLine) -> rx.Component:
    return rx.el.li(
        rx.text(line.what, size="1", weight="medium", class_name="wrap-anywhere"),
        rx.text(line.why, size="1", color_scheme="gray", class_name="wrap-anywhere"),
        style={"padding": f"{space(1)} 0"},
    )
