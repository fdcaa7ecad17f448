"""Everything about the booking that is open, and what can be done with it."""

from __future__ import annotations

from typing import Any

import reflex as rx

from calendar_app.ui import notices
from calendar_app.ui.components import plain
from calendar_app.ui.components.badges import provider_icon, status_badge
from calendar_app.ui.components.browser import ago
from calendar_app.ui.components.cancel import reason_dialog
from calendar_app.ui.components.feedback import error_callout
from calendar_app.ui.components.picker import month_view, times_view
from calendar_app.ui.pages.bookings.by_hand import MoveByHand
from calendar_app.ui.pages.bookings.moving import MoveState
from calendar_app.ui.pages.bookings.opened import OpenBooking
from calendar_app.ui.pages.bookings.rows import Difference, Fact, Receipt
from calendar_app.ui.theme import space


def details(then: Any) -> rx.Component:
    """What is known of the open booking, and what can be done with it; ``then`` reads the page's own
    list afterwards."""
    detail = OpenBooking.detail
    return rx.flex(
        _differences(then),
        _actions(then),
        rx.el.div(
            rx.flex(
                _facts(detail.facts),
                rx.cond(
                    detail.answers.length() > 0,
                    _part("Answers", rx.el.div(rx.foreach(detail.answers, _answer), class_name="stack")),
                ),
                direction="column",
                spacing="4",
            ),
            rx.flex(
                _part("In the calendars", _receipts()),
                _part(
                    "History",
                    rx.el.ol(rx.foreach(detail.history, _entry), class_name="plain stack"),
                ),
                direction="column",
                spacing="4",
            ),
            class_name="columns",
        ),
        direction="column",
        spacing="4",
        padding=space(4),
    )


def _differences(then: Any) -> rx.Component:
    return rx.cond(
        OpenBooking.detail.differences.length() > 0,
        rx.flex(
            rx.foreach(OpenBooking.detail.differences, lambda one: _difference(one, then)),
            direction="column",
            spacing="3",
            role="region",
            aria_label="Differences between booking and calendar",
        ),
    )


def _difference(one: Difference, then: Any) -> rx.Component:
    return rx.box(
        rx.callout.root(
            rx.callout.icon(rx.icon("calendar-x-2", size=16, aria_hidden="true")),
            rx.callout.text(one.sentence),
            rx.cond(one.found != "", rx.callout.text(one.found, class_name="tabular")),
            rx.cond(one.reason != "", rx.callout.text(one.reason, class_name="wrap-anywhere")),
            color_scheme="amber",
            high_contrast=True,
            size="1",
        ),
        rx.flex(
            rx.cond(
                one.follow != "",
                rx.button(
                    one.follow,
                    size="2",
                    variant="soft",
                    on_click=[OpenBooking.settle(one.id, "follow"), then],
                ),
            ),
            rx.cond(
                one.can_restore,
                rx.button(
                    "Put it back",
                    size="2",
                    variant="soft",
                    on_click=[OpenBooking.settle(one.id, "restore"), then],
                ),
            ),
            rx.button(
                "Keep as is",
                size="2",
                variant="soft",
                color_scheme="gray",
                on_click=[OpenBooking.settle(one.id, "keep"), then],
            ),
            spacing="3",
            wrap="wrap",
            margin_top=space(2),
        ),
    )


def _part(title: str, content: rx.Component) -> rx.Component:
    return rx.box(rx.heading(title, as_="h2", size="2", margin_bottom=space(2)), content)


def _facts(facts: Any) -> rx.Component:
    return rx.data_list.root(
        rx.foreach(
            facts,
            lambda fact: rx.data_list.item(
                rx.data_list.label(fact.label),
                rx.data_list.value(rx.el.span(fact.value, class_name="wrap-anywhere")),
            ),
        ),
        size="2",
    )


def _answer(answer: Fact) -> rx.Component:
    return rx.box(
        rx.text(answer.label, size="2", color_scheme="gray", class_name="wrap-anywhere"),
        rx.text(answer.value, size="2", white_space="pre-line", class_name="wrap-anywhere"),
    )


def _entry(entry: Fact) -> rx.Component:
    return rx.el.li(
        rx.text(entry.value, size="2", class_name="wrap-anywhere"),
        rx.text(entry.label, size="1", color_scheme="gray", class_name="tabular"),
    )


def _receipts() -> rx.Component:
    receipts = OpenBooking.detail.receipts
    return rx.cond(
        receipts.length() > 0,
        rx.fragment(
            rx.el.ul(rx.foreach(receipts, _receipt), class_name="plain stack"),
            rx.text(
                "Verified: after writing, the event was read back from the calendar and is as it should be.",
                size="1",
                color_scheme="gray",
                margin_top=space(2),
            ),
        ),
        rx.text(
            rx.match(
                OpenBooking.detail.status,
                ("pending", "It is written into calendars once it is confirmed."),
                ("declined", "It was declined, so no calendar has it."),
                ("cancelled", "It was cancelled, so no calendar has it."),
                "No calendar receives this booking. Choose one under Calendars, “Write bookings here”.",
            ),
            size="2",
            color_scheme="gray",
        ),
    )


