"""The installation's numbers for Prometheus, whichever process is asked.

What processes count (:mod:`calendar_app.metering`) is added up in one hash in Redis, so that many web processes, and
the short-lived processes of jobs, are one source; any of them can be scraped, and only one should be. A Redis that is
away or was emptied costs numbers, never a request: Prometheus takes a smaller number for a restart. How things stand
(queues, calendars, letters) is read when somebody asks (:mod:`calendar_app.services.operations.gauges`).
"""

from __future__ import annotations

import json
import logging
import threading
from collections import defaultdict
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from redis.exceptions import RedisError

from calendar_app import metering, queues
from calendar_app.services.operations import gauges, health

log = logging.getLogger(__name__)

KEY = "almanac:metrics"
"""A hash: JSON of ``[metric, [label values], cell]`` -> number."""
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
EVERY_S = 5.0

Labels = tuple[str, ...]


def flush() -> bool:
    """Add what gathered in this process to the common numbers; false, and nothing lost, without Redis."""
    numbers = metering.take()
    if not numbers:
        return True
    try:
        with queues.probe(2.0) as client, client.pipeline(transaction=False) as pipeline:
            for (name, labels, cell), number in numbers.items():
                pipeline.hincrbyfloat(KEY, json.dumps([name, labels, cell]), number)
            pipeline.execute()
    except (RedisError, OSError):
        metering.put_back(numbers)
        return False
    return True


def job_done(job: str, done: bool) -> None:
    """Note when ``job`` was last done, by Redis's clock, for whoever watches it."""
    if not done:
        return
    try:
        with queues.probe(2.0) as client:
            client.hset(health.LAST_RUNS, job, str(queues.present(client).timestamp()))
    except (RedisError, OSError):
        log.debug("Redis is out of reach: nobody is told that %s was done", job)


def flush_until(stopped: threading.Event) -> None:
    """Hand numbers on every few seconds, from a thread of its own, until ``stopped``; and once more then."""
    while not stopped.wait(EVERY_S):
        flush()
    flush()


def exposition() -> bytes:
    """Everything, in Prometheus's text format 0.0.4."""
    flush()
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Counted())
    registry.register(gauges.Standing())
    return generate_latest(registry)


class _Counted(Collector):
    """The numbers in Redis as metrics."""

    def collect(self) -> Iterator[Metric]:
        try:
            with queues.probe(1.0) as client:
                kept = client.hgetall(KEY)
        except (RedisError, OSError):
            return
        cells: defaultdict[str, defaultdict[Labels, dict[str, float]]] = defaultdict(
            lambda: defaultdict(dict)
        )
        for field, number in kept.items():
            name, labels, cell = json.loads(field)
            cells[name][tuple(labels)][cell] = float(number)
        for name, metric in metering.METRICS.items():
            yield _family(metric, cells[name])


def _family(metric: metering.Metric, series: dict[Labels, dict[str, float]]) -> Metric:
    current = {labels: cells for labels, cells in series.items() if len(labels) == len(metric.labels)}
    if not metric.timed:
        counter = CounterMetricFamily(metric.name, metric.help, labels=metric.labels)
        for labels, cells in sorted(current.items()):
            counter.add_metric(labels, cells.get(metering.COUNT, 0.0))
        return counter
    histogram = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
    for labels, cells in sorted(current.items()):
        total, buckets = 0.0, []
        for bound in [*map(str, metering.BUCKETS), "+Inf"]:
            total += cells.get(bound, 0.0)
            buckets.append((bound, total))
        histogram.add_metric(labels, buckets, cells.get(metering.SUM, 0.0))
    return histogram
