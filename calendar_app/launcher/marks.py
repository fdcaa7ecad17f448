"""Finds the processes of one run, whoever their parent is now.

Every process of a run carries a mark in the environment that it was started with. Forks inherit it, and so do process
groups and sessions of their own and processes whose parent died. The launcher carries it as well, because most of the
processes are forked from it: what a process adds to its environment later is not to be seen from outside.
"""

from __future__ import annotations

import os
import sys
import uuid

import psutil

MARK = "ALMANAC_RUN"
_CARRIED_BY = "ALMANAC_RUN_OF"
SPARING = {
    "MALLOC_TRIM_THRESHOLD_": "131072",
    "MALLOC_MMAP_THRESHOLD_": "131072",
    "MALLOC_ARENA_MAX": "2",
}
"""For glibc, which otherwise keeps large pieces of memory that were given back, such as the 19 MB that each check of a
password takes (mallopt(3)); it reads them when a program starts."""


def carry() -> str:
    """The mark of the run that this process leads. It starts itself anew, as the same process, to carry one."""
    if os.environ.get(_CARRIED_BY) != str(os.getpid()):
        mine = {MARK: uuid.uuid4().hex, _CARRIED_BY: str(os.getpid())}
        command = [sys.executable, *sys.orig_argv[1:]]
        os.execve(command[0], command, {**SPARING, **os.environ, **mine})  # noqa: S606  # this very program
    return os.environ[MARK]


def marked(run: str, spared: frozenset[int] = frozenset()) -> list[psutil.Process]:
    """The living processes of this user that carry the run's mark, this one and the ``spared`` aside."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid in spared or process.pid == os.getpid():
                continue
            if process.environ().get(MARK) == run:
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def descends(pid: int, leader: int) -> bool:
    """Whether ``pid`` is a living process: ``leader`` itself, or started by it or by one of those."""
    try:
        process = psutil.Process(pid)
        return pid == leader or leader in {parent.pid for parent in process.parents()}
    except (psutil.Error, OSError):
        return False


def end_marked(run: str, spared: frozenset[int] = frozenset()) -> int:
    """Kill whatever of the run is still alive; returns how many processes that were."""
    ended = 0
    while leftovers := marked(run, spared):
        for process in leftovers:
            try:
                process.kill()
                ended += 1
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(leftovers, timeout=2)
    return ended


def stop_marked(run: str, spared: frozenset[int] = frozenset(), grace_s: float = 3.0) -> None:
    """Ask whatever of the run is still alive to stop, and kill what has not stopped in time."""
    processes = marked(run, spared)
    for process in processes:
        try:
            process.terminate()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(processes, timeout=grace_s)
    end_marked(run, spared)
