"""Run every benchmark, one after the other and each in its own process, and end with which of them failed.

`python -m benchmarks` runs all; `python -m benchmarks slots_engine live` runs those.
"""

from __future__ import annotations

import subprocess
import sys

ALL = (
    "slots_engine",
    "recurrence",
    "slots_http",
    "booking_pages",
    "bookings",
    "jobs",
    "webhooks",
    "sync",
    "caldav",
    "ics_import",
    "live",
    "live_bookings",
    "live_many",
    "requests_to_providers",
)


def main(names: list[str]) -> int:
    """Exit status 0 when every benchmark measured what it means to and kept its aims; the figures are for people."""
    unknown = sorted(set(names) - set(ALL))
    if unknown:
        print(
            f"There is no benchmark called {', '.join(unknown)}; there are {', '.join(ALL)}.", file=sys.stderr
        )
        return 2
    failed = []
    for name in names or ALL:
        print(f"\n== {name} ".ljust(100, "="), flush=True)
        if subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode:
            failed.append(name)
    if failed:
        print(f"\nFailed, did not measure or missed their aims: {', '.join(failed)}.", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
