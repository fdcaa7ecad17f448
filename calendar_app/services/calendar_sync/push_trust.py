"""Whether a push channel can be relied on to tell that its calendar changed.

A channel is relied on once it has told a change: that a provider granted it, or said that it is open, does not show
that its messages reach us. It no longer is when a reading finds a change that it did not tell. The message may still
be under way, and then it ends the suspicion; if none comes the channel is replaced. Until a channel is relied on its
calendar is asked as one without push.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, exists, or_, select, update
from sqlmodel import Session, col

from calendar_app.db.tables import Calendar, Channel

log = logging.getLogger(__name__)

PATIENCE = timedelta(minutes=15)
"""A suspected channel that tells nothing for so long is replaced."""
OPENED = 1
"""The number of the message by which Google says that a channel is open; it tells no change
(https://developers.google.com/workspace/calendar/api/guides/push#sync-message)."""


def vouches(now: datetime) -> ColumnElement[bool]:
    """Of rows of channels: the channel is relied on."""
    return and_(
        col(Channel.stopped_at).is_(None),
        col(Channel.expires_at) > now,
        col(Channel.resource_id) != "",
        col(Channel.refusal) == "",
        col(Channel.suspected_at).is_(None),
        col(Channel.last_push_at).is_not(None),
        col(Channel.last_message) != OPENED,
    )


def vouched_for(now: datetime) -> ColumnElement[bool]:
    """Of rows of calendars: a channel vouches for the calendar."""
    return exists().where(col(Channel.calendar_id) == col(Calendar.id), vouches(now))


def vouched_until(session: Session, calendar_id: str, now: datetime) -> datetime | None:
    """When the calendar's longest-lived channel that is relied on ends; ``None`` without one."""
    query = (
        select(col(Channel.expires_at))
        .where(col(Channel.calendar_id) == calendar_id, vouches(now))
        .order_by(col(Channel.expires_at).desc())
    )
    return session.scalars(query).first()


def suspect_if_silent(session: Session, calendar_id: str, since: datetime, now: datetime) -> bool:
    """A change was found that nobody asked to look for: suspect the channels that have told nothing since the reading
    before, begun at ``since``; whether there was one. Of a channel that several share at the provider all hear."""
    mine = select(col(Channel.resource_id)).where(
        col(Channel.calendar_id) == calendar_id, col(Channel.resource_id) != ""
    )
    told = select(col(Channel.id)).where(
        or_(col(Channel.calendar_id) == calendar_id, col(Channel.resource_id).in_(mine)),
        col(Channel.last_push_at) > since,
    )
    if session.scalars(told).first() is not None:
        return False
    found = session.execute(
        update(Channel)
        .where(col(Channel.calendar_id) == calendar_id, col(Channel.stopped_at).is_(None))
        .where(col(Channel.suspected_at).is_(None))
        .values(suspected_at=now)
    )
    suspected = bool(found.rowcount)  # type: ignore[attr-defined]  # of an update
    if suspected:
        log.warning("a push channel did not tell a change", extra={"calendar": calendar_id})
    return suspected


def is_given_up(channel: Channel, now: datetime) -> bool:
    """Whether the channel is to be replaced because it is suspected, and told nothing since."""
    return channel.suspected_at is not None and channel.suspected_at <= now - PATIENCE


def given_up(now: datetime) -> ColumnElement[bool]:
    """:func:`is_given_up` of a column."""
    suspected = col(Channel.suspected_at)
    return and_(suspected.is_not(None), suspected <= now - PATIENCE)
