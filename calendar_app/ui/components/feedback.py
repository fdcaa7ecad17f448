"""What a page says when there is nothing to show, when something is wrong, and while it waits."""

from __future__ import annotations

import reflex as rx

from calendar_app.ui.theme import space


def empty_state(icon: str, title: str, text: str, *actions: rx.Component) -> rx.Component:
    """Nothing here yet, and what to do about it."""
    return rx.el.div(
        rx.el.span(rx.icon(icon, size=24), class_name="empty-icon", aria_hidden="true"),
        rx.heading(title, as_="h2", size="4"),
        rx.text(text, color_scheme="gray", max_width="26rem"),
        rx.flex(*actions, spacing="3", wrap="wrap", justify="center") if actions else rx.fragment(),
        class_name="empty",
    )


def callout(
    text: rx.Var[str] | str, icon: str, color: str, *actions: rx.Component, role: str = "status"
) -> rx.Component:
    """A message that stands where it belongs; ``role`` decides whether it interrupts a screen reader."""
    return rx.callout.root(
        rx.callout.icon(rx.icon(icon, size=16, aria_hidden="true")),
        _beside(rx.callout.text(text, class_name="wrap-anywhere"), *actions),
        color_scheme=color,
        high_contrast=True,
        role=role,
        size="1",
        width="100%",
    )


def _beside(text: rx.Component, *actions: rx.Component) -> rx.Component:
    """The text, and what can be done about it at the end of its line or below it."""
    return rx.flex(text, *actions, spacing="3", align="center", wrap="wrap") if actions else text


def error_callout(text: rx.Var[str], *actions: rx.Component) -> rx.Component:
    """An error beside its cause; nothing while ``text`` is empty."""
    return rx.cond(text != "", callout(text, "circle-alert", "red", *actions, role="alert"))


def success_callout(text: rx.Var[str]) -> rx.Component:
    """Good news that should stay on the page; nothing while ``text`` is empty."""
    return rx.cond(text != "", callout(text, "circle-check", "green"))


def warning_callout(text: rx.Var[str] | str, *actions: rx.Component) -> rx.Component:
    """Something that needs a hand, not urgent enough to interrupt."""
    return callout(text, "triangle-alert", "amber", *actions)


def loading(lines: int = 4) -> rx.Component:
    """Grey lines while a page's first answer is on its way."""
    return rx.flex(
        *(rx.skeleton(height=space(7), width="100%") for _ in range(lines)),
        rx.el.span("Loading", class_name="visually-hidden", role="status"),
        direction="column",
        spacing="3",
    )
