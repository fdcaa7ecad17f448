"""What of a calendar could not be read, understood or dated: busy where it might be, and told to its owner."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Unread:
    """One thing that could not be read, in plain words for the person whose calendar it is.

    ``what`` names it as its owner knows it (an event's title and day, a time zone's name); ``why`` is one sentence that
    says what was not understood and what is done about it.
    """

    what: str
    why: str
