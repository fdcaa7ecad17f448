"""Two-way: somebody moves or deletes a booking's event in their own calendar, and the booking follows, or is flagged,
or the event is put back, as the workspace has chosen.

A sync only notes what it saw (:mod:`calendar_app.services.sightings`). :func:`settle` asks the provider how the event
stands now, so that an old version of our own event which arrives late never counts, and neither does the echo of a
write that is still under way. What is left is somebody's doing. :func:`sweep` finds sightings whose job was lost.

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
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlmodel import Session, col, func, select

from calendar_app.db.session import after_commit, reading, transaction
from calendar_app.db.tables import Booking, Calendar, CalendarWrite, Connection, Deviation, Workspace
from calendar_app.domain.event import CalendarEvent
from calendar_app.domain.timespan import Span, instant
from calendar_app.errors import (
    AlmanacError,
    EventNotFound,
    InvalidInput,
    NotFound,
    ProviderError,
    StateChanged,
)
from calendar_app.services import (
    audit,
    booking_events,
    bookings,
    calendar_writes,
    deviations,
    grants,
    live,
    notifications,
    sightings,
)
from calendar_app.services.bookings import Outside
from calendar_app.services.connection_views import title
from calendar_app.services.deviations import (
    CANCELLED,
    CHANGED,
    CHECKING,
    DELETED,
    DISMISSED,
    FOLLOWED,
    KEEP,
    MISSING,
    MOVED,
    RECHECK,
    RESTORE,
    RESTORED,
    STRAY,
    VANISHED,
    DeviationView,
)
from calendar_app.services.roles import Actor, Role

MOVE_CHOICES = ("flag", "reschedule", "restore")
DELETE_CHOICES = ("flag", "cancel", "restore")
MOST_BY_RULE = 5
"""How often a day the rule acts on one booking, before two programs that fight over an event are left to people."""
CANCEL_REASON = "The appointment was removed from the host’s calendar."
_STALE_FOR = timedelta(minutes=15)
"""How long a provider's answer that is older than our last write is asked again before it is believed."""
_SKEW = timedelta(minutes=2)
_FIRST_DELAY, _LONGEST_DELAY, _MOST_TRIES = 30, 3600, 12
_SWEEP_LIMIT = 500


@dataclass(frozen=True, slots=True)
class OutsidePolicy:
    """What follows from changes at providers: one of :data:`MOVE_CHOICES` and one of :data:`DELETE_CHOICES`."""

    moves: str
    deletes: str


@dataclass(frozen=True, slots=True)
class Found:
    """How an event stands at its provider. ``kind`` is a deviation's kind, or empty where it fits the booking.

    ``detail`` is JSON for the deviation; ``version`` is the etag, ``stale``: this may be older than our last write.
    """

    kind: str
    detail: dict[str, Any]
    span: Span | None = None
    version: str = ""
    stale: bool = False


@dataclass(frozen=True, slots=True)
class _Case:
    """A deviation with the booking and the write that it is about."""

    row: Deviation
    calendar: Calendar
    connection: Connection
    workspace: Workspace
    write: CalendarWrite | None
    booking: Booking | None

    @property
    def by(self) -> str:
        return f"changed in {title(self.connection.provider)} Calendar"


# --- looking into sightings -------------------------------------------------------------------------------------------


def settle(deviation_id: str, *, now: datetime | None = None) -> str:
    """Look into one sighting, or into an open deviation again, and do what the workspace wants.

    Returns what became of it: empty where there is none (any more), else ``waiting``, ``open`` or the resolution. Safe
    to run twice and in parallel: what it does is idempotent.
    """
    now = now or datetime.now(UTC)
    with reading() as session:
        case = _case(session, deviation_id)
    if case is None or case.row.resolved_at is not None or not case.row.resolution:
        return case.row.resolution or "open" if case else ""
    if (after := deviations.moment(case.row, "after")) and after > now:
        return "waiting"
    if case.row.kind == STRAY:
        return _settle_stray(case, now)
    write, booking = case.write, case.booking
    if write is None or booking is None or not write.present or not _stands(booking, now):
        return _close(case, VANISHED, now)
    if write.applied_version < write.desired_version:
        # Our own write comes first, and overwrites whatever is there; a failed one is shown on the receipt.
        return _rest(case) if write.state == calendar_writes.FAILED else _later(case, now)
    try:
        found = look(case.connection.id, case.calendar.remote_id, write, booking, case.calendar.timezone)
    except ProviderError as error:
        return _later(case, now) if error.retryable else _rest(case)
    except NotFound:
        return _rest(case)
    if not found.kind:
        return _close(case, VANISHED, now)
    if found.stale and now - case.row.found_at < _STALE_FOR:
        return _later(case, now)
    policy = _policy(case, found)
    opened = _open(case, found, acting=policy != "flag", now=now)
    return _act(case, opened, found, policy, now) if opened and policy != "flag" else opened or ""


