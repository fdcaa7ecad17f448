"""Push channels: opened, replaced before they end, verified, and never trusted with more than a hint."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from redis import Redis
from rq import Queue
from sqlmodel import col, select

from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import Calendar, Channel, Connection, Mail
from calendar_app.db.tables.connections import WITH_SECRET
from calendar_app.errors import (
    AuthExpired,
    Forbidden,
    InvalidRequest,
    NotFound,
    PermissionDenied,
    ProviderError,
    ProviderUnavailable,
)
from calendar_app.providers.base import Capability
from calendar_app.services.calendar_sync import push_channels
from calendar_app.services.calendar_sync import requests as sync_requests
from calendar_app.services.calendar_sync.run import Outcome
from calendar_app.services.operations import dashboard as operations_dashboard
from tests.support import factories
from tests.support.databases import Database
from tests.support.factories import Team
from tests.support.fake_provider import FakeProvider

MAIN = "main@ada@example.com"


@pytest.fixture
def fake(database: Database) -> Iterator[FakeProvider]:
    """A provider that pushes."""
    provider = FakeProvider()
    provider.account("ada@example.com")
    with provider.installed():
        yield provider


@pytest.fixture
def team(fake: FakeProvider) -> Team:
    """A team whose calendar has been read once."""
    grant = fake.grant(next(iter(fake.accounts.values())))
    made = factories.team(access_token=grant.access_token, refresh_token=grant.refresh_token)
    with transaction() as session:
        row = session.get_one(Calendar, made.calendar.id)
        row.remote_id = MAIN
        session.add(row)
    sync_requests.sync_calendar(made.calendar.id)
    return made


def rows(team: Team) -> list[Channel]:
    with reading() as session:
        return list(
            session.exec(
                select(Channel)
                .where(col(Channel.calendar_id) == team.calendar.id)
                .order_by(col(Channel.created_at))
                .options(*WITH_SECRET)
            )
        )


def headers(fake: FakeProvider, number: int = 1, **changes: str) -> dict[str, str]:
    """What the provider sends on its only channel."""
    ((channel_id, (_, token, _)),) = fake.channels.items()
    sent = {
        "x-goog-channel-id": channel_id,
        "x-goog-channel-token": token,
        "x-goog-message-number": str(number),
        "x-goog-resource-state": "exists",
    }
    return sent | {f"x-goog-{name.replace('_', '-')}": value for name, value in changes.items()}


def push(sent: dict[str, str]) -> int:
    """Hand a push to the webhook room; how much of it was news."""
    return push_channels.receive("fake", sent, {}, b"").news


def test_open_channel_keeps_its_secret(fake: FakeProvider, team: Team) -> None:
    """A channel is opened on the provider's hook with a secret of its own; asking again changes nothing."""
    assert push_channels.ensure(team.calendar.id)
    assert push_channels.ensure(team.calendar.id)
    ((channel_id, (calendar_id, token, address)),) = fake.channels.items()
    (row,) = rows(team)
    assert (row.id, calendar_id) == (channel_id, MAIN)
    assert address == "http://localhost:3000/api/v1/hooks/fake"
    assert len(token) >= 32
    assert row.secret == token
    assert sync_requests.status(team.actor)[0].push


def test_renewal_opens_the_new_channel_first(fake: FakeProvider, team: Team) -> None:
    """A channel with less than a day left is replaced: the new one is open before the old one is stopped."""
    push_channels.ensure(team.calendar.id)
    (old,) = rows(team)
    late = old.expires_at - timedelta(hours=23)
    fake.calls.clear()
    assert push_channels.renew(old.expires_at - timedelta(hours=25)) == 0
    assert push_channels.renew(late) == 1
    assert push_channels.ensure(team.calendar.id, now=late)
    assert [name for name, _ in fake.calls if name in ("watch", "stop_channel")] == ["watch", "stop_channel"]
    assert old.id not in fake.channels
    assert [row.stopped_at is not None for row in rows(team)] == [True, False]


