"""``/book/{workspace}``: everything that can be booked at one business."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import reflex as rx

from calendar_app.errors import NotFound
from calendar_app.services.event_types import queries as event_type_queries
from calendar_app.ui import formats
from calendar_app.ui.components.feedback import loading
from calendar_app.ui.layout import public_page
from calendar_app.ui.pages.not_found import nothing_here
from calendar_app.ui.theme import space


@dataclass
class OfferRow:
    """An event type that can be booked."""

    title: str
    detail: str
    description: str
    path: str


class BookListState(rx.State):
    """``stage``: ``loading``, ``missing`` or ``ready``."""

    stage: str = "loading"
    title: str = "Book a time · Almanac"
    name: str = ""
    rows: list[OfferRow] = []  # noqa: RUF012 - Reflex copies defaults per session

    @rx.event
    async def load(self, zone: str, hour12: bool) -> None:
        """Show what the business offers."""
        try:
            found = await asyncio.to_thread(event_type_queries.public_list, self.workspace)
        except NotFound:
            self.stage, self.title = "missing", "Page not found · Almanac"
            return
        self.name = found[0].workspace_name if found else ""
        self.title = f"{self.name or 'Book a time'} · Almanac"
        self.rows = [
            OfferRow(
                view.title,
                " or ".join(formats.length(minutes) for minutes in view.durations)
                + " · "
                + ", ".join(view.hosts),
                view.description,
                f"/book/{view.workspace_slug}/{view.slug}",
            )
            for view in found
        ]
        self.stage = "ready"


def _row(row: OfferRow) -> rx.Component:
    return rx.el.li(
        rx.card(
            rx.el.a(
                rx.flex(
                    rx.box(
                        rx.heading(row.title, as_="h2", size="4", class_name="wrap-anywhere"),
                        rx.text(row.detail, size="2", color_scheme="gray"),
                        rx.cond(
                            row.description != "", rx.text(row.description, size="2", margin_top=space(2))
                        ),
                    ),
                    rx.icon("chevron-right", size=20, aria_hidden="true"),
                    justify="between",
                    align="center",
                    spacing="4",
                ),
                href=row.path,
            ),
            as_child=True,
            size="3",
        )
    )


def book_list() -> rx.Component:
    return public_page(
        rx.match(
            BookListState.stage,
            ("loading", rx.box(loading(3), width="100%", max_width="40rem")),
            (
                "missing",
                nothing_here("Page not found", "There is no booking page at this address. Check the link."),
            ),
            rx.cond(
                BookListState.rows.length() > 0,
                rx.box(
                    rx.heading(
                        BookListState.name, as_="h1", size="7", align="center", margin_bottom=space(2)
                    ),
                    rx.text(
                        "What would you like to book?",
                        color_scheme="gray",
                        align="center",
                        margin_bottom=space(5),
                    ),
                    rx.el.ul(
                        rx.foreach(BookListState.rows, _row),
                        class_name="plain",
                        style={"display": "grid", "gap": space(3)},
                    ),
                    width="100%",
                    max_width="40rem",
                    padding=space(4),
                ),
                nothing_here(
                    "Nothing to book right now", "This business offers no times online at the moment."
                ),
            ),
        ),
        on_ready=BookListState.load,
    )
