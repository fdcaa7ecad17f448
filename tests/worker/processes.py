"""Real RQ processes for tests: started as an operator starts them, in process groups of their own, killed at will."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.forks import Fork

ROOT = Path(__file__).resolve().parents[2]


def wait_until(condition: Callable[[], Any], seconds: float = 30) -> Any:
    """What ``condition`` returns once it is true; fails at the deadline."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
    return found


def signal_session(leader: int, number: signal.Signals) -> None:
    """Signal a program started in a session of its own, and everybody in it: RQ's work horses leave its group."""
    members = [leader]
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(") ")[2].split()
        except OSError:
            continue  # it has ended meanwhile
        if int(fields[3]) == leader:
            members.append(int(stat.parent.name))
    for member in dict.fromkeys(members):
        try:
            os.kill(member, number)
        except ProcessLookupError:
            continue


def _started(arguments: list[str], environment: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", *arguments],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _forked(arguments: list[str], environment: dict[str, str], log: Path) -> Fork:
    log.touch()
    return Fork(arguments, environment, log)


class Process:
    """A running program with all its children; ``forked``: from a process that has imported what it needs."""

    def __init__(
        self, arguments: list[str], environment: dict[str, str], log: Path, *, forked: bool = False
    ) -> None:
        self._log = log
        self._process = (_forked if forked else _started)(arguments, {**os.environ, **environment}, log)

    @property
    def output(self) -> str:
        """Everything it has said so far."""
        return self._log.read_text()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def pause(self) -> None:
        """``SIGSTOP`` for the program and all its children, until :meth:`resume`."""
        signal_session(self._process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """``SIGCONT``."""
        signal_session(self._process.pid, signal.SIGCONT)

    def terminate(self) -> None:
        """Ask it to end (SIGTERM), as a supervisor does, and do not wait."""
        self._process.terminate()

    def kill(self) -> None:
        """``kill -9`` for the program and all its children."""
        signal_session(self._process.pid, signal.SIGKILL)
        self._process.wait(10)

    def stop(self) -> None:
        """Ask it to end, and make it."""
        if self.running:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()


@contextmanager
def worker(environment: dict[str, str], log: Path, *, forked: bool = False) -> Iterator[Process]:
    """``rq worker`` as the Procfile starts it."""
    arguments = ["rq.cli", "worker", "--worker-class", "calendar_app.worker.runner.Worker"]
    arguments += ["--config", "calendar_app.worker.config"]
    process = Process(arguments, environment, log, forked=forked)
    try:
        yield process
    finally:
        process.stop()


@contextmanager
def cron(environment: dict[str, str], log: Path) -> Iterator[Process]:
    """The clock, as the Procfile starts it."""
    process = Process(["calendar_app.worker.cron"], environment, log)
    try:
        yield process
    finally:
        process.stop()
