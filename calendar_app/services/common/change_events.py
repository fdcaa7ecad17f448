"""Tell open pages that something changed: a worker or request publishes, web processes push to the browsers.

A message carries no data, only which workspace changed; pages read again with their own rights.
"""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial
from typing import NamedTuple

from redis.exceptions import RedisError
from sqlmodel import Session

from calendar_app.db.session import after_commit
from calendar_app.queues import redis as client
from calendar_app.services.common.redis_messages import messages

log = logging.getLogger(__name__)

CHANNEL = "almanac:changed"
"""Redis pub/sub channel; messages are JSON objects with the fields of :class:`Change`."""
EVERYWHERE = "*"
"""In place of a workspace's id: messages may have been missed, every page should read again."""


class Change(NamedTuple):
    """``topic`` (``events``, ``bookings``, ``connections``, ``team`` or ``webhooks``) of a workspace changed.

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


async def listen() -> AsyncGenerator[Change, None]:
    """Every change from now on, without end; for the web process's event loop.

    Having Redis, again or at first, yields a change of :data:`EVERYWHERE`: nobody knows what was missed.
    """
    async with aclosing(messages(CHANNEL)) as heard:
        async for message in heard:
            if found := Change(EVERYWHERE, EVERYWHERE) if message is None else _read(message):
                yield found


def announce(session: Session, workspace_id: str, topic: str, person_id: str = "") -> None:
    """:func:`publish` once the caller's transaction has been committed, and never after a rollback."""
    after_commit(session, partial(publish, workspace_id, topic, person_id))


def _read(data: bytes) -> Change | None:
    try:
        message = json.loads(data)
        return Change(str(message["workspace"]), str(message["topic"]), str(message["person"]))
    except (ValueError, TypeError, KeyError):
        return None
