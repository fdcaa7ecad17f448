"""The sandbox's own Radicale for tests: one process for many, its account made anew for each.

with RadicaleProcess(folder) as radicale:
    radicale.renew()
    with in_front_of(radicale, server) as running:
        running.provider().list_calendars()
"""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import httpx

from calendar_app.launcher.checks import free_port
from calendar_app.providers.base import Credentials
from calendar_app.providers.caldav.account import Secret
from calendar_app.providers.caldav.discovery import CalDavSignIn
from calendar_app.providers.caldav.provider import CalDavCalendar
from calendar_app.providers.ics.provider import IcsCalendar, IcsOpener
from calendar_app.providers.ics.provider import http as link_client
from calendar_app.sandbox.caldav.server import PASSWORD, USERNAME, folder_of, prepare
from calendar_app.sandbox.environment import caldav_environment
from calendar_app.sandbox.stand_in import StandIn
from calendar_app.settings import Settings
from tests.sandbox.server import Sandbox, SharedServer, running_sandbox
from tests.support.servers import dying_with_parent

NOW = datetime.now(UTC).replace(microsecond=0)
_shared: list[RadicaleProcess] = []


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
        self.stop()

    def stop(self) -> None:
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


@dataclass
class Running:
    """Radicale's process behind a sandbox, the settings that lead to it, and the stand-ins over it."""

    radicale: RadicaleProcess
    sandbox: Sandbox
    settings: Settings

    @property
    def stand_in(self) -> StandIn:
        found: StandIn = self.sandbox.app.state.stand_ins["caldav"]
        return found

    @property
    def feed(self) -> Any:
        return self.sandbox.app.state.stand_ins["ics"]

    def provider(self, address: str = "/sandbox/caldav/") -> CalDavCalendar:
        """The product's side, signed in as a person would."""
        typed = Credentials(f"{self.sandbox.url}{address}", USERNAME, PASSWORD)
        opened = CalDavSignIn(self.settings).open(typed)
        return CalDavCalendar(self.settings, Secret.load(opened.secret))

    def link(self) -> IcsCalendar:
        """The product's side of the calendar link."""
        client = link_client(self.settings)
        opened = IcsOpener(client).open(Credentials(f"{self.sandbox.url}{self.feed.path}", "", ""))
        return IcsCalendar(client, opened.secret)


@contextmanager
def in_front_of(radicale: RadicaleProcess, server: SharedServer) -> Iterator[Running]:
    with running_sandbox(
        server=server, clock=lambda: NOW, data_dir=radicale.data_dir, caldav_url=radicale.url
    ) as sandbox:
        port = httpx.URL(sandbox.url).port or 0
        made = caldav_environment(radicale.port, port, "radicale.internal")
        settings = Settings(ALLOWED_PRIVATE_HOSTS=made["ALLOWED_PRIVATE_HOSTS"], HTTP_TIMEOUT="2")  # type: ignore[call-arg]
        yield Running(radicale, sandbox, settings)


def shared(folder: Callable[[], Path]) -> RadicaleProcess:
    """One for the whole run, which ends with it; ``folder`` gives it a place if it has none yet."""
    if not _shared:
        process = RadicaleProcess(folder()).__enter__()
        atexit.register(process.stop)
        _shared.append(process)
    return _shared[0]
