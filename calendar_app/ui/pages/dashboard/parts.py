"""The parts of the dashboard: the next booking, the list, the legend, and the details of what was picked."""

from __future__ import annotations

import reflex as rx

from calendar_app.ui.components import plain
from calendar_app.ui.components.badges import color_dot, provider_icon, status_badge
from calendar_app.ui.components.browser import ago
from calendar_app.ui.pages.bookings.details import details
from calendar_app.ui.pages.bookings.opened import OpenBooking
from calendar_app.ui.pages.dashboard.rows import AgendaDay, AgendaItem, NextUp
from calendar_app.ui.pages.dashboard.state import DashboardState
from calendar_app.ui.session import SessionState
from calendar_app.ui.theme import space


def next_booking() -> rx.Component:
    """The person's next customer, and how to reach them; nothing while nobody comes."""
    mine = DashboardState.next_up.contains(SessionState.person_id)
    return rx.cond(mine, _next(DashboardState.next_up[SessionState.person_id]))


def _next(row: NextUp) -> rx.Component:
    return rx.el.section(
        rx.flex(
            rx.heading("Next up", as_="h2", size="4"),
            rx.text(ago(instant=row.start), size="2", color_scheme="gray"),
            justify="between",
            align="baseline",
        ),
        rx.box(
            rx.text(row.customer, size="3", weight="medium", class_name="wrap-anywhere"),
            rx.text(row.title, size="2", color_scheme="gray", class_name="wrap-anywhere"),
            rx.text(row.when, size="2", class_name="tabular"),
            rx.cond(row.place != "", rx.text(row.place, size="2", class_name="wrap-anywhere")),
            margin_top=space(2),
        ),
        rx.flex(
            rx.cond(row.status == "pending", status_badge(row.status)),
            rx.cond(
                row.link != "",
                rx.button(
                    plain.link("Join", href=row.link, target="_blank", rel="noopener noreferrer"),
                    size="2",
                    as_child=True,
                ),
            ),
            plain.link(row.email, href="mailto:" + row.email, class_name="text-link wrap-anywhere"),
            rx.cond(
                row.phone != "", plain.link(row.phone_shown, href="tel:" + row.phone, class_name="text-link")
            ),
            rx.button(
                "Details", size="1", variant="soft", on_click=DashboardState.open_booking(row.booking_id)
            ),
            spacing="3",
            align="center",
            wrap="wrap",
            margin_top=space(3),
            class_name="next-reach",
        ),
        aria_label="Next up",
        class_name="next-up",
    )


def _icon(status: rx.Var[str]) -> rx.Component:
    """What kind of booking an entry is; beside it stands the word."""
    return rx.match(
        status,
        ("pending", rx.icon("hourglass", size=14, aria_hidden="true")),
        ("no_show", rx.icon("user-x", size=14, aria_hidden="true")),
        ("completed", rx.icon("check-check", size=14, aria_hidden="true")),
        rx.icon("calendar-check", size=14, aria_hidden="true"),
    )


def _agenda_item(item: AgendaItem) -> rx.Component:
    return rx.el.li(
        rx.el.button(
            rx.el.span(class_name="agenda-bar", style={"background": item.color}, aria_hidden="true"),
            rx.box(
                rx.flex(
                    rx.cond(item.status != "", _icon(item.status)),
                    rx.text(item.title, size="2", weight="medium", class_name="wrap-anywhere"),
                    spacing="1",
                    align="center",
                ),
                rx.text(item.time, size="2", color_scheme="gray", class_name="tabular"),
                rx.cond(
                    item.detail != "", rx.text(item.detail, size="1", color_scheme="gray", class_name="clip")
                ),
                rx.flex(
                    rx.cond(
                        item.calendar != "",
                        rx.fragment(
                            provider_icon(item.provider),
                            rx.text(item.calendar, size="1", color_scheme="gray", class_name="clip"),
                        ),
                    ),
                    rx.cond(item.status != "", status_badge(item.status)),
                    rx.cond(
                        (item.person != "") & (item.person_id != SessionState.person_id),
                        rx.text(item.person, size="1", color_scheme="gray", class_name="clip"),
                    ),
                    spacing="2",
                    align="center",
                    wrap="wrap",
                ),
                min_width="0",
            ),
            type="button",
            class_name="agenda-item",
            on_click=DashboardState.pick(item.id),
        ),
    )


