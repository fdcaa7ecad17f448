"""The life of a booking: which states follow which, who may bring that about, and until when.

Nothing here writes. A transition is carried out as a compare-and-swap: ``UPDATE … SET status = target WHERE id = …
AND status IN sources(target, actor)``; no row means that somebody else was first, and :func:`check_transition` on the
row as it is now says why in words. What customers type into a booking is checked in :mod:`calendar_app.domain.intake`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType

from calendar_app.errors import Conflict, Forbidden


class Status(StrEnum):
    """States of a booking; a reschedule keeps the booking and is recorded in its history, not as a state."""

    PENDING = "pending"
    CONFIRMED = "confirmed"
    DECLINED = "declined"
    CANCELLED = "cancelled"
    COMPLETED = "completed"
    NO_SHOW = "no_show"


class Actor(StrEnum):
    """Who asks. ``system`` is a rule of the workspace at work: no approval needed, approval expired, the event's end
    passed, the event was removed at the provider."""

    CUSTOMER = "customer"
    STAFF = "staff"
    SYSTEM = "system"


HOLDING = frozenset({Status.PENDING, Status.CONFIRMED})
"""States that claim the host's time: exactly these have a reservation. A released booking never claims time again."""
STANDING = frozenset({Status.CONFIRMED, Status.COMPLETED, Status.NO_SHOW})
"""States of a booking that takes place: its event stands in the calendars, and its customer is told where it is. A
pending one is neither written nor told of before it is approved."""

_ANYBODY = frozenset(Actor)
_STAFF = frozenset({Actor.STAFF})
_BUSINESS = frozenset({Actor.STAFF, Actor.SYSTEM})

TRANSITIONS: Mapping[tuple[Status, Status], frozenset[Actor]] = MappingProxyType(
    {
        (Status.PENDING, Status.CONFIRMED): _BUSINESS,
        (Status.PENDING, Status.DECLINED): _BUSINESS,
        (Status.PENDING, Status.CANCELLED): _ANYBODY,
        (Status.CONFIRMED, Status.CANCELLED): _ANYBODY,
        (Status.CONFIRMED, Status.COMPLETED): _BUSINESS,
        (Status.CONFIRMED, Status.NO_SHOW): _STAFF,
        (Status.COMPLETED, Status.NO_SHOW): _STAFF,
        (Status.NO_SHOW, Status.COMPLETED): _STAFF,
    }
)
"""Every allowed change of state and who may make it; what is not here is refused."""

_DONE = {
    Status.PENDING: "is waiting for approval",
    Status.CONFIRMED: "is confirmed",
    Status.DECLINED: "was declined",
    Status.CANCELLED: "was cancelled",
    Status.COMPLETED: "has taken place",
    Status.NO_SHOW: "is marked as a no-show",
}


class TransitionRefused(Conflict):
    """The booking's state or its time does not allow the change."""

    code, title = "transition_refused", "The booking cannot be changed that way any more"


def check_transition(
    current: Status,
    target: Status,
    actor: Actor,
    *,
    start: datetime,
    end: datetime,
    now: datetime,
    cancel_notice: int = 0,
) -> None:
    """Refuse a change that the state, the actor's part or the time does not allow. Datetimes are aware.

    A booking is confirmed before its start, a no-show from its start on, completed from its end on. Customers cancel
    until ``cancel_notice`` minutes before the start, and not after it; staff and system whenever.

    :raises TransitionRefused: the state or the time forbids it, whoever asks.
    :raises Forbidden: others might, this actor may not.
    """
    allowed = TRANSITIONS.get((current, target))
    if allowed is None:
        raise TransitionRefused(f"The booking {_DONE[current]}; it cannot become {_words(target)}.")
    if actor not in allowed:
        raise Forbidden(f"Only the business can make a booking {_words(target)}.")
    if target is Status.CONFIRMED and now >= start:
        raise TransitionRefused("The booking's time has begun, so it cannot be confirmed any more.")
    if target is Status.NO_SHOW and now < start:
        raise TransitionRefused("The booking has not begun yet, so nobody can have missed it.")
    if target is Status.COMPLETED and now < end:
        raise TransitionRefused("The booking has not ended yet.")
    if target is Status.CANCELLED and actor is Actor.CUSTOMER:
        _check_notice("cancelled", start, now, cancel_notice)


def check_reschedule(
    current: Status,
    actor: Actor,
    *,
    start: datetime,
    now: datetime,
    cancel_notice: int = 0,
    requires_approval: bool = False,
) -> Status:
    """The state after moving a booking from ``start``: as before, but pending if a customer moves what needs approval.

    Customers have the same notice as for cancelling. Whether the new time is free is not asked here.

    :raises TransitionRefused: when the booking no longer holds time, or the notice has passed.
    """
    if current not in HOLDING:
        raise TransitionRefused(f"The booking {_DONE[current]}; it cannot be moved.")
    if actor is not Actor.CUSTOMER:
        return current
    _check_notice("moved", start, now, cancel_notice)
    return Status.PENDING if requires_approval else current


def change_deadline(start: datetime, cancel_notice: int) -> datetime:
    """The last moment at which a customer may cancel or move a booking that starts at ``start``."""
    return start - timedelta(minutes=cancel_notice)


def _check_notice(done: str, start: datetime, now: datetime, cancel_notice: int) -> None:
    if now >= start:
        raise TransitionRefused(f"The booking's time has begun, so it cannot be {done} any more.")
    if now > change_deadline(start, cancel_notice):
        raise TransitionRefused(
            f"Bookings can be {done} until {_length(cancel_notice)} before they start; please contact the business."
        )


def _words(status: Status) -> str:
    return "a no-show" if status is Status.NO_SHOW else status.value


def _length(minutes: int) -> str:
    for size, name in ((1440, "day"), (60, "hour")):
        if minutes % size == 0 and minutes >= size:
            count = minutes // size
            return f"{count} {name}{'s' if count > 1 else ''}"
    return f"{minutes} minute{'s' if minutes != 1 else ''}"
