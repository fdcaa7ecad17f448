"""The online meeting that a calendar makes for an event of ours: how far it is, and its link. Pure.

Calendars make such meetings by themselves (Google Meet, Microsoft Teams) when an event asks for one, at once or some
time after the event was written. What a booking has of it stands in the booking.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class MeetingState(StrEnum):
    """``PENDING``: the calendar is still making it. ``FAILED``: it said that there will be none."""

    PENDING = "pending"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Meeting:
    """``link``: where to join; set with ``READY`` only."""

    state: MeetingState
    link: str = ""


FAILED = Meeting(MeetingState.FAILED)
PENDING = Meeting(MeetingState.PENDING)
