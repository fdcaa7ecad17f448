"""Texts of events: what a program did to them is no edit, what a person wrote is one."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calendar_app.domain.event import CalendarEvent, EventDraft
from calendar_app.domain.event_texts import TEXTS, TEXTS_MARK, edited, meeting_block, plain, texts_mark

MOMENT = datetime(2027, 3, 1, 9, tzinfo=UTC)
DRAFT = EventDraft(
    remote_id="",
    key="",
    uid="",
    summary="Intro with Grace",
    start=MOMENT,
    end=MOMENT,
    zone="UTC",
    description="Grace <grace@example.org>\nBooking: https://book.example/b?booking=1&x=2",
    location="Room 7",
    color="blueberry",
)
LINE = "_" * 80
TEAMS = f"\n\n{LINE}\nMicrosoft Teams Need help?<https://aka.ms/x>\nJoin<https://teams.example/1>\n{LINE}\n"
SAFE = "https://eur01.safelinks.protection.outlook.com/?url=https%3A%2F%2Fbook.example%2Fb%3Fbooking%3D1%26x%3D2&data=5"


def _event(draft: EventDraft = DRAFT, mark: str | None = None) -> CalendarEvent:
    texts = {name: getattr(draft, name) for name in TEXTS}
    return CalendarEvent("e1", private={TEXTS_MARK: texts_mark(draft) if mark is None else mark}, **texts)


@pytest.mark.parametrize(
    "description",
    [
        DRAFT.description.replace("\n", "\r\n\r\n ") + "\u00a0\u200b",
        DRAFT.description + TEAMS,
        DRAFT.description.replace("grace@example.org", "grace@example.org<mailto:grace@example.org>"),
        DRAFT.description.replace("&x=2", f"&x=2<{SAFE}>"),
        DRAFT.description.replace("https://book.example/b?booking=1&x=2", SAFE),
    ],
)
def test_what_programs_do_to_a_text_is_no_edit(description: str) -> None:
    """Blanks, a Teams block, links that are named twice or lead through Safe Links."""
    assert (
        edited(replace(_event(), description=description, location="Room 7; Microsoft Teams Meeting"))
        == set()
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("summary", "VIP: Grace"),
        ("description", f"{DRAFT.description}\nbring cake{TEAMS}"),
        ("description", f"{DRAFT.description}{TEAMS}bring cake"),
        ("location", "Room 8"),
        ("color", "tomato"),
        ("description", ""),
    ],
)
def test_what_a_person_wrote_is_an_edit(name: str, text: str) -> None:
    """Of that text, and of no other."""
    assert edited(replace(_event(), **{name: text})) == {name}


def test_an_event_without_digests_does_not_tell() -> None:
    """It is older than they are, or they were taken away."""
    assert edited(_event(mark="")) is None


@given(st.text(), st.text())
def test_letters_decide(one: str, other: str) -> None:
    """Equal texts have equal digests; texts with other letters do not."""
    mine = replace(DRAFT, description=one)
    seen = edited(replace(_event(mine), description=other))
    assert seen == ({"description"} if plain(one) != plain(other) else set())


@pytest.mark.parametrize("text", ["_" * 200_000, f"{LINE}nothing{LINE}", "<https://" * 20_000, ";" * 50_000])
def test_texts_that_only_look_like_meetings(text: str) -> None:
    """They have no block, however long they are."""
    assert meeting_block(text) is None
    assert edited(_event(replace(DRAFT, description=text, location=text))) == set()