def _day(day: AgendaDay) -> rx.Component:
    return rx.box(
        rx.heading(
            day.title, as_="h3", size="2", color_scheme="gray", weight="medium", margin_bottom=space(1)
        ),
        rx.el.ul(rx.foreach(day.events, _agenda_item), class_name="plain"),
        margin_bottom=space(4),
    )


def agenda() -> rx.Component:
    """What is coming, day by day."""
    return rx.el.aside(
        rx.heading("Coming up", as_="h2", size="4", margin_bottom=space(3)),
        rx.el.div(
            rx.cond(
                DashboardState.days.length() > 0,
                rx.foreach(DashboardState.days, _day),
                rx.text(
                    rx.cond(
                        (DashboardState.legend.length() > 0) | (DashboardState.connections.length() == 0),
                        "Nothing in the next seven days.",
                        "No calendar is shown here. Switch on “Show on the dashboard” for one under Calendars.",
                    ),
                    size="2",
                    color_scheme="gray",
                ),
            ),
            class_name="agenda",
            tab_index=0,
            role="group",
            aria_label="Entries",
        ),
        aria_label="Coming up",
    )


def legend() -> rx.Component:
    return rx.el.ul(
        rx.foreach(
            DashboardState.legend,
            lambda row: rx.el.li(
                color_dot(row.color),
                provider_icon(DashboardState.legend_providers[row.id]),
                rx.text(row.name, size="1"),
                style={"display": "flex", "alignItems": "center", "gap": space(2)},
            ),
        ),
        class_name="plain",
        aria_label="Calendars and their colours",
        style={
            "display": "flex",
            "flexWrap": "wrap",
            "gap": "var(--space-2) var(--space-4)",
            "marginTop": space(4),
        },
    )


def event_dialog() -> rx.Component:
    item = DashboardState.picked
    return rx.dialog.root(
        rx.dialog.content(
            rx.dialog.title(item.title),
            rx.dialog.description(DashboardState.picked_day, ", ", item.time, size="2"),
            rx.flex(
                rx.flex(
                    provider_icon(item.provider),
                    rx.text(item.calendar, size="2"),
                    spacing="2",
                    align="center",
                ),
                rx.cond(item.detail != "", rx.text(item.detail, size="2", class_name="wrap-anywhere")),
                rx.cond(
                    item.html_link != "",
                    plain.link(
                        "Open at the provider",
                        href=item.html_link,
                        target="_blank",
                        rel="noopener noreferrer",
                        class_name="text-link",
                    ),
                ),
                direction="column",
                spacing="2",
                margin_top=space(3),
            ),
            rx.flex(
                rx.dialog.close(rx.button("Close", variant="soft", color_scheme="gray")),
                justify="end",
                margin_top=space(4),
            ),
            max_width="26rem",
        ),
        open=DashboardState.picked_open,
        on_open_change=DashboardState.close_picked,
    )


def booking_dialog() -> rx.Component:
    """Everything about the booking that was picked, as on the page of bookings."""
    return rx.dialog.root(
        rx.dialog.content(
            rx.dialog.title(OpenBooking.detail.title),
            rx.dialog.description(OpenBooking.detail.when, size="2", class_name="tabular"),
            rx.box(status_badge(OpenBooking.detail.status), margin_top=space(2)),
            details(DashboardState.refresh),
            rx.flex(
                rx.dialog.close(rx.button("Close", variant="soft", color_scheme="gray")),
                justify="end",
            ),
            max_width="46rem",
        ),
        open=OpenBooking.id != "",
        on_open_change=OpenBooking.close,
    )
