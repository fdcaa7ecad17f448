"""iCalendar files (RFC 5545): reading them into domain events."""

from __future__ import annotations

from calendar_app.domain.ics.lines import CalendarFileError, NotACalendar, TooLarge
from calendar_app.domain.ics.reader import CalendarFile, Problem, plain_address, read_calendar

__all__ = [
    "CalendarFile",
    "CalendarFileError",
    "NotACalendar",
    "Problem",
    "TooLarge",
    "plain_address",
    "read_calendar",
]
