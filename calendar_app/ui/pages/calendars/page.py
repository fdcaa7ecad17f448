"""The page: what is connected, what can be, and what is asked for."""

from __future__ import annotations

import reflex as rx

from calendar_app.ui.components.feed import feed_card
from calendar_app.ui.components.feedback import empty_state, error_callout, loading, success_callout
from calendar_app.ui.components.outside import outside_rule
from calendar_app.ui.layout import page
from calendar_app.ui.pages.calendars.administrator import ask_administrator
from calendar_app.ui.pages.calendars.connect import ConnectState, connect_section
from calendar_app.ui.pages.calendars.connection import connection_card
from calendar_app.ui.pages.calendars.state import PATH, CalendarsState
from calendar_app.ui.theme import space


def _least_privilege() -> rx.Component:
    return rx.flex(
        rx.icon("shield-check", size=18, aria_hidden="true", color=rx.color("accent", 11)),
        rx.text(
            "We ask for as little as possible: to see your list of calendars, to read events, and to write "
            "the bookings that customers make. Never contacts, mail or files. What you untick, we do without, "
            "and what that costs is said here. Disconnecting withdraws everything.",
            size="2",
            color_scheme="gray",
        ),
        spacing="3",
        align="start",
        margin_top=space(5),
    )


def calendars() -> rx.Component:
    return page(
        "Calendars",
        rx.flex(
            success_callout(CalendarsState.success),
            error_callout(CalendarsState.error),
            rx.cond(
                CalendarsState.loaded,
                rx.fragment(
                    rx.foreach(CalendarsState.connections, connection_card),
                    rx.cond(
                        CalendarsState.connections.length() == 0,
                        empty_state(
                            "calendars",
                            "No calendar is connected",
                            "Connect the account with your appointments. Customers then see only time that is free.",
                        ),
                    ),
                    connect_section(),
                    ask_administrator(),
                    outside_rule(),
                    feed_card(),
                ),
                loading(),
            ),
            direction="column",
            spacing="4",
        ),
        _least_privilege(),
        path=PATH,
        on_ready=CalendarsState.load,
        on_change=CalendarsState.refresh,
        kept=(CalendarsState, ConnectState),
        lead="Connect accounts. Their events block your time, and bookings are written into them.",
    )
