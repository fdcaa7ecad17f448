"""Push channels: a provider tells us that a calendar changed, and we read it.

A push carries no data and is no proof of anything: it only makes a reading happen sooner than polling would. Channels
end by themselves; a new one is opened before the old one is stopped, so that nothing falls between them, and where a
calendar may have one only it is prolonged (:mod:`.channel_renewal`). Rules:
https://developers.google.com/workspace/calendar/api/guides/push

A refusal to push is no news about the account, whatever its status is: Google refuses an address whose domain is not
verified with 401 (``push.webhookUrlUnauthorized``), and a proxy refuses what it likes. So these calls never end a
grant; the reason stays in the channel's row, is shown under Operations, and polling goes on.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import and_, delete, or_, select, update
from sqlmodel import Session, col

from calendar_app import queues
from calendar_app.clock import utc_now
from calendar_app.db.ids import new_id
from calendar_app.db.session import after_commit, clock, reading, transaction
from calendar_app.db.tables import Calendar, Channel, Connection
from calendar_app.db.tables.connections import WITH_SECRET
from calendar_app.domain.connection import USABLE
from calendar_app.errors import AuthExpired, ChannelExists, Forbidden, GrantRevoked, NotFound, ProviderError
from calendar_app.providers import registry
from calendar_app.providers.base import (
    CalendarProvider,
    Capability,
    PushChannel,
    PushEcho,
    PushNotice,
    PushRequest,
    PushSignal,
)
from calendar_app.services.calendar_sync import channel_renewal, push_trust
from calendar_app.services.calendar_sync import requests as sync_requests
from calendar_app.services.calendar_sync.channel_renewal import Renewal
from calendar_app.services.connections import tokens as connection_tokens
from calendar_app.services.connections.calendars import used
from calendar_app.settings import current_settings

log = logging.getLogger(__name__)

HOOK_PATH = "/api/v1/hooks"
LIFE = timedelta(days=7)
"""What we ask for; providers may grant less."""
MARGIN = timedelta(hours=24)
"""A channel is replaced when it has less than this left, or less than half of its life."""
AGAIN = timedelta(hours=20)
"""After a refusal polling does the work, and nobody asks again before this."""
REPLAYS_S = 900
"""How long a message is remembered that only its content tells from others: longer than any provider lets it live."""
HIGHEST = 2**31 - 1
"""The highest message number that a row can keep; Google promises only that numbers rise."""
UNPROVEN = "Notifications arrive that do not prove where they come from, so they are not believed."
_RENEWS = (PushSignal.EXPIRING, PushSignal.ENDED)
_OPENING = timedelta(minutes=10)
"""How long a channel that nobody confirmed is believed in: its worker may have died."""


def ensure(calendar_id: str, *, now: datetime | None = None) -> bool:
    """Prolong the calendar's channel if it ends soon, or open one and stop those it replaces; whether one is open now.

    A refusal is no error for anybody: the calendar is polled. One that is not used any more has its channels stopped.
    """
    now = now or clock()
    with reading() as session:
        found = session.execute(
            select(
                col(Calendar.remote_id),
                col(Calendar.connection_id),
                col(Connection.provider),
                used().label("used"),
            )
            .join(Connection, col(Connection.id) == col(Calendar.connection_id))
            .where(col(Calendar.id) == calendar_id, or_(_pushable(), ~used()))
        ).first()
        old = session.scalars(
            select(Channel).where(col(Channel.calendar_id) == calendar_id).order_by(col(Channel.created_at))
        ).all()
    if found is None:
        return False
    live = [channel for channel in old if channel.stopped_at is None]
    if not found.used:
        _stop(live, found.connection_id)
        return False
    silent = any(push_trust.is_given_up(channel, now) for channel in live)
    if not silent and any(not _ageing(channel, now) for channel in live):
        return True
    if any(
        channel.stopped_at and not channel.resource_id and channel.created_at > now - AGAIN for channel in old
    ):
        return False
    if not silent and channel_renewal.renews(found.provider):
        for channel in (one for one in live if one.resource_id):
            renewal = channel_renewal.prolong(channel, found.connection_id, now + LIFE)
            if renewal is not Renewal.OVER:
                return renewal is Renewal.DONE or channel.expires_at > now
    if not _open(calendar_id, found.remote_id, found.connection_id, found.provider, now):
        return False
    _stop(live, found.connection_id)
    return True


def renew(now: datetime | None = None) -> int:
    """Enqueue every calendar that lacks a channel or whose channel ends soon, and those that are not used any more and
    have one; the hourly job."""
    now = now or clock()
    lasting = (
        select(col(Channel.id))
        .where(col(Channel.calendar_id) == col(Calendar.id), col(Channel.stopped_at).is_(None))
        .where(col(Channel.expires_at) > now + MARGIN, ~push_trust.given_up(now))
    )
    standing = select(col(Channel.id)).where(
        col(Channel.calendar_id) == col(Calendar.id),
        col(Channel.stopped_at).is_(None),
        col(Channel.expires_at) > now,
    )
    refused = (
        select(col(Channel.id))
        .where(col(Channel.calendar_id) == col(Calendar.id), col(Channel.resource_id) == "")
        .where(col(Channel.stopped_at).is_not(None), col(Channel.created_at) > now - AGAIN)
    )
    statement = (
        select(col(Calendar.id))
        .join(Connection, col(Connection.id) == col(Calendar.connection_id))
        .where(or_(and_(_pushable(), ~lasting.exists(), ~refused.exists()), and_(~used(), standing.exists())))
    )
    with reading() as session:
        due = session.scalars(statement).all()
    for calendar_id in due:
        enqueue(calendar_id)
    return len(due)


def reopen_for_connection(session: Session, connection_id: str, now: datetime) -> None:
    """The account is connected (again): open new channels at once for those of its calendars that were read before.

    A calendar's first reading opens its first one. Refusals are forgotten, as they were said to another grant, and what
    that one opened is not relied upon.
    """
    calendars = select(col(Calendar.id)).where(col(Calendar.connection_id) == connection_id)
    mine = col(Channel.calendar_id).in_(calendars)
    session.execute(delete(Channel).where(mine, col(Channel.resource_id) == ""))
    session.execute(
        update(Channel)
        .where(mine, col(Channel.stopped_at).is_(None), col(Channel.expires_at) > now)
        .values(expires_at=now)
    )
    known = select(col(Calendar.id)).where(
        col(Calendar.connection_id) == connection_id,
        col(Calendar.removed_at).is_(None),
        col(Calendar.synced_at).is_not(None),
    )
    for calendar_id in session.scalars(known).all():
        after_commit(session, partial(enqueue, calendar_id))


def enqueue(calendar_id: str) -> None:
    """Have :func:`ensure` done soon."""
    queues.enqueue(queues.DEFAULT, "open_channel", calendar_id, job_id=f"channel-{calendar_id}")


def stop_for_connection(connection_id: str) -> None:
    """End every channel of a connection that is about to be disconnected."""
    with reading() as session:
        open_ones = session.scalars(
            select(Channel)
            .join(Calendar, col(Calendar.id) == col(Channel.calendar_id))
            .where(col(Calendar.connection_id) == connection_id, col(Channel.stopped_at).is_(None))
        ).all()
    _stop(list(open_ones), connection_id)


@dataclass(frozen=True, slots=True)
class Received:
    """``echo`` has to be sent back where the provider only checks the address; ``news`` counts what was not known."""

    echo: str = ""
    news: int = 0


def receive(provider: str, headers: Mapping[str, str], query: Mapping[str, str], body: bytes) -> Received:
    """Take a webhook request in: check it and queue what follows; answers within milliseconds.

    ``headers`` have lower-case names. Only reads the database, so that it never waits for a writer; what it saw is
    recorded by :func:`pushed`.

    :raises NotFound: no such provider or channel. :raises Forbidden: not sent by the provider.
    :raises InvalidInput: no notification of this provider's.
    """
    found = registry.push_reader(provider)(PushRequest(headers, query, body))
    if isinstance(found, PushEcho):
        return Received(echo=found.text)
    news, accepted = 0, not found
    refusal: NotFound | Forbidden | None = None
    for notice in (
        found
    ):  # one request may bring notices of many channels: one that has ended spoils none of the others
        try:
            news += _take(provider, notice)
            accepted = True
        except (NotFound, Forbidden) as error:
            refusal = error
    if refusal is not None and not accepted:
        raise refusal
    return Received(news=news)


def _take(provider: str, notice: PushNotice) -> bool:
    with reading() as session:
        known = len(notice.channel_id) <= 64
        channel = session.get(Channel, notice.channel_id, options=WITH_SECRET) if known else None
        ours = channel and session.scalar(
            select(col(Connection.provider))
            .join(Calendar, col(Calendar.connection_id) == col(Connection.id))
            .where(col(Calendar.id) == channel.calendar_id)
        )
    if channel is None or ours != provider:
        raise NotFound("There is no such channel.")
    if not notice.authentic(channel.secret):
        if channel.stopped_at is None and not channel.refusal:
            signal = str(PushSignal.UNPROVEN)
            job_id = f"push-{channel.id}-{signal}"
            queues.enqueue(queues.DEFAULT, "push", channel.id, 0, signal, job_id=job_id)
        raise Forbidden("The notification does not prove that it comes from the provider.")
    number, once = notice.number, notice.once
    if number > HIGHEST:
        number, once = 0, str(number)
    if channel.stopped_at is not None or (number and number <= channel.last_message):
        return False
    if once and not queues.first_time(f"push:{channel.id}:{once}", REPLAYS_S):
        return False
    renews = notice.signal in _RENEWS
    job = f"push-{channel.id}-{notice.signal}" if renews else f"push-{channel.id}"
    queued = queues.enqueue(
        queues.SYNC,
        "push",
        channel.id,
        number,
        str(notice.signal),
        job_id=job,
        timeout=sync_requests.TIMEOUT_S,
    )
    if (
        not queued
    ):  # without Redis the sweeper finds the request in the row, and the hourly job the channel's end
        _note(channel.id, number)
        if renews:
            _end(channel.id, notice.signal)
        sync_requests.request(channel.calendar_id)
    return True


def pushed(channel_id: str, number: int, signal: str = PushSignal.CHANGED) -> None:
    """Do what a push was about; the job behind :func:`receive`.

    A channel that ends or has ended is renewed first, so that what changes from then on is heard of. Then the calendar
    is read, as a provider that ended or paused a channel may have said less than there was, unless the channel was
    prolonged in time (:func:`.channel_renewal.vouched_for`): then one request is all. What did not prove where it comes
    from is only noted, for people to see.
    """
    if signal == PushSignal.UNPROVEN:
        _note_unproven(channel_id)
        return
    calendar_id = _note(channel_id, number)
    if calendar_id is None:
        return
    sharing = channel_renewal.sharing(channel_id)
    if signal in _RENEWS and _renewed_in_time(channel_id, calendar_id, sharing, signal):
        return
    for other in sharing:
        sync_requests.request(other.calendar_id)
    sync_requests.request(calendar_id, queue=False)
    sync_requests.sync_calendar(calendar_id)


def _renewed_in_time(channel_id: str, calendar_id: str, sharing: Sequence[Channel], signal: str) -> bool:
    """Renew what ends or has ended; whether it was prolonged before anything on it could go untold."""
    in_time = signal == PushSignal.EXPIRING and channel_renewal.vouched_for(channel_id)
    _end(channel_id, signal)
    if signal == PushSignal.ENDED:
        for other in sharing:
            _end(other.id, signal)
            enqueue(other.calendar_id)
    ensure(calendar_id)
    return in_time and channel_renewal.vouched_for(channel_id)


def _note_unproven(channel_id: str) -> None:
    """Say of the channel that its notifications are not believed; one that is ends this (:func:`_note`)."""
    with transaction() as session:
        provider = session.scalar(
            select(col(Connection.provider))
            .join(Calendar, col(Calendar.connection_id) == col(Connection.id))
            .join(Channel, col(Channel.calendar_id) == col(Calendar.id))
            .where(col(Channel.id) == channel_id)
        )
        if provider is not None:
            _update(session, channel_id, {"refusal": f"{UNPROVEN} {registry.not_proven(provider)}".strip()})
    log.warning("notifications do not prove where they come from", extra={"channel": channel_id})


def forget(now: datetime | None = None) -> int:
    """Delete the rows of channels that ended more than a week ago; the weekly clean-up."""
    before = (now or clock()) - LIFE
    with transaction() as session:
        ended = session.scalars(
            select(Channel).where(or_(col(Channel.stopped_at) < before, col(Channel.expires_at) < before))
        ).all()
        for channel in ended:
            session.delete(channel)
    return len(ended)


def _pushable() -> Any:
    kinds = [kind.key for kind in registry.kinds() if Capability.PUSH in kind.capabilities]
    return and_(
        col(Connection.provider).in_(kinds),
        col(Connection.status).in_(USABLE),
        col(Calendar.removed_at).is_(None),
        col(Calendar.synced_at).is_not(None),
        used(),
    )


def _ageing(channel: Channel, now: datetime) -> bool:
    return channel.expires_at - now < min(MARGIN, (channel.expires_at - channel.created_at) / 2)


def _open(calendar_id: str, remote_id: str, connection_id: str, provider_key: str, now: datetime) -> bool:
    """The row comes first: the provider's first message may be quicker than its answer."""
    channel_id, token = new_id(), secrets.token_urlsafe(32)
    row = Channel(
        id=channel_id,
        calendar_id=calendar_id,
        secret=token,
        created_at=now,
        expires_at=now + _OPENING,
    )
    with transaction() as session:
        session.add(row)

    def watch(provider: CalendarProvider) -> PushChannel:
        return provider.watch(
            remote_id,
            channel_id=channel_id,
            token=token,
            address=f"{current_settings().public_url}{HOOK_PATH}/{provider_key}",
            expires_at=now + LIFE,
        )

    try:
        granted = _asked(calendar_id, connection_id, watch)
    except ProviderError as error:
        # A refusal stays as a stopped row without a resource, which keeps us from asking every hour.
        passes = error.retryable or isinstance(error, GrantRevoked)
        kept = {} if passes else {"stopped_at": now, "refusal": _why(error)}
        with transaction() as session:
            _update(session, channel_id, kept)
        log.info(
            "push was refused, polling goes on",
            extra={"calendar": calendar_id, "code": error.code, "reason": error.reason},
        )
        return False
    with transaction() as session:
        _update(session, channel_id, {"resource_id": granted.resource_id, "expires_at": granted.expires_at})
    return True


