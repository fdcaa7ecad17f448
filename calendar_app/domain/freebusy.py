"""When somebody is busy, and who says so.

Availability needs two things of a calendar: the spans in which it blocks its owner's time, and how old that knowledge
is. Both keep the name of their source, so that a slot's absence can be explained calendar by calendar.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from calendar_app.domain.timespan import Span


class SourceKind(StrEnum):
    """Where a busy span comes from."""

    CALENDAR = "calendar"
    BOOKING = "booking"
    HOLD = "hold"
    STALE = "stale_calendar"


@dataclass(frozen=True, slots=True)
class BusySource:
    """Busy spans of one calendar, or of the bookings or holds of one person.

    ``spans`` are half-open ``(start, end)`` instants in any order; they may overlap. ``id`` and ``label`` name the
    source in explanations.
    """

    kind: SourceKind
    id: str
    spans: Sequence[tuple[int, int]]
    label: str = ""


class StalePolicy(StrEnum):
    """What a calendar that could not be read lately does to its owner's slots.

    ``keep``: its last known state counts; ``close``: there are none; ``approve``: its last known state counts, and
    bookings wait for a person; ``ignore``: it does not count at all, which its owner has to choose.
    """

    KEEP = "keep"
    CLOSE = "close"
    APPROVE = "approve"
    IGNORE = "ignore"


@dataclass(frozen=True, slots=True)
class Freshness:
    """How old our knowledge of a calendar is; ``synced_at`` is an aware datetime, ``None`` when it was never read.

    ``ahead_until``: an instant before which a calendar that is read for the first time is known already.
    """

    calendar_id: str
    synced_at: datetime | None
    stale: bool
    ahead_until: int | None = None


def freshness(
    calendar_id: str, synced_at: datetime | None, now: datetime, stale_from: datetime | None
) -> Freshness:
    """A calendar that was never read is stale, any other after ``stale_from``
    (:func:`calendar_app.domain.reading_plan.stale_from`)."""
    stale = synced_at is None or (stale_from is not None and now > stale_from)
    return Freshness(calendar_id, synced_at, stale)


def stale_source(state: Freshness, policy: StalePolicy, window: Span, label: str = "") -> BusySource | None:
    """A source that keeps all of ``window`` busy when a stale calendar closes slots, but for what was read ahead, else
    ``None``."""
    if state.stale and policy is StalePolicy.CLOSE:
        start = max(window[0], state.ahead_until or window[0])
        return BusySource(SourceKind.STALE, state.calendar_id, [(start, max(start, window[1]))], label)
    return None


def counts(state: Freshness, policy: StalePolicy) -> bool:
    """Whether the calendar's last known busy spans count: always, but for a stale one that is to be ignored."""
    return not (state.stale and policy is StalePolicy.IGNORE)


def needs_approval(calendars: Iterable[tuple[Freshness, StalePolicy]]) -> bool:
    """Whether a booking made now must wait for a person, because a calendar that asks for it is stale."""
    return any(state.stale and policy is StalePolicy.APPROVE for state, policy in calendars)
