"""Taking bookings, and everything that happens to one afterwards.

How a booking is made is told in :mod:`calendar_app.services.placing`. Calendars are written afterwards by workers:
their failures never fail a booking.

Changes of state are compare-and-swaps on the booking's row, so of two people who press different buttons one is
told that the other was first; pressing the same button twice is harmless.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import update
from sqlmodel import Session, col, select

from calendar_app.db.session import clock, reading, transaction
from calendar_app.db.tables import Booking, BookingHost, EventType, HostReservation
from calendar_app.domain import booking as lifecycle
from calendar_app.domain import slots as engine
from calendar_app.domain.booking import HOLDING, Status
from calendar_app.domain.hosting import Hosting
from calendar_app.domain.intake import clean_answers, clean_email, clean_name, clean_text, parse_questions
from calendar_app.domain.slots import Rule
from calendar_app.domain.timespan import Span, instant, utc
from calendar_app.errors import SlotUnavailable, StateChanged
from calendar_app.services import (
    audit,
    calendar_writes,
    holds,
    limits,
    manage_links,
    mirror,
    notifications,
    placing,
    recheck,
    reservations,
    snapshots,
)
from calendar_app.services.availability import check_active, check_moment, check_zone
from calendar_app.services.booking_views import (
    BookingHostView,
    BookingPage,
    BookingView,
    HistoryView,
    ReceiptView,
    by_token,
    get,
    history,
    list_bookings,
    owned,
    view,
)
from calendar_app.services.event_types import rules_of
from calendar_app.services.placing import TAKEN, Wish
from calendar_app.services.roles import Actor, Role
from calendar_app.services.snapshots import Snapshot
from calendar_app.settings import get_settings

__all__ = [
    "BookingHostView",
    "BookingPage",
    "BookingView",
    "HistoryView",
    "Outside",
    "ReceiptView",
    "by_token",
    "cancel",
    "cancel_as_outside",
    "cancel_by_token",
    "cancel_order",
    "complete_past",
    "confirm",
    "create",
    "decline",
    "get",
    "history",
    "list_bookings",
    "move_as_outside",
    "no_show",
    "reschedule",
    "reschedule_by_token",
    "retry_sync",
]

_REASON_LENGTH = 1_000


def create(
    event_type_id: str,
    start: datetime,
    zone: str,
    name: str,
    email: str,
    answers: Mapping[str, object] | None = None,
    *,
    duration: int | None = None,
    hold_id: str | None = None,
    actor: Actor | None = None,
    client: str = "",
    settle: Callable[[Session, BookingView], None] | None = None,
    now: datetime | None = None,
) -> BookingView:
    """Book ``start`` (aware) for a customer whose IANA zone is ``zone``; pending if it has to be approved first.

    ``hold_id`` is the id that :func:`calendar_app.services.holds.create` gave this visitor. ``actor``: somebody of
    the workspace who books for the customer, and may use event types that are not public. ``settle`` runs last in the
    transaction, with the answer.

    :raises InvalidInput: the zone, the person or the answers; or the time has passed (``in_the_past``).
    :raises SlotUnavailable: taken meanwhile, at a provider too, or not offered.
    :raises NotFound: no such event type. :raises Conflict: it is switched off (``event_type_inactive``).
    :raises TooManyRequests: this visitor tries or books too often.
    """
    if client:
        allow(client)
    now = now or clock()
    wish = _wish(event_type_id, start, zone, name, email, answers or {}, duration, hold_id, actor, now)

    def finish(session: Session, rows: Sequence[Booking]) -> BookingView:
        made = view(session, rows[0], full=actor is not None)
        if settle is not None:
            settle(session, made)
        return made

    try:
        made = placing.place([wish], actor, now, finish=finish)
    except placing.Refused as refused:
        raise refused.reason from None
    if client:
        booked(client)
    return made


def allow(client: str) -> None:
    """Let ``client`` try to book once more. :raises TooManyRequests: it tries, or has booked, too often."""
    most = get_settings().bookings_per_minute
    limits.check("booking-tries", client, f"{10 * most}/minute")
    limits.peek("bookings", client, f"{most}/minute")


def booked(client: str, count: int = 1) -> None:
    """``client`` has made so many bookings."""
    for _ in range(count):
        limits.count("bookings", client, f"{get_settings().bookings_per_minute}/minute")


def _wish(
    event_type_id: str,
    start: datetime,
    zone: str,
    name: str,
    email: str,
    answers: Mapping[str, object],
    duration: int | None,
    hold_id: str | None,
    actor: Actor | None,
    now: datetime,
) -> Wish:
    at = instant(check_moment(start, "start"))
    check_zone(zone)
    with reading() as session:
        row = snapshots.event_type_for(session, event_type_id, actor)
        check_active(row)
        return Wish(
            row.id,
            at,
            duration or 0,
            zone,
            clean_name(name),
            clean_email(email),
            clean_answers(parse_questions(row.questions), answers),
            holds.find(session, hold_id, row.id, at, now) if hold_id else None,
        )


# --- changes of state -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Outside:
    """A change that somebody made to the booking's event in ``calendar_id`` at a provider, which the booking follows.

    ``by`` says so in the history: "changed in Google Calendar". ``also`` is done in the same transaction.
    """

    calendar_id: str
    by: str
    also: Callable[[Session], None]


@dataclass(frozen=True, slots=True)
class _Who:
    """Who asks for a change: somebody of the workspace, or the customer with the manage link."""

    actor: Actor | None
    part: lifecycle.Actor
    outside: Outside | None = None

    @property
    def word(self) -> str:
        return self.part.value

    @property
    def by(self) -> str:
        """As the history says it."""
        return self.outside.by if self.outside else self.word


_CUSTOMER = _Who(None, lifecycle.Actor.CUSTOMER)
_SYSTEM = _Who(None, lifecycle.Actor.SYSTEM)


def _who(actor: Actor, outside: Outside | None = None) -> _Who:
    staff = actor.role >= Role.STAFF
    return _Who(actor, lifecycle.Actor.STAFF if staff else lifecycle.Actor.CUSTOMER, outside)


def _follower(actor: Actor | None, outside: Outside) -> _Who:
    """Whoever lets a booking follow its event: a person, or the workspace's rule."""
    return _who(actor, outside) if actor else _Who(None, lifecycle.Actor.SYSTEM, outside)


