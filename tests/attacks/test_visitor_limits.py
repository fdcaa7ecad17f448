"""What a visitor may do and how often, whoever they say they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from calendar_app.errors import TooManyRequests
from calendar_app.services.bookings import holds
from calendar_app.services.bookings import reschedule as booking_reschedule
from calendar_app.services.common import rate_limits
from calendar_app.settings import Settings
from tests.support.databases import Database
from tests.support.fake_provider import FakeProvider
from tests.support.scheduling import Place, bearer, bookable, carry_out, reservations


@pytest.fixture
def fake(database: Database) -> Iterator[FakeProvider]:
    with FakeProvider().installed() as provider:
        yield provider


@pytest.fixture
def place(fake: FakeProvider) -> Place:
    return bookable(fake)


def _wish(place: Place, hour: int, **more: Any) -> dict[str, Any]:
    customer = {"timezone": "UTC", "name": "Mallory", "email": "mallory@example.org"}
    return {"event_type_id": place.event_type.id, "start": place.at(hour).isoformat()} | customer | more


# --- somebody of another business is a visitor ------------------------------------------------------------------------


def test_an_owner_elsewhere_books_as_a_visitor(
    api: httpx.Client, fake: FakeProvider, place: Place, configure: Callable[..., Settings]
) -> None:
    """Who owns some other workspace is told nothing of the host's accounts, is limited, and is not called staff."""
    configure(BOOKINGS_PER_MINUTE="2")
    stranger = bearer(bookable(fake).people[0])
    answers = [
        api.post(
            "/api/v1/bookings", json=_wish(place, hour), headers=stranger | {"Idempotency-Key": "k" * hour}
        )
        for hour in (9, 10, 11)
    ]
    assert [answer.status_code for answer in answers] == [201, 201, 429]
    assert answers[0].json()["sync"] == []
    carry_out()
    again = api.post(
        "/api/v1/bookings", json=_wish(place, 9), headers=stranger | {"Idempotency-Key": "k" * 9}
    )
    assert (again.json()["sync"], again.json()["calendar_event_id"]) == ([], {})
    history = api.get(
        f"/api/v1/bookings/{again.json()['id']}/history", headers=bearer(place.people[0])
    ).json()["items"]
    assert {entry["who"] for entry in history} == {"customer"}


def test_an_owner_elsewhere_orders_as_a_visitor(
    api: httpx.Client, fake: FakeProvider, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same of orders."""
    monkeypatch.setattr("calendar_app.services.orders.commands.DRAFTS", "1/minute")
    stranger = bearer(bookable(fake).people[0])
    line = {"event_type_id": place.event_type.id, "start": place.at(9).isoformat()}
    wish = {"name": "Mallory", "email": "mallory@example.org", "timezone": "UTC", "lines": [line]}
    first, second = (api.post("/api/v1/orders", json=wish, headers=stranger) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 429)
    path = f"/api/v1/orders/{first.json()['id']}"
    assert api.post(f"{path}/confirm", headers=stranger).status_code == 404
    made = api.post(f"{path}/confirm", params={"token": first.json()["token"]})
    assert [booking["sync"] for booking in made.json()["bookings"]] == [[]]


# --- holds ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("invented", ["x", "0" * 58, "real"])
def test_a_hold_that_replaces_nothing_is_counted(
    api: httpx.Client, place: Place, monkeypatch: pytest.MonkeyPatch, invented: str
) -> None:
    """Naming a hold that does not exist, or one that is used up, does not get round the limit on standing holds."""
    monkeypatch.setattr(holds, "ALIVE", "2 per 10 minutes")
    if invented == "real":
        invented = api.post("/api/v1/holds", json=_hold(place, 16)).json()["id"]
        assert api.delete(f"/api/v1/holds/{invented}").status_code == 204
        rate_limits.forget()
    codes = [
        api.post("/api/v1/holds", json=_hold(place, hour, replaces=invented)).status_code
        for hour in (9, 10, 11, 12)
    ]
    assert codes == [201, 201, 429, 429]
    assert len(reservations()) == 2


def _hold(place: Place, hour: int, **more: Any) -> dict[str, Any]:
    return {"event_type_id": place.event_type.id, "start": place.at(hour).isoformat()} | more


# --- letters and providers --------------------------------------------------------------------------------------------


def test_nobody_is_flooded_with_confirmations(place: Place, configure: Callable[..., Settings]) -> None:
    """Bookings that visitors make for one person are limited over all visitors, whatever follows a plus sign."""
    configure(BOOKINGS_PER_MINUTE="1")
    for number, email in enumerate(("victim@example.org", "Victim+1@example.org")):
        place.book(place.at(9 + number), guest=("V", email), client=f"192.0.2.{number}")
    with pytest.raises(TooManyRequests):
        place.book(place.at(12), guest=("V", "victim+2@example.org"), client="192.0.2.9")
    place.book(place.at(12), guest=("O", "other@example.org"), client="192.0.2.9")
    place.book(place.at(13), guest=("V", "victim@example.org"), actor=place.owner, client="192.0.2.9")


def test_one_booking_is_moved_only_so_often(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each move writes to customer and hosts, and each try asks their providers."""
    monkeypatch.setattr(booking_reschedule, "MOVES", "2/hour")
    booked = place.book(place.at(9))
    for hour in (10, 11):
        booking_reschedule.reschedule_by_token(booked.manage_token, place.at(hour))
    with pytest.raises(TooManyRequests):
        booking_reschedule.reschedule_by_token(booked.manage_token, place.at(12))
    assert booking_reschedule.reschedule(place.owner, booked.id, place.at(13)).start == place.at(13)
