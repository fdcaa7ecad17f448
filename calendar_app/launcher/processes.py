"""Keeps processes running, and leaves none behind.

A process is a shell line, or a function that is done in a process forked from this one
(:mod:`calendar_app.launcher.forks`). Each has a session of its own, so that Ctrl-C reaches the launcher alone and each
process is asked to stop in order. What leaves its group is found by its mark (:mod:`calendar_app.launcher.marks`).
There are no threads here: output is read in :meth:`Supervisor.tick`.
"""

from __future__ import annotations

import logging
import os
import selectors
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from logging.handlers import RotatingFileHandler
from pathlib import Path

import psutil

from calendar_app.launcher.errors import LaunchError
from calendar_app.launcher.forks import Fork, fork
from calendar_app.launcher.marks import MARK, descends, end_marked, marked

DEATHS, WITHIN_S = 5, 60.0
LONGEST_PAUSE_S = 8.0
LOG_BYTES = 5_000_000
LAST_LINES = 12
_READ = 65_536

Announce = Callable[[str], None]
Work = str | Callable[[], object]
"""A shell line, or what a forked process does."""


class Managed:
    """One name: its present process, its log file and its recent deaths."""

    def __init__(self, name: str, work: Work, log: Path, echo: Announce | None) -> None:
        self.name, self.work, self.log_path = name, work, log
        self.process: subprocess.Popen[bytes] | Fork | None = None
        self.deaths: deque[float] = deque(maxlen=DEATHS)
        self.restart_at = 0.0
        self.last_lines: deque[str] = deque(maxlen=LAST_LINES)
        self._echo = echo
        log.parent.mkdir(mode=0o700, exist_ok=True)
        self._file = RotatingFileHandler(log, maxBytes=LOG_BYTES, backupCount=1, encoding="utf-8")

    def start(self, root: Path, environment: Mapping[str, str]) -> int:
        """Start it; returns the descriptor at which its output can be read."""
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        try:
            if callable(self.work):
                self.process = fork(self.name, self.work, environment, writing)
            else:
                self.process = subprocess.Popen(
                    ["/bin/sh", "-c", self.work],
                    cwd=root,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=writing,
                    stderr=writing,
                    start_new_session=True,
                )
        finally:
            os.close(writing)
        return reading

    def keep(self, line: str) -> None:
        """A line that the process wrote."""
        self.last_lines.append(line)
        self._file.emit(logging.makeLogRecord({"msg": line}))
        if self._echo:
            self._echo(f"{self.name:8} | {line}")

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def signal_group(self, number: int) -> None:
        if self.process is None:
            return
        try:
            os.killpg(self.process.pid, number)
        except (ProcessLookupError, PermissionError):
            # It ended by itself (macOS says "not permitted" of a group of zombies), or has no group of its own yet.
            if self.running:
                os.kill(self.process.pid, number)

    def close(self) -> None:
        self._file.close()


