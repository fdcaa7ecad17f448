"""Thousands of booking changes told to receivers that fail, while workers are killed and Redis is emptied."""

from __future__ import annotations

import os
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from sqlalchemy import func, update
from sqlmodel import col, select

from calendar_app import queues
from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import WebhookDelivery, WebhookSubscription
from calendar_app.domain.webhook import SUBSCRIBABLE, DeliveryState, SubscriptionState
from calendar_app.services.bookings import reschedule, transitions
from calendar_app.services.webhooks import sending, subscriptions
from calendar_app.settings import Settings
from tests.support.long_form import LONG
from tests.support.receivers import Receiver, Reply, receiver
from tests.support.scheduling import Place
from tests.worker.processes import Process, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.serial, pytest.mark.timeout(1800 if LONG else 240)]

Configure = Callable[..., Settings]
CHANGES = 5_000 if LONG else 80
TROUBLE_EVERY = 100 if LONG else 20
WORKER = ["rq.cli", "worker", "--worker-class", "calendar_app.worker.runner.Worker"]
WORKER += ["--config", "calendar_app.worker.config", queues.WEBHOOKS]


class Workers:
    """Two worker processes that send webhooks; each killed one is replaced."""

    def __init__(self, folder: Path) -> None:
        self._folder, self.killed = folder, 0
        self.running = [self._start(number) for number in range(2)]

    def _start(self, number: int) -> Process:
        return Process(WORKER, dict(os.environ), self._folder / f"worker{number}.log", forked=True)

    def kill_one(self) -> None:
        """``kill -9``; what it had claimed is free once its lease ends, which is now."""
        number = self.killed % 2
        self.running[number].kill()
        self.killed += 1
        with transaction() as session:
            session.execute(update(WebhookSubscription).values(lease_until=None))
        self.running[number] = self._start(number)

    def stop(self) -> None:
        for one in self.running:
            one.stop()


def pass_time() -> None:
    """What was put off is due, and the sweeper, which the clock would call, looks for it."""
    with transaction() as session:
        session.execute(update(WebhookSubscription).values(next_attempt_at=None, tried_at=None))
        session.execute(update(WebhookDelivery).values(next_attempt_at=None))
    sending.sweep()


def waiting() -> int:
    query = (
        select(func.count())
        .select_from(WebhookDelivery)
        .join(WebhookSubscription, col(WebhookSubscription.id) == col(WebhookDelivery.subscription_id))
        .where(WebhookDelivery.state == DeliveryState.WAITING)
        .where(WebhookSubscription.state == SubscriptionState.ACTIVE)
    )
    with reading() as session:
        return session.exec(query).one()


def changes(place: Place) -> Iterator[tuple[str, str]]:
    """Book, move, move and cancel, again and again on different days; what happened to which booking."""
    day = 0
    while True:
        booking = place.book(place.at(9, days=day))
        yield booking.id, "booking.created"
        for hour in (11, 13):
            reschedule.reschedule(place.owner, booking.id, place.at(hour, days=day))
            yield booking.id, "booking.rescheduled"
        transitions.cancel(place.owner, booking.id)
        yield booking.id, "booking.cancelled"
        day = (day + 1) % 5


def assert_in_order(running: Receiver, happened: list[tuple[str, str]]) -> None:
    """Everything arrived; no message about a booking came before an earlier one about it had been taken."""
    taken: dict[str, list[str]] = defaultdict(list)
    types: dict[str, list[str]] = defaultdict(list)
    numbers: dict[str, list[int]] = defaultdict(list)
    for one in running.got:
        booking = one.payload["data"]["booking"]
        if 200 <= one.reply.status < 300 and one.id not in taken[booking["id"]]:
            taken[booking["id"]].append(one.id)
            types[booking["id"]].append(one.payload["type"])
            numbers[booking["id"]].append(booking["version"])
    expected: dict[str, list[str]] = defaultdict(list)
    for booking_id, kind in happened:
        expected[booking_id].append(kind)
    assert types == expected
    assert all(versions == sorted(versions) for versions in numbers.values())
    reached: dict[str, int] = defaultdict(int)
    for one in running.got:
        booking = one.payload["data"]["booking"]
        place = taken[booking["id"]].index(one.id)
        assert place <= reached[booking["id"]], "it came before an earlier one was taken"
        if 200 <= one.reply.status < 300:
            reached[booking["id"]] = max(reached[booking["id"]], place + 1)


def test_a_soak(
    place: Place, redis_server: Redis, configure: Configure, tmp_path: Path, record_property: Any
) -> None:
    """Receivers answer errors, hang up and take their time, workers die in the middle, Redis forgets everything: each
    change is delivered, in its booking's order, and nothing to those whose subscription has ended."""
    configure(ALLOWED_PRIVATE_HOSTS="127.0.0.1")
    chance = random.Random(20_261_118)

    def moody(_payload: dict[str, Any]) -> Reply:
        return chance.choices(
            [
                Reply(204),
                Reply(500),
                Reply(0),
                Reply(503, headers={"retry-after": "1"}),
                Reply(200, seconds=0.05),
            ],
            [92, 3, 2, 1, 2],
        )[0]

    kinds = [one.value for one in SUBSCRIBABLE if one.value.startswith("booking.")]
    with ExitStack() as stack:
        good, ended, deleted = (stack.enter_context(receiver()) for _ in range(3))
        good.choose = moody
        ended.answer(*[Reply(204)] * 20, Reply(410))
        for one in (good, ended):
            subscriptions.create(place.owner, one.url, kinds)
        last = subscriptions.create(place.owner, deleted.url, kinds)
        workers = Workers(tmp_path)
        stack.callback(workers.stop)
        happened: list[tuple[str, str]] = []
        so_far = 0
        for number, change in enumerate(changes(place), 1):
            happened.append(change)
            if number == CHANGES:
                break
            if number == CHANGES // 2:
                subscriptions.delete(place.owner, last.id)
                time.sleep(0.5)  # one may have been on its way
                so_far = len(deleted.got)
            if number % TROUBLE_EVERY == 0:
                chance.choice([workers.kill_one, redis_server.flushall, workers.kill_one])()
                pass_time()
        redis_server.flushall()  # jobs of the dead are not waited for, as they would be for a minute and a half

        def all_sent() -> bool:
            if waiting() == 0:
                return True
            pass_time()
            time.sleep(0.5)
            return False

        wait_until(all_sent, 900 if LONG else 150)
        assert_in_order(good, happened)
        first_410 = next(n for n, one in enumerate(ended.got) if one.reply.status == 410)
        assert {one.id for one in ended.got[first_410:]} == {ended.got[first_410].id}
        assert len(deleted.got) == so_far > 0
        assert workers.killed > 0
        tries = len(good.got)
    record_property("count", f"{len(happened)} changes, {tries} tries, {workers.killed} kills")
