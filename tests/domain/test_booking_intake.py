"""What customers may type in, and what they may not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calendar_app.domain.intake import (
    Question,
    QuestionType,
    clean_answers,
    clean_email,
    clean_name,
    parse_questions,
)
from calendar_app.errors import InvalidInput

QUESTIONS = parse_questions(
    [
        {"id": "topic", "label": "Topic", "required": True, "max_length": 20},
        {"id": "notes", "label": "Notes", "type": "textarea"},
        {"id": "size", "label": "Size", "type": "select", "options": ["S", "M"]},
        {"id": "terms", "label": "I agree", "type": "checkbox", "required": True},
        {"id": "phone", "label": "Phone", "type": "phone"},
        {"id": "people", "label": "People", "type": "number", "minimum": 1, "maximum": 8},
    ]
)
GOOD: dict[str, object] = {"topic": "Taxes", "terms": True}


def refused(answers: dict[str, object]) -> str | None:
    """The field that the refusal names."""
    with pytest.raises(InvalidInput) as caught:
        clean_answers(QUESTIONS, answers)
    assert caught.value.detail
    return caught.value.field


def test_answers_come_back_clean_and_in_order() -> None:
    """Blanks go, digits become numbers, what was left open is left out."""
    answers = {
        "people": " 3 ",
        "phone": " +49 (30) 123-4567 ",
        "terms": "on",
        "size": "M",
        "notes": "one\r\ntwo\rthree\u2028four",
        "topic": "  Cafe\u0301  ",
    }
    assert clean_answers(QUESTIONS, answers) == {
        "topic": "Café",
        "notes": "one\ntwo\nthree\nfour",
        "size": "M",
        "terms": True,
        "phone": "+49 (30) 123-4567",
        "people": 3,
    }
    assert clean_answers(QUESTIONS, GOOD | {"notes": "", "size": None, "people": ""}) == GOOD
    assert clean_answers(QUESTIONS, GOOD | {"people": "2.5"})["people"] == 2.5


@pytest.mark.parametrize(
    ("answers", "field"),
    [
        ({"terms": True}, "answers.topic"),
        ({"topic": "  ", "terms": True}, "answers.topic"),
        ({"topic": "x" * 21, "terms": True}, "answers.topic"),
        ({"topic": "x" * 100_000, "terms": True}, "answers.topic"),
        ({"topic": "a\nBcc: all@example.com", "terms": True}, "answers.topic"),
        ({"topic": "a\x00b", "terms": True}, "answers.topic"),
        ({"topic": "a\ud800", "terms": True}, "answers.topic"),
        ({"topic": ["a"], "terms": True}, "answers.topic"),
        ({"topic": "a"}, "answers.terms"),
        ({"topic": "a", "terms": False}, "answers.terms"),
        ({"topic": "a", "terms": "off"}, "answers.terms"),
        ({"topic": "a", "terms": "maybe"}, "answers.terms"),
        ({**GOOD, "notes": "bell\x07"}, "answers.notes"),
        ({**GOOD, "size": "L"}, "answers.size"),
        ({**GOOD, "phone": "call me"}, "answers.phone"),
        ({**GOOD, "phone": "1234"}, "answers.phone"),
        ({**GOOD, "phone": "+1234567890123456"}, "answers.phone"),
        ({**GOOD, "phone": "+49 111 1111111"}, "answers.phone"),
        ({**GOOD, "phone": "+999 12345678"}, "answers.phone"),
        ({**GOOD, "people": 0}, "answers.people"),
        ({**GOOD, "people": 8.5}, "answers.people"),
        ({**GOOD, "people": True}, "answers.people"),
        ({**GOOD, "people": "eight"}, "answers.people"),
        ({**GOOD, "people": float("nan")}, "answers.people"),
        ({**GOOD, "people": 10**400}, "answers.people"),
        ({**GOOD, "people": "1e3"}, "answers.people"),
        ({**GOOD, "other": "x"}, "answers.other"),
    ],
)
def test_a_wrong_answer_is_refused_by_name(answers: dict[str, object], field: str) -> None:
    """One sentence, and the question that it is about."""
    assert refused(answers) == field


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ("x", "questions[0]"),
        ({"label": "x"}, "questions[0].id"),
        ({"id": "a b", "label": "x"}, "questions[0].id"),
        ({"id": "a"}, "questions[0].label"),
        ({"id": "a", "label": " "}, "questions[0].label"),
        ({"id": "a", "label": "x", "type": "file"}, "questions[0].type"),
        ({"id": "a", "label": "x", "type": []}, "questions[0].type"),
        ({"id": "a", "label": "x", "required": "yes"}, "questions[0].required"),
        ({"id": "a", "label": "x", "type": "select"}, "questions[0].options"),
        ({"id": "a", "label": "x", "type": "select", "options": ["p", "p"]}, "questions[0].options"),
        ({"id": "a", "label": "x", "options": ["p"]}, "questions[0].options"),
        ({"id": "a", "label": "x", "max_length": 501}, "questions[0].max_length"),
        ({"id": "a", "label": "x", "type": "phone", "max_length": 5}, "questions[0].max_length"),
        ({"id": "a", "label": "x", "type": "number", "minimum": 3, "maximum": 2}, "questions[0].minimum"),
        ({"id": "a", "label": "x", "type": "number", "minimum": float("nan")}, "questions[0].minimum"),
        ({"id": "a", "label": "x", "colour": "red"}, "questions[0]"),
    ],
)
def test_a_question_that_cannot_be_asked_is_refused_by_name(document: object, field: str) -> None:
    """Owners learn which part of which question is wrong."""
    with pytest.raises(InvalidInput) as caught:
        parse_questions([document])
    assert caught.value.field == field


def test_questions_are_a_bounded_list_with_ids_of_their_own() -> None:
    """Neither two of one id, nor an object, nor hundreds."""
    question = {"id": "a", "label": "A"}
    for given_ in ([question, question], {"a": question}, [{"id": f"q{n}", "label": "Q"} for n in range(51)]):
        with pytest.raises(InvalidInput) as caught:
            parse_questions(given_)
        assert caught.value.field == "questions"
    assert parse_questions([]) == ()


@pytest.mark.parametrize(
    "address", ["ana@example.com", "ANA@Example.COM", "x@sandbox.test", "zoë@exämple.com"]
)
def test_addresses_are_accepted_in_their_normal_form(address: str) -> None:
    """The domain is lower-case afterwards, and the address passes again unchanged."""
    cleaned = clean_email(f" {address} ")
    assert cleaned.split("@")[1] == cleaned.split("@")[1].lower()
    assert clean_email(cleaned) == cleaned


@pytest.mark.parametrize(
    "address",
    [
        "",
        "ana",
        "a@b",
        "a@b..c",
        "a@example.com\nBcc: b@example.com",
        "Ana <a@example.com>",
        None,
        5,
        "a" * 400,
    ],
)
def test_what_is_no_address_is_refused(address: object) -> None:
    """Header tricks included."""
    with pytest.raises(InvalidInput) as caught:
        clean_email(address)
    assert caught.value.field == "email"


def test_names_are_one_clean_line() -> None:
    """Trimmed, not empty, bounded, without control characters or marks that turn the text's direction; any script."""
    assert clean_name("  李 小龍 ") == "李 小龍"
    for name in ("", "   ", "a\nb", "a\rb", "a\x00", "a\u202eb", "a\u2066b", "x" * 201, None, 1):
        with pytest.raises(InvalidInput) as caught:
            clean_name(name)
        assert caught.value.field == "name"


values = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text(), max_size=2)


@given(answers=st.dictionaries(st.sampled_from([q.id for q in QUESTIONS]), values))
def test_any_answers_are_clean_or_refused(answers: dict[str, Any]) -> None:
    """Nothing else is raised; what passes is encodable, and passes again unchanged."""
    try:
        cleaned = clean_answers(QUESTIONS, answers)
    except InvalidInput as error:
        field = error.field or ""
    else:
        field = "answers."
        assert clean_answers(QUESTIONS, cleaned) == cleaned
        assert all(str(value).encode() for value in cleaned.values())
    assert field.startswith("answers.")


@given(
    document=st.dictionaries(
        st.sampled_from([*Question.__dataclass_fields__, "x"]), values | st.sampled_from([*QuestionType])
    )
)
def test_any_question_is_read_or_refused(document: dict[str, Any]) -> None:
    """Stored or sent, a question never raises anything but what names it."""
    try:
        question = Question.from_json(document)
    except InvalidInput as error:
        field = error.field or ""
    else:
        field = "question"
        assert question.id == document["id"]
    assert field.startswith("question")
