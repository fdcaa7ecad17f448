"""Every page can be put together, before a browser or a build finds that one cannot."""

from __future__ import annotations

from typing import Any

from calendar_app.ui import routes


class Pages:
    """Takes pages as an application does, and builds them."""

    def __init__(self) -> None:
        self.built: dict[str, Any] = {}

    def add_page(self, component: Any, *, route: str, **_options: Any) -> None:
        self.built[route] = component()

    def register_lifespan_task(self, *_arguments: Any, **_options: Any) -> None:
        """The listener of open pages is not started here."""


def test_every_page_is_built() -> None:
    """Each route has a page whose components, loops and conditions are sound."""
    pages = Pages()
    routes.add_pages(pages)  # type: ignore[arg-type]  # as much of an application as this needs
    assert {"/", "/login", "/dashboard", "/settings/calendars", "/settings/team", "404"} <= set(pages.built)
    assert all(page.render() for page in pages.built.values())
