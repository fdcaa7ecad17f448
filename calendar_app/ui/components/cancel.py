"""The question before a booking is cancelled or declined, with room for the reason."""

from __future__ import annotations

from typing import Any

import reflex as rx

from calendar_app.ui.components.forms import unbound
from calendar_app.ui.theme import space


def reason_dialog(
    action: str, *, title: str, text: str, is_open: Any, on_open_change: Any, on_submit: Any, **trigger: Any
) -> rx.Component:
    """A button and its dialog, in which the same words confirm: ``on_submit`` gets a form with ``reason``."""
    return rx.alert_dialog.root(
        rx.alert_dialog.trigger(rx.button(action, type="button", **trigger)),
        rx.alert_dialog.content(
            rx.alert_dialog.title(title),
            rx.alert_dialog.description(text, size="2"),
            rx.form(
                rx.el.label(
                    "Reason (optional)",
                    html_for="reason",
                    class_name="rt-Text rt-r-size-2 rt-r-weight-medium",
                ),
                rx.text_area(
                    id=unbound("reason"), name="reason", rows="3", max_length=1_000, margin_top=space(1)
                ),
                rx.flex(
                    rx.alert_dialog.cancel(
                        rx.button("Keep it", type="button", variant="soft", color_scheme="gray")
                    ),
                    rx.button(action, type="submit", color_scheme="red", high_contrast=True),
                    spacing="3",
                    justify="end",
                    margin_top=space(4),
                ),
                on_submit=on_submit,
                margin_top=space(4),
            ),
            max_width="28rem",
        ),
        open=is_open,
        on_open_change=on_open_change,
    )
