"""``almanac run [--logs]``, in a checkout also ``python -m calendar_app.launcher`` (``make run``)."""

from __future__ import annotations

import argparse
import os
import signal
import sys

from calendar_app.launcher import marks
from calendar_app.launcher.errors import LaunchError


def main() -> int:
    """Parse the command line and run; 0 where it was asked to stop."""
    parser = argparse.ArgumentParser(description="Run everything on this machine until Ctrl-C.")
    parser.add_argument(
        "--logs", action="store_true", help="show the processes' output, not only keep it in DATA_DIR"
    )
    arguments = parser.parse_args()
    run = marks.carry()
    # Not above: the process starts itself anew first, to carry the mark.
    from calendar_app.launcher.launch import Launcher
    from calendar_app.settings import SettingsError, load_settings

    os.umask(0o077)
    try:
        launcher = Launcher(load_settings(), run, logs=arguments.logs)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, launcher.request_stop)
        launcher.run()
    except (LaunchError, SettingsError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
