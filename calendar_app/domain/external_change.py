"""Words for what somebody else changed in a calendar: kinds, what people may do about one, and how one ends."""

from __future__ import annotations

from enum import StrEnum


class ChangeKind(StrEnum):
    """See :class:`calendar_app.db.tables.Deviation`. ``SIGHTED``: not yet looked into."""

    MOVED = "moved"
    DELETED = "deleted"
    CHANGED = "changed"
    MISSING = "missing"
    STRAY = "stray"
    ORPHANED = "orphaned"
    SIGHTED = "sighted"


class ChangeChoice(StrEnum):
    """What a person may do about one: the booking follows the calendar, the calendar is put back, or both stay as they
    are; and about an orphaned event: a booking is made of it, or it is removed."""

    FOLLOW = "follow"
    RESTORE = "restore"
    KEEP = "keep"
    TAKE_IN = "take_in"
    REMOVE = "remove"


class ChangeResolution(StrEnum):
    """How one ended: ``Deviation.resolution`` beside a ``resolved_at``. Before that: ``CHECKING``, seen by a sync and
    not yet looked into; ``RECHECK``, shown to people and due to be looked into again; empty, open."""

    FOLLOWED = "followed"
    RESTORED = "restored"
    CANCELLED = "cancelled"
    DISMISSED = "dismissed"
    VANISHED = "vanished"
    TAKEN_IN = "taken_in"
    REMOVED = "removed"
    CHECKING = "checking"
    RECHECK = "recheck"
