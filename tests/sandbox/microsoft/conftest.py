"""A stand-in for Microsoft 365 per test, on loopback, whose clock stands still."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.sandbox.microsoft.client import Json, Microsoft, ok, running_microsoft
from tests.sandbox.server import SharedServer


@pytest.fixture
def microsoft(server: SharedServer) -> Iterator[Microsoft]:
    with running_microsoft(server) as running:
        yield running


@pytest.fixture
def graph(microsoft: Microsoft) -> httpx.Client:
    """The owner's Graph."""
    return microsoft.graph()


@pytest.fixture
def project(graph: httpx.Client) -> str:
    """The id of an own calendar without events."""
    made: Json = ok(graph.post("me/calendars", json={"name": "Empty"}), 201)
    return str(made["id"])
