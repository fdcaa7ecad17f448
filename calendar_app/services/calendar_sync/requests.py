"""When calendars are read: asked for by people and pushes, due by the clock, and found again after anything was lost.

A request is a time in the calendar's row, so it survives a dead Redis; the queue only makes it quick. Reading itself is
:mod:`calendar_app.services.calendar_sync.run`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import and_, or_, select, update
from sqlmodel import Session, col

from calendar_app import queues
from calendar_app.clock import utc_now
from calendar_app.db.due import due, free, is_free
from calendar_app.db.session import after_commit, clock, reading, transaction
from calendar_app.db.tables import Calendar, Channel, Connection
from calendar_app.domain import reading_plan
from calendar_app.domain.connection import USABLE, ConnectionStatus
from calendar_app.errors import Conflict, GrantRevoked, NotFound
from calendar_app.providers import registry
from calendar_app.providers.base import Capability
from calendar_app.services.calendar_sync import planning, suspension
from calendar_app.services.calendar_sync.run import LEASE, Outcome, SyncResult, sync_once
from calendar_app.services.common.permissions import Actor, Role
from calendar_app.services.connections.calendars import MASS_DELETE, is_used, next_reading, used
from calendar_app.settings import get_settings

__all__ = ["MASS_DELETE", "Outcome", "SyncResult"]

TIMEOUT_S = 1800
"""How long one sync may take."""
SILENT = "The provider did not tell of a change, so its notifications are not relied on."
NOT_USED = "This calendar is used for nothing, so it is not read."
_TICK = timedelta(milliseconds=1)
_PAGED = ("google", "microsoft")


class SyncState(StrEnum):
    """What a calendar's mirror is doing. ``ERROR`` also where an old state is shown because the last read failed."""

    IDLE = "idle"
    QUEUED = "queued"
    SYNCING = "syncing"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class SyncStatus:
    """How a calendar's mirror stands. ``progress`` counts events read by the running sync. One that is not ``used`` is
    not read.

    ``needs_confirmation``: see :func:`accept_mass_delete`. ``push``: changes arrive at once; if not,
    ``push_note`` says how they do.
    """

    calendar_id: str
    calendar_name: str
    connection_id: str
    provider: str
    account_email: str
    used: bool
    state: SyncState
    progress: int
    synced_at: datetime | None
    full_synced_at: datetime | None
    next_sync_at: datetime | None
    failures: int
    last_error_code: str
    last_error: str
    needs_confirmation: bool
    push: bool
    push_note: str


def sync_calendar(calendar_id: str) -> SyncResult:
    """Read the calendar now, and again if somebody asked meanwhile; errors are recorded in its row, not raised."""
    result, again = sync_once(calendar_id)
    if again:
        result, again = sync_once(calendar_id)
    if again:
        enqueue(calendar_id)
    return result


def is_delta(calendar_id: str) -> bool:
    """Whether a reading will be short: of what changed, and of a provider that gives it in pages of its own."""
    query = (
        select(col(Connection.provider), col(Calendar.sync_cursor))
        .join(Connection, col(Connection.id) == col(Calendar.connection_id))
        .where(col(Calendar.id) == calendar_id)
    )
    with reading() as session:
        found = session.execute(query).first()
    return found is not None and bool(found.sync_cursor) and found.provider in _PAGED


def request(calendar_id: str, *, queue: bool = True, now: datetime | None = None) -> None:
    """Have the calendar read soon, if it is used; requests that come before it starts, or while it runs, are one.

    ``queue`` false only notes it, for a caller who reads the calendar next.
    """
    asked = now or clock()
    with transaction() as session:
        row = session.execute(
            select(col(Calendar.sync_started_at))
            .where(col(Calendar.id) == calendar_id, used())
            .with_for_update()
        ).first()
        if row is None:
            return
        if row.sync_started_at is not None:  # by another machine's clock, which may be ahead of ours
            asked = max(asked, row.sync_started_at + _TICK)
        session.execute(
            update(Calendar)
            .where(col(Calendar.id) == calendar_id)
            .values(sync_requested_at=asked, reading_due_at=planning.due_by(asked))
        )
        if queue:
            after_commit(session, lambda: enqueue(calendar_id))


