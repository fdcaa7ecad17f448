"""What waits is sent in order, at least once, until it is taken or given up, and never to who wants no more."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis
from rq import Queue
from sqlmodel import col, select
from standardwebhooks import Webhook

from calendar_app import queues
from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import AuditEntry, Mail, WebhookSubscription
from calendar_app.domain.webhook import RETRIED_FOR, WebhookEvent, retry_delay
from calendar_app.providers import webhooks as receivers
from calendar_app.services.webhooks import messages, sending, subscriptions
from calendar_app.settings import Settings
from tests.support.receivers import Reply
from tests.support.told import Told

Configure = Callable[..., Settings]
NOW = datetime(2026, 11, 18, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def mails() -> list[Mail]:
    with reading() as session:
        return list(session.exec(select(Mail).order_by(col(Mail.created_at))))


def change(told: Told, **values: object) -> None:
    with transaction() as session:
        row = session.get_one(WebhookSubscription, told.subscription.id)
        for name, value in values.items():
            setattr(row, name, value)
        session.add(row)


def until_still(told: Told, now: datetime, *, step: timedelta = HOUR, rounds: int = 100) -> datetime:
    """Let time pass until nothing waits; when that was."""
    for _ in range(rounds):
        told.send(now)
        if "waiting" not in told.states():
            return now
        now += step
    raise AssertionError(f"still waiting: {told.states()}")


def test_each_message_is_sent_once_and_signed(told: Told) -> None:
    """A second look finds nothing to do; the body is what the signature covers, under the message's own id."""
    told.record("a", "b")
    now = datetime.now(UTC)
    assert (told.send(now), told.send(now)) == (2, 0)
    first, second = told.receiver.verified(told.subscription.secret)
    assert (first["type"], first["version"], first["data"]) == (
        "booking.created",
        "1",
        {"subject": "a", "number": 0},
    )
    assert [one.id for one in told.receiver.got] == [first["id"], second["id"]]
    assert [row.message_id for row in told.deliveries()] == [first["id"], second["id"]]
    assert told.states() == ["delivered", "delivered"]
    assert told.row().last_delivered_at == now


def test_a_failure_is_tried_again_under_the_same_id(told: Told) -> None:
    """The same body under the same ``webhook-id`` with a new time and so a new signature, and later each time."""
    told.record("a")
    told.receiver.answer(Reply(500, b"no"), Reply(503), Reply(200, b"ok"))
    now, waits = datetime.now(UTC), []
    for _ in range(3):
        told.send(now)
        after = told.row().next_attempt_at
        if after is not None:
            waits.append((after - now).total_seconds())
            assert told.send(after - timedelta(seconds=1)) == 0
            now = after
    assert 3.7 <= waits[0] <= 6.3
    assert 7.4 <= waits[1] <= 12.6
    bodies = {one.body for one in told.receiver.got}
    assert len(told.receiver.got) == 3
    assert len(bodies) == 1
    assert len({one.id for one in told.receiver.got}) == 1
    told.receiver.verified(told.subscription.secret)
    (row,) = told.deliveries()
    assert (row.state, row.attempts, row.answer_status, row.answer_body, row.last_error) == (
        "delivered",
        3,
        200,
        "ok",
        "",
    )


def test_a_receiver_that_asks_for_time_gets_it(told: Told) -> None:
    """``Retry-After`` is heeded, up to an hour."""
    told.record("a")
    told.receiver.answer(
        Reply(429, headers={"retry-after": "600"}), Reply(503, headers={"retry-after": "999999"})
    )
    told.send(NOW)
    first = told.row().next_attempt_at
    assert first is not None
    assert 600 < (first - NOW).total_seconds() < 602
    told.send(first)
    second = told.row().next_attempt_at
    assert second is not None
    assert 3600 < (second - first).total_seconds() < 3602


def test_later_messages_wait_for_their_bookings_earlier_ones(told: Told) -> None:
    """A message that is not taken keeps those about the same booking back, and nobody else's."""
    refused = {"a"}
    told.receiver.choose = lambda payload: Reply(500 if payload["data"]["subject"] in refused else 200)
    told.record("a", "a", "b", "a", "b")
    told.send(NOW)
    assert told.told() == []
    told.send(NOW + timedelta(seconds=7))  # the first one is put off for longer by now, the others are due
    assert ("b", 2) in told.told()
    assert ("b", 4) in told.told()
    assert all(subject == "b" for subject, _ in told.told())
    refused.clear()
    until_still(told, NOW + HOUR)
    assert [number for subject, number in told.told() if subject == "a"] == [0, 1, 3]
    assert [number for subject, number in told.told() if subject == "b"] == [2, 4]


