"""Times as emails write them, in words and with their zone."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo


def long_time(at: datetime, zone: str) -> str:
    """``Wednesday, 18 November 2026, 10:00``, in the zone."""
    local = at.astimezone(ZoneInfo(zone))
    return f"{_day(local)}, {local:%H:%M}"


def span(start: datetime, end: datetime, zone: str) -> str:
    """Both ends in the zone, which is named with its offset (both, where a clock change lies between)."""
    first, last = (at.astimezone(ZoneInfo(zone)) for at in (start, end))
    until = f"{last:%H:%M}" if first.date() == last.date() else f"{_day(last)}, {last:%H:%M}"
    offsets = " to ".join(dict.fromkeys(_offset(at) for at in (first, last)))
    return f"{_day(first)}, {first:%H:%M} to {until} ({zone}, {offsets})"


def _day(local: datetime) -> str:
    return f"{local:%A}, {local.day} {local:%B %Y}"


def _offset(local: datetime) -> str:
    return f"UTC{local.isoformat()[len('2026-11-18T10:00:00') :]}" if local.utcoffset() else "UTC"
