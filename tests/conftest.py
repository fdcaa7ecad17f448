"""Fixtures for every test: settings of its own, a real database of its own, a real Redis-protocol server.

* ``settings``: fresh settings with an isolated ``DATA_DIR``; ``configure(NAME=value)`` changes them.
* ``database``: runs the test on SQLite and on PostgreSQL (``--db sqlite`` or ``--db postgresql`` picks one). The
  server is an embedded PostgreSQL 18, or the one at ``TEST_DATABASE_URL``.
* ``redis_server``: an empty Valkey; without it ``REDIS_URL`` leads nowhere, as on a machine whose Redis is down.
* ``fake``: a calendar provider in memory; ``place``: a business that can be booked, whose host has a calendar there.
* ``clock``: the present, set by hand.
* ``api``: an HTTP client of the API, served on a loopback port.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from cryptography.fernet import Fernet
from hypothesis import HealthCheck
from hypothesis import settings as property_settings
from redis import Redis

from calendar_app import queues
from calendar_app.providers import http
from calendar_app.services.accounts import passwords
from calendar_app.services.common import rate_limits, viewers
from calendar_app.services.connections import budget
from calendar_app.services.operations import health
from calendar_app.settings import Settings, get_settings
from tests.support import databases, servers, web
from tests.support.api_document import verify
from tests.support.clock import Clock
from tests.support.databases import Database
from tests.support.fake_provider import FakeProvider
from tests.support.people import CHEAP
from tests.support.scheduling import Place, bookable

KINDS = ("sqlite", "postgresql")

# Properties are about answers, not about how busy the machine is: timing belongs to benchmarks/.
property_settings.register_profile("almanac", deadline=None, suppress_health_check=[HealthCheck.too_slow])
property_settings.load_profile("almanac")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--db", choices=(*KINDS, "both"), default="both", help="databases that `database` tests run on"
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "database_kind" in metafunc.fixturenames:
        chosen = metafunc.config.getoption("--db")
        kinds = [
            pytest.param(kind, marks=pytest.mark.postgres if kind == "postgresql" else ())
            for kind in KINDS
            if chosen in (kind, "both")
        ]
        metafunc.parametrize("database_kind", kinds, scope="function")


@pytest.fixture(scope="session", autouse=True)
def _never_in_the_repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test, whatever it forgets to ask for, writes a ``.data`` folder into the working tree."""
    patch = pytest.MonkeyPatch()
    patch.setenv("DATA_DIR", str(tmp_path_factory.mktemp("data")))
    yield
    patch.undo()


@pytest.fixture(scope="session", autouse=True)
def _cheap_passwords() -> Iterator[None]:
    """Hashing costs next to nothing in this process."""
    passwords.use_cost(**CHEAP)
    yield
    passwords.use_cost(**passwords.COST)


def _forget_settings() -> None:
    get_settings.cache_clear()
    if queues.redis.cache_info().currsize:
        queues.redis().close()
    queues.forget()
    if http.shared_client.cache_info().currsize:
        http.shared_client().close()
        http.shared_client.cache_clear()
    rate_limits.forget()
    viewers.forget()
    budget.forget()
    health.forget()


@pytest.fixture
def configure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Settings]]:
    """``configure(NAME="value")`` sets environment variables and returns the settings that follow from them."""
    for field in Settings.model_fields.values():
        monkeypatch.delenv(str(field.alias), raising=False)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("REDIS_URL", f"unix://{tmp_path}/no-redis.sock")
    monkeypatch.setenv("SECRET_KEY", "test-secret-" + "x" * 32)
    monkeypatch.setenv("ENCRYPTION_KEYS", Fernet.generate_key().decode())

    def change(**environment: str) -> Settings:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        _forget_settings()
        return get_settings()

    yield change
    _forget_settings()


@pytest.fixture
def logging_restored() -> Iterator[None]:
    """For tests that configure logging as the product does: afterwards it is as before."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    logging.captureWarnings(False)


@pytest.fixture
def settings(configure: Callable[..., Settings]) -> Settings:
    """Settings of a developer's machine with an empty ``DATA_DIR`` and no Redis."""
    return configure()


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return databases.sqlite_template(tmp_path_factory.mktemp("sqlite"))


@pytest.fixture(scope="session")
def _postgres_url(worker_id: str) -> Iterator[str]:
    outside = os.environ.get("TEST_DATABASE_URL")
    name = f"almanac_test_{os.environ.get('TEST_RUN', worker_id)}"
    if outside:
        yield databases.postgres_database(outside.replace("postgres://", "postgresql://", 1), name)
        return
    with servers.postgres_server() as server:
        yield databases.postgres_database(server, name)


@pytest.fixture
def database(
    database_kind: str, configure: Callable[..., Settings], request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[Database]:
    """An empty, migrated database that the services use; on SQLite and on PostgreSQL."""
    if database_kind == "sqlite":
        template: Path = request.getfixturevalue("_sqlite_template")
        url = databases.sqlite_copy(template, template.with_name("almanac.db"))
    else:
        url = databases.emptied(request.getfixturevalue("_postgres_url"))
    configure(DATABASE_URL=url)
    with databases.in_use(database_kind, url) as found:
        yield found


@pytest.fixture(scope="session")
def _valkey_url() -> Iterator[str]:
    with servers.valkey_server() as url:
        yield url


@pytest.fixture
def redis_server(_valkey_url: str, configure: Callable[..., Settings]) -> Iterator[Redis]:
    """An empty Redis-protocol server that the product uses; yields a client of its own."""
    client: Redis = Redis.from_url(_valkey_url)
    client.flushall()
    configure(REDIS_URL=_valkey_url)
    yield client
    client.close()


@pytest.fixture
def fake(database: Database) -> Iterator[FakeProvider]:
    """A calendar provider in memory."""
    with FakeProvider().installed() as provider:
        yield provider


@pytest.fixture
def place(fake: FakeProvider) -> Place:
    """A business with one host and an event type that is open to the public; see :func:`bookable`."""
    return bookable(fake)


@pytest.fixture
def clock() -> Clock:
    """The present, to the second; it moves only when the test says so."""
    return Clock()


@pytest.fixture(scope="session")
def _api_url() -> Iterator[str]:
    from calendar_app.api.app import create_api  # here: most tests need none of it

    with web.served(create_api()) as url:
        yield url


@pytest.fixture
def api(_api_url: str, settings: Settings) -> Iterator[httpx.Client]:
    """A client of the HTTP API without credentials; it follows no redirects, and holds every answer against the OpenAPI
    document. Ask for ``database`` besides."""
    with httpx.Client(base_url=_api_url, timeout=30, event_hooks={"response": [verify]}) as client:
        yield client
