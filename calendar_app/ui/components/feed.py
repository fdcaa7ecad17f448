"""The card with a person's private calendar feed. See ``feed.js``."""

from __future__ import annotations

import reflex as rx

from calendar_app.ui.session import SessionState
from calendar_app.ui.theme import space


class Feed(rx.Component):
    """Makes, shows, changes and ends the signed-in person's feed of a workspace, through the HTTP API."""

    library = rx.asset("feed.js", shared=True).importable_path
    tag = "Feed"
    workspace: rx.Var[str]


def feed_card() -> rx.Component:
    """Where a person gets the address under which their own calendar program follows their bookings."""
    return rx.card(
        rx.heading("Your bookings in your own calendar program", as_="h2", size="3"),
        rx.text(
            "A private address that Apple Calendar, Outlook, Thunderbird and others can follow, read-only. "
            "Whoever knows it can read your bookings: keep it to yourself.",
            size="2",
            color_scheme="gray",
            margin_top=space(1),
            margin_bottom=space(3),
        ),
        Feed.create(workspace=SessionState.workspace_slug),
        size="2",
        width="100%",
    )
