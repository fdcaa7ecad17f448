"""What the slot engine is told: the rules of an event type and the state of its hosts; and who of several is picked.

These are snapshots: the caller reads them from wherever they live, the engine neither asks for more nor keeps anything.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from enum import StrEnum
from fractions import Fraction

from calendar_app.domain.freebusy import BusySource
from calendar_app.domain.schedule import Schedule
from calendar_app.domain.timespan import Span
from calendar_app.domain.zones import MINUTE, local_day
from calendar_app.errors import InvalidInput


class RulesError(InvalidInput, ValueError):
    """Event rules that mean nothing; ``field`` names the one."""


_LIMITS = {
    "buffer_before": (0, 7 * 1440),
    "buffer_after": (0, 7 * 1440),
    "minimum_notice": (0, 366 * 1440),
    "horizon_days": (0, 3_660),
    "step_minutes": (1, 1440),
    "daily_cap": (0, 10_000),
    "weekly_cap": (0, 10_000),
    "seats": (1, 10_000),
}


@dataclass(frozen=True, slots=True)
class EventRules:
    """What an event type demands of a slot. Minutes, but ``horizon_days``; a cap of 0 means none.

    ``duration`` is the chosen one of ``durations``, the first when 0.

    :raises RulesError: for values out of bounds, and a duration that is not offered.
    """

    durations: tuple[int, ...] = (30,)
    duration: int = 0
    buffer_before: int = 0
    buffer_after: int = 0
    minimum_notice: int = 0
    horizon_days: int = 60
    step_minutes: int = 15
    daily_cap: int = 0
    weekly_cap: int = 0
    seats: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "durations", tuple(self.durations))
        if not self.durations or not all(type(d) is int and 0 < d <= 7 * 1440 for d in self.durations):
            raise RulesError("Durations are from 1 minute to 7 days, at least one.", field="durations")
        object.__setattr__(self, "duration", self.duration or self.durations[0])
        if self.duration not in self.durations:
            offered = ", ".join(map(str, self.durations))
            raise RulesError(f"{self.duration} minutes is not offered; choose {offered}.", field="duration")
        for name, (low, high) in _LIMITS.items():
            value = getattr(self, name)
            if type(value) is not int or not low <= value <= high:
                raise RulesError(f"{name} must be a whole number from {low} to {high}.", field=name)

    def lasting(self, minutes: int) -> EventRules:
        """The same rules with another of the offered durations chosen."""
        return replace(self, duration=minutes)

    @property
    def length(self) -> int:
        """The chosen duration in seconds."""
        return self.duration * MINUTE


@dataclass(frozen=True, slots=True)
class Group:
    """A live reservation of the event type that is asked about, with ``taken`` seats, at ``[start, end)``.

    ``reserved`` is what it claims of the host's time, buffers included.
    """

    id: str
    start: int
    end: int
    reserved: Span
    taken: int


@dataclass(frozen=True, slots=True)
class Host:
    """A person who may be booked, as of one moment.

    * ``busy``: every other claim on the person's time, source by source. Neither the reservations in ``groups`` nor the
      calendar events that were written for live bookings belong here: the reservation speaks for both.
    * ``groups``: needed when the event type has seats; otherwise its reservations may as well be in ``busy``.
    * ``booked``: live reservations of this event type by local date (see :func:`count_by_day`), for the caps: all dates
      of every week that the window touches.
    * ``recent`` and ``weight``: bookings of late and their share of all, for :func:`pick_host`.
    """

    id: str
    schedule: Schedule
    busy: Sequence[BusySource] = ()
    groups: Sequence[Group] = ()
    booked: Mapping[date, int] = field(default_factory=dict)
    recent: int = 0
    weight: int = 1


class Hosting(StrEnum):
    """Whose time a booking takes: the one host's, any free host's, or everybody's.

    Each host of a round robin has the grid of their own schedule; a collective booking follows that of its first host.
    """

    SINGLE = "single"
    ROUND_ROBIN = "round_robin"
    COLLECTIVE = "collective"


class Slot(tuple[int, int, tuple[str, ...]]):
    """``(start, end, hosts)``: instants, and the ids of all hosts who are free (round robin) or who all take part.

    Not a named tuple: the Python frame in a named tuple's constructor would take half of the engine's time.
    """

    __slots__ = ()

    @property
    def start(self) -> int:
        return self[0]

    @property
    def end(self) -> int:
        return self[1]

    @property
    def hosts(self) -> tuple[str, ...]:
        return self[2]


def joinable(rules: EventRules, host: Host) -> list[int]:
    """Starts of the host's groups of the chosen duration that have seats left."""
    return [g.start for g in host.groups if g.end - g.start == rules.length and g.taken < rules.seats]


def count_by_day(starts: Iterable[int], zone: str) -> dict[date, int]:
    """How many of the reservations that start then fall on each local date: :attr:`Host.booked`."""
    return dict(Counter(local_day(zone, start) for start in starts))


def seats_left(start: int, rules: EventRules, host: Host) -> int:
    """Seats that one more booking at ``start`` finds, provided that the start is offered at all."""
    taken = [g.taken for g in host.groups if g.start == start and g.end - g.start == rules.length]
    return max(0, rules.seats - sum(taken))


def pick_host(slot: Slot, hosts: Sequence[Host], rules: EventRules) -> str:
    """Whom a round robin gives the booking: who has an open group then, else who is furthest behind their share, else
    the greater weight, else who comes first in ``hosts``.

    Weights are shares: with weights 1 and 3 the second gets three of four. The next one goes to the greatest
    ``weight / (2 * recent + 1)``, the method of Webster and Sainte-Laguë for seats in a parliament
    (en.wikipedia.org/wiki/Sainte-Laguë_method), which keeps everybody close to their share.

    :raises ValueError: when none of ``hosts`` is in the slot.
    """
    free = [host for host in hosts if host.id in slot.hosts]
    order = min(
        free,
        key=lambda h: (slot.start not in joinable(rules, h), Fraction(2 * h.recent + 1, h.weight), -h.weight),
    )
    return order.id
