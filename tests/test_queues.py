"""Queues as everybody uses them, when Redis is not what it should be."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator

import pytest

from calendar_app import queues
from calendar_app.services import limits, live
from calendar_app.settings import Settings


@pytest.fixture
def hung(configure: Callable[..., Settings]) -> Iterator[None]:
    """A Redis that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        configure(REDIS_URL=f"redis://127.0.0.1:{server.getsockname()[1]}/0")
        yield


@pytest.mark.usefixtures("hung")
def test_a_hung_redis_is_waited_for_once() -> None:
    """The first to ask waits two seconds, and for the next ones there is no Redis: no request stands in line."""
    before = time.monotonic()
    assert not queues.enqueue(queues.DEFAULT, "sweep")
    assert time.monotonic() - before >= 1.5
    asked = time.monotonic()
    for _ in range(20):
        assert not queues.enqueue(queues.DEFAULT, "sweep")
        assert queues.first_time("anything", 60)
        limits.check("bucket", "key", "100/minute")
        live.publish("workspace", "events")
    assert time.monotonic() - asked < 1.5
