"""The slot rules once more, minute by minute, in the dumbest way that could be right: what the engine is held against.

Nothing here is shared with the engine but the shapes of its input: each minute is turned into a datetime in the host's
zone and looked at. Instants must be whole minutes, and so must the zone's offsets.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from calendar_app.domain.schedule import Range, Schedule
from calendar_app.domain.slots import EventRules, Group, Host, Hosting
from calendar_app.domain.timespan import Span


@lru_cache(maxsize=200_000)
def local(zone: str, at: int) -> datetime:
    """What the clock in ``zone`` shows."""
    return datetime.fromtimestamp(at, ZoneInfo(zone))


def ranges(schedule: Schedule, day: date) -> tuple[Range, ...]:
    """The ranges of a date."""
    return schedule.overrides[day] if day in schedule.overrides else schedule.weekly[day.weekday()]


def works(schedule: Schedule, at: int) -> bool:
    """Whether the minute that begins at ``at`` is working time."""
    clock = local(schedule.zone, at)
    minute = clock.hour * 60 + clock.minute
    return any(start <= minute < end for start, end in ranges(schedule, clock.date()))


def on_grid(schedule: Schedule, step: int, at: int) -> bool:
    """Whether a slot may start at ``at`` as far as the step is concerned."""
    clock = local(schedule.zone, at)
    minute = clock.hour * 60 + clock.minute
    if 60 % step == 0:
        return minute % step == 0
    return any(
        start <= minute < end and (minute - start) % step == 0
        for start, end in ranges(schedule, clock.date())
    )


def joins(group: Group, start: int, end: int) -> bool:
    """Whether a slot is the very one that the group has."""
    return (group.start, group.end) == (start, end)


def bookable(start: int, rules: EventRules, host: Host, now: int) -> bool:
    """Whether the host can be booked at ``start``, the grid aside."""
    zone = host.schedule.zone
    end = start + rules.duration * 60
    if start < now + rules.minimum_notice * 60:
        return False
    today, day = local(zone, now).date(), local(zone, start).date()
    if day > today + timedelta(days=rules.horizon_days):
        return False
    if not all(works(host.schedule, minute) for minute in range(start, end, 60)):
        return False
    taken = [Span(*span) for source in host.busy for span in source.spans]
    taken += [group.reserved for group in host.groups if not joins(group, start, end)]
    for minute in range(start - rules.buffer_before * 60, end + rules.buffer_after * 60, 60):
        if any(low <= minute < high for low, high in taken):
            return False
    joined = [group for group in host.groups if joins(group, start, end)]
    if any(group.taken >= rules.seats for group in joined):
        return False
    if joined:
        return True
    if rules.daily_cap and host.booked.get(day, 0) >= rules.daily_cap:
        return False
    monday = day - timedelta(days=day.weekday())
    week = sum(host.booked.get(monday + timedelta(days=n), 0) for n in range(7))
    return not rules.weekly_cap or week < rules.weekly_cap


def expected(
    window: Span, rules: EventRules, hosts: Sequence[Host], now: int, hosting: Hosting
) -> list[tuple[int, int, tuple[str, ...]]]:
    """The slots of the window."""
    found = []
    step = rules.step_minutes
    for start in range(window.start, window.end, 60):
        if hosting is Hosting.ROUND_ROBIN:
            who = [h for h in hosts if on_grid(h.schedule, step, start) and bookable(start, rules, h, now)]
        elif on_grid(hosts[0].schedule, step, start) and all(bookable(start, rules, h, now) for h in hosts):
            who = list(hosts)
        else:
            who = []
        if who:
            found.append((start, start + rules.duration * 60, tuple(h.id for h in who)))
    return found
