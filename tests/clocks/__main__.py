"""``python -m tests.clocks [--if-possible] [CLOCK …] [-- ARGUMENT …]``: tests under other clocks.

At the hours and on the days (:data:`CLOCKS`) that break what counts on today. Runs pytest once under each clock, all of
them if none is named, with the arguments after ``--``; without arguments, the whole suite. libfaketime moves the clock
of pytest and of every program that it starts, the embedded PostgreSQL included, by the same number of seconds; what
measures time, the monotonic clock, is left alone. Chromium gets it from Playwright (``tests/e2e/conftest.py``).
Exit status 1 where a clock's run fails, or where there is no libfaketime; with ``--if-possible`` that is only said.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock_time
from glob import glob
from math import ceil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIBRARIES = (
    "/usr/lib/*/faketime/libfaketimeMT.so.1",
    "/usr/lib*/faketime/libfaketimeMT.so.1",
    "/usr/local/lib/faketime/libfaketimeMT.so.1",
)
MISSING = "Other clocks need libfaketime: install it, for example with apt-get install libfaketime."
LATE = clock_time(23, 50)


def _last_sunday(year: int, month: int) -> date:
    end = date(year, month, 31)
    return end - timedelta(days=(end.weekday() + 1) % 7)


def _saturday(year: int) -> date:
    """One on which a month begins, or the first after the middle of January."""
    day = date(year, 1, 15)
    return day + timedelta(days=(5 - day.weekday()) % 7)


CLOCKS = {
    "january": lambda year: datetime.combine(date(year, 1, 31), LATE, UTC),
    "march": lambda year: datetime.combine(_last_sunday(year, 3), LATE, UTC),
    "october": lambda year: datetime.combine(_last_sunday(year, 10), LATE, UTC),
    "december": lambda year: datetime.combine(date(year, 12, 31), LATE, UTC),
    "saturday": lambda year: datetime.combine(_saturday(year), clock_time(11, 0), UTC),
}
"""Ten minutes before the end of months, of a year, and of the two days on which Europe's clocks change; a weekend."""


def moment(name: str, now: datetime) -> datetime:
    """The next time that a clock of this name shows; in the future, since cookies and files may not be older."""
    found = CLOCKS[name]
    return min(at for year in (now.year, now.year + 1) if (at := found(year)) > now)


def library(patterns: Sequence[str] = LIBRARIES) -> str | None:
    """Where libfaketime is."""
    return next((path for pattern in patterns for path in sorted(glob(pattern))), None)


def environment(name: str, library: str, now: datetime) -> Mapping[str, str]:
    """What makes programs believe that it is another time."""
    ahead = ceil((moment(name, now) - now).total_seconds())
    started = str(Path(__file__).parent / "started")
    return {
        **os.environ,
        "TEST_CLOCK": name,
        "LD_PRELOAD": library,
        "FAKETIME": f"+{ahead}",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",  # its name in older versions
        "NO_FAKE_STAT": "1",  # else every compiled module of the shared environment looks outdated
        "PYTHONPATH": os.pathsep.join(filter(None, (started, os.environ.get("PYTHONPATH")))),
    }


def main(arguments: list[str], libraries: Sequence[str] = LIBRARIES) -> int:
    at = arguments.index("--") if "--" in arguments else len(arguments)
    options, passed = arguments[:at], arguments[at + 1 :] or ["tests"]
    names = [option for option in options if option != "--if-possible"]
    unknown = [name for name in names if name not in CLOCKS]
    if unknown:
        print(f"There is no clock {unknown[0]}; there are {', '.join(CLOCKS)}.", file=sys.stderr)  # noqa: T201
        return 2
    found = library(libraries)
    if found is None:
        print(MISSING, file=sys.stderr)  # noqa: T201
        return 0 if "--if-possible" in options else 1
    failed = []
    for name in names or CLOCKS:
        now = datetime.now(UTC)
        print(f"\n{name}: as if it were {moment(name, now):%A, %d %B %Y, %H:%M} UTC", flush=True)  # noqa: T201
        begun = time.monotonic()
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *passed]
        if subprocess.run(command, cwd=ROOT, env=environment(name, found, now), check=False).returncode:
            failed.append(name)
        print(f"{name}: {(time.monotonic() - begun) / 60:.1f} minutes")  # noqa: T201
    print(f"\nFailed under: {', '.join(failed)}." if failed else "\nAll clocks passed.")  # noqa: T201
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
