"""``python -m tests.faults``: every row of :mod:`tests.faults.rows` run for real, and a table of what held.

``python -m tests.faults 13 21`` runs some rows. Exit status 1 where a row does not hold or has no test.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections import Counter
from glob import glob
from pathlib import Path

os.environ["FAULTS"] = "long"  # before tests are collected: they choose their variants by it
os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = tempfile.mkdtemp(prefix="hypothesis-")

import pytest

from tests.faults.rows import ROWS

ROOT = Path(__file__).resolve().parents[2]


PATIENCE = 4
"""How many times its own time-out a test may take here: this run is for what holds, however busy the machine is."""


class Table:
    """A pytest plugin that remembers how each test ended."""

    def __init__(self) -> None:
        self.outcomes: dict[str, str] = {}
        self.counts: dict[str, str] = {}

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        given = item.get_closest_marker("timeout")
        seconds = float(given.args[0]) if given else float(item.config.getini("timeout"))
        item.add_marker(pytest.mark.timeout(PATIENCE * seconds), append=False)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.outcome != "passed":
            earlier = self.outcomes.get(report.nodeid)
            self.outcomes[report.nodeid] = report.outcome if earlier in (None, "passed") else earlier
        for name, value in report.user_properties:
            if name == "count":
                self.counts[report.nodeid] = str(value)

    def of(self, tests: list[str]) -> tuple[bool, str]:
        """Whether all of a row's tests ran and passed, and the counts to show."""
        found = {name for name in self.outcomes for test in tests if _is_of(name, test)}
        missing = [test for test in tests if not any(_is_of(name, test) for name in found)]
        by_outcome = Counter(self.outcomes[name] for name in found)
        said = list(dict.fromkeys(self.counts[name] for name in sorted(found) if name in self.counts))
        parts = [f"{by_outcome[outcome]} {outcome}" for outcome in sorted(by_outcome)]
        parts += [*said, *(f"missing: {test}" for test in missing)]
        held = not missing and by_outcome["passed"] > 0 and not by_outcome["failed"]
        return held, "; ".join(parts)


def _is_of(nodeid: str, test: str) -> bool:
    return nodeid == test or nodeid.startswith((f"{test}::", f"{test}[", f"{test}/"))


def expanded(tests: tuple[str, ...]) -> list[str]:
    """The row's tests with their patterns filled in; a pattern that matches nothing stays, and is missing."""
    return [
        path
        for test in tests
        for path in (sorted(glob(test, root_dir=ROOT)) if "*" in test else ()) or [test]
    ]


def main(arguments: list[str]) -> int:
    chosen = {number: ROWS[number] for number in map(int, arguments)} if arguments else ROWS
    rows = {number: (title, expanded(tests)) for number, (title, tests) in chosen.items()}
    wanted = dict.fromkeys(test for _, tests in rows.values() for test in tests)
    there = [test for test in wanted if (ROOT / test.partition("::")[0]).exists()]
    there.sort(key=lambda test: test.startswith("tests/e2e"))  # a browser's event loop stays until the end
    table, begun = Table(), time.monotonic()
    # A test that takes too long fails, by a signal; the other method would end the run, and there were no table.
    options = ["-q", "-p", "no:cacheprovider", "--no-header", "-o", "timeout_method=signal"]
    # What another test left to the garbage collector is not what this row says.
    options += ["-W", "default::pytest.PytestUnraisableExceptionWarning"]
    pytest.main([*options, *there], plugins=[table])
    failed = 0
    print()  # noqa: T201
    for number, (title, tests) in rows.items():
        held, counts = table.of(tests)
        failed += not held
        how = ", ".join(dict.fromkeys(Path(test.partition("::")[0]).stem for test in tests))
        print(f"{number:>3}  {'held' if held else 'NOT HELD':8}  {title}  [{how}]  {counts}")  # noqa: T201
    minutes = (time.monotonic() - begun) / 60
    print(f"\n{len(rows) - failed} of {len(rows)} rows held, in {minutes:.0f} minutes.")  # noqa: T201
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
