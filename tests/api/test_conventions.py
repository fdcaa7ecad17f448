"""What all operations have in common: versions, pages, filters, limits, values of the right kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis

from calendar_app.api import paging
from calendar_app.errors import InvalidInput
from calendar_app.services.common import rate_limits
from calendar_app.services.common.permissions import Role
from calendar_app.settings import Settings
from tests.support.databases import Database
from tests.support.fake_provider import FakeProvider
from tests.support.people import problem, user
from tests.support.scheduling import Place, bearer, bookable, host

V1 = "/api/v1"


@pytest.fixture
def fake(database: Database) -> Iterator[FakeProvider]:
    with FakeProvider().installed() as provider:
        yield provider


@pytest.fixture
def place(fake: FakeProvider) -> Place:
    return bookable(fake)


def test_nobody_overwrites_what_they_have_not_seen(api: httpx.Client, place: Place) -> None:
    """Event types, schedules, calendars and workspaces: a stale ``If-Match`` is 412 and changes nothing."""
    headers = bearer(place.people[0])
    schedules = api.get(f"{V1}/schedules", headers=headers).json()["items"]
    for path, first, second in (
        (f"event-types/{place.event_type.id}", {"title": "One"}, {"title": "Two"}),
        (f"schedules/{schedules[0]['id']}", {"name": "One"}, {"name": "Two"}),
        (f"calendars/{place.calendars[0].id}", {"stale_policy": "keep"}, {"stale_policy": "close"}),
        (f"workspaces/{place.workspace.id}", {"name": "One"}, {"name": "Two"}),
    ):
        seen = headers | {"If-Match": api.get(f"{V1}/{path}", headers=headers).headers["etag"]}
        changed = api.patch(f"{V1}/{path}", json=first, headers=seen)
        assert changed.status_code == 200, changed.text
        problem(api.patch(f"{V1}/{path}", json=second, headers=seen), 412, "version_mismatch")
        read = api.get(f"{V1}/{path}", headers=headers)
        assert read.json() | first == read.json()
        assert read.headers["etag"] == changed.headers["etag"]
        either = headers | {"If-Match": f'"other", {read.headers["etag"]}'}
        assert api.patch(f"{V1}/{path}", json=second, headers=either).status_code == 200
    stale = headers | {"If-Match": '"other"'}
    problem(api.delete(f"{V1}/event-types/{place.event_type.id}", headers=stale), 412, "version_mismatch")


@given(
    places=st.lists(st.tuples(st.integers(0, 5), st.text(max_size=3)), unique=True, max_size=25),
    limit=st.integers(1, 6),
    newest_first=st.booleans(),
    gone=st.sets(st.integers(0, 24)),
)
def test_pages_hold_while_items_go(
    places: list[tuple[int, str]], limit: int, newest_first: bool, gone: set[int]
) -> None:
    """Page after page gives every item that stays, once and in order, also when others go meanwhile."""
    seen: list[tuple[int, str]] = []
    standing, after = list(places), None
    while True:
        page, after = paging.cut(standing, limit, after, lambda one: one, newest_first=newest_first)
        seen += page
        if after is None:
            break
        standing = [one for one in standing if places.index(one) not in gone]
    stayed = [one for number, one in enumerate(places) if number not in gone]
    assert [one for one in seen if one in stayed] == sorted(stayed, reverse=newest_first)
    assert len(seen) == len(set(seen))


@pytest.mark.parametrize("cursor", ["x", "W10", "WzFd", "bnVsbA", "W1tdXQ", "é"])
def test_a_cursor_of_another_list_is_refused(cursor: str) -> None:
    """What is no cursor of the list is an error, never the first page."""
    with pytest.raises(InvalidInput):
        paging.cut([("a", "b")], 1, cursor, lambda one: one)


def test_every_list_refuses_a_cursor_that_is_none(api: httpx.Client, place: Place) -> None:
    """422 for ``after=nonsense``."""
    headers = bearer(place.people[0])
    for path in ("bookings", "orders", "audit", "events", "event-types", "tokens", "calendars", "team"):
        problem(api.get(f"{V1}/{path}?after=nonsense", headers=headers), 422, "invalid_input")


def test_filters_that_lead_nowhere_are_alike(api: httpx.Client, fake: FakeProvider, place: Place) -> None:
    """An id that nobody has, or another workspace has, is a 404 that names the filter; it is no empty list."""
    headers, other = bearer(place.people[0]), bookable(fake)
    foreign = {
        "event_type_id": other.event_type.id,
        "host_id": other.people[0].id,
        "connection_id": other.calendars[0].connection_id,
        "person_id": other.people[0].id,
        "calendar_id": other.calendars[0].id,
        "booking_id": other.book(other.at(10)).id,
    }
    for path, name in (
        ("bookings", "event_type_id"),
        ("bookings", "host_id"),
        ("calendars", "connection_id"),
        ("schedules", "person_id"),
        ("events", "calendar_id"),
        ("deviations", "booking_id"),
    ):
        for value in ("nobody", foreign[name]):
            answer = api.get(f"{V1}/{path}", params={name: value}, headers=headers)
            body = problem(answer, 404, "not_found")
            assert [one["field"] for one in body["errors"]] == [name]  # type: ignore[attr-defined]
    colleague = host(fake, place.workspace, Role.STAFF)[0]
    mine = {"person_id": place.people[0].id}
    problem(api.get(f"{V1}/schedules", params=mine, headers=bearer(colleague)), 404, "not_found")
    wrong = {"timezone": "UTC", "weekly": {}, "person_id": ""}
    assert api.post(f"{V1}/schedules", json=wrong, headers=headers).status_code == 422


def test_changes_since_an_instant(api: httpx.Client, place: Place) -> None:
    """``updated_since`` gives what was made or changed since then, the oldest change first, page by page."""
    headers = bearer(place.people[0])
    first, second, third = (place.book(place.at(hour)) for hour in (10, 12, 14))
    seen = api.get(f"{V1}/bookings/{third.id}", headers=headers).json()["updated_at"]
    api.post(f"{V1}/bookings/{first.id}/cancel", json={}, headers=headers)
    query = {"updated_since": seen, "limit": 1}
    found = []
    while True:
        page = api.get(f"{V1}/bookings", params=query, headers=headers).json()
        found += [one["id"] for one in page["items"]]
        if page["next"] is None:
            break
        query["after"] = page["next"]
    assert found == [third.id, first.id]
    everything = api.get(f"{V1}/bookings", params={"updated_since": "2020-01-01T00:00:00Z"}, headers=headers)
    assert [one["id"] for one in everything.json()["items"]] == [second.id, third.id, first.id]
    problem(api.get(f"{V1}/bookings?updated_since=1900000000", headers=headers), 422, "invalid_input")


def test_limits_are_told(
    api: httpx.Client, database: Database, redis_server: Redis, configure: Callable[..., Settings]
) -> None:
    """Every answer says what remains; who asks too often is told for how long to wait, others are not kept out."""
    configure(API_REQUESTS_PER_MINUTE="3")
    ada, bob = user("ada@example.com"), user("bob@example.com")
    answers = [api.get(f"{V1}/me", headers=ada.bearer) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    for answer, left in zip(answers, (2, 1, 0, 0), strict=True):
        assert answer.headers["ratelimit-policy"] == '"requests";q=3;w=60'
        assert answer.headers["ratelimit"].startswith(f'"requests";r={left};t=')
    problem(answers[-1], 429, "rate_limited")
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert api.get(f"{V1}/me", headers=bob.bearer).status_code == 200
    guesses = [api.get(f"{V1}/me", headers={"Authorization": f"Bearer {n}"}) for n in range(4)]
    assert [answer.status_code for answer in guesses] == [401, 401, 401, 429]


def test_standings_are_collected_where_somebody_asks(database: Database) -> None:
    """Limits tell how they stand to whoever listens, and cost nothing otherwise."""
    rate_limits.check("tries", "ada", "5/minute")
    with rate_limits.observed() as found:
        rate_limits.check("tries", "ada", "5/minute")
        rate_limits.peek("others", "ada", "5/minute")
    assert [(one.bucket, one.quota, one.window, one.remaining) for one in found.values()] == [
        ("tries", 5, 60, 3)
    ]


def test_staff_are_told_which_calendars_are_stale(api: httpx.Client, place: Place) -> None:
    """``freshness.calendars`` has names for staff of the workspace and nothing for visitors."""
    query = {"start": place.at(0).isoformat(), "end": (place.at(0) + timedelta(days=1)).isoformat()}
    path = f"{V1}/event-types/{place.event_type.id}/slots"
    told: Any = api.get(path, params=query, headers=bearer(place.people[0])).json()["freshness"]["calendars"]
    assert [one["name"] for one in told] == [place.calendars[0].name]
    assert told[0]["name"]
    assert api.get(path, params=query).json()["freshness"]["calendars"] == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"date": "1900000000"}, "date"),
        ({"date": "2031-3-3"}, "date"),
        ({"start_time": "36000"}, "start_time"),
        ({"start_time": "10"}, "start_time"),
        ({"duration_minutes": "true"}, "duration_minutes"),
    ],
)
def test_numbers_are_no_dates(api: httpx.Client, place: Place, query: dict[str, str], field: str) -> None:
    """A Unix number is neither a day nor a time of day."""
    right = {"date": "2031-03-03", "start_time": "10:00", "duration_minutes": "30", "timezone": "UTC"}
    answer = api.get(f"{V1}/availability", params=right | query, headers=bearer(place.people[0]))
    body = problem(answer, 422, "invalid_input")
    assert [one["field"] for one in body["errors"]] == [field]  # type: ignore[attr-defined]


def test_a_mistyped_host_is_the_callers_mistake(api: httpx.Client, place: Place) -> None:
    """422 that names the request's own field, for a link and for a CalDAV account."""
    headers = bearer(place.people[0])
    for path, body, field in (
        ("ics", {"url": "https://no-such-host.invalid/x.ics"}, "url"),
        ("caldav", {"url": "https://no-such-host.invalid/", "username": "x", "password": "x"}, "url"),
        ("caldav", {"url": "https://127.0.0.1/", "username": "x", "password": "x"}, "url"),
        ("ics", {"url": "https://10.0.0.1/x.ics"}, "url"),
    ):
        answer = api.post(f"{V1}/connections/{path}", json=body, headers=headers)
        assert answer.status_code == 422, answer.text
        assert [one["field"] for one in answer.json()["errors"]] == [field]