def request_for(
    actor: Actor, *, connection_id: str | None = None, calendar_id: str | None = None
) -> list[str]:
    """Have all calendars the actor may work with read soon, or those of one connection, or one; returns their ids.
    Those that are not used are left out.

    :raises NotFound: there is none of that id. :raises GrantRevoked: it has to be connected again first.
    :raises Conflict: ``calendar_not_used``, the one that was named.
    """
    actor.require(Role.STAFF)
    statement = visible(
        actor,
        col(Calendar.id),
        col(Connection.status),
        col(Connection.provider),
        col(Connection.id).label("connection"),
        used().label("used"),
    )
    if connection_id:
        statement = statement.where(col(Connection.id) == connection_id)
    if calendar_id:
        statement = statement.where(col(Calendar.id) == calendar_id)
    with reading() as session:
        found = session.execute(statement).all()
    usable = [row for row in found if row.status in USABLE]
    chosen = [row.id for row in usable if row.used and row.provider not in registry.unread()]
    if (connection_id or calendar_id) and not usable:
        if found:
            raise GrantRevoked("This account has to be connected again first.")
        raise NotFound("There is no such calendar.")
    if calendar_id and not usable[0].used:
        raise Conflict(NOT_USED, code="calendar_not_used")
    with transaction() as session:
        for resting in {row.connection for row in found if row.id in chosen}:
            suspension.end_pause(session, resting)
    for one in chosen:
        request(one)
    return chosen


def visible(actor: Actor, *columns: Any) -> Any:
    """A select over calendars and connections that the actor may see: their own, or the workspace's for managers."""
    statement = (
        select(*columns)
        .join_from(Calendar, Connection, col(Connection.id) == col(Calendar.connection_id))
        .where(
            col(Calendar.workspace_id) == actor.workspace_id,
            col(Calendar.removed_at).is_(None),
            col(Connection.status) != ConnectionStatus.DISCONNECTED,
        )
        .order_by(col(Calendar.connection_id), col(Calendar.is_primary).desc(), col(Calendar.name))
    )
    if actor.role < Role.MANAGER:
        statement = statement.where(col(Connection.person_id) == actor.person_id)
    return statement


def accept_mass_delete(actor: Actor, calendar_id: str) -> None:
    """The person says that most events really are gone: read everything once more, and believe it.

    :raises NotFound: there is no such calendar.
    """
    actor.require(Role.STAFF)
    with transaction() as session:
        mine = visible(actor, col(Calendar.id)).where(col(Calendar.id) == calendar_id)
        if session.scalar(mine) is None:
            raise NotFound("There is no such calendar.")
        session.execute(
            update(Calendar)
            .where(col(Calendar.id) == calendar_id)
            .values(removals_accepted=True, sync_cursor=None, sync_requested_at=utc_now())
        )
        after_commit(session, lambda: enqueue(calendar_id))


def enqueue(calendar_id: str) -> bool:
    """Put a sync of the calendar on its queue; false without Redis."""
    return queues.enqueue(
        queues.SYNC, "sync_calendar", calendar_id, job_id=f"sync-{calendar_id}", timeout=TIMEOUT_S
    )


def sweep(now: datetime | None = None) -> int:
    """Enqueue what is due by the database's word: asked for, failed and due again, or left by a worker that died."""
    now = now or clock()
    asked = and_(
        col(Calendar.sync_requested_at).is_not(None),
        or_(
            col(Calendar.sync_started_at).is_(None),
            col(Calendar.sync_requested_at) > col(Calendar.sync_started_at),
        ),
    )
    abandoned = col(Calendar.sync_lease_until).is_not(None)
    again = and_(
        col(Calendar.sync_retry_at).is_not(None),
        due(col(Calendar.sync_retry_at), col(Calendar.sync_started_at), now),
    )
    return _enqueue_due(now, or_(asked, abandoned, again))


def poll(now: datetime | None = None, *, calendars: Collection[str] | None = None) -> int:
    """Enqueue new calendars and those that are due by plan (:mod:`calendar_app.domain.reading_plan`); failing ones
    have times of their own. ``calendars``: only those of them.

    Those of an account with several, whose server tells of all at once, are asked about together
    (:mod:`calendar_app.services.calendar_sync.unchanged_calendars`).
    """
    now = now or clock()
    with reading() as session:
        found = due_to_be_polled(session, now, calendars=calendars)
        together = {kind.key for kind in registry.kinds() if Capability.UNCHANGED in kind.capabilities}
        accounts = {one.connection_id for one in found if one.provider in together}
        shared = _with_several(session, accounts, now)
    alone = [one.id for one in found if one.connection_id not in shared]
    all(map(enqueue, alone)) and all(
        map(_enqueue_look, shared)
    )  # the first that fails says that Redis is away
    return len(found)


def due_to_be_polled(
    session: Session, now: datetime, *, calendars: Collection[str] | None = None
) -> Sequence[Any]:
    """Calendars that :func:`poll` is about, all or these, longest unread first: rows of ``id``, ``connection_id`` and
    ``provider``."""
    healthy = col(Calendar.failures) == 0
    statement = _due(now, and_(healthy, planning.due_by_plan(now)))
    if calendars is not None:
        statement = statement.where(col(Calendar.id).in_(calendars))
    return session.execute(statement).all()


