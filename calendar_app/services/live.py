"""Tell open pages that something changed: a worker or request publishes, web processes push to the browsers.

A message carries no data, only which workspace changed; pages read again with their own rights.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from typing import NamedTuple

import redis.asyncio
from redis.exceptions import RedisError

from calendar_app.queues import redis as client
from calendar_app.settings import get_settings

log = logging.getLogger(__name__)

CHANNEL = "almanac:changed"
"""Redis pub/sub channel; messages are JSON objects with the fields of :class:`Change`."""
EVERYWHERE = "*"
"""In place of a workspace's id: messages may have been missed, every page should read again."""
_PAUSES = (0.1, 0.5, 1.0, 2.0, 5.0)


class Change(NamedTuple):
    """``topic`` (``events``, ``bookings``, ``connections`` or ``team``) of a workspace changed.

    ``person`` is the id of the member whose calendars it is about and nobody else's, empty where it may be anybody.
    """

    workspace: str
    topic: str
    person: str = ""


def publish(workspace_id: str, topic: str, person_id: str = "") -> None:
    """Say that ``topic`` of a workspace changed, for :class:`Change`; call it after the commit.

    A dead Redis is logged, not raised.
    """
    try:
        client().publish(CHANNEL, json.dumps(Change(workspace_id, topic, person_id)._asdict()))
    except (RedisError, OSError):
        log.warning("open pages were not told of a change: Redis is out of reach")


async def listen() -> AsyncIterator[Change]:
    """Every change from now on, without end; for the web process's event loop.

    A lost Redis is waited for. Having it, again or at first, yields a change of :data:`EVERYWHERE`: nobody knows what
    was missed.
    """
    failures = 0
    while True:
        server = redis.asyncio.Redis.from_url(
            get_settings().redis_url, socket_connect_timeout=2, health_check_interval=30
        )
        try:
            async with server, server.pubsub(ignore_subscribe_messages=True) as subscription:
                await subscription.subscribe(CHANNEL)
                yield Change(EVERYWHERE, EVERYWHERE)
                failures = 0
                async for message in subscription.listen():
                    if found := _read(message["data"]):
                        yield found
        except (RedisError, OSError):
            log.warning("open pages are not told of changes: Redis is out of reach")
        await asyncio.sleep(_PAUSES[min(failures, len(_PAUSES) - 1)])
        failures += 1


def _read(data: bytes) -> Change | None:
    try:
        message = json.loads(data)
        return Change(str(message["workspace"]), str(message["topic"]), str(message["person"]))
    except (ValueError, TypeError, KeyError):
        return None
