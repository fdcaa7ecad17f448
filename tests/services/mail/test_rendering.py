"""The two forms of an email say the same, and no reader's program is asked for more than to show them."""

from __future__ import annotations

import re
from email import message_from_bytes, policy
from email.message import EmailMessage
from html.parser import HTMLParser
from io import BytesIO

import pytest
from fast_mail_parser import PyMail, parse_email
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from calendar_app import translations
from calendar_app.domain.accent import Rgb, contrast
from calendar_app.providers import mail as smtp
from calendar_app.services.mail import rendering
from calendar_app.services.mail.rendering import Block, Content, Facts, Lead, Links, Logo, Look, Paragraph

ENGLISH = translations.language("en")
URL = "https://almanac.example/manage/token"


class _Reader(HTMLParser):
    """What somebody reads of an HTML email, and what its tags ask for."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._said: list[str] = []
        self._inside: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "br":
            self._said.append("\n")
        if tag in ("style", "title"):
            self._inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._inside and self._inside[-1] == tag:
            self._inside.pop()
        elif tag in ("p", "h1", "th", "td", "a"):
            self._said.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._inside:
            self._said.append(data)

    @property
    def text(self) -> str:
        return _plain("".join(self._said))

    @property
    def links(self) -> list[str]:
        return [attrs["href"] or "" for tag, attrs in self.tags if tag == "a"]


def _plain(text: str) -> str:
    return " ".join(text.replace("\xa0", " ").split())


def _html(*blocks: Block, look: Look | None = None, language: translations.Language = ENGLISH) -> str:
    return rendering.html_of(Content("Subject", blocks), language, look or Look())


_NAMES = st.text(
    st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")) | st.sampled_from("<>&\"'{}%😀אבגد\u200fé"),
    min_size=1,
).filter(lambda text: text.strip() == text)


@given(name=_NAMES, other=_NAMES)
@example(name="<script>alert(1)</script>", other='"><img src=x onerror=alert(1)>')
@example(name="{{ 7 * 7 }}{% raw %}", other="%(name)s </style></title></td></table>")
@example(name="שלום עולם", other="👩‍👩‍👧 &amp; Co. <b>")
def test_both_forms_say_the_same(name: str, other: str) -> None:
    """Whatever people and things are called: each text stands in both, nothing becomes a tag, links are the same."""
    blocks = (
        Paragraph(f"Hello {name},"),
        Lead(f"Your booking with {other} is confirmed."),
        Facts((("What", name), ("When", "Monday\nBerlin"), ("Who", f"{other} <a@example.org>"))),
        Paragraph(f"First\n  {other}"),
        Links("You can change it.", (("Move", f"{URL}/move"), ("Cancel", f"{URL}/cancel"))),
        Links("", (("Details", URL),)),
        Links("Your calendar:", (("Google", "https://calendar.google.com/?a=1&b=%3C"),), buttons=False),
    )
    text = rendering.text_of(Content("Subject", blocks))
    page = _Reader(_html(*blocks))
    for said in (
        f"Hello {name},",
        other,
        "Monday",
        "Berlin",
        f"{other} <a@example.org>",
        "You can change it.",
    ):
        assert _plain(said) in page.text
        assert _plain(said) in _plain(text)
    assert page.links == re.findall(r"https://[!-~]+", "\n".join(_links_of(blocks)))
    assert all(link in text for link in page.links)
    allowed = {"html", "head", "meta", "title", "style", "body", "table", "tbody", "tr", "th", "td"}
    assert {tag for tag, _ in page.tags} <= allowed | {"p", "h1", "bdi", "div", "a", "br"}
    assert not [name for _, attrs in page.tags for name in attrs if name.startswith("on")]


def _links_of(blocks: tuple[Block, ...]) -> list[str]:
    return [url for block in blocks if isinstance(block, Links) for _, url in block.links]


def test_plain_text_lays_facts_out_in_columns() -> None:
    """Labels as wide as the widest of them, further lines of a value below its first."""
    facts = Facts((("What", "Call"), ("When", "Monday\nBerlin"), ("Booked by", "Ada")))
    assert rendering.text_of(Content("", (facts,))) == (
        "What:      Call\nWhen:      Monday\n           Berlin\nBooked by: Ada\n"
    )


def test_a_text_that_stands_in_its_row_is_read_as_blocks() -> None:
    """A paragraph that ends with an address of ours is a button, or a link where it is long; others stay text."""
    text = (
        "Hello,\n\nReconnect:\nhttps://almanac.example/settings\n\n"
        "The whole list of what could not be read is here, with reasons:\nhttps://almanac.example/list\n\n"
        "See:\nhttps://evil.example/\n\nOr:\nhttps://almanac.example.evil/\n"
    )
    content = rendering.content_of_text("Subject", text, "https://almanac.example")
    assert content.blocks == (
        Paragraph("Hello,"),
        Links("", (("Reconnect", "https://almanac.example/settings"),)),
        Links(
            "The whole list of what could not be read is here, with reasons:",
            (("https://almanac.example/list", "https://almanac.example/list"),),
            buttons=False,
        ),
        Paragraph("See:\nhttps://evil.example/"),
        Paragraph("Or:\nhttps://almanac.example.evil/"),
    )
    assert rendering.text_of(content) == text


@pytest.mark.parametrize("accent", ["", "#ffff00", "#111111", "#0a7d3c", "#ffffff"])
def test_buttons_can_be_read(accent: str) -> None:
    """Whatever colour a business has: words on buttons and links stand out by 4.5 to 1, on light and on dark."""
    html = _html(
        Links("", (("Open", URL),)), Links("More:", (("Open", URL),), buttons=False), look=Look("B", accent)
    )
    tags = _Reader(html).tags
    button = next(attrs["style"] for tag, attrs in tags if tag == "td" and attrs.get("class") == "button")
    inside, link = [attrs["style"] for tag, attrs in tags if tag == "a"]
    assert contrast(_color(inside, "color"), _color(button, "background-color")) >= 4.5
    assert contrast(_color(link, "color"), (255.0, 255.0, 255.0)) >= 4.5
    dark = html[html.index("prefers-color-scheme: dark") :]
    solid = _color(dark.partition(".button {")[2], "background-color")
    assert contrast(_color(dark.partition(".button a {")[2], "color"), solid) >= 4.5
    assert contrast(_color(dark.partition(".links a {")[2], "color"), (24.0, 25.0, 27.0)) >= 4.5


def _color(style: str | None, name: str) -> Rgb:
    match = re.search(rf"(?<![a-z-]){name}: #([0-9a-f]{{3,6}})", style or "")
    assert match is not None
    digits = match[1] if len(match[1]) == 6 else "".join(digit * 2 for digit in match[1])
    red, green, blue = (float(int(digits[at : at + 2], 16)) for at in (0, 2, 4))
    return red, green, blue


def test_styles_stand_in_the_tags() -> None:
    """Programs that drop style sheets show the same; what stays in one is for dark screens and phones."""
    html = _html(Lead("News"))
    assert "<link" not in html
    sheet = html.partition("<style>")[2].partition("</style>")[0]
    assert sheet.lstrip().startswith("@media")
    page = _Reader(html)
    assert next(attrs for tag, attrs in page.tags if tag == "h1").get("style")
    assert {attrs.get("content") for tag, attrs in page.tags if tag == "meta"} >= {"light dark"}


def test_right_to_left() -> None:
    """The page's direction is its language's; texts of people have their own within it."""
    html = _html(Lead("News"), language=translations.language("ar-XB"))
    page = _Reader(html)
    assert next(attrs for tag, attrs in page.tags if tag == "html")["dir"] == "rtl"
    facts = _html(Facts((("What", "Call"),)))
    assert "<bdi>Call</bdi>" in facts
    assert "text-align: start" in facts


def _logo() -> Logo:
    file = BytesIO()
    Image.new("RGB", (300, 100), "#0a7d3c").save(file, "PNG")
    return Logo("0123-300x100.png", file.getvalue(), 300, 100)


def _sent(*, ics: str = "", logo: Logo | None = None) -> bytes:
    blocks = (Lead("Grüße, 😀 <b>"), Links("", (("Open", URL),)))
    content = Content(
        "Grüße <b> 😀: a subject that is long enough to be folded, Mon, 14 Dec 2026, 14:00", blocks
    )
    letter = smtp.Letter(
        message_id="<1@almanac.example>",
        recipient="grace@example.org",
        subject=content.subject,
        body=rendering.text_of(content),
        ics=ics,
        ics_method="REQUEST" if ics else "",
        html=rendering.html_of(content, ENGLISH, Look("Business", "", logo)),
        logo=smtp.Image(logo.name, logo.content) if logo else None,
    )
    return smtp.as_sent(smtp.compose(letter, "Almanac <no-reply@almanac.example>"))


ICS = "BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nEND:VCALENDAR\r\n"


def _tree(message: EmailMessage) -> object:
    if message.is_multipart():
        return {message.get_content_subtype(): [_tree(part) for part in message.iter_parts()]}
    return message.get_content_type()


def test_the_parts_of_a_message() -> None:
    """Plain text, HTML with its logo, the invitation: alternatives of one another; the file is attached beside them."""

    def tree(raw: bytes) -> object:
        found = message_from_bytes(raw, policy=policy.default)
        assert isinstance(found, EmailMessage)
        assert not [part.defects for part in found.walk() if part.defects]
        return _tree(found)

    related = {"related": ["text/html", "image/png"]}
    assert tree(_sent()) == {"alternative": ["text/plain", "text/html"]}
    assert tree(_sent(logo=_logo())) == {"alternative": ["text/plain", related]}
    assert tree(_sent(ics=ICS, logo=_logo())) == {
        "mixed": [{"alternative": ["text/plain", related, "text/calendar"]}, "application/ics"]
    }


@pytest.mark.parametrize("ics", ["", ICS])
def test_two_parsers_read_the_same(ics: str) -> None:
    """Python's own and mailparse (Rust) agree on subject, texts, invitation and logo."""
    raw, logo = _sent(ics=ics, logo=_logo()), _logo()
    ours = message_from_bytes(raw, policy=policy.default)
    assert isinstance(ours, EmailMessage)
    theirs: PyMail = parse_email(raw)
    assert str(ours["Subject"]) == theirs.subject
    assert theirs.subject.startswith("Grüße <b> 😀: a subject")
    texts = {part.get_content_type(): part for part in ours.walk() if not part.is_multipart()}
    (plain,), (html,) = theirs.text_plain, theirs.text_html
    assert plain.splitlines() == texts["text/plain"].get_content().splitlines()
    assert html.splitlines() == texts["text/html"].get_content().splitlines()
    assert "Grüße, 😀 <b>" in plain
    assert _Reader(html).text == "Grüße, 😀 <b> Open"
    images = [each for each in theirs.attachments if each.mimetype == "image/png"]
    assert [bytes(each.content) for each in images] == [logo.content]
    assert f'src="cid:{logo.name}"' in html
    assert texts["image/png"]["Content-ID"] == f"<{logo.name}>"
    if ics:
        assert texts["text/calendar"].get_content().splitlines() == ICS.splitlines()
        assert 'method="REQUEST"' in str(texts["text/calendar"]["Content-Type"])


def test_a_subject_begins_on_its_own_line() -> None:
    """However long it is: no reader shows a blank in front of it."""
    for length in range(1, 140):
        letter = smtp.Letter("<1@almanac.example>", "grace@example.org", f"New {'x ' * length}end", "body")
        raw = smtp.as_sent(smtp.compose(letter, "Almanac <no-reply@almanac.example>"))
        assert str(message_from_bytes(raw, policy=policy.default)["Subject"]) == letter.subject
