"""Fixtures of the fault rows: a provider with switches, a business at it, one database unless more are asked for.

``FAULTS=long`` (as ``make faults`` has it) runs them on both databases and with every variant; else services run on
SQLite and processes on PostgreSQL, with the hardest variants.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from calendar_app.providers import http
from calendar_app.settings import Settings
from tests.faults.office import LONG, Office, opened
from tests.sandbox.server import Sandbox, SharedServer, running_sandbox
from tests.support import databases
from tests.support.databases import Database


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
        url = databases.sqlite_copy(request.getfixturevalue("_sqlite_template"), tmp_path / "almanac.db")
    else:
        url = databases.emptied(request.getfixturevalue("_postgres_url"))
    configure(DATABASE_URL=url)
    with databases.in_use(kind, url) as found:
        yield found


@pytest.fixture
def sandbox(server: SharedServer, configure: Callable[..., Settings]) -> Iterator[Sandbox]:
    """The provider, on the real clock; the product's settings lead to it."""
    with running_sandbox(server=server, clock=lambda: datetime.now(UTC)) as running:
        configure(**running.environment, HTTP_TIMEOUT="1")
        yield running
        running.client.delete("/sandbox/api/faults")


@pytest.fixture
def office(database: Database, sandbox: Sandbox) -> Office:
    return opened(sandbox)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries follow each other within milliseconds; how long they wait is tests/providers/test_http.py's matter."""
    monkeypatch.setattr(http, "BACKOFF", (0.01, 0.02, 0.04))
