"""When a calendar is read next by itself, and when it is listed in full.

A calendar with a push channel that is relied on tells by itself that it changed; it is read once in hours all the
same, because pushes can be lost. Any other is asked, the more often the later it last changed: a twelfth of the time
for which it has not, so that one that changed within the hour is asked every few minutes and one that rests every hour.
While somebody looks at it, or at times that depend on it, it is asked as often as may be. A published file says how
often it wants to be asked (RFC 7986 §5.7, RFC 9111 §5.2.2.1); that is obeyed up to a point, since its owner's time is
given away on it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

REST_SHARE = 12
"""A calendar is asked after this part of the time for which it has not changed."""
LONGEST = timedelta(hours=1)
"""How long a calendar without push that nobody looks at is not asked, unless ``POLL_MINUTES`` is longer."""
LONGEST_WISH = timedelta(hours=4)
"""How long a publisher may have a calendar not asked; an hour while somebody looks."""
VIEW_LASTS = timedelta(minutes=10)
"""Whoever looked this lately is thought to be looking still."""
DAY, WEEK = timedelta(days=1), timedelta(weeks=1)
LARGE = 1_000
"""A calendar of more events is listed in full once a week, a smaller one once a day."""


@dataclass(frozen=True, slots=True)
class Pace:
    """What an operator chose: the shortest time between two readings of a calendar without push, and how often one
    with push is read."""

    shortest: timedelta
    with_push: timedelta


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What is known of a calendar that was just read.

    ``push_until``: when the channel ends that vouches for it, ``None`` without one. ``changed_at``: when a reading last
    found a change. ``viewed_at``: when somebody last looked. ``wish``: how long its publisher wants it not to be asked.
    ``full_due_at``: when it is to be listed in full.
    """

    calendar_id: str
    changed_at: datetime
    push_until: datetime | None = None
    viewed_at: datetime | None = None
    wish: timedelta = timedelta()
    full_due_at: datetime | None = None


def next_reading(known: Knowledge, now: datetime, pace: Pace) -> datetime:
    """When the calendar is read next, after ``now``, unless something asks for it before."""
    if known.push_until is not None and known.push_until > now:
        due = min(own_moment(known.calendar_id, now, pace.with_push), known.push_until)
    else:
        due = now + _interval(known, now, pace)
    if known.full_due_at is not None:
        due = min(due, known.full_due_at)
    return max(due, now + timedelta(minutes=1))


def next_while_viewed(synced_at: datetime, wish: timedelta, pace: Pace) -> datetime:
    """When a calendar without push that was read at ``synced_at`` is read again while somebody looks."""
    return synced_at + max(pace.shortest, min(wish, LONGEST))


def _interval(known: Knowledge, now: datetime, pace: Pace) -> timedelta:
    if known.viewed_at is not None and now - VIEW_LASTS <= known.viewed_at:
        return next_while_viewed(now, known.wish, pace) - now
    by_change = max(pace.shortest, min(LONGEST, (now - known.changed_at) / REST_SHARE))
    return max(by_change, min(known.wish, LONGEST_WISH))


def next_full_listing(calendar_id: str, events: int, now: datetime) -> datetime:
    """When a calendar of so many events, listed in full at ``now``, is so again."""
    return own_moment(calendar_id, now, WEEK if events > LARGE else DAY)


def own_moment(id_: str, now: datetime, period: timedelta) -> datetime:
    """The id's own moment of each ``period``: the first that is more than half of it away. Ids are spread evenly."""
    share = int.from_bytes(hashlib.sha256(id_.encode()).digest()[:4], "big") / 2**32
    start = datetime(2026, 1, 1, tzinfo=UTC) + share * period
    turns = (now + period / 2 - start) // period + 1
    return start + turns * period


def stale_from(synced_at: datetime, due_at: datetime, *, shortest: timedelta, fresh: timedelta) -> datetime:
    """When a calendar begins to be stale: its reading, due at ``due_at``, did not happen or failed for ``fresh``.

    One that is read more often than that, by plan, is so ``fresh`` after its last reading.
    """
    if shortest < fresh and due_at - synced_at <= shortest:
        return synced_at + fresh
    return due_at + fresh
