"""Words for what was changed in a calendar by somebody else: kinds, what people may do about one, and how one ends."""

from __future__ import annotations

MOVED, DELETED, CHANGED, MISSING, STRAY = "moved", "deleted", "changed", "missing", "stray"
ORPHANED = "orphaned"
"""Kinds; see :class:`calendar_app.db.tables.Deviation`."""

FOLLOW, RESTORE, KEEP = "follow", "restore", "keep"
"""What a person may do about one: the booking follows the calendar, the calendar is put back, both stay as they are."""
TAKE_IN, REMOVE = "take_in", "remove"
"""And about an orphaned event: a booking is made of it, or it goes."""

FOLLOWED, RESTORED, CANCELLED, DISMISSED, VANISHED = (
    "followed",
    "restored",
    "cancelled",
    "dismissed",
    "vanished",
)
TAKEN_IN, REMOVED = "taken_in", "removed"
"""How one ends: ``Deviation.resolution`` beside a ``resolved_at``."""

CHECKING, RECHECK = "checking", "recheck"
"""``Deviation.resolution`` while it is not settled: seen by a sync and not yet looked into; shown to people, and due to
be looked into again. An open one that needs neither has an empty resolution."""

SIGHTED = "sighted"
"""The kind of a sighting."""
