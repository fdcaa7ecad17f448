"""The form of an event type: what everybody needs first, the rest in parts that open."""

from __future__ import annotations

from typing import Any

import reflex as rx

from calendar_app.domain.booking_form import Asked, FormPart
from calendar_app.domain.colors import CATEGORY_COLORS, Color, Priority
from calendar_app.domain.hosting import Hosting
from calendar_app.domain.intake import QuestionType
from calendar_app.domain.meeting_place import WITH_VALUE
from calendar_app.ui.components.feedback import error_callout
from calendar_app.ui.components.forms import field, number_input, text_input, unbound
from calendar_app.ui.pages.event_types.draft import (
    NAMES,
    UNITS,
    Choice,
    PlaceDraft,
    PlaceKindChoice,
    QuestionDraft,
)
from calendar_app.ui.pages.event_types.state import EventTypesState
from calendar_app.ui.theme import space

HOSTING_WORDS = {
    Hosting.SINGLE: "One person",
    Hosting.ROUND_ROBIN: "Whoever is free, in turns (round robin)",
    Hosting.COLLECTIVE: "All of them together",
}
PART_WORDS = {
    FormPart.GUESTS: "Guests",
    FormPart.BOOKED_BY: "Booking for somebody else",
    FormPart.PHONE: "Phone number",
    FormPart.NOTES: "Notes",
}
ASKED_WORDS = {"": "Not asked", Asked.OPTIONAL.value: "May be given", Asked.REQUIRED.value: "Must be given"}
TYPE_WORDS = {
    QuestionType.TEXT: "Short text",
    QuestionType.TEXTAREA: "Long text",
    QuestionType.SELECT: "Choice",
    QuestionType.CHECKBOX: "Box to tick",
    QuestionType.PHONE: "Phone number",
    QuestionType.NUMBER: "Number",
}


def editor() -> rx.Component:
    return rx.form(
        rx.flex(
            _basics(),
            _part("When it can be booked", "clock", _times()),
            _part("Who takes it, and how many come", "users", _people()),
            _part("Questions to the customer", "message-circle-question", _questions()),
            _part("Approval, changes and reminders", "bell", _afterwards()),
            _part("Address and look", "palette", _look()),
            error_callout(EventTypesState.error),
            rx.flex(
                rx.dialog.close(rx.button("Cancel", type="button", variant="soft", color_scheme="gray")),
                rx.button("Save", type="submit"),
                spacing="3",
                justify="end",
                margin_top=space(3),
            ),
            direction="column",
            spacing="4",
        ),
        on_submit=EventTypesState.save,
    )


def _part(title: str, icon: str, *content: rx.Component) -> rx.Component:
    return rx.el.details(
        rx.el.summary(rx.icon(icon, size=16, aria_hidden="true"), title),
        rx.flex(*content, direction="column", spacing="4", class_name="part"),
        class_name="disclosure",
    )


def _basics() -> rx.Component:
    draft = EventTypesState.draft
    return rx.fragment(
        field(
            "Title",
            text_input(unbound("title"), default_value=draft.title, required=True, max_length=200),
            for_="title",
        ),
        field(
            "Duration",
            text_input(
                unbound("durations"), default_value=draft.durations, required=True, input_mode="numeric"
            ),
            for_="durations",
            hint="Minutes. Several, like 30, 60, let the customer choose.",
        ),
        field(
            "Description",
            rx.text_area(
                id=unbound("description"), name="description", default_value=draft.description, rows="3"
            ),
            for_="description",
        ),
        _group(
            "Where to meet",
            rx.el.ol(rx.foreach(EventTypesState.places, _place), class_name="plain stack"),
            rx.foreach(EventTypesState.place_kinds, _missing_kind),
            rx.box(
                rx.button(
                    rx.icon("plus", size=14, aria_hidden="true"),
                    "Add a meeting place",
                    type="button",
                    variant="soft",
                    size="2",
                    on_click=EventTypesState.add_place,
                )
            ),
            hint="With several, the customer chooses. Addresses, numbers and links are told once the booking stands.",
        ),
    )


def _place(row: PlaceDraft) -> rx.Component:
    part = "p-" + row.id + "-"
    return rx.el.li(
        _grid(
            field(
                "Kind",
                rx.el.select(
                    rx.foreach(EventTypesState.place_kinds, lambda choice: _kind(choice, row)),
                    id=part + "kind",
                    value=row.kind,
                    on_change=lambda kind: EventTypesState.set_place_kind(row.id, kind),
                    class_name="select",
                ),
                for_=part + "kind",
            ),
            field(
                "Name on the booking page",
                rx.input(
                    id=part + "label",
                    name=part + "label",
                    default_value=row.label,
                    placeholder="optional",
                    max_length=100,
                    size="2",
                ),
                for_=part + "label",
            ),
        ),
        rx.box(
            field(
                rx.match(
                    row.kind,
                    ("customer_calls", "Number that the customer calls, with its country"),
                    ("link", "Link"),
                    "Address",
                ),
                rx.input(
                    id=part + "value",
                    name=part + "value",
                    default_value=row.value,
                    max_length=500,
                    size="2",
                    width="100%",
                ),
                for_=part + "value",
            ),
            style={"display": rx.cond(_has_value(row), "block", "none")},
        ),
        rx.flex(_tool("trash-2", "Remove", EventTypesState.remove_place(row.id)), justify="end"),
        key=row.id,
        class_name="card-row",
    )


