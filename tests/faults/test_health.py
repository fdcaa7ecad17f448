"""``/health`` and ``/ready`` of a real web process while what it stands on stops and comes back."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg
import pytest
from redis import Redis

from tests.concurrency.storm import web_processes
from tests.support.databases import Database
from tests.worker.processes import cron, wait_until, worker

pytestmark = [pytest.mark.slow, pytest.mark.serial, pytest.mark.timeout(120)]

WATCHED = ("database", "redis", "workers", "cron")


@contextmanager
def silent(*pids: int) -> Iterator[None]:
    """Processes that take connections and say nothing, until the block ends."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):  # a server's process may have ended meanwhile
                os.kill(pid, signal.SIGCONT)


def family(database: Database) -> list[int]:
    """The processes of the PostgreSQL server: its first one, and one for each connection and task."""
    with psycopg.connect(database.url) as connection:
        (folder,) = connection.execute("SHOW data_directory").fetchone() or ("",)
    if not (lock := Path(folder, "postmaster.pid")).exists():
        pytest.skip("the PostgreSQL server is not on this machine")
    first = int(lock.read_text().split()[0])
    found = [first]
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(") ")[2].split()[1])
        except OSError:
            continue  # it has ended meanwhile
        if parent == first:
            found.append(int(stat.parent.name))
    return found


def test_what_stops_is_named_and_comes_back(
    database: Database,
    redis_server: Redis,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    """Workers, clock, Redis, database: each that is missing is told, by name, the others are not blamed for it, only
    the last two keep traffic away, and all is well again as soon as it is back."""
    if database.kind != "postgresql":
        pytest.skip("a file cannot stop")
    valkey = int(redis_server.info("server")["process_id"])  # type: ignore[index]  # it is no asynchronous client
    with web_processes(1) as (web,), httpx.Client(base_url=web.url, timeout=5) as client:

        def missing() -> set[str]:
            """What the checks say does not work; ``traffic`` where requests are not wanted."""
            alive, ready = client.get("/health"), client.get("/ready")
            assert alive.status_code == 200, "a supervisor would restart it"
            bad = {one["name"] for one in alive.json()["checks"] if one["status"] == "failed"}
            return (bad & set(WATCHED)) | ({"traffic"} if ready.status_code == 503 else set())

        def until(*names: str) -> None:
            wait_until(lambda: missing() == set(names), 30)

        until("workers", "cron")
        with (
            worker({}, tmp_path / "worker.log", forked=True) as jobs,
            cron({}, tmp_path / "cron.log") as clock,
        ):
            until()
            with silent(valkey):
                until("redis", "workers", "cron", "traffic")  # Redis is who knows of the other two
            until()
            with silent(*family(database)):
                until("database", "traffic")
            until()
            jobs.terminate()
            until("workers")
            clock.terminate()
            until("workers", "cron")
    record_property("count", "4 stopped, 4 named, all back")
