"""iCalendar files (RFC 5545): reading them into domain events."""

from __future__ import annotations

from calendar_app.domain.ics.lines import CalendarFileError, NotACalendar, TooLarge
from calendar_app.domain.ics.reader import CalendarFile, Problem, read_calendar
from calendar_app.domain.ics.vevent import plain_address

__all__ = [
    "CalendarFile",
    "CalendarFileError",
    "NotACalendar",
    "Problem",
    "TooLarge",
    "plain_address",
    "read_calendar",
]
