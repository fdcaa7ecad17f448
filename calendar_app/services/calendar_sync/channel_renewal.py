"""Push channels that go on under their own id, and of which a calendar may have one of an application only.

So is a subscription at Microsoft Graph (:mod:`calendar_app.providers.microsoft.subscriptions`). It is prolonged before
it ends and whenever Graph asks for it. Where the same mailbox is connected twice, in two workspaces, both calendars
rely on one channel: a push on it is news for both, and when it ends both ask for a new one.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import Enum, auto

from sqlalchemy import update
from sqlmodel import col, select

from calendar_app.clock import utc_now
from calendar_app.db.session import clock, reading, transaction
from calendar_app.db.tables import Calendar, Channel, Connection
from calendar_app.domain.connection import USABLE
from calendar_app.errors import EventNotFound, GrantRevoked, ProviderError
from calendar_app.providers import registry
from calendar_app.providers.base import CalendarProvider, Capability, PushChannel, RenewsChannels
from calendar_app.services.connections import tokens as connection_tokens

log = logging.getLogger(__name__)

FRESH = timedelta(minutes=45)
"""The access token that vouches for a channel shall live at least this long; Graph's live for 60 to 90 minutes."""


class Renewal(Enum):
    """What came of it: ``LATER`` means that nobody knows yet, ``OVER`` that a new channel is wanted."""

    DONE = auto()
    LATER = auto()
    OVER = auto()


def renews(provider_key: str) -> bool:
    """Whether the provider's channels are of this kind."""
    return Capability.RENEW in registry.kind(provider_key).capabilities


def prolong(channel: Channel, connection_id: str, until: datetime) -> Renewal:
    """Let the channel live until ``until``, in this row and in all that rely on it."""
    held = PushChannel(channel.id, channel.resource_id, channel.expires_at)

    def renew(provider: CalendarProvider) -> PushChannel:
        assert isinstance(provider, RenewsChannels)
        return provider.renew_channel(held, until)

    try:
        connection_tokens.refresh_if_ending(connection_id, FRESH)
        with reading() as session:
            token_ends = session.scalar(
                select(Connection.access_expires_at).where(Connection.id == connection_id)
            )
        granted = connection_tokens.call(connection_id, renew, ends_grant=False)
    except ProviderError as error:
        log.info("a push channel was not renewed", extra={"channel": channel.id, "code": error.code})
        if isinstance(error, EventNotFound):
            _note(channel.resource_id, stopped_at=utc_now())
        return Renewal.LATER if error.retryable or isinstance(error, GrantRevoked) else Renewal.OVER
    _note(channel.resource_id, expires_at=granted.expires_at, vouched_until=token_ends)
    return Renewal.DONE


def vouched_for(channel_id: str) -> bool:
    """Whether the channel is open and the access token that last vouched for it still lives.

    Until then nothing stops what the provider tells on it: at Graph, which warns before that token ends, delivery
    pauses later (https://learn.microsoft.com/graph/change-notifications-lifecycle-events).
    """
    now = clock()
    with reading() as session:
        row = session.get(Channel, channel_id)
    if row is None or row.stopped_at is not None or row.vouched_until is None:
        return False
    return min(row.expires_at, row.vouched_until) > now


def relied_upon(resource_id: str, calendar_id: str) -> PushChannel | None:
    """The channel of that id, if another calendar here relies on it and has access to its account."""
    query = (
        select(Channel)
        .join(Calendar, col(Calendar.id) == col(Channel.calendar_id))
        .join(Connection, col(Connection.id) == col(Calendar.connection_id))
        .where(Channel.resource_id == resource_id, Channel.calendar_id != calendar_id)
        .where(col(Channel.stopped_at).is_(None), col(Channel.expires_at) > clock())
        .where(col(Connection.status).in_(USABLE))
    )
    with reading() as session:
        found = session.exec(query).first()
    return PushChannel(found.id, resource_id, found.expires_at) if found else None


def sharing(channel_id: str) -> Sequence[Channel]:
    """The other rows that rely on the same channel at the provider."""
    with reading() as session:
        mine = session.get(Channel, channel_id)
        if mine is None or not mine.resource_id:
            return ()
        provider = session.scalar(
            select(Connection.provider)
            .join(Calendar, col(Calendar.connection_id) == col(Connection.id))
            .where(Calendar.id == mine.calendar_id)
        )
        if provider is None or not renews(provider):
            return ()  # a provider with many channels per calendar gives all of them one resource id
        return session.exec(
            select(Channel).where(
                Channel.resource_id == mine.resource_id,
                Channel.id != mine.id,
                col(Channel.stopped_at).is_(None),
            )
        ).all()


def _note(resource_id: str, **values: datetime | None) -> None:
    with transaction() as session:
        session.exec(
            update(Channel)
            .where(col(Channel.resource_id) == resource_id, col(Channel.stopped_at).is_(None))
            .values(**values)
        )
