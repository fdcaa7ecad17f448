"""Production is the product alone: nothing of the sandbox is loaded, installed or copied."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import httpx
import pytest
from packaging.utils import canonicalize_name

from calendar_app.launcher.checks import free_port
from tests.support import databases
from tests.support.servers import dying_with_parent
from tests.test_requirements import locked

ROOT = Path(__file__).resolve().parents[2]
PRODUCTION = {
    "ALMANAC_ENV": "production",
    "SECRET_KEY": "s" * 40,
    "ENCRYPTION_KEYS": "eHh4" * 10 + "eHg=",
    "BASE_URL": "https://calendar.example",
}
PROCESSES = (
    "calendar_app.calendar_app",
    "calendar_app.worker.jobs",
    "calendar_app.worker.config",
    "calendar_app.worker.runner",
    "calendar_app.worker.cron",
    "calendar_app.launcher.web",
    "calendar_app.launcher.frontend",
    "calendar_app.cli",
)
"""What the lines of the Procfile, of deploy/ and of the operator import."""
WITHOUT = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name in {modules}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
"""
IMPORT = """
import importlib
for name in {names}:
    importlib.import_module(name)
print("imported")
"""
SERVE = """
import os
from calendar_app.launcher import web
os.environ.update({name: value for name, value in web.SERVED_BY_REFLEX.items() if "MOUNT" not in name})
module = web.application(web.get_settings())
web.preload(module)
web.server(os.environ, module).serve()
"""


def environment(folder: Path, **variables: str) -> dict[str, str]:
    """What production finds: the settings that it needs, and no settings of this test."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {**kept, **PRODUCTION, "DATA_DIR": str(folder), **variables}


@pytest.fixture
def sqlite_url(tmp_path: Path, _sqlite_template: Path) -> str:
    """A database with the present tables."""
    return databases.sqlite_copy(_sqlite_template, tmp_path / "almanac.db")


def sandbox_modules() -> set[str]:
    """Top-level modules of the packages that ``requirements-sandbox.txt`` adds to ``requirements.txt``."""
    added = set(locked("requirements-sandbox.txt")) - set(locked("requirements.txt"))
    return {
        module
        for module, distributions in packages_distributions().items()
        if {canonicalize_name(name) for name in distributions} <= added
    }


def run_without(modules: set[str], code: str, **options: Any) -> subprocess.Popen[str]:
    """``code`` in a Python that cannot import ``modules``, as if they were not installed."""
    return subprocess.Popen(
        dying_with_parent([sys.executable, "-c", WITHOUT.format(modules=modules) + code]),
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        **options,
    )


def test_production_loads_nothing_of_the_sandbox(tmp_path: Path) -> None:
    """Every process of production can be imported where nothing of the sandbox is installed."""
    missing = sandbox_modules()
    assert {"radicale", "aiosmtpd"} <= missing
    process = run_without(
        {"calendar_app.sandbox", *missing}, IMPORT.format(names=PROCESSES), env=environment(tmp_path)
    )
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert said.splitlines()[-1] == "imported"


def test_the_product_starts_without_the_sandboxs_packages(tmp_path: Path, sqlite_url: str) -> None:
    """With ALMANAC_SANDBOX=off the web processes come up and answer, and have no page of the sandbox."""
    port = free_port()
    given = environment(
        tmp_path,
        ALMANAC_ENV="development",
        ALMANAC_SANDBOX="off",
        BASE_URL=f"http://localhost:{port}",
        PORT=str(port),
        WEB_CONCURRENCY="1",
        DATABASE_URL=sqlite_url,
        REFLEX_STATES_WORKDIR=str(tmp_path / "states"),
    )
    process = run_without({"calendar_app.sandbox", *sandbox_modules()}, SERVE, env=given)
    try:
        assert _answer(process, port, "/api/v1/openapi.json") == 200
        assert _answer(process, port, "/sandbox") == 404
    finally:
        process.terminate()
        process.communicate(timeout=30)


def _answer(process: subprocess.Popen[str], port: int, path: str) -> int:
    deadline = time.monotonic() + 50
    while process.poll() is None and time.monotonic() < deadline:
        try:
            return httpx.get(f"http://127.0.0.1:{port}{path}").status_code
        except httpx.TransportError:
            time.sleep(0.05)
    process.kill()
    pytest.fail(f"the product did not start:\n{process.communicate()[0]}")
