"""A booking is one reading, one question to the providers and one transaction, and shows what it wrote."""

from __future__ import annotations

from dataclasses import replace

import httpx
import pytest

from calendar_app.services.bookings import queries as booking_queries
from calendar_app.services.bookings.views import BookingView
from calendar_app.services.orders import commands as order_commands
from calendar_app.services.orders.commands import NewLine
from tests.support.fake_provider import FakeProvider
from tests.support.scheduling import GUEST, ZONE, Place, bookable
from tests.support.statements import counted

pytestmark = pytest.mark.usefixtures("database")

MOST, MOST_WRITING = 29, 17
"""Statements of one booking, and those of its transaction; PostgreSQL also asks for the time, twice."""


def test_a_booking_is_one_reading_and_one_transaction(fake: FakeProvider) -> None:
    """The event type's row is read once before and once under the lock; the account that is asked is one reading."""
    place = bookable(fake, reminders=[60])
    place.book(place.at(9))
    with counted() as seen:
        place.book(place.at(10))
    assert (seen.commits, seen.rollbacks) == (1, 2)
    assert len(seen.statements) <= MOST, "\n".join(seen.statements)
    assert len(seen.writing) <= MOST_WRITING, "\n".join(seen.writing)
    assert len(seen.of("event_type WHERE")) == 2
    assert len([text for text in seen.writing if text.startswith("INSERT INTO mail")]) == 1


def test_a_keyed_request_has_one_transaction_more(api: httpx.Client, place: Place) -> None:
    """Its key is taken before the work begins; the answer is kept with the work. A replay reads, and works nothing."""
    body = {
        "event_type_id": place.event_type.id,
        "start": place.at(10).isoformat(),
        "timezone": ZONE,
        "name": "Grace Hopper",
        "email": "grace@example.org",
    }
    with counted() as plain:
        api.post("/api/v1/bookings", json=body)
    body["start"] = place.at(11).isoformat()
    key = {"Idempotency-Key": "a-key-of-one-s-own"}
    with counted() as keyed:
        first = api.post("/api/v1/bookings", json=body, headers=key)
    assert (keyed.commits, keyed.rollbacks) == (plain.commits + 1, plain.rollbacks)
    again = api.post("/api/v1/bookings", json=body, headers=key)
    assert (again.content, again.headers["Idempotency-Replayed"]) == (first.content, "true")


def test_an_order_is_one_transaction(fake: FakeProvider) -> None:
    """However many appointments it has."""
    place = bookable(fake)
    lines = [NewLine(place.event_type.id, place.at(hour)) for hour in (9, 10, 11)]
    order = order_commands.create(lines, ZONE, *GUEST)
    with counted() as seen:
        order_commands.confirm_by_token(order.token)
    assert seen.commits == 1


@pytest.mark.parametrize("by_staff", [False, True])
@pytest.mark.parametrize("approval", [False, True])
def test_the_answer_is_what_stands(fake: FakeProvider, *, by_staff: bool, approval: bool) -> None:
    """Put together without a query, it is what a query shows, receipts and the order of hosts included."""
    place = bookable(
        fake,
        hosts=3,
        hosting="collective",
        requires_approval=approval,
        location="Room 1",
        category="meeting",
        cancel_notice=60,
    )
    made = place.book(place.at(10), actor=place.owner if by_staff else None)
    shown = (
        booking_queries.get(place.owner, made.id) if by_staff else booking_queries.by_token(made.manage_token)
    )
    assert len(made.sync) == (3 if by_staff and not approval else 0)
    assert _without_errors(made) == _without_errors(shown)


def _without_errors(view: BookingView) -> BookingView:
    """Tries of workers that a test does not have."""
    return replace(view, sync=tuple(replace(one, attempts=0) for one in view.sync))
