"""An email's content, and the two forms in which it goes out: plain text, and HTML beside it that says the same.

What is written is a list of blocks, and both forms are made of these, so that neither can say what the other does not.
The HTML holds no script and loads nothing: its styles are written into its tags, because many mail programs drop style
sheets (https://www.caniemail.com/features/html-style/), and a logo travels with it, because remote images are blocked
until a reader allows them, and would tell the sender when and where an email was read. What stays in a style sheet are
the colours for dark screens, and what only phones need.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import css_inline
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup, escape

from calendar_app.domain.accent import Shades, shades
from calendar_app.translations import Language

PRODUCT = "Almanac"
_OWN_ACCENT = "#5b5bd6"
_LABELS = 7
"""Columns that labels of facts take in plain text, at least."""
_LONGEST_LABEL = 40
"""Characters of a line that can stand on a button."""
_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True, slots=True)
class Lead:
    """The sentence that tells the news."""

    text: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Text; line breaks in it stay."""

    text: str


@dataclass(frozen=True, slots=True)
class Facts:
    """Labels with what they name, which may be several lines. A row without a label goes on with the one above."""

    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Links:
    """What can be opened, by its name: as buttons, the first of them the one that is mostly wanted, or as quiet
    links. ``intro`` says what they are for, and may be empty."""

    intro: str
    links: tuple[tuple[str, str], ...]
    buttons: bool = True


Block = Lead | Paragraph | Facts | Links


@dataclass(frozen=True, slots=True)
class Content:
    """What an email says."""

    subject: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Logo:
    """A PNG, and its size in pixels."""

    name: str
    content: bytes
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Look:
    """Whose email it is and how it looks. ``accent`` is ``#rrggbb``, empty for the product's own."""

    name: str = PRODUCT
    accent: str = ""
    logo: Logo | None = None


def text_of(content: Content) -> str:
    """The plain text."""
    return "\n\n".join(_as_text(block) for block in content.blocks) + "\n"


def html_of(content: Content, language: Language, look: Look) -> str:
    """The HTML. The logo is asked for by its name as Content-ID (RFC 2392)."""
    accent = look.accent or _OWN_ACCENT
    page = _template().render(
        content=content,
        kinds=[type(block).__name__ for block in content.blocks],
        language=language,
        look=look,
        light=_colors(shades(accent, dark=False)),
        dark=_colors(shades(accent, dark=True)),
        logo_height=min(look.logo.height // 2, 48) if look.logo else 0,
    )
    return _inliner().inline(page)


def content_of_text(subject: str, text: str, site: str) -> Content:
    """An email that stands in its row as plain text, as blocks: its paragraphs, and a button for each that ends with an
    address of ``site`` on a line of its own, below what it is for. Other addresses stay text."""
    blocks: list[Block] = []
    for paragraph in text.strip("\n").split("\n\n"):
        above, _, last = paragraph.rpartition("\n")
        if not above.endswith(":") or not re.fullmatch(re.escape(site) + r"/[!-~]*", last):
            blocks.append(Paragraph(paragraph))
        elif len(above) <= _LONGEST_LABEL and "\n" not in above:
            blocks.append(Links("", ((above[:-1], last),)))
        else:
            blocks.append(Links(above, ((last, last),), buttons=False))
    return Content(subject, tuple(blocks))


def _as_text(block: Block) -> str:
    match block:
        case Facts(rows):
            return "\n".join(_row(label, value, _width(rows)) for label, value in rows)
        case Links(intro, links):
            if not intro:
                return "\n\n".join(f"{label}:\n{url}" for label, url in links)
            return "\n".join([intro, *(url if label == url else f"{label}: {url}" for label, url in links)])
        case _:
            return block.text


def _width(rows: Iterable[tuple[str, str]]) -> int:
    return max(_LABELS, *(len(label) + 2 for label, _ in rows))


def _row(label: str, value: str, width: int) -> str:
    indented = f"\n{' ' * width}".join(value.split("\n"))
    return f"{f'{label}:' if label else '':<{width}}{indented}"


def _lines(text: str) -> Markup:
    """Text with its line breaks. Blanks at the beginning of a line stay, too."""
    shown = (re.sub(r"^ +", lambda found: "\u00a0" * len(found[0]), line) for line in text.split("\n"))
    return Markup("<br>").join(escape(line) for line in shown)


def _colors(found: Shades) -> dict[str, str]:
    return {"solid": found.steps[9], "on_solid": found.contrast, "link": found.steps[11]}


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["lines"] = _lines
    return environment.get_template("email.html")


@cache
def _inliner() -> css_inline.CSSInliner:
    return css_inline.CSSInliner(keep_at_rules=True, load_remote_stylesheets=False)
