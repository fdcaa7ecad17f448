"""The Procfiles say what operators are told: the same processes on one machine and on many."""

from __future__ import annotations

from pathlib import Path

import pytest
from honcho.environ import parse_procfile

ROOT = Path(__file__).resolve().parents[2]


def lines(name: str) -> dict[str, str]:
    return dict(parse_procfile((ROOT / name).read_text()).processes)


def test_production_and_development_run_the_same_workers() -> None:
    """All lines but ``web`` are equal in both files; development adds three servers, and its web keeps its build."""
    production, development = lines("Procfile"), lines("Procfile.dev")
    assert {"release", "web", "worker", "cron"} <= set(production)
    assert set(development) == set(production) | {"valkey", "sandbox", "caldav"}
    for name in set(production) - {"web"}:
        assert production[name] == development[name]


@pytest.mark.parametrize(
    "part", ["reflex run --env prod --single-port", "${PORT:-3000}", "${WEB_CONCURRENCY:-2}"]
)
def test_the_production_web_line_stands_by_itself(part: str) -> None:
    """An operator's supervisor needs nothing but the line and the environment."""
    assert part in lines("Procfile")["web"]
