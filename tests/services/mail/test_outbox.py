"""Letters are queued with what they tell and handed over once, whatever dies in between."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from redis import Redis
from rq import Queue
from sqlmodel import select

from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import Booking, Mail
from calendar_app.queues import DEFAULT
from calendar_app.services.mail import outbox as mail_outbox
from calendar_app.services.mail.outbox import Draft
from calendar_app.settings import Settings
from tests.support import factories
from tests.support.databases import Database
from tests.support.factories import Team
from tests.support.mail_server import MailServer, mail_server

Configure = Callable[..., Settings]
NOW = datetime(2026, 11, 18, 9, 0, tzinfo=UTC)
ROOT = Path(__file__).parents[3]


@pytest.fixture
def server(database: Database, configure: Configure) -> Iterator[MailServer]:
    with mail_server() as running:
        configure(SMTP_URL=running.url, MAIL_FROM="Almanac <no-reply@almanac.example>")
        yield running


@pytest.fixture
def team(database: Database) -> Team:
    return factories.team()


def _draft(team: Team, *, dedupe: str = "b1:confirmed:0", **changes: object) -> Draft:
    return Draft(
        workspace_id=team.workspace.id,
        booking_id=None,
        kind="confirmed",
        dedupe=dedupe,
        recipient="grace@example.org",
        subject="Confirmed",
        body="Hello\n",
        **changes,  # type: ignore[arg-type]  # the tests' own
    )


def _queued(team: Team, **changes: object) -> str:
    with transaction() as session:
        assert mail_outbox.queue(session, _draft(team, **changes))
    return _rows()[-1].id


def _rows() -> list[Mail]:
    with reading() as session:
        return list(session.exec(select(Mail).order_by(Mail.created_at)))  # type: ignore[arg-type]  # a column


def _row(mail_id: str) -> Mail:
    with reading() as session:
        return session.get_one(Mail, mail_id)


def _jobs(redis_server: Redis) -> list[tuple[object, ...]]:
    queue = Queue(DEFAULT, connection=redis_server)
    return [job.args for job in queue.jobs]


def test_a_letter_is_sent_once(server: MailServer, team: Team) -> None:
    """Delivered twice in a row, it goes out the first time."""
    mail_id = _queued(team, reply_to="ada@example.com")
    assert mail_outbox.deliver(mail_id, now=NOW) == "sent"
    assert mail_outbox.deliver(mail_id, now=NOW) == ""
    (got,) = server.received
    assert got.recipients == ["grace@example.org"]
    assert (got.message["Message-ID"], got.message["Reply-To"]) == (
        _row(mail_id).message_id,
        "ada@example.com",
    )
    assert (_row(mail_id).state, _row(mail_id).sent_at, _row(mail_id).lease_until) == ("sent", NOW, None)
    assert mail_outbox.deliver("no-such-letter") == ""


def test_an_occasion_queues_once(server: MailServer, team: Team) -> None:
    """The same occasion, in one transaction or in another, gives one letter; another occasion one more."""
    with transaction() as session:
        assert mail_outbox.queue(session, _draft(team))
        assert not mail_outbox.queue(session, _draft(team))
    with transaction() as session:
        assert not mail_outbox.queue(session, _draft(team))
        assert mail_outbox.queue(session, _draft(team, dedupe="b1:cancelled:1"))
    assert len({row.message_id for row in _rows()}) == 2


def test_an_occasion_queues_once_in_a_storm(server: MailServer, team: Team) -> None:
    """Eight transactions at once: one letter, and none of them fails."""

    def work(_number: int) -> bool:
        with transaction() as session:
            return mail_outbox.queue(session, _draft(team))

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(work, range(8))) == [False] * 7 + [True]
    assert len(_rows()) == 1


def test_a_transaction_that_rolls_back_mails_nothing(
    server: MailServer, team: Team, redis_server: Redis
) -> None:
    """Neither a row nor a job is left of it."""

    def booking_that_fails() -> None:
        with transaction() as session:
            mail_outbox.queue(session, _draft(team))
            raise RuntimeError("the booking could not be made")

    with pytest.raises(RuntimeError):
        booking_that_fails()
    assert _rows() == []
    assert _jobs(redis_server) == []


def test_a_commit_queues_the_job(server: MailServer, team: Team, redis_server: Redis) -> None:
    """The worker is told at once; a letter for later waits for the sweep."""
    mail_id = _queued(team)
    _queued(team, dedupe="b1:reminder", at=NOW + timedelta(hours=1))
    assert _jobs(redis_server) == [(mail_id,)]


def test_without_redis_the_sweep_delivers(server: MailServer, team: Team, redis_server: Redis) -> None:
    """A queue that was lost costs time only: the sweep queues what is due, again and again, without doubling."""
    mail_id = _queued(team)
    redis_server.flushall()
    assert mail_outbox.sweep(now=NOW) == 1
    assert mail_outbox.sweep(now=NOW) == 1
    assert _jobs(redis_server) == [(mail_id,)]
    assert mail_outbox.deliver(mail_id, now=NOW) == "sent"
    assert mail_outbox.sweep(now=NOW) == 0


def test_a_dead_redis_is_no_error(server: MailServer, team: Team) -> None:
    """Nothing listens where Redis should: the letter stands, and is sent when somebody asks."""
    assert mail_outbox.deliver(_queued(team), now=NOW) == "sent"


def test_two_workers_send_one_letter(server: MailServer, team: Team) -> None:
    """While one worker is with the mail server, eight others find nothing to do."""
    mail_id = _queued(team)
    server.gate.clear()
    with ThreadPoolExecutor(9) as pool:
        first = pool.submit(mail_outbox.deliver, mail_id)
        assert server.arrived.acquire(timeout=10)
        assert list(pool.map(mail_outbox.deliver, [mail_id] * 8)) == [""] * 8
        server.gate.set()
        assert first.result() == "sent"
    assert len(server.received) == 1


def test_workers_that_start_together_send_one_letter(server: MailServer, team: Team) -> None:
    """All begin at the same moment; the database lets one through."""
    mail_id = _queued(team)
    barrier = threading.Barrier(6)

    def work(_number: int) -> str:
        barrier.wait()
        return mail_outbox.deliver(mail_id)

    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(work, range(6))) == [""] * 5 + ["sent"]
    assert len(server.received) == 1


def test_a_worker_killed_after_the_server_took_the_letter(
    server: MailServer, team: Team, database: Database
) -> None:
    """Its lease runs out, another worker sends the letter again, and both copies bear one Message-ID."""
    mail_id = _queued(team)
    server.gate.clear()
    command = f"from calendar_app.services.mail import outbox; outbox.deliver({mail_id!r})"
    worker = subprocess.Popen([sys.executable, "-c", command], cwd=ROOT)
    assert server.arrived.acquire(timeout=30)
    worker.kill()
    worker.wait(10)
    server.gate.set()
    now = datetime.now(UTC)
    assert mail_outbox.deliver(mail_id, now=now) == ""
    assert mail_outbox.sweep(now=now) == 0
    later = now + mail_outbox.LEASE + timedelta(seconds=1)
    assert mail_outbox.sweep(now=later) == 1
    assert mail_outbox.deliver(mail_id, now=later) == "sent"
    assert [got.message["Message-ID"] for got in server.received] == [_row(mail_id).message_id] * 2


def test_a_slow_worker_cannot_undo_what_its_successor_did(
    server: MailServer, team: Team, configure: Configure
) -> None:
    """The first worker's claim was taken over and the letter sent; then its own attempt fails: it stays sent."""
    mail_id = _queued(team)
    server.gate.clear()
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(mail_outbox.deliver, mail_id, now=NOW)
        assert server.arrived.acquire(timeout=10)
        with mail_server() as other:
            configure(SMTP_URL=other.url)
            assert mail_outbox.deliver(mail_id, now=NOW + mail_outbox.LEASE) == "sent"
        server.answers["DATA"] = "451 try later"
        server.gate.set()
        assert slow.result() == "queued"
    assert (_row(mail_id).state, _row(mail_id).last_error) == ("sent", "")