@pytest.mark.parametrize("seed", range(3))
def test_order_holds_whatever_the_receiver_answers(told: Told, seed: int) -> None:
    """Faults at random, until everything was taken: of each subject in its order, and each taken message once."""
    chance = random.Random(seed)
    subjects = [chance.choice("abcd") for _ in range(40)]
    told.record(*subjects)
    told.receiver.choose = lambda _payload: Reply(chance.choice([200, 204, 404, 500, 302]))
    now = NOW
    for _ in range(200):
        told.send(now)
        now += timedelta(seconds=chance.choice([1, 60, 1800]))
        if told.states() == ["delivered"] * 40:
            break
    for one in "abcd":
        numbers = [number for subject, number in told.told() if subject == one]
        assert numbers == [number for number, subject in enumerate(subjects) if subject == one]


def test_a_receiver_that_is_down_is_asked_once_per_step(told: Told) -> None:
    """Not once per message: two hundred that wait cost no more requests than one."""
    told.receiver.answer(Reply(503))
    told.record(*(f"s{number}" for number in range(200)))
    now = NOW
    for _ in range(12):
        assert told.send(now) == 1
        assert told.send(now) == 0
        next_at = told.row().next_attempt_at
        assert next_at is not None
        now = next_at
    assert len(told.receiver.got) == 12
    told.receiver.answer(Reply(200))
    until_still(told, now)
    assert len(told.told()) == 200


def test_a_day_of_failure_is_told_to_the_owners_once(told: Told) -> None:
    """One e-mail after a day, none before, none again while it goes on; once it works, a new failure is told anew."""
    told.receiver.answer(Reply(500))
    told.record("a")
    told.send(NOW)
    told.send(NOW + timedelta(hours=23))
    assert mails() == []
    told.send(NOW + timedelta(hours=25))
    told.send(NOW + timedelta(hours=27))
    (mail,) = mails()
    assert mail.recipient == told.owner.email
    assert told.receiver.url in mail.body
    assert "It answered 500." in mail.body
    assert "18 November 2026" in mail.body
    told.receiver.answer(Reply(200), Reply(500))
    told.send(NOW + timedelta(hours=29))
    assert told.row().failing_since is None
    told.record("b")
    told.send(NOW + timedelta(hours=30))
    told.send(NOW + timedelta(hours=55))
    assert len(mails()) == 2


def test_three_days_of_failure_switch_it_off(told: Told) -> None:
    """What was tried is given up, what waits is dropped, the owners hear of it, and nothing more is sent; what happens
    afterwards is kept for a replay."""
    told.receiver.answer(Reply(500, b"broken"))
    told.record("a", "b")
    now = until_still(told, NOW)
    assert RETRIED_FOR <= now - NOW <= RETRIED_FOR + 2 * HOUR
    row = told.row()
    assert (row.state, row.reason) == ("disabled", "It answered 500.")
    assert set(told.states()) <= {"failed", "dropped"}
    assert [mail.subject for mail in mails()] == [
        "A webhook has not been taken for a day",
        "A webhook was switched off",
    ]
    sent = len(told.receiver.got)
    told.record("c")
    assert told.states()[-1] == "dropped"
    assert (told.send(now + HOUR), sending.sweep(now + HOUR), len(told.receiver.got)) == (0, 0, sent)
    with reading() as session:
        entry = session.exec(select(AuditEntry).where(AuditEntry.action == "webhook.disabled")).one()
    assert (entry.actor, entry.subject_id) == ("system", told.subscription.id)


def test_one_message_that_is_never_taken_holds_nobody_up(told: Told) -> None:
    """It is given up after three days; the receiver takes everything else, so it stays on and nobody is told."""
    told.receiver.choose = lambda payload: Reply(422 if payload["data"]["subject"] == "bad" else 200)
    told.record("bad", "bad")
    now = NOW
    for number in range(80):
        told.record(f"good{number}")
        told.send(now)
        told.send(now + timedelta(minutes=30))
        now += HOUR
    assert [row.state for row in told.deliveries()[:1]] == ["failed"]
    assert (told.row().state, mails()) == ("active", [])
    assert {row.state for row in told.deliveries()[2:-1]} == {"delivered"}