def test_failed_renewal_leaves_the_old_channel(fake: FakeProvider, team: Team) -> None:
    """While a new channel cannot be opened the old one stays, and the next hour tries again."""
    push_channels.ensure(team.calendar.id)
    (old,) = rows(team)
    late = old.expires_at - timedelta(hours=5)
    fake.fail("watch", ProviderUnavailable())
    assert not push_channels.ensure(team.calendar.id, now=late)
    assert set(fake.channels) == {old.id}
    assert push_channels.ensure(team.calendar.id, now=late)
    assert set(fake.channels) == {rows(team)[-1].id}


def test_refused_channel_means_polling(fake: FakeProvider, team: Team) -> None:
    """A provider that will not push to our address is polled, without an error, and not asked again every hour."""
    fake.fail("watch", InvalidRequest("WebHook callback must be HTTPS.", reason="push.webhookUrlNotHttps"))
    now = datetime.now(UTC)
    assert not push_channels.ensure(team.calendar.id)
    assert not push_channels.ensure(team.calendar.id)
    assert fake.count("watch") == 1
    assert push_channels.renew(now + timedelta(hours=1)) == 0
    (status,) = sync_requests.status(team.actor)
    assert (status.push, status.last_error) == (False, "")
    assert "every 5 minutes" in status.push_note
    assert push_channels.renew(now + timedelta(hours=21)) == 1
    assert push_channels.ensure(team.calendar.id, now=now + timedelta(hours=21))


@pytest.mark.parametrize(
    ("refusal", "said"),
    [
        (InvalidRequest("Its domain is not verified.", reason="push.webhookUrlUnauthorized"), "not verified"),
        (PermissionDenied("Google does not allow this for this account."), "does not allow this"),
        (AuthExpired(reason="blocked"), "answered 401 to the request for pushes (blocked)"),
        (AuthExpired(), "answered 401 to the request for pushes."),
    ],
)
def test_no_refusal_to_push_ends_a_grant(
    fake: FakeProvider, team: Team, refusal: ProviderError, said: str
) -> None:
    """Whatever a provider or a proxy says to ``watch``, the account stays connected, is read, and its person gets no
    letter; those who run the workspace are told why there is no push, until there is."""
    refused = [refusal] * (2 if isinstance(refusal, AuthExpired) else 1)
    fake.fail("watch", *refused)
    assert not push_channels.ensure(team.calendar.id)
    with reading() as session:
        assert session.get_one(Connection, team.connection.id).status == "connected"
        assert session.exec(select(Mail)).all() == []
    assert sync_requests.sync_calendar(team.calendar.id).outcome is Outcome.DONE
    (shown,) = operations_dashboard.channels(team.actor)
    assert (shown.state, shown.calendar) == ("refused", team.calendar.name)
    assert said in shown.reason
    later = datetime.now(UTC) + timedelta(hours=21)
    fake.fail("watch", *refused)
    assert not push_channels.ensure(team.calendar.id, now=later)
    assert len(operations_dashboard.channels(team.actor)) == 1, "only the latest refusal"
    assert push_channels.ensure(team.calendar.id, now=later + timedelta(hours=21))
    (shown,) = operations_dashboard.channels(team.actor)
    assert (shown.state, shown.reason) == ("open", "")


def test_a_channel_that_cannot_be_stopped_ends_no_grant(fake: FakeProvider, team: Team) -> None:
    """A provider that answers 401 to the end of an old channel is left with it."""
    push_channels.ensure(team.calendar.id)
    (old,) = rows(team)
    fake.fail("stop_channel", AuthExpired(), AuthExpired())
    assert push_channels.ensure(team.calendar.id, now=old.expires_at - timedelta(hours=23))
    with reading() as session:
        assert session.get_one(Connection, team.connection.id).status == "connected"


