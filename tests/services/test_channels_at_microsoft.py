"""The life of a Graph subscription, told by Microsoft itself: over HTTP, from its stand-in to our webhook and back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from redis import Redis
from rq import Queue
from sqlmodel import select

from calendar_app.db.session import reading
from calendar_app.db.tables import Calendar, Channel, Connection, Mail
from calendar_app.providers.base import PushSignal
from calendar_app.providers.http import shared_client
from calendar_app.services import channels, sync
from calendar_app.services.connecting import finish, start
from calendar_app.services.roles import Role
from calendar_app.settings import Settings
from tests.sandbox.microsoft.client import OWNER, Microsoft, running_microsoft
from tests.sandbox.server import SharedServer, wait_until
from tests.support import factories
from tests.support.databases import Database


@dataclass(frozen=True)
class Mailbox:
    """A connected mailbox whose default calendar has been read and has a subscription."""

    microsoft: Microsoft
    server: SharedServer
    connection_id: str
    calendar_id: str
    queue: Queue

    def act(self, work: Callable[[], Any]) -> None:
        """Something happens at Microsoft."""
        self.server.run(work)

    def say(self, event: str) -> None:
        """Microsoft sends a lifecycle notice of every subscription to its webhook."""
        self.act(lambda: self.microsoft.stand_in.send_notice(event))

    def work(self) -> None:
        """What a worker does, once there is something to do."""
        wait_until(lambda: self.queue.count)
        for job in self.queue.jobs:
            job.perform()
            job.delete()

    def subscriptions(self) -> set[str]:
        """Ids of what Microsoft holds."""
        return {row["id"] for row in self.microsoft.stand_in.subscriptions.of()}

    def relied_upon(self) -> set[str]:
        """Ids of the subscriptions that nobody here is about to replace."""
        now = datetime.now(UTC)
        with reading() as session:
            rows = session.exec(select(Channel)).all()
        return {row.resource_id for row in rows if row.stopped_at is None and row.expires_at > now}

    @property
    def status(self) -> str:
        with reading() as session:
            return session.get_one(Connection, self.connection_id).status

    def letters(self) -> list[str]:
        """Subjects of what was written to the mailbox's owner."""
        with reading() as session:
            return [row.subject for row in session.exec(select(Mail))]


@pytest.fixture
def mailbox(
    database: Database,
    redis_server: Redis,
    configure: Callable[..., Settings],
    _api_url: str,
) -> Iterator[Mailbox]:
    with SharedServer() as server, running_microsoft(server, clock=lambda: datetime.now(UTC)) as microsoft:
        configure(**microsoft.sandbox.environment)
        person, place = factories.person(), factories.workspace()
        factories.membership(person, place, Role.OWNER)
        actor = factories.actor(person, place, Role.OWNER)
        asked = dict(parse_qsl(urlsplit(start(actor, "microsoft", binding="browser")).query))
        answer = microsoft.decide(email=OWNER, **asked)
        made = finish(
            bindings=["browser"],
            provider="microsoft",
            state=answer["state"],
            code=answer["code"],
            error=None,
            issuer=answer.get("iss"),
        )
        configure(
            BASE_URL=_api_url
        )  # Microsoft calls us there; people come back to where the stand-in knows us
        calendar_id = next(one.id for one in made.calendars if one.is_primary)
        sync.sync_calendar(calendar_id)
        assert channels.ensure(calendar_id)
        queue = Queue("sync", connection=redis_server)
        queue.empty()
        yield Mailbox(microsoft, server, made.connection.id, calendar_id, queue)
        shared_client().close()
        shared_client.cache_clear()


def test_a_subscription_that_has_to_be_authorized_anew_is_replaced_at_once(mailbox: Mailbox) -> None:
    """reauthorizationRequired: a new subscription is opened, and only then the old one ended; nobody is told."""
    before = mailbox.subscriptions()
    mailbox.say("reauthorizationRequired")
    mailbox.work()
    after = mailbox.subscriptions()
    assert len(before) == len(after) == 1
    assert before.isdisjoint(after)
    assert mailbox.relied_upon() == after
    assert mailbox.status == "connected"


def test_a_grant_that_is_gone_is_told_at_once_and_once(mailbox: Mailbox) -> None:
    """reauthorizationRequired of an account that took its access back: reconnect, and one letter for all notices."""
    with reading() as session:
        (channel_id,) = session.exec(select(Channel.id)).all()
    stand_in = mailbox.microsoft.stand_in
    stand_in.grants.on_withdrawn = lambda _email: None  # that only this notice tells of it
    mailbox.act(lambda: stand_in.remove_access(OWNER))
    mailbox.say("reauthorizationRequired")
    mailbox.work()
    assert mailbox.status == "needs_reconnect"
    assert len(mailbox.letters()) == 1
    channels.pushed(channel_id, 0, PushSignal.EXPIRING)
    assert len(mailbox.letters()) == 1


def test_a_subscription_that_microsoft_ended_is_opened_anew(mailbox: Mailbox) -> None:
    """subscriptionRemoved: what came meanwhile is read, and from then on pushes arrive again."""
    mailbox.say("subscriptionRemoved")
    mailbox.work()
    assert len(mailbox.subscriptions()) == 1
    assert mailbox.relied_upon() == mailbox.subscriptions()


def test_what_has_to_be_renewed_is_remembered_without_redis(
    mailbox: Mailbox, configure: Callable[..., Settings], tmp_path: Path
) -> None:
    """The queue is away when the notice comes: the hourly job finds the channel, the sweeper the calendar."""
    before = mailbox.subscriptions()
    configure(REDIS_URL=f"unix://{tmp_path}/no-redis.sock")
    mailbox.say("reauthorizationRequired")
    wait_until(lambda: not mailbox.relied_upon())
    assert channels.renew() == 1
    with reading() as session:
        assert session.get_one(Calendar, mailbox.calendar_id).sync_requested_at
    assert channels.ensure(mailbox.calendar_id)
    assert mailbox.subscriptions().isdisjoint(before)