def sweep(now: datetime | None = None) -> int:
    """Enqueue every deviation that is due to be looked into; how many."""
    now = now or datetime.now(UTC)
    query = select(Deviation).where(
        col(Deviation.resolved_at).is_(None), col(Deviation.resolution).in_((CHECKING, RECHECK))
    )
    with reading() as session:
        rows = session.exec(query.order_by(col(Deviation.found_at)).limit(_SWEEP_LIMIT)).all()
    due = [row.id for row in rows if (deviations.moment(row, "after") or now) <= now]
    sightings.enqueue(*due)
    return len(due)


def look(connection_id: str, calendar: str, write: CalendarWrite, booking: Booking, zone: str) -> Found:
    """Ask the provider for the event of a booking. Call it outside of any transaction.

    :raises ProviderError: it could not be asked. :raises NotFound: the connection is gone.
    """
    try:
        event = grants.call(connection_id, lambda api: api.get_event(calendar, write.remote_id))
    except EventNotFound:
        return Found(DELETED if write.written_at else MISSING, {})
    return compare(event, write, booking, zone)


def compare(event: CalendarEvent, write: CalendarWrite, booking: Booking, zone: str) -> Found:
    """Hold an event against its booking; ``zone`` is the calendar's, for times that float."""
    start, end = booking_events.moment(event.start, zone), booking_events.moment(event.end, zone)
    all_day = event.start is not None and event.start.all_day
    detail: dict[str, Any] = {"all_day": all_day, "summary": event.summary[:200]}
    if event.etag and event.etag == write.etag:
        return Found("", detail, version=event.etag)
    if start is None or end is None or all_day:
        return Found(MOVED, detail, version=event.etag)
    detail |= {"start": start.isoformat(), "end": end.isoformat()}
    stale = bool(event.updated and write.written_at and event.updated < write.written_at - _SKEW)
    if (start, end) != (booking.start_at, booking.end_at):
        return Found(MOVED, detail, Span(instant(start), instant(end)), event.etag, stale)
    return Found(CHANGED if event.recurrence else "", detail, version=event.etag, stale=stale)


def _stands(booking: Booking, now: datetime) -> bool:
    return booking.status == "confirmed" and booking.end_at > now


def _case(session: Session, deviation_id: str) -> _Case | None:
    row = session.get(Deviation, deviation_id)
    if row is None:
        return None
    calendar = session.get_one(Calendar, row.calendar_id)
    write = session.exec(_write_of(row)).first()
    return _Case(
        row,
        calendar,
        session.get_one(Connection, calendar.connection_id),
        session.get_one(Workspace, row.workspace_id),
        write,
        session.get(Booking, write.booking_id) if write else None,
    )


def _write_of(row: Deviation) -> Any:
    query = select(CalendarWrite).where(CalendarWrite.calendar_id == row.calendar_id)
    if row.booking_id is not None and row.kind != STRAY:
        return query.where(CalendarWrite.booking_id == row.booking_id)
    return query.where(CalendarWrite.remote_id == row.remote_id)


def _policy(case: _Case, found: Found) -> str:
    if case.row.detail.get("mass") or case.row.detail.get("tried") == _attempt(found):
        return "flag"
    if found.kind == MOVED:
        return case.workspace.outside_moves
    return case.workspace.outside_deletes if found.kind == DELETED else "flag"


