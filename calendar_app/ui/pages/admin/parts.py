"""What the tabs of the operations page are put together from: lists, their rows, and what stands in a row."""

from __future__ import annotations

from collections.abc import Mapping

import reflex as rx

from calendar_app.ui.components.browser import ago
from calendar_app.ui.components.feedback import empty_state
from calendar_app.ui.theme import space


def listed(items: rx.Var[list[object]], row: object, *empty: str) -> rx.Component:
    icon, title, text = empty
    return rx.cond(
        items.length() > 0,
        rx.el.ul(rx.foreach(items, row), class_name="plain list"),
        empty_state(icon, title, text),
    )


def line(*parts: rx.Component) -> rx.Component:
    return rx.el.li(*parts, class_name="row", style={"flexWrap": "wrap"})


def texts(title: object, *below: rx.Component) -> rx.Component:
    return rx.box(
        rx.text(title, size="2", weight="medium", class_name="wrap-anywhere"),
        *below,
        flex_grow="1",
        flex_basis="16rem",
        min_width="0",
    )


def grey(*text: object) -> rx.Component:
    return rx.text(*text, size="2", color_scheme="gray", class_name="wrap-anywhere")


def section(title: str, *content: rx.Component) -> rx.Component:
    return rx.el.section(
        rx.heading(title, as_="h2", size="4", margin_bottom=space(3)),
        *content,
        style={"margin-bottom": space(6)},
    )


def state_badge(
    state: rx.Var[str], names: Mapping[str, tuple[str, str]], otherwise: tuple[str, str]
) -> rx.Component:
    """``names``: state -> words and colour."""

    def badge(words: str, colour: str) -> rx.Component:
        return rx.badge(words, color_scheme=colour, variant="soft", high_contrast=True)

    return rx.match(state, *((key, badge(*shown)) for key, shown in names.items()), badge(*otherwise))


def moment(instant: rx.Var[str], prefix: str, *, otherwise: str = "", size: str = "2") -> rx.Component:
    """How long ago something was; ``otherwise`` where it never was."""
    never = rx.text(otherwise, size=size, color_scheme="gray") if otherwise else rx.fragment()
    return rx.cond(
        instant != "", rx.text(ago(instant=instant, prefix=prefix), size=size, color_scheme="gray"), never
    )


def bar(said: rx.Component, icon: str, words: str, act: rx.EventHandler) -> rx.Component:
    """A sentence about the list below, and what can be done about all of it."""
    return rx.flex(
        said,
        rx.button(rx.icon(icon, size=14, aria_hidden="true"), words, variant="soft", on_click=act),
        justify="between",
        align="center",
        spacing="3",
        wrap="wrap",
        margin_bottom=space(3),
    )
