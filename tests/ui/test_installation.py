"""The page of the installation: what stands first, and what only a browser can tell."""

from __future__ import annotations

from calendar_app.services.doctor.findings import Level, error, ok, warning
from calendar_app.ui.pages.installation.state import as_browsers_see_it, finding_rows


def test_what_needs_attention_stands_first() -> None:
    """Errors, then warnings, then what is well, each in the order in which it was found."""
    found = [
        ok("a", "Fine."),
        warning("b", "Hm.", "Do."),
        error("c", "No.", "Do."),
        ok("d", "Fine."),
        error("e", "No.", "Do."),
    ]
    assert [row.name for row in finding_rows(found, warning("f", "Hm.", "Do."))] == [
        "C",
        "E",
        "B",
        "F",
        "A",
        "D",
    ]


def test_the_browsers_address() -> None:
    """The origin that the websocket came with is held against where links lead."""
    assert as_browsers_see_it("https://Cal.example.com", "https://cal.example.com").level is Level.OK
    other = as_browsers_see_it("https://cal.example.com", "http://localhost:3000")
    assert (other.level, "https://cal.example.com" in other.detail) == (Level.WARNING, True)
    assert as_browsers_see_it("", "http://localhost:3000").level is Level.WARNING
