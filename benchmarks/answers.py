"""Whether a benchmark timed what it means to time: a refusal is quick, and its time says nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping


class WrongAnswers(SystemExit):
    """Answers that are not the ones to be timed: the benchmark ends, with exit status 1 and this sentence."""


def require(what: str, answers: Mapping[str, int], *wanted: str) -> None:
    """Every answer is one of ``wanted``, and there is at least one.

    ``answers``: how many of each kind, by a short name such as a status and an error code.

    :raises WrongAnswers: saying which others there were, and how many.
    """
    others = {answer: count for answer, count in Counter(answers).items() if count and answer not in wanted}
    total = sum(answers.values())
    if not total:
        raise WrongAnswers(f"{what}: nothing was measured, there was no answer at all.")
    if others:
        named = ", ".join(f"{count:,} × {answer}" for answer, count in sorted(others.items()))
        raise WrongAnswers(
            f"{what}: not measured. {sum(others.values()):,} of {total:,} answers are not the ones to be timed "
            f"({' or '.join(wanted)}): {named}."
        )
