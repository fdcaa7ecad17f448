"""``python -m tests.setup`` (``make check-setup``): a first set-up, as strangers do it on some later day.

In an empty folder with nothing but the tracked files, with an environment that has only PATH and HOME, the oldest pip
that this Python brings, and registries (:mod:`tests.setup.registries`) where everything has a newer release:

1. ``make run`` installs with uv, builds, starts, answers and ends;
2. plain ``pip install --require-hashes`` gives the same versions: ``requirements.txt`` alone starts the product,
   ``requirements-sandbox.txt`` beside it the sandbox, too;
3. the requirements of the tests install both ways, and the packages from npm;
4. every version is the locked one, no newer release was asked for, and no tracked file was changed.

The registries are those that pip and npm are configured for here. Exit status 1 and a sentence where it fails.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from calendar_app.launcher.checks import free_port
from tests.setup.registries import Registries

ROOT = Path(__file__).resolve().parents[2]
OLDEST_PIP = {(3, 11): "22.3", (3, 12): "23.2.1", (3, 13): "24.2"}
"""Python's minor version -> the pip in ``Lib/ensurepip/_bundled`` of its first release (github.com/python/cpython)."""

STEP_S = 900
LIST = (
    "import json; from importlib.metadata import distributions; "
    "print(json.dumps([[each.metadata['Name'], each.version] for each in distributions()]))"
)
BROUGHT_BY_PYTHON = {"pip", "setuptools"}
LOCKED = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^ ;\\]+)", re.MULTILINE)


class Failed(Exception):
    """What does not hold, in one sentence."""


def say(text: str) -> None:
    print(text, flush=True)  # noqa: T201


def pip_setting(name: str) -> str:
    """What pip is configured for, its variables included, or nothing."""
    asked = subprocess.run(
        [sys.executable, "-m", "pip", "config", "get", name], capture_output=True, text=True, check=False
    )
    return asked.stdout.strip()


def python_index() -> str:
    variable = os.environ.get("PIP_INDEX_URL", "")
    return variable or pip_setting("global.index-url") or "https://pypi.org/simple"


