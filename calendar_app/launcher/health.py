"""When the product may be called ready: each process does its work, not merely exists."""

from __future__ import annotations

import http.client
from collections.abc import Callable

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

Probe = Callable[[], bool]


def answers(host: str, port: int, path: str) -> Probe:
    """``GET path`` is answered with 200."""

    def probe() -> bool:
        connection = http.client.HTTPConnection(host, port, timeout=5)
        try:
            connection.request("GET", path, headers={"Accept": "*/*"})
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    return probe


def _client(url: str) -> Redis:
    """A client that says at once that there is no answer; the caller asks again."""
    return Redis.from_url(
        url, decode_responses=True, socket_timeout=2, socket_connect_timeout=2, retry=Retry(NoBackoff(), 0)
    )


def redis_answers(url: str) -> Probe:
    """The Redis-compatible server answers a ping; one that still loads its file does not."""

    def probe() -> bool:
        try:
            with _client(url) as client:
                return bool(client.ping())
        except (RedisError, OSError, ValueError):
            return False

    return probe


def registered(url: str, kind: str, ours: Callable[[int], bool]) -> Probe:
    """RQ knows a ``kind`` ("worker" or "cron_scheduler") whose process is ``ours``.

    RQ keeps the names of workers in the set ``rq:workers`` and those of cron schedulers in the sorted set
    ``rq:cron_schedulers``, each with a hash that holds its ``pid``; entries of killed runs stay for a while.
    """

    def probe() -> bool:
        try:
            with Redis.from_url(
                url, decode_responses=True, socket_timeout=2, socket_connect_timeout=2
            ) as client:
                if kind == "worker":
                    keys = list(client.smembers("rq:workers"))
                else:
                    keys = [f"rq:{kind}:{name}" for name in client.zrange(f"rq:{kind}s", 0, -1)]
                pids = [client.hget(key, "pid") for key in keys]
        except (RedisError, OSError):
            return False
        return any(ours(int(pid)) for pid in pids if pid)

    return probe
