"""The questions of an event type as a form's fields, and the answers that come back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import reflex as rx

from calendar_app.ui.components.forms import field as labelled

ANSWER = "answer-"


@dataclass
class QuestionRow:
    """A question of the form."""

    id: str
    label: str
    type: str
    required: bool
    options: list[str] = field(default_factory=list)


def question_rows(documents: Any) -> list[QuestionRow]:
    """From the JSON objects of an event type."""
    return [
        QuestionRow(
            id=str(document["id"]),
            label=str(document["label"]),
            type=str(document.get("type", "text")),
            required=bool(document.get("required", False)),
            options=[str(option) for option in document.get("options", ())],
        )
        for document in documents
    ]


def answers_of(form: dict[str, Any]) -> dict[str, object]:
    """The answers in a posted form, by question id; unticked boxes and empty fields are left out."""
    return {
        key.removeprefix(ANSWER): value
        for key, value in form.items()
        if key.startswith(ANSWER) and value not in ("", None)
    }


def question_field(row: QuestionRow) -> rx.Component:
    """A question under its label."""
    name = ANSWER + row.id
    common = {"id": name, "name": name, "required": row.required}
    text = {"size": "3", "width": "100%"}
    label = row.label + rx.cond(row.required, "", " (optional)")
    control = rx.match(
        row.type,
        ("textarea", rx.text_area(rows="4", size="3", **common)),
        (
            "select",
            rx.el.select(
                rx.el.option("Choose …", value=""),
                rx.foreach(row.options, lambda option: rx.el.option(option, value=option)),
                class_name="select",
                **common,
            ),
        ),
        ("phone", rx.input(type="tel", auto_complete="tel", **text, **common)),
        ("number", rx.input(type="number", step="any", **text, **common)),
        rx.input(**text, **common),
    )
    return rx.cond(
        row.type == "checkbox",
        rx.text(
            rx.flex(rx.el.input(type="checkbox", value="true", **common), label, spacing="2", align="center"),
            as_="label",
            size="2",
        ),
        labelled(label, control, for_=name),
    )
