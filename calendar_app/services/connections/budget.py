"""How many requests a provider may be sent: for each account and for all together, counted across all processes.

A budget is a bucket of tokens in Redis, four fifths of a minute's requests flowing in per minute and a fifth in store,
so that no minute sees more than the quota. What nobody waits for leaves half of what is in store to what a push or a
person asked for, and the last fifth is for those who wait in front of a page. A 429 empties the account's bucket,
closes it until ``Retry-After`` is over for all but these, and halves what is in store for all accounts. Without Redis
each process keeps to a quarter of the budget.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import Enum
from typing import cast

from redis import Redis
from redis.exceptions import RedisError

from calendar_app.errors import RateLimited
from calendar_app.providers import registry
from calendar_app.queues import answers, redis

log = logging.getLogger(__name__)

SPENT = "own_budget"
"""``reason`` of a :class:`RateLimited` that no provider sent."""
STORE, FLOW = 0.2, 0.8
"""Shares of a minute's quota: what a bucket holds, and what flows into it within a minute."""
ALONE = 0.25
"""The share of the budget of a process that knows nothing of the others."""
_DISTRUST_S = 10.0
_LONGEST_S = 3600.0
_KEPT_MS = 120_000


class Urgency(Enum):
    """Who waits for a request; the value is the share of the bucket that it leaves to others, and the seconds for which
    it waits for a token."""

    PERSON = (0.0, 5.0)
    ASKED = (0.2, 5.0)
    PLANNED = (0.5, 2.0)

    @property
    def leaves(self) -> float:
        return self.value[0]

    @property
    def patience(self) -> float:
        return self.value[1]


_urgency: ContextVar[Urgency] = ContextVar("urgency", default=Urgency.PERSON)


@contextmanager
def urgency(level: Urgency) -> Iterator[None]:
    """Requests made inside are this urgent; without this they are what a person waits for."""
    token = _urgency.set(level)
    try:
        yield
    finally:
        _urgency.reset(token)


@dataclass(frozen=True, slots=True)
class Bucket:
    """``per_minute`` requests in any minute."""

    name: str
    per_minute: int

    @property
    def holds(self) -> float:
        return max(1.0, self.per_minute * STORE)

    @property
    def per_ms(self) -> float:
        return self.per_minute * FLOW / 60_000


def buckets(provider: str, account: str) -> tuple[Bucket, Bucket] | None:
    """The account's and that of all accounts; ``None`` where the provider has no quota that we know."""
    kind = registry.kind(provider)
    if not kind.per_account or not kind.per_project:
        return None
    return (
        Bucket(f"almanac:budget:{provider}:{account}", kind.per_account),
        Bucket(f"almanac:budget:{provider}", kind.per_project),
    )


@contextmanager
def spend(provider: str, account: str) -> Iterator[None]:
    """Make one request inside. :raises RateLimited: with reason :data:`SPENT`, there is no token for it in time."""
    both = buckets(provider, account)
    if both is None:
        yield
        return
    level = _urgency.get()
    deadline = time.monotonic() + level.patience
    while wait := _take(both, level):
        if time.monotonic() + wait > deadline:
            raise RateLimited(
                "This account has used up what its provider allows for the moment.",
                reason=SPENT,
                retry_after=max(1.0, wait),
            )
        time.sleep(wait)
    try:
        yield
    except RateLimited as error:
        _shrink(both, min(error.retry_after or 0.0, _LONGEST_S))
        raise


# --- in Redis ---------------------------------------------------------------------------------------------------------

# Each bucket: tokens, the moment at which they were counted, and until when it is closed. All or none of them give one.
_TAKE = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local urgent, leaves = ARGV[1] == '1', tonumber(ARGV[2])
local wait, held = 0, {}
for i = 1, #KEYS do
  local holds, flow = tonumber(ARGV[1 + 2 * i]), tonumber(ARGV[2 + 2 * i])
  local state = redis.call('HMGET', KEYS[i], 'tokens', 'at', 'closed')
  local tokens, at = tonumber(state[1]) or holds, tonumber(state[2]) or now
  tokens = math.min(holds, tokens + math.max(0, now - at) * flow)
  held[i] = tokens
  local floor = math.min(holds * leaves, holds - 1)
  if tokens - 1 < floor then wait = math.max(wait, (floor + 1 - tokens) / flow) end
  local closed = tonumber(state[3]) or 0
  if closed > now and not urgent then wait = math.max(wait, closed - now) end
