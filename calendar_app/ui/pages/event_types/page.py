"""The list of event types, with what can be done to each."""

from __future__ import annotations

from typing import Any

import reflex as rx

from calendar_app.ui import notices
from calendar_app.ui.components import plain
from calendar_app.ui.components.feedback import empty_state, loading
from calendar_app.ui.components.forms import confirm
from calendar_app.ui.layout import page
from calendar_app.ui.pages.event_types.editor import editor
from calendar_app.ui.pages.event_types.links import links_dialog
from calendar_app.ui.pages.event_types.state import NEW, EventTypeRow, EventTypesState
from calendar_app.ui.pages.event_types.why import WhyState, why_dialog
from calendar_app.ui.session import SessionState
from calendar_app.ui.theme import space

PATH = "/settings/event-types"


def _dialog(trigger: rx.Component, title: str, key: Any) -> rx.Component:
    return rx.dialog.root(
        rx.dialog.trigger(trigger),
        rx.dialog.content(
            rx.dialog.title(title),
            rx.dialog.description(
                "What customers can book, and under which rules.", size="2", margin_bottom=space(4)
            ),
            editor(),
            max_width="44rem",
            on_interact_outside=rx.prevent_default,  # a stray press beside it must not throw away what was typed
        ),
        open=EventTypesState.editing == key,
        on_open_change=lambda is_open: EventTypesState.toggle_dialog(key, is_open),
    )


def _row(row: EventTypeRow) -> rx.Component:
    return rx.el.li(
        rx.flex(
            rx.flex(
                rx.heading(row.title, as_="h2", size="3", class_name="wrap-anywhere"),
                rx.cond(~row.is_active, rx.badge("Off", color_scheme="gray")),
                rx.cond(~row.is_public, rx.badge("Not listed", color_scheme="gray")),
                spacing="2",
                align="center",
                min_width="0",
            ),
            rx.text(row.summary, size="2", color_scheme="gray"),
            rx.flex(
                rx.el.a(
                    row.path,
                    href=row.path,
                    class_name="text-link wrap-anywhere",
                ),
                rx.icon_button(
                    rx.icon("copy", size=14, aria_hidden="true"),
                    variant="ghost",
                    size="1",
                    aria_label="Copy the link of " + row.title,
                    title="Copy link",
                    on_click=[rx.set_clipboard(row.url), notices.success("Link copied.")],
                ),
                spacing="2",
                align="center",
            ),
            direction="column",
            spacing="1",
            flex_grow="1",
            min_width="0",
        ),
        rx.cond(row.may_change, _changes(row), why_dialog(row.id, row.title)),
        class_name="row",
        style={"flexWrap": "wrap"},
    )


def _changes(row: EventTypeRow) -> rx.Component:
    """What managers may do with every event type, and staff with what only they host."""
    return rx.flex(
        rx.switch(
            checked=row.is_active,
            on_change=lambda value: EventTypesState.set_active(row.id, value),
            aria_label="Offer " + row.title,
        ),
        links_dialog(row.id, row.title),
        why_dialog(row.id, row.title),
        _dialog(
            rx.button("Edit", variant="soft", size="2", aria_label="Edit " + row.title),
            "Edit event type",
            row.id,
        ),
        confirm(
            rx.icon_button(
                rx.icon("trash-2", size=16, aria_hidden="true"),
                variant="ghost",
                color_scheme="gray",
                aria_label="Delete " + row.title,
            ),
            title="Delete this event type?",
            text="Its public link stops working. One that has been booked can only be switched off.",
            action="Delete",
            on_confirm=EventTypesState.delete(row.id),
        ),
        spacing="4",
        align="center",
        wrap="wrap",
    )


def _new_button() -> rx.Component:
    return _dialog(
        rx.button(rx.icon("plus", size=16, aria_hidden="true"), "New event type"), "New event type", NEW
    )


def event_types() -> rx.Component:
    everything = f"/book/{SessionState.workspace_slug}"
    return page(
        "Event types",
        rx.cond(
            EventTypesState.loaded,
            rx.cond(
                EventTypesState.rows.length() > 0,
                rx.flex(
                    rx.el.ul(rx.foreach(EventTypesState.rows, _row), class_name="plain list"),
                    rx.text(
                        "All of them on one page: ",
                        plain.link(everything, href=everything, class_name="text-link"),
                        size="2",
                        color_scheme="gray",
                    ),
                    direction="column",
                    spacing="4",
                ),
                empty_state(
                    "shapes",
                    "Nothing can be booked yet",
                    "Make an event type: a title and a length are enough. You get a link to give to customers.",
                ),
            ),
            loading(),
        ),
        path=PATH,
        on_ready=EventTypesState.load,
        kept=(EventTypesState, WhyState),
        lead="What customers can book with you.",
        actions=_new_button(),
    )