def _kind(choice: PlaceKindChoice, row: PlaceDraft) -> rx.Component:
    """One kind to choose; what cannot be offered is shown and cannot be chosen, unless it was chosen before."""
    return rx.el.option(
        choice.title, value=choice.kind, disabled=(choice.missing != "") & (choice.kind != row.kind)
    )


def _missing_kind(choice: PlaceKindChoice) -> rx.Component:
    return rx.cond(choice.missing != "", rx.text(choice.missing, size="1", color_scheme="gray", as_="p"))


def _has_value(row: PlaceDraft) -> Any:
    first, *others = sorted(WITH_VALUE)
    found = row.kind == str(first)
    for kind in others:
        found = found | (row.kind == str(kind))
    return found


def _grid(*content: rx.Component) -> rx.Component:
    return rx.grid(*content, columns=rx.breakpoints(initial="1", sm="2"), spacing="4", width="100%")


def _group(title: str, *content: rx.Component, hint: str = "") -> rx.Component:
    return rx.el.fieldset(
        rx.el.legend(title, class_name="rt-Text rt-r-size-2 rt-r-weight-bold"),
        rx.text(hint, size="1", color_scheme="gray") if hint else rx.fragment(),
        *content,
        class_name="group",
    )


def _length(name: str, value: Any, hint: str = "") -> rx.Component:
    """Minutes as a number and its unit."""
    return field(
        NAMES[name],
        rx.flex(
            rx.input(
                id=unbound(name),
                name=name,
                type="number",
                min=0,
                max=999_999,
                step=1,
                default_value=value.number,
                size="2",
                width="6rem",
            ),
            rx.el.select(
                *(rx.el.option(unit, value=unit) for unit in UNITS),
                name=f"{name}_unit",
                default_value=value.unit,
                class_name="select",
                aria_label=f"{NAMES[name]}: unit",
            ),
            spacing="2",
        ),
        for_=name,
        hint=hint,
    )


def _count(name: str, value: Any, high: int, unit: str, *, low: int = 0, hint: str = "") -> rx.Component:
    return field(
        NAMES[name],
        number_input(unbound(name), low=low, high=high, unit=unit, default_value=value),
        for_=name,
        hint=hint,
    )


def _times() -> rx.Component:
    draft = EventTypesState.draft
    return rx.fragment(
        _grid(
            _length("step_minutes", draft.step_minutes),
            _length("minimum_notice", draft.minimum_notice, "How long before the start at the latest."),
            _count("horizon_days", draft.horizon_days, 3_660, "days"),
        ),
        _group(
            "Time kept free around it",
            _grid(_length("buffer_before", draft.buffer_before), _length("buffer_after", draft.buffer_after)),
        ),
        _group(
            "Maximum number of bookings",
            _grid(
                _count("daily_cap", draft.daily_cap, 10_000, "bookings"),
                _count("weekly_cap", draft.weekly_cap, 10_000, "bookings"),
            ),
            hint="0 means no limit. Counted for each host.",
        ),
    )


def _people() -> rx.Component:
    draft = EventTypesState.draft
    return rx.fragment(
        _count(
            "seats",
            draft.seats,
            10_000,
            "people",
            low=1,
            hint="More than one makes it a group: each books a seat.",
        ),
        rx.cond(
            draft.hosts.length() > 1,
            rx.fragment(
                _group("Hosts", rx.foreach(draft.hosts, lambda host: _tick("host-" + host.id, host))),
                field(
                    "How they share it",
                    rx.el.select(
                        *(rx.el.option(words, value=str(mode)) for mode, words in HOSTING_WORDS.items()),
                        id=unbound("hosting"),
                        name="hosting",
                        default_value=draft.hosting,
                        class_name="select",
                    ),
                    for_="hosting",
                ),
            ),
            rx.text(
                "You are the host. Colleagues can be chosen here once the workspace has some.",
                size="2",
                color_scheme="gray",
            ),
        ),
    )


def _tick(name: Any, choice: Choice) -> rx.Component:
    return _box(name, choice.name, choice.ticked)


