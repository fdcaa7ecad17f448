"""What invitations in letters leave in the calendar of whoever reads them: a model of a mail client (RFC 5546 §2.1.5).

One entry a UID. A REQUEST makes it, or changes it unless its SEQUENCE is older; a CANCEL takes it away. Gmail, Outlook
and Apple Mail all do this, the first two without being asked.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import icalendar


class Invitation(Protocol):
    """A letter with an invitation; both are empty where there is none."""

    @property
    def method(self) -> str: ...
    @property
    def ics(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Entry:
    """An event that stands in the reader's calendar. ``start`` and ``end`` are aware."""

    uid: str
    sequence: int
    summary: str
    start: datetime
    end: datetime


def entries(letters: Iterable[Invitation]) -> dict[str, Entry]:
    """What stands in the calendar after the letters, oldest first, were read; by UID."""
    standing: dict[str, Entry] = {}
    newest: dict[str, int] = {}
    for letter in letters:
        for entry in _events(letter.ics) if letter.method in ("REQUEST", "CANCEL") else ():
            if entry.sequence < newest.get(entry.uid, 0):
                continue
            newest[entry.uid] = entry.sequence
            if letter.method == "REQUEST":
                standing[entry.uid] = entry
            else:
                standing.pop(entry.uid, None)
    return standing


def _events(ics: str) -> Iterable[Entry]:
    for event in icalendar.Calendar.from_ical(ics).walk("VEVENT"):
        yield Entry(
            uid=str(event["UID"]),
            sequence=int(event.get("SEQUENCE", 0)),
            summary=str(event.get("SUMMARY", "")),
            start=event.decoded("DTSTART"),
            end=event.decoded("DTEND"),
        )
