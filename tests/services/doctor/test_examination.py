"""The whole examination, from the command line: one trouble hides no other."""

from __future__ import annotations

import json
import threading

import pytest
from redis import Redis

from calendar_app import cli
from calendar_app.errors import Forbidden
from calendar_app.services.common.permissions import Role
from calendar_app.services.doctor import examination
from calendar_app.services.doctor.findings import Finding, Level, ok
from tests.support import factories
from tests.support.databases import Database


def test_a_part_that_fails_or_hangs_is_told() -> None:
    """The others are told all the same, in the order in which they were asked for."""
    over = threading.Event()

    def broken() -> list[Finding]:
        raise ZeroDivisionError

    def hanging() -> list[Finding]:
        over.wait(30)
        return []

    found = examination.examine(
        {"broken": broken, "hanging": hanging, "fine": lambda: [ok("fine", "It works.")]}, patience_s=0.3
    )
    over.set()
    assert [(one.name, one.level) for one in found] == [
        ("broken", Level.ERROR),
        ("hanging", Level.ERROR),
        ("fine", Level.OK),
    ]


@pytest.mark.usefixtures("logging_restored")
def test_the_command(database: Database, redis_server: Redis, capsys: pytest.CaptureFixture[str]) -> None:
    """Its exit status says whether something does not work; every trouble has its advice; programs read JSON."""
    assert cli.main(["doctor"]) == 1
    said = capsys.readouterr().out
    assert "error    workers: No worker takes jobs" in said
    assert "→ Start the worker and writer processes" in said
    assert cli.main(["doctor", "--json", "--only", "keys", "--only", "clock"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {one["name"] for one in found} == {"keys", "clock"}
    assert set(found[0]) == {"name", "level", "detail", "advice"}


def test_only_operators_look(database: Database) -> None:
    """The page asks as the person who opened it."""
    with pytest.raises(Forbidden):
        examination.examine_for(factories.team(role=Role.ADMIN).actor)