def _attempt(found: Found) -> str:
    """What the rule is tried on, so that it is tried once on each thing that was found."""
    return f"{found.kind}:{found.detail.get('start', '')}:{found.detail.get('end', '')}"


def _open(case: _Case, found: Found, *, acting: bool, now: datetime) -> str:
    """Make the sighting a deviation that people see: ``open``, or empty if there is nothing (new) to see.

    ``acting``: the workspace's rule is about to settle it, and has to be run again if this process dies.
    """
    assert case.write is not None
    assert case.booking is not None
    with transaction() as session:
        write = session.exec(
            select(CalendarWrite).where(CalendarWrite.id == case.write.id).with_for_update()
        ).one()
        row = session.exec(select(Deviation).where(Deviation.id == case.row.id).with_for_update()).first()
        if row is None or row.resolved_at is not None:
            return ""
        if (write.fence, write.desired_version) != (case.write.fence, case.write.desired_version):
            return _postpone(
                session, row, now
            )  # written meanwhile: what was seen may have been before or after
        other = session.exec(
            select(Deviation).where(
                Deviation.booking_id == write.booking_id,
                Deviation.calendar_id == row.calendar_id,
                Deviation.id != row.id,
            )
        ).all()
        detail = _kept(row, found) | found.detail
        if any(_dismissed(one, found) for one in other):
            if row.resolution == CHECKING:
                session.delete(row)
            return ""
        if row.resolution == CHECKING:
            for one in other:
                if one.resolved_at is None:
                    session.delete(one)  # the newer one says how it is
        row.booking_id, row.kind, row.remote_id = write.booking_id, found.kind, write.remote_id
        row.detail, row.resolution = detail, RECHECK if acting else ""
        session.add(row)
        if detail.get("mass"):
            notifications.bookings_vanished(session, case.connection, case.calendar, str(detail["mass"]))
        _tell(session, row.workspace_id)
        return "open"


def _kept(row: Deviation, found: Found) -> dict[str, Any]:
    names = ("mass", "tried", "reason") if row.detail.get("tried") == _attempt(found) else ("mass",)
    return {name: row.detail[name] for name in names if row.detail.get(name)}


def _dismissed(row: Deviation, found: Found) -> bool:
    """Whether a person has said of exactly this that it may stay as it is."""
    same = all(row.detail.get(name) == found.detail.get(name) for name in ("start", "end", "all_day"))
    return row.resolution == DISMISSED and row.kind == found.kind and same


def _act(case: _Case, state: str, found: Found, policy: str, now: datetime) -> str:
    """Do what the workspace's rule says; a refusal leaves the deviation open, with the reason."""
    assert case.booking is not None
    try:
        if _fought_over(case.booking.id, now):
            raise StateChanged(
                "The event was changed again and again today, so nothing follows by itself any more."
            )
        if policy == "restore":
            return _restore(case, None, now)
        return _follow(case, found, None, now)
    except AlmanacError as error:
        with transaction() as session:
            row = session.exec(select(Deviation).where(Deviation.id == case.row.id).with_for_update()).first()
            if row is not None and row.resolved_at is None:
                row.resolution, row.detail = (
                    "",
                    {
                        **row.detail,
                        "reason": error.detail,
                        "tried": _attempt(found),
                    },
                )
                session.add(row)
                _tell(session, row.workspace_id)
        return state


def _fought_over(booking_id: str, now: datetime) -> bool:
    query = (
        select(func.count())
        .select_from(Deviation)
        .where(
            Deviation.booking_id == booking_id,
            col(Deviation.resolution).in_((FOLLOWED, RESTORED)),
            col(Deviation.resolved_at) > now - timedelta(days=1),
        )
    )
    with reading() as session:
        return session.exec(query).one() >= MOST_BY_RULE


