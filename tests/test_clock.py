"""Time and chance from one place, which tests and replays hand in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from calendar_app import clock


def test_a_run_can_be_replayed() -> None:
    """Inside of the block time stands where it was put and chance repeats itself; afterwards both are the machine's."""
    at = datetime(2026, 3, 29, 0, 59, tzinfo=UTC)
    drawn = []
    for _ in range(2):
        with clock.replayed(lambda: at, seed=7):
            assert clock.utc_now() == at
            drawn.append([clock.jitter(0.5, 1.5) for _ in range(3)])
    assert drawn[0] == drawn[1]
    assert all(0.5 <= number <= 1.5 for number in drawn[0])
    assert abs(clock.utc_now() - datetime.now(UTC)) < timedelta(seconds=30)
