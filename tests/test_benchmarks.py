"""A benchmark that gets other answers than it means to time says so and fails."""

from __future__ import annotations

import pytest

from benchmarks.answers import WrongAnswers, require


def test_the_answers_to_be_timed_are_silent() -> None:
    """Kinds that did not occur, or not wanted with a count of zero, do not matter."""
    require("bookings", {"201": 10, "409 slot_unavailable": 150, "failed": 0}, "201", "409 slot_unavailable")


def test_refusals_are_no_measurement() -> None:
    """Exit status 1 with what was counted, in one sentence."""
    with pytest.raises(
        WrongAnswers, match=r"800 of 803 answers .*\(201\): 800 × 429 too_many_requests"
    ) as ended:
        require("bookings", {"201": 3, "429 too_many_requests": 800}, "201")
    assert isinstance(ended.value.code, str)  # Python prints it, and exits with 1


def test_no_answer_is_no_measurement() -> None:
    """Nothing timed is not a good time."""
    with pytest.raises(WrongAnswers, match="nothing was measured"):
        require("bookings", {}, "201")
