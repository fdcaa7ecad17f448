"""Which starts can be booked, and why the others cannot.

Every rule is a *ban*: a set of spans of start instants that it forbids. The busy span ``[a, b)``, for one, forbids
every start ``s`` whose ``[s - buffer_before, s + duration + buffer_after)`` would overlap it. A start is offered when
it lies on the grid and in no ban: :func:`find_slots` subtracts all bans from the window and walks the grid through
what is left, :func:`explain` names the bans that hold one start. Both read the same bans, so they cannot disagree.

The rules; lengths are elapsed time, "local" means in the zone of the host's schedule:

* *Grid*: when the step divides the hour, starts stand where the local clock shows a multiple of the step; otherwise
  every step from the nominal start of the working range, on the local clock. The viewer's zone plays no part.
* *Working time* holds the whole of ``[start, start + duration)``; buffers may reach outside of it, and working ranges
  that touch (also across midnight) are one.
* *Busy*: the slot with its buffers overlaps no busy span. Reservations already include their own buffers.
* *Minimum notice*: ``start >= now + notice``.
* *Horizon*: the local date of the start is at most ``horizon_days`` after the local date of now; the last date counts
  in full.
* *Caps*: at most so many reservations of the event type per host on a local date, and in a week from Monday to Sunday.
  Joining a group adds no reservation.
* *Seats*: a reservation of the same event type with the same start and length can be joined until its seats are taken;
  all other rules apply to it as well. Any other overlap with it is busy.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain
from typing import NamedTuple

from calendar_app.domain.freebusy import BusySource, SourceKind
from calendar_app.domain.hosting import (
    EventRules,
    Group,
    Host,
    Hosting,
    RulesError,
    Slot,
    count_by_day,
    joinable,
    pick_host,
    seats_left,
)
from calendar_app.domain.schedule import Schedule, pieces, working_spans
from calendar_app.domain.timespan import Span
from calendar_app.domain.zones import (
    DAY,
    MINUTE,
    Segment,
    day_number,
    days_spans,
    local_day,
    offset_at,
    segments,
    wall_clock,
)

__all__ = [
    "EventRules",
    "Explanation",
    "Group",
    "Host",
    "Hosting",
    "Reason",
    "Rule",
    "RulesError",
    "Slot",
    "Verdict",
    "count_by_day",
    "explain",
    "find_slots",
    "pick_host",
    "seats_left",
]

_FOREVER = 1 << 60


class Rule(StrEnum):
    """Stable names of the rules, in the order in which explanations give them."""

    NOTICE = "minimum_notice"
    HORIZON = "horizon"
    WORKING_HOURS = "working_hours"
    BUSY = "busy"
    SEATS = "seats"
    DAILY_CAP = "daily_cap"
    WEEKLY_CAP = "weekly_cap"
    GRID = "grid"


class _Ban(NamedTuple):
    """Spans of starts that a rule forbids; ``causes``, where there are any, stand beside them one by one."""

    rule: Rule
    starts: Sequence[tuple[int, int]]
    causes: Sequence[tuple[int, int]] = ()
    source: BusySource | None = None


def _limits(window: Span, rules: EventRules, host: Host, now: int) -> list[_Ban]:
    """The bans that do not depend on what the host does: they narrow the window for all the others."""
    zone = host.schedule.zone
    last = (now + offset_at(zone, now)) // DAY + rules.horizon_days
    beyond = days_spans(segments(zone, window), last + 1, _FOREVER)
    return [
        _Ban(Rule.NOTICE, [(-_FOREVER, now + rules.minimum_notice * MINUTE)]),
        _Ban(Rule.HORIZON, beyond),
    ]


def _bans(window: Span, rules: EventRules, host: Host) -> list[_Ban]:
    """Everything else that forbids starts in ``window``."""
    return [
        _outside_working_time(window, rules, host.schedule),
        *_overlaps(window, rules, host),
        *_groups(rules, host),
        *_caps(segments(host.schedule.zone, window), rules, host),
    ]


def _outside_working_time(window: Span, rules: EventRules, schedule: Schedule) -> _Ban:
    closed: list[tuple[int, int]] = []
    cursor = window.start
    for start, end in working_spans(schedule, Span(window.start, window.end + rules.length)):
        after_last = end - rules.length + 1
        if after_last > start:
            if start > cursor:
                closed.append((cursor, start))
            cursor = after_last
    if cursor < window.end:
        closed.append((cursor, window.end))
    return _Ban(Rule.WORKING_HOURS, closed)


def _reach(rules: EventRules) -> tuple[int, int]:
    """How far before its start and beyond its end a busy span forbids starts."""
    return rules.length + rules.buffer_after * MINUTE - 1, rules.buffer_before * MINUTE


def _overlaps(window: Span, rules: EventRules, host: Host) -> Iterable[_Ban]:
    before, beyond = _reach(rules)
    low, high = window.start - beyond, window.end + before
    for source in host.busy:
        causes = [span for span in source.spans if span[0] < high and span[1] > low and span[0] < span[1]]
        yield _Ban(Rule.BUSY, [(start - before, end + beyond) for start, end in causes], causes, source)


def _groups(rules: EventRules, host: Host) -> Iterable[_Ban]:
    before, beyond = _reach(rules)
    for group in host.groups:
        source = BusySource(SourceKind.BOOKING, group.id, ())
        low, high = group.reserved.start - before, group.reserved.end + beyond
        around = [(low, high)]
        if group.end - group.start == rules.length:
            around = _without(around, [group.start])
            if group.taken >= rules.seats:
                full = (group.start, group.start + 1)
                yield _Ban(Rule.SEATS, [full], [group.reserved], source)
        yield _Ban(Rule.BUSY, around, [group.reserved] * len(around), source)


def _without(spans: Iterable[tuple[int, int]], points: Iterable[int]) -> list[tuple[int, int]]:
    rest = list(spans)
    for point in points:
        halves = (
            ((low, point), (point + 1, high)) if low <= point < high else ((low, high),) for low, high in rest
        )
        rest = [(low, high) for low, high in chain.from_iterable(halves) if low < high]
    return rest


def _caps(parts: list[Segment], rules: EventRules, host: Host) -> Iterable[_Ban]:
    days = Counter({day_number(day): count for day, count in host.booked.items()})
    weeks: Counter[int] = Counter()
    for number, count in days.items():
        weeks[number - (number + 3) % 7] += count
    for rule, cap, counts, width in (
        (Rule.DAILY_CAP, rules.daily_cap, days, 1),
        (Rule.WEEKLY_CAP, rules.weekly_cap, weeks, 7),
    ):
        full = [number for number, count in counts.items() if cap and count >= cap]
        if full:
            spans = chain.from_iterable(days_spans(parts, number, number + width) for number in full)
            yield _Ban(rule, _without(spans, joinable(rules, host)))


def _gaps(window: Span, bans: Iterable[_Ban]) -> list[tuple[int, int]]:
    """What no ban covers of ``window``; in order, disjoint. (Plain tuples: this and what follows is the hot path.)"""
    cursor, end = window
    free: list[tuple[int, int]] = []
    for low, high in sorted(chain.from_iterable([ban.starts for ban in bans])):
        if low > cursor:
            if low >= end:
                break
            free.append((cursor, low))
            cursor = high
        elif high > cursor:
            cursor = high
    if cursor < end:
        free.append((cursor, end))
    return free


def _grid(window: Span, rules: EventRules, schedule: Schedule) -> list[tuple[int, int, int]]:
    """``(start, end, anchor)``: starts in ``[start, end)`` lie whole steps from ``anchor``. In order, disjoint."""
    if 60 % rules.step_minutes == 0:
        return [(start, end, -offset) for start, end, offset in segments(schedule.zone, window)]
    return list(pieces(schedule, window))


def _on_grid(free: Sequence[tuple[int, int]], grid: Iterable[tuple[int, int, int]], step: int) -> list[int]:
    """The grid's points within ``free``; both are in order and disjoint, and so is the answer."""
    starts: list[int] = []
    for start, end, anchor in grid:
        first, last = bisect_left(free, (start,)), bisect_left(free, (end,))
        if first and free[first - 1][1] > start:
            first -= 1
        inside = list(free[first:last])
        if inside:
            inside[0] = (max(inside[0][0], start), inside[0][1])
            inside[-1] = (inside[-1][0], min(inside[-1][1], end))
            starts += chain.from_iterable(
                [range(low + (anchor - low) % step, high, step) for low, high in inside]
            )
    return starts


