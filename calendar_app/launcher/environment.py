"""What the processes find in their environment."""

from __future__ import annotations

from collections.abc import Mapping

from calendar_app.launcher import valkey
from calendar_app.launcher.checks import free_port, programs_path
from calendar_app.sandbox.environment import sandbox_environment
from calendar_app.settings import Settings

REFLEX_DATABASE = 1
"""Reflex keeps open pages' states in a database of its own, so that they can be forgotten without touching jobs."""


def prepare(settings: Settings, given: Mapping[str, str]) -> dict[str, str]:
    """The environment of every process, from the settings and the operator's own variables, which win.

    Writes the embedded server's configuration if ``REDIS_URL`` is not given.
    """
    data_dir = settings.data_dir.absolute()
    made = {
        "PATH": programs_path(given),
        "DATA_DIR": str(data_dir),
        "PORT": str(settings.port),
        "BASE_URL": settings.public_url,
        "SECRET_KEY": settings.secret_key.get_secret_value(),
        "ENCRYPTION_KEYS": ",".join(key.get_secret_value() for key in settings.encryption_keys),
        "PYTHONUNBUFFERED": "1",
    }
    defaults = {"WEB_HOST": "127.0.0.1", "WEB_CONCURRENCY": "2"}
    if not given.get("REDIS_URL"):
        made["REDIS_URL"] = valkey.prepare(data_dir)
        defaults["REFLEX_REDIS_URL"] = valkey.numbered(made["REDIS_URL"], REFLEX_DATABASE)
    else:
        defaults["REFLEX_REDIS_URL"] = given["REDIS_URL"]
    if settings.sandbox:
        sandbox_port = given.get("SANDBOX_PORT") or str(free_port())
        made["SANDBOX_PORT"] = sandbox_port
        smtp_port = int(given.get("SANDBOX_SMTP_PORT") or free_port())
        made |= sandbox_environment(settings.public_url, f"http://127.0.0.1:{sandbox_port}", smtp_port)
    return {**defaults, **{name: value for name, value in given.items() if value}, **made}
