"""What a page says while its websocket is away."""

from __future__ import annotations

import reflex as rx
from reflex_components_core.core.banner import has_too_many_connection_errors  # type: ignore[import-untyped]


def offline() -> rx.Component:
    """Nothing while the page is connected; two attempts have to fail, so that a short break is not spoken of."""
    return rx.cond(
        has_too_many_connection_errors,
        rx.el.div(
            rx.icon("wifi-off", size=18, aria_hidden="true"),
            rx.el.div(
                rx.el.strong("No connection to the server."),
                " What you typed stays here, and the page goes on by itself once the connection is back.",
            ),
            role="status",
            class_name="offline",
        ),
    )
