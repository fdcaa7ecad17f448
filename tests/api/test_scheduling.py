"""Schedules, event types, slots and availability over HTTP."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from calendar_app.db.session import transaction
from calendar_app.db.tables import Calendar
from calendar_app.services.common.permissions import Role
from tests.support import factories
from tests.support.fake_provider import FakeProvider
from tests.support.people import problem
from tests.support.scheduling import Place, bearer, bookable, host

V1 = "/api/v1"


def _slots(api: httpx.Client, place: Place, **params: Any) -> httpx.Response:
    window = {"start": place.at(0).isoformat(), "end": place.at(23).isoformat(), "timezone": "Europe/Berlin"}
    return api.get(f"{V1}/event-types/{place.event_type.id}/slots", params=window | params)


def test_slots_are_public_and_tell_no_secrets(api: httpx.Client, place: Place) -> None:
    """A working day in half hours, without the hosts' busy times; freshness names no calendars."""
    place.book(place.at(10))
    found = _slots(api, place).json()
    starts = [datetime.fromisoformat(slot["start"]) for slot in found["slots"]]
    assert starts[0] == place.at(9)
    assert starts[-1] == place.at(16, 30)
    assert len(starts) == 15
    assert place.at(10) not in starts
    assert "busy_times" not in found
    assert (found["freshness"]["stale"], found["freshness"]["calendars"]) == (False, [])
    assert found["timezone"] == "Europe/Berlin"
    staff = _slots(api, place, timezone="Asia/Kolkata")
    assert [datetime.fromisoformat(slot["start"]) for slot in staff.json()["slots"]] == starts


def test_busy_times_are_for_staff_who_ask(api: httpx.Client, fake: FakeProvider) -> None:
    """Merged and without titles; to everybody else, whoever works elsewhere included, they are not told."""
    place, other = bookable(fake), bookable(fake)
    place.book(place.at(10))
    path = f"{V1}/event-types/{place.event_type.id}/slots"
    window = {"start": place.at(0).isoformat(), "end": place.at(23).isoformat(), "timezone": "Europe/Berlin"}
    asked, staff = window | {"busy_times": "true"}, bearer(place.people[0])
    found = api.get(path, params=asked, headers=staff).json()
    assert found["busy_times"] == [{"start": place.at(10).isoformat(), "end": place.at(10, 30).isoformat()}]
    for params, headers in ((window, staff), (asked, {}), (asked, bearer(other.people[0]))):
        answer = api.get(path, params=params, headers=headers)
        assert answer.status_code == 200
        assert "busy_times" not in answer.json()
        assert answer.json()["slots"] == found["slots"]
    problem(api.get(path, params=window | {"busy_times": "perhaps"}, headers=staff), 422, "invalid_input")


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"timezone": "Nowhere/Land"}, "unknown_timezone"),
        ({"start": "2030-01-01"}, "invalid_input"),
        ({"start": "2030-01-01T00:00:00"}, "invalid_input"),
        ({"end": "2000-01-01T00:00:00Z"}, "invalid_input"),
        ({"end": "2150-01-01T00:00:00Z"}, "invalid_input"),
        ({"end": "9999-12-31T23:59:59Z"}, "invalid_input"),
        ({"duration": 7}, "invalid_input"),
        ({"duration": "x"}, "invalid_input"),
    ],
)
def test_bad_windows_are_problems(api: httpx.Client, place: Place, params: dict[str, Any], code: str) -> None:
    """Naive times, unknown zones and windows of centuries are 422."""
    problem(_slots(api, place, **params), 422, code)


def test_a_private_type_has_slots_for_its_staff(api: httpx.Client, fake: FakeProvider) -> None:
    """404 for the public and for other workspaces; staff get the calendars' freshness besides."""
    place, other = bookable(fake, is_public=False), bookable(fake)
    problem(_slots(api, place), 404, "not_found")
    path = f"{V1}/event-types/{place.event_type.id}/slots"
    window = {"start": place.at(0).isoformat(), "end": place.at(23).isoformat()}
    problem(api.get(path, params=window, headers=bearer(other.people[0])), 404, "not_found")
    found = api.get(path, params=window, headers=bearer(place.people[0])).json()
    assert found["slots"]
    assert [age["calendar_id"] for age in found["freshness"]["calendars"]] == [place.calendars[0].id]


def test_a_calendar_that_was_never_read_closes_its_owners_slots(api: httpx.Client, place: Place) -> None:
    """Unknown is busy, and the page says why."""
    with transaction() as session:
        session.get_one(Calendar, place.calendars[0].id).synced_at = None
    found = _slots(api, place).json()
    assert found["slots"] == []
    assert found["freshness"]["stale"] is True
    assert "first time" in found["freshness"]["message"]
    headers = bearer(place.people[0])
    told = _explained(api, place, place.at(10), headers).json()
    assert told["hosts"][0]["reasons"][0]["source_kind"] == "stale_calendar"


