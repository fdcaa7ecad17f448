"""What the visitor sees: what it is about, the month and its times, the form, the confirmation."""

from __future__ import annotations

from typing import Any

import reflex as rx

from calendar_app.ui.components import plain
from calendar_app.ui.components.appointment import add_links, facts
from calendar_app.ui.components.browser import countdown, zone_select
from calendar_app.ui.components.feedback import callout, error_callout, loading
from calendar_app.ui.components.forms import field as labelled
from calendar_app.ui.components.forms import text_input
from calendar_app.ui.components.picker import month_view, times_view
from calendar_app.ui.components.questions import question_field
from calendar_app.ui.layout import public_page
from calendar_app.ui.pages.book.state import BookState
from calendar_app.ui.pages.not_found import nothing_here
from calendar_app.ui.theme import space

REFRESH_SECONDS = 60
DETAILS = BookState.stage == "details"


def book() -> rx.Component:
    return public_page(
        rx.match(
            BookState.stage,
            ("loading", rx.box(loading(5), width="100%", max_width="52rem")),
            (
                "missing",
                nothing_here("Page not found", "There is no booking page at this address. Check the link."),
            ),
            (
                "closed",
                nothing_here(
                    "Not bookable right now", "This is not offered at the moment. Please ask the business."
                ),
            ),
            ("done", _done()),
            rx.el.div(_about(), _shown(DETAILS, _details()), _shown(~DETAILS, _pick()), class_name="booking"),
        ),
        on_ready=BookState.load,
        on_change=BookState.refresh,
        on_leave=BookState.leave,
        seconds=REFRESH_SECONDS,
    )


def _shown(condition: Any, *content: rx.Component) -> rx.Component:
    """Content that stays in the page while it is hidden, so that a form keeps what was typed into it."""
    return rx.box(*content, style={"display": rx.cond(condition, "block", "none")})


def _about() -> rx.Component:
    offer = BookState.offer
    return rx.el.section(
        rx.box(
            rx.text(offer.hosts, size="2", color_scheme="gray", weight="medium"),
            rx.heading(offer.title, as_="h1", size="6", class_name="wrap-anywhere"),
        ),
        rx.flex(
            _detail("clock", rx.text(_length(BookState.duration), size="2")),
            rx.cond(
                offer.location != "",
                _detail("map-pin", rx.text(offer.location, size="2", class_name="wrap-anywhere")),
            ),
            _detail("building-2", rx.text(offer.workspace, size="2", class_name="wrap-anywhere")),
            rx.cond(offer.seats > 1, _detail("users", rx.text("A group of up to ", offer.seats, size="2"))),
            rx.cond(
                offer.needs_approval, _detail("hourglass", rx.text("Needs the host’s approval", size="2"))
            ),
            direction="column",
            spacing="3",
        ),
        rx.cond((offer.durations.length() > 1) & ~DETAILS, _durations()),
        rx.cond(
            offer.description != "",
            rx.text(
                offer.description,
                size="2",
                color_scheme="gray",
                white_space="pre-line",
                class_name="wrap-anywhere",
            ),
        ),
        rx.cond(
            DETAILS,
            rx.callout.root(
                rx.callout.icon(rx.icon("calendar-check", size=16, aria_hidden="true")),
                rx.box(
                    rx.text(BookState.chosen_text, size="2", weight="medium", class_name="tabular"),
                    rx.text(BookState.chosen_zone, size="1"),
                ),
                size="1",
            ),
            labelled(
                "Time zone",
                zone_select(id="zone", value=BookState.zone, on_change=BookState.set_zone, label="Time zone"),
                for_="zone",
            ),
        ),
        class_name="booking-about",
        aria_label="What you are booking",
    )


def _durations() -> rx.Component:
    return rx.box(
        rx.text("How long?", size="2", weight="medium", margin_bottom=space(1)),
        rx.segmented_control.root(
            rx.foreach(
                BookState.offer.durations,
                lambda minutes: rx.segmented_control.item(_length(minutes), value=minutes.to_string()),
            ),
            value=BookState.duration.to_string(),
            on_change=BookState.set_duration,
            size="2",
            width="100%",
            aria_label="Length",
        ),
    )


def _length(minutes: rx.Var[int]) -> rx.Var[str]:
    return rx.cond(minutes % 60 == 0, f"{minutes // 60} h", f"{minutes} min")


def _detail(icon: str, content: rx.Component) -> rx.Component:
    return rx.flex(
        rx.icon(icon, size=16, aria_hidden="true", color=rx.color("gray", 11)),
        content,
        spacing="3",
        align="center",
    )


