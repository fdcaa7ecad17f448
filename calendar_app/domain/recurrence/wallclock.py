"""Wall clocks of time zones and their instants, quickly.

*Local seconds* are a wall-clock reading as one integer: seconds since 1970-01-01T00:00 on that wall clock. They make
recurrence arithmetic independent of zones; this module turns them into instants. Asking ``zoneinfo`` for every
occurrence would take most of an expansion's time, so a zone remembers the instant of each local midnight.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from calendar_app.domain.event import EventTime
from calendar_app.domain.recurrence.days import DAY, EPOCH_ORDINAL, FIRST_DAY, LAST_DAY, wall_seconds
from calendar_app.domain.recurrence.definition import OR, PREFIX, zone_info
from calendar_app.domain.recurrence.errors import UnknownZone
from calendar_app.domain.timespan import utc

__all__ = [
    "DAY",
    "EPOCH_ORDINAL",
    "FIRST_DAY",
    "LAST_DAY",
    "Zone",
    "event_instant",
    "instant_of",
    "wall_seconds",
    "zone_of",
]

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  # a wall clock has no zone
_EARLIEST = (FIRST_DAY + 2) * DAY  # no offset reaches two days, so conversions stay inside datetime's years
_LATEST = (LAST_DAY - 2) * DAY
_REMEMBERED_DAYS = 8_192
_BLOCK = 3  # days that are asked for together: no zone of the database changes its offset twice within so few


class Zone:
    """One zone's wall clock. ``midnights[day]`` is the instant of that local day's start, ``day`` counted from 1970.

    It is ``None`` on the days whose offset changes (then ask :meth:`instant`): on all others a wall-clock time's
    instant is its midnight plus its seconds.
    """

    __slots__ = ("_around", "_info", "midnights")

    def __init__(self, info: ZoneInfo) -> None:
        self._info = info
        self._around: dict[int, tuple[int, int]] = {}
        self.midnights = _Midnights(self)

    def instant(self, local: int, fold: int = 0) -> int:
        """The instant at which the wall clock shows ``local``.

        RFC 5545 §3.3.5: a reading that occurs twice means the first (unless ``fold`` is 1); one that is skipped is
        taken with the offset before the gap.
        """
        reading = (_EPOCH + timedelta(seconds=min(max(local, _EARLIEST), _LATEST))).replace(fold=fold)
        offset = self._info.utcoffset(reading)
        assert offset is not None, "ZoneInfo always has an offset for a datetime"
        return local - int(offset.total_seconds())

    def local(self, instant: int) -> int:
        """What the wall clock shows at ``instant``."""
        moment = datetime.fromtimestamp(min(max(instant, _EARLIEST), _LATEST), UTC).astimezone(self._info)
        offset = moment.utcoffset()
        assert offset is not None, "the datetime is aware"
        return instant + int(offset.total_seconds())

    def local_range(self, start: int, end: int) -> tuple[int, int]:
        """Local seconds ``[low, high]`` outside which no reading's instant is in ``[start, end)``."""
        return start + self._offsets_around(start // DAY)[0], end + self._offsets_around(end // DAY)[1]

    def _offsets_around(self, day: int) -> tuple[int, int]:
        """Lowest and highest offset from a day before to a day after a UTC day."""
        if day not in self._around:
            if len(self._around) >= _REMEMBERED_DAYS:
                self._around.clear()
            instants = range((day - 1) * DAY, (day + 3) * DAY, DAY)
            offsets = [self.local(instant) - instant for instant in instants]
            self._around[day] = min(offsets), max(offsets)
        return self._around[day]


class _Midnights(dict[int, int | None]):
    """Fills itself on demand; see :class:`Zone`."""

    __slots__ = ("_zone",)

    def __init__(self, zone: Zone) -> None:
        super().__init__()
        self._zone = zone

    def __missing__(self, day: int) -> int | None:
        if len(self) >= _REMEMBERED_DAYS:
            self.clear()
        first = day - day % _BLOCK
        begin, end = (self._zone.instant(edge * DAY) for edge in (first, first + _BLOCK))
        for index in range(_BLOCK):
            start = begin + index * DAY
            if end - begin != _BLOCK * DAY:
                start = self._zone.instant((first + index) * DAY)
            steady = (
                end - begin == _BLOCK * DAY or self._zone.instant((first + index + 1) * DAY) - start == DAY
            )
            self[first + index] = start if steady else None
        return self[day]


@lru_cache(maxsize=256)
def zone_of(name: str) -> Zone:
    """The zone with that IANA name, or that a calendar defined (:mod:`calendar_app.domain.recurrence.definition`); of
    two that a name may stand for, the first.

    :raises UnknownZone: where there is none.
    """
    first = name.partition(OR)[0]
    try:
        return Zone(zone_info(first) if first.startswith(PREFIX) else ZoneInfo(first))
    except (
        KeyError,
        ValueError,
        OSError,
    ):  # unknown; not a legal key; a folder of the database, such as "America"
        raise UnknownZone(name) from None


def instant_of(time: EventTime, calendar_zone: str) -> int:
    """The instant of an event's start or end; all-day and floating times are read in ``calendar_zone``.

    :raises UnknownZone: for a zone the database does not have.
    """
    zone = zone_of(calendar_zone if time.all_day or time.zone is None else time.zone)
    return zone.instant(wall_seconds(time.value), getattr(time.value, "fold", 0))


def event_instant(point: EventTime | None, floating_zone: str) -> datetime | None:
    """The instant that an event's time means, aware in UTC; the start of the day for all-day ones."""
    if point is None:
        return None
    try:
        return utc(instant_of(point, floating_zone))
    except UnknownZone:
        return utc(instant_of(replace(point, zone=None), floating_zone))