def test_a_grant_that_has_ended_is_found_out_by_its_refresh(fake: FakeProvider, team: Team) -> None:
    """401 to ``watch`` makes us ask for a new token; where the token endpoint says that the grant is over, it is."""
    fake.revoke_grants(next(iter(fake.accounts.values())))
    assert not push_channels.ensure(team.calendar.id)
    with reading() as session:
        assert session.get_one(Connection, team.connection.id).status == "needs_reconnect"
    assert rows(team) == []


def test_a_channel_that_can_be_renewed_leaves_no_hour_without_push(fake: FakeProvider, team: Team) -> None:
    """A provider with one channel per calendar, which grants 70.5 hours: through two weeks somebody always listens."""
    fake.capabilities |= Capability.RENEW
    fake.shorter = push_channels.LIFE - timedelta(hours=70.5)
    start = datetime.now(UTC)
    with fake.installed():
        push_channels.ensure(team.calendar.id, now=start)
        for hour in range(1, 14 * 24):
            now = start + timedelta(hours=hour)
            if push_channels.renew(now):
                push_channels.ensure(team.calendar.id, now=now)
            assert [row.expires_at > now for row in rows(team) if row.stopped_at is None] == [True], hour
    assert fake.count("watch") == 1
    assert fake.count("renew_channel") <= 8


def test_a_channel_that_has_ended_unseen_is_opened_anew(fake: FakeProvider, team: Team) -> None:
    """404 to a renewal: a new channel takes over at once; a provider that cannot be reached changes nothing."""
    fake.capabilities |= Capability.RENEW
    with fake.installed():
        push_channels.ensure(team.calendar.id)
        (old,) = rows(team)
        late = old.expires_at - timedelta(hours=5)
        fake.fail("renew_channel", ProviderUnavailable())
        assert not push_channels.ensure(team.calendar.id, now=old.expires_at)
        assert push_channels.renew(late) == 1
        fake.channels.clear()
        assert push_channels.ensure(team.calendar.id, now=late)
    assert [row.stopped_at is not None for row in rows(team)] == [True, False]
    assert set(fake.channels) == {rows(team)[-1].id}


def test_a_channel_that_may_not_be_renewed_gives_way(fake: FakeProvider, team: Team) -> None:
    """A refusal to renew: the old channel stands in the way of a new one, so it is ended and the new one opened."""
    fake.capabilities |= Capability.RENEW
    with fake.installed():
        push_channels.ensure(team.calendar.id)
        (old,) = rows(team)
        fake.fail("renew_channel", PermissionDenied())
        assert push_channels.ensure(team.calendar.id, now=old.expires_at - timedelta(hours=5))
    assert set(fake.channels) == {rows(team)[-1].id} != {old.id}


def test_worker_that_died_while_opening(fake: FakeProvider, team: Team) -> None:
    """A channel that was never confirmed is replaced soon: its worker may have died meanwhile."""

    class Died(BaseException):
        pass

    fake.fail("watch", Died())  # type: ignore[arg-type]
    with pytest.raises(Died):
        push_channels.ensure(team.calendar.id)
    assert len(rows(team)) == 1
    assert push_channels.ensure(team.calendar.id, now=datetime.now(UTC) + timedelta(minutes=6))
    assert len(fake.channels) == 1


def test_no_channel_without_the_capability(fake: FakeProvider, team: Team) -> None:
    """Providers that cannot push are never asked to."""
    fake.capabilities = Capability.READ | Capability.DELTA
    with fake.installed():
        assert not push_channels.ensure(team.calendar.id)
        assert push_channels.renew() == 0
    assert fake.count("watch") == 0


def test_disconnecting_stops_channels(fake: FakeProvider, team: Team) -> None:
    """Every channel of a connection is stopped, also when the provider no longer lets us."""
    push_channels.ensure(team.calendar.id)
    push_channels.stop_for_connection(team.connection.id)
    assert not fake.channels
    assert rows(team)[0].stopped_at
    push_channels.stop_for_connection(team.connection.id)
    assert fake.count("stop_channel") == 1


