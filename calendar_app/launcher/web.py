"""The web process with pages that are built beforehand: the ``web`` line of ``Procfile.dev``.

It serves what ``reflex run --env prod --single-port`` serves, by the same server, but builds only when something
changed, so that a start takes seconds.
"""

from __future__ import annotations

import os
import sys

from calendar_app.launcher import frontend
from calendar_app.launcher.checks import programs_path
from calendar_app.launcher.errors import LaunchError

SERVED_BY_REFLEX = {
    # The three switches that `reflex run --env prod --single-port` hands to its own server process.
    "REFLEX_ENV_MODE": "prod",
    "__REFLEX_SKIP_COMPILE": "true",
    "__REFLEX_MOUNT_FRONTEND_COMPILED_APP": "true",
}


def command(environment: dict[str, str]) -> list[str]:
    """The server's command line."""
    return [
        "granian",
        *("--interface", "asgi", "--factory", "--ws", "--no-access-log", "--log-level", "warning"),
        *("--host", environment.get("WEB_HOST", "127.0.0.1"), "--port", environment.get("PORT", "3000")),
        *(
            "--workers",
            environment.get("WEB_CONCURRENCY", "2"),
            "--respawn-failed-workers",
            "--workers-kill-timeout",
            "4",
        ),
        "calendar_app.calendar_app:app",
    ]


def main() -> None:
    """Build if needed, then become the server."""
    environment = {**os.environ, "PATH": programs_path(os.environ)}
    try:
        frontend.ensure_built(environment)
    except LaunchError as error:
        sys.exit(str(error))
    line = command(environment)
    os.chdir(frontend.ROOT)
    os.execvpe(line[0], line, {**environment, **SERVED_BY_REFLEX})  # noqa: S606  # a program of the requirements


if __name__ == "__main__":
    main()
