"""Days counted from 1970, and wall-clock readings as seconds: the numbers that recurrence calculates with."""

from __future__ import annotations

from datetime import date, datetime

DAY = 86_400
EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
FIRST_DAY = 1 - EPOCH_ORDINAL
LAST_DAY = date.max.toordinal() - EPOCH_ORDINAL


def wall_seconds(value: date | datetime) -> int:
    """A date's midnight or a naive datetime as local seconds: seconds since 1970-01-01T00:00 on that wall clock."""
    day = (value.toordinal() - EPOCH_ORDINAL) * DAY
    if isinstance(value, datetime):
        return day + value.hour * 3600 + value.minute * 60 + value.second
    return day