def test_a_slow_success_counts(server: MailServer, team: Team, configure: Configure) -> None:
    """The first worker's letter is out although its claim was taken over: nobody sends it a third time."""
    mail_id = _queued(team)
    server.gate.clear()
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(mail_outbox.deliver, mail_id, now=NOW)
        assert server.arrived.acquire(timeout=10)
        with mail_server() as other:
            other.answers["DATA"] = "451 try later"
            configure(SMTP_URL=other.url)
            assert mail_outbox.deliver(mail_id, now=NOW + mail_outbox.LEASE) == "queued"
        server.gate.set()
        assert slow.result() == "sent"
    assert _row(mail_id).state == "sent"
    assert mail_outbox.deliver(mail_id, now=NOW + timedelta(days=1)) == ""


def test_trouble_with_the_server_delays(server: MailServer, team: Team) -> None:
    """A letter waits longer after each failure, an hour at most, and then goes out."""
    mail_id = _queued(team)
    server.answers["DATA"] = "451 4.3.0 busy"
    now, waits = NOW, []
    for _ in range(12):
        assert mail_outbox.deliver(mail_id, now=now) == "queued"
        assert mail_outbox.deliver(mail_id, now=now) == ""
        again = _row(mail_id).next_attempt_at
        assert again is not None
        waits.append((again - now).total_seconds())
        now = again
    assert 11 <= waits[0] <= 19
    assert 2700 <= waits[-1] <= 4500
    assert "try again later" in _row(mail_id).last_error
    del server.answers["DATA"]
    assert mail_outbox.deliver(mail_id, now=now) == "sent"
    assert _row(mail_id).last_error == ""


