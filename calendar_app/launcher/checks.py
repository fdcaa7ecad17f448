"""What must hold before anything starts; each failure is one sentence."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import random
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

from calendar_app.launcher.errors import LaunchError
from calendar_app.places import PACKED, SANDBOX, SANDBOX_EXTRA

_OURS = range(20_000, 32_768)
INSTALLS = f"run `pip install '{SANDBOX_EXTRA}'`" if PACKED else "run `make run`"
TOOLS = ("node", "npm", "reflex")


def programs_path(given: Mapping[str, str]) -> str:
    """``PATH`` with this Python's own programs (node, reflex, rq ...) first."""
    return os.pathsep.join([str(Path(sys.executable).parent), given.get("PATH", os.defpath)])


def require_tools(path: str) -> None:
    """Every program that builds the pages is on ``path``.

    :raises LaunchError: naming the missing ones.
    """
    missing = [tool for tool in TOOLS if shutil.which(tool, path=path) is None]
    if missing:
        raise LaunchError(
            f"{' and '.join(missing)} cannot be found: run `make run`, which installs the requirements, "
            "or `pip install -r requirements.txt`."
        )


def require_sandbox(modules: Iterable[str] = SANDBOX) -> None:
    """The sandbox and the packages that only it needs are installed.

    :raises LaunchError: naming the missing ones.
    """
    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        raise LaunchError(
            f"The sandbox is on, and {' and '.join(missing)} cannot be found: {INSTALLS}, which installs "
            "them, or start without it: ALMANAC_SANDBOX=off, or the credentials of a provider."
        )


def require_directory(data_dir: Path) -> None:
    """``data_dir`` exists, is private, and can be written.

    :raises LaunchError: with the system's reason.
    """
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=data_dir):
            pass
    except OSError as error:
        raise LaunchError(
            f"The directory {data_dir} cannot be written ({error.strerror}): choose another one with DATA_DIR=/path."
        ) from error


def require_port(host: str, port: int) -> None:
    """The web server can listen on ``host``:``port``.

    :raises LaunchError: naming the port and, if it is merely taken, a free one.
    """
    if not 0 < port < 65_536:
        raise LaunchError(f"There is no port {port}: choose one from 1 to 65535 with PORT=3000.")
    refusal = _refusal(host, port)
    if refusal is None:
        return
    if refusal.errno == errno.EADDRINUSE:
        free = next(
            (other for other in range(port + 1, min(port + 50, 65_536)) if _refusal(host, other) is None),
            port + 1,
        )
        raise LaunchError(
            f"Port {port} is in use by another program: stop it, or choose another port with PORT={free}."
        )
    if refusal.errno == errno.EACCES:
        raise LaunchError(f"Port {port} needs more rights than you have: choose another one with PORT=3000.")
    raise LaunchError(
        f"The web server cannot listen on {host} port {port} ({refusal.strerror}): "
        "choose others with WEB_HOST and PORT."
    )


def _refusal(host: str, port: int) -> OSError | None:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        return error
    return None


def is_free(port: int) -> bool:
    """Whether a server could have the port on the loopback interface."""
    return _refusal("127.0.0.1", port) is None


def free_port() -> int:
    """A port on the loopback interface that nobody uses at this moment.

    It lies below the ports that systems give to outgoing connections (32768 and up on Linux, 49152 and up by RFC 6335),
    one of which could otherwise take it before, or between two runs of, the server that it is meant for.

    :raises LaunchError: if none is left.
    """
    for port in random.sample(_OURS, k=50):
        if _refusal("127.0.0.1", port) is None:
            return port
    raise LaunchError(
        "No free port was found on the loopback interface: stop some of the servers that run here."
    )


@contextlib.contextmanager
def sole_user(data_dir: Path) -> Iterator[None]:
    """Hold the directory's lock, which ends with this process however it ends.

    :raises LaunchError: if another running launcher holds it.
    """
    descriptor = os.open(data_dir / "launcher.lock", os.O_RDWR | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LaunchError(
                f"Almanac already runs on {data_dir} (process {file.read().strip() or 'unknown'}): "
                "stop it, or choose another directory with DATA_DIR=/path and another port with PORT=3001."
            ) from error
        file.seek(0)
        file.truncate()
        file.write(str(os.getpid()))
        file.flush()
        yield
