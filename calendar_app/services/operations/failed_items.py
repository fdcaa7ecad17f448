"""What was given up and waits for Retry: calendar writes, emails and jobs, each with its reason and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from redis.exceptions import RedisError
from sqlmodel import Session, col, select

from calendar_app import queues
from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import (
    Booking,
    Calendar,
    CalendarWrite,
    Connection,
    EventType,
    Mail,
)
from calendar_app.domain.calendar_write import WriteState
from calendar_app.errors import InvalidInput
from calendar_app.services.accounts import operators
from calendar_app.services.calendar_writes import planning as write_planning
from calendar_app.services.common import audit_log, change_events
from calendar_app.services.common.permissions import Actor, Role
from calendar_app.services.connections import queries as connection_queries
from calendar_app.services.mail import outbox as mail_outbox

MOST = 500
WRITE, LETTER, JOB = "write", "mail", "job"

"""Kinds of failed items, and the first part of their ids."""


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
    """How many failed items were taken up again, and which of the named ones were not there any more."""

    retried: int
    missing: tuple[str, ...]


def failed_items(actor: Actor) -> list[FailedItem]:
    """What gave up: calendar writes, emails, and for operators failed jobs; latest first.

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
    """Take failed items up again from their first try: those named, each by itself, or all that the actor sees.

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
