"""``/settings/event-types``: what can be booked, under which rules, and the link to give away."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import Any

import reflex as rx

from calendar_app.errors import AlmanacError, InvalidInput
from calendar_app.services import event_types as service
from calendar_app.services.event_types import EventTypeView
from calendar_app.ui import formats, notices
from calendar_app.ui.components.feedback import empty_state, error_callout, loading
from calendar_app.ui.components.forms import confirm, field, number_input, text_input
from calendar_app.ui.layout import page
from calendar_app.ui.session import SessionState, acting, enter
from calendar_app.ui.theme import space

PATH = "/settings/event-types"
NEW = "new"
NUMBERS = ("buffer_before", "buffer_after", "minimum_notice", "horizon_days", "step_minutes")
TEXTS = ("title", "slug", "description", "location")


@dataclass
class EventTypeRow:
    """An event type in the list."""

    id: str
    title: str
    summary: str
    path: str
    url: str
    is_active: bool
    is_public: bool


@dataclass
class EventTypeDraft:
    """The fields of the form, as it opens."""

    title: str = ""
    slug: str = ""
    description: str = ""
    location: str = ""
    durations: str = "30"
    buffer_before: str = "0"
    buffer_after: str = "0"
    minimum_notice: str = "0"
    horizon_days: str = "60"
    step_minutes: str = "15"


def summary(view: EventTypeView) -> str:
    """``30 min · 10 min before · notice 2 h · 60 days ahead · every 15 min``; what is zero is left out."""
    parts = [" or ".join(formats.length(minutes) for minutes in view.durations)]
    if view.buffer_before:
        parts.append(f"{formats.length(view.buffer_before)} before")
    if view.buffer_after:
        parts.append(f"{formats.length(view.buffer_after)} after")
    if view.minimum_notice:
        parts.append(f"notice {formats.length(view.minimum_notice)}")
    parts += [f"{view.horizon_days} days ahead", f"every {formats.length(view.step_minutes)}"]
    return " · ".join(parts)


def as_row(view: EventTypeView) -> EventTypeRow:
    path = view.url[view.url.index("/book/") :]
    return EventTypeRow(view.id, view.title, summary(view), path, view.url, view.is_active, view.is_public)


def as_draft(view: EventTypeView) -> EventTypeDraft:
    return EventTypeDraft(
        **{name: getattr(view, name) for name in TEXTS},
        **{name: str(getattr(view, name)) for name in NUMBERS},
        durations=", ".join(map(str, view.durations)),
    )


def read_form(form: dict[str, Any]) -> dict[str, Any]:
    """The posted form as the service's fields. :raises InvalidInput: a number is none."""
    fields: dict[str, Any] = {name: str(form.get(name, "")) for name in TEXTS}
    if not fields["slug"]:
        del fields["slug"]
    for name in NUMBERS:
        text = str(form.get(name, "")).strip()
        if not re.fullmatch(r"[0-9]{1,6}", text):
            raise InvalidInput(f"“{name.replace('_', ' ').capitalize()}” must be a whole number.", field=name)
        fields[name] = int(text)
    durations = [part for part in re.split(r"[,;\s]+", str(form.get("durations", ""))) if part]
    if not durations or not all(re.fullmatch(r"[0-9]{1,5}", part) for part in durations):
        raise InvalidInput("Durations are minutes, separated by commas: 30, 60.", field="durations")
    fields["durations"] = [int(part) for part in durations]
    return fields


class EventTypesState(rx.State):
    """The list, and the one dialog that is open: ``editing`` is an event type's id, ``"new"`` or empty."""

    loaded: bool = False
    rows: list[EventTypeRow] = []  # noqa: RUF012 - Reflex copies defaults per session
    editing: str = ""
    draft: EventTypeDraft = EventTypeDraft()
    error: str = ""

    @rx.event
    async def load(self, zone: str, hour12: bool) -> None:
        """Show the workspace's event types."""
        await enter(self, zone, hour12)
        await self._read()

    async def _read(self) -> None:
        found = await asyncio.to_thread(service.list_event_types, await acting(self))
        self.rows, self.loaded = [as_row(view) for view in found], True

    @rx.event
    async def toggle_dialog(self, event_type_id: str, is_open: bool) -> None:
        """Open the form on an event type (or a new one), or close it."""
        self.error = ""
        if not is_open:
            self.editing = ""
            return
        if event_type_id == NEW:
            self.draft = EventTypeDraft()
        else:
            view = await asyncio.to_thread(service.get_event_type, await acting(self), event_type_id)
            self.draft = as_draft(view)
        self.editing = event_type_id

    @rx.event
    async def save(self, form: dict[str, Any]) -> Any:
        """Create or change the event type of the open dialog."""
        actor = await acting(self)
        try:
            fields = read_form(form)
            if self.editing == NEW:
                await asyncio.to_thread(service.create_event_type, actor, fields)
            else:
                await asyncio.to_thread(service.update_event_type, actor, self.editing, fields)
        except AlmanacError as error:
            self.error = error.detail
            return None
        self.editing = ""
        await self._read()
        return notices.success("Saved.")

    @rx.event
    async def set_active(self, event_type_id: str, value: bool) -> None:
        """Offer the event type to customers, or stop offering it."""
        actor = await acting(self)
        await asyncio.to_thread(service.update_event_type, actor, event_type_id, {"is_active": value})
        await self._read()

    @rx.event
    async def delete(self, event_type_id: str) -> Any:
        """Delete an event type that was never booked."""
        await asyncio.to_thread(service.delete_event_type, await acting(self), event_type_id)
        await self._read()
        return notices.success("Deleted.")


