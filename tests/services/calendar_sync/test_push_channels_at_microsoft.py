"""The life of a Graph subscription, told by Microsoft itself: over HTTP, from its stand-in to our webhook and back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from redis import Redis
from rq import Queue
from sqlmodel import select

from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import Calendar, Channel, Connection, Event, Mail
from calendar_app.providers.base import PushSignal
from calendar_app.providers.http import shared_client
from calendar_app.services.calendar_sync import push_channels
from calendar_app.services.calendar_sync import requests as sync_requests
from calendar_app.services.common.permissions import Role
from calendar_app.services.connection_lifecycle.oauth import finish, start
from calendar_app.settings import Settings
from tests.sandbox.microsoft.client import OWNER, Microsoft, running_microsoft
from tests.sandbox.server import SharedServer, wait_until
from tests.support import factories
from tests.support.databases import Database


class Moving:
    """Microsoft's clock: the real one, and ``ahead`` of it."""

    ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@dataclass(frozen=True)
class Mailbox:
    """A connected mailbox whose default calendar has been read and has a subscription."""

    microsoft: Microsoft
    server: SharedServer
    clock: Moving
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

    def calendar(self) -> Calendar:
        """The calendar as we have it."""
        with reading() as session:
            return session.get_one(Calendar, self.calendar_id)

    def titles(self) -> list[str]:
        """What all mirrors hold."""
        with reading() as session:
            return [row.summary for row in session.exec(select(Event))]

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
    clock = Moving()
    with SharedServer() as server, running_microsoft(server, clock=clock, strict=True) as microsoft:
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
        sync_requests.sync_calendar(calendar_id)
        assert push_channels.ensure(calendar_id)
        queue = Queue("sync", connection=redis_server)
        queue.empty()
        yield Mailbox(microsoft, server, clock, made.connection.id, calendar_id, queue)
        shared_client().close()
        shared_client.cache_clear()


def test_a_subscription_that_has_to_be_authorized_anew_is_renewed(mailbox: Mailbox) -> None:
    """reauthorizationRequired: the same subscription goes on, vouched for by a token that lasts; nobody is told."""
    stand_in = mailbox.microsoft.stand_in
    before = mailbox.subscriptions()
    assert len(before) == 1
    mailbox.clock.ahead = timedelta(minutes=50)
    with transaction() as session:  # as much time has passed here
        row = session.get_one(Connection, mailbox.connection_id)
        row.access_expires_at = datetime.now(UTC) + timedelta(minutes=10)
        session.add(row)
    mailbox.act(stand_in.subscriptions.warn)
    mailbox.work()
    assert mailbox.subscriptions() == before == mailbox.relied_upon()
    assert (mailbox.status, mailbox.letters()) == ("connected", [])
    mailbox.clock.ahead = timedelta(minutes=75)
    account = next(one for one in stand_in.accounts() if one.email == OWNER)
    calendar = account.calendars[0]
    start = datetime.now(UTC) + timedelta(days=1)
    mailbox.act(lambda: stand_in.add_event(calendar.id, "Heard of", start, start + timedelta(hours=1)))
    mailbox.work()
    assert "Heard of" in mailbox.titles()


def test_a_subscription_that_is_renewed_in_time_costs_one_request(mailbox: Mailbox) -> None:
    """While the token lives that vouched for it nothing goes untold, so that the calendar is not read for it. Asked too
    late, or for the first time, it is: what Microsoft did not tell meanwhile is found."""

    def warned() -> bool:
        """Whether a warning had the calendar read."""
        before = mailbox.calendar().synced_at
        mailbox.say("reauthorizationRequired")
        mailbox.work()
        return bool(mailbox.calendar().synced_at != before)

    assert warned()
    assert [warned(), warned()] == [False, False]
    assert mailbox.subscriptions() == mailbox.relied_upon()
    stand_in = mailbox.microsoft.stand_in
    mailbox.clock.ahead = timedelta(minutes=95)
    calendar = next(one for one in stand_in.accounts() if one.email == OWNER).calendars[0]
    start = datetime.now(UTC) + timedelta(days=1)
    mailbox.act(lambda: stand_in.add_event(calendar.id, "Untold", start, start + timedelta(hours=1)))
    with transaction() as session:  # as much time has passed here
        row = session.get_one(Connection, mailbox.connection_id)
        row.access_expires_at = datetime.now(UTC) - timedelta(minutes=5)
        channel = session.exec(select(Channel)).one()
        channel.vouched_until = row.access_expires_at
    assert warned()
    assert "Untold" in mailbox.titles()
    assert not warned()


def test_a_subscription_that_somebody_left_behind_gives_way(mailbox: Mailbox) -> None:
    """409 for a subscription that no calendar here relies on: it is ended, and ours opened."""
    with transaction() as session:
        for row in session.exec(select(Channel)):
            session.delete(row)
    before = mailbox.subscriptions()
    assert push_channels.ensure(mailbox.calendar_id)
    assert len(mailbox.subscriptions()) == 1
    assert mailbox.subscriptions().isdisjoint(before)
    assert mailbox.relied_upon() == mailbox.subscriptions()


def test_two_workspaces_share_the_subscription_of_one_mailbox(mailbox: Mailbox) -> None:
    """The second is granted none of its own: pushes are news for both, and neither is left behind when one goes."""
    with reading() as session:
        calendar = session.get_one(Calendar, mailbox.calendar_id)
        first = session.get_one(Connection, mailbox.connection_id)
        columns = {
            name: getattr(first, name) for name in ("provider", "account_id", "access_token", "refresh_token")
        }
    person, place = factories.person(), factories.workspace()
    factories.membership(person, place, Role.OWNER)
    second = factories.connection(person, place, **columns)
    other = factories.calendar(second, remote_id=calendar.remote_id)
    sync_requests.sync_calendar(other.id)
    before = mailbox.subscriptions()
    assert push_channels.ensure(other.id)
    assert mailbox.subscriptions() == before == mailbox.relied_upon()
    stand_in = mailbox.microsoft.stand_in
    held = next(one for one in stand_in.accounts() if one.email == OWNER).calendars[0]
    start = datetime.now(UTC) + timedelta(days=1)
    mailbox.act(lambda: stand_in.add_event(held.id, "For both", start, start + timedelta(hours=1)))
    mailbox.work()
    mailbox.work()
    assert mailbox.titles().count("For both") == 2
    push_channels.stop_for_connection(mailbox.connection_id)
    assert mailbox.subscriptions() == set()
    assert push_channels.ensure(other.id)
    assert len(mailbox.subscriptions()) == 1


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
    push_channels.pushed(channel_id, 0, PushSignal.EXPIRING)
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
    assert push_channels.renew() == 1
    with reading() as session:
        assert session.get_one(Calendar, mailbox.calendar_id).sync_requested_at
    assert push_channels.ensure(mailbox.calendar_id)
    assert mailbox.subscriptions() == before == mailbox.relied_upon()
