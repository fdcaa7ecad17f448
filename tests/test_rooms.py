"""Who may import whom: the rooms of the house, checked by reading every import."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = "calendar_app"

LEAVES = {"settings", "errors", "queues", "logs", "metering", "translations", "clock", "places"}
"""Modules that every room may import."""
ALLOWED = {
    "domain": {"errors"},
    "places": set(),
    "settings": {"places"},
    "__main__": {"launcher", "cli"},
    "errors": set(),
    "logs": {"settings"},
    "metering": set(),
    "clock": set(),
    "translations": {"domain"},
    "queues": {"settings", "logs", "clock"},
    "cli": {"services", "db", "launcher"} | LEAVES,
    "db": {"domain"} | LEAVES,
    "providers": {"domain"} | LEAVES,
    "services": {"db", "providers", "domain"} | LEAVES,
    "worker": {"services"} | LEAVES,
    "api": {"services", "domain"} | LEAVES,
    "booking_site": {"services", "domain"} | LEAVES,
    "ui": {"services", "domain"} | LEAVES,
    "sandbox": {"settings", "calendar_app", "edge"},
    "launcher": {"services", "db"} | LEAVES,
    "edge": set(),
    "calendar_app": {"ui", "api", "booking_site", "edge", "services"} | LEAVES,
}
"""Room -> rooms that it may import besides itself. Two put others together: the web application
(`calendar_app.calendar_app`) and the launcher, which migrates and starts everything. Nobody imports the sandbox, which
puts itself in front of the web application."""

LIBRARIES = {
    "reflex": {"ui", "calendar_app"},
    "reflex_base": {"ui"},
    "httpx": {"providers", "sandbox"},
    "authlib": {"providers"},
    "rq": {"worker", "queues"},
    "fastapi": {"api", "booking_site", "sandbox"},
    "jinja2": {"api", "booking_site", "services", "sandbox"},
    "css_inline": {"services"},
    "babel": {"booking_site", "translations"},
    "sqlmodel": {"db", "services"},
    "sqlalchemy": {"db", "services", "launcher", "cli"},
}
"""Library -> the rooms that may import it."""


def breaches(root: Path) -> list[str]:
    """Every import below ``root``/calendar_app that the rule forbids, as ``path:line: sentence``."""
    found = []
    for path in sorted((root / PACKAGE).rglob("*.py")):
        inside = path.relative_to(root / PACKAGE).with_suffix("").parts
        room = inside[0]
        if room == "__init__":
            continue
        where = path.relative_to(root)
        if room not in ALLOWED:
            found.append(f"{where}:1: {room} is no room that the rule knows")
            continue
        parents = [PACKAGE, *inside[:-1]] if inside[-1] != "__init__" else [PACKAGE, *inside]
        for line, name in _imports(path, parents):
            top, *rest = name.split(".")
            if top == PACKAGE and rest and rest[0] != room and rest[0] not in ALLOWED[room]:
                found.append(f"{where}:{line}: {room} may not import {rest[0]}")
            elif room not in LIBRARIES.get(top, {room}):
                found.append(f"{where}:{line}: {room} may not import {top}")
    return found


def _imports(path: Path, parents: list[str]) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = parents[: len(parents) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                yield node.lineno, f"{module}.{alias.name}"


def test_the_rooms_keep_their_doors() -> None:
    """No module imports what its room may not know."""
    assert breaches(ROOT) == []


@pytest.mark.parametrize(
    ("path", "line", "sentence"),
    [
        ("domain/clock.py", "from calendar_app.db import tables", "domain may not import db"),
        ("services/a.py", "import calendar_app.api.app", "services may not import api"),
        ("services/a.py", "from calendar_app import ui", "services may not import ui"),
        ("services/a.py", "from .. import worker", "services may not import worker"),
        ("services/a.py", "from ..api import app", "services may not import api"),
        ("services/a.py", "def late():\n    import httpx", "services may not import httpx"),
        ("worker/jobs.py", "import reflex as rx", "worker may not import reflex"),
        ("api/a.py", "from calendar_app.db.session import reading", "api may not import db"),
        ("providers/google/a.py", "from rq import Queue", "providers may not import rq"),
        ("attic/a.py", "", "attic is no room that the rule knows"),
    ],
)
def test_a_breach_is_found(tmp_path: Path, path: str, line: str, sentence: str) -> None:
    """Absolute, relative and late imports of a forbidden room or library are all seen."""
    target = tmp_path / PACKAGE / path
    target.parent.mkdir(parents=True)
    target.write_text(f"{line}\n")
    (breach,) = breaches(tmp_path)
    assert breach.endswith(sentence)


def test_what_the_rule_allows_is_not_a_breach(tmp_path: Path) -> None:
    """A room may import itself, its leaves, and the standard library."""
    target = tmp_path / PACKAGE / "services" / "a.py"
    target.parent.mkdir(parents=True)
    target.write_text(
        "import json\nfrom . import b\nfrom calendar_app import queues\nfrom calendar_app.db import tables\n"
    )
    assert breaches(tmp_path) == []


def test_a_worker_starts_without_reflex() -> None:
    """Importing every job loads neither Reflex nor the web server."""
    code = "import sys, calendar_app.worker.jobs; print({'reflex', 'fastapi', 'uvicorn'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "set()", done.stderr


def test_time_and_chance_come_from_one_place() -> None:
    """Nothing but `clock.py` asks the machine what time it is, or for a number by chance; stand-ins have their own."""
    wrong = []
    for path in sorted((ROOT / PACKAGE).rglob("*.py")):
        inside = path.relative_to(ROOT / PACKAGE)
        if inside.parts[0] in {"sandbox", "launcher", "clock.py"}:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                called = f"{node.value.id}.{node.attr}"
                if called in {"datetime.now", "datetime.utcnow", "date.today"} or called.startswith(
                    "random."
                ):
                    wrong.append(f"{inside}:{node.lineno}: {called}")
    assert wrong == []
