"""Recurring events: RFC 5545 rules, date lists and changed occurrences, expanded inside a window."""

from __future__ import annotations

from calendar_app.domain.recurrence.errors import (
    InvalidDates,
    InvalidRule,
    RecurrenceError,
    TooComplex,
    TooManyOccurrences,
    UnknownZone,
)
from calendar_app.domain.recurrence.expansion import Occurrence, expand
from calendar_app.domain.recurrence.generate import Recurrence
from calendar_app.domain.recurrence.rule import Frequency, Rule, parse_rule

__all__ = [
    "Frequency",
    "InvalidDates",
    "InvalidRule",
    "Occurrence",
    "Recurrence",
    "RecurrenceError",
    "Rule",
    "TooComplex",
    "TooManyOccurrences",
    "UnknownZone",
    "expand",
    "parse_rule",
]
