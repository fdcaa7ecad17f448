"""Slots that bound the requests to one account: across threads, after a death, and without Redis."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack

import httpx
import pytest
from redis import Redis

from calendar_app.errors import ProviderError, ProviderUnavailable, RateLimited
from calendar_app.providers.http import ProviderHttp
from calendar_app.services.connections import concurrency
from calendar_app.settings import Settings


class Counter:
    """How many are inside at once, and the most there ever were."""

    def __init__(self) -> None:
        self.inside = self.most = self.total = 0
        self.lock = threading.Lock()
        self.full = threading.Event()

    def __enter__(self) -> None:
        with self.lock:
            self.inside += 1
            self.total += 1
            self.most = max(self.most, self.inside)
            if self.inside == 4:
                self.full.set()

    def __exit__(self, *_details: object) -> None:
        with self.lock:
            self.inside -= 1


def crowd(work: Callable[[], None], size: int = 12) -> None:
    """Run ``work`` in many threads; raises what any of them raised."""
    errors: list[Exception] = []

    def guarded() -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001  # handed on to the test
            errors.append(error)

    threads = [threading.Thread(target=guarded) for _ in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads)
    if errors:
        raise errors[0]


def use(counter: Counter) -> None:
    with concurrency.slot("microsoft:crowded", 4, patience=15), counter:
        counter.full.wait(2)  # stay until all four slots are taken, so that a fifth would be seen


def test_no_more_than_the_limit_are_inside(redis_server: Redis) -> None:
    """Twelve threads share four slots: all get their turn, never five at once, and none is left behind."""
    counter = Counter()
    crowd(lambda: use(counter))
    assert (counter.total, counter.most) == (12, 4)
    assert redis_server.zcard("almanac:parallel:microsoft:crowded") == 0


def test_without_redis_each_process_counts_for_itself(settings: Settings) -> None:
    """A Redis that is away loosens the limit to one process; it neither fails nor opens the gate."""
    counter = Counter()
    crowd(lambda: use(counter))
    assert (counter.total, counter.most) == (12, 4)


def test_the_slots_of_the_dead_fall_free(redis_server: Redis) -> None:
    """Four holders that never come back block others no longer than their lease."""
    dead = [concurrency.slot("microsoft:dead", 4, lease=0.4) for _ in range(4)]
    for holder in dead:
        holder.__enter__()
    with pytest.raises(RateLimited), concurrency.slot("microsoft:dead", 4, patience=0.05):
        raise AssertionError("a fifth got in")
    began = time.monotonic()
    with concurrency.slot("microsoft:dead", 4, patience=10):
        assert time.monotonic() - began < 5


def test_waiting_in_vain_is_an_error_to_come_back_after(redis_server: Redis) -> None:
    """Whoever gets no slot in time is told to try later, and accounts do not stand in each other's way."""
    with ExitStack() as held:
        for _ in range(4):
            held.enter_context(concurrency.slot("microsoft:a", 4))
        with pytest.raises(RateLimited) as caught, concurrency.slot("microsoft:a", 4, patience=0.05):
            raise AssertionError("a fifth got in")
        assert caught.value.retry_after
        with concurrency.slot("microsoft:b", 4, patience=0.05):
            """Another account is free."""
    with concurrency.slot("microsoft:a", 4, patience=0.05):
        """And so is this one again."""


def test_an_error_gives_the_slot_back(redis_server: Redis) -> None:
    """A request that fails holds nothing."""
    with pytest.raises(ProviderUnavailable), concurrency.slot("microsoft:a", 1):
        raise ProviderUnavailable
    assert redis_server.zcard("almanac:parallel:microsoft:a") == 0


def test_only_requests_inside_of_a_limited_call_are_counted(redis_server: Redis) -> None:
    """Within ``limited`` each request of the provider's client holds a slot for as long as it lasts, outside none."""
    seen: list[int] = []

    def answer(_request: httpx.Request) -> httpx.Response:
        seen.append(int(redis_server.zcard("almanac:parallel:microsoft:ada")))
        return httpx.Response(200, json={})

    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        http = ProviderHttp("https://graph.example", "token", lambda _answer: ProviderError(), client=client)
        http.json("GET", "/before")
        with concurrency.limited("microsoft", "ada"):
            http.json("GET", "/inside")
            seen.append(int(redis_server.zcard("almanac:parallel:microsoft:ada")))
            http.json("GET", "/inside")
        with concurrency.limited("google", "ada"):
            http.json("GET", "/unlimited")
    assert seen == [0, 1, 0, 1, 0]
