"""Which providers the contract suite runs for, and at which counterparts."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from functools import cached_property
from pathlib import Path

from tests.providers.suite.caldav import caldav
from tests.providers.suite.calendly import calendly
from tests.providers.suite.google import google
from tests.providers.suite.harness import Harness
from tests.providers.suite.ics import Publisher, ics
from tests.providers.suite.microsoft import microsoft
from tests.sandbox.server import SharedServer, serving
from tests.support import dav_servers
from tests.support.dav_servers import DavServer


class Counterparts:
    """Servers that many tests share, each started when the first asks for it: starting takes longer than a test."""

    def __init__(self, folder: Path, running: ExitStack) -> None:
        self.folder, self._running = folder, running

    @cached_property
    def sandbox(self) -> SharedServer:
        return self._running.enter_context(SharedServer())

    @cached_property
    def publisher(self) -> tuple[str, Publisher]:
        """Where calendar files are published: address and files."""
        made = Publisher()
        return self._running.enter_context(serving(made)), made

    @cached_property
    def radicale(self) -> DavServer:
        return self._running.enter_context(dav_servers.radicale(self.folder))

    @cached_property
    def xandikos(self) -> DavServer:
        return self._running.enter_context(dav_servers.xandikos(self.folder))


HarnessMaker = Callable[[Counterparts], AbstractContextManager[Harness]]

HARNESSES: dict[str, HarnessMaker] = {
    "google": lambda at: google(at.sandbox),
    "microsoft": lambda at: microsoft(at.sandbox),
    "calendly": lambda at: calendly(at.sandbox),
    "caldav-radicale": lambda at: caldav(at.radicale, at.folder / "users"),
    "ics": lambda at: ics(*at.publisher),
    "caldav-xandikos": lambda at: caldav(at.xandikos, at.folder / "users"),
}
"""A fresh account at each provider's counterpart, by a name for the test."""
