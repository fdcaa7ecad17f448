"""The table of faults: every row has tests, and they exist."""

from __future__ import annotations

import ast
from glob import glob

import pytest

from tests.faults.rows import ROWS
from tests.worker.processes import ROOT


def test_all_rows_are_there() -> None:
    """The first forty-five rows and those that came later, none without a test."""
    assert set(range(1, 46)) <= set(ROWS)
    assert all(tests for _, tests in ROWS.values())


@pytest.mark.parametrize("number", sorted(ROWS))
def test_the_tests_of_a_row_exist(number: int) -> None:
    """A test that was renamed or removed takes its row with it."""
    for test in ROWS[number][1]:
        path, _, name = test.partition("::")
        found = glob(path, root_dir=ROOT)
        assert found, test
        if name:
            tree = ast.parse((ROOT / path).read_text())
            assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, test
