"""What forms send, and the fields that they show: values as typed, and what is wrong with each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from starlette.datastructures import UploadFile

from calendar_app.domain.intake import NAME_LENGTH, Question, QuestionType

ANSWER = "answer-"
_LONGEST_SHOWN = 20_000
_MOST_FIELDS = 200


async def _posted(request: Request) -> dict[str, str]:
    """The fields of a posted form; of several with one name the last. Files are left out."""
    async with request.form(max_files=0, max_fields=_MOST_FIELDS) as found:
        return {name: value for name, value in found.multi_items() if not isinstance(value, UploadFile)}


Posted = Annotated[dict[str, str], Depends(_posted)]


@dataclass(frozen=True, slots=True)
class Field:
    """A field of the form with what was typed into it. ``kind``: an input's type, ``textarea``, ``select`` or
    ``checkbox``; ``most``: characters; ``options``: values and words; ``error``: what is wrong with it, empty for
    nothing."""

    name: str
    label: str
    kind: str
    value: str = ""
    error: str = ""
    required: bool = False
    autocomplete: str = ""
    most: int = 0
    options: tuple[tuple[str, str], ...] = ()
    low: str = ""
    high: str = ""
    hint: str = ""


_KINDS = {QuestionType.PHONE: "tel", QuestionType.TEXT: "text", QuestionType.NUMBER: "number"}
_MOST = {QuestionType.TEXT: 500, QuestionType.TEXTAREA: 5_000, QuestionType.PHONE: 40}


def fields(
    labels: Mapping[str, str],
    questions: tuple[Question, ...],
    others: Sequence[Field],
    typed: Mapping[str, str],
    errors: Mapping[str, str],
) -> list[Field]:
    """Name, address, the questions, and the ``others`` that the event type asks for; ``labels`` of the first two,
    ``typed`` and ``errors`` by the field's name."""
    found = [
        Field("name", labels["name"], "text", required=True, autocomplete="name", most=NAME_LENGTH),
        Field("email", labels["email"], "email", required=True, autocomplete="email", most=320),
        *others,
        *(_question(question) for question in questions),
    ]
    return [_filled(each, typed, errors) for each in found]


def _question(question: Question) -> Field:
    return Field(
        f"{ANSWER}{question.id}",
        question.label,
        _KINDS.get(question.type, question.type.value),
        required=question.required,
        autocomplete="tel" if question.type is QuestionType.PHONE else "",
        most=question.max_length or _MOST.get(question.type, 0),
        options=tuple((option, option) for option in question.options),
        low="" if question.minimum is None else f"{question.minimum:g}",
        high="" if question.maximum is None else f"{question.maximum:g}",
    )


def _filled(field: Field, typed: Mapping[str, str], errors: Mapping[str, str]) -> Field:
    values = {name: getattr(field, name) for name in Field.__dataclass_fields__}
    values |= {
        "value": typed.get(field.name, field.value)[:_LONGEST_SHOWN],
        "error": errors.get(field.name, ""),
    }
    return Field(**values)


def answers(typed: Mapping[str, str]) -> dict[str, object]:
    """The answers in a posted form, by question id; empty fields are left out."""
    return {
        name.removeprefix(ANSWER): value for name, value in typed.items() if name.startswith(ANSWER) and value
    }