def _starts(window: Span, rules: EventRules, team: Sequence[Host], now: int) -> list[int]:
    """Starts in ``window`` at which the whole team can be booked, on the grid of its first member."""
    open_ = _gaps(window, chain.from_iterable(_limits(window, rules, host, now) for host in team))
    if not open_:
        return []
    window = Span(open_[0][0], open_[-1][1])
    bans = [ban for host in team for ban in (*_limits(window, rules, host, now), *_bans(window, rules, host))]
    free = _gaps(window, bans)
    return _on_grid(free, _grid(window, rules, team[0].schedule), rules.step_minutes * MINUTE)


def _teams(hosts: Sequence[Host], hosting: Hosting) -> list[Sequence[Host]]:
    """Each team is one way to hold the booking."""
    if hosting is Hosting.SINGLE and len(hosts) > 1:
        raise RulesError("Only one host can be booked alone.", field="hosting")
    if not hosts:
        return []
    return [[host] for host in hosts] if hosting is Hosting.ROUND_ROBIN else [hosts]


def find_slots(
    window: Span, rules: EventRules, hosts: Sequence[Host], now: int, hosting: Hosting = Hosting.SINGLE
) -> list[Slot]:
    """Every bookable start in ``window`` in order; a slot may end after the window does. No hosts, no slots.

    :param now: an instant.
    :raises RulesError: for more than one host without a mode for several.
    :raises OutOfRange: when ``window`` or ``now`` leaves the years 1 to 9999.
    """
    if window.start >= window.end:
        return []
    teams = _teams(hosts, hosting)
    length = rules.length
    if len(teams) == 1:
        ids = tuple(host.id for host in teams[0])
        starts = _starts(window, rules, teams[0], now)
        return list(map(Slot, [(start, start + length, ids) for start in starts]))
    free: dict[int, list[str]] = {}
    for team in teams:
        for start in _starts(window, rules, team, now):
            free.setdefault(start, []).append(team[0].id)
    return [Slot((start, start + length, tuple(free[start]))) for start in sorted(free)]


