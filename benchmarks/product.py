"""The whole product on a free port with data of its own, for measurements through the front door."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from playwright.sync_api import Browser, Page, Playwright

OWNER = "owner@example.com"
START_WITHIN_S = 240


@dataclass(frozen=True)
class Product:
    """A running product: where it is, the demo owner's password, and the launcher's process id."""

    url: str
    password: str
    pid: int

    def client(self) -> httpx.Client:
        """An HTTP client with the owner's API token."""
        answer = httpx.post(f"{self.url}/api/v1/auth/token", json={"email": OWNER, "password": self.password})
        answer.raise_for_status()
        token = answer.json()["access_token"]
        return httpx.Client(base_url=self.url, headers={"authorization": f"Bearer {token}"}, timeout=60)

    def sign_in(self, page: Page) -> None:
        """Sign the owner in, in a browser."""
        page.goto(f"{self.url}/login")
        page.get_by_label("Email").fill(OWNER)
        page.get_by_label("Password").fill(self.password)
        page.get_by_role("button", name="Sign in", exact=True).click()
        page.wait_for_url("**/dashboard")

    def connect_google(self, page: Page) -> None:
        """Connect the sandbox's Google account, as the owner would."""
        page.goto(f"{self.url}/settings/calendars")
        page.get_by_role("button", name="Connect Google").first.click()
        page.get_by_role("button", name="Allow").click()
        page.wait_for_url("**/settings/calendars?connected=**")


@contextmanager
def running() -> Iterator[Product]:
    """Start the product as ``make run`` does and stop it again."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="almanac-bench-") as data:
        environment = {"WEB_CONCURRENCY": "2", **os.environ, "PORT": str(port), "DATA_DIR": data}
        log = Path(data) / "launcher.log"
        with log.open("w") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "calendar_app.launcher"], stdout=output, stderr=output, env=environment
            )
        try:
            yield Product(f"http://localhost:{port}", _password(process, log), process.pid)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def _password(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + START_WITHIN_S
    while time.monotonic() < deadline:
        lines = log.read_text().splitlines()
        found = [line.split(": ", 1)[1] for line in lines if line.startswith("password: ")]
        if found:
            return found[0]
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise SystemExit("The product did not start:\n" + log.read_text())


def chromium(playwright: Playwright) -> Browser:
    """Debian's Chromium where there is one, else the one that Playwright installed."""
    system = Path("/usr/bin/chromium")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    if system.exists():
        return playwright.chromium.launch(executable_path=str(system), args=flags)
    return playwright.chromium.launch(args=flags)
