"""Providers that take no bookings themselves have nothing to offer and nothing to call off."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest

from calendar_app.services.calendar_sync import requests as sync_requests
from tests.support.fake_provider import FakeProvider
from tests.support.people import problem
from tests.support.scheduling import Place, bearer


def test_without_the_capability_nothing_is_attempted(
    api: httpx.Client, fake: FakeProvider, place: Place
) -> None:
    """Both questions are answered with a sentence that says where the event can be changed."""
    (calendar,), headers = place.calendars, bearer(place.people[0])
    start = place.at(10)
    fake.add_event(calendar.remote_id, start, start + timedelta(hours=1), summary="Dentist")
    sync_requests.sync_calendar(calendar.id)
    window = {"start": place.at(0).isoformat(), "end": place.at(23).isoformat()}
    (event,) = api.get("/api/v1/events", headers=headers, params=window).json()["items"]
    before = len(fake.calls)
    offered = api.get(f"/api/v1/calendars/{calendar.id}/appointment-types", headers=headers)
    problem(offered, 422, "no_appointments")
    refused = problem(
        api.post(f"/api/v1/events/{event['event_id']}/cancel", headers=headers), 422, "no_appointments"
    )
    assert "where they were made" in str(refused["detail"])
    assert len(fake.calls) == before
    assert len(fake.standing(calendar.remote_id)) == 1


@pytest.mark.parametrize("event_id", ["0", "-1", "1e9", "9" * 18, "9" * 40, "٣", "x"])
def test_an_id_that_is_none_is_404(api: httpx.Client, place: Place, event_id: str) -> None:
    """Whatever is asked for, there is no such event, and nobody without a token hears even that."""
    path = f"/api/v1/events/{event_id}/cancel"
    problem(api.post(path, headers=bearer(place.people[0])), 404, "not_found")
    problem(api.post(path), 401, "not_signed_in")
