"""The embedded Redis-compatible server keeps what it was given, for its own user only."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError
from redis.retry import Retry

from calendar_app.launcher import health, valkey


@contextmanager
def running(data_dir: Path, url: str) -> Iterator[Redis]:
    environment = {**os.environ, "DATA_DIR": str(data_dir)}
    server = subprocess.Popen(valkey.command(data_dir), env=environment, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 15
        while not health.redis_answers(url)():
            assert time.monotonic() < deadline, "the server did not start"
            assert server.poll() is None, "the server ended"
            time.sleep(0.02)
        with Redis.from_url(url, decode_responses=True) as client:
            yield client
    finally:
        server.terminate()
        server.wait(10)


def test_what_was_written_outlives_a_restart(tmp_path: Path) -> None:
    """A queued job is still there when the server is started again."""
    with running(tmp_path, valkey.prepare(tmp_path)) as client:
        client.rpush("rq:queue:writes", "job")
    with running(tmp_path, valkey.prepare(tmp_path)) as client:
        assert client.lrange("rq:queue:writes", 0, -1) == ["job"]


def test_the_socket_is_private(tmp_path: Path) -> None:
    """No other user can open the server's socket, directory or configuration."""
    with running(tmp_path, valkey.prepare(tmp_path)) as client:
        assert client.config_get("port")["port"] == "0"
        for name in ("", "valkey.sock", "valkey.conf"):
            assert (tmp_path / "valkey" / name).stat().st_mode & 0o077 == 0, name


def test_a_long_directory_name_means_loopback_and_a_password(tmp_path: Path) -> None:
    """Where no socket fits, the server listens on the loopback interface and asks for a password."""
    long = tmp_path / ("d" * 100)
    long.mkdir()
    url = valkey.prepare(long)
    assert url.startswith("redis://:")
    with running(long, url) as client:
        assert client.config_get("bind")["bind"] == "127.0.0.1"
        port = client.connection_pool.connection_kwargs["port"]
        with Redis(port=port, retry=Retry(NoBackoff(), 0)) as stranger, pytest.raises(AuthenticationError):
            stranger.ping()


@pytest.mark.parametrize(
    ("url", "numbered"),
    [
        ("unix:///data/valkey.sock?db=0", "unix:///data/valkey.sock?db=1"),
        ("redis://:secret@127.0.0.1:6379/0", "redis://:secret@127.0.0.1:6379/1"),
    ],
)
def test_reflex_gets_a_database_of_its_own(url: str, numbered: str) -> None:
    """The same server's database 1 has the same address but for the number."""
    assert valkey.numbered(url, 1) == numbered