def _explained(api: httpx.Client, place: Place, at: datetime, headers: dict[str, str]) -> httpx.Response:
    path = f"{V1}/event-types/{place.event_type.id}/slots/explain"
    return api.get(path, params={"start": at.isoformat()}, headers=headers)


def test_explanations_name_the_booking_and_the_rule(api: httpx.Client, place: Place) -> None:
    """Staff are told which booking or rule closes a time; the public is told nothing."""
    place.book(place.at(10))
    headers = bearer(place.people[0])
    taken = _explained(api, place, place.at(10), headers).json()
    (reason,) = taken["hosts"][0]["reasons"]
    assert (taken["available"], reason["rule"], reason["source"]) == (
        False,
        "busy",
        "Intro call with Grace Hopper",
    )
    assert _explained(api, place, place.at(11), headers).json()["available"] is True
    off = _explained(api, place, place.at(11, 7), headers).json()
    assert [reason["rule"] for reason in off["hosts"][0]["reasons"]] == ["grid"]
    problem(_explained(api, place, place.at(10), {}), 401, "not_signed_in")


def test_slots_explanations_and_bookings_agree(api: httpx.Client, fake: FakeProvider) -> None:
    """For every quarter of an hour of a day: offered, explained as free, and bookable are the same."""
    place = bookable(fake, step_minutes=30, buffer_before=15, buffer_after=5, daily_cap=4)
    for hour in (10, 13):
        place.book(place.at(hour))
    headers = bearer(place.people[0])
    offered = {datetime.fromisoformat(slot["start"]) for slot in _slots(api, place).json()["slots"]}
    for quarter in range(8 * 4, 18 * 4):
        at = place.at(0) + timedelta(minutes=15 * quarter)
        assert _explained(api, place, at, headers).json()["available"] == (at in offered), at
    assert offered


def test_a_yes_or_no_for_one_time(api: httpx.Client, place: Place) -> None:
    """``GET /availability`` answers for the caller, in any zone, to the minute."""
    place.book(place.at(10))
    headers = bearer(place.people[0])

    def ask(**params: Any) -> httpx.Response:
        base = {
            "date": place.at(0).date().isoformat(),
            "start_time": "11:00",
            "duration_minutes": 30,
            "timezone": "Europe/Berlin",
        }
        return api.get(f"{V1}/availability", params=base | params, headers=headers)

    assert ask().json() == {"available": True, "reasons": []}
    taken = ask(start_time="10:29").json()
    assert taken["available"] is False
    assert "Intro call with Grace Hopper" in taken["reasons"][0]
    assert ask(start_time="23:00").json()["available"] is False
    problem(ask(timezone="Mars/Olympus"), 422, "unknown_timezone")
    problem(ask(date="tomorrow"), 422, "invalid_input")
    problem(ask(date="2027-03-28", start_time="02:30"), 422, "invalid_input")


def test_event_types_come_and_go(api: httpx.Client, place: Place) -> None:
    """Created with a slug from the title, changed in part, deleted unless booked."""
    headers = bearer(place.people[0])
    fields = {"title": "Größe & Maß", "durations": [20, 40], "buffer_after": 10, "color": "teal"}
    made = api.post(f"{V1}/event-types", json=fields, headers=headers)
    assert made.status_code == 201, made.text
    one = made.json()
    assert (one["durations"], one["slug"], one["hosts"][0]["person_id"]) == (
        [20, 40],
        "gr-e-ma",
        place.people[0].id,
    )
    path = f"{V1}/event-types/{one['id']}"
    changed = api.patch(path, json={"minimum_notice": 60}, headers=headers).json()
    assert changed == one | {"minimum_notice": 60}
    again = api.post(f"{V1}/event-types", json=fields, headers=headers)
    problem(again, 409, "slug_taken")
    assert len(api.get(f"{V1}/event-types", headers=headers).json()["items"]) == 2
    assert api.delete(path, headers=headers).status_code == 204
    problem(api.get(path, headers=headers), 404, "not_found")
    place.book(place.at(10))
    booked = api.delete(f"{V1}/event-types/{place.event_type.id}", headers=headers)
    problem(booked, 409, "has_bookings")


@pytest.mark.parametrize(
    "fields",
    [
        {"title": ""},
        {"title": "x", "durations": []},
        {"title": "x", "durations": [0]},
        {"title": "x", "durations": ["30"]},
        {"title": "x", "durations": [10**9]},
        {"title": "x", "seats": 0},
        {"title": "x", "buffer_before": -1},
        {"title": "x", "buffer_before": True},
        {"title": "x", "step_minutes": 0},
        {"title": "x", "slug": "Not A Slug"},
        {"title": "x", "color": "mauve-ish"},
        {"title": "x", "hosting": "chaos"},
        {"title": "x", "questions": [{"id": "a"}]},
        {"title": "x", "hosts": []},
        {"title": "x", "hosts": [{"person_id": "nobody"}]},
        {"title": "x", "owner": "me"},
    ],
)
def test_event_types_that_mean_nothing(api: httpx.Client, place: Place, fields: dict[str, Any]) -> None:
    """422 with the field's name, and nothing is made."""
    headers = bearer(place.people[0])
    answer = api.post(f"{V1}/event-types", json=fields, headers=headers)
    if fields.get("hosts") == []:  # an empty list is the same as none: the caller hosts
        assert answer.status_code == 201
        return
    assert problem(answer, 422, "invalid_input")["errors"]
    assert len(api.get(f"{V1}/event-types", headers=headers).json()["items"]) == 1


