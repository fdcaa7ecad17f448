"""Google's descriptions are HTML, ours are text (https://developers.google.com/workspace/calendar/api/v3/reference/events,
``description``). Pure.

:func:`words` undoes :func:`markup` for every text.
"""

from __future__ import annotations

import html
import re

_NAMES = (
    "a|abbr|b|blockquote|br|center|code|div|em|font|h[1-6]|hr|html-blob|i|img|li|ol|p|pre|s|small|span|strike|strong|"
    "sub|sup|table|tbody|td|th|thead|tr|u|ul"
)
_TAG = re.compile(rf"<(/?)({_NAMES})(\s[^<>]*)?/?>", re.IGNORECASE)
_LINK = re.compile(r"""<a\s[^<>]*?href\s*=\s*["']?([^"'\s<>]+)[^<>]*>(.*?)</a>""", re.IGNORECASE | re.DOTALL)
_HIDDEN = re.compile(r"<(script|style)\b[^<>]*>.*?</\1\s*>|<!--.*?-->", re.IGNORECASE | re.DOTALL)
_BREAKS = frozenset({"br", "hr"})
_BLOCKS = frozenset({"blockquote", "div", "li", "p", "pre", "tr", "h1", "h2", "h3", "h4", "h5", "h6"})
"""Elements after which a new line begins."""


def markup(text: str) -> str:
    """The text as HTML that shows it letter by letter: ``Jane <jane@x>`` keeps its address, and a link that a customer
    typed stays words. Line breaks stay: Google shows them."""
    return html.escape(text, quote=False)


def words(description: str) -> str:
    """What a description says, without markup. A link is its words and its address; what only looks like a tag, as
    ``<jane@x>`` in a description that was written as text, stays."""
    plain = _LINK.sub(_linked, _HIDDEN.sub("", description))
    return html.unescape(_TAG.sub(_broken, plain))


def _linked(link: re.Match[str]) -> str:
    address, shown = link[1], _TAG.sub("", link[2]).strip()
    bare = html.unescape(address).removeprefix("mailto:")
    return shown or address if html.unescape(shown) in ("", address, bare) else f"{shown} ({address})"


def _broken(tag: re.Match[str]) -> str:
    closes, name = tag[1] == "/", tag[2].lower()
    if name in _BREAKS:
        return "\n"
    return "\n" if closes and name in _BLOCKS else ""
