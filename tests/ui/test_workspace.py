"""The code that the workspace's page shows, and what it reads from its form."""

from __future__ import annotations

import pytest

from calendar_app.ui.pages.workspace import KINDS, Offer, embed_code, read_settings

OFFER = Offer("studio/intro", "Intro", "https://calendar.example.com/book/studio/intro")


@pytest.mark.parametrize("kind", KINDS)
def test_code_names_page_and_script(kind: str) -> None:
    """Each kind has its attribute and the script of this installation."""
    code = embed_code(OFFER, kind)
    attribute = {"inline": "data-almanac=", "popup": "data-almanac-popup=", "button": "data-almanac-button="}[
        kind
    ]
    assert f'{attribute}"studio/intro"' in code
    assert '<script src="https://calendar.example.com/embed.js" async></script>' in code


def test_the_form_is_read_line_by_line() -> None:
    """Sites stand one a line; empty lines are none."""
    found = read_settings({"name": "Studio", "sites": " a.example \n\n https://b.example\n", "accent": ""})
    assert found["allowed_origins"] == ["a.example", "https://b.example"]
    assert (found["name"], found["accent"], found["confirmation_text"]) == ("Studio", "", "")