def _form() -> rx.Component:
    draft = EventTypesState.draft
    return rx.form(
        rx.flex(
            error_callout(EventTypesState.error),
            field(
                "Title",
                text_input("title", default_value=draft.title, required=True, max_length=200),
                for_="title",
            ),
            rx.grid(
                field(
                    "Address",
                    text_input(
                        "slug", default_value=draft.slug, placeholder="made from the title", max_length=64
                    ),
                    for_="slug",
                    hint="The last part of the public link.",
                ),
                field(
                    "Duration",
                    text_input(
                        "durations", default_value=draft.durations, required=True, input_mode="numeric"
                    ),
                    for_="durations",
                    hint="Minutes; several separated by commas.",
                ),
                columns=rx.breakpoints(initial="1", sm="2"),
                spacing="4",
            ),
            field(
                "Description",
                rx.text_area(id="description", name="description", default_value=draft.description, rows="3"),
                for_="description",
            ),
            field(
                "Location",
                text_input(
                    "location", default_value=draft.location, placeholder="Phone, address or meeting link"
                ),
                for_="location",
            ),
            rx.grid(
                _minutes("buffer_before", "Buffer before", draft.buffer_before, 1440),
                _minutes("buffer_after", "Buffer after", draft.buffer_after, 1440),
                _minutes("minimum_notice", "Minimum notice", draft.minimum_notice, 527_040),
                _minutes("step_minutes", "Start every", draft.step_minutes, 1440, low=1),
                field(
                    "Bookable ahead",
                    number_input(
                        "horizon_days", low=1, high=730, unit="days", default_value=draft.horizon_days
                    ),
                    for_="horizon_days",
                ),
                columns=rx.breakpoints(initial="2", sm="3"),
                spacing="4",
            ),
            rx.flex(
                rx.dialog.close(rx.button("Cancel", type="button", variant="soft", color_scheme="gray")),
                rx.button("Save", type="submit"),
                spacing="3",
                justify="end",
            ),
            direction="column",
            spacing="4",
        ),
        on_submit=EventTypesState.save,
    )


def _minutes(name: str, label: str, value: rx.Var[str], high: int, low: int = 0) -> rx.Component:
    return field(label, number_input(name, low=low, high=high, unit="min", default_value=value), for_=name)


def _dialog(trigger: rx.Component, title: str, key: Any) -> rx.Component:
    return rx.dialog.root(
        rx.dialog.trigger(trigger),
        rx.dialog.content(
            rx.dialog.title(title),
            rx.dialog.description(
                "What customers can book, and under which rules.", size="2", margin_bottom=space(4)
            ),
            _form(),
            max_width="36rem",
        ),
        open=EventTypesState.editing == key,
        on_open_change=lambda is_open: EventTypesState.toggle_dialog(key, is_open),
    )


def _row(row: EventTypeRow) -> rx.Component:
    return rx.el.li(
        rx.flex(
            rx.flex(
                rx.heading(row.title, as_="h2", size="3"),
                rx.cond(~row.is_active, rx.badge("Off", color_scheme="gray")),
                rx.cond(~row.is_public, rx.badge("Not listed", color_scheme="gray")),
                spacing="2",
                align="center",
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
        rx.flex(
            rx.switch(
                checked=row.is_active,
                on_change=lambda value: EventTypesState.set_active(row.id, value),
                aria_label="Offer " + row.title,
            ),
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
        ),
        class_name="row",
        style={"flexWrap": "wrap"},
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
                        rx.el.a(everything, href=everything, class_name="text-link"),
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
        lead="What customers can book with you.",
        actions=_new_button(),
    )