@dataclass(frozen=True, slots=True)
class Reason:
    """Why one host cannot be booked at a start.

    ``source`` is who says so, for ``busy`` and ``seats``; ``span`` the busy span or reservation in question. ``text``
    is one sentence for staff, with times in the zone of the host's schedule.
    """

    rule: Rule
    text: str
    source: BusySource | None = None
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What stands against one host; nothing when ``reasons`` is empty."""

    host: str
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Whether ``[start, end)`` is offered, and what each host has against it.

    ``reasons`` are the ones that close the slot: empty exactly when :func:`find_slots` offers it. In a round robin a
    host may have reasons while another one is free; ``verdicts`` tell them apart.
    """

    start: int
    end: int
    verdicts: tuple[Verdict, ...]
    offered: bool

    @property
    def reasons(self) -> tuple[Reason, ...]:
        return () if self.offered else tuple(r for verdict in self.verdicts for r in verdict.reasons)


def explain(
    start: int, rules: EventRules, hosts: Sequence[Host], now: int, hosting: Hosting = Hosting.SINGLE
) -> Explanation:
    """Every rule, calendar and booking that keeps ``start`` from being offered, host by host.

    Parameters and errors are those of :func:`find_slots`.
    """
    window = Span(start, start + 1)
    verdicts: list[Verdict] = []
    offered = False
    for team in _teams(hosts, hosting):
        grid = _grid(window, rules, team[0].schedule)
        off_grid = bool(grid) and not _on_grid([window], grid, rules.step_minutes * MINUTE)
        found: list[Verdict] = []
        for host in team:
            bans = [*_limits(window, rules, host, now), *_bans(window, rules, host)]
            if off_grid and host is team[0]:
                bans.append(_Ban(Rule.GRID, [window]))
            found.append(Verdict(host.id, tuple(_reasons(start, bans, rules, host))))
        offered = offered or not any(verdict.reasons for verdict in found)
        verdicts += found
    return Explanation(start, start + rules.length, tuple(verdicts), offered)


def _reasons(start: int, bans: Iterable[_Ban], rules: EventRules, host: Host) -> Iterable[Reason]:
    for ban in bans:
        for at, (low, high) in enumerate(ban.starts):
            if low <= start < high:
                span = Span(*ban.causes[at]) if ban.causes else None
                yield Reason(ban.rule, _text(start, ban, span, rules, host), ban.source, span)


def _text(start: int, ban: _Ban, span: Span | None, rules: EventRules, host: Host) -> str:
    zone = host.schedule.zone
    match ban.rule:
        case Rule.NOTICE:
            return f"Bookings need {rules.minimum_notice} minutes of notice, and the past cannot be booked."
        case Rule.HORIZON:
            return f"Bookings open {rules.horizon_days} days ahead."
        case Rule.WORKING_HOURS:
            day = local_day(zone, start)
            ranges = ", ".join(map(str, host.schedule.ranges_on(day))) or "closed"
            override = " (an override of that date)" if day in host.schedule.overrides else ""
            return f"{rules.duration} minutes do not fit into working hours on {day}: {ranges}{override}, {zone}."
        case Rule.GRID:
            return f"Slots start every {rules.step_minutes} minutes, and this is not one of those starts."
        case Rule.DAILY_CAP:
            return f"That day already has {rules.daily_cap} bookings, the most it may have."
        case Rule.WEEKLY_CAP:
            return f"That week already has {rules.weekly_cap} bookings, the most it may have."
        case Rule.SEATS:
            return f"All {rules.seats} seats are taken."
        case Rule.BUSY:
            assert ban.source is not None
            assert span is not None
            return _busy_text(ban.source, span, zone)


def _busy_text(source: BusySource, span: Span, zone: str) -> str:
    name = source.label or source.id
    if source.kind is SourceKind.STALE:
        return f"Calendar {name} has not been read lately, so its time counts as busy."
    start, end = wall_clock(zone, span.start), wall_clock(zone, span.end)
    year = f" {end.year}" if start.year != end.year else ""
    until = f"{end:%H:%M}" if start.date() == end.date() else f"{end:%a} {end.day} {end:%b}{year} {end:%H:%M}"
    if source.kind is not SourceKind.CALENDAR:
        name = f"another {source.kind}" + (f", {source.label}" if source.label else "")
    return f"Busy: {name}, {start:%a} {start.day} {start:%b} {start:%H:%M}–{until}."