def _follow(case: _Case, found: Found, actor: Actor | None, now: datetime) -> str:
    """The booking becomes what the calendar says."""
    assert case.booking is not None
    booking_id, calendar_id, deviation_id = case.booking.id, case.calendar.id, case.row.id
    if found.kind == MOVED:
        if found.span is None:
            raise InvalidInput("The event is an all-day event now: choose a time for the booking yourself.")

        def adopt(session: Session) -> None:
            calendar_writes.adopt(session, booking_id, calendar_id, found.version, now)
            _resolve(session, deviation_id, FOLLOWED, now)

        bookings.move_as_outside(
            booking_id, found.span, Outside(calendar_id, case.by, adopt), actor=actor, now=now
        )
        return FOLLOWED

    def end(session: Session) -> None:
        _resolve(session, deviation_id, CANCELLED, now)

    bookings.cancel_as_outside(
        booking_id, Outside(calendar_id, case.by, end), CANCEL_REASON, actor=actor, now=now
    )
    return CANCELLED


def _restore(case: _Case, actor: Actor | None, now: datetime) -> str:
    """The calendar becomes what the booking says: a write like any other."""
    assert case.booking is not None
    with transaction() as session:
        if not calendar_writes.rewrite(session, case.booking.id, case.calendar.id):
            raise StateChanged("This calendar no longer takes the booking.")
        _resolve(session, case.row.id, RESTORED, now)
        audit.record(
            session,
            case.row.workspace_id,
            actor,
            "booking.event_restored",
            "booking",
            case.booking.id,
            calendar=case.calendar.name,
        )
        _tell(session, case.row.workspace_id)
    return RESTORED


# --- strays -----------------------------------------------------------------------------------------------------------


def _settle_stray(case: _Case, now: datetime) -> str:
    try:
        grants.call(
            case.connection.id, lambda api: api.get_event(case.calendar.remote_id, case.row.remote_id)
        )
    except EventNotFound:
        return _close(case, VANISHED, now)
    except (ProviderError, NotFound) as error:
        return _later(case, now) if getattr(error, "retryable", False) else _rest(case)
    return _rest(case)


def _remove_stray(case: _Case, actor: Actor, now: datetime) -> str:
    remote_id = case.row.remote_id
    grants.call(case.connection.id, lambda api: api.delete_event(case.calendar.remote_id, remote_id))
    with transaction() as session:
        _resolve(session, case.row.id, RESTORED, now)
        audit.record(
            session,
            case.row.workspace_id,
            actor,
            "calendar.stray_removed",
            "calendar",
            case.calendar.id,
            event=remote_id[:100],
        )
        _tell(session, case.row.workspace_id)
    return RESTORED


# --- what people do about one -----------------------------------------------------------------------------------------


def resolve(actor: Actor, deviation_id: str, how: str, *, now: datetime | None = None) -> DeviationView:
    """Settle a deviation by hand: ``follow`` (the booking takes the calendar's time, or is cancelled), ``restore``
    (the calendar is put back) or ``keep`` (both stay as they are).

    The calendar is asked once more first. :raises NotFound: not the actor's to see. :raises InvalidInput: not one of
    its ``choices``. :raises Conflict: it is settled already, or the booking cannot follow. :raises ProviderError: the
    calendar cannot be asked.
    """
    now = now or datetime.now(UTC)
    actor.require(Role.STAFF)
    with reading() as session:
        row = deviations.owned(session, actor, deviation_id)
        if row.resolved_at is not None:
            raise StateChanged("This has been settled meanwhile.")
        if how not in deviations.choices(row):
            raise InvalidInput(f"Choose one of {', '.join(deviations.choices(row))}.", field="how")
        case = _case(session, row.id)
    assert case is not None
    if how == KEEP:
        _dismiss(case, actor, now)
    elif case.row.kind == STRAY:
        _remove_stray(case, actor, now)
    elif case.write is None or case.booking is None or not case.write.present:
        _close(case, VANISHED, now)
    elif how == RESTORE:
        _restore(case, actor, now)
    else:
        _follow_now(case, actor, now)
    with reading() as session:
        found = session.get(Deviation, deviation_id)
        if found is None:
            raise StateChanged("This has been settled meanwhile.")
        return deviations.views(session, [found])[0]


def _follow_now(case: _Case, actor: Actor, now: datetime) -> None:
    assert case.write is not None
    assert case.booking is not None
    found = look(
        case.connection.id, case.calendar.remote_id, case.write, case.booking, case.calendar.timezone
    )
    if not found.kind:
        _close(case, VANISHED, now)
    elif found.kind != case.row.kind and MISSING not in (found.kind, case.row.kind):
        sightings.enqueue(case.row.id)
        raise StateChanged("The event was changed once more in the calendar. Please look at it again.")
    else:
        _follow(case, found, actor, now)


