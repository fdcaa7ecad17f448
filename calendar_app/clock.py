"""What the product takes from chance and from this machine's clock, in one place, so that a run can be replayed.

What is past for everybody is asked of the database (:func:`calendar_app.db.session.clock`): machines' clocks differ.
Secrets come from :mod:`secrets` and are never replayed.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime


def _machine_time() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True)
class _Sources:
    now: Callable[[], datetime]
    chance: random.Random


_sources = _Sources(_machine_time, random.Random())


def utc_now() -> datetime:
    """This machine's time, aware, UTC."""
    return _sources.now()


def jitter(low: float, high: float) -> float:
    """A number between both, so that what begins together does not repeat together."""
    return _sources.chance.uniform(low, high)


@contextmanager
def replayed(now: Callable[[], datetime], seed: int) -> Iterator[None]:
    """Time from ``now`` and chance from ``seed`` until the block ends; for tests and replays, in this process."""
    before = _sources.now, _sources.chance
    _sources.now, _sources.chance = now, random.Random(seed)
    try:
        yield
    finally:
        _sources.now, _sources.chance = before