def _pick() -> rx.Component:
    return rx.fragment(
        rx.cond(BookState.error != "", rx.box(error_callout(BookState.error), padding=space(4))),
        rx.el.div(
            month_view(BookState), times_view(BookState, BookState.pick_slot), class_name="booking-pick"
        ),
    )


def _hold() -> rx.Component:
    """How long the time is kept, and what can be done once it no longer is."""
    return rx.fragment(
        rx.cond(
            BookState.held_until != "",
            rx.flex(
                rx.icon("timer", size=16, aria_hidden="true", color=rx.color("gray", 11)),
                rx.text(
                    countdown(
                        until=BookState.held_until,
                        seconds=BookState.held_seconds,
                        text="We keep this time for you for",
                        resource="/api/v1/holds/" + BookState.hold,
                        on_end=BookState.hold_ended,
                    ),
                    size="2",
                    color_scheme="gray",
                ),
                spacing="2",
                align="center",
            ),
        ),
        rx.cond(
            BookState.hold_over,
            callout(
                "This time is no longer kept for you, but it may still be free. What you typed is still here.",
                "timer-off",
                "amber",
                rx.button(
                    "Keep this time again",
                    type="button",
                    variant="soft",
                    size="1",
                    high_contrast=True,
                    justify_self="start",
                    on_click=BookState.keep_again,
                ),
            ),
        ),
    )


def _details() -> rx.Component:
    return rx.el.section(
        rx.heading(
            "Who is coming?", as_="h2", size="5", id="step-title", tab_index=-1, margin_bottom=space(3)
        ),
        rx.flex(
            _hold(), error_callout(BookState.error), direction="column", spacing="3", margin_bottom=space(4)
        ),
        rx.form(
            rx.flex(
                labelled(
                    "Name",
                    text_input("name", auto_complete="name", required=True, max_length=200),
                    for_="name",
                ),
                labelled(
                    "Email",
                    text_input("email", type="email", auto_complete="email", required=True, max_length=320),
                    for_="email",
                ),
                rx.foreach(BookState.questions, question_field),
                rx.cond(
                    BookState.stale_approval & ~BookState.offer.needs_approval,
                    rx.box(
                        callout(
                            "A calendar of the host could not be read lately. So this is a request: the time is kept "
                            "for you until the host has answered, and you hear from them by e-mail.",
                            "hourglass",
                            "amber",
                        ),
                        id="waits-for-approval",
                        tab_index=-1,
                    ),
                ),
                rx.cond(
                    BookState.offer.needs_approval,
                    rx.text(
                        "The host looks at every request. The time is kept for you until they have answered; "
                        "you hear from them by e-mail.",
                        size="2",
                        color_scheme="gray",
                    ),
                ),
                rx.flex(
                    rx.button(
                        "Back",
                        type="button",
                        variant="soft",
                        color_scheme="gray",
                        size="3",
                        on_click=BookState.back,
                    ),
                    rx.button("Confirm booking", type="submit", size="3"),
                    spacing="3",
                    justify="end",
                    margin_top=space(2),
                ),
                direction="column",
                spacing="4",
            ),
            on_submit=BookState.confirm,
        ),
        class_name="booking-form",
        aria_label="Your details",
    )


def _done() -> rx.Component:
    pending = BookState.booked.status == "pending"
    return rx.card(
        rx.flex(
            rx.el.span(
                rx.cond(pending, rx.icon("hourglass", size=24), rx.icon("check", size=24)),
                class_name="empty-icon",
                aria_hidden="true",
            ),
            rx.heading(
                rx.cond(pending, "Your request is in", "You are booked"),
                as_="h1",
                size="6",
                id="step-title",
                tab_index=-1,
            ),
            rx.text(
                rx.cond(
                    pending,
                    "It is not an appointment yet: the time is kept for you until the host has answered, and you "
                    "hear from them by e-mail.",
                    "The time is yours, and the appointment is on its way into the host’s calendar.",
                ),
                color_scheme="gray",
                size="2",
            ),
            rx.separator(size="4"),
            facts(BookState.booked),
            rx.separator(size="4"),
            rx.cond(~pending, add_links(BookState.booked)),
            rx.text(
                "Something came up? ",
                plain.link(
                    "Manage your booking",
                    href=BookState.booked.manage_path,
                    class_name="text-link",
                ),
                size="2",
            ),
            direction="column",
            spacing="4",
        ),
        size="4",
        width="100%",
        max_width="34rem",
    )
