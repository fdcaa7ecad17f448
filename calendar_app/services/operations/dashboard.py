"""How a workspace's connections, channels and queued work stand, for those who run it; and what gave up, to be retried.

Admins and owners see their workspace. Queues and workers belong to the installation, and are for its operators
(:mod:`calendar_app.services.accounts.operators`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from redis.exceptions import RedisError
from sqlalchemy import ColumnElement, and_, or_
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, func, select
from sqlmodel.sql.expression import SelectOfScalar

from calendar_app import queues
from calendar_app.clock import utc_now
from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import (
    Booking,
    Calendar,
    CalendarWrite,
    Channel,
    Connection,
    EventType,
    Mail,
    Person,
)
from calendar_app.domain.calendar_write import WriteState
from calendar_app.domain.connection import USABLE, ConnectionStatus
from calendar_app.errors import InvalidInput, ProviderUnavailable
from calendar_app.queues import QueueState, WorkerState
from calendar_app.services.accounts import operators
from calendar_app.services.calendar_writes import planning as write_planning
from calendar_app.services.common import audit_log, change_events
from calendar_app.services.common.permissions import Actor, Role
from calendar_app.services.connections import queries as connection_queries
from calendar_app.services.connections.calendars import used
from calendar_app.services.connections.queries import ConnectionView
from calendar_app.services.mail import outbox as mail_outbox
from calendar_app.services.operations import health

MOST = 500
WRITE, LETTER, JOB = "write", "mail", "job"
"""Kinds of dead letters, and the first part of their ids."""
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


@dataclass(frozen=True, slots=True)
class FailedItem:
    """Something that gave up. ``id`` names its kind too; ``reason`` and ``advice`` are for people."""

    id: str
    kind: str
    title: str
    place: str
    reason: str
    advice: str
    attempts: int
    at: datetime | None
    booking_id: str | None


@dataclass(frozen=True, slots=True)
class Retried:
    """How many dead letters were taken up again, and which of the named ones were not there any more."""

    retried: int
    missing: tuple[str, ...]


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


def failed_items(actor: Actor) -> list[FailedItem]:
    """What gave up: writes into calendars, letters, and for operators failed jobs; latest first.

    :raises Forbidden: admins and owners only.
    """
    actor.require(Role.ADMIN)
    with reading() as session:
        found = [*_failed_writes(session, actor), *_failed_emails(session, actor)]
    if operators.is_operator(actor):
        found += _failed_jobs()
    oldest = datetime.min.replace(tzinfo=UTC)
    return sorted(found, key=lambda one: one.at or oldest, reverse=True)[:MOST]


def retry(actor: Actor, ids: Sequence[str] | None = None) -> Retried:
    """Take dead letters up again from their first try: those named, each by itself, or all that the actor sees.

    :raises Forbidden: admins and owners only. :raises InvalidInput: an id that names no kind.
    """
    actor.require(Role.ADMIN)
    if unknown := [one for one in ids or () if one.partition(":")[0] not in (WRITE, LETTER, JOB)]:
        raise InvalidInput(f"{unknown[0][:40]!r} is not the id of a failed item.", field="ids")
    present = {letter.id: letter for letter in failed_items(actor)}
    wanted = list(present) if ids is None else list(dict.fromkeys(ids))
    chosen: dict[str, list[str]] = {WRITE: [], LETTER: [], JOB: []}
    for one in wanted:
        if one in present:
            kind, _, key = one.partition(":")
            chosen[kind].append(key)
    with transaction() as session:
        if ids is None:  # also those that are too many to be shown
            chosen[WRITE] = write_planning.retry_workspace(session, actor.workspace_id)
        else:
            write_planning.retry_writes(session, actor.workspace_id, chosen[WRITE])
        mail_outbox.retry(session, chosen[LETTER])
        if any(chosen.values()):
            audit_log.record(
                session,
                actor.workspace_id,
                actor,
                "dead_letters.retried",
                "workspace",
                actor.workspace_id,
                number=sum(map(len, chosen.values())),
            )
    gone = [f"{JOB}:{key}" for key in chosen[JOB] if not _requeued(key)]
    change_events.publish(actor.workspace_id, "bookings")
    missing = (*(one for one in wanted if one not in present), *gone)
    return Retried(sum(map(len, chosen.values())) - len(gone), missing)


def _failed_writes(session: Session, actor: Actor) -> list[FailedItem]:
    query = (
        select(CalendarWrite, Booking, Calendar, Connection)
        .join(Booking, col(Booking.id) == col(CalendarWrite.booking_id))
        .join(Calendar, col(Calendar.id) == col(CalendarWrite.calendar_id))
        .join(Connection, col(Connection.id) == col(Calendar.connection_id))
        .where(Booking.workspace_id == actor.workspace_id, CalendarWrite.state == WriteState.FAILED)
        .order_by(col(CalendarWrite.created_at).desc())
        .limit(MOST)
    )
    titles = dict(
        session.exec(
            select(EventType.id, EventType.title).where(EventType.workspace_id == actor.workspace_id)
        ).all()
    )
    return [
        FailedItem(
            id=f"{WRITE}:{row.id}",
            kind=WRITE,
            title=f"{titles[booking.event_type_id]} with {booking.name}, {booking.start_at:%d %b %Y %H:%M} UTC",
            place=f"“{calendar.name}” at {connection_queries.title(connection.provider)} ({connection.account_email})",
            reason=row.last_error or "The calendar did not take the event.",
            advice=_ADVICE.get(row.last_error_code, _LOOK),
            attempts=row.attempts,
            at=row.written_at or row.created_at,
            booking_id=booking.id,
        )
        for row, booking, calendar, connection in session.exec(query)
    ]


def _failed_emails(session: Session, actor: Actor) -> list[FailedItem]:
    query = (
        select(Mail)
        .where(Mail.workspace_id == actor.workspace_id, Mail.state == mail_outbox.FAILED)
        .order_by(col(Mail.created_at).desc())
        .limit(MOST)
    )
    return [
        FailedItem(
            id=f"{LETTER}:{row.id}",
            kind=LETTER,
            title=row.subject or row.kind.replace("_", " ").capitalize(),
            place=f"to {row.recipient}",
            reason=row.last_error or "The email was refused.",
            advice="Check the address and the mail server, then try again.",
            attempts=row.attempts,
            at=row.created_at,
            booking_id=row.booking_id,
        )
        for row in session.exec(query)
    ]


def _failed_jobs() -> list[FailedItem]:
    try:
        with queues.probe(1.0) as client:
            failed = queues.failed_jobs(client)
    except (RedisError, OSError):
        return []
    return [
        FailedItem(
            id=f"{JOB}:{one.id}",
            kind=JOB,
            title=one.job.replace("_", " ").capitalize(),
            place=f"queue {one.queue}",
            reason=one.reason,
            advice="The sweepers queue it again by themselves; look into the logs if it keeps failing.",
            attempts=1,
            at=one.failed_at,
            booking_id=None,
        )
        for one in failed
    ]


def _requeued(job_id: str) -> bool:
    try:
        with queues.probe(2.0) as client:
            return queues.requeue_failed(client, job_id)
    except (RedisError, OSError):
        return False


_LOOK = "Look at the reason, put it right at the provider, then try again."
_ADVICE = {
    "needs_reconnect": "Connect the account again; its bookings are then written by themselves.",
    "provider_rate_limited": "The provider asked us to slow down: try again in a while.",
    "provider_usage_limit": "The account did too much of this for two days: try again tomorrow.",
    "provider_unavailable": "The provider did not answer for hours: try again when it does.",
    "permission_denied": "Share the calendar with the connected account for editing, then try again.",
    "calendar_not_found": "Choose another calendar for bookings, or share this one again.",
    "not_found": "Choose another calendar for bookings, or share this one again.",
}


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
