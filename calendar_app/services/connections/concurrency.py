"""At most so many requests to one account at the same time, across threads and processes.

A provider may bear only few (:attr:`ProviderKind.parallel`) and answers the rest with 429. Slots are members of a
sorted set in Redis whose scores say when they fall free by themselves, so that a process that dies keeps none for long.
Without Redis each process counts for itself: the limit then is looser, and the provider's own answer holds it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from weakref import WeakKeyDictionary

from redis import Redis
from redis.exceptions import RedisError

from calendar_app.clock import jitter
from calendar_app.db.ids import new_id
from calendar_app.errors import RateLimited
from calendar_app.providers import registry
from calendar_app.providers.http import gate
from calendar_app.queues import redis
from calendar_app.services.connections import budget

log = logging.getLogger(__name__)

LEASE = 90.0
"""Seconds after which a slot falls free: far more than one request may take."""
PATIENCE = 20.0
"""Seconds that a request waits for a slot."""
_POLL = 0.02
_DISTRUST = 10.0
"""Seconds for which nobody asks a Redis that did not answer."""

_TAKE = """
local now = redis.call('TIME')
local ms = now[1] * 1000 + math.floor(now[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ms)
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[1]) then return 0 end
redis.call('ZADD', KEYS[1], ms + ARGV[2], ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
"""


@contextmanager
def limited(provider: str, account: str) -> Iterator[None]:
    """Inside, every request of this thread to the account is one of its budget (:mod:`.budget`), and waits for a slot
    if the provider wants that."""
    token = gate.set(partial(_request, provider, account))
    try:
        yield
    finally:
        gate.reset(token)


@contextmanager
def _request(provider: str, account: str) -> Iterator[None]:
    limit = registry.kind(provider).parallel
    with budget.spend(provider, account), slot(f"{provider}:{account}", limit) if limit else nullcontext():
        yield


@contextmanager
def slot(
    account: str, limit: int, *, patience: float = PATIENCE, lease: float = LEASE, server: Redis | None = None
) -> Iterator[None]:
    """Hold one of the account's ``limit`` slots.

    :raises RateLimited: none fell free within ``patience`` seconds.
    """
    name, holder = f"almanac:parallel:{account}", new_id()
    server = server or redis()
    deadline = time.monotonic() + patience
    while (taken := _take(server, name, limit, lease, holder)) is False:
        _wait(deadline)
    if taken is None:
        with _local_slot(account, limit, deadline):
            yield
        return
    try:
        yield
    finally:
        _give_back(server, name, holder)


def _take(server: Redis, name: str, limit: int, lease: float, holder: str) -> bool | None:
    """Whether a slot was free; ``None`` without Redis."""
    if time.monotonic() < _distrusted.get(server, 0.0):
        return None
    try:
        return bool(server.eval(_TAKE, 1, name, limit, int(lease * 1000), holder))
    except (RedisError, OSError):
        log.warning("requests to accounts are counted per process: Redis is out of reach")
        _distrusted[server] = time.monotonic() + _DISTRUST
        return None


def _give_back(server: Redis, name: str, holder: str) -> None:
    try:
        server.zrem(name, holder)
    except (RedisError, OSError):
        log.warning("a slot falls free by itself: Redis is out of reach")


@contextmanager
def _local_slot(account: str, limit: int, deadline: float) -> Iterator[None]:
    while True:
        with _lock:
            if _held[account] < limit:
                _held[account] += 1
                break
        _wait(deadline)
    try:
        yield
    finally:
        with _lock:
            _held[account] -= 1
            if not _held[account]:
                del _held[account]


def _wait(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise RateLimited(
            "Too many requests to this account are under way.", reason="too_many_in_flight", retry_after=15.0
        )
    time.sleep(_POLL * jitter(0.5, 1.5))


_distrusted: WeakKeyDictionary[Redis, float] = WeakKeyDictionary()
_lock = threading.Lock()
_held: dict[str, int] = defaultdict(int)
