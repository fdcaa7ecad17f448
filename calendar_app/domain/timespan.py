"""Half-open stretches of time, as integers.

An *instant* is an ``int``: seconds since 1970-01-01T00:00Z (POSIX, no leap seconds). The availability engine works on
instants only, because integers compare and index quickly and have no time zone to get wrong; datetimes appear at the
edges. Every span is half-open, ``[start, end)``: a meeting that ends at 10:00 leaves 10:00 free.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import partial
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


def merge(spans: Iterable[tuple[int, int]]) -> list[Span]:
    """Union of spans, sorted, disjoint and not touching; empty and inverted spans are dropped."""
    ordered = sorted([span for span in spans if span[0] < span[1]])
    if not ordered:
        return []
    merged: list[tuple[int, int]] = []
    start, end = ordered[0]
    for low, high in ordered:  # plain tuples: availability merges thousands of spans at a time
        if low > end:
            merged.append((start, end))
            start, end = low, high
        elif high > end:
            end = high
    merged.append((start, end))
    return list(map(partial(tuple.__new__, Span), merged))


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
