"""``/book/{workspace}/{event_type}``: pick a day and a time, say who you are, done."""

from __future__ import annotations

import reflex as rx

from calendar_app.ui.components import plain
from calendar_app.ui.components.appointment import add_links, facts
from calendar_app.ui.components.browser import arrow_keys, zone_select
from calendar_app.ui.components.feedback import error_callout, loading
from calendar_app.ui.components.forms import field as labelled
from calendar_app.ui.components.forms import text_input
from calendar_app.ui.components.month import month_grid
from calendar_app.ui.layout import public_page
from calendar_app.ui.pages.book_state import ANSWER, BookState, QuestionRow
from calendar_app.ui.pages.not_found import nothing_here
from calendar_app.ui.theme import space

REFRESH_SECONDS = 60


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
            rx.cond(
                offer.needs_approval, _detail("hourglass", rx.text("Needs the host’s approval", size="2"))
            ),
            direction="column",
            spacing="3",
        ),
        rx.cond(
            (offer.durations.length() > 1) & (BookState.stage == "pick"),
            rx.segmented_control.root(
                rx.foreach(
                    offer.durations,
                    lambda minutes: rx.segmented_control.item(_length(minutes), value=minutes.to_string()),
                ),
                value=BookState.duration.to_string(),
                on_change=BookState.set_duration,
                size="1",
                aria_label="Length",
            ),
        ),
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
            BookState.stage == "details",
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


def _length(minutes: rx.Var[int]) -> rx.Var[str]:
    return rx.cond(minutes % 60 == 0, f"{minutes // 60} h", f"{minutes} min")


def _detail(icon: str, content: rx.Component) -> rx.Component:
    return rx.flex(
        rx.icon(icon, size=16, aria_hidden="true", color=rx.color("gray", 11)),
        content,
        spacing="3",
        align="center",
    )


def _turn(icon: str, label: str, step: int, enabled: rx.Var[bool]) -> rx.Component:
    return rx.icon_button(
        rx.icon(icon, size=18, aria_hidden="true"),
        variant="ghost",
        color_scheme="gray",
        size="3",
        aria_label=label,
        disabled=~enabled,
        on_click=BookState.turn(step),
    )


def _month() -> rx.Component:
    return rx.box(
        rx.flex(
            rx.heading(BookState.month_name, as_="h2", size="4", aria_live="polite"),
            rx.flex(
                _turn("chevron-left", "Previous month", -1, BookState.can_go_back),
                _turn("chevron-right", "Next month", 1, BookState.can_go_on),
                spacing="5",
                padding_x=space(2),
            ),
            justify="between",
            align="center",
            margin_bottom=space(3),
        ),
        month_grid(BookState.cells, BookState.day, BookState.pick_day, BookState.month_name),
        rx.cond(
            BookState.notice != "",
            rx.flex(
                rx.icon("info", size=14, aria_hidden="true"),
                rx.text(BookState.notice, size="1", color_scheme="gray"),
                spacing="2",
                align="center",
                margin_top=space(4),
            ),
        ),
    )


def _times() -> rx.Component:
    return rx.el.section(
        rx.flex(
            rx.heading(rx.cond(BookState.day != "", BookState.day_name, "Times"), as_="h2", size="3"),
            rx.segmented_control.root(
                rx.segmented_control.item("12h", value="12h"),
                rx.segmented_control.item("24h", value="24h"),
                value=rx.cond(BookState.hour12, "12h", "24h"),
                on_change=BookState.set_clock,
                size="1",
                aria_label="Clock",
            ),
            justify="between",
            align="center",
            spacing="2",
            margin_bottom=space(3),
        ),
        rx.cond(
            BookState.day != "",
            arrow_keys(
                rx.foreach(
                    BookState.slots,
                    lambda slot: rx.el.button(
                        slot.label,
                        type="button",
                        class_name="slot",
                        custom_attrs={"data-cell": slot.key},
                        on_click=BookState.pick_slot(slot.key),
                    ),
                ),
                class_name="slots",
                role="group",
                label="Times on " + BookState.day_name,
            ),
            rx.text(
                rx.cond(
                    BookState.cells.length() > 0,
                    "Pick a day that has times, or another month.",
                    "No times are free.",
                ),
                size="2",
                color_scheme="gray",
            ),
        ),
        aria_label="Times",
    )


def _question(row: QuestionRow) -> rx.Component:
    name = ANSWER + row.id
    common = {"id": name, "name": name, "required": row.required}
    text = {"default_value": row.value, "size": "3", "width": "100%"}
    label = row.label + rx.cond(row.required, "", " (optional)")
    control = rx.match(
        row.type,
        ("textarea", rx.text_area(rows="4", default_value=row.value, size="3", **common)),
        (
            "select",
            rx.el.select(
                rx.el.option("Choose …", value=""),
                rx.foreach(row.options, lambda option: rx.el.option(option, value=option)),
                default_value=row.value,
                class_name="select",
                **common,
            ),
        ),
        ("phone", rx.input(type="tel", auto_complete="tel", **text, **common)),
        ("number", rx.input(type="number", **text, **common)),
        rx.input(**text, **common),
    )
    return rx.cond(
        row.type == "checkbox",
        rx.text(
            rx.flex(
                rx.el.input(type="checkbox", value="true", default_checked=row.value == "true", **common),
                label,
                spacing="2",
                align="center",
            ),
            as_="label",
            size="2",
        ),
        labelled(label, control, for_=name),
    )


def _details() -> rx.Component:
    return rx.el.section(
        rx.heading(
            "Who is coming?", as_="h2", size="5", id="step-title", tab_index=-1, margin_bottom=space(4)
        ),
        rx.form(
            rx.flex(
                error_callout(BookState.error),
                labelled(
                    "Name",
                    text_input(
                        "name",
                        default_value=BookState.name,
                        auto_complete="name",
                        required=True,
                        max_length=200,
                    ),
                    for_="name",
                ),
                labelled(
                    "Email",
                    text_input(
                        "email",
                        type="email",
                        default_value=BookState.email,
                        auto_complete="email",
                        required=True,
                        max_length=320,
                    ),
                    for_="email",
                ),
                rx.foreach(BookState.questions, _question),
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
            rx.el.span(rx.icon("check", size=24), class_name="empty-icon", aria_hidden="true"),
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
                    "The time is kept for you until the host has answered.",
                    "The time is yours, and the appointment is on its way into the host’s calendar.",
                ),
                color_scheme="gray",
                size="2",
            ),
            rx.separator(size="4"),
            facts(BookState.booked),
            rx.separator(size="4"),
            add_links(BookState.booked),
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


def book() -> rx.Component:
    picking = rx.el.div(
        _about(),
        rx.cond(
            BookState.stage == "details",
            _details(),
            rx.box(
                rx.cond(BookState.error != "", rx.box(error_callout(BookState.error), padding=space(4))),
                rx.el.div(_month(), _times(), class_name="booking-pick"),
            ),
        ),
        class_name="booking",
    )
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
            picking,
        ),
        on_ready=BookState.load,
        on_change=BookState.refresh,
        seconds=REFRESH_SECONDS,
    )
