"""The page: who comes next, the calendar, the list beside it."""

from __future__ import annotations

import reflex as rx

from calendar_app.ui.components.calendar_grid import calendar_grid
from calendar_app.ui.components.connections import connect_links, freshness
from calendar_app.ui.components.feedback import (
    empty_state,
    error_callout,
    loading,
    success_callout,
    warning_callout,
)
from calendar_app.ui.layout import page, times_in
from calendar_app.ui.oauth import Reconnect
from calendar_app.ui.pages.bookings.by_hand import MoveByHand, move_dialog
from calendar_app.ui.pages.bookings.moving import MoveState
from calendar_app.ui.pages.bookings.new_entry import NewEntry, new_button, new_dialog
from calendar_app.ui.pages.bookings.opened import OpenBooking
from calendar_app.ui.pages.dashboard.parts import agenda, booking_dialog, event_dialog, legend, next_booking
from calendar_app.ui.pages.dashboard.state import PATH, DashboardState
from calendar_app.ui.session import SessionState
from calendar_app.ui.theme import space


def _to_reconnect() -> rx.Component:
    return rx.foreach(
        DashboardState.connections,
        lambda row: rx.cond(
            row.status == "needs_reconnect",
            rx.box(
                rx.cond(
                    row.person_id == SessionState.person_id,
                    warning_callout(
                        row.title
                        + " account "
                        + row.account
                        + " is not connected any more. Bookings are written there once it is reconnected.",
                        rx.button(
                            "Reconnect",
                            size="1",
                            on_click=Reconnect.one(row.provider, row.id, row.sign_in),
                        ),
                    ),
                    warning_callout(
                        row.title
                        + " account "
                        + row.account
                        + " is not connected any more. "
                        + row.person
                        + " has been asked to reconnect it.",
                    ),
                ),
                margin_bottom=space(4),
            ),
        ),
    )


def _accounts() -> rx.Component:
    """How fresh what is shown is, for each account."""
    return rx.flex(
        rx.foreach(DashboardState.connections, freshness),
        spacing="5",
        wrap="wrap",
        margin_top=space(4),
        role="group",
        aria_label="Connected accounts",
    )


def _nothing_connected() -> rx.Component:
    return empty_state(
        "calendars",
        "Connect your first calendar",
        "Your events appear here live, and customers can only book the time that is really free.",
        connect_links(DashboardState.providers, DashboardState.connect, size="3"),
        rx.button(
            rx.el.a("Other calendars", href="/settings/calendars"), as_child=True, variant="soft", size="3"
        ),
    )


def _calendar() -> rx.Component:
    return rx.el.div(
        next_booking(),
        rx.box(
            calendar_grid(
                events=DashboardState.events,
                time_zone=SessionState.zone,
                hour12=SessionState.hour12,
                on_range=DashboardState.show_range,
                on_pick=DashboardState.pick,
                on_move=MoveByHand.propose,
                on_new=lambda start, end: NewEntry.begin("booking", start, end),
            ),
            rx.box(legend(), _accounts(), padding_top=space(2)),
            min_width="0",
            class_name="dashboard-grid",
        ),
        agenda(),
        class_name="dashboard",
    )


def dashboard() -> rx.Component:
    return page(
        "Dashboard",
        rx.cond(
            (DashboardState.success != "") | (DashboardState.error != ""),
            rx.flex(
                success_callout(DashboardState.success),
                error_callout(DashboardState.error),
                direction="column",
                margin_bottom=space(4),
            ),
        ),
        rx.cond(
            DashboardState.loaded,
            rx.fragment(
                _to_reconnect(),
                rx.cond(
                    (DashboardState.connections.length() > 0) | DashboardState.has_bookings,
                    _calendar(),
                    _nothing_connected(),
                ),
                event_dialog(),
                booking_dialog(),
                move_dialog(DashboardState.refresh),
                new_dialog(DashboardState.refresh, events=True),
            ),
            loading(),
        ),
        path=PATH,
        on_ready=DashboardState.load,
        on_change=[DashboardState.refresh, OpenBooking.refresh],
        kept=(DashboardState, OpenBooking, MoveState, MoveByHand, NewEntry),
        lead=times_in(),
        actions=rx.flex(
            rx.cond(
                DashboardState.connections.length() > 0,
                rx.button(
                    rx.icon("refresh-cw", size=16, aria_hidden="true"),
                    "Sync now",
                    variant="soft",
                    on_click=DashboardState.sync_now,
                ),
            ),
            new_button("New"),
            spacing="3",
        ),
    )
