"""Which page stands at which path."""

from __future__ import annotations

import reflex as rx


def index() -> rx.Component:
    return rx.center(rx.heading("Almanac"), min_height="100vh")


def add_pages(app: rx.App) -> None:
    """Register every page on the application."""
    app.add_page(index, route="/", title="Almanac")
