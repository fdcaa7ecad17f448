"""The Procfile and the commands are the same processes."""

from __future__ import annotations

import shlex
from importlib.util import find_spec
from pathlib import Path

import pytest
from honcho.environ import parse_procfile

from calendar_app.launcher import programs
from calendar_app.worker import runner

ROOT = Path(__file__).resolve().parents[2]


def lines(name: str) -> dict[str, str]:
    return dict(parse_procfile((ROOT / name).read_text()).processes)


def test_the_commands_are_the_procfile() -> None:
    """``almanac writer`` and the others are what the Procfile's lines are; ``web`` serves pages that are built."""
    procfile = lines("Procfile")
    assert set(procfile) - {"release"} | {"migrate", "run"} == set(programs.PROGRAMS)
    assert shlex.split(procfile["writer"]) == ["rq", *runner.WRITER]
    assert shlex.split(procfile["worker"]) == ["rq", *runner.WORKER]
    assert procfile["cron"] == f"python -m {programs.PROGRAMS['cron'].function.removesuffix(':main')}"
    assert procfile["release"] == "alembic upgrade head"


@pytest.mark.parametrize("name", [*programs.PROGRAMS, *programs.SANDBOX])
def test_every_program_is_found(name: str) -> None:
    """Each name of the table leads to a function, and what is to be imported beforehand exists."""
    assert callable(programs.function(name))
    assert all(find_spec(module) for module in programs.preloads([name]))


@pytest.mark.parametrize(
    "part", ["reflex run --env prod --single-port", "${PORT:-3000}", "${WEB_CONCURRENCY:-2}"]
)
def test_the_production_web_line_stands_by_itself(part: str) -> None:
    """An operator's supervisor needs nothing but the line and the environment."""
    assert part in lines("Procfile")["web"]
