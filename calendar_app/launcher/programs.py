"""What runs, by name: one table for ``almanac NAME``, for the launcher and for ``deploy/``."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib import import_module


@dataclass(frozen=True, slots=True)
class Program:
    """``function`` is ``module:name``, imported when the program runs; ``preload`` are modules that it needs then, for
    whoever imports them once and forks."""

    about: str
    function: str
    preload: tuple[str, ...] = ()


WORK = ("calendar_app.worker.jobs", "calendar_app.worker.runner", "rq.cli")
PROGRAMS = {
    "run": Program("Everything on this machine, in one process tree.", "calendar_app.launcher.__main__:main"),
    "web": Program("Pages and API (PORT, WEB_HOST, WEB_CONCURRENCY).", "calendar_app.launcher.web:main"),
    "writer": Program("Brings bookings into calendars.", "calendar_app.worker.runner:write", WORK),
    "worker": Program(
        "Syncs, mail and everything else in the background.", "calendar_app.worker.runner:work", WORK
    ),
    "cron": Program("The clock: queues what is due. One is enough.", "calendar_app.worker.cron:main", WORK),
    "migrate": Program("Brings the database to this version's schema.", "calendar_app.db.migrate:main"),
}
"""What operators start."""
SANDBOX = {
    "sandbox": Program(
        "The sandbox's providers.", "calendar_app.sandbox.app:main", ("calendar_app.sandbox.app",)
    ),
    "caldav": Program("The sandbox's CalDAV server.", "calendar_app.sandbox.caldav.server:main"),
}
"""What the launcher starts besides, while the sandbox is on."""


def function(name: str) -> Callable[[], object]:
    """What the program does; it returns, or exits, when it has ended.

    :raises KeyError: if there is no such program.
    """
    module, _, attribute = {**PROGRAMS, **SANDBOX}[name].function.partition(":")
    found: Callable[[], object] = getattr(import_module(module), attribute)
    return found


def preloads(names: Iterable[str]) -> list[str]:
    """The modules that these programs need, each once."""
    known = {**PROGRAMS, **SANDBOX}
    return list(dict.fromkeys(module for name in names for module in known[name].preload))


def command(name: str) -> list[str]:
    """The program as a process of its own."""
    return [sys.executable, "-m", "calendar_app.launcher.programs", name]


def run(name: str, arguments: Sequence[str] = ()) -> int:
    """Be the program; ``arguments`` are what stands behind its name on the command line."""
    os.umask(0o077)
    sys.argv = [f"almanac {name}", *arguments]
    if arguments and name != "run":
        sys.stderr.write(f"almanac {name} takes no arguments; it reads the environment.\n")
        return 2
    code = function(name)()
    return code if isinstance(code, int) else 0


if __name__ == "__main__":
    sys.exit(run(sys.argv[1]))
