"""Bookings in people's calendars, kept as desired state: how a calendar is brought to what it should hold.

:mod:`.planning` says what that is. :func:`apply` brings one calendar up to that, as often as it is called and by
whomever: the event's key is computed, so repeats meet the same event; a claim with a fence and a lease keeps two
workers from recording over each other; and a worker that comes back after its claim was taken over records nothing, but
has the calendar written once more, because its late call may have undone a newer state. :func:`sweep` finds what is
behind, so a lost queue costs time and no event.

=====================  ==============================================================================================
error                  what follows
=====================  ==============================================================================================
retryable              again later: 5 s, doubling to an hour, with jitter; ``Retry-After`` wins; parked after ten tries
``UsageLimited``       again when the provider's limit may be over, about every hour; parked after two days
``GrantRevoked``       parked as ``needs_reconnect``; :func:`sweep` takes it up when the account is connected again
``PreconditionFailed`` 412, and 409 or 410 to a write: the event is read; what its owner changed is kept
                       (:func:`event_writer.merged`), what is gone is made anew or done; else again later
``EventNotFound``      written anew
``PermissionDenied``,  parked, the calendar's owner is told once; taken up by itself when the calendar can be written
``CalendarNotFound``   again (:mod:`calendar_app.services.calendar_sync.calendar_listing`)
any other              parked with the reason; staff see it and may retry
=====================  ==============================================================================================
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, or_
from sqlmodel import Session, col, select

from calendar_app import queues
from calendar_app.clock import jitter
from calendar_app.db.due import due, free, is_due, is_free
from calendar_app.db.locks import locked
from calendar_app.db.session import after_commit, clock, reading, transaction
from calendar_app.db.tables import Booking, Calendar, CalendarWrite, Connection
from calendar_app.domain.calendar_write import WriteState
from calendar_app.domain.connection import ConnectionStatus
from calendar_app.domain.event import EventDraft, write_key
from calendar_app.domain.external_change import ChangeResolution
from calendar_app.domain.meeting import FAILED, Meeting, MeetingState
from calendar_app.errors import (
    EventNotFound,
    GrantRevoked,
    NotFound,
    PreconditionFailed,
    ProviderError,
    UsageLimited,
)
from calendar_app.providers.base import WrittenEvent
from calendar_app.services.calendar_mirror import mirror, mismatches
from calendar_app.services.calendar_mirror.own_events import Sighting
from calendar_app.services.calendar_writes import event_draft, meetings, receipts, write_access
from calendar_app.services.calendar_writes.event_writer import Seen, put, read_back, remove
from calendar_app.services.calendar_writes.planning import take_up_refused
from calendar_app.services.calendar_writes.rows import enqueue
from calendar_app.services.common import change_events
from calendar_app.services.connections import tokens as connection_tokens

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=60)
"""How long a claim lasts before another worker may take the row over."""
MAX_ATTEMPTS = 10
LIMITED_ATTEMPTS = 50
"""Tries while the provider's usage limit is reached: with an hour between them more than two days, which is longer than
such a limit lasts."""
_FIRST_DELAY, _LONGEST_DELAY = 5.0, 3600.0
_VERIFY_AGAIN, _VERIFY_WITHIN = timedelta(minutes=2), timedelta(days=1)
_SWEEP_LIMIT = 500

DIFFERS = "event_differs"


@dataclass(frozen=True, slots=True)
class _Claim:
    """The right to bring one row up to ``version``. ``draft`` ``None``: the event must not exist."""

    write_id: str
    fence: int
    version: int
    connection_id: str
    calendar: str
    remote_id: str
    draft: EventDraft | None
    etag: str
    verify_only: bool


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What came of a claim: an event as written, what was read back of it and of its online meeting, or an error."""

    written: WrittenEvent | None = None
    seen: Seen = Seen.UNREAD
    meeting: Meeting | None = None
    error: ProviderError | None = None