def test_staff_edit_only_what_they_host(api: httpx.Client, place: Place, fake: FakeProvider) -> None:
    """Staff make event types for themselves; naming others or editing theirs needs a manager."""
    member, _ = host(fake, place.workspace, Role.STAFF)
    headers = bearer(member)
    own = api.post(f"{V1}/event-types", json={"title": "Mine"}, headers=headers)
    assert own.status_code == 201
    path = f"{V1}/event-types/{place.event_type.id}"
    problem(api.patch(path, json={"title": "Theirs"}, headers=headers), 403, "forbidden")
    others = {"title": "x", "hosts": [{"person_id": place.people[0].id}]}
    problem(api.post(f"{V1}/event-types", json=others, headers=headers), 403, "forbidden")
    both = {
        "title": "Both",
        "hosting": "collective",
        "hosts": [{"person_id": member.id}, {"person_id": place.people[0].id, "weight": 3}],
    }
    made = api.post(f"{V1}/event-types", json=both, headers=bearer(place.people[0]))
    assert [host["weight"] for host in made.json()["hosts"]] == [1, 3]
    stranger = bookable(fake).people[0]
    problem(api.patch(path, json={"title": "x"}, headers=bearer(stranger)), 404, "not_found")


def test_schedules_come_and_go(api: httpx.Client, place: Place) -> None:
    """One default per person, which slots follow; others can be deleted."""
    headers = bearer(place.people[0])
    weekly = {"mon": [["13:00", "14:00"]]}
    made = api.post(f"{V1}/schedules", json={"timezone": "Europe/Berlin", "weekly": weekly}, headers=headers)
    assert made.status_code == 201, made.text
    one = made.json()
    assert one["is_default"] is False
    path = f"{V1}/schedules/{one['id']}"
    assert len(_slots(api, place).json()["slots"]) == 16
    assert api.patch(path, json={"is_default": True}, headers=headers).json()["is_default"] is True
    assert len(_slots(api, place).json()["slots"]) == 2
    day = place.at(0).date().isoformat()
    changed = api.patch(path, json={"overrides": {day: []}}, headers=headers).json()
    assert changed["weekly"]["mon"] == [["13:00", "14:00"]]
    assert _slots(api, place).json()["slots"] == []
    problem(api.delete(path, headers=headers), 409, "default_schedule")
    listed = api.get(f"{V1}/schedules", headers=headers).json()["items"]
    assert [row["is_default"] for row in listed] == [True, False]
    assert api.delete(f"{V1}/schedules/{listed[1]['id']}", headers=headers).status_code == 204
    assert api.get(f"{path}/clock-changes", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "fields",
    [
        {"timezone": "Mars/Olympus", "weekly": {}},
        {"timezone": "UTC", "weekly": {"funday": []}},
        {"timezone": "UTC", "weekly": {"mon": [["09:00", "08:00"]]}},
        {"timezone": "UTC", "weekly": {"mon": [["09:00", "12:00"], ["11:00", "13:00"]]}},
        {"timezone": "UTC", "weekly": {"mon": [["9", "12"]]}},
        {"timezone": "UTC", "weekly": {}, "overrides": {"2026-02-30": []}},
        {"timezone": "UTC", "weekly": {}, "name": ""},
    ],
)
def test_schedules_that_mean_nothing(api: httpx.Client, place: Place, fields: dict[str, Any]) -> None:
    """422 that names the part."""
    answer = api.post(f"{V1}/schedules", json=fields, headers=bearer(place.people[0]))
    assert problem(answer, 422, "invalid_input")["errors"]


def test_schedules_are_their_owners(api: httpx.Client, place: Place, fake: FakeProvider) -> None:
    """Staff see and change their own; managers those of the workspace; customers none."""
    member, _ = host(fake, place.workspace, Role.STAFF)
    mine = api.get(f"{V1}/schedules", headers=bearer(member)).json()["items"]
    assert [row["person_id"] for row in mine] == [member.id]
    everybody = api.get(f"{V1}/schedules", headers=bearer(place.people[0])).json()["items"]
    assert {row["person_id"] for row in everybody} == {member.id, place.people[0].id}
    theirs = next(row["id"] for row in everybody if row["person_id"] != member.id)
    problem(api.get(f"{V1}/schedules/{theirs}", headers=bearer(member)), 404, "not_found")
    guest = factories.person()
    factories.membership(guest, place.workspace, Role.CUSTOMER)
    problem(api.get(f"{V1}/schedules", headers=bearer(guest)), 403, "forbidden")
