"""Scripts of other sites: what they may ask without credentials, and which sites a business lets do so."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from calendar_app.services.workspaces import settings
from tests.support.people import problem, user
from tests.support.scheduling import Place, assert_consistent

V1 = "/api/v1"
SHOP, OTHER = {"Origin": "https://shop.example"}, {"Origin": "https://other.example"}


def _booking(place: Place) -> dict[str, Any]:
    return {
        "event_type_id": place.event_type.id,
        "start": place.at(10).isoformat(),
        "timezone": "Europe/Berlin",
        "name": "Grace",
        "email": "grace@example.org",
    }


def _slots(place: Place) -> str:
    query = httpx.QueryParams(start=place.at(0).isoformat(), end=place.at(23).isoformat())
    return f"{V1}/event-types/{place.event_type.id}/slots?{query}"


def test_every_site_may_without_a_list(api: httpx.Client, place: Place) -> None:
    """Slots, a hold and a booking from any site's script, readable there, and without credentials."""
    for answer in (
        api.get(_slots(place), headers=SHOP),
        api.post(
            f"{V1}/holds", json={k: _booking(place)[k] for k in ("event_type_id", "start")}, headers=SHOP
        ),
        api.post(f"{V1}/bookings", json=_booking(place) | {"start": place.at(12).isoformat()}, headers=SHOP),
        api.post(f"{V1}/bookings", json={}, headers=SHOP),
    ):
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in answer.headers
    assert len(assert_consistent()) == 1


def test_a_list_shuts_out_other_sites(api: httpx.Client, place: Place) -> None:
    """A site that is not named neither reads slots nor books; named ones, this site and programs do."""
    settings.update(place.owner, {"allowed_origins": ["shop.example"]})
    for answer in (
        api.get(_slots(place), headers=OTHER),
        api.post(f"{V1}/bookings", json=_booking(place), headers=OTHER),
        api.post(
            f"{V1}/holds", json={k: _booking(place)[k] for k in ("event_type_id", "start")}, headers=OTHER
        ),
    ):
        problem(answer, 403, "site_not_allowed")
        assert "access-control-allow-origin" not in answer.headers
    assert assert_consistent() == []
    assert api.get(_slots(place), headers=SHOP).status_code == 200
    assert api.get(_slots(place), headers={"Origin": str(api.base_url).rstrip("/")}).status_code == 200
    assert api.post(f"{V1}/bookings", json=_booking(place)).status_code == 201


def test_preflights_are_answered_for_what_is_open(api: httpx.Client, place: Place) -> None:
    """Only the public routes; nothing that needs credentials is shared."""
    asked = OTHER | {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    answer = api.options(f"{V1}/bookings", headers=asked)
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-methods"] == "POST"
    assert "idempotency-key" in answer.headers["access-control-allow-headers"].lower()
    asked["Access-Control-Request-Method"] = "PATCH"
    for path in ("/bookings", "/me", f"/workspaces/{place.workspace.id}", "/auth/token"):
        assert "access-control-allow-origin" not in api.options(f"{V1}{path}", headers=asked).headers


@pytest.mark.usefixtures("database")
def test_private_routes_are_shared_with_nobody(api: httpx.Client) -> None:
    """Neither with a token nor with a session does another site get to read them."""
    ada = user()
    for headers in (ada.bearer, ada.cookie):
        for path in ("/me", "/bookings", "/team"):
            answer = api.get(f"{V1}{path}", headers=headers | OTHER)
            assert answer.status_code == 200
            assert "access-control-allow-origin" not in answer.headers