def npm_registry() -> str:
    asked = subprocess.run(
        ["npm", "config", "get", "registry"], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return asked.stdout.strip()


def certificates() -> ssl.SSLContext:
    file = os.environ.get("PIP_CERT") or os.environ.get("SSL_CERT_FILE") or pip_setting("global.cert")
    return ssl.create_default_context(cafile=file or None)


class Place:
    """The empty folder, and what is run there."""

    def __init__(self, folder: Path, registries: Registries) -> None:
        self.code, home = folder / "almanac", folder / "home"
        home.mkdir()
        (home / ".npmrc").write_text(f"registry={registries.npm_registry}\n")
        own = Path(sys.executable).parent
        path = [
            part for part in os.environ["PATH"].split(os.pathsep) if Path(part).resolve() != own.resolve()
        ]
        self.environment = {
            "PATH": os.pathsep.join(path),
            "HOME": str(home),
            "PIP_INDEX_URL": registries.python_index,
        }
        self.tracked: dict[str, bytes] = {}

    def copy_tracked_files(self) -> None:
        """:raises Failed: where git cannot say which those are."""
        try:
            listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
        except (OSError, subprocess.CalledProcessError) as failed:
            raise Failed(f"git cannot list the tracked files of {ROOT}: {failed}") from failed
        for name in filter(None, listed.stdout.decode().split("\0")):
            if not (ROOT / name).is_file():
                continue
            target = self.code / name
            target.parent.mkdir(parents=True, exist_ok=True)
            self.tracked[name] = (ROOT / name).read_bytes()
            target.write_bytes(self.tracked[name])
            target.chmod((ROOT / name).stat().st_mode & 0o777)

    def changed_files(self) -> list[str]:
        return [
            name
            for name, content in self.tracked.items()
            if not (self.code / name).exists() or (self.code / name).read_bytes() != content
        ]

    def run(self, *command: str) -> str:
        """Run it there.

        :raises Failed: with the end of its output.
        """
        begun = time.monotonic()
        done = subprocess.run(
            command,
            cwd=self.code,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=STEP_S,
        )
        if done.returncode:
            raise Failed(f"`{' '.join(command)}` failed:\n{done.stdout[-3000:]}")
        if command[1:2] != ("-c",):
            say(f"  {time.monotonic() - begun:5.0f} s  {' '.join(command)}")
        return done.stdout

    def installed(self, python: str) -> set[tuple[str, str]]:
        """Names and versions of what is in the environment."""
        found = json.loads(self.run(python, "-c", LIST))
        return {
            (normalised(name), version)
            for name, version in found
            if normalised(name) not in BROUGHT_BY_PYTHON
        }

    @contextmanager
    def started(
        self, *command: str, port: int, variables: Mapping[str, str], last_line: str = "password: "
    ) -> Iterator[None]:
        """The product, ready, which it is when it has printed ``last_line``; it is asked to stop afterwards.

        :raises Failed: if it ends, or is not ready in time.
        """
        begun = time.monotonic()
        process = subprocess.Popen(
            command,
            cwd=self.code,
            env={**self.environment, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        lines: list[str] = []
        try:
            assert process.stdout is not None
            for line in process.stdout:
                lines.append(line)
                if line.startswith(last_line):
                    break
            else:
                raise Failed(
                    f"`{' '.join(command)}` was not ready: {''.join(lines)[-3000:]}{self.logs(variables)}"
                )
            if f"Ready: http://localhost:{port}\n" not in lines:
                raise Failed(f"`{' '.join(command)}` did not say that it is ready: {lines}")
            say(f"  {time.monotonic() - begun:5.0f} s  {' '.join(command)}: ready")
            yield
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGINT)
            process.communicate(timeout=60)

    def logs(self, variables: Mapping[str, str]) -> str:
        """The ends of the logs of a start that failed."""
        files = sorted(Path(variables["DATA_DIR"]).glob("logs/*.log"))
        return "".join(f"\n--- {file.name}\n{file.read_text()[-2000:]}" for file in files)


def megabytes(folder: Path) -> int:
    seen = {
        (stat.st_dev, stat.st_ino): stat.st_size
        for file in folder.rglob("*")
        if not file.is_symlink() and file.is_file() and (stat := file.stat())
    }
    return sum(seen.values()) // 1_000_000


def locked(file: Path) -> set[tuple[str, str]]:
    """Names and versions that the file pins, those for other systems and Pythons included."""
    return {(normalised(name), version) for name, version in LOCKED.findall(file.read_text())}


def locked_packages(file: Path) -> set[tuple[str, str]]:
    """Places below node_modules and versions that an npm lock names."""
    packages = json.loads(file.read_text())["packages"]
    return {(where, about["version"]) for where, about in packages.items() if where}


def normalised(name: str) -> str:
    """The name as indexes spell it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def require_locked(what: str, installed: set[tuple[str, str]], lock: set[tuple[str, str]]) -> None:
    """:raises Failed: naming what was installed in another version than the lock's."""
    if not installed or installed - lock:
        raise Failed(f"{what}: not the locked versions: {installed - lock or 'nothing is installed'}")


def require_answers(port: int, paths: Sequence[str] = ("/health", "/login", "/book/demo/intro")) -> None:
    for path in paths:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
            if answer.status != 200:
                raise Failed(f"{path} answers {answer.status}")


def check(place: Place, registries: Registries) -> None:
    """The whole of it.

    :raises Failed: at the first thing that does not hold.
    """
    place.copy_tracked_files()
    port = free_port()
    variables = {"PORT": str(port), "DATA_DIR": str(place.code / ".data"), "ALMANAC_SANDBOX": "on"}
    python, other = ".venv/bin/python", ".venv-pip/bin/python"
    oldest = OLDEST_PIP.get(sys.version_info[:2])
    place.run("make", python)
    place.run(".venv/bin/python", "-m", "venv", ".venv-pip")
    for each in (python, other) if oldest else ():
        place.run(each, "-m", "pip", "install", "--quiet", f"pip=={oldest}")

    say("make run, with uv")
    with place.started("make", "run", port=port, variables=variables):
        require_answers(port)
    say(f"  {megabytes(place.code)} MB in the folder, {registries.bytes_loaded // 1_000_000} MB loaded")

    say("the product alone, with pip")
    install = (other, "-m", "pip", "install", "--quiet", "--require-hashes")
    launcher = (other, "-m", "calendar_app.launcher")
    place.run(*install, "--no-compile", "-r", "requirements.txt")
    product = locked(place.code / "requirements.txt")
    require_locked("pip with requirements.txt alone", place.installed(other), product)
    alone = {"PORT": str(port), "DATA_DIR": str(place.code / ".data-alone"), "ALMANAC_SANDBOX": "off"}
    with place.started(*launcher, port=port, variables=alone, last_line="code: "):
        require_answers(port, ("/health", "/login"))

    say("the same as make run, with pip")
    place.run(*install, "--no-compile", "-r", "requirements.txt", "-r", "requirements-sandbox.txt")
    with place.started(*launcher, port=port, variables=variables):
        require_answers(port)
    pins = product | locked(place.code / "requirements-sandbox.txt")
    pins |= locked(place.code / "requirements-setup.txt")
    for each in (python, other):
        require_locked(each, place.installed(each), pins)
    require_locked(
        "npm",
        locked_packages(place.code / ".web/node_modules/.package-lock.json"),
        locked_packages(ROOT / "reflex.lock/package-lock.json"),
    )

    say("what the tests need")
    place.run(*install, "--dry-run", "-r", "requirements-dev.txt")
    place.run("make", ".venv/.dev-requirements", "tests/providers/emulate/node_modules/.installed")
    require_locked(python, place.installed(python), pins | locked(place.code / "requirements-dev.txt"))
    say(f"  {registries.bytes_loaded // 1_000_000} MB loaded in all")

    if registries.newest_asked_for:
        raise Failed(
            f"Releases that no lock names were asked for: {sorted(set(registries.newest_asked_for))}"
        )
    if changed := place.changed_files():
        raise Failed(f"Set-up changed tracked files: {changed}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.setup", description=__doc__)
    parser.add_argument("--keep", type=Path, help="an empty folder to use, which is left as it is")
    arguments = parser.parse_args()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="almanac-setup-") as temporary:
        folder = (arguments.keep or Path(temporary)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        with Registries(
            folder / "registries", python_index(), npm_registry(), context=certificates()
        ) as registries:
            try:
                check(Place(folder, registries), registries)
            except (Failed, subprocess.TimeoutExpired) as failed:
                say(f"Set-up does not hold: {failed}")
                for failure in registries.failures:
                    say(f"The registries of this machine failed: {failure}")
                return 1
    say(f"Set-up gives the locked versions and starts ({(time.monotonic() - begun) / 60:.1f} minutes).")
    return 0


if __name__ == "__main__":
    sys.exit(main())
