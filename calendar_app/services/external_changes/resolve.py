"""Two-way: somebody moves or deletes a booking's event in their own calendar, and the booking follows, or is flagged,
or the event is put back, as the workspace has chosen.

A sync only notes what it saw (:mod:`calendar_app.services.calendar_mirror.mismatches`). :func:`examine` asks the
provider how the event stands now, so that an old version of our own event which arrives late never counts, and neither
does the echo of a write that is still under way. What is left is somebody's doing. :func:`sweep` finds sightings whose
job was lost.

========================  ===========================================================================================
the provider says         what follows
========================  ===========================================================================================
as the booking            nothing; an open deviation is closed
as before our last write  asked again until the provider catches up, for a quarter of an hour; then it is believed
moved                     ``Workspace.outside_moves``: flag, the booking follows (if its hosts are free), or put back
deleted                   ``Workspace.outside_deletes``: flag, cancel, or put back; a mass deletion is only flagged
cannot be asked           asked again, later and later; the drift report of the night is the net below
========================  ===========================================================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import col, func, select

from calendar_app.db.due import due, is_due
from calendar_app.db.locks import locked, locked_one
from calendar_app.db.session import clock, reading, transaction
from calendar_app.db.tables import CalendarWrite, Deviation, Workspace
from calendar_app.domain.calendar_write import WriteState
from calendar_app.domain.external_change import ChangeChoice, ChangeKind, ChangeResolution
from calendar_app.errors import (
    AlmanacError,
    EventNotFound,
    InvalidInput,
    NotFound,
    ProviderError,
    StateChanged,
)
from calendar_app.services.calendar_mirror import mismatches
from calendar_app.services.common import audit_log, change_events
from calendar_app.services.common.permissions import Actor, Role
from calendar_app.services.connections import emails as connection_emails
from calendar_app.services.connections import tokens as connection_tokens
from calendar_app.services.external_changes import orphaned_events
from calendar_app.services.external_changes import queries as external_change_queries
from calendar_app.services.external_changes.queries import DeviationView
from calendar_app.services.external_changes.steps import (
    Case,
    EventState,
    close,
    end,
    follow,
    is_upcoming,
    load_case,
    postpone,
    read_event,
    remove_stray,
    restore,
    stop_examining,
    try_later,
)

MOVE_CHOICES = ("flag", "reschedule", "restore")
DELETE_CHOICES = ("flag", "cancel", "restore")
MOST_BY_RULE = 5
"""How often a day the rule acts on one booking, before two programs that fight over an event are left to people."""
_STALE_FOR = timedelta(minutes=15)
"""How long a provider's answer that is older than our last write is asked again before it is believed."""
_SWEEP_LIMIT = 500


@dataclass(frozen=True, slots=True)
class ExternalChangePolicy:
    """What follows from changes at providers: one of :data:`MOVE_CHOICES` and one of :data:`DELETE_CHOICES`."""

    moves: str
    deletes: str


# --- looking into sightings -------------------------------------------------------------------------------------------


def examine(deviation_id: str, *, now: datetime | None = None) -> str:
    """Look into one sighting, or into an open deviation again, and do what the workspace wants.

    Returns what became of it: empty where there is none (any more), else ``waiting``, ``open`` or the resolution. Safe
    to run twice and in parallel: what it does is idempotent.
    """
    now = now or clock()
    with reading() as session:
        case = load_case(session, deviation_id)
    if case is None or case.row.resolved_at is not None or not case.row.resolution:
        return case.row.resolution or "open" if case else ""
    if not is_due(case.row.next_attempt_at, case.row.tried_at, now):
        return "waiting"
    try:
        return _examine(case, now)
    except Exception:
        try_later(case, now)  # whatever is wrong with it, the others are not kept waiting behind it
        raise


def _examine(case: Case, now: datetime) -> str:
    if case.row.kind in (ChangeKind.STRAY, ChangeKind.ORPHANED):
        return _examine_stray(case, now)
    write, booking = case.write, case.booking
    if write is None or booking is None or not write.present or not is_upcoming(booking, now):
        return close(case, ChangeResolution.VANISHED, now)
    if write.applied_version < write.desired_version:
        # Our own write comes first, and overwrites whatever is there; a failed one is shown on the receipt.
        return stop_examining(case) if write.state == WriteState.FAILED else try_later(case, now)
    try:
        found = read_event(
            case.connection.id, case.calendar.remote_id, write, booking, case.calendar.timezone
        )
    except ProviderError as error:
        return try_later(case, now) if error.retryable else stop_examining(case)
    except NotFound:
        return stop_examining(case)
    if not found.kind:
        return close(case, ChangeResolution.VANISHED, now)
    if found.stale and now - case.row.found_at < _STALE_FOR:
        return try_later(case, now)
    policy = _policy(case, found)
    opened = _open(case, found, acting=policy != "flag", now=now)
    return _apply_policy(case, found, policy, now) if opened == "open" and policy != "flag" else opened


