"""Production is the product alone: nothing of the sandbox is loaded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PRODUCTION = {
    "ALMANAC_ENV": "production",
    "SECRET_KEY": "s" * 40,
    "ENCRYPTION_KEYS": "eHh4" * 10 + "eHg=",
    "BASE_URL": "https://calendar.example",
}
PROCESSES = (
    "calendar_app.calendar_app",
    "calendar_app.worker.jobs",
    "calendar_app.worker.config",
    "calendar_app.worker.runner",
    "calendar_app.worker.cron",
    "calendar_app.launcher.web",
    "calendar_app.launcher.frontend",
    "calendar_app.cli",
)
"""What the lines of the Procfile, of deploy/ and of the operator import."""
LOADED = """
import importlib, json, sys
for name in {names}:
    importlib.import_module(name)
print(json.dumps(list(sys.modules)))
"""


def environment(folder: Path, **variables: str) -> dict[str, str]:
    """What production finds: the settings that it needs, and no settings of this test."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {**kept, **PRODUCTION, "DATA_DIR": str(folder), **variables}


def test_production_loads_nothing_of_the_sandbox(tmp_path: Path) -> None:
    """Every process of production can be imported, and has then loaded neither stand-ins nor what only they need."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED.format(names=PROCESSES)],
        cwd=ROOT,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert set(PROCESSES) <= loaded
    assert not {name for name in loaded if name.startswith("calendar_app.sandbox")}
    assert not {"radicale", "aiosmtpd"} & loaded
