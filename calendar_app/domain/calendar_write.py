"""How far a booking has come in one calendar."""

from __future__ import annotations

from enum import StrEnum


class WriteState(StrEnum):
    """``WRITTEN``: the provider took it. ``VERIFIED``: it was read back as it should be. ``FAILED``: given up until
    somebody retries. ``REMOVED``: the event is out."""

    QUEUED = "queued"
    WRITTEN = "written"
    VERIFIED = "verified"
    FAILED = "failed"
    REMOVED = "removed"