def _found(actor: Actor | None, booking_id: str) -> Callable[[Session], Booking]:
    return (lambda session: owned(session, actor, booking_id)) if actor else partial(_by_id, booking_id)


def cancel(actor: Actor, booking_id: str, reason: str = "", *, now: datetime | None = None) -> BookingView:
    """Cancel; doing it again changes nothing. Customers with an account are bound by the notice limit.

    :raises NotFound: not the actor's to see. :raises TransitionRefused: its state or time forbids it.
    """
    return _change(lambda s: owned(s, actor, booking_id), Status.CANCELLED, _who(actor), now, reason)


def cancel_by_token(token: str, reason: str = "", *, now: datetime | None = None) -> BookingView:
    """As :func:`cancel`, for whoever has the manage link."""
    return _change(_by_link(token), Status.CANCELLED, _CUSTOMER, now, reason)


def cancel_as_outside(
    booking_id: str,
    outside: Outside,
    reason: str,
    *,
    actor: Actor | None = None,
    now: datetime | None = None,
) -> BookingView:
    """Cancel because the event was deleted at the provider; ``actor`` ``None``: by the workspace's rule. Errors as
    :func:`cancel`."""
    who = _follower(actor, outside)
    return _change(_found(actor, booking_id), Status.CANCELLED, who, now, reason)


def cancel_order(session: Session, order_id: str, actor: Actor | None, reason: str, now: datetime) -> None:
    """Cancel every booking of an order that still holds time, in the caller's transaction: all of them or none.

    ``actor`` ``None``: the customer. :raises TransitionRefused: the time of one of them forbids it.
    """
    who = _who(actor) if actor else _CUSTOMER
    query = select(Booking).where(Booking.order_id == order_id).order_by(col(Booking.id)).with_for_update()
    for row in session.exec(query.execution_options(populate_existing=True)).all():
        if row.status in HOLDING:
            _enter(session, row, Status.CANCELLED, who, now, reason)


def confirm(actor: Actor, booking_id: str, *, now: datetime | None = None) -> BookingView:
    """Approve a pending booking; doing it again changes nothing. Errors as :func:`cancel`."""
    return _change(_of_staff(actor, booking_id), Status.CONFIRMED, _who(actor), now)


def decline(actor: Actor, booking_id: str, reason: str = "", *, now: datetime | None = None) -> BookingView:
    """Refuse a pending booking. Errors as :func:`cancel`."""
    return _change(_of_staff(actor, booking_id), Status.DECLINED, _who(actor), now, reason)


