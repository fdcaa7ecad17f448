"""``almanac COMMAND``, in a checkout ``python -m calendar_app COMMAND``.

A process of the product is started as what it is, without importing the other commands; all others are in
:mod:`calendar_app.cli`.
"""

from __future__ import annotations

import sys

from calendar_app.launcher import programs


def main() -> int:
    """Run the command; 0 when all is well."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    # `run` has options of its own; the help of the others is with the commands'.
    if name in programs.PROGRAMS and (name == "run" or not {"-h", "--help"} & set(sys.argv[2:])):
        return programs.run(name, sys.argv[2:])
    from calendar_app import cli

    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
