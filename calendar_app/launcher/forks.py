"""Processes that are forked from the launcher after it has imported the product.

A process that imports the product for itself needs a second of a processor's time and eighty megabytes; forked, it
shares what is imported with all others, and has to itself only what it changes. Forking copies the calling thread
alone, so the launcher has no other threads (:func:`calendar_app.launcher.web.preload` sees to that).
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path

from calendar_app.launcher.errors import LaunchError

_SIGNALS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}


class Fork:
    """A forked process, with what of :class:`subprocess.Popen` a supervisor needs."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit code once it has ended, negative where a signal ended it."""
        return self._wait(os.WNOHANG)

    def wait(self) -> int | None:
        """Wait for its end."""
        return self._wait(0)

    def _wait(self, options: int) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, options)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode


def fork(name: str, work: Callable[[], object], environment: Mapping[str, str], output: int) -> Fork:
    """Start ``work`` in a process and session of its own, which writes to the descriptor ``output``."""
    # A signal that comes before the process has its own handlers waits until it has.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            _be(name, work, environment, output, before)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return Fork(pid)


def _be(
    name: str,
    work: Callable[[], object],
    environment: Mapping[str, str],
    output: int,
    mask: set[int | signal.Signals],
) -> None:
    """The forked process from its first moment to its end."""
    code = 1
    try:
        os.setsid()
        _leave_what_is_the_launchers(output)
        with contextlib.suppress(OSError):  # Linux: what ps and top call it
            Path("/proc/self/comm").write_text(f"almanac:{name}")
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.environ.clear()
        os.environ.update(environment)
        sys.argv = [f"almanac {name}"]
        work()
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        if ended.code is not None and not isinstance(ended.code, int):
            sys.stderr.write(f"{ended.code}\n")
    except BaseException:  # noqa: BLE001  # nothing of the launcher may run on in this process
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _leave_what_is_the_launchers(output: int) -> None:
    """Its pipes, its lock, its logs: all lead nowhere here. Their numbers stay taken, because objects hold them."""
    os.dup2(output, 1)
    os.dup2(output, 2)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in {0, *(int(name) for name in os.listdir("/dev/fd"))} - {1, 2, nowhere}:
        with contextlib.suppress(OSError):  # that of the listing itself is closed by now
            os.fstat(descriptor)
            os.dup2(nowhere, descriptor, inheritable=descriptor == 0)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # they are what Python opened


class Answer:
    """What a function returns that runs in a process of its own, because nothing that it opens is needed again."""

    def __init__(self, name: str, ask: Callable[[], list[str]], environment: Mapping[str, str]) -> None:
        self._end, writing = os.pipe()
        self._text = b""

        def tell() -> None:
            try:
                told = {"lines": ask()}
            except LaunchError as refused:
                told = {"refused": [str(refused)]}
            os.write(1, json.dumps(told).encode())

        self._process = fork(name, tell, environment, writing)
        os.close(writing)

    def ready(self, wait_s: float = 0.0) -> bool:
        """Whether :meth:`lines` need not wait."""
        while select.select([self._end], [], [], wait_s)[0]:
            if not (read := os.read(self._end, 65_536)):
                return True
            self._text += read
        return False

    def lines(self) -> list[str]:
        """What it returned.

        :raises LaunchError: if it did, or ended in another way.
        """
        while not self.ready(1.0):
            pass
        os.close(self._end)
        self._process.wait()
        *said, told = self._text.decode(errors="replace").splitlines() or [""]
        try:
            found: dict[str, list[str]] = json.loads(told)
        except ValueError:
            raise LaunchError("\n".join([*said, told, "The data could not be prepared."]).strip()) from None
        if "refused" in found:
            raise LaunchError(*found["refused"])
        return found["lines"]

    def kill(self) -> None:
        """End it, whatever it is at."""
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._end)
