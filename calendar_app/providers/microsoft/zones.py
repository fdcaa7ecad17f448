"""Windows' names of time zones <-> IANA's. Pure.

Graph answers with Windows names, or whatever a calendar program once wrote
(https://learn.microsoft.com/graph/api/resources/datetimetimezone). The table is Unicode's (CLDR ``windowsZones``), as
tzlocal keeps it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from zoneinfo import ZoneInfo

from tzlocal.windows_tz import tz_win, win_tz

from calendar_app.domain.zones import is_zone

_UTC_NAMES = frozenset({"utc", "gmt", "z", "tzone://microsoft/utc", "coordinated universal time"})


@cache
def _by_lower() -> dict[str, str]:
    return {windows.lower(): iana for windows, iana in win_tz.items()}


def iana_zone(name: str) -> str | None:
    """The IANA zone that Graph means by ``name``; ``None`` for a custom zone of Outlook's, or nonsense."""
    name = name.strip()
    if name.lower() in _UTC_NAMES:
        return "UTC"
    found = _by_lower().get(name.lower(), name)
    return found if is_zone(found) else None


def windows_zone(iana: str) -> str | None:
    """Windows' name of an IANA zone, ``None`` where it has none."""
    return tz_win.get(iana)


def wall_time(moment: datetime, iana: str) -> dict[str, str]:
    """A ``dateTimeTimeZone`` for an aware datetime, shown in ``iana``.

    In UTC instead where Windows does not know the zone, and in the hour that clocks show twice: Graph's wall clock has
    no offset to tell its two passes apart.
    """
    zone = ZoneInfo(iana)
    local = moment.astimezone(zone)
    windows = windows_zone(iana)
    if windows is None or local.utcoffset() != local.replace(fold=1 - local.fold).utcoffset():
        local, windows = moment.astimezone(UTC), "UTC"
    return {"dateTime": local.replace(tzinfo=None).isoformat(), "timeZone": windows}
