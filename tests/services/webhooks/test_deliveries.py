"""People see what was sent and answered, have it sent again, and have a test sent."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from calendar_app.clock import utc_now
from calendar_app.errors import Conflict, InvalidInput, TooManyRequests
from calendar_app.services.operations import retention
from calendar_app.services.webhooks import deliveries, subscriptions
from tests.support.receivers import Reply
from tests.support.told import Told

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def test_lists_are_filtered_and_paged(told: Told) -> None:
    """Latest first, by state, event and subject; a cursor leads on, and a wrong one is refused."""
    told.record(*"ababa")
    told.receiver.answer(Reply(500))
    told.send(utc_now())
    key = told.subscription.id
    first = deliveries.list_deliveries(told.owner, key, limit=2)
    second = deliveries.list_deliveries(told.owner, key, limit=2, after=first.next)
    last = deliveries.list_deliveries(told.owner, key, limit=2, after=second.next)
    ids = [one.id for page in (first, second, last) for one in page.items]
    assert ids == [row.id for row in reversed(told.deliveries())]
    assert last.next is None
    assert len(deliveries.list_deliveries(told.owner, key, subject_id="a").items) == 3
    assert len(deliveries.list_deliveries(told.owner, key, state="waiting").items) == 5
    assert deliveries.list_deliveries(told.owner, key, event="booking.cancelled").items == ()
    for field, wrong in (("state", "lost"), ("event", "booking.creatd"), ("after", "x"), ("after", "9" * 40)):
        with pytest.raises(InvalidInput) as refused:
            deliveries.list_deliveries(told.owner, key, **{field: wrong})
        assert refused.value.field == field


def test_bodies_and_answers_are_shown(told: Told) -> None:
    """Exactly what was sent, and the beginning of the answer."""
    told.receiver.answer(Reply(500, b"<b>broken</b>"))
    told.record("a")
    told.send(utc_now())
    (row,) = told.deliveries()
    found = deliveries.get(told.owner, told.subscription.id, row.id)
    assert found.payload.encode() == told.receiver.got[0].body
    assert (found.answer, found.answer_status, found.attempts) == ("<b>broken</b>", 500, 1)


def test_one_is_sent_again(told: Told) -> None:
    """Under the same id, whether it was taken before or not; a subscription that is off sends nothing."""
    told.record("a")
    told.send(utc_now())
    (row,) = told.deliveries()
    again = deliveries.replay(told.owner, told.subscription.id, row.id)
    assert (again.state, again.attempts, again.delivered_at) == ("waiting", 0, None)
    assert told.send(utc_now()) == 1
    assert len({one.id for one in told.receiver.got}) == 1
    assert len(told.receiver.got) == 2
    subscriptions.change(told.owner, told.subscription.id, state="paused")
    with pytest.raises(Conflict) as refused:
        deliveries.replay(told.owner, told.subscription.id, row.id)
    assert refused.value.code == "webhook_not_active"


def test_everything_since_an_instant_is_sent_again_in_order(told: Told) -> None:
    """After three days of failure too, with what happened while nothing was sent; tests are left out."""
    told.record("early")
    told.send(utc_now())
    since = utc_now()
    told.receiver.answer(Reply(500))
    told.record(*"abab")
    now = since
    while told.row().state == "active":
        now += timedelta(hours=1)
        told.send(now)
    told.record(*"ab")
    deliveries.send_test(told.owner, told.subscription.id)
    told.receiver.answer(Reply(200))
    subscriptions.change(told.owner, told.subscription.id, state="active")
    told.receiver.got.clear()
    assert deliveries.replay_since(told.owner, told.subscription.id, since) == 6
    assert told.send(now) == 6
    assert told.told() == [("a", 0), ("b", 1), ("a", 2), ("b", 3), ("a", 0), ("b", 1)]


def test_a_replayed_message_keeps_its_place(told: Told) -> None:
    """A later message about the same booking waits for the earlier one that is sent again."""
    told.record("a")
    told.send(utc_now())
    (row,) = told.deliveries()
    told.receiver.answer(Reply(500), Reply(200))
    deliveries.replay(told.owner, told.subscription.id, row.id)
    told.record("a", "a")
    now = utc_now()
    told.send(now)
    told.receiver.got.clear()
    told.send(now + timedelta(minutes=1))
    assert [one.payload["id"] for one in told.receiver.got] == [one.message_id for one in told.deliveries()]


def test_a_test_is_sent_at_once_and_once(told: Told) -> None:
    """Its answer is the result; a failure is not tried again and says nothing about the subscription."""
    told.receiver.answer(Reply(200, b"fine"), Reply(500, b"broken"))
    good = deliveries.send_test(told.owner, told.subscription.id)
    assert (good.state, good.answer, good.event) == ("delivered", "fine", "webhook.test")
    assert json.loads(good.payload)["data"] == {"webhook_id": told.subscription.id}
    subscriptions.change(told.owner, told.subscription.id, state="paused")
    bad = deliveries.send_test(told.owner, told.subscription.id)
    assert (bad.state, bad.answer_status, bad.last_error) == ("failed", 500, "It answered 500.")
    told.receiver.verified(told.subscription.secret)
    assert (told.send(utc_now()), told.row().failing_since) == (0, None)


def test_tests_are_limited(told: Told) -> None:
    """Ten a minute for a workspace."""
    for _ in range(10):
        deliveries.send_test(told.owner, told.subscription.id)
    with pytest.raises(TooManyRequests):
        deliveries.send_test(told.owner, told.subscription.id)


def test_they_are_kept_for_a_month(told: Told) -> None:
    """What was told is deleted with its deliveries after the period of the setting."""
    told.record("a")
    told.send(utc_now())
    retention.trim(utc_now() + timedelta(days=29))
    assert told.states() == ["delivered"]
    retention.trim(utc_now() + timedelta(days=31))
    assert told.states() == []
    assert told.row().state == "active"
