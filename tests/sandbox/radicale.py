"""The sandbox's own Radicale for tests: one process for many, its account made anew for each.

with RadicaleProcess(folder) as radicale, radicale.fresh(): ...
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import httpx

from calendar_app.launcher.checks import free_port
from calendar_app.sandbox.caldav.server import folder_of, prepare
from calendar_app.sandbox.environment import caldav_environment
from tests.support.servers import dying_with_parent


class RadicaleProcess:
    """The Procfile's process, on a port of its own; ``data_dir`` holds everything."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir, self.port = data_dir, free_port()
        self.url = f"http://127.0.0.1:{self.port}/"
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        environment = {**os.environ, **caldav_environment(self.port, 0), "DATA_DIR": str(self.data_dir)}
        command = [sys.executable, "-m", "calendar_app.sandbox.caldav.server"]
        log = self.data_dir / "radicale.log"
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                dying_with_parent(command), env=environment, stdout=output, stderr=output
            )
        deadline = time.monotonic() + 30
        while not self._answers():
            assert self.process.poll() is None, log.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        return self

    def __exit__(self, *details: Any) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(10)

    def renew(self) -> None:
        """The account as on the first start, with what the seed puts in it today."""
        folder = folder_of(self.data_dir)
        shutil.rmtree(folder / "collections", ignore_errors=True)
        (folder / "users").unlink(missing_ok=True)
        (self.data_dir / "sandbox-feed-key").unlink(missing_ok=True)
        prepare(self.data_dir, self.port, datetime.now(UTC))

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}.well-known/caldav", trust_env=False).status_code > 0
        except httpx.TransportError:
            return False
