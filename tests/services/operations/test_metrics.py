"""Numbers of many processes become one source, and a missing Redis costs none of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from redis import Redis

from calendar_app import metering
from calendar_app.db.tables import Channel
from calendar_app.providers import registry
from calendar_app.providers.http import MeteredClient
from calendar_app.services.operations import gauges, metrics
from calendar_app.settings import Settings
from tests.support import factories
from tests.support.databases import Database
from tests.support.fake_provider import FakeProvider
from tests.support.prometheus import complaints


@pytest.fixture(autouse=True)
def _nothing_counted() -> Iterator[None]:
    metering.take()
    yield
    metering.take()


def lines(prefix: str) -> list[str]:
    """The samples whose lines begin so."""
    return [line for line in metrics.exposition().decode().splitlines() if line.startswith(prefix)]


def test_processes_add_up(database: Database, redis_server: Redis) -> None:
    """A forked process hands on what it counted itself, and not once more what its parent had counted."""
    metering.count(metering.JOBS, "sweep", "done")
    child = os.fork()
    if not child:
        metering.count(metering.JOBS, "sweep", "done")
        os._exit(0 if metrics.flush() else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert lines("almanac_jobs_total") == ['almanac_jobs_total{job="sweep",outcome="done"} 2.0']


def test_buckets_are_cumulative(database: Database, redis_server: Redis) -> None:
    """A histogram counts in every bucket what fits into it, and sums up."""
    for seconds in (0.004, 0.2, 0.2, 100.0):
        metering.observe(metering.JOB_SECONDS, seconds, "sweep")
    found = dict(line.rsplit(" ", 1) for line in lines("almanac_job_seconds"))
    series = 'almanac_job_seconds_bucket{{job="sweep",le="{}"}}'
    assert [found[series.format(le)] for le in ("0.005", "0.1", "0.25", "60.0", "+Inf")] == [
        "1.0",
        "1.0",
        "3.0",
        "3.0",
        "4.0",
    ]
    assert found['almanac_job_seconds_count{job="sweep"}'] == "4.0"
    assert float(found['almanac_job_seconds_sum{job="sweep"}']) == pytest.approx(100.404)


def test_numbers_wait_for_redis(
    database: Database, redis_server: Redis, configure: Callable[..., Settings], tmp_path: object
) -> None:
    """While Redis is away nothing is lost, and what can be read is still shown."""
    url = os.environ["REDIS_URL"]
    configure(REDIS_URL=f"unix://{tmp_path}/nothing.sock")
    metering.count(metering.JOBS, "sweep", "done")
    assert not metrics.flush()
    assert lines("almanac_bookings_created_total") == ["almanac_bookings_created_total 0.0"]
    configure(REDIS_URL=url)
    assert lines("almanac_jobs_total") == ['almanac_jobs_total{job="sweep",outcome="done"} 1.0']


def test_calls_of_providers_are_counted_by_operation(database: Database, redis_server: Redis) -> None:
    """Each request counts for the provider's operation it is part of, with its status; lazy pages too."""

    class Api:
        capabilities = "all"

        def __init__(self) -> None:
            answers = iter([200, 429, 503])
            self.client = MeteredClient(
                transport=httpx.MockTransport(lambda _request: httpx.Response(next(answers)))
            )

        def get_event(self) -> int:
            return self.client.get("http://api.example/secret-calendar/event").status_code

        def event_pages(self) -> Iterator[int]:
            for _ in range(2):
                yield self.client.get("http://api.example/pages").status_code

    api = metering.Metered("acme", Api())
    assert api.capabilities == "all"
    assert (api.get_event(), list(api.event_pages())) == (200, [429, 503])
    assert lines("almanac_provider_requests_total") == [
        'almanac_provider_requests_total{operation="event_pages",provider="acme",status="429"} 1.0',
        'almanac_provider_requests_total{operation="event_pages",provider="acme",status="503"} 1.0',
        'almanac_provider_requests_total{operation="get_event",provider="acme",status="200"} 1.0',
    ]
    assert "secret-calendar" not in metrics.exposition().decode()


