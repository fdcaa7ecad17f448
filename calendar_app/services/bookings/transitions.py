"""What happens to a booking after it was made, but for moving it: approved, refused, cancelled, over.

Changes of state are compare-and-swaps on the booking's row, so of two people who press different buttons one is told
that the other was first; pressing the same button twice is harmless. Calendars are written afterwards by workers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import update
from sqlmodel import Session, col, select

from calendar_app.db.session import clock, reading, transaction
from calendar_app.db.tables import Booking, BookingHost, EventType, HostReservation
from calendar_app.domain import booking as lifecycle
from calendar_app.domain.booking import HOLDING, STANDING, Status
from calendar_app.domain.intake import clean_text
from calendar_app.errors import StateChanged
from calendar_app.services.booking_emails import occasions as booking_emails
from calendar_app.services.bookings import reservations, webhook_events
from calendar_app.services.bookings.queries import owned
from calendar_app.services.bookings.views import BookingView, view
from calendar_app.services.calendar_mirror import mirror
from calendar_app.services.calendar_writes import planning as write_planning
from calendar_app.services.common import audit_log, change_events, signed_links
from calendar_app.services.common.permissions import Actor, Role

REASON_LENGTH = 1_000

Find = Callable[[Session], Booking]


@dataclass(frozen=True, slots=True)
class Outside:
    """A change that somebody made to the booking's event in ``calendar_id`` at a provider, which the booking follows.

    ``by`` says so in the history: "changed in Google Calendar". ``also`` is done in the same transaction.
    """

    calendar_id: str
    by: str
    also: Callable[[Session], None]


@dataclass(frozen=True, slots=True)
class Who:
    """Who asks for a change: somebody of the workspace, or the customer with the manage link."""

    actor: Actor | None
    part: lifecycle.Actor
    outside: Outside | None = None

    @property
    def word(self) -> str:
        return self.part.value

    @property
    def actor_or_party(self) -> Actor | audit_log.Party:
        """For the audit trail: what nobody here did was done by the customer, at the provider, or by the system."""
        if self.actor is None and self.outside:
            return audit_log.Party.PROVIDER
        return self.actor or audit_log.Party(self.part.value)

    @property
    def by(self) -> str:
        """As the history says it."""
        return self.outside.by if self.outside else self.word


CUSTOMER = Who(None, lifecycle.Actor.CUSTOMER)
_SYSTEM = Who(None, lifecycle.Actor.SYSTEM)


def who_of(actor: Actor, outside: Outside | None = None) -> Who:
    """The part that somebody of the workspace, or a customer with an account, plays."""
    staff = actor.role >= Role.STAFF
    return Who(actor, lifecycle.Actor.STAFF if staff else lifecycle.Actor.CUSTOMER, outside)


def follower(actor: Actor | None, outside: Outside) -> Who:
    """Whoever lets a booking follow its event: a person, or the workspace's rule."""
    return who_of(actor, outside) if actor else Who(None, lifecycle.Actor.SYSTEM, outside)


def found(actor: Actor | None, booking_id: str) -> Find:
    """How to find the booking: if ``actor`` may see it, else :class:`NotFound`; ``None`` sees every one."""
    return (lambda session: owned(session, actor, booking_id)) if actor else partial(_by_id, booking_id)


def cancel(actor: Actor, booking_id: str, reason: str = "", *, now: datetime | None = None) -> BookingView:
    """Cancel; doing it again changes nothing. Customers with an account are bound by the notice limit.

    :raises NotFound: not the actor's to see. :raises TransitionRefused: its state or time forbids it.
    """
    return _change(found(actor, booking_id), Status.CANCELLED, who_of(actor), now, reason)


def cancel_by_token(token: str, reason: str = "", *, now: datetime | None = None) -> BookingView:
    """As :func:`cancel`, for whoever has the manage link."""
    return _change(by_link(token), Status.CANCELLED, CUSTOMER, now, reason)


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
    who = follower(actor, outside)
    return _change(found(actor, booking_id), Status.CANCELLED, who, now, reason)


def cancel_order(session: Session, order_id: str, actor: Actor | None, reason: str, now: datetime) -> None:
    """Cancel every booking of an order that still holds time, in the caller's transaction: all of them or none.

    ``actor`` ``None``: the customer. :raises TransitionRefused: the time of one of them forbids it.
    """
    who = who_of(actor) if actor else CUSTOMER
    query = select(Booking).where(Booking.order_id == order_id).order_by(col(Booking.id)).with_for_update()
    for row in session.exec(query.execution_options(populate_existing=True)).all():
        if row.status in HOLDING:
            _enter(session, row, Status.CANCELLED, who, now, reason)


def confirm(actor: Actor, booking_id: str, *, now: datetime | None = None) -> BookingView:
    """Approve a pending booking; doing it again changes nothing. Errors as :func:`cancel`."""
    return _change(_of_staff(actor, booking_id), Status.CONFIRMED, who_of(actor), now)


def decline(actor: Actor, booking_id: str, reason: str = "", *, now: datetime | None = None) -> BookingView:
    """Refuse a pending booking. Errors as :func:`cancel`."""
    return _change(_of_staff(actor, booking_id), Status.DECLINED, who_of(actor), now, reason)


