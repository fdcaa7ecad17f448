"""How things stand, in numbers: read from the database and from Redis when Prometheus asks.

Nothing here names a person, an account or a workspace: labels are providers, states, queues and checks.
"""

from __future__ import annotations

import logging
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import defer
from sqlmodel import Session, col, func, select

from calendar_app import queues
from calendar_app.clock import utc_now
from calendar_app.db.session import reading
from calendar_app.db.tables import Booking, Calendar, CalendarWrite, Channel, Connection, Deviation, Mail
from calendar_app.domain.calendar_write import WriteState
from calendar_app.domain.connection import USABLE
from calendar_app.providers import registry
from calendar_app.services.calendar_sync import push_trust
from calendar_app.services.connections.calendars import used
from calendar_app.services.mail.outbox import FAILED, QUEUED, WAITING
from calendar_app.services.operations import health

log = logging.getLogger(__name__)

QUANTILES = (0.5, 0.95, 1.0)
_DAY = timedelta(days=1)


class Standing(Collector):
    """Everything that is read at the moment of the question; what cannot be read is left out, and its check says so."""

    def collect(self) -> Iterator[Metric]:
        now = utc_now()
        yield from _checks()
        try:
            with queues.probe(1.0) as client:
                yield from list(_queues(client, now))
        except (RedisError, OSError):
            log.warning("numbers of queues are missing: Redis is out of reach")
        try:
            with reading() as session:
                for part in _PARTS:
                    yield from part(session, now)
        except (SQLAlchemyError, OSError):
            log.warning("numbers of calendars are missing: the database is out of reach")


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value below which ``share`` of them lie (nearest rank); ``ordered`` is not empty."""
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)]


def _checks() -> Iterator[Metric]:
    gauge = GaugeMetricFamily("almanac_check_ok", "Whether a check of /health passes", labels=["check"])
    for check in health.checks():
        gauge.add_metric([check.name], float(check.status is not health.Status.FAILED))
    yield gauge


def _queues(client: Redis, now: datetime) -> Iterator[Metric]:
    jobs = GaugeMetricFamily("almanac_queue_jobs", "Jobs in a queue, by state", labels=["queue", "state"])
    age = GaugeMetricFamily(
        "almanac_queue_oldest_job_seconds", "How long the first job of a queue has waited", labels=["queue"]
    )
    for one in queues.queue_states(client):
        for state in ("waiting", "running", "scheduled", "failed"):
            jobs.add_metric([one.name, state], getattr(one, state))
        age.add_metric([one.name], _seconds(now, one.oldest))
    workers = GaugeMetricFamily(
        "almanac_workers", "Living workers that take a queue's jobs", labels=["queue"]
    )
    alive = queues.worker_states(client)
    for name in queues.ALL:
        workers.add_metric([name], sum(name in one.queues for one in alive))
    yield from (jobs, age, workers)
    ran = GaugeMetricFamily(
        "almanac_job_last_done_timestamp_seconds", "When a job was last done", labels=["job"]
    )
    for job, moment in cast(dict[bytes, bytes], client.hgetall(health.LAST_RUNS)).items():
        ran.add_metric([job.decode()], float(moment))
    yield ran


def _calendars(session: Session, now: datetime) -> Iterator[Metric]:
    rows = session.exec(
        select(Connection.provider, Calendar, push_trust.vouched_for(now))
        .options(defer(Calendar.sync_cursor), defer(Calendar.unread))  # type: ignore[arg-type]
        .join(Connection, col(Connection.id) == col(Calendar.connection_id))
        .where(col(Connection.status).in_(USABLE))
        .where(col(Calendar.removed_at).is_(None), used())
    ).all()
    lags: defaultdict[str, list[float]] = defaultdict(list)
    states: defaultdict[tuple[str, str], int] = defaultdict(int)
    for provider, calendar, has_channel in rows:
        failing = bool(calendar.last_error_code or calendar.failures)
        if calendar.synced_at is not None and provider not in registry.unread():
            lags[provider].append(_lag_of(calendar, now, vouched=has_channel))
        states[provider, "failing" if failing else "never" if calendar.synced_at is None else "ok"] += 1
    yield _lag(lags)
    yield _counted(
        "almanac_calendars", "Connected calendars that are used, by state", ("provider", "state"), states
    )


def _lag_of(calendar: Calendar, now: datetime, *, vouched: bool) -> float:
    """Seconds for which a reading has been due that was not done: by its plan, or since its last one where it has none,
    or was left to a channel that does not vouch for it any more."""
    assert calendar.synced_at is not None, "it was read"
    due = calendar.reading_due_at
    if due is None or due <= calendar.synced_at or (calendar.relies_on_push and not vouched):
        due = calendar.synced_at
    return _seconds(now, due)


def _lag(lags: Mapping[str, Sequence[float]]) -> Metric:
    """A summary, since only that may have quantiles (prometheus.io/docs/concepts/metric_types): of the calendars there
    are at this moment, and so its sum and count may fall."""
    name = "almanac_sync_lag_seconds"
    lag = Metric(
        name,
        "How long readings of calendars have been due and were not done; quantile 1 is the longest",
        "summary",
    )
    for provider, ages in sorted(lags.items()):
        for share in QUANTILES:
            value = quantile(sorted(ages), share)
            lag.add_sample(name, {"provider": provider, "quantile": f"{share:g}"}, value)
        lag.add_sample(f"{name}_count", {"provider": provider}, len(ages))
        lag.add_sample(f"{name}_sum", {"provider": provider}, sum(ages))
    return lag


def _connections(session: Session, now: datetime) -> Iterator[Metric]:
    rows = session.exec(
        select(Connection.provider, Connection.status, func.count()).group_by(
            col(Connection.provider), col(Connection.status)
        )
    )
    numbers = {(provider, status): number for provider, status, number in rows}
    yield _counted("almanac_connections", "Connections, by status", ("provider", "status"), numbers)
    channels = session.exec(
        select(Connection.provider, Channel.expires_at, Channel.resource_id)
        .join(Calendar, col(Calendar.id) == col(Channel.calendar_id))
        .join(Connection, col(Connection.id) == col(Calendar.connection_id))
        .where(col(Channel.stopped_at).is_(None))
    )
    states: defaultdict[tuple[str, str], int] = defaultdict(int)
    for provider, expires_at, resource in channels:
        states[provider, "expired" if expires_at <= now else "open" if resource else "not_granted"] += 1
    yield _counted("almanac_channels", "Push channels, by state", ("provider", "state"), states)


def _writes(session: Session, now: datetime) -> Iterator[Metric]:
    write = CalendarWrite
    behind = (col(write.applied_version) < col(write.desired_version)) & (
        col(write.state) != WriteState.FAILED
    )
    number, since = session.exec(select(func.count(), func.min(col(write.created_at))).where(behind)).one()
    failed = session.exec(select(func.count()).where(write.state == WriteState.FAILED)).one()
    numbers = {("behind",): number, ("failed",): failed}
    yield _counted("almanac_calendar_writes", "Calendars that lag behind bookings", ("state",), numbers)
    oldest = GaugeMetricFamily(
        "almanac_calendar_write_oldest_seconds", "Age of the oldest row that is behind"
    )
    oldest.add_metric([], _seconds(now, since))
    yield oldest
    mails: Counter[tuple[str, ...]] = Counter()
    for state, number in session.exec(select(Mail.state, func.count()).group_by(col(Mail.state))):
        if state in (*WAITING, FAILED):
            mails[QUEUED if state in WAITING else state,] += number
    yield _counted("almanac_mails", "Letters that wait or were refused", ("state",), mails)
    drift = session.exec(
        select(Deviation.kind, func.count())
        .where(col(Deviation.resolved_at).is_(None))
        .group_by(col(Deviation.kind))
    )
    numbers = {(kind,): number for kind, number in drift}
    yield _counted("almanac_deviations", "Open differences of bookings and calendars", ("kind",), numbers)


def _bookings(session: Session, _now: datetime) -> Iterator[Metric]:
    counter = CounterMetricFamily("almanac_bookings_created", "Bookings ever made")
    counter.add_metric([], session.exec(select(func.count()).select_from(Booking)).one())
    yield counter


_PARTS: tuple[Callable[[Session, datetime], Iterator[Metric]], ...] = (
    _calendars,
    _connections,
    _writes,
    _bookings,
)


def _counted(name: str, text: str, labels: tuple[str, ...], numbers: Mapping[Any, int]) -> Metric:
    """A gauge; the keys of ``numbers`` are tuples of label values."""
    gauge = GaugeMetricFamily(name, text, labels=labels)
    for values, number in sorted(numbers.items()):
        gauge.add_metric(values, number)
    return gauge


def _seconds(now: datetime, since: datetime | None) -> float:
    return max(0.0, (now - since).total_seconds()) if since else 0.0
