"""Moving a booking to another time, with the same hosts.

As when it was made, the providers are asked before the transaction, and the engine before it and within it; what the
booking holds itself is never in its own way.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session, select

from calendar_app.db.session import clock, reading, transaction
from calendar_app.db.tables import Booking, BookingHost, EventType
from calendar_app.domain import booking as lifecycle
from calendar_app.domain import slots as engine
from calendar_app.domain.booking import Status
from calendar_app.domain.hosting import Hosting
from calendar_app.domain.intake import clean_text
from calendar_app.domain.slots import Rule
from calendar_app.domain.timespan import Span, instant, utc
from calendar_app.domain.webhook import WebhookEvent
from calendar_app.errors import InvalidInput, SlotUnavailable, StateChanged
from calendar_app.services.availability import live_check
from calendar_app.services.availability import snapshot as slot_snapshot
from calendar_app.services.availability.conflict_calendars import asks_for_approval, calendars_of
from calendar_app.services.availability.slots import check_moment, check_zone
from calendar_app.services.availability.snapshot import Snapshot
from calendar_app.services.booking_emails import occasions as booking_emails
from calendar_app.services.bookings import placement, reservations, webhook_events
from calendar_app.services.bookings.placement import TAKEN
from calendar_app.services.bookings.transitions import (
    CUSTOMER,
    REASON_LENGTH,
    Find,
    Outside,
    Who,
    by_link,
    follower,
    found,
    locked,
    release,
    reservation_ids,
    shared,
    swap,
    who_of,
)
from calendar_app.services.bookings.views import BookingView, view
from calendar_app.services.calendar_mirror import mirror
from calendar_app.services.calendar_writes import planning as write_planning
from calendar_app.services.common import audit_log, change_events, rate_limits, signed_links
from calendar_app.services.common.permissions import Actor
from calendar_app.services.event_types.validation import rules_of
from calendar_app.services.mail import outbox as mail_outbox

MOVES = "20/hour"
"""How often the customer may try to move one booking."""
SHORTEST, LONGEST = timedelta(minutes=5), timedelta(days=7)
CHANGED = "Somebody changed this booking meanwhile, so it was not moved. Please look at it again."


@dataclass(frozen=True, slots=True)
class Terms:
    """How a booking is moved. ``length`` in seconds, 0 for its own; ``explained``: what is in the way
    is named; the rest as in :func:`reschedule`."""

    length: int = 0
    version: int | None = None
    wait: timedelta = timedelta()
    reason: str = ""
    is_undo: bool = False
    explained: bool = False


def reschedule(
    actor: Actor,
    booking_id: str,
    start: datetime,
    *,
    end: datetime | None = None,
    version: int | None = None,
    wait: timedelta = timedelta(),
    zone: str | None = None,
    reason: str = "",
    now: datetime | None = None,
) -> BookingView:
    """Move a booking to ``start`` (aware) with the same hosts; until ``end``, or in its length. Staff may leave working
    hours and notice aside. ``reason``: what is said about it.

    ``version``: the one that whoever moves it has seen. ``wait``: so long nobody is told and no calendar is written, so
    that :func:`undo` can take it back.

    :raises SlotUnavailable: a host is busy then. :raises TransitionRefused: its state or time forbids it.
    :raises StateChanged: it is not at ``version`` any more. :raises InvalidInput: ``end`` is not 5 minutes to 7 days
        later. :raises NotFound: not the actor's to see.
    """
    reason = clean_text(reason, "reason", REASON_LENGTH, lines=True)
    terms = Terms(length=_length(start, end), version=version, wait=wait, reason=reason)
    return _reschedule(found(actor, booking_id), start, who_of(actor), zone, now, terms)


def undo(
    actor: Actor,
    booking_id: str,
    start: datetime,
    end: datetime,
    *,
    version: int,
    now: datetime | None = None,
) -> BookingView:
    """Take a move back: the booking, which is at ``version`` since, is at ``[start, end)`` again. Where nobody has been
    told of the move, nobody is told of this. Errors as :func:`reschedule`."""
    terms = Terms(length=_length(start, end), version=version, is_undo=True)
    return _reschedule(found(actor, booking_id), start, who_of(actor), None, now, terms)


def conflict(
    actor: Actor, booking_id: str, start: datetime, end: datetime, *, now: datetime | None = None
) -> str:
    """What stands against moving the booking to ``[start, end)`` (aware), in words for staff; empty if nothing does as
    far as is known here: the providers are asked when it is moved. Errors as :func:`reschedule`."""
    at = instant(check_moment(start, "start"))
    terms = Terms(length=_length(start, end), explained=True)
    with reading() as session:
        now = now or clock(session)
        row = found(actor, booking_id)(session)
        move = _Move(session, row, at, who_of(actor), None, now, terms)
        try:
            move.check(session, row)
        except (SlotUnavailable, InvalidInput) as error:
            return move.reasons or error.detail
    return ""


def _length(start: datetime, end: datetime | None) -> int:
    """In seconds; 0 without an end. :raises InvalidInput: too short or too long."""
    if end is None:
        return 0
    check_moment(end, "end")
    if not SHORTEST <= end - start <= LONGEST:
        raise InvalidInput("A booking must end between 5 minutes and 7 days after it begins.", field="end")
    return int((end - start).total_seconds())


def reschedule_by_token(
    token: str,
    start: datetime,
    *,
    zone: str | None = None,
    reason: str = "",
    now: datetime | None = None,
) -> BookingView:
    """As :func:`reschedule`, for whoever has the manage link: only to a time that is offered, within the notice
    limit, and so often. ``reason``: what the customer says about it, for the business.

    :raises TooManyRequests: each try asks the providers, and each move writes to everybody.
    """
    rate_limits.check("booking-moves", signed_links.booking_id(token), MOVES)
    reason = clean_text(reason, "reason", REASON_LENGTH, lines=True)
    return _reschedule(by_link(token), start, CUSTOMER, zone, now, Terms(reason=reason))


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
        found(actor, booking_id),
        utc(span.start),
        follower(actor, outside),
        None,
        now,
        Terms(length=span.end - span.start),
    )


def _reschedule(
    find: Find,
    start: datetime,
    who: Who,
    zone: str | None,
    now: datetime | None,
    terms: Terms,
) -> BookingView:
    now = now or clock()
    at = instant(check_moment(start, "start"))
    if zone is not None:
        check_zone(zone)
    with reading() as session:
        row = find(session)
        move = _Move(session, row, at, who, zone, now, terms)
        if who.outside is None:  # the event that the booking follows is in the mirror, and in the way for now
            move.check(session, row)
        span, calendars = move.span, calendars_of(session, move.host_ids, now)
        question = live_check.question(session, calendars, span)
        here = Span(instant(row.start_at), instant(row.end_at))
        written = mirror.spans_of(session, row.id)
    own = {
        calendar.id: [*question.own.get(calendar.id, ()), here, *written.get(calendar.id, ())]
        for calendar in calendars
    }
    target = Span(at, at + move.rules.length)
    if who.outside is not None and who.outside.calendar_id in own:
        own[who.outside.calendar_id].append(target)
    if terms.is_undo:  # where the booking's event still stands, as long as its calendar was not written
        for spans in own.values():
            spans.append(target)
    (seen,) = live_check.ask_providers([replace(question, own=own)])
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
        who: Who,
        zone: str | None,
        now: datetime,
        terms: Terms,
    ) -> None:
        self.at, self.who, self.zone, self.now, self.terms = at, who, zone, now, terms
        self.reasons = ""
        self.event_type_id = row.event_type_id
        length = terms.length or int((row.end_at - row.start_at).total_seconds())
        self.minutes = max(1, length // 60)
        hosts = select(BookingHost.person_id).where(BookingHost.booking_id == row.id)
        self.host_ids = sorted(session.exec(hosts))
        rules = rules_of(session.get_one(EventType, row.event_type_id))
        self.rules = replace(rules, durations=(self.minutes,), duration=self.minutes)
        self.span = slot_snapshot.reserved(at, self.rules)
        self.wary = False

    def check(self, session: Session, row: Booking) -> tuple[Status, Snapshot]:
        """The state afterwards, and the snapshot that allows it. Errors as :func:`reschedule`."""
        event_type = session.get_one(EventType, row.event_type_id)
        held = reservation_ids(session, row)
        without = set(held) - shared(session, row, held)
        snapshot = self._of_its_hosts(
            slot_snapshot.load(
                session,
                event_type,
                Span(self.at, self.at + self.rules.length),
                self.now,
                without=without,
                own_events=mirror.spans_of(session, row.id),
                detailed=self.terms.explained,
            )
        )
        mine = (calendar for calendar in snapshot.calendars if calendar.person_id in self.host_ids)
        wary = self.wary or asks_for_approval(mine)
        status = lifecycle.check_reschedule(
            Status(row.status),
            self.who.part,
            start=row.start_at,
            now=self.now,
            cancel_notice=event_type.cancel_notice,
            requires_approval=event_type.requires_approval or wary,
        )
        explained = engine.explain(self.at, self.rules, snapshot.hosts, instant(self.now), snapshot.hosting)
        closing = {reason.rule for reason in explained.reasons}
        if self.who.part is not lifecycle.Actor.CUSTOMER:
            closing &= {Rule.BUSY, Rule.SEATS}
        self.reasons = " ".join(reason.text for reason in explained.reasons if reason.rule in closing)
        if closing or self.at <= instant(self.now) or len(snapshot.hosts) < len(self.host_ids):
            raise placement.refusal(snapshot, self.at, self.now)
        return status, snapshot

    def _of_its_hosts(self, snapshot: Snapshot) -> Snapshot:
        hosts = tuple(host for host in snapshot.hosts if host.id in self.host_ids)
        hosting = Hosting.SINGLE if len(hosts) == 1 else Hosting.COLLECTIVE
        return replace(snapshot, hosts=hosts, hosting=hosting, rules=self.rules)

    def carry_out(self, find: Find) -> BookingView:
        """The one transaction: locked, asked again, moved."""
        with transaction() as session:
            reservations.lock_hosts(session, [self.event_type_id], self.host_ids, self.now)
            row = locked(session, find(session).id)
            if self.terms.version not in (None, row.version):
                raise StateChanged(CHANGED)
            full = self.who.part is not lifecycle.Actor.CUSTOMER
            if Span(instant(row.start_at), instant(row.end_at)) == (self.at, self.at + self.rules.length):
                if self.who.outside:
                    self.who.outside.also(session)
                return view(session, row, full=full)
            if self.who.outside:
                mirror.stop_blocking(session, row.id)
            status, snapshot = self.check(session, row)
            before, ended = row.start_at, row.end_at
            changes: dict[str, Any] = {
                "status": status.value,
                "start_at": utc(self.at),
                "end_at": utc(self.at + self.rules.length),
                "version": row.version + 1,
                "sequence": row.sequence + 1,
                "changed_at": self.now,
            }
            if self.zone is not None:
                changes["timezone"] = self.zone
            release(session, row)
            swap(session, row, changes)
            claims = placement.claims(session, snapshot, snapshot.hosts, self.at, status)
            for host in session.exec(select(BookingHost).where(BookingHost.booking_id == row.id)):
                host.reservation_id = claims[host.person_id]
                session.add(host)
            session.flush()
            mirror.booking_changed(session, row.id)
            later = self.now + self.terms.wait if self.terms.wait else None
            write_planning.plan(session, row, at=later, before=before, now=self.now)
            audit_log.record(
                session,
                row.workspace_id,
                self.who.actor_or_party,
                "booking.rescheduled",
                "booking",
                row.id,
                **self._detail(before, row.start_at),
            )
            self._tell(session, row, before, later)
            webhook_events.booking_changed(
                session, row, WebhookEvent.BOOKING_RESCHEDULED, before=(before, ended)
            )
            if self.who.outside:
                self.who.outside.also(session)
            change_events.announce(session, row.workspace_id, "bookings")
            return view(session, row, full=full)

    def _tell(self, session: Session, row: Booking, before: datetime, at: datetime | None) -> None:
        """Queue the letters; none where a move is undone of which nobody was told."""
        if self.terms.is_undo and mail_outbox.withdraw(session, row.id, row.version - 1, self.now):
            booking_emails.move_undone(session, row, by=self.who.word, now=self.now)
            return
        booking_emails.booking_changed(
            session,
            row,
            booking_emails.Occasion.MOVED,
            by=self.who.word,
            actor=self.who.actor,
            before=before,
            reason=self.terms.reason,
            at=at,
            now=self.now,
        )

    def _detail(self, before: datetime, after: datetime) -> dict[str, str]:
        """For the audit trail."""
        detail = {"by": self.who.by, "from": before.isoformat(), "to": after.isoformat()}
        return detail | ({"reason": self.terms.reason} if self.terms.reason else {})
