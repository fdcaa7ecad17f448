"""What an address fills into the form: every name that the documentation gives."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest

from calendar_app.booking_site.visit import PREFILLED
from calendar_app.services.event_types import commands
from tests.support.pages import Page, pick, visit
from tests.support.scheduling import Place

DOCS = Path(__file__).resolve().parents[2] / "docs" / "embedding.md"
QUESTIONS = [
    {"id": "topic", "label": "Topic", "type": "text"},
    {"id": "size", "label": "Size", "type": "select", "options": ["Small", "Large"]},
    {"id": "agree", "label": "Agree", "type": "checkbox"},
]
FIELDS = {
    "name": "Grace Hopper",
    "email": "grace@example.org",
    "phone": "030 1234567",
    "country": "DE",
    "meeting_place": "link",
    "guests": "a@example.org, b@example.org",
    "booked_by_name": "Ada Lovelace",
    "booked_by_email": "ada@example.org",
    "notes": "Ring twice",
}
ANSWERS = {"answer-topic": "<b>Engines</b>", "answer-size": "Large", "answer-agree": "true"}


def ask_everything(place: Place) -> None:
    """An event type whose form asks for all there is."""
    changes = {
        "meeting_places": [{"kind": "host_calls"}, {"kind": "link", "value": "https://meet.example.org/x"}],
        "form_parts": dict.fromkeys(("guests", "booked_by", "phone", "notes"), "optional"),
        "questions": QUESTIONS,
    }
    commands.update_event_type(place.owner, place.event_type.id, changes)


def _form(site: httpx.Client, place: Place, query: dict[str, str]) -> Page:
    day = place.day.date().isoformat()
    address = httpx.QueryParams({"day": day, "tz": "Europe/Berlin"} | query)
    page = visit(site, f"/book/{place.workspace.slug}/{place.event_type.slug}?{address}")
    return pick(site, page, place.at(10).isoformat())


def test_the_documentation_names_what_can_be_filled_in() -> None:
    """Nothing more and nothing less, and each is tried here."""
    rows = re.findall(r"^\| (`.*?) \|", DOCS.read_text().partition("Filled in")[2], re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)} | {"country"}
    apart = {"answers", "timezone", "language", "duration", "month", "day"}
    assert named - apart == set(PREFILLED) == set(FIELDS)
    assert named >= apart


def test_an_address_fills_in_every_field(site: httpx.Client, place: Place) -> None:
    """By name, as it was written, and as text."""
    ask_everything(place)
    form = _form(site, place, FIELDS | ANSWERS)
    fields = form.form("form").fields
    for name, value in (FIELDS | ANSWERS).items():
        assert fields[name] == value, name
    assert "<b>Engines" not in form.html
    assert "Montag" in _form(site, place, {"lang": "de"}).text


@pytest.mark.parametrize(
    ("query", "name", "shown"),
    [
        ({"meeting_place": "elsewhere"}, "meeting_place", ""),
        ({"country": "XX"}, "country", ""),
        ({"answer-size": "Huge"}, "answer-size", ""),
        ({"answer-agree": "false"}, "answer-agree", None),
        ({"answer-other": "x"}, "answer-other", None),
        ({"start": "x", "approval": "1"}, "approval", None),
        ({"notes": "x" * 5_000}, "notes", "x" * 500),
    ],
)
def test_what_cannot_be_is_left_out(
    site: httpx.Client, place: Place, query: dict[str, str], name: str, shown: str | None
) -> None:
    """A choice that is not offered, a box that is not ticked, a field that there is not, a text without end."""
    ask_everything(place)
    assert _form(site, place, query).form("form").fields.get(name) == shown


def test_a_form_that_asks_for_less_ignores_the_rest(site: httpx.Client, place: Place) -> None:
    """And the booking is made."""
    fields = _form(site, place, FIELDS | ANSWERS).form("form").fields
    assert {name for name in fields if name in PREFILLED} == {"name", "email"}
