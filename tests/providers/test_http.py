"""The HTTP layer every provider shares: retries, waits, and what counts as an unreadable answer."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest

from calendar_app.errors import AuthExpired, InvalidRequest, ProviderError, ProviderUnavailable, RateLimited
from calendar_app.providers.google.errors import to_error
from calendar_app.providers.http import ProviderHttp, retry_after

Handler = Callable[[httpx.Request], httpx.Response]


def caller(*answers: httpx.Response | Exception) -> tuple[ProviderHttp, list[httpx.Request], list[float]]:
    """A caller whose server gives ``answers`` in turn, with the requests it got and the waits it slept."""
    seen: list[httpx.Request] = []
    slept: list[float] = []
    queue = list(answers)

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        answer = queue.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    client = httpx.Client(transport=httpx.MockTransport(handle))
    return (
        ProviderHttp("https://api.example/v1", "secret", to_error, client=client, sleep=slept.append),
        seen,
        slept,
    )


def test_booleans_and_token_travel_as_providers_want_them() -> None:
    """Booleans become ``true``/``false``, and the token goes into the Authorization header only."""
    http, seen, _ = caller(httpx.Response(200, json={"ok": 1}))
    assert http.json("GET", "/things", query={"a": True, "b": False, "n": 3}) == {"ok": 1}
    assert str(seen[0].url) == "https://api.example/v1/things?a=true&b=false&n=3"
    assert seen[0].headers["authorization"] == "Bearer secret"


@pytest.mark.parametrize("status", [400, 401, 403])
@pytest.mark.parametrize(
    "reason", ["push.webhookUrlUnauthorized", "push.webhookUrlNotHttps", "push.somethingNew"]
)
def test_a_refusal_to_push_says_nothing_of_the_grant(status: int, reason: str) -> None:
    """Google's ``push.*`` reasons are a refused request, whatever status they come with, and are not asked again."""
    body = {"error": {"code": status, "message": "No pushes", "errors": [{"reason": reason}]}}
    http, seen, _ = caller(httpx.Response(status, json=body))
    with pytest.raises(InvalidRequest, match="push") as refused:
        http.json("POST", "/calendars/a/events/watch", body={})
    assert (refused.value.reason, len(seen)) == (reason, 1)


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_retryable_statuses_back_off_and_then_succeed(status: int) -> None:
    """Two refusals that may pass are waited out with growing, jittered pauses."""
    http, seen, slept = caller(httpx.Response(status), httpx.Response(status), httpx.Response(200, json={}))
    assert http.json("GET", "/") == {}
    assert len(seen) == 3
    assert 0.75 <= slept[0] <= 1.25
    assert 1.5 <= slept[1] <= 2.5


def test_retry_after_wins_over_our_backoff() -> None:
    """A wait that the provider names is slept in full, not our own guess."""
    http, _, slept = caller(httpx.Response(429, headers={"retry-after": "7"}), httpx.Response(200, json={}))
    http.json("GET", "/")
    assert slept == [7.0]


def test_a_long_wait_is_handed_to_the_scheduler() -> None:
    """A wait too long to sleep through is raised at once, with its length."""
    http, seen, slept = caller(httpx.Response(429, headers={"retry-after": "3600"}))
    with pytest.raises(RateLimited) as caught:
        http.json("GET", "/")
    assert caught.value.retry_after == 3600
    assert (len(seen), slept) == (1, [])


def test_tries_are_bounded() -> None:
    """A provider that stays down is asked four times, then the error is raised."""
    http, seen, _ = caller(*[httpx.Response(503)] * 9)
    with pytest.raises(ProviderUnavailable):
        http.json("GET", "/")
    assert len(seen) == 4


@pytest.mark.parametrize(
    "answer",
    [
        httpx.ReadTimeout("slow"),
        httpx.ConnectError("refused"),
        httpx.RemoteProtocolError("cut short"),
        httpx.Response(200, text="<html>hello</html>"),
        httpx.Response(200, text='{"items": ['),
        httpx.Response(200, json=[1]),
    ],
)
def test_silence_and_garbage_are_unavailability(answer: httpx.Response | Exception) -> None:
    """Time-outs, broken connections and bodies that are no JSON object all end as ProviderUnavailable."""
    http, _, _ = caller(*[answer] * 4)
    with pytest.raises(ProviderUnavailable) as caught:
        http.json("GET", "/")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "kind"), [(401, AuthExpired), (400, InvalidRequest), (302, InvalidRequest)]
)
def test_final_refusals_are_not_repeated(status: int, kind: type[ProviderError]) -> None:
    """A refusal that will not change is raised after one request; redirects are not followed."""
    http, seen, _ = caller(httpx.Response(status, headers={"location": "https://evil.example/"}))
    with pytest.raises(kind):
        http.json("GET", "/")
    assert len(seen) == 1


def test_retry_after_reads_seconds_and_dates() -> None:
    """Both forms of RFC 9110 §10.2.3 are understood; nonsense and the past are harmless."""
    now = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)

    def wait(value: str) -> float | None:
        return retry_after(httpx.Response(429, headers={"retry-after": value}), lambda: now)

    assert wait("12") == 12
    assert wait(format_datetime(now + timedelta(seconds=90), usegmt=True)) == 90
    assert wait(format_datetime(now - timedelta(seconds=90), usegmt=True)) == 0
    assert wait("soon") is None
    assert retry_after(httpx.Response(429)) is None
