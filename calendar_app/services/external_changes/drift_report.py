"""The drift report: bookings held against what the providers really hold, every night and on demand.

Syncs find most of what people change at providers at once (:mod:`calendar_app.services.external_changes.resolve`); this
finds the rest: what pushes, cursors and our own mirror missed. One job per connection asks for each event that has to
stand, the one not looked at for longest first, for a bounded time; what is left over, and what a provider that wants to
be left alone did not answer, is a later job's. Events are compared by the same rule as after a sync, and what is found
goes the same way, so the workspace's rule and the fuse against mass deletions hold here too.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sqlalchemy import and_, or_, update
from sqlmodel import Session, col, func, select

from calendar_app import queues
from calendar_app.clock import utc_now
from calendar_app.db.session import clock, reading, transaction
from calendar_app.db.tables import (
    Booking,
    Calendar,
    CalendarWrite,
    Connection,
    Deviation,
    DriftRun,
)
from calendar_app.domain.calendar_write import WriteState
from calendar_app.domain.connection import USABLE, ConnectionStatus
from calendar_app.domain.external_change import ChangeKind, ChangeResolution
from calendar_app.domain.timespan import instant
from calendar_app.errors import NotFound, ProviderError
from calendar_app.services.calendar_mirror import mismatches
from calendar_app.services.calendar_mirror.own_events import Sighting
from calendar_app.services.common import change_events, installation
from calendar_app.services.common.permissions import Actor, Role
from calendar_app.services.connections.queries import title
from calendar_app.services.external_changes import orphaned_events, unwanted_events
from calendar_app.services.external_changes import queries as external_change_queries
from calendar_app.services.external_changes import resolve as external_change_resolve
from calendar_app.services.external_changes import steps as external_change_steps
from calendar_app.services.external_changes.queries import DeviationView

log = logging.getLogger(__name__)

MOST, BUDGET_S, ROUNDS = 300, 240.0, 20
"""Events that one job looks at, how long it may take, and how many jobs one run of a connection may come to."""
TIMEOUT_S = 600
_PAUSE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class UnreadAccount:
    """An account whose events could not all be looked at: ``number`` of them, for the ``reason`` of a sentence."""

    connection_id: str
    provider: str
    provider_title: str
    account: str
    number: int
    reason: str


@dataclass(frozen=True, slots=True)
class DriftReport:
    """Open deviations, oldest first; when the calendars were last held against the bookings (``None``: never), and
    how many events were looked at then. Of what stands in ``unread`` the report knows nothing."""

    items: tuple[DeviationView, ...]
    checked_at: datetime | None
    checked: int
    unread: tuple[UnreadAccount, ...] = ()


@dataclass(slots=True)
class _Run:
    """What one job finds. ``more``: something is left over, not to be asked for before ``pause`` is over.

    ``reason``: why what was not ``looked`` at was not, the last one if there were several.
    """

    looked: int = 0
    left: int = 0
    reason: str = ""
    healthy: list[tuple[str, int]] = field(default_factory=list)
    agreed: list[tuple[str, str]] = field(default_factory=list)
    odd: dict[str, list[Sighting]] = field(default_factory=lambda: defaultdict(list))
    more: bool = False
    pause: timedelta = timedelta(0)


def report(actor: Actor, *, now: datetime | None = None) -> DriftReport:
    """What is open in the workspace. :raises Forbidden: only managers and above."""
    actor.require(Role.MANAGER)
    items = tuple(external_change_queries.listed(actor))
    with reading() as session:
        query = select(DriftRun).where(DriftRun.workspace_id == actor.workspace_id)
        runs = {run.connection_id: run for run in session.exec(query)}
        return DriftReport(
            items,
            max((run.at for run in runs.values()), default=None),
            sum(run.checked for run in runs.values()),
            tuple(_unread(session, actor.workspace_id, runs, now or clock())),
        )


def _unread(
    session: Session, workspace_id: str, runs: Mapping[str, DriftRun], now: datetime
) -> Iterator[UnreadAccount]:
    """Accounts of which the last run left something, and those that nobody can look at until they are reconnected."""
    waiting = dict(
        session.exec(
            select(Calendar.connection_id, func.count())
            .join(CalendarWrite, col(CalendarWrite.calendar_id) == col(Calendar.id))
            .join(Booking, col(Booking.id) == col(CalendarWrite.booking_id))
            .where(Calendar.workspace_id == workspace_id, col(CalendarWrite.present).is_(True))
            .where(Booking.status == "confirmed", col(Booking.end_at) > now)
            .group_by(col(Calendar.connection_id))
        ).all()
    )
    rows = session.exec(
        select(Connection)
        .where(Connection.workspace_id == workspace_id, Connection.status != ConnectionStatus.DISCONNECTED)
        .order_by(col(Connection.created_at))
    )
    for row in rows:
        number, reason = (runs[row.id].unread, runs[row.id].reason) if row.id in runs else (0, "")
        if row.status not in USABLE:
            number, reason = (
                waiting.get(row.id, 0),
                row.last_error or "The account has to be connected again.",
            )
        if number:
            yield UnreadAccount(row.id, row.provider, title(row.provider), row.account_email, number, reason)


def run(actor: Actor, *, now: datetime | None = None) -> int:
    """Hold the workspace's calendars against its bookings, soon; how many connections that concerns.

    :raises Forbidden: only managers and above.
    """
    actor.require(Role.MANAGER)
    return _enqueue(now or clock(), Connection.workspace_id == actor.workspace_id)


def fix(actor: Actor, deviation_id: str, how: str, *, now: datetime | None = None) -> DeviationView:
    """One click: ``follow``, ``restore`` or ``keep``; as
    :func:`calendar_app.services.external_changes.resolve.resolve`.

    :raises Forbidden: only managers and above.
    """
    actor.require(Role.MANAGER)
    return external_change_resolve.resolve(actor, deviation_id, how, now=now)


def check_all(now: datetime | None = None) -> int:
    """Queue a look at every connection; the nightly job."""
    return _enqueue(now or clock())


def check_after_restore(calendar_id: str, now: datetime | None = None) -> int:
    """Queue a look at a calendar's connection, if a backup was put back lately; how many. For calendars just read."""
    now = now or utc_now()
    with reading() as session:
        row = installation.own(session)
        if row is None or row.restored_at is None or row.restored_at < now - timedelta(days=1):
            return 0
    of = select(Calendar.connection_id).where(Calendar.id == calendar_id)
    return _enqueue(now, col(Connection.id).in_(of))