def no_show(actor: Actor, booking_id: str, *, now: datetime | None = None) -> BookingView:
    """Mark that the customer did not come. Errors as :func:`cancel`."""
    return _change(_of_staff(actor, booking_id), Status.NO_SHOW, who_of(actor), now)


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
    """Take the booking's failed calendar writes up again, and where it has no link to its online meeting, look for a
    calendar that makes one. :raises NotFound: not the actor's to see."""
    actor.require(Role.STAFF)
    with transaction() as session:
        row = locked(session, owned(session, actor, booking_id).id)
        lacks_link = bool(row.meeting_error) and row.status in STANDING
        again = write_planning.plan(session, row) if lacks_link else write_planning.retry(session, row.id)
        audit_log.record(
            session, row.workspace_id, actor, "booking.sync_retried", "booking", row.id, writes=len(again)
        )
        change_events.announce(session, row.workspace_id, "bookings")
        return view(session, row, full=True)


def _by_id(booking_id: str, session: Session) -> Booking:
    return session.get_one(Booking, booking_id)


def _of_staff(actor: Actor, booking_id: str) -> Find:
    actor.require(Role.STAFF)
    return lambda session: owned(session, actor, booking_id)


def by_link(token: str) -> Find:
    """How to find the booking of a manage link, or :class:`NotFound`: it leads nowhere."""
    booking_id = signed_links.booking_id(token)

    def find(session: Session) -> Booking:
        row = session.get(Booking, booking_id)
        if row is None:
            raise signed_links.unknown()
        return row

    return find


def _change(find: Find, target: Status, who: Who, now: datetime | None, reason: str = "") -> BookingView:
    """Bring a booking into ``target``, as one transaction."""
    now = now or clock()
    reason = clean_text(reason, "reason", REASON_LENGTH, lines=True)

    def work() -> BookingView:
        with transaction() as session:
            row = locked(session, find(session).id)
            if row.status != target:
                _enter(session, row, target, who, now, reason)
            if who.outside:
                who.outside.also(session)
            return view(session, row, full=who.part is not lifecycle.Actor.CUSTOMER)

    return reservations.retrying(work)


def _enter(session: Session, row: Booking, target: Status, who: Who, now: datetime, reason: str) -> None:
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
    shown = before in STANDING, target in STANDING
    changes: dict[str, Any] = {"status": target.value, "changed_at": now}
    if shown[0] != shown[1]:
        changes["version"] = row.version + 1
    if target in (Status.CANCELLED, Status.DECLINED):
        changes |= {"cancelled_at": now, "cancelled_by": who.word, "cancel_reason": reason}
        changes["sequence"] = row.sequence + 1
    swap(session, row, changes)
    if target is Status.CONFIRMED:
        reservations.confirm(session, reservation_ids(session, row))
    elif target not in HOLDING:
        release(session, row)
    mirror.booking_changed(session, row.id)
    if "version" in changes:
        write_planning.plan(session, row, now=now)
    detail = {"by": who.by, "from": before, "reason": reason}
    audit_log.record(
        session, row.workspace_id, who.actor_or_party, f"booking.{target.value}", "booking", row.id, **detail
    )
    if event := webhook_events.OF_STATUS.get(target):
        webhook_events.booking_changed(session, row, event)
    if occasion := booking_emails.OF_STATUS.get(target):
        booking_emails.booking_changed(
            session, row, occasion, by=who.word, actor=who.actor, reason=reason, now=now
        )
    change_events.announce(session, row.workspace_id, "bookings")


def locked(session: Session, booking_id: str) -> Booking:
    """The booking's row as it stands now, locked for the rest of the transaction."""
    query = select(Booking).where(Booking.id == booking_id).with_for_update()
    return session.exec(query.execution_options(populate_existing=True)).one()


def swap(session: Session, row: Booking, changes: Mapping[str, Any]) -> None:
    """Write ``changes`` if the booking is still as it was read. :raises StateChanged: it is not."""
    same = (col(Booking.id) == row.id, col(Booking.status) == row.status, col(Booking.version) == row.version)
    result = session.execute(update(Booking).where(*same).values(**changes))
    if getattr(result, "rowcount", 0) != 1:
        raise StateChanged("Somebody changed this booking at the same moment. Please look at it again.")
    session.refresh(row)


def reservation_ids(session: Session, row: Booking) -> list[str]:
    """The reservations that hold the booking's time; none for one that holds no time any more."""
    query = select(BookingHost.reservation_id).where(BookingHost.booking_id == row.id)
    return [reservation_id for reservation_id in session.exec(query) if reservation_id is not None]


def shared(session: Session, row: Booking, held: Sequence[str]) -> set[str]:
    """Those of the reservations in which other bookings have seats."""
    query = (
        select(BookingHost.reservation_id)
        .where(col(BookingHost.reservation_id).in_(held))
        .where(BookingHost.booking_id != row.id)
    )
    return {reservation_id for reservation_id in session.exec(query) if reservation_id is not None}


def release(session: Session, row: Booking) -> None:
    """Give the booking's time back; a group's stays reserved as long as anybody has a seat in it."""
    held = reservation_ids(session, row)
    # The reservations are locked first: two who leave a group at once must not each think that the other one stays.
    rows = select(HostReservation.id).where(col(HostReservation.id).in_(held))
    session.exec(rows.order_by(col(HostReservation.id)).with_for_update()).all()
    mine = update(BookingHost).where(col(BookingHost.booking_id) == row.id)
    session.execute(mine.values(reservation_id=None))
    reservations.release(session, sorted(set(held) - shared(session, row, held)))
