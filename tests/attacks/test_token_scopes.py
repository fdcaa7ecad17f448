"""What an API token may do."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from calendar_app.db.tables import ApiToken
from calendar_app.services.accounts import authentication
from calendar_app.services.orders import commands as order_commands
from calendar_app.services.orders.commands import NewLine
from tests.support import factories
from tests.support.databases import Database
from tests.support.fake_provider import FakeProvider
from tests.support.scheduling import GUEST, Place, bearer, bookable


@pytest.fixture
def place(database: Database) -> Iterator[Place]:
    with FakeProvider().installed() as fake:
        yield bookable(fake)


def test_a_token_that_may_read_gets_no_key_to_change(api: httpx.Client, place: Place) -> None:
    """Manage links and orders' tokens cancel without any account, so a token that may only read does not see them."""
    secret = "alm_reading"
    of = place.people[0].id
    factories.save(ApiToken(person_id=of, token_hash=authentication.digest(secret), scopes=["read"]))
    reading = {"Authorization": f"Bearer {secret}"}
    booked = place.book(place.at(10))
    order = order_commands.create([NewLine(place.event_type.id, place.at(12))], "UTC", *GUEST)
    order_commands.confirm_by_token(order.token)
    keys = [urlsplit(booked.manage_url).path.rpartition("/")[2], order.token]
    for path in (
        "/bookings",
        f"/bookings/{booked.id}",
        "/orders",
        f"/orders/{order.id}",
        f"/bookings/{booked.id}.ics",
    ):
        told = api.get(f"/api/v1{path}", headers=reading)
        assert told.status_code == 200
        assert "/manage/" not in told.text
        assert not [key for key in keys if key in told.text]
    whole = bearer(place.people[0])
    assert api.get(f"/api/v1/bookings/{booked.id}", headers=whole).json()["manage_url"] == booked.manage_url
    assert api.get(f"/api/v1/orders/{order.id}", headers=whole).json()["token"] == order.token