class Supervisor:
    """Starts, watches, restarts and stops processes; not for use by several threads.

    ``run`` is a mark that no other run carries. A process that dies is started again after 1, 2, 4 ... seconds;
    one that dies five times within a minute ends everything with :class:`LaunchError`.
    """

    def __init__(
        self,
        run: str,
        root: Path,
        environment: Mapping[str, str],
        logs: Path,
        announce: Announce,
        *,
        echo: Announce | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.run, self._root, self._logs = run, root, logs
        self._environment = {**environment, MARK: run}
        self._announce, self._echo, self._clock = announce, echo, clock
        self._processes: dict[str, Managed] = {}
        self._outputs = selectors.DefaultSelector()
        self._unfinished: dict[int, bytes] = {}

    @property
    def names(self) -> list[str]:
        return list(self._processes)

    def start(self, name: str, work: Work) -> None:
        """Start ``work`` under ``name``; its output goes to ``logs/name.log``."""
        process = Managed(name, work, self._logs / f"{name}.log", self._echo)
        self._processes[name] = process
        self._begin(process)

    def _begin(self, process: Managed) -> None:
        output = process.start(self._root, self._environment)
        self._unfinished[output] = b""
        self._outputs.register(output, selectors.EVENT_READ, process)

    def owns(self, name: str, pid: int) -> bool:
        """Whether ``pid`` is the living process ``name`` or one that it started."""
        process = self._processes[name].process
        return process is not None and descends(pid, process.pid)

    def tick(self, wait_s: float = 0.0) -> None:
        """Keep what was written, waiting up to ``wait_s`` for it, and start again what has died; call it several times
        a second.

        :raises LaunchError: if a process keeps dying.
        """
        self.copy_output(wait_s)
        now = self._clock()
        for process in self._processes.values():
            if process.running:
                continue
            if process.restart_at:
                if now >= process.restart_at:
                    process.restart_at = 0.0
                    self._begin(process)
                continue
            self._died(process, now)

    def copy_output(self, wait_s: float = 0.0) -> None:
        """Keep what the processes have written."""
        for key, _ in self._outputs.select(wait_s):
            process: Managed = key.data
            read = os.read(key.fd, _READ)
            *lines, rest = (self._unfinished[key.fd] + read).split(b"\n")
            if rest and (not read or len(rest) > _READ):
                lines, rest = [*lines, rest], b""
            for line in lines:
                process.keep(line.decode(errors="replace").rstrip("\r"))
            self._unfinished[key.fd] = rest
            if not read:
                self._close(key.fd)

    def _close(self, output: int) -> None:
        self._outputs.unregister(output)
        del self._unfinished[output]
        os.close(output)

    def _died(self, process: Managed, now: float) -> None:
        process.deaths.append(now)
        code = process.process.returncode if process.process else None
        if len(process.deaths) == DEATHS and now - process.deaths[0] <= WITHIN_S:
            raise LaunchError(
                f"{process.name} stopped {DEATHS} times within a minute (the last time with exit code {code}), "
                f"so everything was stopped; the reason stands in {process.log_path}."
            )
        recent = sum(1 for moment in process.deaths if now - moment <= WITHIN_S)
        pause = min(2.0 ** (recent - 1), LONGEST_PAUSE_S)
        process.restart_at = now + pause
        self._announce(f"{process.name} stopped with exit code {code}; starting it again in {pause:.0f} s")

    def last_lines(self, name: str) -> list[str]:
        """The last lines that a process wrote."""
        return list(self._processes[name].last_lines)

    def stop(self, last: Iterable[str] = (), *, grace_s: float = 6.0) -> None:
        """Stop everything: first the others, then those named in ``last``, each asked, then made to. Safe to repeat."""
        late = set(last)
        for names in (set(self._processes) - late, late & set(self._processes)):
            group = [self._processes[name] for name in names]
            for process in group:
                process.signal_group(signal.SIGTERM)
            deadline = time.monotonic() + (grace_s if group else 0)
            while time.monotonic() < deadline and any(process.running for process in group):
                self.copy_output(0.05)
            for process in group:
                process.signal_group(signal.SIGKILL)
            if names == late:
                break
            self._end_strays(late)
        end_marked(self.run)
        for process in self._processes.values():
            if process.process is not None:
                process.process.wait()
        self.copy_output()
        for output in list(self._unfinished):
            self._close(output)
        for process in self._processes.values():
            process.close()
        self._processes.clear()

    def _end_strays(self, spared: set[str]) -> None:
        """Kill what left its process group (RQ's work horses do), but not the processes that stop last."""
        kept: set[int] = set()
        for name in spared & set(self._processes):
            process = self._processes[name].process
            if process is not None and process.poll() is None:
                children = psutil.Process(process.pid).children(recursive=True)
                kept |= {process.pid, *(child.pid for child in children)}
        for stray in marked(self.run, frozenset(kept)):
            try:
                stray.kill()
            except psutil.NoSuchProcess:
                continue