def test_gone_ends_it(told: Told) -> None:
    """410: this message was the last, whatever else waits or happens; the owners are told."""
    told.receiver.answer(Reply(200), Reply(410))
    told.record("a", "b", "c")
    assert told.send(NOW) == 2
    told.record("d")
    assert told.states() == ["delivered", "failed", "dropped"]
    assert (told.row().state, len(told.receiver.got)) == ("ended", 2)
    assert (told.send(NOW + HOUR), len(told.receiver.got)) == (0, 2)
    assert [mail.subject for mail in mails()] == ["A webhook has ended"]


@pytest.mark.parametrize("state", ["paused", "deleted"])
def test_nothing_is_sent_after_a_person_ended_it(told: Told, state: str) -> None:
    """What waits is not sent, and what happens is not recorded."""
    told.record("a", "b")
    if state == "paused":
        subscriptions.change(told.owner, told.subscription.id, state="paused")
    else:
        subscriptions.delete(told.owner, told.subscription.id)
    told.record("c")
    assert (told.send(NOW), told.receiver.got) == (0, [])
    assert told.states() == (["dropped", "dropped"] if state == "paused" else [])


def test_an_end_while_one_is_on_its_way(told: Told) -> None:
    """The message that is being sent arrives and is recorded; the one behind it is not sent."""

    def pause(_payload: object) -> Reply:
        subscriptions.change(told.owner, told.subscription.id, state="paused")
        return Reply(200)

    told.receiver.choose = pause
    told.record("a", "b")
    told.send(NOW)
    assert (told.states(), len(told.receiver.got)) == (["delivered", "dropped"], 1)


def test_workers_at_once_send_each_message_once(told: Told) -> None:
    """Eight jobs of one subscription: its lease lets one of them send."""
    told.receiver.choose = lambda _payload: Reply(200, seconds=0.01)
    told.record(*"abcabc")
    with ThreadPoolExecutor(8) as pool:
        tries = list(pool.map(lambda _: told.send(NOW), range(8)))
    assert sum(tries) == 6
    assert len(told.receiver.got) == 6
    assert [number for subject, number in told.told() if subject == "a"] == [0, 3]


def test_a_worker_that_was_overtaken_records_only_a_success(told: Told) -> None:
    """It stood still for longer than its lease: another one sent meanwhile, and its own failure counts no more."""
    told.record("a")
    claim = sending._claim(told.subscription.id, NOW)
    assert claim is not None
    late = sending._next(claim, NOW)
    assert late is not None
    told.receiver.answer(Reply(500), Reply(200))
    answer = sending.attempt(late, NOW)
    assert told.send(NOW + 2 * sending.LEASE) == 1
    assert not sending._record(claim, late.number, answer, NOW + 2 * sending.LEASE)
    (row,) = told.deliveries()
    assert (row.state, row.answer_status, told.row().failing_since) == ("delivered", 200, None)


def test_a_crash_after_the_receiver_took_it_sends_it_again(told: Told) -> None:
    """At least once, never less: the row still waits, and the receiver knows the repeat by its id."""
    told.record("a")
    claim = sending._claim(told.subscription.id, NOW)
    assert claim is not None
    one = sending._next(claim, NOW)
    assert one is not None
    sending.attempt(one, NOW)  # and the worker dies here
    assert (told.send(NOW), sending.sweep(NOW)) == (0, 0)
    later = NOW + sending.LEASE + timedelta(seconds=1)
    assert sending.sweep(later) == 1
    assert told.send(later) == 1
    first, second = told.receiver.got
    assert first.id == second.id
    assert told.states() == ["delivered"]


def test_without_redis_the_sweep_sends(told: Told, redis_server: Redis) -> None:
    """A commit queues the job; a queue that was lost costs time only; what is put off is not due."""
    queue = Queue(queues.WEBHOOKS, connection=redis_server)
    told.record("a", "b")
    assert [job.args for job in queue.jobs] == [(told.subscription.id,)]
    redis_server.flushall()
    assert sending.sweep(NOW) == 1
    assert [job.args for job in queue.jobs] == [(told.subscription.id,)]
    told.receiver.answer(Reply(500))
    told.send(NOW)
    assert sending.sweep(NOW) == 0
    assert sending.sweep(NOW + timedelta(seconds=10)) == 1