def test_push_is_queued_once_and_read(fake: FakeProvider, team: Team, redis_server: Redis) -> None:
    """A push queues one job with the channel's id; the job reads the calendar, and the same push again is no news."""
    push_channels.ensure(team.calendar.id)
    fake.add_event(MAIN, datetime.now(UTC), datetime.now(UTC) + timedelta(hours=1))
    assert push(headers(fake, 3))
    assert push(headers(fake, 4))
    queue = Queue("sync", connection=redis_server)
    (job,) = queue.jobs
    assert job.func_name == "calendar_app.worker.jobs.push"
    assert job.args == (rows(team)[0].id, 3, "changed")
    fake.calls.clear()
    job.perform()
    assert fake.count("event_pages") == 1
    assert rows(team)[0].last_push_at
    assert not push(headers(fake, 3))
    push_channels.pushed(*job.args)
    assert fake.count("event_pages") == 1


def test_push_without_redis_is_not_lost(fake: FakeProvider, team: Team) -> None:
    """With Redis away a push becomes a request in the database, which the sweeper finds."""
    push_channels.ensure(team.calendar.id)
    assert sync_requests.sweep() == 0
    assert push(headers(fake))
    assert sync_requests.sweep() == 1


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"channel_id": "unknown"}, NotFound),
        ({"channel_id": ""}, NotFound),
        ({"channel_id": "x" * 5000}, NotFound),
        ({"channel_token": "wrong"}, Forbidden),
        ({"channel_token": ""}, Forbidden),
    ],
)
def test_forged_push_does_nothing(
    fake: FakeProvider, team: Team, redis_server: Redis, changes: dict[str, str], error: type[Exception]
) -> None:
    """An unknown channel or a wrong token is refused, and no work is done."""
    push_channels.ensure(team.calendar.id)
    with pytest.raises(error):
        push(headers(fake, **changes))
    assert Queue("sync", connection=redis_server).count == 0
    assert sync_requests.sweep() == 0


@pytest.mark.parametrize("number", ["", "0", "-1", "abc", "9" * 40, "٣"])
def test_push_without_a_usable_number_is_ignored(
    fake: FakeProvider, team: Team, redis_server: Redis, number: Any
) -> None:
    """A message that cannot be told from a replay is dropped."""
    push_channels.ensure(team.calendar.id)
    assert not push(headers(fake, message_number=number))
    assert Queue("sync", connection=redis_server).count == 0


def test_numbers_of_many_digits_are_news_once(fake: FakeProvider, team: Team, redis_server: Redis) -> None:
    """A message number that is larger than what the database keeps is read, its replay is not."""
    push_channels.ensure(team.calendar.id)
    huge = 2**62
    assert push(headers(fake, huge)) == 1
    assert push(headers(fake, huge)) == 0
    (job,) = Queue("sync", connection=redis_server).jobs
    fake.calls.clear()
    job.perform()
    assert fake.count("event_pages") == 1
    assert push(headers(fake, 5)) == 1


def test_push_on_a_stopped_channel_is_ignored(fake: FakeProvider, team: Team, redis_server: Redis) -> None:
    """What still arrives on a channel that we stopped is answered and dropped."""
    push_channels.ensure(team.calendar.id)
    sent = headers(fake)
    push_channels.stop_for_connection(team.connection.id)
    assert not push(sent)
    assert Queue("sync", connection=redis_server).count == 0


def test_clean_up_forgets_ended_channels(fake: FakeProvider, team: Team) -> None:
    """Rows of channels that ended more than a week ago are deleted, others stay."""
    push_channels.ensure(team.calendar.id)
    assert push_channels.forget() == 0
    assert push_channels.forget(datetime.now(UTC) + timedelta(days=15)) == 1
    assert rows(team) == []
