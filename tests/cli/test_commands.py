"""``almanac COMMAND``: one name for every process and every task of an operator."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from calendar_app import __version__, cli
from calendar_app.launcher import programs
from tests.support.databases import Database

ROOT = Path(__file__).resolve().parents[2]
PROMISED = {
    "run",
    "web",
    "worker",
    "writer",
    "cron",
    "migrate",
    "backup",
    "restore",
    "doctor",
    "make-owner",
    "keys",
}


def almanac(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "calendar_app", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)


def test_help_names_every_command() -> None:
    """Processes and tasks stand in one list, each with a line that says what it is."""
    said = almanac("--help")
    assert said.returncode == 0
    lines = {line.split()[0] for line in said.stdout.splitlines() if line.startswith("    ")}
    assert lines >= PROMISED
    for program in programs.PROGRAMS.values():
        assert program.about in " ".join(said.stdout.split())


@pytest.mark.parametrize("name", ["web", "run"])
def test_help_starts_nothing(name: str) -> None:
    """Who asks what a command does gets an answer, and no server."""
    said = almanac(name, "--help")
    assert said.returncode == 0
    assert "usage:" in said.stdout


def test_a_word_too_many_is_refused() -> None:
    """A process reads its settings from the environment; an argument that does nothing would mislead."""
    said = almanac("web", "--port", "80")
    assert said.returncode == 2
    assert said.stderr == "almanac web takes no arguments; it reads the environment.\n"


@pytest.mark.usefixtures("logging_restored")
def test_keys_counts_and_rotates_only_when_asked(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    """``keys`` says what is under which key; ``keys --rotate`` is what ``rotate-keys`` does."""
    assert cli.main(["keys"]) == 0
    counted = capsys.readouterr().out
    assert " to rotate, " in counted
    assert cli.main(["keys", "--rotate"]) == 0
    assert " rotated, " in capsys.readouterr().out


def test_the_version_stands_in_one_place() -> None:
    """The wheel takes it from the package; no other file of the project says it."""
    assert __version__.count(".") == 2
    assert f'version = "{__version__}"' not in (ROOT / "pyproject.toml").read_text()
