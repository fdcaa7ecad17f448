"""``python -m calendar_app.sandbox.caldav.server``: Radicale on loopback, its calendars in ``DATA_DIR/radicale``.

Environment: ``SANDBOX_CALDAV_PORT`` (5232). The account is made on the first start, and its calendars are Radicale's
own from then on.
"""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import orjson

from calendar_app.sandbox.caldav.seed import calendars
from calendar_app.settings import SettingsError, get_settings

USERNAME = "owner@example.com"
PASSWORD = "app-password-known-to-everybody"  # noqa: S105  # opens nothing but invented calendars
DEFAULT_PORT = 5232


def folder_of(data_dir: Path) -> Path:
    """Where the server keeps everything."""
    return data_dir.absolute() / "radicale"


def users_file(data_dir: Path) -> Path:
    """The htpasswd file, which Radicale reads at every request."""
    return folder_of(data_dir) / "users"


def prepare(data_dir: Path, port: int, now: datetime) -> Path:
    """Write the configuration, and on the first start the account; returns the configuration's path."""
    folder = folder_of(data_dir)
    collections = folder / "collections" / "collection-root" / USERNAME
    folder.mkdir(parents=True, exist_ok=True)
    users = users_file(data_dir)
    if not users.exists():
        users.write_text(f"{USERNAME}:{PASSWORD}\n")
    if not collections.exists():
        for calendar in calendars(now):
            home = collections / calendar.name
            home.mkdir(parents=True)
            (home / ".Radicale.props").write_bytes(orjson.dumps(calendar.props))
            for name, text in calendar.events.items():
                (home / name).write_text(text, newline="")
    config = folder / "config"
    config.write_text(
        f"[server]\nhosts = 127.0.0.1:{port}\n"
        f"[auth]\ntype = htpasswd\nhtpasswd_filename = {users}\nhtpasswd_encryption = plain\ndelay = 0\n"
        f"[storage]\nfilesystem_folder = {folder / 'collections'}\n"
        "[logging]\nlevel = warning\n"
    )
    return config


def main() -> None:
    """Become Radicale, so that whoever started this process starts and stops that one.

    :raises SettingsError: in production.
    """
    settings = get_settings()
    if settings.production:
        raise SettingsError("The sandbox cannot run in production: ALMANAC_ENV is set to production.")
    port = int(os.environ.get("SANDBOX_CALDAV_PORT") or DEFAULT_PORT)
    config = prepare(settings.data_dir, port, datetime.now(UTC))
    command = [sys.executable, "-m", "radicale", "--config", str(config)]
    os.execv(command[0], command)  # noqa: S606  # our own interpreter


if __name__ == "__main__":
    main()
