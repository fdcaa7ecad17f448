"""Scripts of other sites: what they may ask without credentials, and which sites a business lets do so."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from starlette.middleware.cors import CORSMiddleware

from calendar_app.api.app import PREFIX, create_api
from calendar_app.api.cors import Cors
from calendar_app.services.workspaces import settings
from tests.support.people import problem, user
from tests.support.scheduling import Place, assert_consistent
from tests.support.web import served

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


def test_the_pages_own_middleware_refuses_no_preflight_of_the_api(place: Place) -> None:
    """Reflex puts one that only knows this site around the API: preflights of other sites are answered before it, and
    answers to them are readable; its own paths, and what a list shuts out, stay as they are."""
    inner = create_api()
    inner.add_middleware(CORSMiddleware, allow_origins=["http://localhost:3000"], allow_credentials=True)
    asked = SHOP | {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    with served(Cors(inner, PREFIX)) as url, httpx.Client(base_url=url) as browser:
        for path in ("/holds", "/bookings", "/public/holds", "/public/bookings", "/public/bookings/x/cancel"):
            answer = browser.options(V1 + path, headers=asked)
            assert (path, answer.status_code) == (path, 204)
            assert answer.headers["access-control-allow-origin"] == "*"
        assert browser.options(f"{V1}/connections/caldav", headers=asked).status_code == 400
        assert browser.options("/holds", headers=asked).status_code == 400
        for origin in (SHOP, {"Origin": "http://localhost:3000"}):
            answer = browser.get(_slots(place), headers=origin)
            assert answer.headers["access-control-allow-origin"] == "*"
            assert "access-control-allow-credentials" not in answer.headers
        settings.update(place.owner, {"allowed_origins": ["elsewhere.example"]})
        answer = browser.get(_slots(place), headers=SHOP)
        assert answer.status_code == 403
        assert "access-control-allow-origin" not in answer.headers
