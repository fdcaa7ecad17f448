"""Colours of calendars: no two alike."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from calendar_app.ui.components.palette import PALETTE, distinct_colors

COLOR = st.integers(0, 0xFFFFFF).map("#{:06x}".format)


def test_a_calendar_keeps_its_own_colour_while_it_is_the_first() -> None:
    """The first calendar with a colour keeps it; those like it, and those without one, get others."""
    first, alike, none, broken = distinct_colors(["#3e63dd", "#3e63de", "", "red"])
    assert first == "#3e63dd"
    assert len({first, alike, none, broken}) == 4
    assert {alike, none, broken} < set(PALETTE)


@given(st.lists(st.one_of(COLOR, st.just("")), max_size=6))
def test_six_calendars_have_six_colours(wanted: list[str]) -> None:
    """Whatever the providers say, up to six calendars differ, and each has a colour that CSS can read."""
    found = list(distinct_colors(wanted))
    assert len(found) == len(set(found)) == len(wanted)
    assert all(len(color) == 7 and color.startswith("#") for color in found)


def test_more_calendars_than_colours_still_have_one() -> None:
    """Once the palette is used up, its colours come again."""
    assert len(list(distinct_colors([""] * 40))) == 40
