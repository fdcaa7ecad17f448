"""The processes beside the web server, and whether code and schema belong together."""

from __future__ import annotations

import re
from functools import cache
from importlib import metadata
from pathlib import Path

from calendar_app.services.doctor.findings import Finding, Level
from calendar_app.services.operations import health
from calendar_app.services.operations.health import Status

_LEVELS = {Status.OK: Level.OK, Status.WARNING: Level.WARNING, Status.FAILED: Level.ERROR}
_ADVICE = {
    "workers": "Start the worker and writer processes (see Procfile), and look into their logs if they end.",
    "cron": "Start the cron process (see Procfile): exactly one is enough.",
    "sweeper": "Start cron and a worker; if both run, look under Operations for what holds the queue up.",
    "migrations": "Run the migrations (`alembic upgrade head`), and restart what is older than the schema.",
}
_DATABASE = "migrations"


@cache
def version() -> str:
    """The product's version: of the installed distribution, else of the checkout; empty where neither says it."""
    project = Path(__file__).parents[3] / "pyproject.toml"
    if project.is_file():
        found = re.search(r'^version = "(.+?)"', project.read_text(encoding="utf-8"), re.MULTILINE)
        return found[1] if found else ""
    names = metadata.packages_distributions().get("calendar_app", [])
    return metadata.version(names[0]) if names else ""


def processes() -> list[Finding]:
    """Version, migrations, workers, cron and sweeper."""
    found = [Finding("version", Level.OK, f"Almanac {version()}.")]
    for check in health.checks(fresh=True):
        name = _DATABASE if check.name == "database" else check.name
        if name in _ADVICE:
            level = _LEVELS[check.status]
            found.append(Finding(name, level, check.detail, "" if level is Level.OK else _ADVICE[name]))
    return found