def sweep(now: datetime | None = None) -> int:
    """Enqueue every deviation that is due to be looked into, what is due for longest first; how many."""
    now = now or clock()
    since = func.coalesce(col(Deviation.next_attempt_at), col(Deviation.found_at))
    query = (
        select(Deviation.id)
        .where(
            col(Deviation.resolved_at).is_(None),
            col(Deviation.resolution).in_((ChangeResolution.CHECKING, ChangeResolution.RECHECK)),
        )
        .where(due(col(Deviation.next_attempt_at), col(Deviation.tried_at), now))
        .order_by(since)
        .limit(_SWEEP_LIMIT)
    )
    with reading() as session:
        found = session.exec(query).all()
    mismatches.enqueue(*found)
    return len(found)


def _policy(case: Case, found: EventState) -> str:
    if case.row.detail.get("mass") or case.row.detail.get("tried") == _attempt(found):
        return "flag"
    if found.kind == ChangeKind.MOVED:
        return case.workspace.outside_moves
    return case.workspace.outside_deletes if found.kind == ChangeKind.DELETED else "flag"


def _attempt(found: EventState) -> str:
    """What the rule is tried on, so that it is tried once on each thing that was found."""
    return f"{found.kind}:{found.detail.get('start', '')}:{found.detail.get('end', '')}"


def _open(case: Case, found: EventState, *, acting: bool, now: datetime) -> str:
    """Make the sighting a deviation that people see: ``open``, or empty if there is nothing (new) to see.

    ``acting``: the workspace's rule is about to settle it, and has to be run again if this process dies.
    """
    assert case.write is not None
    assert case.booking is not None
    with transaction() as session:
        write = locked_one(session, CalendarWrite, case.write.id)
        row = locked(session, Deviation, case.row.id)
        if row is None or row.resolved_at is not None:
            return ""
        if (write.fence, write.desired_version) != (case.write.fence, case.write.desired_version):
            return postpone(session, row, now)  # written meanwhile: was it seen before that, or after?
        other = session.exec(
            select(Deviation).where(
                Deviation.booking_id == write.booking_id,
                Deviation.calendar_id == row.calendar_id,
                Deviation.id != row.id,
            )
        ).all()
        detail = _kept_detail(row, found) | found.detail
        if any(_dismissed(one, found, write) for one in other):
            if row.resolution == ChangeResolution.CHECKING:
                session.delete(row)
            else:
                row.resolved_at, row.resolution = now, ChangeResolution.DISMISSED
                session.add(row)
            return ""
        if row.resolution == ChangeResolution.CHECKING:
            for one in other:
                if one.resolved_at is None:
                    session.delete(one)  # the newer one says how it is
        row.booking_id, row.kind, row.remote_id = write.booking_id, found.kind, write.remote_id
        row.detail, row.resolution = detail, ChangeResolution.RECHECK if acting else ""
        session.add(row)
        if detail.get("mass"):
            connection_emails.bookings_vanished(session, case.connection, case.calendar, str(detail["mass"]))
        change_events.announce(session, row.workspace_id, "bookings")
        return "open"


def _kept_detail(row: Deviation, found: EventState) -> dict[str, Any]:
    names = ("mass", "tried", "reason") if row.detail.get("tried") == _attempt(found) else ("mass",)
    return {name: row.detail[name] for name in names if row.detail.get(name)}


def _dismissed(row: Deviation, found: EventState, write: CalendarWrite) -> bool:
    """Whether a person has said of exactly this that it may stay as it is, since we last wrote the event."""
    if row.resolution != ChangeResolution.DISMISSED or row.resolved_at is None or row.kind != found.kind:
        return False
    same = all(row.detail.get(name) == found.detail.get(name) for name in ("start", "end", "all_day"))
    return same and (write.written_at is None or row.resolved_at > write.written_at)


def _apply_policy(case: Case, found: EventState, policy: str, now: datetime) -> str:
    """Do what the workspace's rule says; a refusal leaves the deviation open, with the reason."""
    assert case.booking is not None
    try:
        if _changed_too_often(case.booking.id, now):
            raise StateChanged(
                "The event was changed again and again today, so nothing follows by itself any more."
            )
        if policy == "restore":
            return restore(case, None, now)
        return follow(case, found, None, now)
    except AlmanacError as error:
        with transaction() as session:
            row = locked(session, Deviation, case.row.id)
            if row is not None and row.resolved_at is None:
                row.resolution = ""
                row.detail = {**row.detail, "reason": error.detail, "tried": _attempt(found)}
                session.add(row)
                change_events.announce(session, row.workspace_id, "bookings")
        return "open"


def _changed_too_often(booking_id: str, now: datetime) -> bool:
    query = (
        select(func.count())
        .select_from(Deviation)
        .where(
            Deviation.booking_id == booking_id,
            col(Deviation.resolution).in_((ChangeResolution.FOLLOWED, ChangeResolution.RESTORED)),
            col(Deviation.resolved_at) > now - timedelta(days=1),
        )
    )
    with reading() as session:
        return session.exec(query).one() >= MOST_BY_RULE


