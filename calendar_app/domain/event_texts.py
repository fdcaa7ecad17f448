"""Which texts of an event we wrote, so that what a person wrote instead of them can be told from it. Pure.

An event carries digests of the texts that we last wanted in it (:data:`TEXTS_MARK` in its private marks). A text whose
digest is another one was edited by a person. Programs lay texts out anew without anybody's doing, so that only what
stays the same is counted, see :func:`plain`.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from urllib.parse import parse_qs, urlsplit

from calendar_app.domain.event import CalendarEvent, EventDraft

TEXTS_MARK = "almanac_texts"
"""Key in :attr:`CalendarEvent.private`: ``summary:1f0c… description:…``, one digest for each of :data:`TEXTS`."""
TEXTS = ("summary", "description", "location", "color")

_LINE = re.compile("_{20,}")
_TARGET = re.compile(r"<(?:https?|mailto|tel):[^<>\s]*>")
_SAFE_LINK = re.compile(
    r"https://[\w.-]+\.safelinks\.protection\.(?:outlook|office365)\.(?:com|us|cn)/[^\s<>\"]*"
)
_BLANK = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u200b-\u200d\u2060\ufeff\ud800-\udfff]+")


def texts_mark(draft: EventDraft) -> str:
    """The value of :data:`TEXTS_MARK` for an event that says what ``draft`` says."""
    return " ".join(f"{name}:{_digest(name, getattr(draft, name))}" for name in TEXTS)


def edited(event: CalendarEvent) -> frozenset[str] | None:
    """Which of :data:`TEXTS` a person wrote since we did; ``None``: the event does not say what we wrote."""
    mark = event.private.get(TEXTS_MARK, "")
    written = dict(part.split(":", 1) for part in mark.split() if ":" in part)
    if not written:
        return None
    return frozenset(name for name in TEXTS if written.get(name) != _digest(name, getattr(event, name)))


def plain(text: str) -> str:
    """What of a text survives programs that lay it out anew: its letters, without blanks.

    Exchange keeps bodies as HTML, makes links of addresses, and writes a link as ``words<address>`` when it is asked
    for text; Defender wraps addresses (https://learn.microsoft.com/defender-office-365/safe-links-about); a Teams
    meeting adds a block between two lines of underscores
    (https://learn.microsoft.com/graph/api/event-update, "preserve the meeting blob").
    """
    text = _TARGET.sub("", _SAFE_LINK.sub(_unwrapped, without_meeting(text)))
    return _BLANK.sub("", unicodedata.normalize("NFC", text))


def without_meeting(text: str) -> str:
    """The text without the block that says how to join a Teams meeting."""
    block = meeting_block(text)
    return text if block is None else text[: block.start] + text[block.stop :]


def without_meeting_place(location: str) -> str:
    """The place of an event without "Microsoft Teams Meeting", which Outlook adds where the event is one."""
    if "microsoft teams" not in location.lower():
        return location
    return ";".join(place for place in location.split(";") if "microsoft teams" not in place.lower())


def meeting_block(text: str) -> slice | None:
    """Where that block is in a text or its HTML, with the lines around it; ``None``: nowhere."""
    lines = list(_LINE.finditer(text))
    if len(lines) < 2 or "teams" not in text[lines[0].end() : lines[-1].start()].lower():
        return None
    return slice(lines[0].start(), lines[-1].end())


def _digest(name: str, text: str) -> str:
    if name == "location":
        text = without_meeting_place(text)
    return hashlib.sha256(plain(text).encode("utf-8", "replace")).hexdigest()[:12]


def _unwrapped(link: re.Match[str]) -> str:
    return "".join(parse_qs(urlsplit(link[0]).query).get("url", [link[0]]))
