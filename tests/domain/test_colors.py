"""Colour names and what they stand for elsewhere."""

from __future__ import annotations

from calendar_app.domain.colors import (
    CATEGORY_COLORS,
    COLORS_BY_GOOGLE_ID,
    GOOGLE_COLOR_IDS,
    Color,
    Priority,
    booking_color,
    category_color,
    parse_color,
)


def test_every_colour_has_its_own_google_id() -> None:
    """Eleven names and Google's eleven event colours, one to one, both ways."""
    assert set(GOOGLE_COLOR_IDS) == set(Color)
    assert set(GOOGLE_COLOR_IDS.values()) == {str(n) for n in range(1, 12)}
    assert all(COLORS_BY_GOOGLE_ID[GOOGLE_COLOR_IDS[color]] is color for color in Color)


def test_priority_wins_over_choice_wins_over_category() -> None:
    """High and urgent show whatever else was chosen; low and normal leave the colour alone."""
    assert booking_color("pink", "health", Priority.URGENT) is Color.TOMATO
    assert booking_color("pink", "health", Priority.HIGH) is Color.ORANGE
    assert booking_color("pink", "health", Priority.LOW) is Color.PINK
    assert booking_color("", " Health ") is Color.GREEN
    assert booking_color("no such colour") is Color.BLUE
    assert booking_color(default=Color.TEAL) is Color.TEAL


def test_names_are_read_in_any_case_and_unknown_ones_are_none() -> None:
    """What an older row or another program stored does no harm."""
    assert parse_color(" Tomato ") is Color.TOMATO
    assert parse_color("") is None
    assert parse_color("#ff0000") is None


def test_a_made_up_category_keeps_its_colour() -> None:
    """The same category has the same colour in every process and on every day."""
    assert category_color("Dog grooming") is category_color(" dog grooming")
    assert category_color("Dog grooming") in Color
    assert category_color("") is None
    assert category_color("work") is CATEGORY_COLORS["work"]
    assert category_color("\udcff") in Color