def test_a_provider_that_is_silent_is_counted(database: Database, redis_server: Redis) -> None:
    """Time-outs and broken connections have no status, and count as what they are."""

    def silent(_request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("too long")

    with (
        MeteredClient(transport=httpx.MockTransport(silent)) as client,
        metering.calling("acme", "refresh"),
        pytest.raises(httpx.ReadTimeout),
    ):
        client.post("http://api.example/token")
    assert lines("almanac_provider_requests_total") == [
        'almanac_provider_requests_total{operation="refresh",provider="acme",status="timeout"} 1.0'
    ]


def test_the_registry_meters_whatever_it_hands_out(settings: Settings) -> None:
    """Nobody who adds a provider has to think of it."""
    with FakeProvider().installed():
        assert isinstance(registry.calendar_provider("fake", "token"), metering.Metered)
        assert isinstance(registry.oauth_client("fake"), metering.Metered)


def lag() -> float:
    (oldest,) = lines('almanac_sync_lag_seconds{provider="fake",quantile="1"}')
    return float(oldest.rsplit(" ", 1)[1])


def test_a_calendar_lags_since_its_reading_was_due(database: Database, redis_server: Redis) -> None:
    """Not before that, however long ago it was read; and at once where its channel does not vouch for it any more."""
    team, now = factories.team(), datetime.now(UTC)
    calendar, hour = team.calendar, timedelta(hours=1)
    calendar.synced_at = calendar.sync_started_at = now - 2 * hour
    calendar.reading_due_at, calendar.relies_on_push = now + hour, True
    factories.save(calendar)
    channel = Channel(
        calendar_id=calendar.id, secret="s", resource_id="r", expires_at=now + hour, last_push_at=now - hour
    )
    factories.save(channel)
    assert lag() == 0
    distrusted: tuple[dict[str, Any], ...] = (
        {"resource_id": ""},
        {"refusal": "not proven"},
        {"expires_at": now},
        {"stopped_at": now},
        {"suspected_at": now},
        {"last_push_at": None},
        {"last_message": 1},
    )
    for silent in distrusted:
        kept = {name: getattr(channel, name) for name in silent}
        factories.save(channel.sqlmodel_update(silent))
        assert 7200 <= lag() < 7260, silent
        factories.save(channel.sqlmodel_update(kept))
    assert lag() == 0
    calendar.reading_due_at = now - hour
    factories.save(calendar)
    assert 3600 <= lag() < 3660


def test_lag_and_states_by_provider(database: Database, redis_server: Redis) -> None:
    """How old calendars are and how connections stand is read from the database, and names nobody."""
    team = factories.team()
    team.calendar.synced_at = datetime.now(UTC) - timedelta(minutes=10)
    factories.save(team.calendar)
    (oldest,) = lines('almanac_sync_lag_seconds{provider="fake",quantile="1"}')
    assert 600 <= float(oldest.rsplit(" ", 1)[1]) < 660
    assert lines("almanac_connections{") == ['almanac_connections{provider="fake",status="connected"} 1.0']
    shown = metrics.exposition().decode()
    assert team.person.email not in shown
    assert team.workspace.id not in shown


@pytest.mark.parametrize(("share", "expected"), [(0.5, 2.0), (0.95, 4.0), (1.0, 4.0)])
def test_quantiles_are_values_that_occur(share: float, expected: float) -> None:
    """Nearest rank: half of four values lie at or below the second."""
    assert gauges.quantile([1.0, 2.0, 3.0, 4.0], share) == expected


def test_promtool_accepts_everything(database: Database, redis_server: Redis) -> None:
    """Every family, with rows behind it, keeps the rules of names, types, units and labels."""
    team = factories.team()
    team.calendar.synced_at = datetime.now(UTC) - timedelta(minutes=10)
    factories.save(team.calendar)
    for metric in metering.METRICS.values():
        if metric.timed:
            metering.observe(metric, 0.2, *metric.labels)
        else:
            metering.count(metric, *metric.labels)
    metrics.job_done("sweep", True)
    assert complaints(metrics.exposition().decode()) == []


@pytest.mark.parametrize(
    ("exposition", "complaint"),
    [
        ("# TYPE a gauge\na 1\n", "a has no help text"),
        ('# HELP a A\n# TYPE a gauge\na{quantile="1"} 1\n', "a has a label `quantile`, and is no summary"),
        ('# HELP a A\n# TYPE a gauge\na{le="1"} 1\n', "a has a label `le`, and is no histogram"),
        (
            "# HELP a_total A\n# TYPE a_total gauge\na_total 1\n",
            "a_total ends with _total, and is no counter",
        ),
        ("# HELP a_ms A\n# TYPE a_ms gauge\na_ms 1\n", "a_ms is not in a base unit"),
        ("# HELP aB A\n# TYPE aB gauge\naB 1\n", "aB is not in lower case with underscores"),
    ],
)
def test_what_promtool_refuses_is_found_without_it(exposition: str, complaint: str) -> None:
    """The rules are checked on machines that have no promtool, too."""
    assert complaint in complaints(exposition)
