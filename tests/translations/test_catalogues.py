"""Every sentence of booking pages, emails and calendar files is in every catalogue, translated, with the same
placeholders."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from calendar_app import translations
from calendar_app.translations import extract

LANGUAGES = [code for code in translations.NAMES if code != translations.SOURCE]
ROOMS = extract.ROOMS
SITE, SERVICES = ROOMS
WRITERS = (
    SERVICES / "accounts" / "email_proof.py",
    SERVICES / "accounts" / "security_emails.py",
    SERVICES / "booking_emails" / "texts.py",
    SERVICES / "booking_emails" / "writer.py",
    SERVICES / "bookings" / "ics.py",
    SERVICES / "connections" / "emails.py",
    SERVICES / "mail" / "rendering.py",
)
"""Modules of services in which nothing but catalogues has words for readers; the others have errors and names, too."""
_PLACEHOLDER = re.compile(r"%\(\w+\)s")
_TAGS = re.compile(
    r"<style>.*?</style>|\{#.*?#\}|\{%-?\s*trans\b.*?endtrans\s*-?%\}|\{%.*?%\}|\{\{.*?\}\}|<!--.*?-->|<[^>]*>",
    re.S,
)
_ATTRIBUTES = re.compile(r'\b(?:aria-label|title|alt|placeholder)="([^"{]*)"')
NAMES = {"Google", "Outlook", "required", "%}{{"}
"""Words of templates that are the same in every language, and an attribute that a macro adds to a tag."""


def _texts(value: object) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(str(each) for each in value)  # type: ignore[attr-defined]


@pytest.mark.parametrize("code", LANGUAGES)
def test_every_sentence_is_translated(code: str) -> None:
    """None is missing, none is left over, none is marked as a guess, and placeholders are the same."""
    wanted = {_texts(message.id): message for message in extract.sentences() if message.id}
    stored = {_texts(message.id): message for message in extract.stored(code) if message.id}
    assert sorted(wanted.keys() - stored.keys()) == [], "python -m calendar_app.translations.extract"
    assert sorted(stored.keys() - wanted.keys()) == []
    for key, message in stored.items():
        assert not message.fuzzy, key
        for text in _texts(message.string):
            assert text.strip(), key
            assert set(_PLACEHOLDER.findall(text)) in [set(_PLACEHOLDER.findall(form)) for form in key], key


def test_no_words_stand_beside_the_catalogues_in_templates() -> None:
    """What a template shows comes from a catalogue or from data."""
    found = []
    for room in ROOMS:
        for path in sorted(room.glob("**/templates/*.html")):
            text = path.read_text(encoding="utf-8")
            shown = " ".join(_TAGS.sub(" ", text).split() + _ATTRIBUTES.findall(text))
            words = [
                word
                for word in shown.split()
                if re.search(r"[^\W\d_]{2}", word) and word not in NAMES and '="' not in word
            ]
            found += [(path.name, word) for word in words]
    assert found == []


def _sentences(path: Path) -> Iterator[tuple[int, str]]:
    """String literals of a module that look like sentences, outside of docstrings, errors and calls of ``_``."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    spared = set()
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            spared |= {id(each.value) for each in body if isinstance(each, ast.Expr)}
        is_call = isinstance(node, ast.Call)
        if is_call and getattr(node.func, "id", getattr(node.func, "attr", "")) in (
            "_",
            "gettext",
            "ngettext",
        ):
            spared |= {id(argument) for argument in node.args}
        if isinstance(node, ast.Raise):
            spared |= {id(each) for each in ast.walk(node)}
        if is_call and getattr(node.func, "attr", "") in ("warning", "info", "exception"):
            spared |= {id(argument) for argument in node.args}
    for node in ast.walk(tree):
        is_text = isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in spared
        if is_text and re.match(r"[A-Z][\w’'-]* [\w’'-]+ ", node.value):
            yield node.lineno, node.value


def test_no_sentence_stands_beside_the_catalogues_in_code() -> None:
    """What code says to customers goes through ``gettext``; the words of errors are never shown."""
    found = []
    for path in [*sorted(SITE.glob("*.py")), *WRITERS]:
        found += [(path.name, line, text) for line, text in _sentences(path)]
        assert ".detail" not in path.read_text(encoding="utf-8"), path.name
    assert found == []


def test_no_sentence_stands_beside_the_catalogues_in_emails() -> None:
    """Whoever queues an email takes its subject and its words out of a catalogue."""
    found = []
    for path in sorted(SERVICES.glob("*/*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not ast.unparse(node.func).endswith("Draft"):
                continue
            for part in node.keywords:
                texts = [each for each in ast.walk(part.value) if isinstance(each, ast.Constant)]
                in_catalogue = {id(each) for call in _translated(part.value) for each in ast.walk(call)}
                if part.arg in ("subject", "body"):
                    found += [
                        (path.name, each.value)
                        for each in texts
                        if id(each) not in in_catalogue and re.search(r"[^\W\d_]{2}", str(each.value))
                    ]
    assert found == []


def _translated(tree: ast.AST) -> list[ast.Call]:
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", getattr(node.func, "attr", "")) in ("_", "gettext", "ngettext")
    ]


def test_every_sentence_that_code_translates_is_found() -> None:
    """What is handed to ``gettext`` is what was extracted: nothing hides in an f-string, or is put together."""
    known = {text for message in extract.sentences() if message.id for text in _texts(message.id)}
    wrong = []
    for room in ROOMS:
        for path in sorted(room.rglob("*.py")):
            for call in _translated(ast.parse(path.read_text(encoding="utf-8"))):
                for argument in call.args[:2]:
                    if isinstance(argument, ast.JoinedStr) or (
                        isinstance(argument, ast.Constant) and argument.value not in known
                    ):
                        wrong.append((path.name, argument.lineno))
    assert wrong == []


def test_the_browser_s_language_is_taken() -> None:
    """By weight, with the region's habits; what is not offered falls back to English."""
    tags = {
        "de-AT,de;q=0.9,en;q=0.8": "de_AT",
        "fr, en-US;q=0.5": "en_US",
        "en-GB": "en_GB",
        "": "en",
        "*": "en",
        "zh-Hant-TW": "en",
        "de;q=nonsense, en-GB;q=0.1": "en_GB",
        "de;q=0": "en",
        "x" * 100_000: "en",
    }
    for header, locale in tags.items():
        assert str(translations.choose([], header).locale) == locale, header
    assert translations.choose(["de"], "en-GB").code == "de"
    assert translations.choose(["en-XA"], "").code == "en"
    assert translations.choose(["ar-XB"], "", pseudo=True).direction == "rtl"


def test_pseudo_sentences_keep_their_placeholders() -> None:
    """Accents everywhere but in placeholders and markup."""
    assert translations.pseudo("Hi %(name)s, <b>you</b>") == "[Hî %(name)s, <b>ýöû</b>]"
