"""One reading of one calendar: claim, list, commit.

The claim is a lease and a fence in the calendar's row. Listing happens with no transaction open; pages go to an
unlinked temporary file, so that memory does not grow with the calendar. Events, occurrences and cursor are then
committed together, only while the fence is still our own: a worker that was thought dead and comes back changes
nothing.

=============================================  ========================================================================
error                                          what follows
=============================================  ========================================================================
``RateLimited``, ``ProviderUnavailable``       again later: 30 s, doubling to an hour, with jitter; ``Retry-After`` wins
``SyncTokenInvalid``                           one full listing in the same run
``GrantRevoked``                               nothing until the account is connected again
any other                                      again in an hour, doubling to six: time seldom heals it, people do
=============================================  ========================================================================
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from tempfile import TemporaryFile
from typing import IO, Any

import orjson
from sqlalchemy import select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session, col

from calendar_app.clock import jitter
from calendar_app.db import mirror as rows
from calendar_app.db.due import is_free
from calendar_app.db.session import clock, transaction
from calendar_app.db.tables import Calendar, Connection
from calendar_app.domain.connection import USABLE
from calendar_app.domain.event import CalendarEvent
from calendar_app.domain.reading_plan import VIEW_LASTS
from calendar_app.domain.timespan import utc
from calendar_app.domain.unread import Unread
from calendar_app.errors import (
    AlmanacError,
    GrantRevoked,
    NotFound,
    ProviderError,
    ProviderUnavailable,
    SyncTokenInvalid,
)
from calendar_app.providers import registry
from calendar_app.providers.base import CalendarProvider, Capability
from calendar_app.services.calendar_mirror import expansion, mirror, mismatches, unreadable
from calendar_app.services.calendar_sync import first_reading, planning, suspension
from calendar_app.services.calendar_writes import write_access
from calendar_app.services.common import change_events
from calendar_app.services.connections import budget, calendar_time_zones
from calendar_app.services.connections import emails as connection_emails
from calendar_app.services.connections import tokens as connection_tokens
from calendar_app.services.connections.budget import Urgency
from calendar_app.services.connections.calendars import MASS_DELETE, is_used

log = logging.getLogger(__name__)

LEASE, BEAT_S = timedelta(seconds=45), 10.0
"""How long a sync may be silent before it is thought dead, and how often it says that it is not."""
_FIRST_DELAY, _LONGEST_DELAY, _LONGEST_WAIT = 30.0, 3600.0, 86_400.0
_FIRST_REFUSED, _LONGEST_REFUSED = 3600.0, 21_600.0


class Outcome(StrEnum):
    """How a sync ended. ``BUSY``: another worker is at it; ``SUPERSEDED``: another worker has taken over since;
    ``POSTPONED``: the provider's budget is spent for the moment."""

    DONE = "done"
    BUSY = "busy"
    FAILED = "failed"
    SKIPPED = "skipped"
    POSTPONED = "postponed"
    SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True)
class SyncResult:
    """What a sync did; ``kept`` events stayed although the listing lacked them; ``error`` is a sentence."""

    outcome: Outcome
    full: bool = False
    changed: int = 0
    removed: int = 0
    kept: int = 0
    error: str = ""


@dataclass(frozen=True, slots=True)
class _Claim:
    """The right to sync a calendar while its row's fence is ``fence``.

    ``waited_for``: a person, or a push, asked for this reading; ``is_viewed``: somebody looks at the calendar.
    ``is_first``: what can be booked may be read ahead. ``last_began``: when the reading before was begun.
    """

    calendar_id: str
    workspace_id: str
    connection_id: str
    person_id: str
    remote_id: str
    cursor: str | None
    fence: int
    removals_accepted: bool
    waited_for: bool
    is_viewed: bool
    is_first: bool
    last_began: datetime | None


