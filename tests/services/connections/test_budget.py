"""One budget of requests for all processes, in which those who wait go first."""

from __future__ import annotations

import threading
from collections.abc import Callable

import httpx
import pytest
from redis import Redis

from calendar_app.errors import ProviderError, RateLimited
from calendar_app.providers.google.errors import to_error
from calendar_app.providers.http import ProviderHttp
from calendar_app.services.calendar_sync import requests as sync_requests
from calendar_app.services.calendar_sync.run import Outcome
from calendar_app.services.connections import budget, concurrency
from calendar_app.services.connections.budget import Urgency, spend, urgency
from calendar_app.settings import Settings
from tests.support.fake_provider import FakeProvider
from tests.support.scheduling import Place

Configure = Callable[..., Settings]


@pytest.fixture(params=["redis", "alone"])
def small(request: pytest.FixtureRequest, configure: Configure) -> str:
    """Ten requests in store for an account, a thousand for all; in Redis, or in a process that knows of no other."""
    share = 1
    if request.param == "redis":
        request.getfixturevalue("redis_server")
    else:
        share = int(1 / budget.ALONE)
    configure(GOOGLE_REQUESTS_PER_ACCOUNT=str(share * 50), GOOGLE_REQUESTS_PER_MINUTE=str(share * 5_000))
    return str(request.param)


def got(level: Urgency, account: str = "ada") -> bool:
    """Whether a request may be made at once."""
    both = budget.buckets("google", account)
    assert both is not None
    return budget._take(both, level) == 0


def test_who_waits_goes_first(small: str) -> None:
    """Planned readings leave half of what is in store, what was asked for a fifth; a person has all of it."""
    assert [got(Urgency.PLANNED) for _ in range(6)] == [True] * 5 + [False]
    assert [got(Urgency.ASKED) for _ in range(4)] == [True] * 3 + [False]
    assert [got(Urgency.PERSON) for _ in range(3)] == [True] * 2 + [False]
    assert got(Urgency.PLANNED, "grace")  # another account's budget


def test_all_accounts_together_have_one_budget(small: str, configure: Configure) -> None:
    """The installation's is spent although no account's is."""
    configure(GOOGLE_REQUESTS_PER_MINUTE="40" if small == "alone" else "10")
    assert [got(Urgency.PERSON, f"account {number}") for number in range(3)] == [True, True, False]


def test_processes_share_what_is_in_store(redis_server: Redis, configure: Configure) -> None:
    """Twenty that come at once get ten tokens between them."""
    configure(GOOGLE_REQUESTS_PER_ACCOUNT="50")
    answers: list[bool] = []
    crowd = [threading.Thread(target=lambda: answers.append(got(Urgency.PERSON))) for _ in range(20)]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join(20)
    assert 10 <= sum(answers) <= 11  # a token flows in every 1.5 seconds


def test_tokens_flow_in_with_time(redis_server: Redis, configure: Configure) -> None:
    """Four fifths of the quota in a minute, and never more in store than a fifth."""
    configure(GOOGLE_REQUESTS_PER_ACCOUNT="50")
    while got(Urgency.PERSON):
        """Spend it."""
    name = "almanac:budget:google:ada"
    redis_server.hincrby(name, "at", -6_000)  # six seconds go by
    assert [got(Urgency.PERSON) for _ in range(5)] == [True] * 4 + [False]
    redis_server.hincrby(name, "at", -3_600_000)
    assert sum(got(Urgency.PERSON) for _ in range(20)) == 10


def call(answer: Callable[[httpx.Request], httpx.Response]) -> None:
    """One request to the account, as a provider makes it."""
    client = httpx.Client(transport=httpx.MockTransport(answer))
    with concurrency.limited("google", "ada"):
        ProviderHttp("https://api.example", "token", to_error, client=client, attempts=1).json("GET", "/x")


def test_a_429_closes_the_account_for_what_can_wait(small: str) -> None:
    """Until Retry-After is over nothing planned is asked of it; a person's request is, and other accounts go on."""
    asked: list[str] = []

    def refuse(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        body = {"error": {"errors": [{"reason": "rateLimitExceeded"}]}}
        return httpx.Response(429, headers={"retry-after": "120"}, json=body)

    with pytest.raises(RateLimited):
        call(refuse)
    for level in (Urgency.PLANNED, Urgency.ASKED):
        with urgency(level), pytest.raises(RateLimited) as refused:
            call(refuse)
        assert refused.value.reason == budget.SPENT
        assert 60 < (refused.value.retry_after or 0) <= 120
    assert len(asked) == 1
    assert got(Urgency.ASKED, "grace")


def test_other_errors_cost_a_token_and_no_more(small: str) -> None:
    """A refusal for another reason closes nothing."""
    with pytest.raises(ProviderError):
        call(lambda _request: httpx.Response(404, json={}))
    assert got(Urgency.PLANNED)


def test_a_provider_without_a_known_quota_has_no_budget(settings: Settings) -> None:
    """CalDAV servers and links are everybody's own: they say 429 themselves."""
    for _ in range(100):
        with spend("caldav", "ada"):
            """Asked."""
    assert budget.buckets("caldav", "ada") is None


@pytest.mark.parametrize("asked", [True, False])
def test_a_spent_budget_is_no_failure(fake: FakeProvider, place: Place, asked: bool) -> None:
    """The reading stays due, nothing is held against calendar or account, and a sweep or a poll takes it up."""
    calendar = place.calendars[0].id
    assert sync_requests.sync_calendar(calendar).outcome is Outcome.DONE
    fake.fail("event_pages", RateLimited(reason=budget.SPENT, retry_after=1.0))
    if asked:
        sync_requests.request(calendar)
    assert sync_requests.sync_calendar(calendar).outcome is Outcome.POSTPONED
    (status,) = sync_requests.status(place.owner)
    assert (status.failures, status.last_error) == (0, "")
    assert (sync_requests.sweep(), sync_requests.poll()) == (int(asked), 1)
    assert sync_requests.sync_calendar(calendar).outcome is Outcome.DONE
    assert (sync_requests.sweep(), sync_requests.poll()) == (0, 0)
