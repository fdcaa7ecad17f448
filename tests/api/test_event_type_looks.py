"""Category, priority, colour and reminders of an event type, from the API to the calendar and the letters."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlmodel import col, select

from calendar_app.db.session import reading
from calendar_app.db.tables import Mail
from tests.support.fake_provider import FakeProvider
from tests.support.people import problem
from tests.support.scheduling import Place, bearer, carry_out, ours

TYPES = "/api/v1/event-types"


def _changed(api: httpx.Client, place: Place, **fields: Any) -> httpx.Response:
    return api.patch(f"{TYPES}/{place.event_type.id}", headers=bearer(place.people[0]), json=fields)


def test_they_are_kept_and_shown(api: httpx.Client, place: Place) -> None:
    """Created, read and changed like every other field; reminders come back the longest first, each once."""
    headers = bearer(place.people[0])
    fields = {"title": "Check-up", "category": "Health", "priority": "high", "reminders": [60, 1440, 60]}
    made = api.post(TYPES, headers=headers, json=fields).json()
    shown = {name: made[name] for name in ("category", "priority", "reminders", "color")}
    assert shown == {"category": "health", "priority": "high", "reminders": [1440, 60], "color": ""}
    path = f"{TYPES}/{made['id']}"
    changed = api.patch(path, headers=headers, json={"priority": "", "reminders": []}).json()
    assert (changed["category"], changed["priority"], changed["reminders"]) == ("health", "", [])
    assert api.get(path, headers=headers).json() == changed


@pytest.mark.parametrize(
    "fields",
    [
        {"priority": "extreme"},
        {"category": "x" * 33},
        {"category": "a\nb"},
        {"reminders": [0]},
        {"reminders": [-5]},
        {"reminders": [28 * 1440 + 1]},
        {"reminders": [1, 2, 3, 4, 5, 6]},
        {"reminders": ["60"]},
        {"reminders": 60},
    ],
)
def test_what_means_nothing_is_refused(api: httpx.Client, place: Place, fields: dict[str, Any]) -> None:
    """422 that names the field."""
    body = problem(_changed(api, place, **fields), 422, "invalid_input")
    assert next(iter(fields)) in str(body["errors"])


@pytest.mark.parametrize(
    ("fields", "color"),
    [
        ({}, "blue"),
        ({"category": "health"}, "green"),
        ({"category": "health", "color": "violet"}, "violet"),
        ({"category": "health", "color": "violet", "priority": "urgent"}, "tomato"),
        ({"category": "health", "priority": "low"}, "green"),
    ],
)
def test_the_colour_reaches_the_calendar(
    api: httpx.Client, fake: FakeProvider, place: Place, fields: dict[str, Any], color: str
) -> None:
    """Priority wins over the chosen colour, that over the category's, in the booking and in the host's calendar."""
    assert _changed(api, place, **fields).status_code == 200
    made = place.book(place.at(10))
    assert made.color == (color if fields else "")
    carry_out()
    assert ours(fake, place.calendars)[made.id].color == color


def test_reminders_are_queued_with_the_booking(api: httpx.Client, place: Place) -> None:
    """One letter for each reminder, due that many minutes before the start."""
    _changed(api, place, reminders=[1440, 30])
    place.book(place.at(10))
    with reading() as session:
        query = select(Mail).where(Mail.kind == "reminder").order_by(col(Mail.next_attempt_at))
        due = [mail.next_attempt_at for mail in session.exec(query)]
    assert due == [place.at(10) - timedelta(days=1), place.at(10) - timedelta(minutes=30)]
