"""Counting what happens, without knowing who reads it: the one place where any room may leave a number.

Numbers gather in the process and are taken from here by :mod:`calendar_app.services.operations.metrics`, which adds
them up over all processes. Labels are few and short by construction, so that nobody's address or id can become one:
every metric says which labels it has, and anything else is an error in our code.
"""

from __future__ import annotations

import os
import threading
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds of the histograms' buckets, in seconds."""
COUNT, SUM = "count", "sum"


@dataclass(frozen=True, slots=True)
class Metric:
    """``timed``: a histogram of seconds instead of a counter."""

    name: str
    help: str
    labels: tuple[str, ...]
    timed: bool = False


PROVIDER_REQUESTS = Metric(
    "almanac_provider_requests",
    "Requests to calendar providers, by the status of the answer (or timeout, network)",
    ("provider", "operation", "status"),
)
PROVIDER_SECONDS = Metric(
    "almanac_provider_request_seconds", "How long providers took to answer", ("provider", "operation"), True
)
HTTP_REQUESTS = Metric(
    "almanac_http_requests", "HTTP requests served, by route template", ("method", "route", "status")
)
HTTP_SECONDS = Metric("almanac_http_request_seconds", "How long requests took", ("method", "route"), True)
JOBS = Metric("almanac_jobs", "Jobs done by workers", ("job", "outcome"))
JOB_SECONDS = Metric("almanac_job_seconds", "How long jobs took", ("job",), True)

METRICS = {
    one.name: one
    for one in (
        PROVIDER_REQUESTS,
        PROVIDER_SECONDS,
        HTTP_REQUESTS,
        HTTP_SECONDS,
        JOBS,
        JOB_SECONDS,
    )
}

Cell = tuple[str, tuple[str, ...], str]
"""Metric, label values, and which of its numbers: :data:`COUNT`, :data:`SUM`, or a bucket's upper bound."""

_lock = threading.Lock()
_numbers: defaultdict[Cell, float] = defaultdict(float)
_calling: ContextVar[tuple[str, str]] = ContextVar("calling", default=("other", "other"))

Work = TypeVar("Work", bound=Callable[..., Any])


def count(metric: Metric, *labels: str, amount: float = 1) -> None:
    """Add to a counter; ``labels`` in the order in which the metric names them."""
    assert len(labels) == len(metric.labels), metric.name
    with _lock:
        _numbers[metric.name, labels, COUNT] += amount


def observe(metric: Metric, seconds: float, *labels: str) -> None:
    """Add a length of time to a histogram."""
    assert metric.timed, metric.name
    assert len(labels) == len(metric.labels), metric.name
    place = bisect_left(BUCKETS, seconds)
    bound = str(BUCKETS[place]) if place < len(BUCKETS) else "+Inf"
    with _lock:
        _numbers[metric.name, labels, bound] += 1
        _numbers[metric.name, labels, SUM] += seconds


def take() -> dict[Cell, float]:
    """What has gathered since the last time, which is forgotten here."""
    with _lock:
        taken = dict(_numbers)
        _numbers.clear()
    return taken


def put_back(numbers: Mapping[Cell, float]) -> None:
    """Numbers that could not be handed on gather again."""
    with _lock:
        for cell, number in numbers.items():
            _numbers[cell] += number


@contextmanager
def calling(provider: str, operation: str) -> Iterator[None]:
    """Requests made inside belong to this operation of a provider."""
    token = _calling.set((provider, operation))
    try:
        yield
    finally:
        _calling.reset(token)


def answered(status: str, began: float) -> None:
    """A provider answered a request that was sent at ``began`` (:func:`time.perf_counter`), or did not."""
    provider, operation = _calling.get()
    count(PROVIDER_REQUESTS, provider, operation, status)
    observe(PROVIDER_SECONDS, time.perf_counter() - began, provider, operation)


class Metered:
    """An object whose every method runs as an operation of ``provider``; otherwise it is the object itself."""

    def __init__(self, provider: str, inner: object) -> None:
        self._provider, self._inner = provider, inner

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        return _metered(self._provider, name, found) if callable(found) else found


def _metered(provider: str, operation: str, work: Work) -> Work:
    @wraps(work)
    def run(*arguments: Any, **options: Any) -> Any:
        with calling(provider, operation):
            result = work(*arguments, **options)
        return _each(provider, operation, result) if isinstance(result, Iterator) else result

    return run  # type: ignore[return-value]  # the same signature, by construction


def _each(provider: str, operation: str, pages: Iterator[Any]) -> Iterator[Any]:
    """The pages of a lazy listing, each of them read as part of the operation."""
    try:
        while True:
            with calling(provider, operation):
                try:
                    page = next(pages)
                except StopIteration:
                    return
            yield page
    finally:
        if isinstance(pages, Generator):
            pages.close()


def _start_anew() -> None:
    """What had gathered before a fork is still with the parent, whose threads may have held the lock."""
    global _lock  # noqa: PLW0603  # a lock cannot be emptied
    _lock = threading.Lock()
    _numbers.clear()


os.register_at_fork(after_in_child=_start_anew)