def _dismiss(case: _Case, actor: Actor, now: datetime) -> None:
    with transaction() as session:
        _resolve(session, case.row.id, DISMISSED, now)
        if case.row.booking_id is not None:
            audit.record(
                session,
                case.row.workspace_id,
                actor,
                "booking.deviation_kept",
                "booking",
                case.row.booking_id,
                calendar=case.calendar.name,
            )
        _tell(session, case.row.workspace_id)


def policy(actor: Actor) -> OutsidePolicy:
    """The workspace's rule."""
    actor.require(Role.STAFF)
    with reading() as session:
        row = session.get_one(Workspace, actor.workspace_id)
        return OutsidePolicy(row.outside_moves, row.outside_deletes)


def set_policy(actor: Actor, *, moves: str | None = None, deletes: str | None = None) -> OutsidePolicy:
    """Change the workspace's rule. :raises Forbidden: only admins may. :raises InvalidInput: no such choice."""
    actor.require(Role.ADMIN)
    for name, value, allowed in (("moves", moves, MOVE_CHOICES), ("deletes", deletes, DELETE_CHOICES)):
        if value is not None and value not in allowed:
            raise InvalidInput(f"Choose one of {', '.join(allowed)}.", field=f"outside_{name}")
    with transaction() as session:
        row = session.exec(
            select(Workspace).where(Workspace.id == actor.workspace_id).with_for_update()
        ).one()
        before = OutsidePolicy(row.outside_moves, row.outside_deletes)
        row.outside_moves, row.outside_deletes = moves or row.outside_moves, deletes or row.outside_deletes
        found = OutsidePolicy(row.outside_moves, row.outside_deletes)
        session.add(row)
        if found != before:
            audit.record(
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


# --- steps ------------------------------------------------------------------------------------------------------------


def _resolve(session: Session, deviation_id: str, resolution: str, now: datetime) -> None:
    row = session.exec(select(Deviation).where(Deviation.id == deviation_id).with_for_update()).first()
    if row is not None and row.resolved_at is None:
        row.resolved_at, row.resolution = now, resolution
        session.add(row)


def _close(case: _Case, resolution: str, now: datetime) -> str:
    """There is nothing (any more): a sighting is forgotten, an open deviation is history."""
    with transaction() as session:
        if case.row.resolution == CHECKING:
            row = session.get(Deviation, case.row.id)
            if row is not None and row.resolution == CHECKING:
                session.delete(row)
        else:
            _resolve(session, case.row.id, resolution, now)
        if case.booking is not None:
            deviations.healed(session, case.booking.id, case.calendar.id, resolution, now)
        _tell(session, case.row.workspace_id)
    return resolution


def _rest(case: _Case) -> str:
    """It cannot be looked into: a sighting is forgotten, the night's drift report will see; an open one stays open."""
    with transaction() as session:
        row = session.exec(select(Deviation).where(Deviation.id == case.row.id).with_for_update()).first()
        if row is not None and row.resolution == CHECKING:
            session.delete(row)
        elif row is not None and row.resolved_at is None:
            row.resolution = ""
            session.add(row)
    return "" if case.row.resolution == CHECKING else "open"


def _later(case: _Case, now: datetime) -> str:
    if int(case.row.detail.get("tries", 0)) >= _MOST_TRIES:
        return _rest(case)
    with transaction() as session:
        row = session.exec(select(Deviation).where(Deviation.id == case.row.id).with_for_update()).first()
        return _postpone(session, row, now) if row is not None else ""


def _postpone(session: Session, row: Deviation, now: datetime) -> str:
    tries = int(row.detail.get("tries", 0)) + 1
    delay = min(_LONGEST_DELAY, _FIRST_DELAY * 2 ** (tries - 1))
    row.detail = {**row.detail, "tries": tries, "after": (now + timedelta(seconds=delay)).isoformat()}
    session.add(row)
    return "waiting"


def _tell(session: Session, workspace_id: str) -> None:
    after_commit(session, lambda: live.publish(workspace_id, "bookings"))
