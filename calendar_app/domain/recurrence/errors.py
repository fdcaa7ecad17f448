"""What can be wrong with a recurrence.

    RecurrenceError (ValueError)
    ├── InvalidRule          an RRULE or EXRULE that cannot be read
    ├── InvalidDates         an RDATE, EXDATE or RECURRENCE-ID that cannot be read
    ├── UnknownZone          a time zone the IANA database does not have
    ├── TooManyOccurrences   more occurrences in the window than the caller allows
    └── TooComplex           the rule takes more work than any sensible one

Calendars are written by strangers, so every text either yields occurrences or one of these, and soon.
"""

from __future__ import annotations


class RecurrenceError(ValueError):
    """Root of the tree; the message is one sentence that may be shown to a person."""


class InvalidRule(RecurrenceError):
    """The rule does not follow RFC 5545 §3.3.10."""


class InvalidDates(RecurrenceError):
    """A date list does not follow RFC 5545 §3.8.5.1 or §3.8.5.2."""


class UnknownZone(RecurrenceError):
    """``zone`` is not a name of the IANA time zone database."""

    def __init__(self, zone: str) -> None:
        super().__init__(f"The time zone {zone[:80]!r} is unknown.")
        self.zone = zone


class TooManyOccurrences(RecurrenceError):
    """The window holds more than ``limit`` occurrences of one event."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"The event repeats more than {limit} times in this period.")
        self.limit = limit


class TooComplex(RecurrenceError):
    """Finding the occurrences would take longer than a calendar may cost."""

    def __init__(self) -> None:
        super().__init__("The event's repetition rule takes too much work to follow.")