@dataclass(frozen=True, slots=True)
class _Listing:
    """What a listing said beside its events, which are in the spool.

    ``full``: it holds everything; ``zone``: the IANA zone that the calendar names, empty for none, ``None`` if it said
    nothing of one; ``unread``: what could not be read beside the events; ``events``: how many it holds; ``wish``: how
    long its publisher wants it not to be asked, ``None`` if the answer did not say.
    """

    cursor: str | None
    full: bool
    zone: str | None
    unread: Sequence[Unread] = ()
    events: int = 0
    wish: timedelta | None = None


class _Superseded(Exception):
    """Somebody else has claimed the calendar since."""


def sync_once(calendar_id: str) -> tuple[SyncResult, bool]:
    """Read the calendar if it can be claimed; true if somebody asked for another reading meanwhile."""
    claim = _claim(calendar_id, clock())
    if isinstance(claim, Outcome):
        return SyncResult(claim), False
    try:
        with TemporaryFile() as spool:
            with _heartbeat(claim):
                listing = _listing(claim, spool)
            return _commit(claim, spool, listing)
    except _Superseded:
        return SyncResult(Outcome.SUPERSEDED), False
    except AlmanacError as error:
        return _failed(claim, error), False
    except Exception:
        _failed(claim, AlmanacError("Reading this calendar failed on our side; it will be tried again."))
        raise


def _listing(claim: _Claim, spool: IO[bytes]) -> _Listing:
    """Everything, or the changes since the cursor, to ``spool``."""
    if claim.cursor is not None:
        try:
            return _list(claim, claim.cursor, spool)
        except SyncTokenInvalid:
            log.info("a cursor is too old; everything is listed", extra={"calendar": claim.calendar_id})
    return _list(claim, None, spool)