def _why(error: ProviderError) -> str:
    """Why there is no push, for those who run the workspace."""
    if isinstance(error, AuthExpired):  # its own words are about the account, which can be read all the same
        return f"The provider answered 401 to the request for pushes{f' ({error.reason})' if error.reason else ''}."
    return error.detail


def _asked(
    calendar_id: str, connection_id: str, watch: Callable[[CalendarProvider], PushChannel]
) -> PushChannel:
    """A channel by ``watch``. One that stands in its way is shared with the calendar here that relies on it, or else
    ended: something that died has left it behind."""
    try:
        return connection_tokens.call(connection_id, watch, ends_grant=False)
    except ChannelExists as standing:
        if shared := channel_renewal.relied_upon(standing.resource_id, calendar_id):
            return shared
        left = PushChannel("", standing.resource_id, utc_now())
        connection_tokens.call(connection_id, partial(_stop_at, left), ends_grant=False)
        return connection_tokens.call(connection_id, watch, ends_grant=False)


def _end(channel_id: str, signal: str) -> None:
    """The provider says that the channel has ended or is about to: it is not relied upon any more."""
    with transaction() as session:
        ended = "stopped_at" if signal == PushSignal.ENDED else "expires_at"
        _update(session, channel_id, {ended: utc_now()})


