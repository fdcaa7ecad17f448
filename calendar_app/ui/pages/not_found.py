"""The page for addresses that lead nowhere, and the same words for links that no longer lead anywhere."""

from __future__ import annotations

import reflex as rx

from calendar_app.ui.layout import brand, skip_link
from calendar_app.ui.theme import space


def nothing_here(title: str, text: str) -> rx.Component:
    """What stands in place of a page that is not there."""
    return rx.flex(
        rx.el.span(rx.icon("compass", size=24), class_name="empty-icon", aria_hidden="true"),
        rx.heading(title, as_="h1", size="7"),
        rx.text(text, color_scheme="gray", max_width="28rem"),
        rx.button(rx.el.a("Go to the start page", href="/"), as_child=True, variant="soft", size="3"),
        direction="column",
        align="center",
        spacing="4",
        padding_y=space(9),
        text_align="center",
    )


def not_found() -> rx.Component:
    return rx.fragment(
        skip_link(),
        rx.el.div(
            rx.el.header(brand("/"), class_name="landing-top"),
            rx.el.main(
                nothing_here(
                    "Page not found", "The address is wrong, or the page was removed. Check the link."
                ),
                id="main",
                tab_index=-1,
            ),
            class_name="public",
        ),
    )
