"""What a process wrote, and what of it was on the disk when it answered: read from a trace of its system calls.

``kill -9`` proves nothing about that: what a process wrote survives it in the system's memory. What power takes away is
what was written and not synced.
"""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.support.servers import wait_for_web

STRACE = shutil.which("strace")
_CALLS = "pwrite64,pwritev,write,writev,sendto,sendmsg,fsync,fdatasync"
_LINE = re.compile(r"^(\d+) +(\w+)\((?:\d+<([^>]*)>)?(.*)$")
_RESUMED = re.compile(r"^(\d+) +<\.\.\. (\w+) resumed>")


@dataclass(frozen=True, slots=True)
class Trace:
    """A web process whose system calls are written down while it serves at ``url``."""

    url: str
    file: Path

    def read(self, database: Path) -> Answers:
        """What it did to the database file since it was started."""
        return _read(self.file.read_text().splitlines(), str(database))


@dataclass(frozen=True, slots=True)
class Answers:
    """``syncs`` of the database's files before each answer ``201``; ``unsynced``: what was not yet on the disk then."""

    syncs: tuple[int, ...]
    unsynced: tuple[frozenset[str], ...]


def _read(lines: list[str], database: str) -> Answers:
    """Each answer stands in the trace after what was done for it, if one request is made after the other."""
    waiting: dict[str, str] = {}
    dirty: set[str] = set()
    syncs, counts, left = 0, [], []
    for line in lines:
        if resumed := _RESUMED.match(line):
            pid, call = resumed.groups()
            name = waiting.pop(pid, "")
        elif found := _LINE.match(line):
            pid, call, name, rest = found.groups()
            name = name or ""
            if "HTTP/1.1 201" in rest:
                counts.append(syncs)
                left.append(frozenset(dirty))
                syncs = 0
                continue
            if rest.endswith("<unfinished ...>") and call in ("fsync", "fdatasync"):
                waiting[pid] = name
                continue
        else:
            continue
        if not name.startswith(database) or name.endswith("-shm"):
            continue
        if call in ("fsync", "fdatasync"):
            syncs += 1
            dirty.discard(name)
        else:
            dirty.add(name)
    return Answers(tuple(counts), tuple(left))


@contextmanager
def traced_web(folder: Path) -> Iterator[Trace]:
    """A web process of the API with this process's environment, under ``strace``."""
    assert STRACE is not None
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    file = folder / "trace"
    command = [
        STRACE,
        "-f",
        "-y",
        "-qq",
        "--seccomp-bpf",
        "-s",
        "32",
        "-e",
        f"trace={_CALLS}",
        "-o",
        str(file),
    ]
    command += [sys.executable, "-m", "uvicorn", "--factory", "calendar_app.api.app:create_api"]
    process = subprocess.Popen([*command, "--port", str(port), "--log-level", "warning", "--no-access-log"])
    try:
        url = f"http://127.0.0.1:{port}"
        wait_for_web(url, process, 90)
        yield Trace(url, file)
    finally:
        for watched in psutil.Process(process.pid).children():
            watched.terminate()  # strace itself takes no signal, and ends with what it watches
        process.wait(20)
