"""Ending browser sessions, and telling every web process of it, which then closes their pages' websockets.

A message names the sessions by the digests of their secrets, with which nobody can sign in.
"""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncGenerator, Callable, Collection
from contextlib import aclosing
from functools import partial

from redis.exceptions import RedisError
from sqlalchemy import ColumnElement
from sqlmodel import Session, col, delete

from calendar_app.db.session import after_commit
from calendar_app.db.tables import AuthSession
from calendar_app.queues import redis as client
from calendar_app.services.common.redis_messages import messages

log = logging.getLogger(__name__)

CHANNEL = "almanac:sessions-ended"
"""Redis pub/sub channel; a message is a JSON array of digests."""
here: list[Callable[[Collection[str]], object]] = []
"""Called with the digests in the thread that ended the sessions: this process knows it without Redis."""


def end_sessions(session: Session, which: ColumnElement[bool]) -> int:
    """Delete the browser sessions that match, and tell of it once that is committed; how many there were."""
    rows = session.execute(delete(AuthSession).where(which).returning(col(AuthSession.token_hash)))
    ended = list(rows.scalars())
    if ended:
        after_commit(session, partial(publish_ended, ended))
    return len(ended)


def publish_ended(ended: Collection[str]) -> None:
    """Name sessions that have ended. A dead Redis is logged, not raised: web processes also look for themselves."""
    for hear in here:
        hear(ended)
    try:
        client().publish(CHANNEL, json.dumps(list(ended)))
    except (RedisError, OSError):
        log.warning("open pages were not told that their session ended: Redis is out of reach")


async def listen() -> AsyncGenerator[frozenset[str] | None, None]:
    """The digests of sessions as they end, without end; ``None`` where some may have been missed."""
    async with aclosing(messages(CHANNEL)) as heard:
        async for message in heard:
            yield None if message is None else _read(message)


def _read(message: bytes) -> frozenset[str] | None:
    try:
        return frozenset(map(str, json.loads(message)))
    except (ValueError, TypeError):
        return None
