"""The zone in which a calendar's dates and times without a zone are read: said in a line, changed in a dialog."""

from __future__ import annotations

import reflex as rx

from calendar_app.ui.components.browser import zone_select
from calendar_app.ui.components.connections import CalendarRow
from calendar_app.ui.components.forms import field
from calendar_app.ui.pages.calendars.state import CalendarsState
from calendar_app.ui.theme import space


def zone_line(row: CalendarRow) -> rx.Component:
    """Which zone it is, where it comes from, and the way to change it."""
    return rx.flex(
        rx.text(
            "Times without a zone are read in " + row.zone_text + " (" + row.zone_origin + ").",
            size="1",
            color_scheme="gray",
            class_name="wrap-anywhere",
        ),
        _dialog(row),
        align="center",
        spacing="3",
        wrap="wrap",
    )


def _dialog(row: CalendarRow) -> rx.Component:
    return rx.dialog.root(
        rx.dialog.trigger(
            rx.button("Change", variant="ghost", size="1", aria_label="Change the time zone of " + row.name)
        ),
        rx.dialog.content(
            rx.dialog.title("Time zone of this calendar"),
            rx.dialog.description(
                "Events that last all day, and times that name no zone, are read in this zone. All other events of “"
                + row.name
                + "” stay where they are.",
                size="2",
                class_name="wrap-anywhere",
            ),
            rx.flex(
                field(
                    "Time zone",
                    zone_select(
                        id="zone-" + row.id,
                        value=row.timezone,
                        on_change=lambda zone: CalendarsState.set_zone(row.id, zone),
                        label="Time zone of " + row.name,
                    ),
                    for_="zone-" + row.id,
                ),
                rx.text("Now: ", row.zone_text, " (", row.zone_origin, ").", size="2", role="status"),
                rx.flex(
                    rx.cond(
                        (row.named_zone != "") & (row.zone_source != "provider"),
                        _source("provider", "Use the calendar’s own zone", row),
                    ),
                    rx.cond(row.zone_source != "owner", _source("owner", row.owner_zone_label, row)),
                    spacing="2",
                    wrap="wrap",
                ),
                direction="column",
                spacing="4",
                margin_top=space(4),
            ),
            rx.flex(rx.dialog.close(rx.button("Done", type="button")), justify="end", margin_top=space(4)),
            max_width="30rem",
        ),
    )


def _source(source: str, label: str | rx.Var[str], row: CalendarRow) -> rx.Component:
    return rx.button(
        label,
        on_click=CalendarsState.follow_zone(row.id, source),
        variant="soft",
        color_scheme="gray",
        size="2",
        type="button",
    )
