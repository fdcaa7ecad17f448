"""Types of parameters, bodies and answers that several routers share."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, time
from functools import cache, lru_cache
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    StrictBool,
    StrictInt,
    StringConstraints,
)

from calendar_app.domain.timespan import Span
from calendar_app.domain.zones import DAY, day_of, segments


def _storable(text: str) -> str:
    """PostgreSQL's text cannot hold NUL."""
    if "\x00" in text:
        raise ValueError("must not contain NUL characters")
    return text


class Body(BaseModel):
    """The body of a request: a field that there is not is refused."""

    model_config = ConfigDict(extra="forbid")

    def given(self) -> dict[str, Any]:
        """The fields that were sent."""
        return self.model_dump(exclude_unset=True)


Whole = StrictInt
"""A whole number in a body; ``true`` is none."""

Flag = StrictBool
"""A truth value in a body; ``1`` and ``"yes"`` are none."""

_RFC3339 = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}")

Key = Annotated[str, StringConstraints(max_length=128), AfterValidator(_storable)]
"""An opaque id as a caller sends it; whether there is such an object is for services to say."""

Words = Annotated[str, StringConstraints(max_length=200), AfterValidator(_storable)]
"""What somebody types in to search."""


def _as_text(value: object) -> object:
    """A number would be read as seconds or milliseconds of an epoch that nobody has agreed on."""
    if not isinstance(value, str) or not _RFC3339.match(value):
        raise ValueError("must be a date and time as in RFC 3339, with an offset or Z")
    return value


Instant = Annotated[AwareDatetime, BeforeValidator(_as_text)]
"""A moment as RFC 3339 §5.6 writes it, always with its offset."""


def _by_pattern(pattern: str, words: str) -> Callable[[object], object]:
    """Keeps out numbers, which pydantic would read as seconds since 1970 or since midnight."""
    written = re.compile(pattern)

    def check(value: object) -> object:
        if not isinstance(value, str) or not written.fullmatch(value):
            raise ValueError(f"must be {words}")
        return value

    return check


Day = Annotated[date, BeforeValidator(_by_pattern(r"\d{4}-\d{2}-\d{2}", "a date like 2026-12-24"))]
"""A day as RFC 3339 writes a full-date."""

ClockTime = Annotated[time, BeforeValidator(_by_pattern(r"\d{2}:\d{2}(:\d{2})?", "a time of day like 09:30"))]
"""A time of day without a zone; the zone is told beside it."""


def rfc3339(zone: str, window: Span) -> Callable[[int], str]:
    """A function that writes instants of ``window`` (its end included) as RFC 3339 in an IANA zone.

    It knows the window's offsets and remembers its days, because slots are thousands of times on a few dozen days.
    """
    parts = segments(zone, Span(window.start, window.end + 1))

    @cache
    def day(number: int) -> str:
        return f"{day_of(number).isoformat()}T"

    def write(instant: int) -> str:
        for _, end, offset in parts:
            if instant < end:
                number, seconds = divmod(instant + offset, DAY)
                return day(number) + _clock(seconds) + _suffix(offset)
        raise ValueError("the instant lies outside the window")

    return write


@lru_cache(maxsize=8192)
def _clock(seconds: int) -> str:
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


@lru_cache(maxsize=512)
def _suffix(offset: int) -> str:
    """RFC 3339 knows no seconds of offset; no zone has had any since 1972."""
    minutes = abs(offset) // 60
    return f"{'-' if offset < 0 else '+'}{minutes // 60:02d}:{minutes % 60:02d}"
