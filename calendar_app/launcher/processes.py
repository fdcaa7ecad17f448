"""Keeps the Procfile's processes running, and leaves none behind.

Every process starts a session of its own, so that Ctrl-C reaches the launcher alone and each process is asked to stop
in order. Descendants are found by a mark in their environment, which survives forks, new process groups and the death
of a parent. What a killed launcher leaves running is found in the same way, by :mod:`calendar_app.launcher.watcher` or,
should that have been killed as well, by the next start (:func:`end_marked`).
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from logging.handlers import RotatingFileHandler
from pathlib import Path

import psutil

from calendar_app.launcher.errors import LaunchError

MARK = "ALMANAC_RUN"
NAME = "ALMANAC_PROCESS"
DEATHS, WITHIN_S = 5, 60.0
LONGEST_PAUSE_S = 8.0
LOG_BYTES = 5_000_000
LAST_LINES = 12

Announce = Callable[[str], None]


def marked(run: str) -> list[psutil.Process]:
    """The living processes of this user that carry the run's mark, this one aside."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get(MARK) == run:
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def belongs(pid: int, run: str, name: str) -> bool:
    """Whether ``pid`` is a living process of the run's process ``name``, or one of its descendants."""
    try:
        environment = psutil.Process(pid).environ()
    except (psutil.Error, OSError):
        return False
    return environment.get(MARK) == run and environment.get(NAME) == name


def end_marked(run: str) -> int:
    """Kill whatever of the run is still alive; returns how many processes that were."""
    ended = 0
    while leftovers := marked(run):
        for process in leftovers:
            try:
                process.kill()
                ended += 1
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(leftovers, timeout=2)
    return ended


def stop_marked(run: str, grace_s: float = 3.0) -> None:
    """Ask whatever of the run is still alive to stop, and kill what has not stopped in time."""
    processes = marked(run)
    for process in processes:
        try:
            process.terminate()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(processes, timeout=grace_s)
    end_marked(run)


class Managed:
    """One line of the Procfile: its present process, its log file and its recent deaths."""

    def __init__(self, name: str, command: str, log: Path, echo: Announce | None) -> None:
        self.name, self.command, self.log_path = name, command, log
        self.popen: subprocess.Popen[str] | None = None
        self.deaths: deque[float] = deque(maxlen=DEATHS)
        self.restart_at = 0.0
        self.last_lines: deque[str] = deque(maxlen=LAST_LINES)
        self._echo = echo
        log.parent.mkdir(mode=0o700, exist_ok=True)
        self._file = RotatingFileHandler(log, maxBytes=LOG_BYTES, backupCount=1, encoding="utf-8")
        self._reader: threading.Thread | None = None

    def start(self, root: Path, environment: Mapping[str, str]) -> None:
        self.popen = subprocess.Popen(
            ["/bin/sh", "-c", self.command],
            cwd=root,
            env={**environment, NAME: self.name},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            bufsize=1,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._copy, args=(self.popen,), daemon=True)
        self._reader.start()

    def _copy(self, popen: subprocess.Popen[str]) -> None:
        assert popen.stdout is not None
        with popen.stdout:
            for line in popen.stdout:
                text = line.rstrip("\n")
                self.last_lines.append(text)
                self._file.emit(logging.makeLogRecord({"msg": text}))
                if self._echo:
                    self._echo(f"{self.name:8} | {text}")

    @property
    def running(self) -> bool:
        return self.popen is not None and self.popen.poll() is None

    def signal_group(self, number: int) -> None:
        if self.popen is not None:
            try:
                os.killpg(self.popen.pid, number)
            except (ProcessLookupError, PermissionError):
                pass  # it ended by itself, and macOS says "not permitted" of a group of zombies

    def close(self) -> None:
        if self._reader is not None:
            self._reader.join(timeout=1)
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

    @property
    def names(self) -> list[str]:
        return list(self._processes)

    def start(self, name: str, command: str) -> None:
        """Start ``command`` (a shell line) under ``name``; its output goes to ``logs/name.log``."""
        process = Managed(name, command, self._logs / f"{name}.log", self._echo)
        self._processes[name] = process
        process.start(self._root, self._environment)

    def tick(self) -> None:
        """Start again what has died; call it several times a second.

        :raises LaunchError: if a process keeps dying.
        """
        now = self._clock()
        for process in self._processes.values():
            if process.running:
                continue
            if process.restart_at:
                if now >= process.restart_at:
                    process.restart_at = 0.0
                    process.start(self._root, self._environment)
                continue
            self._died(process, now)

    def _died(self, process: Managed, now: float) -> None:
        process.deaths.append(now)
        code = process.popen.returncode if process.popen else None
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
                time.sleep(0.05)
            for process in group:
                process.signal_group(signal.SIGKILL)
            if names == late:
                break
            self._end_strays(late)
        end_marked(self.run)
        for process in self._processes.values():
            if process.popen is not None:
                process.popen.wait()
            process.close()
        self._processes.clear()

    def _end_strays(self, spared: set[str]) -> None:
        """Kill what left its process group (RQ's work horses do), but not the processes that stop last."""
        kept: set[int] = set()
        for name in spared & set(self._processes):
            popen = self._processes[name].popen
            if popen is not None and popen.poll() is None:
                kept |= {
                    popen.pid,
                    *(child.pid for child in psutil.Process(popen.pid).children(recursive=True)),
                }
        for process in marked(self.run):
            if process.pid not in kept:
                try:
                    process.kill()
                except psutil.NoSuchProcess:
                    continue
