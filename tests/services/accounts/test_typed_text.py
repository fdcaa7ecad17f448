"""What was typed before comes back, from us only."""

from __future__ import annotations

from collections.abc import Callable

from calendar_app.services.accounts import typed_text
from calendar_app.settings import Settings


def test_what_was_typed_comes_back(configure: Callable[..., Settings]) -> None:
    """An address is not readable in the token, a made-up token is worth nothing, and a long text is not kept."""
    configure()
    token = typed_text.keep("ada@example.com")
    assert "ada" not in token
    assert typed_text.read(token) == "ada@example.com"
    assert [typed_text.read(text) for text in ("", "x", token[:-3], "é")] == ["", "", "", ""]
    assert typed_text.keep("x" * 321) == ""
