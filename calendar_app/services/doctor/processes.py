"""The processes beside the web server, and whether code and schema belong together."""

from __future__ import annotations

import calendar_app
from calendar_app.services.doctor.findings import Finding, Level
from calendar_app.services.operations import health
from calendar_app.services.operations.health import Status

_LEVELS = {Status.OK: Level.OK, Status.WARNING: Level.WARNING, Status.FAILED: Level.ERROR}
_ADVICE = {
    "workers": "Start the worker and writer processes (`almanac worker` and `writer`), and see their logs.",
    "cron": "Start the cron process (`almanac cron`): exactly one is enough.",
    "sweeper": "Start cron and a worker; if both run, look under Operations for what holds the queue up.",
    "migrations": "Run the migrations: `almanac migrate`, or in a checkout `alembic upgrade head`.",
}
_DATABASE = "migrations"


def processes() -> list[Finding]:
    """Version, migrations, workers, cron and sweeper."""
    found = [Finding("version", Level.OK, f"Almanac {calendar_app.__version__}.")]
    for check in health.checks(fresh=True):
        name = _DATABASE if check.name == "database" else check.name
        if name in _ADVICE:
            level = _LEVELS[check.status]
            found.append(Finding(name, level, check.detail, "" if level is Level.OK else _ADVICE[name]))
    return found