def check_connection(
    connection_id: str, begun: int | None = None, number: int = 0, *, now: datetime | None = None
) -> int:
    """Hold one connection's calendars against the bookings that are written there; how many events were looked at.

    ``begun``: the instant at which this run began; what was verified since is left alone. ``number`` counts its jobs.
    """
    now = now or clock()
    begun = instant(now) if begun is None else begun
    with reading() as session:
        connection = session.get(Connection, connection_id)
        if connection is None or connection.status not in USABLE:
            return 0
        calendars = {
            calendar.id: calendar
            for calendar in session.exec(
                select(Calendar).where(
                    Calendar.connection_id == connection_id, col(Calendar.removed_at).is_(None)
                )
            )
        }
        due = _due(session, list(calendars), begun, now)
        strays = unwanted_events.find(session, list(calendars), now) if number == 0 else []
        orphans = orphaned_events.find(session, list(calendars), now) if number == 0 else []
    found = _Run(more=len(due) > MOST)
    _look(connection_id, calendars, due[:MOST], found)
    _record(connection, calendars, found, number, now)
    unwanted_events.note(connection, calendars, strays, now)
    orphaned_events.note(connection, calendars, orphans, now)
    if found.more and number + 1 < ROUNDS:
        at = utc_now() + found.pause if found.pause else None
        queues.enqueue(
            queues.DEFAULT, "check_drift", connection_id, begun, number + 1, at=at, timeout=TIMEOUT_S
        )
    return found.looked


def _enqueue(now: datetime, *conditions: object) -> int:
    query = select(Connection.id).where(col(Connection.status).in_(USABLE), *conditions)  # type: ignore[arg-type]
    with reading() as session:
        ids = session.exec(query).all()
    for connection_id in ids:
        queues.enqueue(
            queues.DEFAULT,
            "check_drift",
            connection_id,
            instant(now),
            0,
            job_id=f"drift-{connection_id}",
            timeout=TIMEOUT_S,
        )
    return len(ids)


def _due(
    session: Session, calendar_ids: Sequence[str], begun: int, now: datetime
) -> list[tuple[CalendarWrite, Booking]]:
    """Writes whose event has to stand for a booking to come, the one not looked at for longest first.

    Those that were given up are left to :func:`_note_missing`: nothing has to be asked about them.
    """
    since = datetime.fromtimestamp(begun, UTC)
    query = (
        select(CalendarWrite, Booking)
        .join(Booking, col(Booking.id) == col(CalendarWrite.booking_id))
        .where(col(CalendarWrite.calendar_id).in_(calendar_ids), col(CalendarWrite.present).is_(True))
        .where(Booking.status == "confirmed", col(Booking.end_at) > now)
        .where(
            col(CalendarWrite.state).in_((WriteState.WRITTEN, WriteState.VERIFIED)),
            col(CalendarWrite.applied_version) == col(CalendarWrite.desired_version),
            or_(col(CalendarWrite.verified_at).is_(None), col(CalendarWrite.verified_at) < since),
        )
        .order_by(col(CalendarWrite.verified_at).is_not(None), col(CalendarWrite.verified_at))
        .limit(MOST + 1)
    )
    return [(write, booking) for write, booking in session.exec(query)]