def no_show(actor: Actor, booking_id: str, *, now: datetime | None = None) -> BookingView:
    """Mark that the customer did not come. Errors as :func:`cancel`."""
    return _change(_of_staff(actor, booking_id), Status.NO_SHOW, _who(actor), now)


def complete_past(now: datetime | None = None) -> int:
    """Mark confirmed bookings that have ended as completed, and let go of their reservations; how many there were."""
    now = now or clock()
    with reading() as session:
        ended = select(Booking.id).where(Booking.status == Status.CONFIRMED, col(Booking.end_at) <= now)
        ids = session.exec(ended.order_by(col(Booking.end_at)).limit(500)).all()
    done = 0
    for booking_id in ids:
        try:
            _change(partial(_by_id, booking_id), Status.COMPLETED, _SYSTEM, now)
            done += 1
        except (StateChanged, lifecycle.TransitionRefused):
            continue
    return done


def retry_sync(actor: Actor, booking_id: str) -> BookingView:
    """Take the booking's failed calendar writes up again. :raises NotFound: not the actor's to see."""
    actor.require(Role.STAFF)
    with transaction() as session:
        row = owned(session, actor, booking_id)
        again = calendar_writes.retry(session, row.id)
        audit.record(
            session, row.workspace_id, actor, "booking.sync_retried", "booking", row.id, writes=len(again)
        )
        placing.tell(session, row.workspace_id)
        return view(session, row, full=True)


def _by_id(booking_id: str, session: Session) -> Booking:
    return session.get_one(Booking, booking_id)


def _of_staff(actor: Actor, booking_id: str) -> Callable[[Session], Booking]:
    actor.require(Role.STAFF)
    return lambda session: owned(session, actor, booking_id)


def _by_link(token: str) -> Callable[[Session], Booking]:
    booking_id = manage_links.booking_id(token)

    def find(session: Session) -> Booking:
        row = session.get(Booking, booking_id)
        if row is None:
            raise manage_links.unknown()
        return row

    return find


def _change(
    find: Callable[[Session], Booking], target: Status, who: _Who, now: datetime | None, reason: str = ""
) -> BookingView:
    """Bring a booking into ``target``, as one transaction."""
    now = now or clock()
    reason = clean_text(reason, "reason", _REASON_LENGTH, lines=True)

    def work() -> BookingView:
        with transaction() as session:
            row = _locked(session, find(session).id)
            if row.status != target:
                _enter(session, row, target, who, now, reason)
            if who.outside:
                who.outside.also(session)
            return view(session, row, full=who.part is not lifecycle.Actor.CUSTOMER)

    return reservations.retrying(work)


def _enter(session: Session, row: Booking, target: Status, who: _Who, now: datetime, reason: str) -> None:
    event_type = session.get_one(EventType, row.event_type_id)
    lifecycle.check_transition(
        Status(row.status),
        target,
        who.part,
        start=row.start_at,
        end=row.end_at,
        now=now,
        cancel_notice=event_type.cancel_notice,
    )
    before = row.status
    shown = before in calendar_writes.STANDING, target in calendar_writes.STANDING
    changes: dict[str, Any] = {"status": target.value}
    if shown[0] != shown[1]:
        changes["version"] = row.version + 1
    if target in (Status.CANCELLED, Status.DECLINED):
        changes |= {"cancelled_at": now, "cancelled_by": who.word, "cancel_reason": reason}
        changes["sequence"] = row.sequence + 1
    _swap(session, row, changes)
    if target is Status.CONFIRMED:
        reservations.confirm(session, _reservation_ids(session, row))
    elif target not in HOLDING:
        _release(session, row)
    mirror.booking_changed(session, row.id)
    if "version" in changes:
        calendar_writes.plan(session, row)
    detail = {"by": who.by, "from": before, "reason": reason}
    audit.record(session, row.workspace_id, who.actor, f"booking.{target.value}", "booking", row.id, **detail)
    if occasion := notifications.OF_STATUS.get(target):
        notifications.booking_changed(
            session, row, occasion, by=who.word, actor=who.actor, reason=reason, now=now
        )
    placing.tell(session, row.workspace_id)


def _locked(session: Session, booking_id: str) -> Booking:
    query = select(Booking).where(Booking.id == booking_id).with_for_update()
    return session.exec(query.execution_options(populate_existing=True)).one()