@pytest.mark.parametrize("url", ["", "http://nonsense"])
def test_an_operators_mistake_loses_no_letter(
    server: MailServer, team: Team, configure: Configure, url: str
) -> None:
    """Without a usable SMTP_URL letters wait; they go out once it is there."""
    mail_id = _queued(team)
    configure(SMTP_URL=url)
    assert mail_outbox.deliver(mail_id, now=NOW) == "queued"
    assert "SMTP_URL" in _row(mail_id).last_error
    configure(SMTP_URL=server.url)
    assert mail_outbox.deliver(mail_id, now=NOW + timedelta(hours=1)) == "sent"


def test_a_refused_letter_is_parked(server: MailServer, team: Team) -> None:
    """A recipient that does not exist is not tried again."""
    mail_id = _queued(team)
    server.answers["RCPT"] = "550 5.1.1 nobody"
    assert mail_outbox.deliver(mail_id, now=NOW) == "failed"
    assert _row(mail_id).last_error == "The mail server refused the email (550)."
    assert mail_outbox.sweep(now=NOW + timedelta(days=9)) == 0


def test_a_letter_is_given_up_in_the_end(server: MailServer, team: Team) -> None:
    """After the last try it is parked with the reason of that try, also if workers only ever died on it."""
    mail_id = _queued(team)
    with transaction() as session:
        row = session.get_one(Mail, mail_id)
        row.attempts = mail_outbox.MAX_ATTEMPTS
        session.add(row)
    assert mail_outbox.deliver(mail_id, now=NOW) == ""
    assert (_row(mail_id).state, server.received) == ("failed", [])
    assert "two days" in _row(mail_id).last_error


def _booking(team: Team, start: datetime) -> Booking:
    return factories.booking(factories.event_type(team.workspace, team.person), team.person, start)


def _reminder(team: Team, booking: Booking, at: datetime) -> str:
    draft = _draft(team, dedupe=f"{booking.id}:reminder", at=at)
    with transaction() as session:
        mail_outbox.queue(
            session, Draft(**{**_fields(draft), "booking_id": booking.id, "kind": mail_outbox.REMINDER})
        )
    return _rows()[-1].id


def _fields(draft: Draft) -> dict[str, object]:
    return {name: getattr(draft, name) for name in Draft.__dataclass_fields__}


def test_a_reminder_waits_for_its_time(server: MailServer, team: Team) -> None:
    """Not before it, by job or by sweep."""
    at = NOW + timedelta(hours=1)
    mail_id = _reminder(team, _booking(team, NOW + timedelta(hours=2)), at)
    early = at - timedelta(seconds=1)
    assert (mail_outbox.deliver(mail_id, now=early), mail_outbox.sweep(now=early)) == ("", 0)
    assert mail_outbox.sweep(now=at) == 1
    assert mail_outbox.deliver(mail_id, now=at) == "sent"


def test_a_reminder_of_the_past_is_dropped(server: MailServer, team: Team) -> None:
    """A worker that comes back after the appointment has begun reminds nobody."""
    mail_id = _reminder(team, _booking(team, NOW), NOW - timedelta(hours=1))
    assert mail_outbox.deliver(mail_id, now=NOW) == ""
    assert (_row(mail_id).state, server.received) == ("dropped", [])


def test_a_reminder_of_a_cancelled_booking_is_dropped(server: MailServer, team: Team) -> None:
    """Dropped with the cancellation, and looked at once more when it is due."""
    booking = _booking(team, NOW + timedelta(hours=2))
    first = _reminder(team, booking, NOW)
    with transaction() as session:
        mail_outbox.drop_reminders(session, booking.id)
    assert _row(first).state == "dropped"
    other = _booking(team, NOW + timedelta(hours=3))
    second = _reminder(team, other, NOW)
    with transaction() as session:
        row = session.get_one(Booking, other.id)
        row.status = "cancelled"
        session.add(row)
    assert mail_outbox.deliver(second, now=NOW) == ""
    assert (_row(second).state, server.received) == ("dropped", [])


def test_a_reminder_dropped_while_it_is_sent_is_not_tried_again(server: MailServer, team: Team) -> None:
    """The booking moves while a worker is with the mail server, which then says "later": there is no later."""
    booking = _booking(team, NOW + timedelta(hours=2))
    mail_id = _reminder(team, booking, NOW)
    server.gate.clear()
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(mail_outbox.deliver, mail_id, now=NOW)
        assert server.arrived.acquire(timeout=10)
        with transaction() as session:
            mail_outbox.drop_reminders(session, booking.id)
        server.answers["DATA"] = "451 try later"
        server.gate.set()
        sending.result()
    assert _row(mail_id).state == "dropped"
    assert mail_outbox.deliver(mail_id, now=NOW + timedelta(hours=1)) == ""
