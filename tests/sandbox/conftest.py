"""A sandbox per test, on loopback, whose clock stands still."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.sandbox.radicale import RadicaleProcess, Running, in_front_of, shared
from tests.sandbox.server import Sandbox, SharedServer, running_sandbox


@pytest.fixture(scope="session")
def server() -> Iterator[SharedServer]:
    with SharedServer() as shared:
        yield shared


@pytest.fixture
def sandbox(server: SharedServer) -> Iterator[Sandbox]:
    with running_sandbox(server=server) as running:
        yield running


@pytest.fixture
def api(sandbox: Sandbox) -> httpx.Client:
    """The owner's Calendar API, every exchange held against the contract."""
    return sandbox.api(sandbox.sign_in())


@pytest.fixture
def raw_api(sandbox: Sandbox) -> httpx.Client:
    """The same without the contract, for requests that break it on purpose."""
    return sandbox.api(sandbox.sign_in(), checked=False)


@pytest.fixture(scope="session")
def radicale(tmp_path_factory: pytest.TempPathFactory) -> RadicaleProcess:
    return shared(lambda: tmp_path_factory.mktemp("radicale"))


@pytest.fixture
def running(radicale: RadicaleProcess, server: SharedServer) -> Iterator[Running]:
    """A sandbox in front of the account as it is on the first start."""
    radicale.renew()
    with in_front_of(radicale, server) as found:
        yield found