def test_a_transaction_that_rolls_back_tells_nobody(told: Told, redis_server: Redis) -> None:
    """Neither rows nor a job are left of it."""

    def booking_that_fails() -> None:
        with transaction() as session:
            messages.record(session, told.owner.workspace_id, WebhookEvent.BOOKING_CREATED, "a", dict)
            raise RuntimeError("the booking could not be made")

    with pytest.raises(RuntimeError):
        booking_that_fails()
    assert told.deliveries() == []
    assert Queue(queues.WEBHOOKS, connection=redis_server).jobs == []


def test_a_new_secret_is_added_to_the_old_one_for_a_day(told: Told) -> None:
    """Receivers that know either can check it; afterwards only the new one counts."""
    old = told.subscription.secret
    new = subscriptions.rotate_secret(told.owner, told.subscription.id).secret
    told.record("a")
    now = datetime.now(UTC)
    told.send(now)
    for secret in (old, new):
        told.receiver.verified(secret)
    told.record("b")
    change(told, previous_until=now)
    told.send(now)
    last = told.receiver.got[-1]
    Webhook(new).verify(last.body.decode(), last.headers)
    assert len(last.headers["webhook-signature"].split()) == 1


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply(302, headers={"location": "http://127.0.0.1:1/"}), "sent us on to http://127.0.0.1:1/"),
        (Reply(307, headers={"location": "https://10.0.0.1/"}), "sent us on to https://10.0.0.1/"),
        (Reply(400, b"what?"), "It answered 400."),
    ],
)
def test_redirects_and_refusals_are_failures(told: Told, reply: Reply, error: str) -> None:
    """No redirect is followed, wherever it leads; the answer is kept for people."""
    told.receiver.answer(reply)
    told.record("a")
    assert told.send(NOW) == 1
    (row,) = told.deliveries()
    assert (row.state, row.answer_status, row.answer_body) == ("waiting", reply.status, reply.body.decode())
    assert error in row.last_error
    assert len(told.receiver.got) == 1


def test_a_huge_answer_is_cut(told: Told) -> None:
    """A hundred megabytes: the beginning is kept, the message counts as taken, and the next one goes out."""
    told.receiver.answer(Reply(200, b"\x00x" * 50_000, times=1_000))
    told.record("a", "b")
    assert told.send(NOW) == 2
    first, second = told.deliveries()
    assert len(first.answer_body) == receivers.MAX_ANSWER
    assert first.answer_body.startswith("\ufffdx")
    assert second.state == "delivered"


def test_a_receiver_that_cannot_be_reached(told: Told) -> None:
    """Nobody listens there: the reason is kept, and the message waits."""
    change(told, url="http://127.0.0.1:9/hook")
    told.record("a")
    assert told.send(NOW) == 1
    (row,) = told.deliveries()
    assert (row.state, row.answer_status, row.attempts) == ("waiting", 0, 1)
    assert row.last_error == "127.0.0.1 cannot be reached right now."


def test_a_name_that_turns_to_a_private_address_is_not_called(told: Told, configure: Configure) -> None:
    """What was public when it was typed and leads inside by the time of the call is refused; the receiver gets
    nothing, and the message waits."""
    configure(ALLOWED_PRIVATE_HOSTS="")
    port = told.receiver.url.rpartition(":")[2].partition("/")[0]
    change(told, url=f"https://localhost:{port}/hook")
    told.record("a")
    assert told.send(NOW) == 1
    (row,) = told.deliveries()
    assert (row.state, told.receiver.got) == ("waiting", [])
    assert "private network" in row.last_error


@given(failures=st.integers(1, 10_000), chance=st.floats(0.75, 1.25))
def test_the_wait_grows_to_an_hour(failures: int, chance: float) -> None:
    """Never less than before, never much more than an hour, whatever the count."""
    delay = retry_delay(failures, chance)
    assert 3.75 <= delay <= 4_500
    assert retry_delay(failures + 1, chance) >= delay