def apply(write_id: str, *, now: datetime | None = None) -> str:
    """Bring one calendar up to what it should hold; the row's state afterwards (``""`` if there is no such row).

    Does nothing while another worker holds the claim. Provider errors are recorded, not raised.
    """
    while True:
        claim = _claim(write_id, now or clock())
        if not isinstance(claim, _Claim):
            return claim
        outcome = _carry_out(claim)
        if claim.draft is not None and outcome.error is None and not claim.verify_only:
            if not _record(claim, outcome, now or clock(), keep=True):
                continue
            outcome = _read_back(claim, outcome.written)
        _record(claim, outcome, now or clock())
        if outcome.error is not None:
            return _state(write_id)


def sweep(now: datetime | None = None) -> int:
    """Enqueue every row that is behind and due; how many. It is safe to run it as often as one likes."""
    now = now or clock()
    write = CalendarWrite
    behind = and_(
        col(write.applied_version) < col(write.desired_version), col(write.state) != WriteState.FAILED
    )
    unverified = and_(
        col(write.state) == WriteState.WRITTEN,
        col(write.last_error_code) != DIFFERS,
        col(write.written_at) > now - _VERIFY_WITHIN,
    )
    reconnected = and_(
        col(write.state) == WriteState.FAILED,
        col(write.last_error_code) == GrantRevoked.code,
        col(Connection.status) == ConnectionStatus.CONNECTED,
    )
    query = (
        select(write.id, write.desired_version)
        .join(Calendar, col(Calendar.id) == col(write.calendar_id))
        .join(Connection, col(Connection.id) == col(Calendar.connection_id))
        .where(or_(behind, unverified, reconnected, _without_link()))
        .where(due(col(write.next_attempt_at), col(write.tried_at), now))
        .where(free(col(write.lease_until), LEASE, now))
        .order_by(col(write.created_at))
        .limit(_SWEEP_LIMIT)
    )
    with reading() as session:
        found = session.exec(query).all()
    for write_id, version in found:
        queues.enqueue(queues.WRITES, "apply_write", write_id, job_id=f"sweep-{write_id}-{version}")
    return len(found)


def _without_link() -> ColumnElement[bool]:
    """The condition on rows whose event is written and whose online meeting is still being made."""
    return and_(
        col(CalendarWrite.meeting_state) == MeetingState.PENDING,
        col(CalendarWrite.present).is_(True),
        col(CalendarWrite.state).in_((WriteState.WRITTEN, WriteState.VERIFIED)),
    )


def _locked(session: Session, write_id: str) -> tuple[CalendarWrite | None, list[Booking]]:
    """The row, locked; before it, where its calendar makes an online meeting, the bookings that have this meeting."""
    query = select(CalendarWrite.booking_id).where(CalendarWrite.id == write_id, CalendarWrite.meeting != "")
    booking_id = session.exec(query).first()
    group = meetings.bookings_of(session, booking_id) if booking_id else []
    return locked(session, CalendarWrite, write_id), group


def _state(write_id: str) -> str:
    with reading() as session:
        return session.exec(select(CalendarWrite.state).where(CalendarWrite.id == write_id)).first() or ""


def _claim(write_id: str, now: datetime) -> _Claim | str:
    """The claim, or the state of a row that needs nothing now or is somebody else's at the moment."""
    with transaction() as session:
        row, group = _locked(session, write_id)
        if row is None:
            return ""
        behind = row.applied_version < row.desired_version
        unread = row.state == WriteState.WRITTEN and row.last_error_code != DIFFERS
        if not behind and not unread and row.meeting_state != MeetingState.PENDING:
            return row.state
        if not is_free(row.lease_until, LEASE, now) or not is_due(row.next_attempt_at, row.tried_at, now):
            return row.state
        calendar, connection = _place(session, row)
        if row.state == WriteState.FAILED:
            if row.last_error_code != GrantRevoked.code or connection.status != ConnectionStatus.CONNECTED:
                return row.state
            row.attempts = 0
        if row.attempts >= _most_attempts(
            row.last_error_code
        ):  # workers died on it: nobody was left to record an error
            before, reason = row.state, "Writing this event was tried many times and never came to an end."
            _park(row, "given_up", reason)
            meetings.give_up(session, row, group, reason, now)
            session.add(row)
            receipts.tell(session, row, calendar, before)
            change_events.announce(session, calendar.workspace_id, "bookings")
            return WriteState.FAILED
        row.fence += 1
        row.attempts += behind
        row.lease_until = now + LEASE
        row.state = row.state if not behind else WriteState.QUEUED
        session.add(row)
        draft = event_draft.draft(session, row) if row.present else None
        return _Claim(
            row.id,
            row.fence,
            row.desired_version,
            calendar.connection_id,
            calendar.remote_id,
            row.remote_id,
            draft,
            row.etag,
            verify_only=not behind,
        )


