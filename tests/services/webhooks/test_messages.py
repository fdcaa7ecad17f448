"""Everything that happens to bookings, orders, calendars and connections is told, as the API shows it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from sqlmodel import col, select

from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import WebhookDelivery, WebhookMessage, WebhookSubscription
from calendar_app.db.tables.webhooks import WITH_PAYLOAD
from calendar_app.domain.webhook import SUBSCRIBABLE
from calendar_app.errors import GrantRevoked, PermissionDenied, SlotUnavailable
from calendar_app.services.bookings import reschedule, transitions
from calendar_app.services.common import installation
from calendar_app.services.connections import tokens
from calendar_app.services.orders import commands as orders
from calendar_app.services.orders.commands import NewLine
from calendar_app.services.webhooks import subscriptions
from tests.support.fake_provider import FakeProvider
from tests.support.scheduling import GUEST, ZONE, Place, carry_out

URL = "https://hooks.example/"


@pytest.fixture
def told(place: Place) -> Iterator[Place]:
    subscriptions.create(place.owner, URL, [one.value for one in SUBSCRIBABLE])
    return place


def messages(subject: str = "") -> list[dict[str, Any]]:
    """What is to be sent, in its order."""
    query = select(WebhookMessage).join(
        WebhookDelivery, col(WebhookDelivery.message_id) == col(WebhookMessage.id)
    )
    with reading() as session:
        rows = session.exec(query.options(*WITH_PAYLOAD).order_by(col(WebhookDelivery.number))).all()
        return [json.loads(row.payload) for row in rows if subject in ("", row.subject_id)]


def types(subject: str = "") -> list[str]:
    return [one["type"] for one in messages(subject)]


def test_a_bookings_life_is_told_in_its_order(told: Place) -> None:
    """Made, moved and cancelled: each with the booking as it was then, and a move with where it was before."""
    booking = told.book(told.at(10))
    reschedule.reschedule(told.owner, booking.id, told.at(14))
    transitions.cancel(told.owner, booking.id, "ill")
    transitions.cancel(told.owner, booking.id, "ill")
    created, moved, cancelled = messages(booking.id)
    assert [one["type"] for one in (created, moved, cancelled)] == [
        "booking.created",
        "booking.rescheduled",
        "booking.cancelled",
    ]
    assert created["data"]["booking"]["status"] == "confirmed"
    assert datetime.fromisoformat(moved["data"]["booking"]["start"]) == told.at(14)
    assert datetime.fromisoformat(moved["data"]["before"]["start"]) == told.at(10)
    assert datetime.fromisoformat(moved["data"]["before"]["end"]) == told.at(10, 30)
    assert (cancelled["data"]["booking"]["status"], cancelled["data"]["booking"]["cancel_reason"]) == (
        "cancelled",
        "ill",
    )
    assert len({one["id"] for one in (created, moved, cancelled)}) == 3


def test_the_businesss_answers_are_told(told: Place) -> None:
    """A request is made and approved, or declined; afterwards nobody came, or it is over."""
    with transaction() as session:
        kind = session.merge(told.event_type)
        kind.requires_approval = True
        session.add(kind)
    first, second, third = (told.book(told.at(hour)) for hour in (9, 11, 13))
    assert {one["data"]["booking"]["status"] for one in messages()} == {"pending"}
    transitions.confirm(told.owner, first.id)
    transitions.decline(told.owner, second.id, "no")
    transitions.confirm(told.owner, third.id)
    later = told.at(18)
    transitions.no_show(told.owner, first.id, now=later)
    transitions.complete_past(now=later)
    assert types(first.id) == ["booking.created", "booking.confirmed", "booking.no_show"]
    assert types(second.id) == ["booking.created", "booking.declined"]
    assert types(third.id) == ["booking.created", "booking.confirmed", "booking.completed"]


def test_what_does_not_happen_is_not_told(told: Place) -> None:
    """A time that is taken, or a change that is refused, leaves no message."""
    told.book(told.at(10))
    before = types()
    with pytest.raises(SlotUnavailable):
        told.book(told.at(10))
    assert types() == before


def test_an_order_is_told_with_its_bookings(told: Place) -> None:
    """Each booking for itself, then the order that holds them; cancelling it likewise."""
    lines = [NewLine(told.event_type.id, told.at(hour)) for hour in (9, 11)]
    order = orders.create(lines, ZONE, *GUEST, actor=told.owner)
    orders.confirm(told.owner, order.id)
    orders.cancel(told.owner, order.id)
    assert types() == ["booking.created"] * 2 + ["order.confirmed"] + ["booking.cancelled"] * 2 + [
        "order.cancelled"
    ]
    confirmed, cancelled = messages(order.id)
    assert len(confirmed["data"]["order"]["bookings"]) == 2
    assert cancelled["data"]["order"]["status"] == "cancelled"


def test_calendars_are_told_of(told: Place, fake: FakeProvider) -> None:
    """That a booking stands in its calendar, once for each change that is read back; and that
    writing it was given up."""
    booking = told.book(told.at(10))
    carry_out()
    carry_out()
    assert types(booking.id) == ["booking.created", "calendar_write.verified"]
    told_of = messages(booking.id)[-1]["data"]
    assert (told_of["booking_id"], told_of["receipt"]["state"]) == (booking.id, "verified")
    assert told_of["receipt"]["calendar_id"] == told.calendars[0].id
    fake.fail("put_event", *[PermissionDenied("The calendar may not be written.")] * 50)
    reschedule.reschedule(told.owner, booking.id, told.at(14))
    carry_out()
    assert types(booking.id)[2:] == ["booking.rescheduled", "calendar_write.failed"]
    assert messages(booking.id)[-1]["data"]["receipt"]["last_error"] == "The calendar may not be written."


def test_connections_are_told_of(told: Place) -> None:
    """That one has to be connected again, once, without anything secret."""
    connection_id = told.calendars[0].connection_id
    assert isinstance(tokens.mark_needs_reconnect(connection_id, 0), GrantRevoked)
    tokens.mark_needs_reconnect(connection_id, 0)
    (message,) = messages(connection_id)
    assert message["type"] == "connection.needs_reconnect"
    shown = message["data"]["connection"]
    assert (shown["id"], shown["status"]) == (connection_id, "needs_reconnect")
    assert not [name for name in shown if "token" in name]


def test_only_what_was_asked_for_is_recorded(place: Place) -> None:
    """By event, by workspace, and not for one that is paused; where nobody wants it nothing is written."""
    wanting = subscriptions.create(place.owner, URL, ["booking.cancelled"])
    paused = subscriptions.create(place.owner, URL, ["booking.cancelled"])
    subscriptions.change(place.owner, paused.id, state="paused")
    booking = place.book(place.at(10))
    assert messages() == []
    transitions.cancel(place.owner, booking.id)
    with reading() as session:
        assert [row.subscription_id for row in session.exec(select(WebhookDelivery))] == [wanting.id]


def test_bodies_are_encrypted_at_rest(told: Place) -> None:
    """They hold names, addresses and the links by which customers change their bookings."""
    told.book(told.at(10))
    with reading() as session:
        (raw,) = session.connection().exec_driver_sql("SELECT payload FROM webhook_message").scalars()
    assert GUEST[1] not in raw
    assert messages()[0]["data"]["booking"]["email"] == GUEST[1]


def test_a_copy_of_an_installation_tells_nobody(told: Place) -> None:
    """What the installation that it was made of tells already is not told a second time."""
    told.book(told.at(10))
    installation.after_restore(as_copy=True)
    with reading() as session:
        assert [row.state for row in session.exec(select(WebhookSubscription))] == ["paused"]
        assert {row.state for row in session.exec(select(WebhookDelivery))} == {"dropped"}