def _update(session: Session, channel_id: str, values: dict[str, Any]) -> None:
    """Change the row, or delete it where there is nothing to say."""
    channel = session.get(Channel, channel_id)
    if channel is not None and not values:
        session.delete(channel)
    elif channel is not None:
        channel.sqlmodel_update(values)
        session.add(channel)


def _stop(channels: list[Channel], connection_id: str) -> None:
    """Stop at the provider as far as it lets us; whatever still arrives on a stopped channel is ignored."""
    for channel in channels:
        sharing = channel_renewal.sharing(channel.id)
        for one in (channel, *sharing):
            with transaction() as session:
                _update(session, one.id, {"stopped_at": utc_now()})
        ended = PushChannel(channel.id, channel.resource_id, channel.expires_at)
        try:
            connection_tokens.call(connection_id, partial(_stop_at, ended), ends_grant=False)
        except (ProviderError, NotFound) as error:
            log.info("a push channel ends by itself", extra={"channel": channel.id, "code": error.code})
        for other in sharing:
            enqueue(other.calendar_id)


def _stop_at(channel: PushChannel, provider: CalendarProvider) -> None:
    provider.stop_channel(channel)


def _note(channel_id: str, number: int) -> str | None:
    """Record a message; the calendar's id, or ``None`` if a numbered message, or a later one, was there before."""
    unseen = [col(Channel.last_message) < number] if number else []
    values: dict[str, Any] = {"last_push_at": utc_now(), "refusal": ""} | (
        {"last_message": number} if number else {}
    )
    if number != push_trust.OPENED:  # it told a change
        values["suspected_at"] = None
    with transaction() as session:
        return session.scalar(
            update(Channel)
            .where(col(Channel.id) == channel_id, *unseen)
            .values(**values)
            .returning(col(Channel.calendar_id))
        )
