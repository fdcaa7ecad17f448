"""The owner's addresses at a server that may not know them: asked for on the account's card."""

from __future__ import annotations

import reflex as rx

from calendar_app.ui.components.connections import ConnectionRow
from calendar_app.ui.components.forms import field, text_input
from calendar_app.ui.pages.calendars.state import CalendarsState
from calendar_app.ui.theme import space

LABEL = "Your addresses at this server"
HINT = "So that declined invitations free your time. What the server itself tells is known."
UNKNOWN = "The server tells no address of yours. Until you give one, what you declined counts as busy."


def address_form(row: ConnectionRow) -> rx.Component:
    """One line of addresses, separated by commas, and a button that saves them."""
    id_ = "addresses-" + row.id
    line = rx.flex(
        rx.box(
            text_input(
                id_,
                name="addresses",
                default_value=row.addresses,
                key=row.id + row.addresses,
                placeholder="ada@example.com, ada@example.org",
                auto_complete="email",
                input_mode="email",
                max_length=6_000,
            ),
            flex="1 1 10rem",
            min_width="0",
        ),
        rx.button(
            "Save", type="submit", variant="soft", size="3", aria_label="Save the addresses of " + row.account
        ),
        spacing="3",
    )
    return rx.form(
        rx.el.input(type="hidden", name="connection_id", value=row.id, read_only=True),
        field(LABEL, line, for_=id_, hint=HINT),
        rx.cond(
            ~row.knows_address,
            rx.text(UNKNOWN, size="2", role="status", margin_top=space(2)),
        ),
        on_submit=CalendarsState.set_addresses,
        padding=space(4),
        width="100%",
    )