def _box(name: Any, label: Any, ticked: Any) -> rx.Component:
    return rx.text(
        rx.flex(
            rx.el.input(type="checkbox", name=name, value="true", default_checked=ticked),
            label,
            spacing="2",
            align="center",
        ),
        as_="label",
        size="2",
    )


def _questions() -> rx.Component:
    return rx.fragment(
        rx.text("Name and email are always asked.", size="2", color_scheme="gray"),
        _grid(
            *(
                _select(part.value, words, getattr(EventTypesState.draft, part.value), ASKED_WORDS)
                for part, words in PART_WORDS.items()
            )
        ),
        rx.el.ol(rx.foreach(EventTypesState.questions, _question), class_name="plain stack"),
        rx.box(
            rx.button(
                rx.icon("plus", size=14, aria_hidden="true"),
                "Add a question",
                type="button",
                variant="soft",
                size="2",
                on_click=EventTypesState.add_question,
            )
        ),
    )


def _question(row: QuestionDraft) -> rx.Component:
    part = "q-" + row.id + "-"
    return rx.el.li(
        rx.flex(
            rx.box(
                field(
                    "Question",
                    rx.input(
                        id=part + "label",
                        name=part + "label",
                        default_value=row.label,
                        auto_focus=row.label == "",
                        max_length=300,
                        size="2",
                        width="100%",
                    ),
                    for_=part + "label",
                ),
                flex="1 1 14rem",
            ),
            rx.box(
                field(
                    "Answer",
                    rx.el.select(
                        *(rx.el.option(words, value=str(kind)) for kind, words in TYPE_WORDS.items()),
                        id=part + "type",
                        value=row.type,
                        on_change=lambda kind: EventTypesState.set_question_type(row.id, kind),
                        class_name="select",
                    ),
                    for_=part + "type",
                ),
                flex="0 1 9rem",
            ),
            spacing="3",
            wrap="wrap",
        ),
        rx.box(
            field(
                "Choices, one a line",
                rx.text_area(
                    id=part + "options", name=part + "options", default_value=row.options, rows="3", size="2"
                ),
                for_=part + "options",
            ),
            style={"display": rx.cond(row.type == "select", "block", "none")},
        ),
        rx.flex(
            _box(part + "required", "Must be answered", row.required),
            rx.flex(
                _tool("arrow-up", "Move up", EventTypesState.raise_question(row.id)),
                _tool("trash-2", "Remove", EventTypesState.remove_question(row.id)),
                spacing="4",
                padding_x=space(2),
            ),
            justify="between",
            align="center",
        ),
        key=row.id,
        class_name="card-row",
        aria_label=rx.cond(row.label != "", row.label, "New question"),
    )


def _tool(icon: str, label: str, on_click: Any) -> rx.Component:
    return rx.icon_button(
        rx.icon(icon, size=16, aria_hidden="true"),
        type="button",
        variant="ghost",
        color_scheme="gray",
        aria_label=label,
        title=label,
        on_click=on_click,
    )


def _afterwards() -> rx.Component:
    draft = EventTypesState.draft
    return rx.fragment(
        _box("requires_approval", "Every booking waits for approval", draft.requires_approval),
        _length(
            "cancel_notice",
            draft.cancel_notice,
            "How long before the start customers can still reschedule or cancel by themselves.",
        ),
        _group(
            "Remind the customer by email",
            rx.foreach(draft.reminders, lambda choice: _tick("reminder-" + choice.id, choice)),
        ),
    )


def _select(name: str, label: str, value: Any, options: dict[str, str], hint: str = "") -> rx.Component:
    return field(
        label,
        rx.el.select(
            *(rx.el.option(words, value=key) for key, words in options.items()),
            id=unbound(name),
            name=name,
            default_value=value,
            class_name="select",
        ),
        for_=name,
        hint=hint,
    )


def _look() -> rx.Component:
    draft = EventTypesState.draft
    return rx.fragment(
        field(
            "Address",
            text_input(
                unbound("slug"), default_value=draft.slug, placeholder="made from the title", max_length=64
            ),
            for_="slug",
            hint="The last part of the public link: small letters, digits and dashes.",
        ),
        _box("is_public", "Anybody with the link can book it", draft.is_public),
        _grid(
            _select(
                "category", "Category", draft.category, {"": "None"} | {c: c.title() for c in CATEGORY_COLORS}
            ),
            _select(
                "priority",
                "Priority",
                draft.priority,
                {"": "Normal"} | {str(p): p.title() for p in Priority if p is not Priority.NORMAL},
                hint="High and urgent show in the colour.",
            ),
            _select(
                "color",
                "Colour",
                draft.color,
                {"": "By category"} | {str(c): c.title() for c in Color},
                hint="Of its events in your calendars.",
            ),
        ),
    )
