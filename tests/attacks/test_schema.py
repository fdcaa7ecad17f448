"""Requests made up from the OpenAPI document, by schemathesis: whatever comes, no operation answers 5xx.

Signed in as an owner, with ids that exist and ids that do not. ``FAULTS=long`` tries more of each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from redis import Redis

from calendar_app.api.app import create_v1
from tests.support import factories
from tests.support.databases import Database
from tests.support.fake_provider import FakeProvider
from tests.support.long_form import LONG
from tests.support.scheduling import bearer, bookable

pytestmark = [pytest.mark.timeout(600), pytest.mark.slow]

BASE = "http://api.invalid"
EXAMPLES = 25 if LONG else 3
SCHEMA = schemathesis.openapi.from_dict(create_v1().openapi())
OPERATIONS = {
    f"{found.ok().method.upper()} {found.ok().path}": found.ok() for found in SCHEMA.get_all_operations()
}
ENDS_THE_SESSION = {
    "PUT /me/password",
    "DELETE /sessions",
    "DELETE /sessions/{session_id}",
    "DELETE /tokens/{token_id}",
}


@pytest.fixture
def fake(database: Database, redis_server: Redis) -> Iterator[FakeProvider]:
    if database.kind == "postgresql" and not LONG:
        pytest.skip("on SQLite alone, but in the long form")
    with FakeProvider().installed() as provider:
        yield provider


def _is_not_configured(answer: httpx.Response) -> bool:
    """The one 503 that the API promises: an operator has not entered the provider's credentials."""
    return answer.status_code == 503 and answer.json().get("code") == "provider_not_configured"


def test_no_operation_answers_5xx(api: httpx.Client, fake: FakeProvider, record_property: Any) -> None:
    """Bodies, queries, headers and paths within the document and beyond it; errors are problem documents."""
    place = bookable(fake)
    person = place.people[0]
    booking = factories.booking(place.event_type, person, place.at(10) + timedelta(days=1))
    known = [
        booking.id,
        place.event_type.id,
        place.calendars[0].id,
        place.calendars[0].connection_id,
        "google",
    ]
    headers = bearer(person)
    seen: Counter[int] = Counter()
    broken: list[str] = []

    def send(case: schemathesis.Case) -> None:
        case.headers = {**(case.headers or {}), **headers}
        request = _request(case)
        if request is None:
            return
        answer = api.request(**(request | {"url": f"/api/v1{request['url']}"}))
        seen[answer.status_code] += 1
        if answer.status_code >= 500 and not _is_not_configured(answer):
            broken.append(
                f"{case.method} {case.formatted_path} {case.query} {case.body!r}: {answer.text[:300]}"
            )
        if answer.status_code >= 400:
            assert answer.headers["content-type"].startswith("application/problem+json"), answer.text[:200]

    for name, operation in OPERATIONS.items():
        if name in ENDS_THE_SESSION:
            continue

        @seed(20261121)
        @settings(
            max_examples=EXAMPLES,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(), real=st.sampled_from(["", *known]))
        def once(case: schemathesis.Case, real: str) -> None:
            if real and case.path_parameters:
                case.path_parameters = dict.fromkeys(case.path_parameters, real)
            send(case)

        once()
    assert not broken, "\n".join(broken)
    record_property("count", f"{sum(seen.values())} requests, statuses {dict(sorted(seen.items()))}")
    assert seen[200] > 10
    assert sum(seen.values()) > len(OPERATIONS)


def _request(case: schemathesis.Case) -> dict[str, Any] | None:
    """The case as httpx sends it; ``None`` for one that is no HTTP."""
    made = case.as_transport_kwargs(base_url=BASE)
    names = ("method", "url", "headers", "params", "json", "data", "files", "cookies")
    try:
        ready = requests.Request(**{name: made[name] for name in names if name in made}).prepare()
    except (requests.exceptions.InvalidHeader, UnicodeError):
        return None
    return {
        "method": ready.method,
        "url": str(ready.url).removeprefix(BASE),
        "headers": dict(ready.headers),
        "content": ready.body,
    }
