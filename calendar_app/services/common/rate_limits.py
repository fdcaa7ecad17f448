"""How often somebody may try something: sliding windows, counted in Redis and so across every web process.

With Redis out of reach each process counts for itself: a limit then is looser, never absent.
"""

from __future__ import annotations

import ipaddress
import logging
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache

from limits import RateLimitItem, parse
from limits.errors import StorageError
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from redis.exceptions import TimeoutError as RedisTimeout

from calendar_app import queues
from calendar_app.errors import TooManyRequests
from calendar_app.queues import redis
from calendar_app.settings import get_settings

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Standing:
    """How one limit stands after a try: ``quota`` tries in ``window`` seconds, of which ``remaining`` are left;
    ``reset`` seconds until all are."""

    bucket: str
    quota: int
    window: int
    remaining: int
    reset: int


_observed: ContextVar[dict[str, Standing] | None] = ContextVar("observed_limits", default=None)

_local = SlidingWindowCounterRateLimiter(MemoryStorage())


@lru_cache(maxsize=1)
def _shared(url: str) -> SlidingWindowCounterRateLimiter:
    # The pool is our own, so `url` only keeps apart the servers of different settings.
    storage = RedisStorage(
        "redis://", connection_pool=redis().connection_pool, wrap_exceptions=True, key_prefix="almanac:limits"
    )
    return SlidingWindowCounterRateLimiter(storage)


def check(bucket: str, key: str, rule: str) -> None:
    """Count one more try of ``key`` in ``bucket``; ``rule`` is as in `limits`: ``"10/minute"``, ``"5 per 2 hours"``.

    :raises TooManyRequests: the rule is exceeded; ``retry_after`` says when it will not be, in seconds.
    """
    _judge(bucket, key, rule, count=True)


def peek(bucket: str, key: str, rule: str) -> None:
    """Refuse like :func:`check`, without counting: for limits on failures, which :func:`count` counts."""
    _judge(bucket, key, rule, count=False)


def count(bucket: str, key: str, rule: str) -> None:
    """Count one more failure of ``key``, without refusing."""
    try:
        check(bucket, key, rule)
    except TooManyRequests:
        return


@contextmanager
def observed() -> Iterator[dict[str, Standing]]:
    """Collects how the limits stand that are counted inside, by bucket, so that a caller can be told."""
    found: dict[str, Standing] = {}
    token = _observed.set(found)
    try:
        yield found
    finally:
        _observed.reset(token)


def network(address: str) -> str:
    """Whom to count for a visitor's address: itself, or its /64, as who has one IPv6 address has all of those."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    if ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(ip), 64), strict=False))


def forget() -> None:
    """Drop what this process counted itself, and its connection to Redis: the settings have changed."""
    _local.storage.reset()
    _shared.cache_clear()


def _judge(bucket: str, key: str, rule: str, *, count: bool) -> None:
    item = parse(rule)
    try:
        if not queues.answers():
            raise StorageError(RedisTimeout())
        refused = _refused(_shared(get_settings().redis_url), item, (bucket, key), count=count)
    except StorageError as error:
        queues.missed(error.storage_error)
        log.warning("limits are counted per process: Redis is out of reach")
        refused = _refused(_local, item, (bucket, key), count=count)
    if refused is not None:
        wait = max(1, math.ceil(refused - time.time()))
        raise TooManyRequests(f"Too many attempts: try again in {_in_words(wait)}.", retry_after=wait)


def _refused(
    limiter: SlidingWindowCounterRateLimiter, item: RateLimitItem, key: tuple[str, str], *, count: bool
) -> float | None:
    allowed = limiter.hit(item, *key) if count else limiter.test(item, *key)
    found = _observed.get()
    if allowed and (found is None or not count):
        return None
    stats = limiter.get_window_stats(item, *key)
    if found is not None:
        wait = max(0, math.ceil(stats.reset_time - time.time()))
        found[key[0]] = Standing(key[0], item.amount, item.get_expiry(), max(0, stats.remaining), wait)
    return None if allowed else stats.reset_time


def _in_words(seconds: int) -> str:
    if seconds < 90:
        return f"{seconds} seconds" if seconds != 1 else "a second"
    return f"{math.ceil(seconds / 60)} minutes"