end
if wait == 0 then
  for i = 1, #KEYS do
    redis.call('HSET', KEYS[i], 'tokens', tostring(held[i] - 1), 'at', now)
    local left = redis.call('PTTL', KEYS[i])
    redis.call('PEXPIRE', KEYS[i], math.max(left, tonumber(ARGV[#ARGV])))
  end
end
return math.ceil(wait)
"""
_SHRINK = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[1], 'tokens', '0', 'at', now, 'closed', now + ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[1] + ARGV[2])
local tokens = tonumber(redis.call('HGET', KEYS[2], 'tokens') or ARGV[3])
redis.call('HSET', KEYS[2], 'tokens', tostring(tokens / 2))
redis.call('PEXPIRE', KEYS[2], ARGV[2])
return 1
"""


def _take(both: tuple[Bucket, Bucket], level: Urgency) -> float:
    """Take a token of each bucket; seconds to wait where there is none, and nothing was taken."""
    server = _server()
    if server is None:
        return _local.take(both, level)
    flows = [str(value) for bucket in both for value in (bucket.holds, bucket.per_ms)]
    urgent = "1" if level is Urgency.PERSON else "0"
    try:
        names = [bucket.name for bucket in both]
        wait = server.eval(_TAKE, len(both), *names, urgent, str(level.leaves), *flows, _KEPT_MS)
        return cast(int, wait) / 1000
    except (RedisError, OSError):
        _distrust()
        return _local.take(both, level)


def _shrink(both: tuple[Bucket, Bucket], seconds: float) -> None:
    account, project = both
    server = _server()
    try:
        if server is not None:
            names = (account.name, project.name)
            server.eval(_SHRINK, 2, *names, int(seconds * 1000), _KEPT_MS, str(project.holds))
            return
    except (RedisError, OSError):
        _distrust()
    _local.shrink(both, seconds)


def _server() -> Redis | None:
    return redis() if time.monotonic() >= _Trust.again and answers() else None


class _Trust:
    """Until when nobody asks a Redis that did not answer."""

    again = 0.0


def _distrust() -> None:
    log.warning("requests to providers are counted per process: Redis is out of reach")
    _Trust.again = time.monotonic() + _DISTRUST_S


# --- without it -------------------------------------------------------------------------------------------------------


class _Local:
    """The same buckets in this process, each a quarter of the size."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[str, tuple[float, float]] = {}
        self._closed: dict[str, float] = {}

    def take(self, both: tuple[Bucket, Bucket], level: Urgency) -> float:
        now, wait, held = time.monotonic() * 1000, 0.0, {}
        with self._lock:
            for bucket in both:
                holds, flow = max(1.0, bucket.holds * ALONE), bucket.per_ms * ALONE
                tokens, at = self._held.get(bucket.name, (holds, now))
                tokens = min(holds, tokens + (now - at) * flow)
                held[bucket.name] = (tokens - 1, now)
                floor = min(holds * level.leaves, holds - 1)
                if tokens - 1 < floor:
                    wait = max(wait, (floor + 1 - tokens) / flow)
                if level is not Urgency.PERSON:
                    wait = max(wait, self._closed.get(bucket.name, 0.0) - now)
            if not wait:
                self._held.update(held)
        return wait / 1000

    def shrink(self, both: tuple[Bucket, Bucket], seconds: float) -> None:
        account, project = both
        now = time.monotonic() * 1000
        with self._lock:
            self._held[account.name] = (0.0, now)
            self._closed[account.name] = now + seconds * 1000
            tokens, at = self._held.get(project.name, (project.holds * ALONE, now))
            self._held[project.name] = (tokens / 2, at)

    def forget(self) -> None:
        with self._lock:
            self._held.clear()
            self._closed.clear()


_local = _Local()


def forget() -> None:
    """Drop what this process counted itself: the settings have changed."""
    _local.forget()
    _Trust.again = 0.0
