"""Tell open pages that something changed: a worker or request publishes, web processes push to the browsers.

A message carries no data, only which workspace changed; pages read again with their own rights.
"""

from __future__ import annotations

import json
import logging
import time

from redis.exceptions import RedisError

from calendar_app.queues import redis

log = logging.getLogger(__name__)

CHANNEL = "almanac:changed"
"""Redis pub/sub channel; messages are JSON ``{"workspace": id, "topic": "events" | "bookings" | "connections",
"version": milliseconds}``. Every web process hears each message; equal versions let them act on it once."""


def publish(workspace_id: str, topic: str) -> None:
    """Say that ``topic`` of a workspace changed; call it after the commit. A dead Redis is logged, not raised."""
    message = {"workspace": workspace_id, "topic": topic, "version": time.time_ns() // 1_000_000}
    try:
        redis().publish(CHANNEL, json.dumps(message))
    except (RedisError, OSError):
        log.warning("open pages were not told of a change: Redis is out of reach")
