"""Fixtures of the fault rows: a provider with switches, a business at it, one database unless more are asked for.

``FAULTS=long`` (as ``make faults`` has it) runs them on both databases and with every variant; else services run on
SQLite and processes on PostgreSQL, with the hardest variants.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from calendar_app.providers import http
from calendar_app.providers.caldav import dav
from calendar_app.settings import Settings
from tests.faults.office import Office, opened
from tests.faults.vendors import past_switches
from tests.sandbox.radicale import RadicaleProcess, shared
from tests.sandbox.server import Sandbox, SharedServer, running_sandbox
from tests.support import databases
from tests.support.databases import Database
from tests.support.long_form import LONG


@pytest.fixture(scope="session")
def server() -> Iterator[SharedServer]:
    with SharedServer() as shared:
        yield shared


@pytest.fixture(params=["sqlite", "postgresql"] if LONG else ["sqlite"])
def database(
    request: pytest.FixtureRequest, configure: Callable[..., Settings], tmp_path: Path
) -> Iterator[Database]:
    """As everywhere, but on one kind in the short form."""
    kind = "postgresql" if request.node.get_closest_marker("serial") and not LONG else request.param
    if kind == "sqlite":
        template: Path = request.getfixturevalue("_sqlite_template")
        url = databases.sqlite_copy(template, template.with_name("almanac.db"))
    else:
        url = databases.emptied(request.getfixturevalue("_postgres_url"))
    configure(DATABASE_URL=url)
    with databases.in_use(kind, url) as found:
        yield found


@pytest.fixture(scope="session")
def radicale(tmp_path_factory: pytest.TempPathFactory) -> RadicaleProcess:
    return shared(lambda: tmp_path_factory.mktemp("radicale"))


@pytest.fixture
def provider(request: pytest.FixtureRequest) -> str:
    """Whose calendar the business has: Google's, unless the test says otherwise."""
    return str(getattr(request, "param", "google"))


@pytest.fixture
def sandbox(
    server: SharedServer, configure: Callable[..., Settings], provider: str, request: pytest.FixtureRequest
) -> Iterator[Sandbox]:
    """The provider, on the real clock; the product's settings lead to it."""
    behind: dict[str, Any] = {}
    if provider in ("caldav", "ics"):
        radicale: RadicaleProcess = request.getfixturevalue("radicale")
        radicale.renew()
        behind = {"caldav_url": radicale.url, "data_dir": radicale.data_dir}
    with running_sandbox(
        server=server, clock=lambda: datetime.now(UTC), wrap=past_switches, **behind
    ) as running:
        allowed = [
            httpx.URL(url).netloc.decode() for url in (running.url, behind.get("caldav_url", running.url))
        ]
        configure(
            **running.environment,
            HTTP_TIMEOUT="2" if behind else "1",
            ALLOWED_PRIVATE_HOSTS=",".join(allowed),
        )
        yield running
        running.client.delete("/sandbox/api/faults")


@pytest.fixture
def office(database: Database, sandbox: Sandbox, provider: str, request: pytest.FixtureRequest) -> Office:
    url = request.getfixturevalue("radicale").url if provider in ("caldav", "ics") else ""
    return opened(sandbox, provider, url)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries follow each other within milliseconds; how long they wait is tests/providers/test_http.py's matter."""
    for module in (http, dav):
        monkeypatch.setattr(module, "BACKOFF", (0.01, 0.02, 0.04))
