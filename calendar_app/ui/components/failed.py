"""What stands in place of a page that cannot be drawn, because of a fault in what runs in the browser."""

from __future__ import annotations

import reflex as rx
from reflex_components_core.base.error_boundary import ErrorBoundary  # type: ignore[import-untyped]  # no types

from calendar_app.ui.components import plain
from calendar_app.ui.theme import space, themed


def failed_page() -> rx.Component:
    """Says what can be done. The fault itself is reported to the server, which logs it."""
    return rx.el.main(
        rx.el.title("This page cannot be shown · Almanac"),
        rx.flex(
            rx.el.span(rx.icon("circle-alert", size=24), class_name="empty-icon", aria_hidden="true"),
            rx.heading("This page cannot be shown", as_="h1", size="7"),
            rx.text(
                "Something went wrong on our side, and it has been reported. What you saved is safe. Load the page "
                "again; if that does not help, go back to the start page.",
                color_scheme="gray",
                max_width="28rem",
            ),
            rx.flex(
                rx.button(plain.link("Load the page again", href=""), as_child=True, size="3"),
                rx.button(
                    plain.link("Go to the start page", href="/"), as_child=True, variant="soft", size="3"
                ),
                spacing="3",
                wrap="wrap",
                justify="center",
            ),
            direction="column",
            align="center",
            spacing="4",
            padding_x=space(4),
            padding_y=space(9),
            text_align="center",
            role="alert",
        ),
        id="main",
    )


def boundary(stateful: bool) -> rx.Component:
    """The boundary around every page and the theme, with our words; ``stateful``: there is a server to report to."""
    reporting = {} if stateful else {"on_error": rx.noop()}
    return ErrorBoundary.create(fallback_render=rx.Var.create(themed(failed_page())), **reporting)