def _swap(session: Session, row: Booking, changes: Mapping[str, Any]) -> None:
    """Write ``changes`` if the booking is still as it was read. :raises StateChanged: it is not."""
    same = (col(Booking.id) == row.id, col(Booking.status) == row.status, col(Booking.version) == row.version)
    result = session.execute(update(Booking).where(*same).values(**changes))
    if getattr(result, "rowcount", 0) != 1:
        raise StateChanged("Somebody changed this booking at the same moment. Please look at it again.")
    session.refresh(row)


def _reservation_ids(session: Session, row: Booking) -> list[str]:
    query = select(BookingHost.reservation_id).where(BookingHost.booking_id == row.id)
    return [reservation_id for reservation_id in session.exec(query) if reservation_id is not None]


def _shared(session: Session, row: Booking, reservation_ids: Sequence[str]) -> set[str]:
    """Those of the reservations in which other bookings have seats."""
    query = (
        select(BookingHost.reservation_id)
        .where(col(BookingHost.reservation_id).in_(reservation_ids))
        .where(BookingHost.booking_id != row.id)
    )
    return {reservation_id for reservation_id in session.exec(query) if reservation_id is not None}


def _release(session: Session, row: Booking) -> None:
    """Give the booking's time back; a group's stays reserved as long as anybody has a seat in it."""
    held = _reservation_ids(session, row)
    # The reservations are locked first: two who leave a group at once must not each think that the other one stays.
    rows = select(HostReservation.id).where(col(HostReservation.id).in_(held))
    session.exec(rows.order_by(col(HostReservation.id)).with_for_update()).all()
    mine = update(BookingHost).where(col(BookingHost.booking_id) == row.id)
    session.execute(mine.values(reservation_id=None))
    reservations.release(session, sorted(set(held) - _shared(session, row, held)))


# --- moving -----------------------------------------------------------------------------------------------------------


def reschedule(
    actor: Actor, booking_id: str, start: datetime, *, zone: str | None = None, now: datetime | None = None
) -> BookingView:
    """Move a booking to ``start`` (aware) with the same hosts and length. Staff may leave working hours and notice
    aside.

    :raises SlotUnavailable: a host is busy then. :raises TransitionRefused: its state or time forbids it.
    :raises NotFound: not the actor's to see.
    """
    return _reschedule(lambda s: owned(s, actor, booking_id), start, _who(actor), zone, now)


def reschedule_by_token(
    token: str, start: datetime, *, zone: str | None = None, now: datetime | None = None
) -> BookingView:
    """As :func:`reschedule`, for whoever has the manage link: only to a time that is offered, within the notice
    limit."""
    return _reschedule(_by_link(token), start, _CUSTOMER, zone, now)


def move_as_outside(
    booking_id: str,
    span: Span,
    outside: Outside,
    *,
    actor: Actor | None = None,
    now: datetime | None = None,
) -> BookingView:
    """Move because the event was moved at the provider, to its time and length; ``actor`` ``None``: by the workspace's
    rule. Errors as :func:`reschedule`, the host's other events and bookings being in the way as ever."""
    return _reschedule(
        _found(actor, booking_id),
        utc(span.start),
        _follower(actor, outside),
        None,
        now,
        length=span.end - span.start,
    )


def _reschedule(
    find: Callable[[Session], Booking],
    start: datetime,
    who: _Who,
    zone: str | None,
    now: datetime | None,
    *,
    length: int = 0,
) -> BookingView:
    """``length`` in seconds, 0 for the booking's own."""
    now = now or clock()
    at = instant(check_moment(start, "start"))
    if zone is not None:
        check_zone(zone)
    with reading() as session:
        row = find(session)
        move = _Move(session, row, at, who, zone, now, length)
        if who.outside is None:  # the event that the booking follows is in the mirror, and in the way for now
            move.check(session, row)
        span, calendars = move.span, snapshots.calendars_of(session, move.host_ids, now)
        own = recheck.own_spans(session, [c.id for c in calendars], span)
    here = Span(instant(row.start_at), instant(row.end_at))
    own = {calendar.id: [*own.get(calendar.id, ()), here] for calendar in calendars}
    if who.outside is not None and who.outside.calendar_id in own:
        own[who.outside.calendar_id].append(Span(at, at + move.rules.length))
    (seen,) = recheck.look([recheck.Question(calendars, span, own)])
    if seen.busy_hosts:
        raise SlotUnavailable(TAKEN)
    move.wary = bool(seen.wary_hosts)
    return reservations.retrying(lambda: move.carry_out(find))


