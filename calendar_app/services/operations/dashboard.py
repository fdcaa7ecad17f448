"""How a workspace's connections, channels and queued work stand, for those who run it.

Admins and owners see their workspace. Queues and workers belong to the installation, and are for its operators
(:mod:`calendar_app.services.accounts.operators`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from redis.exceptions import RedisError
from sqlalchemy import ColumnElement, and_, or_
from sqlalchemy.orm import aliased
from sqlmodel import col, func, select
from sqlmodel.sql.expression import SelectOfScalar

from calendar_app import queues
from calendar_app.clock import utc_now
from calendar_app.db.session import reading
from calendar_app.db.tables import (
    Calendar,
    Channel,
    Connection,
    Person,
)
from calendar_app.domain.connection import USABLE, ConnectionStatus
from calendar_app.errors import ProviderUnavailable
from calendar_app.queues import QueueState, WorkerState
from calendar_app.services.accounts import operators
from calendar_app.services.common.permissions import Actor, Role
from calendar_app.services.connections import queries as connection_queries
from calendar_app.services.connections.calendars import used
from calendar_app.services.connections.queries import ConnectionView
from calendar_app.services.operations import health

MOST = 500
SOON = timedelta(minutes=5)
_URGENCY: dict[str, int] = {
    ConnectionStatus.NEEDS_RECONNECT: 0,
    ConnectionStatus.ERROR: 1,
    ConnectionStatus.SYNCING: 2,
    ConnectionStatus.CONNECTED: 2,
    ConnectionStatus.DISCONNECTED: 3,
}


@dataclass(frozen=True, slots=True)
class ConnectionState:
    """A connection with what only those who run the workspace need to know.

    ``token``: ``fresh``, ``due`` (it is refreshed before its next use), ``lasting`` (it never ends), ``none``.
    """

    connection: ConnectionView
    person: str
    token: str
    token_expires_at: datetime | None
    failures: int
    retry_at: datetime | None
    failing_calendars: int
    last_error_at: datetime | None


@dataclass(frozen=True, slots=True)
class ChannelState:
    """A push channel of a calendar. ``state``: ``open``, ``ending`` (soon replaced), ``expired``, ``refused``,
    ``unproven`` (what comes by it is not believed).

    ``reason``: why the provider refused it, for people; empty otherwise.
    """

    id: str
    calendar: str
    provider: str
    provider_title: str
    account: str
    state: str
    created_at: datetime
    expires_at: datetime
    last_push_at: datetime | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class JobsState:
    """Queues, workers and the clock; ``ran``: job -> when it was last done."""

    queues: tuple[QueueState, ...]
    workers: tuple[WorkerState, ...]
    cron_seen_at: datetime | None
    ran: tuple[tuple[str, datetime], ...]


def connections(actor: Actor, *, now: datetime | None = None) -> list[ConnectionState]:
    """Every connection of the workspace, those that need somebody first. :raises Forbidden: admins and owners only."""
    actor.require(Role.ADMIN)
    now = now or utc_now()
    with reading() as session:
        rows = session.exec(
            select(Connection)
            .where(Connection.workspace_id == actor.workspace_id)
            .order_by(col(Connection.created_at))
        ).all()
        people = dict(
            session.exec(
                select(Person.id, Person.name).where(col(Person.id).in_({row.person_id for row in rows}))
            ).all()
        )
        failing = dict(
            session.exec(
                select(Calendar.connection_id, func.count())
                .where(Calendar.workspace_id == actor.workspace_id, col(Calendar.removed_at).is_(None))
                .where(col(Calendar.last_error_code) != "")
                .group_by(col(Calendar.connection_id))
            ).all()
        )
        views = connection_queries.views(session, rows, now)
    found = [
        ConnectionState(
            connection=view,
            person=people.get(row.person_id, ""),
            token=_token(row, now),
            token_expires_at=row.access_expires_at,
            failures=row.failures,
            retry_at=row.retry_at,
            failing_calendars=failing.get(row.id, 0),
            last_error_at=row.last_error_at,
        )
        for row, view in zip(rows, views, strict=True)
    ]
    return sorted(found, key=urgency)


def urgency(state: ConnectionState) -> int:
    """How soon somebody should look at the connection: the lower the sooner."""
    return _URGENCY.get(state.connection.status, 2)


def channels(actor: Actor, *, now: datetime | None = None) -> list[ChannelState]:
    """Every push channel of the workspace that was not stopped, and of calendars that have none what the provider
    refused last. :raises Forbidden: admins and owners only."""
    actor.require(Role.ADMIN)
    now = now or utc_now()
    query = (
        select(Channel, Calendar.name, Connection.provider, Connection.account_email)
        .join(Calendar, col(Calendar.id) == col(Channel.calendar_id))
        .join(Connection, col(Connection.id) == col(Calendar.connection_id))
        .where(Calendar.workspace_id == actor.workspace_id, col(Calendar.removed_at).is_(None))
        .where(Connection.status != ConnectionStatus.DISCONNECTED, used())
        .where(or_(col(Channel.stopped_at).is_(None), _was_refused(Channel)))
        .where(~and_(_was_refused(Channel), _superseded().exists()))
        .order_by(col(Channel.expires_at))
        .limit(MOST)
    )
    with reading() as session:
        rows = session.exec(query).all()
    return [
        ChannelState(
            id=row.id,
            calendar=calendar,
            provider=provider,
            provider_title=connection_queries.title(provider),
            account=account,
            state=_channel(row, now),
            created_at=row.created_at,
            expires_at=row.expires_at,
            last_push_at=row.last_push_at,
            reason=row.refusal,
        )
        for row, calendar, provider, account in rows
    ]


def jobs(actor: Actor) -> JobsState:
    """Queues and workers. :raises Forbidden: operators only. :raises ProviderUnavailable: Redis does not answer."""
    operators.require(actor)
    try:
        with queues.probe(1.0) as client:
            ran = cast(dict[bytes, bytes], client.hgetall(health.LAST_RUNS))
            return JobsState(
                tuple(queues.queue_states(client)),
                tuple(queues.worker_states(client)),
                queues.cron_seen(client),
                tuple(
                    sorted(
                        (name.decode(), datetime.fromtimestamp(float(moment), UTC))
                        for name, moment in ran.items()
                    )
                ),
            )
    except (RedisError, OSError):
        raise ProviderUnavailable("Redis does not answer, so nobody can tell what is queued.") from None


def _token(row: Connection, now: datetime) -> str:
    if row.status not in USABLE:
        return "none"
    if row.access_expires_at is None:
        return "lasting"
    return "fresh" if row.access_expires_at > now + SOON else "due"


def _was_refused(channel: Any) -> ColumnElement[bool]:
    return and_(col(channel.stopped_at).is_not(None), col(channel.resource_id) == "")


def _superseded() -> SelectOfScalar[str]:
    """Of a refusal: a channel that is open, or a later refusal, of the same calendar."""
    later = aliased(Channel)
    return (
        select(later.id)
        .where(later.calendar_id == Channel.calendar_id)
        .where(
            or_(
                col(later.stopped_at).is_(None),
                and_(_was_refused(later), col(later.created_at) > col(Channel.created_at)),
            )
        )
        .correlate(Channel)
    )


def _channel(row: Channel, now: datetime) -> str:
    if row.stopped_at is not None:
        return "refused"
    if row.expires_at <= now:
        return "expired"
    if not row.resource_id:
        return "refused"
    if row.refusal:
        return "unproven"
    return "ending" if row.expires_at < now + timedelta(hours=24) else "open"
