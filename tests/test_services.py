"""How ``services/`` is built: packages in layers, one door to each thing, tests beside their code."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
SERVICES = ROOT / "calendar_app" / "services"
PREFIX = "calendar_app.services."
MOST_MODULES = 14

LAYERS = (
    {"common"},
    {"mail", "event_types"},
    {"accounts", "calendar_mirror", "webhooks"},
    {"connections"},
    {"workspaces"},
    {"availability", "booking_emails", "calendar_writes"},
    {"bookings", "calendar_sync"},
    {"connection_lifecycle", "external_changes", "orders", "events"},
    {"operations", "installation"},
    {"doctor"},
)
"""Packages import from those above them in this list (and from themselves), never from below or beside."""


def modules() -> dict[str, Path]:
    """Every module of a package of services, by its name below ``calendar_app.services``."""
    return {
        f"{path.parent.name}.{path.stem}": path
        for path in sorted(SERVICES.glob("*/*.py"))
        if path.stem != "__init__"
    }


def imports(path: Path) -> Iterator[tuple[str, str]]:
    """What a file imports of services: ``("bookings.holds", "create")``, with an empty name for the module itself."""
    known = modules()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PREFIX):
            below = (node.module or "")[len(PREFIX) :]
            for alias in node.names:
                if f"{below}.{alias.name}" in known:
                    yield f"{below}.{alias.name}", ""
                else:
                    yield below, alias.name


def test_every_module_lies_in_a_package() -> None:
    """Nothing but the package's own file lies in services, and no package is larger than one can look over."""
    assert [path.name for path in SERVICES.glob("*.py")] == ["__init__.py"]
    sizes: dict[str, int] = {}
    for name in modules():
        package = name.partition(".")[0]
        sizes[package] = sizes.get(package, 0) + 1
    assert {package: size for package, size in sizes.items() if size > MOST_MODULES} == {}


def test_packages_form_layers() -> None:
    """No circle, and none can come: every import goes up in the list of layers."""
    level = {package: number for number, layer in enumerate(LAYERS) for package in layer}
    wrong = []
    for name, path in modules().items():
        here = name.partition(".")[0]
        for target, _ in imports(path):
            there = target.partition(".")[0]
            if there != here and level[there] >= level[here]:
                wrong.append(f"{name} imports {target}")
    assert wrong == []


def _defined(path: Path) -> set[str]:
    names = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {
                inner.id for target in targets for inner in ast.walk(target) if isinstance(inner, ast.Name)
            }
    return names


def test_there_is_one_door_to_each_thing() -> None:
    """Every name is imported from the module that defines it; no module passes on what another one has."""
    known, wrong = modules(), []
    defined = {name: _defined(path) for name, path in known.items()}
    files = [
        path for folder in ("calendar_app", "tests", "benchmarks") for path in (ROOT / folder).rglob("*.py")
    ]
    for path in files:
        for target, name in imports(path):
            if name and (target not in known or name not in defined[target]):
                wrong.append(f"{path.relative_to(ROOT)} imports {name} from {target}")
    assert wrong == []


def test_tests_stand_where_the_code_stands() -> None:
    """``tests/services/bookings/test_holds.py`` and ``test_holds_….py`` test ``services/bookings/holds.py``."""
    known = modules()
    lost = []
    for path in sorted((ROOT / "tests" / "services").rglob("test_*.py")):
        package, name = path.parent.name, path.stem.removeprefix("test_")
        stems = {module.partition(".")[2] for module in known if module.partition(".")[0] == package}
        if not any(name == stem or name.startswith(f"{stem}_") for stem in stems):
            lost.append(str(path.relative_to(ROOT)))
    assert lost == []
