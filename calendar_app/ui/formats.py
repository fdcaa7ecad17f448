"""Dates and times as people read them. Pure: zone, hour cycle and "now" are parameters."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from calendar_app.domain.zones import is_zone


def known_zone(*candidates: str) -> str:
    """The first of ``candidates`` that is an IANA zone, else UTC."""
    return next((zone for zone in candidates if is_zone(zone)), "UTC")


def rfc3339(moment: datetime | None) -> str:
    """``2026-11-21T09:30:00Z``; empty for ``None``."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z") if moment else ""


def clock(moment: datetime, zone: str, *, hour12: bool = False) -> str:
    """``09:30``, or ``9:30 am`` where people count to twelve."""
    local = moment.astimezone(ZoneInfo(zone))
    if not hour12:
        return f"{local:%H:%M}"
    return f"{local.hour % 12 or 12}:{local:%M} {'am' if local.hour < 12 else 'pm'}"


def day(value: date, *, today: date | None = None) -> str:
    """``Saturday, 21 November``; the year is added when it is not that of ``today``."""
    text = f"{value:%A}, {value.day} {value:%B}"
    return text if today is not None and value.year == today.year else f"{text} {value.year}"


def relative_day(value: date, today: date) -> str:
    """``Today``, ``Tomorrow``, ``Yesterday``, or the date."""
    names = {0: "Today", 1: "Tomorrow", -1: "Yesterday"}
    return names.get((value - today).days) or day(value, today=today)


def span(start: datetime, end: datetime, zone: str, *, hour12: bool = False) -> str:
    """``09:30 – 10:00``; the end's date is added when it is another day in ``zone``."""
    first, last = start.astimezone(ZoneInfo(zone)), end.astimezone(ZoneInfo(zone))
    tail = clock(end, zone, hour12=hour12)
    if first.date() != last.date():
        tail = f"{last:%a} {last.day} {last:%b}, {tail}"
    return f"{clock(start, zone, hour12=hour12)} – {tail}"


def offset(zone: str, at: datetime) -> str:
    """``GMT+1``, ``GMT-3:30``, ``GMT``: the offset of ``zone`` at an instant."""
    delta = at.astimezone(ZoneInfo(zone)).utcoffset()
    minutes = int(delta.total_seconds() // 60) if delta is not None else 0
    if not minutes:
        return "GMT"
    hours, rest = divmod(abs(minutes), 60)
    return f"GMT{'+' if minutes > 0 else '-'}{hours}{f':{rest:02d}' if rest else ''}"


def zone_name(zone: str, at: datetime) -> str:
    """``Europe/Berlin (GMT+1)``: a zone as shown beside a time."""
    return f"{zone.replace('_', ' ')} ({offset(zone, at)})"


def length(minutes: int) -> str:
    """``30 min``, ``1 h``, ``1 h 30 min``, ``2 days``."""
    days, rest = divmod(minutes, 1440)
    hours, rest = divmod(rest, 60)
    parts = [f"{days} {'day' if days == 1 else 'days'}"] if days else []
    parts += [f"{hours} h"] if hours else []
    parts += [f"{rest} min"] if rest or not parts else []
    return " ".join(parts)


def count(number: int, one: str, many: str = "") -> str:
    """``1 booking``, ``3 bookings``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