class _Move:
    """A booking on its way to another time: the same questions are asked before and within the transaction."""

    def __init__(
        self,
        session: Session,
        row: Booking,
        at: int,
        who: _Who,
        zone: str | None,
        now: datetime,
        length: int = 0,
    ) -> None:
        self.at, self.who, self.zone, self.now = at, who, zone, now
        self.event_type_id = row.event_type_id
        length = length or int((row.end_at - row.start_at).total_seconds())
        self.minutes = max(1, length // 60)
        hosts = select(BookingHost.person_id).where(BookingHost.booking_id == row.id)
        self.host_ids = sorted(session.exec(hosts))
        rules = rules_of(session.get_one(EventType, row.event_type_id))
        self.rules = replace(rules, durations=(self.minutes,), duration=self.minutes)
        self.span = snapshots.reserved(at, self.rules)
        self.wary = False

    def check(self, session: Session, row: Booking) -> tuple[Status, Snapshot]:
        """The state afterwards, and the snapshot that allows it. Errors as :func:`reschedule`."""
        event_type = session.get_one(EventType, row.event_type_id)
        held = _reservation_ids(session, row)
        without = set(held) - _shared(session, row, held)
        snapshot = self._of_its_hosts(
            snapshots.load(
                session, event_type, Span(self.at, self.at + self.rules.length), self.now, without=without
            )
        )
        mine = (calendar for calendar in snapshot.calendars if calendar.person_id in self.host_ids)
        wary = self.wary or snapshots.asks_for_approval(mine)
        status = lifecycle.check_reschedule(
            Status(row.status),
            self.who.part,
            start=row.start_at,
            now=self.now,
            cancel_notice=event_type.cancel_notice,
            requires_approval=event_type.requires_approval or wary,
        )
        found = engine.explain(self.at, self.rules, snapshot.hosts, instant(self.now), snapshot.hosting)
        closing = {reason.rule for reason in found.reasons}
        if self.who.part is not lifecycle.Actor.CUSTOMER:
            closing &= {Rule.BUSY, Rule.SEATS}
        if closing or self.at <= instant(self.now) or len(snapshot.hosts) < len(self.host_ids):
            raise placing.refusal(snapshot, self.at, self.now)
        return status, snapshot

    def _of_its_hosts(self, snapshot: Snapshot) -> Snapshot:
        hosts = tuple(host for host in snapshot.hosts if host.id in self.host_ids)
        hosting = Hosting.SINGLE if len(hosts) == 1 else Hosting.COLLECTIVE
        return replace(snapshot, hosts=hosts, hosting=hosting, rules=self.rules)

    def carry_out(self, find: Callable[[Session], Booking]) -> BookingView:
        """The one transaction: locked, asked again, moved."""
        with transaction() as session:
            reservations.lock_hosts(session, [self.event_type_id], self.host_ids, self.now)
            row = _locked(session, find(session).id)
            full = self.who.part is not lifecycle.Actor.CUSTOMER
            if Span(instant(row.start_at), instant(row.end_at)) == (self.at, self.at + self.rules.length):
                if self.who.outside:
                    self.who.outside.also(session)
                return view(session, row, full=full)
            if self.who.outside:
                mirror.set_aside(session, row.id)
            status, snapshot = self.check(session, row)
            before = row.start_at
            changes: dict[str, Any] = {
                "status": status.value,
                "start_at": utc(self.at),
                "end_at": utc(self.at + self.rules.length),
                "version": row.version + 1,
                "sequence": row.sequence + 1,
            }
            if self.zone is not None:
                changes["timezone"] = self.zone
            _release(session, row)
            _swap(session, row, changes)
            claims = placing.claims(session, snapshot, snapshot.hosts, self.at, status)
            for host in session.exec(select(BookingHost).where(BookingHost.booking_id == row.id)):
                host.reservation_id = claims[host.person_id]
                session.add(host)
            session.flush()
            mirror.booking_changed(session, row.id)
            calendar_writes.plan(session, row)
            audit.record(
                session,
                row.workspace_id,
                self.who.actor,
                "booking.rescheduled",
                "booking",
                row.id,
                **{"by": self.who.by, "from": before.isoformat(), "to": row.start_at.isoformat()},
            )
            notifications.booking_changed(
                session,
                row,
                notifications.Occasion.MOVED,
                by=self.who.word,
                actor=self.who.actor,
                before=before,
                now=self.now,
            )
            if self.who.outside:
                self.who.outside.also(session)
            placing.tell(session, row.workspace_id)
            return view(session, row, full=full)
