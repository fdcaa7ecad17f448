"""Messages of a Redis channel, for as long as a web process runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator

import redis.asyncio
from redis.exceptions import RedisError

from calendar_app.settings import get_settings

log = logging.getLogger(__name__)

_PAUSES = (0.1, 0.5, 1.0, 2.0, 5.0)


async def messages(channel: str) -> AsyncGenerator[bytes | None, None]:
    """Every message of ``channel`` from now on, without end; for the web process's event loop.

    A lost Redis is waited for. Having it, again or at first, yields ``None``: nobody knows what was missed.
    """
    failures = 0
    while True:
        server = redis.asyncio.Redis.from_url(
            get_settings().redis_url, socket_connect_timeout=2, health_check_interval=30
        )
        try:
            async with server, server.pubsub(ignore_subscribe_messages=True) as subscription:
                await subscription.subscribe(channel)
                yield None
                failures = 0
                async for message in subscription.listen():
                    yield message["data"]
        except (RedisError, OSError):
            log.warning("nothing is heard on %s: Redis is out of reach", channel)
        await asyncio.sleep(_PAUSES[min(failures, len(_PAUSES) - 1)])
        failures += 1
