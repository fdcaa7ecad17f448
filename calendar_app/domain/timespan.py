"""Half-open stretches of time, as integers.

An *instant* is an ``int``: seconds since 1970-01-01T00:00Z (POSIX, no leap seconds). The availability engine works on
instants only, because integers compare and index quickly and have no time zone to get wrong; datetimes appear at the
edges. Every span is half-open, ``[start, end)``: a meeting that ends at 10:00 leaves 10:00 free.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple


class Span(NamedTuple):
    """``[start, end)`` in epoch seconds UTC."""

    start: int
    end: int

    def overlaps(self, other: Span) -> bool:
        """True when both share an instant; touching ends do not overlap."""
        return self.start < other.end and other.start < self.end


def instant(moment: datetime) -> int:
    """Epoch seconds of an aware datetime. :raises ValueError: for a naive one."""
    if moment.tzinfo is None:
        raise ValueError("a naive datetime is not an instant")
    return int(moment.timestamp())


def utc(seconds: int) -> datetime:
    """The aware UTC datetime of an instant."""
    return datetime.fromtimestamp(seconds, UTC)


def merge(spans: Iterable[Span]) -> list[Span]:
    """Union of spans, sorted, disjoint and not touching; empty and inverted spans are dropped."""
    merged: list[Span] = []
    for span in sorted(s for s in spans if s[0] < s[1]):
        if merged and span[0] <= merged[-1].end:
            if span[1] > merged[-1].end:
                merged[-1] = Span(merged[-1].start, span[1])
        else:
            merged.append(Span(*span))
    return merged


def subtract(base: Iterable[Span], holes: Iterable[Span]) -> list[Span]:
    """What of ``base`` remains when ``holes`` are cut out; the result is merged."""
    cuts = merge(holes)
    rest: list[Span] = []
    at = 0
    for start, end in merge(base):
        while at < len(cuts) and cuts[at].end <= start:
            at += 1
        cursor = start
        for cut in cuts[at:]:
            if cut.start >= end:
                break
            if cut.start > cursor:
                rest.append(Span(cursor, cut.start))
            cursor = max(cursor, cut.end)
        if cursor < end:
            rest.append(Span(cursor, end))
    return rest
