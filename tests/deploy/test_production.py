"""Production is the product alone: nothing of the sandbox is loaded, installed or copied."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from importlib.metadata import packages_distributions
from pathlib import Path

import httpx
import pytest
from packaging.utils import canonicalize_name

from calendar_app.launcher import frontend
from calendar_app.launcher.checks import free_port
from tests.support import databases
from tests.support.servers import dying_with_parent
from tests.test_requirements import locked

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "deploy/Dockerfile").read_text()
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
SERVE = """
import importlib, os
for name in {names}:
    module = importlib.import_module(name)
    assert module.__file__.startswith({root!r}), module
from calendar_app.launcher import web
os.environ.update({{name: value for name, value in web.SERVED_BY_REFLEX.items() if "MOUNT" not in name}})
served = web.application(web.get_settings())
web.preload(served)
web.server(os.environ, served).serve()
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


def run_without(modules: set[str], code: str, *, cwd: Path, env: dict[str, str]) -> subprocess.Popen[str]:
    """``code`` in a Python that cannot import ``modules``, as if they were not installed."""
    return subprocess.Popen(
        dying_with_parent([sys.executable, "-c", WITHOUT.format(modules=modules) + code]),
        cwd=cwd,
        env=env,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def image_files() -> list[str]:
    """The files that ``COPY`` brings into the image, by the rules of Dockerfile.dockerignore.

    A pattern leaves out a path and all below it; ``**`` stands for any number of folders
    (docs.docker.com/build/concepts/context/#dockerignore-files).
    """
    copied = [line.split()[1:] for line in DOCKERFILE.splitlines() if line.startswith("COPY ")]
    assert copied == [["requirements.txt", "./"], ["--chown=almanac:almanac", ".", "./"]]
    patterns = (ROOT / "deploy/Dockerfile.dockerignore").read_text().splitlines()
    ignored = re.compile(
        "|".join(
            re.escape(line).replace(r"\*\*/", "(?:.*/)?").replace(r"\*", "[^/]*")
            for line in patterns
            if line and not line.startswith("#")
        )
    )
    found = []
    for folder, folders, files in os.walk(ROOT):
        here = Path(folder).relative_to(ROOT)
        folders[:] = [name for name in folders if not ignored.fullmatch(str(here / name))]
        found += [str(here / name) for name in files if not ignored.fullmatch(str(here / name))]
    return found


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """The folder that an image of ``deploy/`` runs in, without the pages that its build adds."""
    for name in image_files():
        target = tmp_path / "image" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, target)
    return tmp_path / "image"


def test_an_image_holds_the_product_alone(image: Path) -> None:
    """No tests, benchmarks or stand-ins, and no packages for them; everything that pages are made of is there."""
    assert {path.name for path in image.iterdir()} >= {"alembic", "assets", "calendar_app", "rxconfig.py"}
    for name in (
        "tests",
        "benchmarks",
        "calendar_app/sandbox",
        "requirements-sandbox.txt",
        "requirements-dev.txt",
    ):
        assert not (image / name).exists(), name
    assert re.findall(r"-r (\S+)", DOCKERFILE) == ["requirements.txt"]
    assert frontend.fingerprint(image) == frontend.fingerprint(ROOT)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_production_runs_without_the_sandbox(image: Path, sqlite_url: str) -> None:
    """Where neither stand-ins nor their packages are installed, every process of production can be imported, and the
    web processes start and answer."""
    missing = {"calendar_app.sandbox", *sandbox_modules()}
    assert {"radicale", "aiosmtpd"} <= missing
    port = free_port()
    given = environment(
        image.parent,
        ALMANAC_SANDBOX="off",
        PORT=str(port),
        WEB_CONCURRENCY="1",
        DATABASE_URL=sqlite_url,
        REFLEX_STATES_WORKDIR=str(image.parent / "states"),
    )
    process = run_without(missing, SERVE.format(names=PROCESSES, root=str(image)), cwd=image, env=given)
    try:
        assert _answer(process, port, "/api/v1/openapi.json") == 200
        assert _answer(process, port, "/sandbox") == 404
    finally:
        process.terminate()
        process.communicate(timeout=60)


def _answer(process: subprocess.Popen[str], port: int, path: str) -> int:
    deadline = time.monotonic() + 200
    while process.poll() is None and time.monotonic() < deadline:
        try:
            return httpx.get(f"http://127.0.0.1:{port}{path}").status_code
        except httpx.TransportError:
            time.sleep(0.05)
    process.kill()
    pytest.fail(f"the product did not start:\n{process.communicate()[0]}")