@contextmanager
def _heartbeat(claim: _Claim) -> Iterator[None]:
    """Keep the lease while the provider is slow to answer, from a thread that dies, or stops, with its process."""
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(BEAT_S):
            try:
                until = clock() + LEASE
                with transaction() as session:
                    session.execute(_mine(claim).values(sync_lease_until=until))
            except SQLAlchemyError:
                log.warning("a sync could not say that it is alive", extra={"calendar": claim.calendar_id})

    thread = threading.Thread(target=beat, name="sync-heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _mine(claim: _Claim) -> Any:
    """An update of the calendar's row while the claim is ours."""
    return update(Calendar).where(
        col(Calendar.id) == claim.calendar_id, col(Calendar.sync_fence) == claim.fence
    )


def _claim(calendar_id: str, now: datetime) -> _Claim | Outcome:
    statement = select(Calendar).where(col(Calendar.id) == calendar_id).with_for_update()
    with transaction() as session:
        row = session.scalars(statement).first()
        connection = session.get(Connection, row.connection_id) if row else None
        if row is None or connection is None or row.removed_at or connection.status not in USABLE:
            return Outcome.SKIPPED
        if not is_used(row):
            return Outcome.SKIPPED
        if suspension.is_paused(connection, now):
            return Outcome.SKIPPED
        if connection.provider in registry.unread():
            return Outcome.SKIPPED
        if not is_free(row.sync_lease_until, LEASE, now):
            return Outcome.BUSY
        waited_for, last_began = _is_waited_for(row), row.sync_started_at
        row.sync_fence += 1
        row.sync_lease_until = now + LEASE
        row.sync_started_at = max(now, row.sync_requested_at or now)
        row.sync_progress = 0
        session.add(row)
        return _Claim(
            row.id,
            row.workspace_id,
            row.connection_id,
            connection.person_id,
            row.remote_id,
            None if _lists_everything(row, now, waited_for=waited_for) else row.sync_cursor,
            row.sync_fence,
            row.removals_accepted,
            waited_for,
            row.viewed_at is not None and now - VIEW_LASTS <= row.viewed_at,
            first_reading.is_first(session, row),
            last_began,
        )


def _is_waited_for(row: Calendar) -> bool:
    asked, began = row.sync_requested_at, row.sync_started_at
    return asked is not None and (began is None or asked > began)


def _lists_everything(row: Calendar, now: datetime, *, waited_for: bool) -> bool:
    """To learn whose zone the calendar has; or because it is time to, and nobody waits for what changed."""
    return not row.timezone_source or (planning.is_due_in_full(row, now) and not waited_for)


def _list(claim: _Claim, cursor: str | None, spool: IO[bytes]) -> _Listing:
    """Write every event of the listing to ``spool``, one JSON line each."""
    since = None if cursor else utc(expansion.window_at(clock()).start)
    watch = first_reading.Watch(wanted=claim.is_first)

    def work(provider: CalendarProvider) -> _Listing:
        spool.seek(0)
        spool.truncate()
        count, last, full, zone, wish = 0, None, cursor is None, None, None
        notes: list[Unread] = []
        for page in provider.event_pages(claim.remote_id, cursor, since=since):
            for event in page.events:
                spool.write(orjson.dumps(rows.to_payload(event)) + b"\n")
            last, full = page.cursor, full or page.snapshot
            zone = zone if page.timezone is None else page.timezone
            wish = wish if page.wish is None else page.wish
            notes += page.unread[: unreadable.MOST]
            if page.events:
                count += len(page.events)
                _progress(claim, count)
                if page.cursor is None and watch.is_long(provider, count):
                    _read_ahead(claim, provider)
        if last is None and Capability.DELTA in provider.capabilities:
            raise ProviderUnavailable("The provider's list of events ended early.", reason="no_cursor")
        return _Listing(last, full, zone, notes, count, wish)

    with budget.urgency(Urgency.ASKED if claim.waited_for or claim.is_viewed else Urgency.PLANNED):
        return connection_tokens.call(claim.connection_id, work)


def _read_ahead(claim: _Claim, provider: CalendarProvider) -> None:
    ahead = first_reading.read_ahead(provider, claim.remote_id, clock())
    if ahead is None:
        return
    with transaction() as session:
        first_reading.store(session, _locked(session, claim), ahead)
        for topic in ("events", "connections"):
            change_events.announce(session, claim.workspace_id, topic, claim.person_id)


def _listed(spool: IO[bytes]) -> Iterator[CalendarEvent]:
    spool.seek(0)
    for line in spool:
        yield rows.from_payload(orjson.loads(line))


def _progress(claim: _Claim, count: int) -> None:
    until = clock() + LEASE
    with transaction() as session:
        answer: Any = session.execute(_mine(claim).values(sync_progress=count, sync_lease_until=until))
        if not answer.rowcount:
            raise _Superseded
        if (
            claim.cursor is None
        ):  # what changed since a cursor is read before anybody could follow its progress
            change_events.announce(session, claim.workspace_id, "connections", claim.person_id)


def _commit(claim: _Claim, spool: IO[bytes], listing: _Listing) -> tuple[SyncResult, bool]:
    now, full = clock(), listing.full
    with transaction() as session:
        row = _locked(session, claim)
        calendar_time_zones.take_listed(session, row, listing.zone, now, full=full)
        applied = mirror.apply(
            session,
            row.id,
            _listed(spool),
            full=full,
            now=now,
            accept_removals=claim.removals_accepted or row.ahead_until is not None,
        )
        row.ahead_at = row.ahead_until = None
        mismatches.record_mismatches(session, row, applied.sightings, now)
        unreadable.note(session, row, listing.unread, full=full)
        connection_emails.tell_unread(session, row, now)
        row.sync_cursor = listing.cursor
        if row.removals_accepted and not claim.removals_accepted:
            row.sync_cursor = None  # agreed to while we read: the next reading lists everything
        elif full:
            row.removals_accepted = False
        if applied.kept:
            row.last_error_code, row.last_error = MASS_DELETE, _doubt(applied.kept)
        elif full or row.last_error_code != MASS_DELETE:
            row.last_error_code, row.last_error = "", ""
        # Only changes since a cursor are news: a full listing also brings what had not been in the mirror's window.
        news = claim.cursor is not None and bool(applied.changed or applied.removed)
        found = planning.Found(news, listing.full, listing.events, listing.wish)
        planning.plan(session, row, found, now, unasked_since=None if claim.waited_for else claim.last_began)
        row.synced_at, row.full_synced_at = now, now if full else row.full_synced_at
        row.failures, row.sync_retry_at, row.sync_lease_until = 0, None, None
        again = row.sync_requested_at is not None and row.sync_requested_at > (row.sync_started_at or now)
        session.add(row)
        suspension.record_success(session, claim.connection_id, now)
        topics = ["events"] * bool(applied.changed or applied.removed) + ["connections"]
        for topic in topics:
            change_events.announce(session, claim.workspace_id, topic, claim.person_id)
    return SyncResult(Outcome.DONE, full, applied.changed, applied.removed, applied.kept), again


def _failed(claim: _Claim, error: AlmanacError) -> SyncResult:
    """Record why, and when to try again, if at all."""
    if isinstance(error, NotFound):
        return SyncResult(Outcome.SKIPPED)
    now = clock()
    with transaction() as session:
        try:
            row = _locked(session, claim)
        except _Superseded:
            return SyncResult(Outcome.SUPERSEDED)
        if getattr(error, "reason", "") == budget.SPENT:
            return _postpone(session, claim, row)
        row.failures += 1
        row.reading_due_at = min(row.reading_due_at or now, now)
        row.sync_lease_until = None
        row.sync_retry_at = None if isinstance(error, GrantRevoked) else now + _delay(error, row.failures)
        if row.last_error_code != MASS_DELETE:
            row.last_error_code, row.last_error = error.code, error.detail
        session.add(row)
        if error.code in write_access.LOST:
            write_access.list_soon(session, claim.connection_id, now)
        if not isinstance(error, GrantRevoked):
            suspension.record_failure(session, claim.connection_id, error, now)
        change_events.announce(session, claim.workspace_id, "connections", claim.person_id)
    log.warning("a calendar was not read", extra={"calendar": claim.calendar_id, "code": error.code})
    return SyncResult(Outcome.FAILED, error=error.detail)


def _postpone(session: Session, claim: _Claim, row: Calendar) -> SyncResult:
    """The budget is spent, which is nobody's failure: the reading stays due, and is asked for again if it was."""
    row.sync_lease_until = None
    row.reading_due_at = min(row.reading_due_at or clock(), clock())
    if claim.waited_for and row.sync_started_at is not None:
        row.sync_requested_at = row.sync_started_at + timedelta(milliseconds=1)
    session.add(row)
    return SyncResult(Outcome.POSTPONED)


def _locked(session: Session, claim: _Claim) -> Calendar:
    statement = select(Calendar).where(
        col(Calendar.id) == claim.calendar_id, col(Calendar.sync_fence) == claim.fence
    )
    row = session.scalars(statement.with_for_update()).first()
    if row is None:
        raise _Superseded
    return row


def _delay(error: AlmanacError, failures: int) -> timedelta:
    """Time may heal what a provider calls passing, and what is no provider's error, which is ours to mend."""
    passing = not isinstance(error, ProviderError) or error.retryable or isinstance(error, SyncTokenInvalid)
    first, longest = (_FIRST_DELAY, _LONGEST_DELAY) if passing else (_FIRST_REFUSED, _LONGEST_REFUSED)
    backoff = min(longest, first * 2 ** min(failures - 1, 10)) * jitter(0.75, 1.25)
    asked = getattr(error, "retry_after", None) or 0.0
    return timedelta(seconds=max(backoff, min(asked, _LONGEST_WAIT)))


def _doubt(kept: int) -> str:
    return (
        f"The provider no longer lists {kept} events of this calendar, most of its future. "
        "They are kept until you confirm that they were really deleted."
    )
