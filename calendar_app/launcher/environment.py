"""What the processes find in their environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

from calendar_app.launcher import valkey
from calendar_app.launcher.checks import free_port, is_free, programs_path, require_sandbox
from calendar_app.settings import Settings

SMALL_MACHINE = 2
"""Processors, at most."""
REFLEX_DATABASE = 1
"""Reflex keeps open pages' states in a database of its own, so that they can be forgotten without touching jobs."""


def prepare(settings: Settings, given: Mapping[str, str]) -> dict[str, str]:
    """The environment of every process, from the settings and the operator's own variables, which win.

    Writes the embedded server's configuration if ``REDIS_URL`` is not given.

    :raises LaunchError: if the sandbox is on and not installed.
    """
    data_dir = settings.data_dir.absolute()
    made = {
        "PATH": programs_path(given),
        **anywhere(settings, given),
        "PORT": str(settings.port),
        "SECRET_KEY": settings.secret_key.get_secret_value(),
        "ENCRYPTION_KEYS": ",".join(key.get_secret_value() for key in settings.encryption_keys),
        "PYTHONUNBUFFERED": "1",
    }
    defaults = {"WEB_HOST": "127.0.0.1", "WEB_CONCURRENCY": str(web_processes(os.cpu_count() or 1))}
    if not given.get("REDIS_URL"):
        made["REDIS_URL"] = valkey.prepare(data_dir)
        defaults["REFLEX_REDIS_URL"] = valkey.numbered(made["REDIS_URL"], REFLEX_DATABASE)
    else:
        defaults["REFLEX_REDIS_URL"] = given["REDIS_URL"]
    if settings.base_url or settings.sandbox:  # else it may be entered in the set-up page
        made["BASE_URL"] = settings.public_url
    if settings.sandbox:
        made |= _for_sandbox(settings, given)
    return {**defaults, **{name: value for name, value in given.items() if value}, **made}


def web_processes(processors: int) -> int:
    """How many serve where the operator does not say: beside all others, one is enough on a small machine."""
    return 2 if processors > SMALL_MACHINE else 1


def anywhere(settings: Settings, given: Mapping[str, str]) -> dict[str, str]:
    """What names files relative to this process's working directory, for processes whose directory is another."""
    data_dir = settings.data_dir.absolute()
    made = {"DATA_DIR": str(data_dir), "REFLEX_STATES_WORKDIR": str(data_dir / "states")}
    made["REFLEX_UPLOADED_FILES_DIR"] = str(data_dir / "uploads")
    scheme, slashes, path = given.get("DATABASE_URL", "").partition(":///")
    if scheme.startswith("sqlite") and path and path != ":memory:" and not path.startswith("file:"):
        made["DATABASE_URL"] = f"{scheme}{slashes}{Path(path).absolute()}"
    return made


def _for_sandbox(settings: Settings, given: Mapping[str, str]) -> dict[str, str]:
    """Where the sandbox is. It is imported here and not above, because production has none."""
    require_sandbox()
    sandbox = import_module("calendar_app.sandbox.environment")
    data_dir = settings.data_dir.absolute()
    port = int(given.get("SANDBOX_PORT") or _kept_port(data_dir / "sandbox_port"))
    smtp_port = int(given.get("SANDBOX_SMTP_PORT") or free_port())
    caldav_port = int(given.get("SANDBOX_CALDAV_PORT") or _kept_port(data_dir / "caldav_port"))
    return {
        "SANDBOX_PORT": str(port),
        **sandbox.sandbox_environment(settings.public_url, f"http://127.0.0.1:{port}", smtp_port),
        **sandbox.caldav_environment(caldav_port, port, given.get("ALLOWED_PRIVATE_HOSTS", "")),
    }


def _kept_port(file: Path) -> int:
    """The port that an earlier run took, because connected accounts hold it in their address, if it is free."""
    try:
        port = int(file.read_text())
    except (OSError, ValueError):
        port = 0
    if not port or not is_free(port):
        port = free_port()
        file.write_text(str(port))
    return port