def _place(session: Session, row: CalendarWrite) -> tuple[Calendar, Connection]:
    calendar = session.get_one(Calendar, row.calendar_id)
    return calendar, session.get_one(Connection, calendar.connection_id)


def _carry_out(claim: _Claim) -> _Outcome:
    """Make the calls; no transaction is open here."""
    try:
        if claim.draft is None:
            connection_tokens.call(
                claim.connection_id, lambda api: remove(api, claim.calendar, claim.remote_id)
            )
            return _Outcome()
        if claim.verify_only:
            return _read_back(claim, None)
        draft = claim.draft
        return _Outcome(
            connection_tokens.call(
                claim.connection_id, lambda api: put(api, claim.calendar, draft, claim.etag)
            )
        )
    except EventNotFound as error:
        return _Outcome() if claim.draft is None else _Outcome(error=error)
    except ProviderError as error:
        return _Outcome(error=error)
    except NotFound as error:
        return _Outcome(error=GrantRevoked(error.detail))


def _read_back(claim: _Claim, written: WrittenEvent | None) -> _Outcome:
    assert claim.draft is not None
    remote_id = written.remote_id if written else claim.remote_id
    seen, meeting = read_back(claim.connection_id, claim.calendar, remote_id, claim.draft)
    if seen is Seen.UNREAD and written is not None:
        meeting = written.meeting
    return _Outcome(written, seen, meeting)


def _record(claim: _Claim, outcome: _Outcome, now: datetime, *, keep: bool = False) -> bool:
    """Record the outcome if the claim is still ours; ``keep`` keeps the claim, for what is still to be done with it.

    A claim that was taken over records nothing, and has the row carried out once more.
    """
    with transaction() as session:
        row, group = _locked(session, claim.write_id)
        if row is None:
            return False
        if row.fence != claim.fence:
            row.desired_version += 1  # also what the present holder of the claim records is then behind
            row.verified_at = None
            if row.state != WriteState.FAILED:
                row.state = WriteState.QUEUED
            session.add(row)
            enqueue(session, [claim.write_id])
            return False
        calendar, _ = _place(session, row)
        before = row.state
        if not keep:
            row.lease_until = None
        if outcome.error is not None:
            _failed(row, outcome.error, now)
            if row.state == WriteState.FAILED:
                meetings.give_up(session, row, group, outcome.error.detail, now)
            if outcome.error.code in write_access.LOST:
                write_access.record_loss(session, calendar, outcome.error, now)
        else:
            _succeeded(row, claim, outcome, now)
            _agree(session, row, calendar, claim.etag, now)
            if not keep:
                _record_meeting(session, row, group, outcome, now)
            if outcome.written is not None and calendar.write_lost_at is not None:
                write_access.record_return(session, calendar)
                take_up_refused(session, calendar.id)
        session.add(row)
        receipts.tell(session, row, calendar, before)
        if not keep:
            change_events.announce(session, calendar.workspace_id, "bookings")
        return True


