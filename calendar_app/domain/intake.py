"""What a customer types in: name, e-mail, and answers to the questions of an event type.

Whatever passes here is one clean, bounded value: no control characters that could start a new mail header or iCalendar
line, no text that cannot be encoded. Markup is not removed; output escapes it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import phonenumbers
from email_validator import EmailNotValidError, validate_email

from calendar_app.errors import InvalidInput

NAME_LENGTH = 200
Answer = str | bool | int | float
_PHONE = re.compile(r"\+?[0-9][0-9 ()./-]*", re.ASCII)
_NUMBER = re.compile(r"[+-]?[0-9]{1,30}(\.[0-9]{1,30})?", re.ASCII)
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_BREAKS = re.compile(r"\r\n?|[\u0085\u2028\u2029]")
_MAX_QUESTIONS = 50
_MAX_OPTIONS = 200
_BIGGEST_NUMBER = 1e15


CAMPAIGN = ("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content")
"""Parameters that links of a campaign carry (Google Analytics, "Campaign parameters")."""
CAMPAIGN_LENGTH = 200


class QuestionType(StrEnum):
    TEXT = "text"
    TEXTAREA = "textarea"
    SELECT = "select"
    CHECKBOX = "checkbox"
    PHONE = "phone"
    NUMBER = "number"


_LENGTHS = {QuestionType.TEXT: 500, QuestionType.TEXTAREA: 5_000}


@dataclass(frozen=True, slots=True)
class Question:
    """One question of an event type.

    ``max_length`` bounds text and textarea (0: 500 and 5,000 characters), ``minimum`` and ``maximum`` bound a number,
    ``options`` are the choices of a select. A required checkbox must be ticked.
    """

    id: str
    label: str
    type: QuestionType = QuestionType.TEXT
    required: bool = False
    options: tuple[str, ...] = ()
    max_length: int = 0
    minimum: float | None = None
    maximum: float | None = None

    @classmethod
    def from_json(cls, document: object, part: str = "question") -> Question:
        """Read an object of the fields above by their names; ``id`` and ``label`` are required.

        :raises InvalidInput: ``field`` is ``part`` and the key.
        """
        if not isinstance(document, Mapping):
            raise InvalidInput(f"{part} must be an object.", field=part)
        for key in document:
            if key not in cls.__dataclass_fields__:
                raise InvalidInput(f"{str(key)[:64]!r} is not a part of a question.", field=part)
        id_ = document.get("id")
        if not isinstance(id_, str) or not _ID.fullmatch(id_):
            raise InvalidInput("A question's id is 1 to 64 letters, digits, _ or -.", field=f"{part}.id")
        try:
            kind = QuestionType(document.get("type", "text"))
        except ValueError:
            known = ", ".join(QuestionType)
            raise InvalidInput(f"A question's type is one of {known}.", field=f"{part}.type") from None
        required = document.get("required", False)
        if not isinstance(required, bool):
            raise InvalidInput("required is true or false.", field=f"{part}.required")
        most = _LENGTHS.get(kind, 0)
        length = document.get("max_length", 0)
        if type(length) is not int or not 0 <= length <= most:
            raise InvalidInput(f"max_length is a whole number from 0 to {most}.", field=f"{part}.max_length")
        low, high = (_bound(document.get(key), f"{part}.{key}") for key in ("minimum", "maximum"))
        if low is not None and high is not None and low > high:
            raise InvalidInput("The minimum is above the maximum.", field=f"{part}.minimum")
        label = clean_text(document.get("label"), f"{part}.label", 300)
        if not label:
            raise InvalidInput("A question needs a label.", field=f"{part}.label")
        return cls(id_, label, kind, required, _options(document, kind, part), length, low, high)


def parse_questions(documents: object) -> tuple[Question, ...]:
    """The questions of an event type from their JSON list. :raises InvalidInput: naming the part that is wrong."""
    if not isinstance(documents, list | tuple) or len(documents) > _MAX_QUESTIONS:
        raise InvalidInput(f"Questions are a list of at most {_MAX_QUESTIONS}.", field="questions")
    questions = tuple(Question.from_json(d, f"questions[{at}]") for at, d in enumerate(documents))
    if len({question.id for question in questions}) < len(questions):
        raise InvalidInput("Two questions have the same id.", field="questions")
    return questions


def _options(document: Mapping[str, Any], kind: QuestionType, part: str) -> tuple[str, ...]:
    place, given = f"{part}.options", document.get("options", [])
    if not isinstance(given, list | tuple) or len(given) > _MAX_OPTIONS:
        raise InvalidInput(f"Options are a list of at most {_MAX_OPTIONS}.", field=place)
    options = tuple(clean_text(option, place, 200) for option in given)
    if kind is QuestionType.SELECT and (not options or "" in options or len(set(options)) < len(options)):
        raise InvalidInput("A select needs options, none empty and none twice.", field=place)
    if kind is not QuestionType.SELECT and options:
        raise InvalidInput("Only a select has options.", field=place)
    return options


def _bound(value: object, part: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _BIGGEST_NUMBER:
        raise InvalidInput("A bound is a number.", field=part)
    return value


_TURNS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def clean_text(value: object, part: str, max_length: int, *, lines: bool = False) -> str:
    """Text without surrounding blanks, in NFC; line breaks only where ``lines`` allows them, other controls never.

    Marks that turn the direction of what follows (Unicode UAX #9 embeddings, overrides and isolates) are refused: with
    them a name can make the text around it read as something else.

    :raises InvalidInput: for anything else than such text of at most ``max_length`` characters.
    """
    if not isinstance(value, str):
        raise InvalidInput("This must be text.", field=part)
    if len(value) > 4 * max_length + 100:
        raise InvalidInput(f"This is longer than {max_length} characters.", field=part)
    text = unicodedata.normalize("NFC", _BREAKS.sub("\n", value)).strip()
    kept = "\n\t" if lines else ""
    if any(
        (unicodedata.category(char) in ("Cc", "Cs") and char not in kept) or char in _TURNS for char in text
    ):
        raise InvalidInput("This contains characters that cannot be used here.", field=part)
    if len(text) > max_length:
        raise InvalidInput(f"This is longer than {max_length} characters.", field=part)
    return text


def clean_name(value: object) -> str:
    """A customer's name. :raises InvalidInput: empty, too long, or with control characters."""
    name = clean_text(value, "name", NAME_LENGTH)
    if not name:
        raise InvalidInput("Please enter your name.", field="name")
    return name


def clean_email(value: object) -> str:
    """A customer's address in its normal form; whether mail arrives there is not asked, and ``.test`` domains pass.

    :raises InvalidInput:
    """
    try:
        checked = validate_email(
            clean_text(value, "email", 320), check_deliverability=False, test_environment=True
        )
    except EmailNotValidError:
        raise InvalidInput("Please enter an e-mail address like name@example.com.", field="email") from None
    return checked.normalized


def clean_answers(questions: Sequence[Question], answers: Mapping[str, object]) -> dict[str, Answer]:
    """Checked answers by question id, in the order of the questions; optional ones left open are left out.

    Text is ``str``, a checkbox ``bool``, a number ``int`` or ``float``. Forms send everything as text, so a number may
    come as its digits and a checkbox as ``"true"``, ``"on"``, ``"false"``, ``"off"`` or ``""``.

    :raises InvalidInput: ``field`` is ``answers.<question id>``.
    """
    known = {question.id for question in questions}
    for key in answers:
        if key not in known:
            raise InvalidInput("There is no such question.", field=f"answers.{str(key)[:64]}")
    cleaned: dict[str, Answer] = {}
    for question in questions:
        value = answers.get(question.id)
        answer = None if value is None else _answer(question, value)
        if answer is None or answer == "" or (answer is False and question.required):
            if question.required:
                raise InvalidInput(f"Please answer “{question.label}”.", field=f"answers.{question.id}")
            continue
        cleaned[question.id] = answer
    return cleaned


def _answer(question: Question, value: object) -> Answer | None:
    part = f"answers.{question.id}"
    match question.type:
        case QuestionType.CHECKBOX:
            return _checkbox(value, part)
        case QuestionType.NUMBER:
            return _number(question, value, part)
        case QuestionType.SELECT:
            choice = clean_text(value, part, 200)
            if choice and choice not in question.options:
                raise InvalidInput(f"Please choose one of the options of “{question.label}”.", field=part)
            return choice
        case QuestionType.PHONE:
            return _phone(value, part)
        case QuestionType.TEXT | QuestionType.TEXTAREA:
            most = question.max_length or _LENGTHS[question.type]
            return clean_text(value, part, most, lines=question.type is QuestionType.TEXTAREA)


def _checkbox(value: object, part: str) -> bool:
    if isinstance(value, bool):
        return value
    if value in ("true", "on"):
        return True
    if value in ("false", "off", ""):
        return False
    raise InvalidInput("This is either ticked or not.", field=part)


def _phone(value: object, part: str) -> str:
    """ITU-T E.164 numbers have at most 15 digits; blanks and the usual separators are kept as typed. One with its
    country has to be one that this country gives out, see :mod:`calendar_app.domain.phone`; of others nobody knows the
    country.
    """
    number = clean_text(value, part, 40)
    digits = sum(char.isdigit() for char in number)
    if number and not (_PHONE.fullmatch(number) and 5 <= digits <= 15 and _is_given_out(number)):
        raise InvalidInput("Please enter a phone number like +49 30 1234567.", field=part)
    return number


def _is_given_out(number: str) -> bool:
    if not number.startswith("+"):
        return True
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(number))
    except phonenumbers.NumberParseException:
        return False


def _number(question: Question, value: object, part: str) -> int | float | None:
    if isinstance(value, str):
        text = clean_text(value, part, 64)
        if not text:
            return None
        match = _NUMBER.fullmatch(text)
        value = (float(text) if match[1] else int(text)) if match else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidInput(f"Please enter a number for “{question.label}”.", field=part)
    if not abs(value) <= _BIGGEST_NUMBER:  # NaN included
        raise InvalidInput("This number is too large.", field=part)
    if question.minimum is not None and value < question.minimum:
        raise InvalidInput(f"This must be at least {question.minimum:g}.", field=part)
    if question.maximum is not None and value > question.maximum:
        raise InvalidInput(f"This must be at most {question.maximum:g}.", field=part)
    return value


def clean_campaign(given: Mapping[str, object]) -> dict[str, str]:
    """Those of :data:`CAMPAIGN` that are given, cut to :data:`CAMPAIGN_LENGTH`. What cannot be kept is left out: the
    customer has typed none of it."""
    found = {}
    for name in CAMPAIGN:
        value = given.get(name)
        text = "".join(char for char in value if char.isprintable()) if isinstance(value, str) else ""
        if text := text.strip()[:CAMPAIGN_LENGTH]:
            found[name] = text
    return found