def _with_several(session: Session, accounts: Collection[str], now: datetime) -> set[str]:
    """Which of the accounts have more than one calendar that can be read now and did not fail."""
    if not accounts:
        return set()
    statement = _due(now, col(Calendar.failures) == 0).where(col(Calendar.connection_id).in_(accounts))
    numbers = Counter(row.connection_id for row in session.execute(statement))
    return {account for account, number in numbers.items() if number > 1}


def healthy_of(session: Session, now: datetime, connection_id: str) -> Sequence[str]:
    """Ids of the account's calendars that can be read now and did not fail, whether they are due or not."""
    statement = _due(now, col(Calendar.failures) == 0).where(col(Calendar.connection_id) == connection_id)
    return [row.id for row in session.execute(statement)]


def _enqueue_look(connection_id: str) -> bool:
    return queues.enqueue(
        queues.SYNC,
        "look_for_changes",
        connection_id,
        job_id=f"changes-{connection_id}",
        timeout=TIMEOUT_S,
    )


def _enqueue_due(now: datetime, condition: Any) -> int:
    with reading() as session:
        found = session.execute(_due(now, condition)).all()
    all(enqueue(one.id) for one in found)  # the first that fails says that Redis is away
    return len(found)


def _due(now: datetime, condition: Any) -> Any:
    """Of calendars that can be read now, and that nobody reads."""
    return (
        select(col(Calendar.id), col(Calendar.connection_id), col(Connection.provider))
        .join(Connection, col(Connection.id) == col(Calendar.connection_id))
        .where(
            condition,
            used(),
            col(Calendar.removed_at).is_(None),
            col(Connection.status).in_(USABLE),
            col(Connection.provider).not_in(registry.unread()),
            due(col(Connection.retry_at), col(Connection.last_error_at), now),
            free(col(Calendar.sync_lease_until), LEASE, now),
        )
        .order_by(col(Calendar.synced_at))
    )


def status(actor: Actor, *, now: datetime | None = None) -> list[SyncStatus]:
    """Every calendar the actor may work with, and how its mirror stands."""
    actor.require(Role.STAFF)
    now = now or clock()
    with reading() as session:
        found = session.execute(visible(actor, Calendar, Connection)).all()
        channels: dict[str, list[Channel]] = defaultdict(list)
        for channel in session.scalars(
            select(Channel).where(col(Channel.calendar_id).in_([calendar.id for calendar, _ in found]))
        ):
            channels[channel.calendar_id].append(channel)
        return [_status(calendar, connection, channels[calendar.id], now) for calendar, connection in found]


def _status(calendar: Calendar, connection: Connection, channels: list[Channel], now: datetime) -> SyncStatus:
    usable = connection.status in USABLE
    is_read = connection.provider not in registry.unread()
    asked, started = calendar.sync_requested_at, calendar.sync_started_at
    waits = calendar.synced_at is None or (asked is not None and (started is None or asked > started))
    state = SyncState.IDLE
    if not is_used(calendar):
        waits = False
    if usable and not is_free(calendar.sync_lease_until, LEASE, now):
        state = SyncState.SYNCING
    elif calendar.last_error or not usable:
        state = SyncState.ERROR
    elif waits:
        state = SyncState.QUEUED
    pushed = is_used(calendar) and any(
        channel.stopped_at is None
        and channel.expires_at > now
        and not channel.refusal
        and channel.suspected_at is None
        for channel in channels
    )
    return SyncStatus(
        calendar_id=calendar.id,
        calendar_name=calendar.name,
        connection_id=connection.id,
        provider=connection.provider,
        account_email=connection.account_email,
        used=is_used(calendar),
        state=state,
        progress=calendar.sync_progress,
        synced_at=calendar.synced_at,
        full_synced_at=calendar.full_synced_at,
        next_sync_at=next_reading(calendar, connection, now),
        failures=calendar.failures,
        last_error_code=calendar.last_error_code,
        last_error=calendar.last_error or ("" if usable else connection.last_error),
        needs_confirmation=calendar.last_error_code == MASS_DELETE,
        push=pushed,
        push_note="" if pushed else _note(calendar, connection.provider, is_read, channels),
    )


def _note(calendar: Calendar, provider: str, is_read: bool, channels: Sequence[Channel]) -> str:
    """How changes arrive without a push, and why there is none, as far as the provider said."""
    if not is_read:
        return registry.kind(provider).note
    if not is_used(calendar):
        return NOT_USED
    newest = max(channels, key=lambda channel: channel.created_at, default=None)
    why = f"{newest.refusal} " if newest is not None and newest.refusal else ""
    if not why and newest is not None and newest.suspected_at is not None and newest.stopped_at is None:
        why = f"{SILENT} "
    often, seldom = get_settings().poll_minutes, int(reading_plan.LONGEST.total_seconds() / 60)
    if often >= seldom:
        return f"{why}Changes are looked for every {often} minutes."
    return (
        f"{why}Changes are looked for every {often} minutes while they are frequent or somebody looks, "
        f"and every {seldom} minutes otherwise."
    )