def _receipt(receipt: Receipt) -> rx.Component:
    return rx.el.li(
        rx.flex(
            provider_icon(receipt.provider),
            rx.text(receipt.calendar, size="2", class_name="clip"),
            status_badge(receipt.state),
            rx.cond(
                receipt.verified_at != "",
                rx.text(ago(instant=receipt.verified_at), size="1", color_scheme="gray"),
            ),
            rx.cond(
                receipt.html_link != "",
                rx.text(
                    plain.link(
                        "Open",
                        href=receipt.html_link,
                        target="_blank",
                        rel="noopener noreferrer",
                        class_name="text-link",
                    ),
                    size="1",
                ),
            ),
            spacing="2",
            align="center",
            wrap="wrap",
        ),
        rx.cond(
            receipt.error != "",
            rx.text(
                receipt.error,
                " (",
                receipt.attempts,
                ")",
                size="1",
                color_scheme=rx.cond(receipt.state == "queued", "gray", "red"),
                class_name="wrap-anywhere",
            ),
        ),
        rx.cond(
            receipt.next_try != "",
            rx.text(ago(instant=receipt.next_try, prefix="Next try"), size="1", color_scheme="gray"),
        ),
    )


def _actions(then: Any) -> rx.Component:
    detail = OpenBooking.detail
    quiet = {"size": "2", "variant": "soft", "color_scheme": "gray"}
    return rx.flex(
        rx.cond(
            detail.can_approve,
            rx.fragment(
                rx.button(
                    rx.icon("check", size=14, aria_hidden="true"),
                    "Confirm",
                    size="2",
                    on_click=[OpenBooking.approve, then],
                ),
                _asking(
                    "decline",
                    "Decline",
                    title="Decline this request?",
                    text="The customer is told, with your reason if you give one. The time becomes free.",
                    on_submit=[OpenBooking.decline, then],
                    variant="soft",
                    color_scheme="red",
                ),
            ),
        ),
        rx.cond(detail.can_retry, rx.button("Retry", size="2", on_click=[OpenBooking.retry, then])),
        rx.cond(
            detail.can_move,
            rx.fragment(
                _move_dialog(then),
                rx.button(
                    rx.icon("move", size=14, aria_hidden="true"),
                    "Change time or length",
                    on_click=MoveByHand.propose(detail.id, "", ""),
                    **quiet,
                ),
            ),
        ),
        rx.cond(detail.can_miss, rx.button("Mark as no-show", on_click=[OpenBooking.no_show, then], **quiet)),
        rx.button(
            rx.icon("copy", size=14, aria_hidden="true"),
            "Copy manage link",
            on_click=[rx.set_clipboard(detail.manage_url), notices.success("Link copied.")],
            **quiet,
        ),
        rx.cond(
            detail.can_cancel,
            _asking(
                "cancel",
                "Cancel booking",
                title="Cancel this booking?",
                text="The event is taken out of the calendars and the time becomes free. This cannot be undone.",
                on_submit=[OpenBooking.cancel, then],
                variant="outline",
                color_scheme="red",
            ),
        ),
        spacing="3",
        wrap="wrap",
    )


def _asking(key: str, action: str, **dialog: Any) -> rx.Component:
    return reason_dialog(
        action,
        is_open=OpenBooking.dialog == key,
        on_open_change=lambda is_open: OpenBooking.ask(key, is_open),
        size="2",
        **dialog,
    )


def _move_dialog(then: Any) -> rx.Component:
    detail = OpenBooking.detail
    return rx.dialog.root(
        rx.dialog.trigger(
            rx.button(
                rx.icon("calendar-clock", size=14, aria_hidden="true"),
                "Reschedule",
                size="2",
                variant="soft",
            )
        ),
        rx.dialog.content(
            rx.dialog.title("Reschedule"),
            rx.dialog.description(detail.title, ", now ", detail.when, size="2", margin_bottom=space(4)),
            error_callout(MoveState.error),
            rx.cond(MoveState.chosen == "", _choose(), _sure(then)),
            max_width="46rem",
        ),
        open=MoveState.booking_id == detail.id,
        on_open_change=lambda is_open: MoveState.toggle(detail.id, is_open),
    )


def _choose() -> rx.Component:
    return rx.box(
        rx.el.div(
            month_view(MoveState), times_view(MoveState, MoveState.pick_slot), class_name="dialog-pick"
        ),
        rx.separator(size="4", margin_y=space(4)),
        rx.form(
            rx.flex(
                rx.text("Or any other time:", size="2", color_scheme="gray"),
                rx.el.input(
                    type="date", name="day", required=True, class_name="input-native", aria_label="Date"
                ),
                rx.el.input(
                    type="time", name="at", required=True, class_name="input-native", aria_label="Time"
                ),
                rx.button("Use this time", type="submit", variant="soft", size="2"),
                spacing="3",
                align="center",
                wrap="wrap",
            ),
            on_submit=MoveState.pick_other,
        ),
        rx.text(
            "You may leave working hours and notice aside; another booking or event never.",
            size="1",
            color_scheme="gray",
            margin_top=space(2),
        ),
        rx.flex(
            rx.dialog.close(rx.button("Close", type="button", variant="soft", color_scheme="gray")),
            justify="end",
            margin_top=space(4),
        ),
    )


def _sure(then: Any) -> rx.Component:
    return rx.box(
        rx.text("The new time:", size="2", color_scheme="gray"),
        rx.text(MoveState.chosen_text, size="4", weight="medium", class_name="tabular", role="status"),
        rx.flex(
            rx.button(
                "Choose again",
                type="button",
                variant="soft",
                color_scheme="gray",
                on_click=MoveState.choose_again,
            ),
            rx.button("Confirm new time", type="button", on_click=[MoveState.move, then], auto_focus=True),
            spacing="3",
            justify="end",
            margin_top=space(5),
        ),
    )
