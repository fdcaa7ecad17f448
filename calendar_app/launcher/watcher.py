"""Ends a run's processes when its launcher is gone, whatever ended it: ``python -m calendar_app.launcher.watcher RUN``.

A launcher that is killed with SIGKILL can stop nothing itself. So it keeps one end of a pipe, and this process waits at
the other: the system closes the pipe when the launcher ends, on every platform.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from calendar_app.launcher.marks import MARK, stop_marked


@contextmanager
def watched(run: str) -> Iterator[None]:
    """While this process lives, and inside, the run may have processes; after either they are ended."""
    watcher = subprocess.Popen(
        [sys.executable, "-m", "calendar_app.launcher.watcher", run],
        stdin=subprocess.PIPE,
        # Not one of the run's own processes, or stopping those would stop this first.
        env={name: value for name, value in os.environ.items() if name != MARK},
        start_new_session=True,
    )
    assert watcher.stdin is not None
    try:
        yield
    finally:
        watcher.stdin.close()
        watcher.wait()


def main() -> None:
    """Wait for the launcher's end. One that still lives has ended its processes itself, and carries the mark, too."""
    launcher = os.getppid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.buffer.read()
    stop_marked(sys.argv[1], spared=frozenset({launcher} if os.getppid() == launcher else ()))


if __name__ == "__main__":
    main()
