"""Shades of a business's colour can be read, in light and in dark, whatever colour it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calendar_app.domain.accent import contrast, notes, parse_accent, shades, stylesheet
from calendar_app.errors import InvalidInput

COLORS = st.integers(0, 0xFFFFFF).map(lambda number: f"#{number:06x}")
PAGES = {False: "#ffffff", True: "#18191b"}


def rgb(color: str) -> tuple[float, float, float]:
    return tuple(float(int(color[at : at + 2], 16)) for at in (1, 3, 5))  # type: ignore[return-value]


@given(COLORS, st.booleans())
def test_every_colour_can_be_read(color: str, dark: bool) -> None:
    """Links and marked days have 4.5:1 on everything that is behind them, words on a button too, and a button 3:1 on
    the page (WCAG 2.2, 1.4.3 and 1.4.11)."""
    found = shades(color, dark=dark)
    for behind in (PAGES[dark], *(found.steps[step] for step in (2, 3, 4))):
        assert contrast(rgb(found.steps[11]), rgb(behind)) >= 4.5
    assert contrast(rgb(found.contrast), rgb(found.steps[9])) >= 4.5
    assert contrast(rgb(found.contrast), rgb(found.steps[10])) >= 4.5
    assert contrast(rgb(found.steps[9]), rgb(PAGES[dark])) >= 3.0


def test_contrast_is_that_of_wcag() -> None:
    """Black on white is 21:1, and #767676 on white the well-known 4.54:1."""
    assert contrast(rgb("#000000"), rgb("#ffffff")) == pytest.approx(21)
    assert contrast(rgb("#767676"), rgb("#ffffff")) == pytest.approx(4.54, abs=0.01)


def test_faint_colours_are_told() -> None:
    """A pale yellow is too faint on light pages, a navy blue on dark ones; iris is neither."""
    assert ["light pages" in note for note in notes("#ffee88")] == [True]
    assert ["dark pages" in note for note in notes("#101040")] == [True]
    assert notes("#5b5bd6") == []
    assert notes("") == []
    assert shades("#5b5bd6", dark=False).steps[9] == "#5b5bd6"


@pytest.mark.parametrize(
    ("given_", "kept"), [("#5B5BD6", "#5b5bd6"), (" 0a0 ", "#00aa00"), ("", ""), (None, "")]
)
def test_colours_are_read(given_: object, kept: str) -> None:
    """Three or six digits, with or without the sign."""
    assert parse_accent(given_) == kept


@pytest.mark.parametrize("given_", ["red", "#12345", "#1234567", "#５ｂ５ｂｄ６", "#fff;}", 5, ["#fff"]])
def test_what_is_no_colour_is_refused(given_: object) -> None:
    """Nothing else gets into a stylesheet."""
    with pytest.raises(InvalidInput) as refused:
        parse_accent(given_)
    assert refused.value.field == "accent"


def test_the_stylesheet_holds_both_appearances() -> None:
    """Every shade that the pages use is set for light and again for dark."""
    css = stylesheet("#0a7d3c")
    assert css.count("--accent-9:") == css.count("--accent-contrast:") == 2
    assert "prefers-color-scheme:dark" in css
