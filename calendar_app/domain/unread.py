"""What of a calendar could not be read, understood or dated: busy where it might be, and told to its owner."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]+")
MOST_WHAT, MOST_WHY = 160, 300


@dataclass(frozen=True, slots=True)
class Unread:
    """One thing that could not be read, in plain words for the person whose calendar it is.

    ``what`` names it as its owner knows it (an event's title and day, a time zone's name); ``why`` is one sentence that
    says what was not understood and what is done about it.
    """

    what: str
    why: str

    @classmethod
    def told(cls, what: str, why: str) -> Unread:
        """Of any texts, the owner's or a stranger's: each on one line and of a length that pages and emails bear."""
        return cls(one_line(what, MOST_WHAT), one_line(why, MOST_WHY))

    @classmethod
    def kept(cls, document: Mapping[str, str]) -> Unread:
        """What :meth:`document` gave."""
        return cls(document["what"], document["why"])

    @property
    def document(self) -> dict[str, str]:
        return {"what": self.what, "why": self.why}


def one_line(text: str, most: int) -> str:
    """The text without line breaks and characters that nobody sees or that turn others round; at most ``most`` long."""
    line = " ".join(_UNSEEN.sub(" ", text).split())
    return line if len(line) <= most else f"{line[: most - 1].rstrip()}…"


def event_name(title: str, day: date | datetime | None) -> str:
    """An event as its owner knows it: ``“Rehearsal”, 20 January 2027``."""
    named = f"“{one_line(title, MOST_WHAT - 30)}”" if one_line(title, 1) else "An event without a title"
    return f"{named}, {day.day} {day:%B %Y}" if day else named
