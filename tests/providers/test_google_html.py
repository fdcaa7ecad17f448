"""Google's descriptions are HTML; ours are words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calendar_app.providers.google.html import markup, words


@given(st.text() | st.text(alphabet="<>&;/abr '=#x3l\n"))
def test_every_text_comes_back_as_it_was(text: str) -> None:
    """Whatever somebody wrote, markup or entities among it, shows letter by letter and is read back so."""
    assert words(markup(text)) == text
    assert "<" not in markup(text)


@pytest.mark.parametrize(
    ("description", "said"),
    [
        ("plain\nlines", "plain\nlines"),
        ("Jane <jane@example.org>", "Jane <jane@example.org>"),
        ("3 < 5 and 7 > 5", "3 < 5 and 7 > 5"),
        ("one<br>two<BR/>three", "one\ntwo\nthree"),
        ("<p>one</p><p>two</p>", "one\ntwo\n"),
        ("<ul><li>one</li><li>two</li></ul>", "one\ntwo\n"),
        ("<b>Fish &amp; chips</b>&nbsp;&lt;now&gt;", "Fish & chips\xa0<now>"),
        ('<a href="https://example.org/x">here</a>', "here (https://example.org/x)"),
        ('<a href="https://example.org">https://example.org</a>', "https://example.org"),
        (
            '<a href="https://example.org?a=1&amp;b=2" target="_blank"><b>Plan</b></a>',
            "Plan (https://example.org?a=1&b=2)",
        ),
        ('<a href="mailto:jane@example.org">jane@example.org</a>', "jane@example.org"),
        ("<html-blob><u></u>Dial in</html-blob>", "Dial in"),
        ("<script>alert(1)</script>seen<!-- not -->", "seen"),
        ("<b>never closed", "never closed"),
    ],
)
def test_markup_is_reduced_to_words(description: str, said: str) -> None:
    """Formatting goes, lines and addresses of links stay; what only looks like a tag is no tag."""
    assert words(description) == said