def _succeeded(row: CalendarWrite, claim: _Claim, outcome: _Outcome, now: datetime) -> None:
    if outcome.written is not None:
        row.remote_id, row.etag = outcome.written.remote_id, outcome.written.etag
        row.html_link = outcome.written.html_link
        row.written_at = now
    row.applied_version = claim.version
    row.last_error_code, row.last_error, row.next_attempt_at = "", "", None
    if row.applied_version < row.desired_version:
        row.attempts = 0
    elif claim.draft is None:
        row.state, row.etag, row.html_link, row.attempts = WriteState.REMOVED, "", "", 0
        row.remote_id = write_key(row.booking_id, row.calendar_id)
    elif outcome.seen is Seen.SAME:
        row.state, row.verified_at, row.attempts = WriteState.VERIFIED, now, 0
    elif outcome.seen is Seen.MISSING:
        row.applied_version -= 1
        _failed(row, EventNotFound("The event was written, but the calendar does not show it."), now)
    elif outcome.seen is Seen.OTHER:
        row.state, row.last_error_code = WriteState.WRITTEN, DIFFERS
        row.last_error = "The event was changed in the calendar since it was written."
    else:
        row.state, row.tried_at, row.next_attempt_at = WriteState.WRITTEN, now, now + _VERIFY_AGAIN


def _record_meeting(
    session: Session, row: CalendarWrite, group: list[Booking], outcome: _Outcome, now: datetime
) -> None:
    """Keep what was read of the online meeting, and look again soon where it is still being made."""
    if row.applied_version < row.desired_version or row.state not in (
        WriteState.WRITTEN,
        WriteState.VERIFIED,
    ):
        return
    was_read = outcome.seen in (Seen.SAME, Seen.OTHER)
    meetings.record(session, row, group, outcome.meeting or (FAILED if was_read else None), now)
    if row.meeting_state == MeetingState.PENDING:
        write_id, at = row.id, row.next_attempt_at
        job_id = f"meeting-{write_id}"
        after_commit(
            session, lambda: queues.enqueue(queues.WRITES, "apply_write", write_id, job_id=job_id, at=at)
        )


def _agree(session: Session, row: CalendarWrite, calendar: Calendar, before: str, now: datetime) -> None:
    """What a write means for the mirror, and for what was open between the booking and this calendar.

    ``before`` is the etag that the event had before the write.
    """
    if row.state == WriteState.QUEUED or row.state == WriteState.WRITTEN:
        versions = {before, row.etag}
        if mirror.recognise(session, calendar.id, row.remote_id, row.booking_id, versions):
            mismatches.record_mismatches(session, calendar, [Sighting(row.remote_id, gone=False)], now)
    elif row.state in (WriteState.VERIFIED, WriteState.REMOVED):
        how = ChangeResolution.RESTORED if row.state == WriteState.VERIFIED else ChangeResolution.VANISHED
        mismatches.close_resolved(session, row.booking_id, row.calendar_id, how, now)


def _failed(row: CalendarWrite, error: ProviderError, now: datetime) -> None:
    row.last_error_code, row.last_error = error.code, error.detail
    again = error.retryable or isinstance(error, PreconditionFailed | EventNotFound)
    if not again or row.attempts >= _most_attempts(error.code):
        _park(row, error.code, error.detail)
        return
    row.state = WriteState.QUEUED
    row.tried_at = now
    row.next_attempt_at = now + timedelta(seconds=delay(row.attempts, getattr(error, "retry_after", None)))


def _most_attempts(code: str) -> int:
    return LIMITED_ATTEMPTS if code == UsageLimited.code else MAX_ATTEMPTS


def delay(attempts: int, retry_after: float | None = None) -> float:
    """Seconds until the next try after ``attempts`` of them: exponential with jitter, never before the provider
    allows it."""
    backoff: float = min(_LONGEST_DELAY, _FIRST_DELAY * 2 ** (attempts - 1)) * jitter(0.75, 1.25)
    return max(backoff, (retry_after or 0.0) + jitter(0.0, 1.0))


def _park(row: CalendarWrite, code: str, reason: str) -> None:
    row.state, row.next_attempt_at, row.lease_until = WriteState.FAILED, None, None
    row.last_error_code, row.last_error = code, reason
