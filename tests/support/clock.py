"""A clock that tests set by hand, for services that take ``now``."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class Clock:
    """``clock()`` and ``clock.now`` are the present, an aware UTC datetime; it moves only when told to."""

    def __init__(self, now: datetime | None = None) -> None:
        self.now = now or datetime.now(UTC).replace(microsecond=0)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **by: float) -> datetime:
        """Move on by ``timedelta(**by)``."""
        self.now += timedelta(**by)
        return self.now
