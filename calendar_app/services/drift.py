"""The drift report: bookings held against what the providers really hold, every night and on demand.

Syncs find most of what people change at providers at once (:mod:`calendar_app.services.outside`); this finds the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from calendar_app.services import deviations
from calendar_app.services.deviations import DeviationView
from calendar_app.services.roles import Actor, Role


@dataclass(frozen=True, slots=True)
class DriftReport:
    """Open deviations, oldest first; when the calendars were last held against the bookings (``None``: never), and
    how many events were looked at then."""

    items: tuple[DeviationView, ...]
    checked_at: datetime | None
    checked: int


def report(actor: Actor) -> DriftReport:
    """What is open in the workspace. :raises Forbidden: only managers and above."""
    actor.require(Role.MANAGER)
    return DriftReport(tuple(deviations.listed(actor)), None, 0)