def _look(
    connection_id: str,
    calendars: dict[str, Calendar],
    due: Sequence[tuple[CalendarWrite, Booking]],
    found: _Run,
) -> None:
    """Ask for one event after the other; a provider that is busy is left alone for as long as it wants."""
    deadline = time.monotonic() + BUDGET_S
    found.left = len(due)
    for write, booking in due:
        calendar = calendars[write.calendar_id]
        if time.monotonic() > deadline:
            found.more, found.reason = True, "There are many events; the rest is looked at in a moment."
            return
        try:
            seen = external_change_steps.read_event(
                connection_id, calendar.remote_id, write, booking, calendar.timezone
            )
        except ProviderError as error:
            found.reason = error.detail
            if error.retryable:
                asked = getattr(error, "retry_after", None) or 0.0
                found.more, found.pause = True, max(_PAUSE, timedelta(seconds=min(asked, 3600.0)))
                return
            log.warning("an event was not looked at", extra={"write": write.id, "code": error.code})
            if error.code == "needs_reconnect":
                return
            continue
        except NotFound as error:
            found.reason = error.detail
            return
        found.looked, found.left = found.looked + 1, found.left - 1
        if seen.kind:
            found.odd[calendar.id].append(Sighting(write.remote_id, gone=seen.kind == ChangeKind.DELETED))
        else:
            found.healthy.append((write.id, write.desired_version))
            found.agreed.append((booking.id, calendar.id))


def _record(
    connection: Connection, calendars: dict[str, Calendar], found: _Run, number: int, now: datetime
) -> None:
    with transaction() as session:
        for calendar_id, odd in found.odd.items():
            mismatches.record_mismatches(session, calendars[calendar_id], odd, now)
        for write_id, version in found.healthy:
            session.execute(
                update(CalendarWrite)
                .where(
                    col(CalendarWrite.id) == write_id,
                    col(CalendarWrite.desired_version) == version,
                    col(CalendarWrite.applied_version) == version,
                )
                .values(state=WriteState.VERIFIED, verified_at=now, last_error="", last_error_code="")
            )
        open_ones = set(
            session.exec(
                select(Deviation.booking_id, Deviation.calendar_id).where(
                    col(Deviation.calendar_id).in_(list(calendars)), col(Deviation.resolved_at).is_(None)
                )
            )
        )
        for booking_id, calendar_id in open_ones.intersection(found.agreed):
            mismatches.close_resolved(session, booking_id or "", calendar_id, ChangeResolution.VANISHED, now)
        _note_missing(session, connection, list(calendars), now)
        _close_past(session, list(calendars), now)
        orphaned_events.close(session, list(calendars), now)
        _note_run(session, connection, found, number, now)
        change_events.announce(session, connection.workspace_id, "bookings")


def _note_run(session: Session, connection: Connection, found: _Run, number: int, now: datetime) -> None:
    """What the run has come to; its second job and later ones add to what the ones before have looked at."""
    query = select(DriftRun).where(DriftRun.connection_id == connection.id).with_for_update()
    run = session.exec(query).first() or DriftRun(
        connection_id=connection.id, workspace_id=connection.workspace_id
    )
    run.at, run.checked = now, found.looked + (run.checked if number else 0)
    run.unread, run.reason = found.left, found.reason if found.left else ""
    session.add(run)


def _note_missing(
    session: Session, connection: Connection, calendar_ids: Sequence[str], now: datetime
) -> None:
    """Events that never arrived: writes that were given up."""
    given_up = session.exec(
        select(CalendarWrite)
        .join(Booking, col(Booking.id) == col(CalendarWrite.booking_id))
        .where(col(CalendarWrite.calendar_id).in_(calendar_ids), col(CalendarWrite.present).is_(True))
        .where(
            CalendarWrite.state == WriteState.FAILED, Booking.status == "confirmed", col(Booking.end_at) > now
        )
    ).all()
    for write in given_up:
        known = select(Deviation.id).where(
            Deviation.booking_id == write.booking_id,
            Deviation.calendar_id == write.calendar_id,
            or_(
                col(Deviation.resolved_at).is_(None),
                and_(
                    col(Deviation.resolution) == ChangeResolution.DISMISSED,
                    col(Deviation.kind) == ChangeKind.MISSING,
                ),
            ),
        )
        if session.exec(known).first() is None:
            session.add(
                Deviation(
                    workspace_id=connection.workspace_id,
                    booking_id=write.booking_id,
                    calendar_id=write.calendar_id,
                    remote_id=write.remote_id,
                    kind=ChangeKind.MISSING,
                    detail={"reason": write.last_error},
                    found_at=now,
                )
            )


def _close_past(session: Session, calendar_ids: Sequence[str], now: datetime) -> None:
    """What was open about bookings that are over or stand no more is history; strays have no such end."""
    over = select(Booking.id).where(or_(col(Booking.end_at) <= now, col(Booking.status) != "confirmed"))
    session.execute(
        update(Deviation)
        .where(
            col(Deviation.calendar_id).in_(calendar_ids),
            col(Deviation.resolved_at).is_(None),
            col(Deviation.kind) != ChangeKind.STRAY,
            col(Deviation.booking_id).in_(over),
        )
        .values(resolved_at=now, resolution=ChangeResolution.VANISHED)
    )