# --- strays -----------------------------------------------------------------------------------------------------------


def _examine_stray(case: Case, now: datetime) -> str:
    try:
        connection_tokens.call(
            case.connection.id, lambda api: api.get_event(case.calendar.remote_id, case.row.remote_id)
        )
    except EventNotFound:
        return close(case, ChangeResolution.VANISHED, now)
    except (ProviderError, NotFound) as error:
        return try_later(case, now) if getattr(error, "retryable", False) else stop_examining(case)
    return stop_examining(case)


# --- what people do about one -----------------------------------------------------------------------------------------


def resolve(actor: Actor, deviation_id: str, how: str, *, now: datetime | None = None) -> DeviationView:
    """Settle a deviation by hand: ``follow`` (the booking takes the calendar's time, or is cancelled), ``restore``
    (the calendar is put back) or ``keep`` (both stay as they are); of an orphaned event ``take_in`` or ``remove``.

    The calendar is asked once more first. :raises NotFound: not the actor's to see. :raises InvalidInput: not one of
    its ``choices``. :raises Conflict: it is settled already, or the booking cannot follow. :raises ProviderError: the
    calendar cannot be asked.
    """
    now = now or clock()
    actor.require(Role.STAFF)
    with reading() as session:
        row = external_change_queries.owned(session, actor, deviation_id)
        if row.resolved_at is not None:
            raise StateChanged("This has been settled meanwhile.")
        if how not in external_change_queries.choices(row):
            raise InvalidInput(
                f"Choose one of {', '.join(external_change_queries.choices(row))}.", field="how"
            )
        case = load_case(session, row.id)
    assert case is not None
    if how == ChangeChoice.KEEP:
        _dismiss(case, actor, now)
    elif how == ChangeChoice.TAKE_IN:
        orphaned_events.take_in(case, actor, now)
    elif how == ChangeChoice.REMOVE:
        orphaned_events.remove(case, actor, now)
    elif case.row.kind == ChangeKind.STRAY:
        remove_stray(case, actor, now)
    elif case.write is None or case.booking is None or not case.write.present:
        close(case, ChangeResolution.VANISHED, now)
    elif how == ChangeChoice.RESTORE:
        restore(case, actor, now)
    else:
        _follow_now(case, actor, now)
    with reading() as session:
        found = session.get(Deviation, deviation_id)
        if found is None:
            raise StateChanged("This has been settled meanwhile.")
        return external_change_queries.views(session, [found])[0]


def _follow_now(case: Case, actor: Actor, now: datetime) -> None:
    assert case.write is not None
    assert case.booking is not None
    found = read_event(
        case.connection.id, case.calendar.remote_id, case.write, case.booking, case.calendar.timezone
    )
    if not found.kind:
        close(case, ChangeResolution.VANISHED, now)
    elif found.kind != case.row.kind and ChangeKind.MISSING not in (found.kind, case.row.kind):
        mismatches.enqueue(case.row.id)
        raise StateChanged("The event was changed once more in the calendar. Please look at it again.")
    else:
        follow(case, found, actor, now)


def _dismiss(case: Case, actor: Actor, now: datetime) -> None:
    with transaction() as session:
        end(session, case.row.id, ChangeResolution.DISMISSED, now)
        if case.row.booking_id is not None:
            audit_log.record(
                session,
                case.row.workspace_id,
                actor,
                "booking.deviation_kept",
                "booking",
                case.row.booking_id,
                calendar=case.calendar.name,
            )
        change_events.announce(session, case.row.workspace_id, "bookings")


def policy(actor: Actor) -> ExternalChangePolicy:
    """The workspace's rule."""
    actor.require(Role.STAFF)
    with reading() as session:
        row = session.get_one(Workspace, actor.workspace_id)
        return ExternalChangePolicy(row.outside_moves, row.outside_deletes)


def set_policy(actor: Actor, *, moves: str | None = None, deletes: str | None = None) -> ExternalChangePolicy:
    """Change the workspace's rule. :raises Forbidden: only admins may. :raises InvalidInput: no such choice."""
    actor.require(Role.ADMIN)
    for name, value, allowed in (("moves", moves, MOVE_CHOICES), ("deletes", deletes, DELETE_CHOICES)):
        if value is not None and value not in allowed:
            raise InvalidInput(f"Choose one of {', '.join(allowed)}.", field=f"outside_{name}")
    with transaction() as session:
        row = locked_one(session, Workspace, actor.workspace_id)
        before = ExternalChangePolicy(row.outside_moves, row.outside_deletes)
        row.outside_moves, row.outside_deletes = moves or row.outside_moves, deletes or row.outside_deletes
        found = ExternalChangePolicy(row.outside_moves, row.outside_deletes)
        session.add(row)
        if found != before:
            audit_log.record(
                session,
                row.id,
                actor,
                "workspace.updated",
                "workspace",
                row.id,
                outside_moves=found.moves,
                outside_deletes=found.deletes,
            )
        return found
