"""Labelled controls, and the dialog that asks before something is lost."""

from __future__ import annotations

from typing import Any

import reflex as rx

from calendar_app.ui.theme import space


def unbound(id_: str) -> rx.Var[str]:
    """An id for a control that stands in the page several times, of which one is shown at a time.

    Reflex keeps a reference to each element whose id is a plain string, and reads forms through it; with several
    instances it may be that of a closed dialog. An id that is a variable is read from the form as it was posted.
    """
    return rx.Var.create(id_)


def field(
    label: str | rx.Var[str], control: rx.Component, *, for_: str | rx.Var[str], hint: str = ""
) -> rx.Component:
    """A control under its label; ``for_`` is the control's id, ``hint`` what helps to fill it in."""
    return rx.flex(
        rx.el.label(label, html_for=for_, class_name="rt-Text rt-r-size-2 rt-r-weight-medium"),
        control,
        rx.text(hint, size="1", color_scheme="gray") if hint else rx.fragment(),
        direction="column",
        spacing="1",
        width="100%",
    )


def text_input(id_: str | rx.Var[str], **props: Any) -> rx.Component:
    """A text field whose id is also its name in the form."""
    return rx.input(id=id_, name=props.pop("name", id_), size="3", width="100%", **props)


def number_input(id_: str | rx.Var[str], *, low: int, high: int, unit: str, **props: Any) -> rx.Component:
    """A whole number with its unit inside the field."""
    return rx.input(
        rx.input.slot(rx.text(unit, size="2", color_scheme="gray"), side="right"),
        id=id_,
        name=id_,
        type="number",
        min=low,
        max=high,
        step=1,
        size="2",
        width="100%",
        **props,
    )


def confirm(
    trigger: rx.Component, *, title: str, text: str | rx.Var[str], action: str, on_confirm: Any
) -> rx.Component:
    """A dialog that asks before ``on_confirm``; when it closes, the focus is back on ``trigger``."""
    return rx.alert_dialog.root(
        rx.alert_dialog.trigger(trigger),
        rx.alert_dialog.content(
            rx.alert_dialog.title(title),
            rx.alert_dialog.description(text, size="2"),
            rx.flex(
                rx.alert_dialog.cancel(rx.button("Keep", variant="soft", color_scheme="gray")),
                rx.alert_dialog.action(
                    rx.button(action, color_scheme="red", high_contrast=True, on_click=on_confirm)
                ),
                spacing="3",
                margin_top=space(4),
                justify="end",
            ),
            max_width="28rem",
        ),
    )
