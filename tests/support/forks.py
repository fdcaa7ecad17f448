"""``python -m MODULE ARGUMENTS`` without the seconds that imports take: forked from a process that has done them.

So it is with the product's own web processes (``calendar_app.launcher.web``). A fork has an environment, an output and
a session of its own, and is killed like any other process.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(["tests.support.preloaded"])


def _run(command: Sequence[str], environment: Mapping[str, str], log: Path | None) -> None:
    os.setsid()
    os.environ.clear()
    os.environ.update(environment)
    if log is not None:
        with log.open("ab") as output:
            for stream in (1, 2):
                os.dup2(output.fileno(), stream)
    sys.argv = list(command)
    runpy.run_module(command[0], run_name="__main__", alter_sys=True)


class Fork:
    """A forked program; with the methods of :class:`subprocess.Popen` that tests need, and as those have them."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], log: Path | None = None
    ) -> None:
        self._process = _SERVER.Process(target=_run, args=(list(command), dict(environment), log))
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            raise subprocess.TimeoutExpired("fork", timeout or 0)
        return code

    def send_signal(self, number: signal.Signals) -> None:
        if self._process.exitcode is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)
